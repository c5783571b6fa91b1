"""Positions, neighbours and schedules: the numbers in the pictures are those of the tables."""

import math

import numpy as np
import pytest

import minigpt as mg
import minigpt.functional as F
from minigpt import viz
from minigpt.optim.schedules import warmup_cosine

pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'minigpt[viz]'")


def drawn(figure):
    return np.asarray(figure.axes[0].images[0].get_array())


# ── positions ─────────────────────────────────────────────────────────────────────────────────


def test_positions_of_models_and_of_tables(english):
    model, tokenizer = english
    np.testing.assert_array_equal(drawn(viz.positions(model)), model.position_embedding.weight.data)
    assert drawn(viz.positions(model, length=5)).shape == (5, 12)
    config = mg.GPTConfig(tokenizer.vocab_size, 8, 1, 1, 6, positions="sinusoidal")
    np.testing.assert_array_equal(
        drawn(viz.positions(mg.GPT(config))), F.sinusoidal_positions(8, 6)
    )
    figure = viz.positions(np.array([[3, -4], [0, 1]]))
    assert figure.axes[0].images[0].get_clim() == (-4, 4)


def test_how_alike_positions_are():
    table = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    half = math.sqrt(0.5)
    expected = [[1, half, 0], [half, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(drawn(viz.positions(table, similarity=True)), expected)


def test_rotary_angles_turn_a_pair_by_the_distance():
    angles = drawn(viz.rotary_angles(8, length=30, base=100.0))
    assert angles.shape == (30, 4) and angles.min() >= 0 and angles.max() < 2 * math.pi
    for pair in range(4):
        for place in (1, 7, 29):
            expected = place * 100.0 ** (-2 * pair / 8)
            assert math.cos(angles[place, pair]) == pytest.approx(math.cos(expected))
            assert math.sin(angles[place, pair]) == pytest.approx(math.sin(expected))


def test_rotary_angles_of_a_model(english):
    _, tokenizer = english
    scaling = mg.nn.RotaryScaling("linear", factor=4.0)
    config = mg.GPTConfig.llama(
        tokenizer.vocab_size, 8, 1, 2, 12, rotary_base=500.0, rotary_scaling=scaling
    )
    model = mg.GPT(config)
    angles = drawn(viz.rotary_angles(model, length=4))
    np.testing.assert_allclose(angles, np.outer(np.arange(4), 500.0 ** -(np.arange(3) / 3)) / 4)
    np.testing.assert_array_equal(
        angles, drawn(viz.rotary_angles(6, length=4, base=500.0, scaling=scaling))
    )
    with pytest.raises(ValueError, match=r"got 'rotary'; viz.rotary_angles\(model\) draws"):
        viz.positions(model)


def test_positions_that_are_not_added_are_refused(english):
    english_model, tokenizer = english
    with pytest.raises(ValueError, match="a model with rotary positions: got 'learned'"):
        viz.rotary_angles(english_model)
    model = mg.GPT(mg.GPTConfig(tokenizer.vocab_size, 8, 1, 1, 4, positions="alibi"))
    with pytest.raises(ValueError, match="adds learned or sinusoidal positions: got 'alibi'"):
        viz.positions(model)
    with pytest.raises(ValueError, match=r"a model, or a table \(places, features\)"):
        viz.positions(np.zeros(3))
    with pytest.raises(ValueError, match="must be an even number: got 7"):
        viz.rotary_angles(7)
    with pytest.raises(ValueError, match="base must be"):
        viz.rotary_angles(8, base=0)


# ── neighbours ────────────────────────────────────────────────────────────────────────────────


def test_neighbours_are_the_nearest(english):
    model, tokenizer = english
    figure = viz.neighbours(model, tokenizer, ["a", 0], k=3)
    table = model.token_embedding.weight.data.astype(np.float64)
    texts = [text.get_text() for text in figure.axes[0].texts]
    for row, token in enumerate([tokenizer.encode("a")[0], 0]):
        cosines = table @ table[token]
        cosines /= np.linalg.norm(table, axis=1) * np.linalg.norm(table[token])
        nearest = [i for i in np.argsort(-cosines) if i != token][:3]
        np.testing.assert_allclose(drawn(figure)[row], cosines[nearest])
        said = [tokenizer.decode([i]).replace(" ", "␣") for i in nearest]
        assert texts[6 * row : 6 * row + 6 : 2] == said
        numbers = [f"{cosines[i]:.2f}".replace("-", "−") for i in nearest]
        assert texts[6 * row + 1 : 6 * row + 6 : 2] == numbers


def test_neighbours_of_what_is_no_token(english):
    model, tokenizer = english
    with pytest.raises(ValueError, match="'at' must be one token: it is 2, 'a', 't'; name one"):
        viz.neighbours(model, tokenizer, "at")
    with pytest.raises(IndexError, match="tokens must be from 0 to 10"):
        viz.neighbours(model, tokenizer, 11)
    with pytest.raises(ValueError, match="one token at least"):
        viz.neighbours(model, tokenizer, [])
    with pytest.raises(TypeError, match="tokens must be a token or a list of them"):
        viz.neighbours(model, tokenizer, None)
    assert drawn(viz.neighbours(model, tokenizer, "a", k=99)).shape == (1, 10)


# ── schedules ─────────────────────────────────────────────────────────────────────────────────


def curve(figure, number=0):
    line = figure.axes[0].get_lines()[number]
    return list(line.get_xdata()), list(line.get_ydata())


def test_schedules_of_functions_configurations_and_runs():
    def cosine(step):
        return warmup_cosine(step, 1e-3, 1e-4, 5, 50)

    expected = [cosine(step) for step in range(50)]
    config = mg.TrainerConfig(max_steps=50, learning_rate=1e-3, warmup_steps=5)
    history = mg.History([{"step": 1, "learning_rate": 0.5}, {"step": 3, "learning_rate": 0.25}])
    figure = viz.schedules({"f": cosine, "config": config, "run": history}, steps=50)
    assert curve(figure)[0] == list(range(50)) and curve(figure)[1] == expected
    assert curve(figure, 1)[1] == pytest.approx(expected)
    assert curve(figure, 2) == ([1, 3], [0.5, 0.25])
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["f", "config", "run"]


def test_a_configuration_warms_up_as_a_run_does():
    config = mg.TrainerConfig(max_steps=40, learning_rate=1.0)
    model = mg.GPT(mg.GPTConfig(5, 4, 1, 1, 4))
    history = mg.Trainer(
        model, np.arange(50) % 5, None, mg.TrainerConfig(max_steps=40, progress=False)
    ).fit()
    rates = np.array(curve(viz.schedules(config))[1])
    np.testing.assert_allclose(1e-3 * rates, history.column("learning_rate"))


@pytest.mark.parametrize(
    ("rates", "error", "said"),
    [
        (lambda step: 1.0, ValueError, "steps says how many steps to draw: pass steps=1000"),
        (mg.TrainerConfig(epochs=2), ValueError, "steps says how many"),
        (mg.History(), ValueError, "the history has no steps"),
        (3e-4, TypeError, "rates must be a function of the step, a TrainerConfig or a History"),
        (mg.TrainerConfig, TypeError, "got the class TrainerConfig"),
        ({}, ValueError, "one schedule at least"),
        ({1: mg.TrainerConfig(max_steps=3)}, TypeError, "a name in rates must be a str"),
    ],
)
def test_what_is_no_schedule_is_refused(rates, error, said):
    with pytest.raises(error, match=said):
        viz.schedules(rates)
