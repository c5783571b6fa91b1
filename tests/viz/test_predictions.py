"""The next token's bars and the logit lens show what the model and the filters say."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import viz
from minigpt.models import LSTMConfig, LSTMLanguageModel
from minigpt.sampling import SamplingConfig
from minigpt.sampling.filters import softmax

pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'minigpt[viz]'")

FILTERS = {
    "repetition_penalty": 1.3, "temperature": 0.7, "top_k": 5, "top_p": 0.8, "min_p": 0.2,
}  # fmt: skip


def bars_of(figure):
    """The probabilities of each stage, by the words above it."""
    axes = figure.axes[0]
    widths = {bars.get_label(): [bar.get_width() for bar in bars] for bars in axes.containers}
    largest = max(map(max, widths.values()))
    shown = [float(t.get_text().strip(" %")) for t in axes.texts if "%" in t.get_text()]
    scale = max(shown) / 100 / largest
    return {label: np.array(w) * scale for label, w in widths.items()}


def names_of(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def next_probabilities(model, tokenizer, prompt):
    with mg.no_grad():
        return softmax(model(np.array([tokenizer.encode(prompt)])).data[0, -1])


def test_the_bars_of_the_model(english):
    figure = viz.next_token(*english, "the cat", k=4)
    p = next_probabilities(*english, "the cat")
    falling = np.argsort(-p)
    (bars,) = bars_of(figure).values()
    np.testing.assert_allclose(bars, [*p[falling[:4]], p[falling[4:]].sum()], atol=6e-4)
    _, tokenizer = english
    expected = [tokenizer.decode([i]).replace(" ", "␣") for i in falling[:4]]
    assert names_of(figure) == [*expected, f"{len(p) - 4} others"]
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[0] == f"{100 * p[falling[0]]:.1f} %" and texts[-1] == f"model\n{len(p)} possible"


def test_each_filter_works_on_the_one_before(english):
    model, tokenizer = english
    prompt = "the cat"
    figure = viz.next_token(model, tokenizer, prompt, k=99, **FILTERS)
    bars = bars_of(figure)
    assert list(bars) == [
        "model", "repetition penalty 1.3", "temperature 0.7", "top-k 5", "top-p 0.8", "min-p 0.2",
    ]  # fmt: skip
    ids = np.array([tokenizer.encode(prompt)])
    with mg.no_grad():
        logits = model(ids).data[:, -1]
    order = np.argsort(-softmax(logits)[0], kind="stable")
    so_far = {}
    for name, found in zip(FILTERS, [*bars.values()][1:], strict=True):
        so_far[name] = FILTERS[name]
        expected = softmax(SamplingConfig(**so_far).filter(logits, ids))[0]
        np.testing.assert_allclose(found, expected[order], atol=1e-3)
    texts = [text.get_text() for text in figure.axes[0].texts]
    titles = [text.partition("\n")[0] for text in texts if text.endswith("possible")]
    assert titles == [*list(bars)[:2], *(f"then {name}" for name in list(bars)[2:])]
    dashes = texts.count("–")
    assert dashes == sum(int((found == 0).sum()) for found in bars.values()) > 0


def test_greedy_leaves_one(english):
    bars = bars_of(viz.next_token(*english, "the", temperature=0))
    np.testing.assert_allclose(sorted(bars["temperature 0"]), [0] * 10 + [1], atol=1e-9)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"k": 0}, ValueError, "k must be an integer of at least 1: got 0"),
        ({"temperature": -1}, ValueError, "temperature must be a number of at least 0"),
        ({"top_p": 2}, ValueError, "top_p must be"),
        ({"top_k": 1.5}, TypeError, "top_k must be an integer"),
    ],
)
def test_bad_filters(english, options, error, said):
    with pytest.raises(error, match=said):
        viz.next_token(*english, "the", **options)


def test_the_lens_reads_every_block(english):
    model, tokenizer = english
    text = "the cat"
    figure = viz.logit_lens(model, tokenizer, text)
    axes = figure.axes[0]
    drawn = axes.images[0].get_array()
    assert drawn.shape == (7, 3)
    ids = np.array([tokenizer.encode(text)])
    with mg.no_grad():
        p = [softmax(model.unembed(mg.Tensor(x)).data[0]) for x in model.hidden_states(ids)]
        np.testing.assert_allclose(p[-1], softmax(model(ids).data[0]), rtol=1e-5)
    np.testing.assert_allclose(drawn, np.max(p, axis=-1).T, rtol=1e-6)
    said = [text.get_text() for text in axes.texts][: 7 * 3]
    likeliest = np.argmax(p, axis=-1).T  # (T, 3)
    assert said == [tokenizer.decode([i]).replace(" ", "␣") for i in likeliest.reshape(-1)]
    assert len(axes.get_lines()) == int((likeliest[:-1] == ids[0, 1:, None]).sum())
    (right,) = axes.child_axes
    following = [label.get_text() for label in right.get_yticklabels()]
    assert following == [*text[1:].replace(" ", "␣"), ""]
    blocks = [label.get_text() for label in axes.get_xticklabels()]
    assert blocks == ["embed-\ndings", "block\n0", "block\n1"]


def test_the_lens_of_one_token_and_of_many(chinese):
    assert viz.logit_lens(*chinese, "a").axes[0].images[0].get_array().shape == (1, 2)
    figure = viz.logit_lens(*chinese, "猫龘" * 12 + "abcd")
    assert figure.axes[0].images[0].get_array().shape == (64, 2)
    assert figure.get_size_inches()[1] < 18


def test_a_model_without_a_stream_is_refused(english):
    _, tokenizer = english
    model = LSTMLanguageModel(LSTMConfig(tokenizer.vocab_size, n_embd=8, n_hidden=8), seed=0)
    with pytest.raises(TypeError, match=r"gives hidden_states\(ids\) and unembed\(x\): got a LSTM"):
        viz.logit_lens(model, tokenizer, "the")
    assert len(names_of(viz.next_token(model, tokenizer, "the"))) == tokenizer.vocab_size
