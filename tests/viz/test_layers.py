"""The Recorder sees what a run does to each layer, and the picture shows what it saw."""

import math

import numpy as np
import pytest

import minigpt as mg
from minigpt import viz
from minigpt.viz.recorder import QUANTITIES, rms

TOKENS = np.arange(99) % 5


def run(recorder, steps=6, **changes):
    model = mg.GPT(mg.GPTConfig(5, 4, n_layer=2, n_head=1, n_embd=8), seed=0)
    config = mg.TrainerConfig(max_steps=steps, batch_size=2, progress=False, **changes)
    trainer = mg.Trainer(model, TOKENS, None, config, callbacks=[recorder])
    trainer.fit()
    return trainer


def test_it_sees_weights_gradients_and_updates():
    """With plain gradient descent a step is η ∂L/∂θ."""
    recorder = viz.Recorder(every=3)
    rates = {"learning_rate": 0.1, "schedule": "constant", "momentum": 0.0, "grad_clip": None}
    trainer = run(recorder, optimizer="sgd", **rates)
    assert recorder.layers == [
        "token_embedding", "position_embedding", "blocks.0", "blocks.1", "final_norm",
    ]  # fmt: skip
    for layer in recorder.layers:
        steps, weights = recorder.column("weights", layer)
        _, gradients = recorder.column("gradients", layer)
        _, updates = recorder.column("updates", layer)
        assert steps == [3, 6]
        np.testing.assert_allclose(
            updates, 0.1 * np.array(gradients) / np.array(weights), rtol=1e-4
        )
    squares = 0.0
    sizes = dict.fromkeys(recorder.layers, 0)
    for name, parameter in trainer.model.named_parameters():
        sizes[next(layer for layer in recorder.layers if name.startswith(layer))] += parameter.size
    for layer, size in sizes.items():
        squares += size * recorder.column("gradients", layer)[1][0] ** 2
    assert math.sqrt(squares) == pytest.approx(trainer.history.steps[2]["grad_norm"], rel=1e-5)


def test_clipping_is_taken_off():
    free, clipped = viz.Recorder(every=1), viz.Recorder(every=1)
    run(free, steps=1, grad_clip=None)
    run(clipped, steps=1, grad_clip=1e-3)
    for layer in free.layers:
        assert clipped.column("gradients", layer)[1] == pytest.approx(
            free.column("gradients", layer)[1], rel=1e-5
        )


def test_watching_changes_nothing_and_nothing_is_held_between():
    recorder = viz.Recorder(every=2)
    watched, alone = run(recorder), run(viz.Recorder(every=1000))
    for name, array in watched.model.state_dict().items():
        np.testing.assert_array_equal(array, alone.model.state_dict()[name])
    assert not recorder._before


def test_frozen_layers_have_weights_only():
    recorder = viz.Recorder(every=1)
    model = mg.GPT(mg.GPTConfig(5, 4, n_layer=1, n_head=1, n_embd=8), seed=0)
    mg.nn.freeze(model.position_embedding)
    config = mg.TrainerConfig(max_steps=2, batch_size=2, progress=False)
    mg.Trainer(model, TOKENS, None, config, callbacks=[recorder]).fit()
    assert recorder.column("gradients", "position_embedding") == ([], [])
    assert recorder.column("updates", "position_embedding")[1] == [0, 0]
    assert len(recorder.column("weights", "position_embedding")[0]) == 2


def test_the_mean_square_of_large_numbers():
    assert rms([np.full(4, 1e30, np.float32)]) == pytest.approx(1e30)


def test_the_picture_shows_what_was_seen():
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'minigpt[viz]'")
    recorder = viz.Recorder(every=2)
    run(recorder)
    figure = viz.layers(recorder)
    assert [axes.get_title("left").split(":")[0] for axes in figure.axes] == list(QUANTITIES)
    order = ["blocks.0", "blocks.1", "token_embedding", "position_embedding", "final_norm"]
    for axes, quantity in zip(figure.axes, QUANTITIES, strict=True):
        assert axes.get_yscale() == "log"
        for line, layer in zip(axes.get_lines(), order, strict=True):
            assert (list(line.get_xdata()), list(line.get_ydata())) == recorder.column(
                quantity, layer
            )
    names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert names == order
    one = viz.new_figure(3, 2, "dark").add_subplot()
    assert viz.layers(recorder, "updates", ax=one) is one.figure and len(one.get_lines()) == 5


def test_bad_arguments():
    with pytest.raises(ValueError, match="every must be an integer of at least 1"):
        viz.Recorder(every=0)
    recorder = viz.Recorder(every=5)
    with pytest.raises(ValueError, match=r"has seen nothing: pass it to a Trainer, callbacks=\["):
        viz.layers(recorder)
    run(recorder, steps=5)
    with pytest.raises(ValueError, match='quantity must be "weights" '):
        viz.layers(recorder, "losses")
    with pytest.raises(ValueError, match="layer must be"):
        recorder.column("weights", "blocks.7")
    with pytest.raises(ValueError, match="ax must be 3 axes: got '1 axes'"):
        viz.layers(recorder, ax=object())
    with pytest.raises(TypeError, match="recorder must be a Recorder: got the class"):
        viz.layers(viz.Recorder)
