"""The page in Chromium: its numbers read back, clicked, typed, keys pressed, looked at.

They take a minute, and run where MINIGPT_BROWSER is set and Chromium is installed:

    MINIGPT_BROWSER=1 python -m pytest tests/viz
"""

from __future__ import annotations

import os
import random
import re
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigpt as mg
from minigpt.nn import RotaryScaling
from minigpt.sampling import apply_temperature, softmax, top_k_filter, top_p_filter
from minigpt.tensor import Tensor
from minigpt.tokenizers.bpe.patterns import NAMED, SplitPattern
from minigpt.viz import explore
from minigpt.viz.explorer import live
from tests.viz.browser import Browser
from tests.viz.tiny import CHARACTERS, TEXT, tiny_gpt

if not os.environ.get("MINIGPT_BROWSER"):
    pytest.skip("a minute in Chromium: set MINIGPT_BROWSER=1", allow_module_level=True)

LIVE = 1e-4  # how far a number of the page may be from the model's
WORDS = (
    "Don't 'TIS we'LL   stop\n\n  at 12345 €uros, 你好世界! naïve\u00a0x\tend\r\n ☃😀 é a\u0301 'ſ"
)
PAIRS = mg.BPETokenizer.train([TEXT, WORDS * 3, "你好世界" * 5], 320, progress=False)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(autouse=True)
def quiet(browser: Browser) -> Iterator[None]:
    """Every test begins on a wide light screen, and none leaves a complaint in the console."""
    browser.look_like(1280, 900)
    yield
    assert browser.complaints() == []


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Any:
    """Writes a page and opens it."""

    def show(model: mg.GPT, tokenizer: Any = CHARACTERS, text: Any = TEXT, **options: Any) -> Path:
        fragment = options.pop("fragment", "")
        path = tmp_path / "page.html"
        explore(model, tokenizer, text, path, **options)
        browser.open(path, fragment)
        return path

    return show


@pytest.fixture
def recorded_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_PARAMETERS", 0)


def drawn(browser: Browser) -> None:
    """Wait until what was changed is on the screen."""
    browser.until("return !isWaiting")


def shown_weights(browser: Browser) -> list[str]:
    script = "return [...document.querySelectorAll('#tokens .token')].map(c => c.dataset.weight)"
    return browser.run(script)


def shown_bars(browser: Browser, bars: str = "#bars") -> list[tuple[int, float, str]]:
    script = (
        "return [...document.querySelectorAll(arguments[0] + ' .bar')].map(b => "
        "[+b.dataset.id, +b.dataset.p, b.querySelector('.number').textContent])"
    )
    return [tuple(bar) for bar in browser.run(script, bars)]


def tokens_of(browser: Browser) -> list[int]:
    return browser.run("return state.source.ids")


def expected(model: mg.GPT, ids: list[int]) -> list[np.ndarray]:
    """For each number of layers, the probabilities of the next token: (T, V)."""
    with mg.no_grad():
        stream = model.hidden_states(np.array([ids]))
        return [softmax(model.unembed(Tensor(x)).data[0]) for x in stream]


def assert_live_numbers(browser: Browser, model: mg.GPT, ids: list[int]) -> None:
    """All weights and probabilities that the page has computed are the model's."""
    assert browser.run("return state.source.isLive") is True
    assert tokens_of(browser) == ids
    config = model.config
    weights = browser.run(
        "const s = state.source; return s.ids.map((_, t) => Array.from({length: arguments[0]}, "
        "(_, l) => Array.from({length: arguments[1] + 1}, (_, h) => [...s.weights(l + 1, h, t)])))",
        config.n_layer,
        config.n_head,
    )
    for layer, maps in enumerate(model.attention_weights(np.array([ids]))):
        for t in range(len(ids)):
            own = [*maps[0, :, t, : t + 1], maps[0, :, t, : t + 1].mean(axis=0)]
            np.testing.assert_allclose(weights[t][layer], own, rtol=0, atol=LIVE)
    logits = browser.run(
        "const s = state.source; return s.ids.map((_, t) => Array.from({length: arguments[0] + 1}, "
        "(_, l) => [...softmax(s.logits(l, t))]))",
        config.n_layer,
    )
    p = np.stack(expected(model, ids), axis=1)  # (T, n_layer + 1, V)
    np.testing.assert_allclose(logits, p, rtol=0, atol=LIVE)


# ── recorded: exactly the model's ─────────────────────────────────────────────────────────────


def test_every_recorded_number_on_the_page_is_the_models(browser, show, recorded_only):
    model = tiny_gpt(n_layer=2, n_head=3, n_embd=24)
    text = TEXT[:20]
    show(model, text=text)
    ids = CHARACTERS.encode(text)
    assert browser.run("return document.getElementById('about').textContent").endswith("recorded")
    assert not browser.run("return document.getElementById('writing').offsetParent")
    maps, p = model.attention_weights(np.array([ids])), expected(model, ids)
    for layer in (1, 2):
        for head in (0, 2, "mean"):
            for t in (0, 7, 19):
                browser.run(
                    "location.hash = arguments[0]", f"token={t + 1}&layer={layer - 1}&head={head}"
                )
                browser.until(f"return state.token === {t} && state.layer === {layer}")
                drawn(browser)
                heads = maps[layer - 1][0].astype(float)
                own = heads.mean(axis=0) if head == "mean" else heads[int(head)]
                seen = [f"{float(w):.4f}" for w in shown_weights(browser)[: t + 1]]
                assert seen == [f"{w:.4f}" for w in own[t, : t + 1]]
                assert shown_weights(browser)[t + 1 :] == [""] * (19 - t)
                numbers = browser.run(
                    "return chips.map(c => c.querySelector('.share').textContent)"
                )
                for number, w in zip(numbers, own[t, : t + 1], strict=False):
                    assert number == (f"{100 * w:.2f}" if round(w, 4) >= 0.005 else "")
                bars = shown_bars(browser)[:10]
                order = np.argsort(-p[layer][t], kind="stable")[:10]
                assert [i for i, _, _ in bars] == order.tolist()
                assert [np.float32(q) for _, q, _ in bars] == p[layer][t, order].astype(
                    "f"
                ).tolist()
                assert [n for *_, n in bars] == [f"{100 * q:.2f} %" for q in p[layer][t, order]]


def test_the_true_next_token_stands_beside_every_layer(browser, show, recorded_only):
    model = tiny_gpt(n_layer=3)
    show(model, fragment="#token=5&layer=1")
    ids = CHARACTERS.encode(TEXT)
    assert " " not in TEXT[4:6]
    rows = browser.run(
        "return [...document.querySelectorAll('#ladder tbody tr')].map(r => "
        "[+r.dataset.trueP, +r.dataset.trueRank, r.getAttribute('aria-selected')])"
    )
    assert len(rows) == 4 and [row[2] for row in rows] == ["false", "false", "true", "false"]
    for (true_p, rank, _), p in zip(rows, expected(model, ids), strict=True):
        assert np.float32(true_p) == np.float32(p[4, ids[5]])
        assert rank == 1 + (p[4] > p[4, ids[5]]).sum()
    said = browser.run("return document.getElementById('truth').textContent")
    assert said == f"After {TEXT[4]} the text goes on with {TEXT[5]}"
    browser.click("#tokens .token:last-child")
    drawn(browser)
    assert "the text ends" in browser.run("return document.getElementById('truth').textContent")


def test_a_model_that_sees_what_follows(browser, show):
    model = tiny_gpt(causal=False)
    show(model, fragment="#token=1&layer=1&head=1")
    own = model.attention_weights(np.array([CHARACTERS.encode(TEXT)]))[1][0, 1, 0]
    np.testing.assert_allclose([float(w) for w in shown_weights(browser)], own, atol=5.1e-5)
    assert "causal=False" in browser.run("return document.getElementById('precision').textContent")


# ── live: the same GPT in JavaScript ──────────────────────────────────────────────────────────

LLAMA: dict[str, Any] = {
    "positions": "rotary", "normalization": "rms", "mlp": "gated", "activation": "silu",
    "bias": False, "tie_head": False,
}  # fmt: skip
OPTIONS: list[dict[str, Any]] = [
    {},
    {"norm": "post", "positions": "sinusoidal", "activation": "relu", "tie_head": False},
    {"norm": "none", "positions": "none", "activation": "tanh", "bias": False},
    {"positions": "alibi", "alibi_scale": 2.0, "activation": "gelu_erf", "n_inner": 24},
    {"positions": "alibi", "n_head": 4, "scale_attention_by_layer": True, "activation": "silu"},
    {"scale_attention": False, "residual": False, "layer_norm_eps": 1e-3, "bias": False},
    {**LLAMA, "n_head": 4, "n_kv_head": 2},
    {**LLAMA, "qk_norm": True, "head_width": 12, "qkv_bias": True, "rotary_base": 500.0},
    {**LLAMA, "rotary_scaling": RotaryScaling("linear", 4.0), "norm": "post"},
    {**LLAMA, "rotary_scaling": RotaryScaling("llama3", 8.0, 1.0, 4.0, 16), "n_kv_head": 1},
    {"positions": "rotary", "activation": "relu_squared", "qk_norm": True, "norm": "none"},
    {"normalization": "rms", "mlp": "gated", "activation": "gelu_tanh", "positions": "alibi"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: ",".join(o) or "gpt2")
def test_the_page_computes_what_the_model_computes(browser, show, options):
    model = tiny_gpt(**{"n_layer": 3, **options})
    show(model)
    assert (
        float(browser.run("return document.getElementById('check').dataset.probabilities")) < LIVE
    )
    assert float(browser.run("return document.getElementById('check').dataset.weights")) < LIVE
    browser.type("#prompt", " on")
    browser.until("return state.source.ids.length === 53")
    assert_live_numbers(browser, model, CHARACTERS.encode(TEXT + " on"))


def test_typing_changes_tokens_attention_and_predictions(browser, show):
    model = tiny_gpt(PAIRS.vocab_size)
    show(model, PAIRS, "the cat")
    browser.clear("#prompt")
    browser.type("#prompt", "the dog sat")
    ids = PAIRS.encode("the dog sat")
    browser.until(f"return state.source.isLive && state.source.ids.length === {len(ids)}")
    drawn(browser)
    assert_live_numbers(browser, model, ids)
    own = model.attention_weights(np.array([ids]))[-1][0, :, -1].mean(axis=0)
    np.testing.assert_allclose([float(w) for w in shown_weights(browser)], own, atol=LIVE)
    p = expected(model, ids)[-1][-1]
    bars = shown_bars(browser)
    np.testing.assert_allclose([q for _, q, _ in bars], np.sort(p)[::-1][: len(bars)], atol=LIVE)
    candidates = shown_bars(browser, "#candidates")
    np.testing.assert_allclose([q for _, q, _ in candidates], np.sort(p)[::-1][:12], atol=LIVE)


def test_a_change_in_the_middle_is_read_anew_from_there(browser, show):
    model = tiny_gpt()
    show(model)
    changed = TEXT.replace("cat sat", "dog sat", 1)
    browser.run(
        "const p = document.getElementById('prompt'); p.value = arguments[0];"
        "p.dispatchEvent(new Event('input'))",
        changed,
    )
    browser.until("return state.source.isLive")
    assert_live_numbers(browser, model, CHARACTERS.encode(changed))
    said = browser.run("return document.getElementById('check').textContent")
    assert re.search(rf"{len(TEXT) - 4} new tokens .* the 4 before", said)


def test_beyond_the_context_the_model_sees_the_last_tokens(browser, show):
    model = tiny_gpt(block_size=24)
    show(model, text=TEXT[:24])
    browser.type("#prompt", TEXT[24:30])
    browser.until("return state.ids.length === 30 && state.source.isLive")
    browser.until("return document.getElementById('note').textContent.includes('last 24')")
    assert_live_numbers(browser, model, CHARACTERS.encode(TEXT[6:30]))


def test_characters_that_the_model_never_saw_are_named_and_left_out(browser, show):
    model = tiny_gpt()
    show(model, text="the")
    browser.type("#prompt", "ZéZ cat")
    browser.until("return state.source.ids.length === 7")
    assert tokens_of(browser) == CHARACTERS.encode("the cat")
    said = browser.run("return document.getElementById('note').textContent")
    assert said.endswith(": Z é")
    browser.run("const prompt = document.getElementById('prompt'); prompt.value = ''; typed()")
    assert "at least" in browser.run("return document.getElementById('note').textContent")


def test_an_unknown_token_stands_for_them_where_there_is_one(browser, show):
    tokenizer = mg.CharTokenizer.train(TEXT, unknown_token="<unk>")
    show(tiny_gpt(tokenizer.vocab_size), tokenizer, "the")
    browser.type("#prompt", "Z")
    browser.until("return state.source.ids.length === 4")
    assert tokens_of(browser) == tokenizer.encode("theZ")


# ── tokenizers ────────────────────────────────────────────────────────────────────────────────


def texts(count: int) -> list[str]:
    """Texts of all kinds of characters, with white space and contractions more often than not."""
    rng = random.Random(0)
    spaces = [chr(c) for c in range(0x3001) if chr(c).isspace() and not 0x1C <= c <= 0x1F]
    pieces = [*spaces, "'s", "'LL", "'ſ", "don't", " the", "12345", "\r\n", "\n\n ", "…", "ß", "ⅷ"]
    letters = [chr(c) for c in range(0x20, 0x2FA1E) if unicodedata.category(chr(c))[0] in "LNPSM"]
    return [
        "".join(
            rng.choice(pieces if rng.random() < 0.5 else letters) for _ in range(rng.randint(1, 12))
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("pattern", [*NAMED, None])
def test_the_page_splits_and_merges_as_the_tokenizer_does(browser, show, pattern):
    tokenizer = mg.BPETokenizer(PAIRS.vocab, PAIRS.merges, pattern=pattern)
    show(tiny_gpt(PAIRS.vocab_size), tokenizer, "a")
    samples = [WORDS, *texts(400)]
    ids = browser.run("return arguments[0].map(text => tokenizer.encode(text).ids)", samples)
    for sample, own in zip(samples, ids, strict=True):
        assert own == tokenizer.encode(sample), ascii(sample)
    words = SplitPattern(pattern).split(WORDS)
    assert (
        pattern is None or browser.run("return arguments[0].match(tokenizer.words)", WORDS) == words
    )


def test_a_special_token_that_is_typed_is_plain_text(browser, show):
    tokenizer = mg.BPETokenizer.train(TEXT, 270, ["<|end|>"], progress=False)
    show(tiny_gpt(270), tokenizer, "a")
    ids = browser.run("return tokenizer.encode('<|end|>').ids")
    assert ids == tokenizer.encode("<|end|>", disallowed_special=()) and len(ids) > 1


def test_words_that_are_tokens_whatever_the_merges_make_of_them(browser, show):
    vocab = {**{i: bytes([i]) for i in range(256)}, 256: b"ab", 257: b"abc"}
    for ignore in (True, False):
        tokenizer = mg.BPETokenizer(vocab, [(b"a", b"b")], ignore_merges=ignore)
        show(tiny_gpt(258), tokenizer, "a")
        assert browser.run("return tokenizer.encode('abc').ids") == tokenizer.encode("abc")


def test_texts_in_normal_form_c_after_a_token_of_their_beginning(browser, show):
    parts = PAIRS.vocab, PAIRS.merges, ["<s>"]
    tokenizer = mg.BPETokenizer(*parts, normalization="NFC", bos_token="<s>", add_bos_token=True)
    model = tiny_gpt(tokenizer.vocab_size)
    show(model, tokenizer, "cafe")
    assert tokens_of(browser) == [*tokenizer.leading_ids, *tokenizer.encode("cafe")]
    assert browser.run("return document.getElementById('prompt').value") == "cafe"
    browser.type("#prompt", "\u0301 a")
    browser.until("return document.getElementById('prompt').value.endsWith(' a')")
    ids = [*tokenizer.leading_ids, *tokenizer.encode("cafe\u0301 a")]
    browser.until(f"return state.source.ids.length === {len(ids)}")
    assert_live_numbers(browser, model, ids)
    browser.click("#take-back")
    browser.until(f"return state.source.ids.length === {len(ids) - 1}")
    assert not browser.run("return document.getElementById('prompt').value").startswith("<s>")


def test_a_word_with_a_byte_that_the_vocabulary_lacks_is_named_and_left_out(browser, show):
    vocab = {i: bytes([i]) for i in range(128)}
    show(tiny_gpt(128), mg.BPETokenizer(vocab, []), "a")
    browser.type("#prompt", " é b")
    browser.until("return state.source.ids.length === 3")
    assert browser.run("return document.getElementById('note').textContent").endswith(": ␣é")


def test_a_tokenizer_that_the_page_does_not_know_lets_it_write_but_not_type(browser, show):
    tokenizer = mg.BPETokenizer(PAIRS.vocab, PAIRS.merges, pattern=r"\w+|\s+|.")
    show(tiny_gpt(PAIRS.vocab_size), tokenizer, "the cat")
    assert "pattern of its own" in browser.run(
        "return document.getElementById('precision').textContent"
    )
    assert not browser.run("return document.getElementById('prompt').offsetParent")
    browser.click("#write")
    browser.until(f"return state.source.ids.length === {len(tokenizer.encode('the cat')) + 1}")


# ── writing ───────────────────────────────────────────────────────────────────────────────────


def slide(browser: Browser, **values: float) -> None:
    for name, value in values.items():
        browser.run(
            "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
            "s.dispatchEvent(new Event('input'))",
            name.replace("_", "-"),
            value,
        )


@pytest.mark.parametrize(
    ("temperature", "k", "p"),
    [(1, 100, 1), (0.5, 100, 1), (2, 5, 1), (1, 100, 0.6), (0.7, 7, 0.8), (0, 3, 0.5), (1, 1, 1)],
)
def test_the_filters_are_the_samplers(browser, show, temperature, k, p):
    model = tiny_gpt()
    show(model)
    slide(browser, temperature=temperature, top_k=k, top_p=p)
    logits = model(np.array([CHARACTERS.encode(TEXT)])).data[0, -1]
    z = apply_temperature(logits, temperature)
    z = top_k_filter(z, k) if k < 100 else z
    own = softmax(top_p_filter(z, p))
    bars = shown_bars(browser, "#candidates")
    np.testing.assert_allclose([q for _, q, _ in bars], [own[i] for i, *_ in bars], atol=LIVE)
    assert (
        int(browser.run("return document.getElementById('candidates').dataset.kept"))
        == (own > 0).sum()
    )


def test_greedy_writing_is_the_samplers_and_can_be_taken_back(browser, show):
    model = tiny_gpt(block_size=56)
    show(model)
    slide(browser, temperature=0)
    own = mg.Sampler(model, CHARACTERS).generate(TEXT, max_new_tokens=20, temperature=0)[0]
    browser.click("#write-many")
    browser.until(f"return state.ids.length === {len(own)} && !writer.left")
    assert browser.run("return document.getElementById('prompt').value") == own
    browser.click("#take-back")
    browser.until(f"return document.getElementById('prompt').value.length === {len(own) - 1}")


def test_draws_are_the_same_again_and_a_token_can_be_chosen(browser, show):
    model, written = tiny_gpt(), []
    for _ in range(2):
        show(model)
        for n in (1, 2, 3):
            browser.click("#write")
            browser.until(f"return state.ids.length === {len(TEXT) + n} && !writer.isDrawing")
        written.append(browser.run("return document.getElementById('prompt').value"))
    assert written[0] == written[1]
    token = shown_bars(browser, "#candidates")[3][0]
    browser.click("#candidates .bar:nth-child(4)")
    browser.until(f"return state.ids.length === {len(TEXT) + 4}")
    assert tokens_of(browser)[-1] == token


def test_a_draw_is_the_interval_that_u_falls_into(browser, show):
    show(tiny_gpt())
    p = [0.2, 0.0, 0.5, 0.3]
    drawn_ids = browser.run(
        "return [0, 0.199, 0.2, 0.69, 0.71, 0.9999999].map(u => draw(arguments[0], u))", p
    )
    assert drawn_ids == [0, 0, 2, 2, 3, 3]


# ── choosing ──────────────────────────────────────────────────────────────────────────────────


def test_hovering_a_token_shows_where_it_looks_for_as_long_as_it_is_hovered(browser, show):
    model = tiny_gpt()
    show(model, fragment="#token=20&layer=0&head=0")
    browser.hover("#tokens .token:nth-child(9)")
    browser.until("return document.querySelector('.token.asking').title.startsWith('token 9:')")
    own = model.attention_weights(np.array([CHARACTERS.encode(TEXT)]))[0][0, 0, 8, :9]
    seen = [float(w) for w in shown_weights(browser)[:9]]
    np.testing.assert_allclose(seen, own, atol=5.1e-5)
    assert browser.run("return document.querySelectorAll('#arcs path').length") >= 1
    rows = browser.run("return [...document.querySelectorAll('.head-row')].map(r => r.innerText)")
    assert len(rows) == 2 and all(" %" in row for row in rows)
    browser.hover("footer")
    browser.until("return document.querySelector('.token.asking').title.startsWith('token 20:')")


def test_keys_choose_tokens_layers_and_heads(browser, show):
    show(tiny_gpt(n_layer=3), fragment="#token=5&layer=2")
    browser.run("document.querySelector('.token.asking').focus()")
    browser.press("right", "right", "left", "down")
    assert browser.run("return [state.token, state.layer]") == [5, 2]
    assert browser.run("return document.activeElement.title").startswith("token 6:")
    browser.press("home", "up", "up", "up")
    assert browser.run("return [state.token, state.layer]") == [0, 3]
    browser.press("left", "end", "right")
    assert browser.run("return state.token") == len(TEXT) - 1
    browser.run("document.querySelector('#heads [aria-checked=true]').focus()")
    browser.press("right", "right")
    assert browser.run("return state.head") == 1
    drawn(browser)
    pressed = browser.run(
        "return document.querySelector('.head-row[aria-pressed=true]').dataset.head"
    )
    assert pressed == "1"


def test_a_head_or_a_next_token_is_chosen_by_keys_and_the_focus_stays(browser, show):
    show(tiny_gpt())
    browser.run("document.querySelector('.head-row').focus()")
    browser.press("tab", "enter")
    drawn(browser)
    assert browser.run("return state.head") == 1
    assert browser.run("return document.activeElement.dataset.head") == "1"
    third = shown_bars(browser, "#candidates")[2][0]
    browser.run("document.querySelectorAll('#candidates .bar')[2].focus()")
    browser.press("enter")
    browser.until(f"return state.source.ids.length === {len(TEXT) + 1}")
    assert tokens_of(browser)[-1] == third


def test_every_control_is_reached_by_tab_in_order_and_shows_its_focus(browser, show):
    show(tiny_gpt())
    browser.run("document.getElementById('theme').focus()")
    reached = []
    for _ in range(30):
        browser.press("tab")
        reached.append(
            browser.run("const e = document.activeElement; return e.id || e.className.split(' ')[0]"
                        " || e.parentElement.id")
        )  # fmt: skip
        if reached[-1] == "save-map":
            break
    order = [
        "prompt", "layer-before", "layer-after", "layers", "heads", "token", "head-row", "save-map",
    ]  # fmt: skip
    places = [reached.index(name) for name in order]
    assert places == sorted(places)
    outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_buttons_step_through_the_layers_and_choose_a_head(browser, show):
    show(tiny_gpt(n_layer=3), fragment="#layer=1")
    browser.click("#layer-before")
    browser.click("#layer-before")
    drawn(browser)
    assert browser.run("return state.layer") == 0
    assert "Before the first layer" in browser.run(
        "return document.getElementById('sentence').textContent"
    )
    assert browser.run("return location.hash").split("&")[1] == "layer=in"
    browser.click("#layer-before")
    assert browser.run("return state.layer") == 0
    browser.click("#ladder tbody tr:nth-child(4)")
    assert browser.run("return state.layer") == 3
    browser.click(".head-row:nth-child(2)")
    assert browser.run("return state.head") == 1


# ── links ─────────────────────────────────────────────────────────────────────────────────────


def test_a_link_leads_to_one_view(browser, show):
    page = show(tiny_gpt())
    browser.click("#tokens .token:nth-child(7)")
    browser.click("#layers button:nth-child(2)")
    browser.click("#heads button:nth-child(3)")
    link = browser.run("return document.getElementById('link').getAttribute('href')")
    assert browser.run("return location.hash") == link == "#token=7&layer=0&head=1"
    browser.open(page, link)
    assert browser.run("return [state.token, state.layer, state.head]") == [6, 1, 1]


def test_a_link_carries_what_was_typed(browser, show):
    page = show(tiny_gpt(), text="the")
    browser.type("#prompt", " dog")
    browser.until("return state.ids.length === 7")
    browser.click("#tokens .token:nth-child(2)")
    link = browser.run("return location.hash")
    browser.open(page, link)
    assert tokens_of(browser) == CHARACTERS.encode("the dog")
    assert browser.run("return state.token") == 1


@pytest.mark.parametrize(
    "hostile",
    ["#token=99999&layer=-1&head=1e9", "#token=NaN&layer=x", "#say=%", "#say=", "#&&&===",
     "#say=<img src=x onerror=alert(1)>", "#text=7", "#token=1.5"],
)  # fmt: skip
def test_an_address_may_say_anything(browser, show, hostile):
    show(tiny_gpt(), fragment=hostile)
    assert browser.run("return document.querySelectorAll('img').length") == 0
    assert browser.run("return state.token < state.source.ids.length && state.layer <= 2")


def test_several_texts_to_choose_from(browser, show):
    show(tiny_gpt(), text=["the cat", "the mat sat"])
    browser.run("const t = document.getElementById('texts'); t.value = 1; t.onchange({target: t})")
    browser.until("return state.source.ids.length === 11")
    assert tokens_of(browser) == CHARACTERS.encode("the mat sat")
    assert browser.run("return document.getElementById('prompt').value") == "the mat sat"
    assert "text=2" in browser.run("return writeHash() ?? location.hash")


# ── what stands in texts ──────────────────────────────────────────────────────────────────────


def test_no_text_becomes_a_part_of_the_page(browser, show):
    hostile = (
        "<img src=x onerror='window.broken=1'></script><script>window.broken=1</script>\u2028&lt;"
    )
    show(tiny_gpt(PAIRS.vocab_size, block_size=256), PAIRS, hostile)
    browser.type("#prompt", "<b id=bold>")
    browser.until("return state.source.isLive")
    for t in (1, 5, 9):
        browser.click(f"#tokens .token:nth-child({t})")
    assert browser.run("return window.broken ?? 'whole'") == "whole"
    assert browser.run("return document.querySelectorAll('img, #bold').length") == 0
    assert browser.run("return performance.getEntriesByType('resource').length") == 0


def test_parts_of_characters_chinese_and_white_space_can_be_told_apart(browser, show):
    text = "你好 龘\n\t"
    show(tiny_gpt(PAIRS.vocab_size), PAIRS, text)
    words = browser.run(
        "return [...document.querySelectorAll('#tokens bdi')].map(b => b.textContent)"
    )
    parts = browser.run(
        "return [...document.querySelectorAll('#tokens bdi.part')].map(b => b.textContent)"
    )
    assert "你好" in "".join(words) and "␣" in "".join(words) and "".join(words).endswith("⏎⇥")
    assert bytes.fromhex("".join(parts)).decode() == "龘"


def test_a_text_from_right_to_left_runs_from_right_to_left(browser, show):
    text = "שלום עולם"
    tokenizer = mg.CharTokenizer.train(text)
    show(tiny_gpt(tokenizer.vocab_size), tokenizer, text, fragment="#token=3")
    places = browser.run(
        "return [...document.querySelectorAll('#tokens .token')].map(c => c.offsetLeft)"
    )
    assert places == sorted(places, reverse=True)
    browser.run("document.querySelector('.token.asking').focus()")
    browser.press("left")
    assert browser.run("return state.token") == 3


# ── how it looks, and how fast it is ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_the_screen_light_and_dark(browser, show, width, tmp_path):
    pictures = set()
    for dark in (False, True):
        browser.look_like(width, 844, dark=dark)
        show(tiny_gpt(n_layer=4, n_head=4))
        page, room = browser.run(
            "return [document.scrollingElement.scrollWidth, document.scrollingElement.clientWidth]"
        )
        assert page <= room == width
        paper = browser.run(
            "return getComputedStyle(document.querySelector('section')).backgroundColor"
        )
        light = sum(map(int, re.findall(r"\d+", paper))) / 3
        assert (light < 60) if dark else (light > 240)
        pictures.add(browser.picture(tmp_path / f"{dark}.png"))
    assert len(pictures) == 2 and min(map(len, pictures)) > 20_000


def test_a_switch_overrides_what_the_system_prefers(browser, show):
    show(tiny_gpt())
    themes = []
    for _ in range(3):
        browser.click("#theme")
        themes.append(browser.run("return document.documentElement.dataset.theme"))
    assert themes == ["light", "dark", "light"]
    browser.look_like(1280, 900, dark=True)
    browser.until("return document.documentElement.dataset.theme === 'dark'")


@pytest.mark.parametrize("dark", [False, True])
def test_what_is_written_can_be_read_on_every_shade(browser, show, dark):
    """Contrast of at least 4.5 : 1 (WCAG 2.1, §1.4.3) at every depth of shade."""
    browser.look_like(1280, 900, dark=dark)
    show(tiny_gpt())
    worst = browser.run(
        """
        const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        const parts = [0.2126, 0.7152, 0.0722];
        const light = rgb => rgb.slice(0, 3).reduce((sum, c, i) => sum + parts[i] * channel(c), 0);
        const numbers = text => text.match(/[\\d.]+/g).map(Number);
        const paper = numbers(color("--paper-rgb")), chip = document.querySelector(".token.sample");
        let worst = Infinity;
        for (let share = 0; share <= 1; share += 0.01) {
            shade(chip, share);
            const [r, g, b, a = 1] = numbers(getComputedStyle(chip).backgroundColor);
            const under = [r, g, b].map((c, i) => c * a + paper[i] * (1 - a));
            const pair = [light(under), light(numbers(getComputedStyle(chip).color))];
            worst = Math.min(worst, (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05));
        }
        return worst;
        """
    )
    assert worst >= 4.5


def test_long_texts_do_not_hang_the_page(browser, show):
    model = tiny_gpt(block_size=512, n_layer=4, n_head=4, n_embd=64)
    show(model, text="the ")
    longest = browser.run(
        """
        window.longest = 0;
        let last = performance.now();
        const tick = () => {
            const now = performance.now();
            window.longest = Math.max(window.longest, now - last);
            last = now;
            setTimeout(tick, 5);
        };
        tick();
        const prompt = document.getElementById("prompt");
        prompt.value = "the cat sat on the mat and ".repeat(200);
        const started = performance.now();
        prompt.dispatchEvent(new Event("input"));
        return performance.now() - started;
        """
    )
    assert longest < 250
    browser.until("return state.source.ids.length === 512", seconds=60)
    drawn(browser)
    assert browser.run("return window.longest") < 1500


def test_a_newer_text_wins_over_one_that_is_still_being_read(browser, show):
    model = tiny_gpt(block_size=512, n_layer=4, n_head=4, n_embd=64)
    show(model, text="the ")
    browser.run(
        "const p = document.getElementById('prompt');"
        "p.value = 'the cat sat on '.repeat(30); p.dispatchEvent(new Event('input'));"
        "p.value = 'the dog'; p.dispatchEvent(new Event('input'))"
    )
    browser.until("return state.source.isLive && state.source.ids.length === 7")
    assert_live_numbers(browser, model, CHARACTERS.encode("the dog"))


# ── beside the page ───────────────────────────────────────────────────────────────────────────


def test_a_map_as_vector_graphics(browser, show):
    tokenizer = mg.BPETokenizer.train('<a href="&">' * 9, 258, progress=False)
    model = tiny_gpt(258)
    show(model, tokenizer, '<a href="&">')
    svg = ET.fromstring(browser.run("return mapSvg(state.source, 1, 0)"))
    ids = tokenizer.encode('<a href="&">')
    own = model.attention_weights(np.array([ids]))[0][0, 0]
    squares = [e for e in svg.iter() if e.tag.endswith("rect")][1:]
    titles = [e[0].text for e in squares]
    assert titles == [
        f"{100 * w:.2f} %" for w in own[np.tri(len(ids), dtype=bool)] if round(w, 4) >= 5e-4
    ]
    assert "<" in "".join(t.text or "" for t in svg.iter() if t.tag.endswith("text"))


def test_the_map_says_what_is_pointed_at(browser, show):
    show(tiny_gpt(), text=TEXT[:12])
    browser.hover("#map")
    said = browser.until(
        "return state.hovered !== null && document.getElementById('map-value').textContent"
    )
    assert re.search(r" looks at .+: \d+\.\d\d %$| cannot see ", said)


def test_the_map_says_which_score_became_a_weight(browser, show):
    model = tiny_gpt()
    show(model, text=TEXT[:12], fragment="#layer=1&head=1")
    ids = CHARACTERS.encode(TEXT[:12])
    x = model.hidden_states(np.array([ids]))[1]
    block = model.blocks[1]
    q, k, _ = (
        block.attention.qkv_proj(block.attention_norm(Tensor(x)))
        .data[0]
        .reshape(12, 3, 2, 8)
        .swapaxes(0, 1)
    )
    score = q[9, 1] @ k[4, 1] / np.sqrt(8)
    said = browser.run(
        "const at = i => map.margin + (i + 0.5) * map.cell;"
        "map.point({ offsetX: at(4), offsetY: at(9) });"
        "return document.getElementById('map-value').textContent"
    )
    weight = model.attention_weights(np.array([ids]))[1][0, 1, 9, 4]
    assert f": q·k/√d = {score:.2f}, and after" in said and said.endswith(f" {100 * weight:.2f} %")


def test_a_notebook_shows_it_and_it_runs_there(browser, tmp_path):
    model = tiny_gpt()
    cell = explore(model, CHARACTERS, TEXT)._repr_html_()
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!doctype html><body data-ready=yes><p>Out[1]:</p>{cell}", "utf-8")
    browser.open(notebook)
    from tests.viz.browser import ELEMENT

    browser.ask("POST", "/frame", {"id": {ELEMENT: browser.find("iframe")}})
    browser.until("return document.body.dataset.ready === 'yes'")
    browser.type("#prompt", " on")
    browser.until("return state.source.isLive && state.source.ids.length === 53")
    assert_live_numbers(browser, model, CHARACTERS.encode(TEXT + " on"))
    assert not browser.run("return document.getElementById('link').offsetParent")
    browser.ask("POST", "/frame", {"id": None})


def test_a_page_that_computed_something_else_says_so_and_shows_what_was_recorded(
    browser, show, monkeypatch
):
    original = live.live_model

    def wrong(model: mg.GPT) -> Any:
        return original(tiny_gpt(seed=1))

    monkeypatch.setattr("minigpt.viz.explorer.page.live_model", wrong)
    show(tiny_gpt())
    assert "not those" in browser.run("return document.getElementById('check').textContent")
    assert not browser.run("return document.getElementById('typing').offsetParent")
    assert not browser.run("return document.getElementById('writing').offsetParent")
