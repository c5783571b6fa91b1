"""Attention maps hold the model's weights, and say which tokens they are of."""

import numpy as np
import pytest

import minigpt as mg
import minigpt.functional as F
from minigpt import viz
from minigpt.models import LSTMConfig, LSTMLanguageModel

pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'minigpt[viz]'")

TEXT = "the cat sat"


def maps_of(figure):
    """The numbers of every map, hidden ones as NaN."""
    images = figure.axes[0].images
    return [np.ma.filled(image.get_array().astype(float), np.nan) for image in images]


def texts_of(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def ticks_of(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def weights_of(model, tokenizer, text):
    """(n_layer, n_head, T, T), the future as NaN."""
    weights = np.array([w[0] for w in model.attention_weights(np.array([tokenizer.encode(text)]))])
    future = np.triu(np.ones(weights.shape[-2:], bool), 1)
    assert not weights[..., future].any()
    return np.where(future, np.nan, weights)


def test_one_head(english):
    figure = viz.attention(*english, TEXT, layer=1, head=-1)
    (drawn,) = maps_of(figure)
    expected = weights_of(*english, TEXT)[1, 2]
    np.testing.assert_array_equal(drawn, expected)
    axes = figure.axes[0]
    labels = [c.replace(" ", "␣") for c in TEXT]
    assert ticks_of(axes.yaxis) == ticks_of(axes.xaxis) == labels
    assert axes.get_title() == "layer 1, head 2"
    numbers = [f"{w:.2f}" for w in expected.reshape(-1) if not np.isnan(w)]
    assert texts_of(figure) == numbers


def test_a_layer(english):
    figure = viz.attention(*english, TEXT, layer=-2)
    np.testing.assert_array_equal(maps_of(figure), weights_of(*english, TEXT)[0])
    assert texts_of(figure) == ["head 0", "head 1", "head 2"]


def test_the_whole_model(english):
    figure = viz.attention(*english, TEXT)
    expected = weights_of(*english, TEXT)
    np.testing.assert_array_equal(maps_of(figure), expected.reshape(6, 11, 11))
    assert texts_of(figure) == ["head 0", "head 1", "head 2", "layer 0", "layer 1"]
    images = figure.axes[0].images
    left, right, top, bottom = zip(*(image.get_extent() for image in images), strict=True)
    assert left[:3] == left[3:] == tuple(sorted(left[:3]))  # heads side by side
    assert top[0] == top[2] > bottom[0] and bottom[3] > top[0]  # layers below each other
    assert right[0] < left[1]


def test_chinese_and_parts_of_characters(chinese):
    figure = viz.attention(*chinese, "猫龘", layer=0, head=0)
    labels = ticks_of(figure.axes[0].yaxis)
    assert labels == ["猫 1–2/3", "猫 3/3", "龘 1/3", "龘 2/3", "龘 3/3"]


@pytest.mark.parametrize("length", [1, 2, 12, 13, 64])
def test_any_number_of_tokens(english, length):
    text = ("the cat sat on the mat. " * 3)[:length]
    figure = viz.attention(*english, text, layer=0, head=0)
    assert maps_of(figure)[0].shape == (length, length)
    assert len(texts_of(figure)) == (length * (length + 1) // 2 if length <= 12 else 0)
    assert len(figure.axes) == (1 if length <= 12 else 2)  # a scale, where no numbers are written
    whole = viz.attention(*english, text)
    assert len(maps_of(whole)) == 6 and max(whole.get_size_inches()) < 20


def test_large_models_stay_on_the_page():
    weights = [np.full((12, 64, 64), 1 / 64)] * 12
    figure = viz.attention_weights(weights, ["x"] * 64)
    assert len(figure.axes[0].images) == 144 and max(figure.get_size_inches()) < 20
    letters = figure.axes[0].get_yticklabels()[0].get_fontsize()
    assert letters >= 6 and len(figure.axes[0].get_yticks()) == 12 * 16  # every fourth token


def test_heads_stand_in_full_lines():
    for n, lines in ((4, 1), (6, 2), (9, 3), (12, 3), (16, 4)):
        figure = viz.attention_weights(np.full((n, 2, 2), 0.5), ["a", "b"])
        tops = {image.get_extent()[3] for image in figure.axes[0].images}
        assert len(figure.axes[0].images) == n and len(tops) == lines, n


def test_weights_of_ones_own():
    q = np.random.default_rng(0).normal(size=(3, 4))
    full, causal = F.attention_weights(q, q), F.attention_weights(q, q, causal=True)
    words = ["The", "$x$", "sat"]
    (drawn,) = maps_of(viz.attention_weights(full, words))
    np.testing.assert_array_equal(drawn, full)
    figure = viz.attention_weights(causal, words, title="causal")
    assert np.isnan(maps_of(figure)[0]).sum() == 3 and figure.axes[0].get_title() == "causal"
    assert not figure.axes[0].get_yticklabels()[1].get_parse_math()
    across = np.eye(2, 3)  # the decoder looks at another text: nothing is hidden
    figure = viz.attention_weights(across, ["a", "b"], ["x", "y", "z"])
    np.testing.assert_array_equal(maps_of(figure)[0], across)
    assert ticks_of(figure.axes[0].xaxis) == ["x", "y", "z"]


def test_a_model_without_a_mask_hides_nothing(english):
    _, tokenizer = english
    seeing = mg.GPT(mg.GPTConfig(tokenizer.vocab_size, 8, 1, 1, 8, causal=False), seed=0)
    (drawn,) = maps_of(viz.attention(seeing, tokenizer, "the", layer=0, head=0))
    assert not np.isnan(drawn).any()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"layer": 2}, ValueError, "layer must be from -2 to 1, as there are 2 layers: got 2"),
        (
            {"layer": 0, "head": 3},
            ValueError,
            "head must be from -3 to 2, as there are 3 heads: got 3",
        ),
        ({"head": 0}, ValueError, "head says which head of a layer: name the layer too"),
        ({"layer": "0"}, TypeError, "layer must be an integer"),
        ({"theme": "blue"}, ValueError, 'theme must be "light" or "dark": got \'blue\''),
        ({"ax": 3}, TypeError, "ax must be the axes of a matplotlib figure"),
    ],
)
def test_bad_arguments(english, options, error, said):
    with pytest.raises(error, match=said):
        viz.attention(*english, TEXT, **options)


def test_a_model_without_attention_is_refused(english):
    _, tokenizer = english
    model = LSTMLanguageModel(LSTMConfig(tokenizer.vocab_size, n_embd=8, n_hidden=8), seed=0)
    with pytest.raises(TypeError, match=r"model must be one that gives attention_weights\(ids\)"):
        viz.attention(model, tokenizer, TEXT)


@pytest.mark.parametrize(
    ("weights", "tokens", "error", "said"),
    [
        (np.eye(2), ["a"], ValueError, "tokens must be 2 labels: got '1 labels'"),
        (np.eye(2), "ab", TypeError, r"tokens must be a list of str: got 'ab'; token_labels\("),
        (np.eye(2), ["a", 3], TypeError, r"tokens\[1\] must be a str: got 3"),
        (np.eye(2) * 2, ["a", "b"], ValueError, "weights must be from 0 to 1"),
        (np.full((2, 2), np.nan), ["a", "b"], ValueError, "weights must be from 0 to 1"),
        (np.ones(2), ["a", "b"], ValueError, r"of shape \(T, S\), \(h, T, S\), or a list"),
        ([np.ones((1, 2, 2)), np.ones((1, 3, 3))], ["a"], ValueError, "T and S the same"),
        ([], [], ValueError, r"weights must be of shape"),
        ("abc", ["a"], ValueError, "weights must be of shape"),
        (np.zeros((0, 0)), [], ValueError, "weights must be of shape"),
    ],
)
def test_bad_weights(weights, tokens, error, said):
    with pytest.raises(error, match=said):
        viz.attention_weights(weights, tokens)
