"""The page as a file: one, small, closed to any network, with the model's own numbers in it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigpt as mg
from minigpt import models
from minigpt.nn import Module, add_lora
from minigpt.sampling import softmax
from minigpt.tensor import Tensor
from minigpt.tokenizers import AddedToken
from minigpt.viz import explore
from minigpt.viz.explorer import live, page
from minigpt.viz.explorer.live import why_no_typing, why_recorded
from minigpt.viz.explorer.packing import script_json, token_bytes
from tests.viz.tiny import CHARACTERS, TEXT, tiny_gpt

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "</script><script>window.broken = 1</script><!-- \"'& \u2028 </SCRIPT"


def payload_of(source: str) -> dict[str, Any]:
    found = re.search(r'<script id="payload" type="application/json">(.*?)</script>', source, re.S)
    assert found
    result: dict[str, Any] = json.loads(found[1])
    return result


def unpacked(text: str, dtype: type) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.dtype(dtype).newbyteorder("<"))


@pytest.fixture
def recorded_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_PARAMETERS", 0)


# ── one closed file ───────────────────────────────────────────────────────────────────────────


def test_the_page_is_one_file_that_asks_for_no_other(tmp_path):
    explore(tiny_gpt(), CHARACTERS, TEXT, tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    source = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert source.startswith("<!doctype html>") and "{{" not in source
    addresses = set(re.findall(r"https?://[^\s\"'`]+", source))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of SVG, not a place
    assert not re.findall(r"\b(?:src|srcset|poster|data)=", source)
    assert set(re.findall(r'\bhref="([^"]*)"', source)) == {"#"}
    for name in ("fetch(", "XMLHttpRequest", "WebSocket", "import(", "eval(", "innerHTML", "url("):
        assert name not in source


def test_only_the_scripts_of_the_package_may_run(tmp_path):
    source = explore(tiny_gpt(), CHARACTERS, TEXT).html
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', source)
    assert policy and "default-src 'none'" in policy[1]
    scripts = re.findall(r"<script>(.*?)</script>", source, re.S)
    assert len(scripts) == len(page.SCRIPTS)
    allowed = re.findall(r"'sha256-([^']+)'", policy[1])
    assert allowed == [
        base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts
    ]


@pytest.mark.parametrize("is_live", [False, True])
def test_64_tokens_of_12_layers_of_12_heads_take_less_than_2_megabytes(is_live, monkeypatch):
    if not is_live:
        monkeypatch.setattr(live, "MOST_PARAMETERS", 0)
    model = tiny_gpt(n_layer=12, n_head=12, n_embd=24)
    explorer = explore(model, CHARACTERS, (TEXT * 2)[:64])
    assert len(explorer.html) < 2_000_000
    assert f"12 heads, {'computed in the page' if is_live else 'recorded'}" in repr(explorer)
    assert explorer.html.isascii() or len(explorer.html.encode()) < 2_000_000


def test_every_file_of_the_page_is_in_the_package():
    tomllib = pytest.importorskip("tomllib", reason="in Python since 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["minigpt"]
    folder = ROOT / "minigpt"
    packed = {path for pattern in patterns for path in folder.glob(pattern)}
    files = set((folder / "viz/explorer/browser").iterdir())
    assert files <= packed
    assert {path.name for path in files} == {*page.SCRIPTS, "page.html", "style.css"}


def test_the_scripts_are_as_readable_as_the_rest():
    for path in (ROOT / "minigpt/viz/explorer/browser").glob("*.js"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0] == '"use strict";' and lines[1].startswith("// "), path.name
        assert len(lines) <= 250 and max(map(len, lines)) <= 100, path.name


# ── its numbers ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("causal", [True, False])
def test_recorded_numbers_are_the_models(causal, recorded_only):
    model = tiny_gpt(causal=causal)
    recording = payload_of(explore(model, CHARACTERS, TEXT).html)["texts"][0]
    ids = CHARACTERS.encode(TEXT)
    assert recording["ids"] == ids
    t, batch = len(ids), np.array([ids])
    seen = np.tri(t, dtype=bool) if causal else np.ones((t, t), bool)
    attention = unpacked(recording["attention"], np.uint16).reshape(2, 3, -1)
    for layer, maps in enumerate(model.attention_weights(batch)):
        heads = [*maps[0].astype(float), maps[0].astype(float).mean(axis=0)]
        for head, weights in enumerate(heads):
            written = [f"{w:.4f}" for w in weights[seen]]
            assert [f"{n / 10_000:.4f}" for n in attention[layer, head]] == written

    likeliest = unpacked(recording["likeliest"], np.int32).reshape(3, t, 10)
    probabilities = unpacked(recording["probabilities"], np.float32).reshape(3, t, 10)
    true_p = unpacked(recording["trueProbability"], np.float32).reshape(3, t - 1)
    true_rank = unpacked(recording["trueRank"], np.int32).reshape(3, t - 1)
    with mg.no_grad():
        for layer, x in enumerate(model.hidden_states(batch)):
            p = softmax(model.unembed(Tensor(x)).data[0])
            order = np.argsort(-p, axis=-1, kind="stable")
            assert (likeliest[layer] == order[:, :10]).all()
            assert (probabilities[layer] == np.sort(p.astype(np.float32))[:, ::-1][:, :10]).all()
            true = p[np.arange(t - 1), ids[1:]]
            assert (true_p[layer] == true.astype(np.float32)).all()
            places = np.argmax(order[:-1] == np.array(ids[1:])[:, None], axis=-1)
            assert (true_rank[layer] == places + 1).all()
        assert (p == softmax(model(batch).data[0])).all()  # the last layer's are the model's own


def test_dropout_and_the_mode_of_the_model_change_nothing():
    model = tiny_gpt(dropout=0.5)
    model.train()
    first = payload_of(explore(model, CHARACTERS, TEXT).html)["texts"]
    assert model.training
    assert first == payload_of(explore(model.eval(), CHARACTERS, TEXT).html)["texts"]


def test_the_weights_of_a_live_page_are_the_models_in_float32():
    model = tiny_gpt().astype(np.float64)
    own = payload_of(explore(model, CHARACTERS, TEXT).html)["live"]
    numbers, start = unpacked(own["weights"], np.float32), 0
    for (name, shape), (expected, parameter) in zip(
        own["shapes"], model.named_parameters(), strict=True
    ):
        assert (name, tuple(shape)) == (expected, parameter.shape)
        part = numbers[start : start + parameter.size].reshape(shape)
        assert (part == parameter.data.astype(np.float32)).all()
        start += parameter.size
    assert start == numbers.size


@pytest.mark.parametrize(("text", "vocab"), [("a", 3), ("ab", 3)])
def test_a_text_of_one_token_and_a_vocabulary_of_three(text, vocab):
    tokenizer = mg.CharTokenizer.train("abc")
    recording = payload_of(explore(tiny_gpt(vocab), tokenizer, text).html)["texts"][0]
    assert recording["shown"] == 3
    assert unpacked(recording["trueRank"], np.int32).size == 3 * (len(text) - 1)


def test_a_model_with_more_ids_than_its_tokenizer():
    model = tiny_gpt(CHARACTERS.vocab_size + 5)
    vocabulary = payload_of(explore(model, CHARACTERS, TEXT).html)["vocabulary"]
    assert len(vocabulary) == CHARACTERS.vocab_size


def test_several_texts():
    explorer = explore(tiny_gpt(), CHARACTERS, ["the cat", "the mat sat"])
    assert [len(one["ids"]) for one in payload_of(explorer.html)["texts"]] == [7, 11]
    assert repr(explorer).startswith("Explorer(7, 11 tokens, ")


# ── hostile and unusual texts ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("is_live", [False, True])
def test_no_text_ends_the_script_that_it_stands_in(is_live, monkeypatch):
    if not is_live:
        monkeypatch.setattr(live, "MOST_PARAMETERS", 0)
    tokenizer = mg.BPETokenizer.train(["</script> " * 40], 264, [HOSTILE], progress=False)
    assert b"</script" in b" ".join(tokenizer.vocab.values())
    model = tiny_gpt(tokenizer.vocab_size, block_size=512)
    source = explore(model, tokenizer, HOSTILE, allowed_special="all").html
    assert source.count("<script") == source.count("</script>") == len(page.SCRIPTS) + 1
    assert "window.broken" not in re.sub(r"<script id.*?</script>|<title>.*?</title>", "", source)
    assert html.unescape(HOSTILE)[:20] in html.unescape(
        re.findall("<title>(.*)</title>", source)[0]
    )
    vocabulary = payload_of(source)["vocabulary"]
    known = (
        vocabulary[str(tokenizer.vocab_size - 1)]
        if isinstance(vocabulary, dict)
        else vocabulary[-1]
    )
    assert known.encode("latin-1").decode() == HOSTILE


def test_special_tokens_are_refused_where_they_are_not_allowed():
    tokenizer = mg.BPETokenizer.train("a b", 257, ["<|end|>"], progress=False)
    model = tiny_gpt(257)
    with pytest.raises(ValueError, match="special token"):
        explore(model, tokenizer, "a<|end|>")
    recording = payload_of(explore(model, tokenizer, "a<|end|>", allowed_special="all").html)
    assert recording["texts"][0]["ids"] == [97, 256]


def test_json_for_a_script():
    text = script_json({"a": HOSTILE, "b": "类"})
    assert text.isascii() and "<" not in text and json.loads(text) == {"a": HOSTILE, "b": "类"}
    with pytest.raises(ValueError, match="JSON"):
        script_json(float("nan"))


def test_the_bytes_of_tokens():
    pairs = mg.BPETokenizer.train("类类", 257, progress=False)
    assert [token_bytes(pairs, i) for i in (0xE7, 256)] == [b"\xe7", b"\xe7\xb1"]
    assert token_bytes(mg.CharTokenizer.train("类"), 0).decode() == "类"


# ── what a page cannot run ────────────────────────────────────────────────────────────────────


class Shout(Module):
    def forward(self, x: Any) -> Any:
        return x * 2


def test_why_a_model_is_recorded_only(monkeypatch):
    assert why_recorded(tiny_gpt()) == ""
    assert why_recorded(tiny_gpt(causal=False)).startswith("with causal=False")
    adapted = tiny_gpt()
    add_lora(adapted, rank=2, alpha=2, targets=["qkv_proj"])
    assert "qkv_proj" in why_recorded(adapted)
    replaced = tiny_gpt()
    replaced.blocks[1].mlp = Shout()
    assert why_recorded(replaced) == "its blocks.1.mlp is a Shout, which the page does not know"

    class Own(mg.GPT):
        pass

    assert why_recorded(Own(tiny_gpt().config)).startswith("its class is a Own")
    monkeypatch.setattr(live, "COMPUTED", live.COMPUTED - {"activation"})
    assert why_recorded(tiny_gpt()) == ""
    assert "activation='relu'" in why_recorded(tiny_gpt(activation="relu"))
    monkeypatch.setattr(live, "MOST_PARAMETERS", 100)
    assert re.match(r"it has [\d,]+ parameters", why_recorded(tiny_gpt()))


def test_two_million_parameters_run_in_the_page_and_no_more():
    assert live.MOST_PARAMETERS == 2_000_000
    payload = payload_of(explore(tiny_gpt(), CHARACTERS, TEXT).html)
    assert payload["live"] and payload["tokenizer"] and not payload["about"]["whyRecorded"]


def test_why_a_page_takes_no_typing():
    assert why_no_typing(CHARACTERS) == ""
    vocab, merges = {i: bytes([i]) for i in range(256)}, []
    for pattern in ("gpt2", "gpt4", "gpt2-single-digits", "gpt4-single-digits", None):
        assert why_no_typing(mg.BPETokenizer(vocab, merges, pattern=pattern)) == ""
    assert "pattern of its own" in why_no_typing(mg.BPETokenizer(vocab, merges, pattern=r"\w+"))
    added = mg.BPETokenizer(vocab, merges, added_tokens=[AddedToken("<sep>", special=False)])
    assert "'<sep>'" in why_no_typing(added)
    payload = payload_of(explore(tiny_gpt(257), added, "a").html)
    assert payload["live"] and payload["tokenizer"] is None
    assert "'<sep>'" in payload["about"]["whyNoTyping"]


# ── where it goes, and what is refused ────────────────────────────────────────────────────────


def test_a_notebook_shows_the_page_in_a_closed_frame():
    explorer = explore(tiny_gpt(), CHARACTERS, TEXT)
    shown = explorer._repr_html_()
    frame = re.fullmatch(
        r'<iframe srcdoc="([^"]*)" sandbox="([^"]*)" title="[^"]*" style="[^"]*"></iframe>', shown
    )
    assert frame and html.unescape(frame[1]) == explorer.html
    assert "allow-scripts" in frame[2] and "same-origin" not in frame[2]


def test_saving_later_and_over_an_older_page(tmp_path):
    explorer = explore(tiny_gpt(), CHARACTERS, TEXT)
    path = tmp_path / "page.html"
    path.write_text("older")
    assert explorer.save(str(path)) == path
    assert path.read_text(encoding="utf-8") == explorer.html
    assert repr(explorer).endswith(" MB)")


def test_a_folder_that_is_not_there_is_found_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "record", None)
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        explore(tiny_gpt(), CHARACTERS, TEXT, tmp_path / "nowhere/page.html")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (lambda: models.LSTMLanguageModel(models.LSTMConfig(20, 1, 8)), "a LSTMLanguageModel"),
        (
            lambda: models.EncoderDecoder(models.Seq2SeqConfig(9, 9, 8, 8, 1, 2, 8)),
            "an EncoderDecoder",
        ),
        (lambda: mg.GPT, "the class GPT"),
        (lambda: None, "None"),
    ],
)
def test_other_models_are_refused_by_name(model, name):
    with pytest.raises(TypeError, match=f"model must be a GPT: got {name}"):
        explore(model(), CHARACTERS, TEXT)


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("", ValueError, "text must be of at least one token: got ''"),
        ([], ValueError, "text must be a str or a list of them"),
        (["a", 1], TypeError, "text must be a str: got 1"),
        (7, TypeError, "text must be a str or a list of them: got 7"),
        (b"a", TypeError, "text must be a str or a list of them"),
        ("a" * 65, ValueError, "text has 65 tokens, and the context holds 64"),
        ("é", ValueError, "does not know"),
    ],
)
def test_texts_that_are_refused(text, error, match):
    with pytest.raises(error, match=match):
        explore(tiny_gpt(), CHARACTERS, text)


def test_a_tokenizer_that_is_none():
    with pytest.raises(TypeError, match="tokenizer must be the model's Tokenizer: got None"):
        explore(tiny_gpt(), None, TEXT)


def test_a_page_that_would_be_too_large_is_refused_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr(page, "record", None)
    model = tiny_gpt(block_size=1000, n_layer=12, n_head=12, n_embd=12)
    with pytest.raises(ValueError, match=r"room for one text of (\d+) tokens") as caught:
        explore(model, CHARACTERS, (TEXT * 20)[:1000])
    most = int(re.search(r"text of (\d+)", str(caught.value))[1])
    page._check_size(model, [[0] * (most - 1)])
    with pytest.raises(ValueError, match="room for one text"):
        page._check_size(model, [[0] * (most + 1)])


def test_numbers_that_are_not_finite():
    model = tiny_gpt()
    model.blocks[1].mlp.down_proj.weight.data[:] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        explore(model, CHARACTERS, TEXT)


def test_a_path_and_a_text_that_were_swapped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ValueError, match=r"path must be .*\.html: got 'the cat'; the order is expl"
    ):
        explore(tiny_gpt(), CHARACTERS, "page.html", "the cat")
    assert not list(tmp_path.iterdir())
