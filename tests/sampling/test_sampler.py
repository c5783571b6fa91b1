from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt as mg
from minigpt.checkpoints.loading import LoadedModel
from minigpt.grad_mode import is_grad_enabled
from minigpt.models import GPTConfig
from minigpt.sampling import Sampler, SamplingConfig
from minigpt.sampling.keywords import SamplingOptions


@pytest.fixture(scope="module")
def letters(fakes):
    """A model over five letters, a newline, and an emoji in two halves."""
    pieces = ["a", "b", "c", "ab", "d e", "\n", b"\xf0\x9f", b"\x98\x80", "."]
    tokenizer = fakes.PieceTokenizer(*pieces)
    return Sampler(fakes.HashModel(vocab_size=len(pieces), block_size=8), tokenizer)


def test_generate_is_generate_ids_between_encode_and_decode(letters):
    options = {"temperature": 0.9, "top_k": 5, "seed": 4, "num_return_sequences": 3}
    texts = letters.generate("abc", 12, **options)
    ids = letters.generate_ids([letters.tokenizer.encode("abc")], 12, **options)
    decoded = [letters.tokenizer.decode(row) for row in ids]
    assert len(texts) == 3
    for text, whole in zip(texts, decoded, strict=True):
        assert text.startswith("abc")
        assert text in (whole, whole.removesuffix("\ufffd"))


@given(
    seed=st.integers(0, 10_000),
    stop=st.lists(st.sampled_from(["a", "b\n", "d e.", "😀", "ca"]), max_size=2),
    stop_tokens=st.lists(st.integers(0, 8), max_size=1),
    include_prompt=st.booleans(),
)
def test_streamed_pieces_joined_are_what_generate_gives(
    letters, seed, stop, stop_tokens, include_prompt
):
    options = {
        "seed": seed, "stop": stop, "stop_tokens": stop_tokens, "include_prompt": include_prompt,
        "temperature": 1.5, "repetition_penalty": 1.1,
    }  # fmt: skip
    pieces = list(letters.stream("abc", 20, **options))
    assert all(pieces)
    assert ["".join(pieces)] == letters.generate("abc", 20, **options)
    written = "".join(pieces).removeprefix("abc" if include_prompt else "")
    assert not any(s in written for s in stop)
    if not include_prompt:
        return
    assert pieces[0] == "abc"


def test_prompts_of_different_lengths_give_what_each_gives_alone(letters):
    prompts = ["a", "abcabcd e.", "b\n"]
    options = {"seed": 2, "num_return_sequences": 2, "stop": "."}
    together = letters.generate(prompts, 15, **options)
    alone = [text for prompt in prompts for text in letters.generate(prompt, 15, **options)]
    assert together == alone


def test_a_stop_string_in_the_prompt_stops_nothing(letters):
    (text,) = letters.generate("a.b", 10, stop=".", seed=0)
    assert text.startswith("a.b") and len(text) > 3
    assert "." not in text[3:]


def test_a_row_that_met_its_stop_string_is_not_computed_further(fakes):
    tokenizer = fakes.PieceTokenizer("a", "b", "#")
    model = fakes.HashModel(vocab_size=3, block_size=50)
    texts = Sampler(model, tokenizer).generate(["a", "b", "ab"], 30, seed=3, stop="#")
    written = [len(text) - len(p) for text, p in zip(texts, ["a", "b", "ab"], strict=True)]
    for step, (n_rows, _) in enumerate(model.calls):
        assert n_rows == sum(n >= step for n in written)


def test_stop_tokens_end_the_text_and_are_not_shown(letters):
    newline = letters.tokenizer.encode("\n")[0]
    texts = letters.generate("a", 60, stop_tokens=newline, num_return_sequences=8, seed=0)
    assert texts == [
        t.split("\n")[0] for t in letters.generate("a", 60, num_return_sequences=8, seed=0)
    ]


def test_a_prompt_longer_than_the_context_is_returned_whole(letters):
    prompt = "abc.\n" * 10
    (text,) = letters.generate(prompt, 5, temperature=0)
    assert text.startswith(prompt)
    (short,) = letters.generate(prompt[-20:], 5, temperature=0)
    assert text.removeprefix(prompt) == short.removeprefix(prompt[-20:])


def test_ids_that_the_tokenizer_does_not_know_are_never_drawn(fakes):
    """As where a model's vocabulary was rounded up for speed."""
    model = fakes.HashModel(vocab_size=64)
    sampler = Sampler(model, fakes.PieceTokenizer("a", "b"))
    (text,) = sampler.generate("a", 40, seed=0)
    assert set(text) == {"a", "b"} == set("".join(sampler.stream("a", 40, seed=0)))
    for options in ({"seed": 0}, {"num_beams": 3}, {"repetition_penalty": 1.3}):
        ids = sampler.generate_ids([[0, 63]], 40, **options)  # though a prompt may hold them
        assert set(ids[0, 2:].tolist()) <= {0, 1}
    assert len(set(Sampler(model).generate_ids([[0]], 40, seed=0)[0].tolist())) > 10


def test_ids_that_the_tokenizer_does_not_know_have_no_part_in_probabilities(fakes):
    model = fakes.HashModel(vocab_size=64, block_size=None)
    sampler = Sampler(model, fakes.PieceTokenizer("a", "b"))
    after = {before: dict(sampler.next_token_probabilities(before, k=9)) for before in ("b", "ba")}
    logits = model(np.array([[1]])).data[0, -1, :2].astype(float)
    assert after["b"]["a"] == pytest.approx(np.exp(logits[0]) / np.exp(logits).sum())
    assert [*map(len, after.values())] == [2, 2]
    score = sampler.score("ab", context="b")
    assert score.log_probability == pytest.approx(np.log(after["b"]["a"] * after["ba"]["b"]))
    assert sampler.score("bab").log_probability == pytest.approx(score.log_probability)


def test_an_unfinished_character_at_the_end_is_left_out(fakes):
    tokenizer = fakes.PieceTokenizer("a", b"\xe4\xbd", b"\xa0")
    model = fakes.ScriptedModel([1, 2, 1], vocab_size=3, n_prompt=1)
    assert Sampler(model, tokenizer).generate("a", 3, temperature=0) == ["a你"]


REPLACED = "a\ufffd"
TRUE_REPLACEMENT = [
    mg.CharTokenizer(REPLACED),
    mg.BPETokenizer.train(REPLACED * 3, 258, progress=False),
    mg.BPETokenizer.train("ab", 257, progress=False),
]


@pytest.mark.parametrize("tokenizer", TRUE_REPLACEMENT, ids=["char", "merged", "bytes"])
@pytest.mark.parametrize("options", [{"temperature": 0}, {"num_beams": 2}], ids=str)
def test_a_real_replacement_character_at_the_end_stays(fakes, tokenizer, options):
    ids = tokenizer.encode("\ufffd")
    model = fakes.ScriptedModel(ids, vocab_size=tokenizer.vocab_size, n_prompt=1)
    sampler = Sampler(model, tokenizer)
    assert sampler.generate("a", len(ids), **options) == [REPLACED]
    if "num_beams" not in options:
        assert "".join(sampler.stream("a", len(ids), **options)) == REPLACED
    if len(ids) > 1:  # and of the beginning of one nothing is shown
        assert sampler.generate("a", len(ids) - 1, **options) == ["a"]


@pytest.mark.parametrize(
    "tokenizer",
    [
        mg.CharTokenizer("ab", special_tokens=["<|endoftext|>"]),
        mg.BPETokenizer.train("ab ab", 258, ["<|endoftext|>"], progress=False),
    ],
)
def test_an_empty_prompt_begins_a_text(fakes, tokenizer):
    """After the token that stands between texts, which is not shown."""
    begin = tokenizer.encode("<|endoftext|>", allowed_special="all")
    sampler = Sampler(fakes.HashModel(vocab_size=tokenizer.vocab_size), tokenizer)
    options = {"seed": 0, "skip_special_tokens": True}
    ids = sampler.generate_ids([begin], 9, seed=0)[0, 1:]
    texts = sampler.generate(["", "ab"], 9, **options)
    assert texts[0] == "".join(sampler.stream("", 9, **options))
    whole = tokenizer.decode(ids, skip_special_tokens=True)
    assert texts[0] in (whole, whole.removesuffix("\ufffd"))
    assert texts[1].startswith("ab")
    assert len(sampler.next_token_probabilities("", k=3)) == 3


# ── options that look at the tokens ───────────────────────────────────────────────────────────


@given(seed=st.integers(0, 999), n=st.integers(0, 12), stop_tokens=st.sampled_from([5, (0, 5)]))
def test_no_stop_token_is_drawn_before_there_are_as_many_tokens_as_asked_for(
    letters, seed, n, stop_tokens
):
    options = {"seed": seed, "stop_tokens": stop_tokens, "num_return_sequences": 3}
    free = letters.generate_ids([[1, 2]], 20, **options)
    rows = letters.generate_ids([[1, 2]], 20, min_new_tokens=n, **options)
    assert not np.isin(rows[:, 2 : 2 + n], stop_tokens).any()
    if n == 0:
        np.testing.assert_array_equal(rows, free)


@given(seed=st.integers(0, 999), n=st.integers(1, 3), beams=st.booleans())
def test_no_ngram_of_prompt_and_text_comes_twice(fakes, seed, n, beams):
    options = {"num_beams": 3} if beams else {"seed": seed}
    prompt = np.random.default_rng(seed).permutation(30)[:4]
    sampler = Sampler(fakes.HashModel(vocab_size=30, block_size=5))
    row = sampler.generate_ids([prompt], 20, no_repeat_ngram_size=n, **options)[0].tolist()
    ngrams = [tuple(row[i : i + n]) for i in range(len(row) - n + 1)]
    assert len(set(ngrams)) == len(ngrams)


def test_a_logits_processor_sees_each_row_without_padding_and_decides(letters):
    seen = []

    def only_the_successor(ids, logits):
        seen.append(ids.tolist())
        assert logits.shape == (len(ids), 9)
        logits[...] = -np.inf
        logits[np.arange(len(ids)), (ids[:, -1] + 1) % 9] = 0.0
        return logits

    options = {"logits_processor": only_the_successor, "num_return_sequences": 2, "seed": 0}
    assert letters.generate(["a", "bab"], 2, **options) == ["abc"] * 2 + ["bab" + "d e\n"] * 2
    assert seen[:4] == [[[0]], [[0]], [[1, 3]], [[1, 3]]]
    assert letters.generate("a", 2, logits_processor=only_the_successor, num_beams=2) == ["abc"]
    assert "".join(letters.stream("a", 2, logits_processor=only_the_successor)) == "abc"


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"logits_processor": "ban"}, TypeError, r"must be a function \(ids, logits\) -> logits"),
        ({"logits_processor": dict}, TypeError, "logits_processor must be .*: got the class dict"),
        ({"logits_processor": lambda i, z: None}, TypeError, "result .* of float32.*: got None"),
        ({"logits_processor": lambda i, z: z[:, :2]}, ValueError, r"must have shape \(1, 9\)"),
        ({"logits_processor": lambda i, z: z + np.nan}, ValueError, "contains NaN or \\+inf"),
        ({"logits_processor": lambda i, z: z - np.inf}, ValueError, "no token is left to draw"),
        ({"min_new_tokens": -1}, ValueError, "min_new_tokens must be .*: got -1"),
        (
            {"min_new_tokens": 101},
            ValueError,
            "at most max_new_tokens: got 101; max_new_tokens=100",
        ),
        ({"no_repeat_ngram_size": 1.0}, TypeError, "no_repeat_ngram_size must be .*: got 1.0"),
        ({"no_repeat_ngram_size": 1}, ValueError, "no token is left to draw; loosen the options"),
    ],
)
def test_options_on_tokens_that_make_no_sense(letters, options, error, says):
    with pytest.raises(error, match=says):
        letters.generate("ab", **options)


# ── streams ───────────────────────────────────────────────────────────────────────────────────


def test_a_stream_runs_only_as_far_as_it_is_read(letters):
    letters.model.calls.clear()
    stream = letters.stream("ab", 50, temperature=0)
    assert letters.model.calls == []
    assert next(stream) == "ab"
    next(stream)
    assert len(letters.model.calls) <= 2


def test_between_pieces_the_model_trains_as_before(letters):
    model = letters.model
    model.training = True
    stream = letters.stream("ab", 50, seed=1)
    for _, _ in zip(stream, range(4), strict=False):
        assert model.training and is_grad_enabled()
    stream.close()  # left before its end
    assert model.training and is_grad_enabled()


def test_two_streams_side_by_side_do_not_disturb_each_other(letters):
    alone = ["".join(letters.stream(p, 20, seed=7)) for p in ("ab", "c")]
    both = zip(letters.stream("ab", 20, seed=7), letters.stream("c", 20, seed=7), strict=False)
    woven = list(both)
    assert alone[0].startswith("".join(piece for piece, _ in woven))
    assert alone[1].startswith("".join(piece for _, piece in woven))


def test_an_interrupted_stream_leaves_everything_clean(fakes):
    model = fakes.HashModel(vocab_size=2)
    model.fail_at_call = 3
    sampler = Sampler(model, fakes.PieceTokenizer("a", "b"))
    shown = []
    with pytest.raises(KeyboardInterrupt):
        shown.extend(sampler.stream("a", 9, seed=0))
    assert model.training and is_grad_enabled()
    assert len("".join(sampler.stream("a", 9, seed=0))) == 10


def test_errors_of_a_stream_come_when_it_is_made(letters):
    with pytest.raises(ValueError, match="top_k must be an integer of at least 1: got 0"):
        letters.stream("a", top_k=0)
    with pytest.raises(ValueError, match="empty"):
        letters.stream("")
    with pytest.raises(ValueError, match="window_shift"):
        letters.stream("a", window_shift=9)


# ── looking and scoring ───────────────────────────────────────────────────────────────────────


def test_next_token_probabilities_are_those_of_the_model(letters):
    best = letters.next_token_probabilities("abc", k=3)
    everything = letters.next_token_probabilities("abc", k=100)
    assert best == everything[:3] and len(everything) == 9
    assert sum(p for _, p in everything) == pytest.approx(1)
    assert [p for _, p in everything] == sorted((p for _, p in everything), reverse=True)
    ids = letters.generate_ids([letters.tokenizer.encode("abc")], 1, temperature=0)
    assert best[0][0] == letters.tokenizer.decode(ids[0, -1:])
    flat = letters.next_token_probabilities("abc", k=1, temperature=100.0)
    assert flat[0][1] < best[0][1]


def test_score_is_the_product_of_the_next_token_probabilities(letters):
    text, product = "ab.c\n", 1.0
    ids = letters.tokenizer.encode(text)
    for t in range(1, len(ids)):
        before = letters.tokenizer.decode(ids[:t])
        product *= dict(letters.next_token_probabilities(before, k=9))[
            letters.tokenizer.decode([ids[t]])
        ]
    score = letters.score(text)
    assert score.log_probability == pytest.approx(np.log(product), rel=1e-6)
    assert (score.n_tokens, score.n_bytes) == (len(ids) - 1, 3)
    assert score.perplexity == pytest.approx(product ** (-1 / score.n_tokens), rel=1e-6)
    assert score.bits_per_byte == pytest.approx(-np.log2(product) / 3, rel=1e-6)
    behind = letters.score("c\n", context="ab.")
    assert (behind.n_tokens, behind.n_bytes) == (2, 2)
    whole = letters.score("b.c\n", context="a")
    assert whole.n_tokens == 4


def test_an_empty_text_has_no_score(letters):
    for context in ("", "a"):
        with pytest.raises(ValueError, match="the text is empty: there is nothing to score"):
            letters.score("", context=context)


# ── refusals ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("prompt", "options", "error", "says"),
    [
        ("", {}, ValueError, "prompt is empty.*pass some text"),
        ([], {}, ValueError, "empty list"),
        (["a", ""], {}, ValueError, "prompt is empty"),
        (b"a", {}, TypeError, "prompt must be a str: got b'a'"),
        ([1, 2], {}, TypeError, "prompt must be a str: got 1; .*generate_ids takes ids"),
        (np.array([[1, 2]]), {}, TypeError, "got an int64 array.*; .*generate_ids takes ids"),
        (5, {}, TypeError, "prompt must be a str: got 5"),
        ("a", {"stop": ""}, ValueError, "stop holds an empty string"),
        ("a", {"stop": [1]}, TypeError, r"stop\[0\] must be a str: got 1"),
        ("a", {"stop": 5}, TypeError, "stop must be a str or several: got 5"),
        ("a", {"stop": b"x"}, TypeError, "stop must be a str or several: got b'x'"),
        ("a", {"temperature": float("nan")}, ValueError, "temperature must be .*: got nan"),
        (
            "a",
            {"num_return_sequences": 1.0},
            TypeError,
            "num_return_sequences .*: got 1.0",
        ),
        (
            "a",
            {"include_prompt": "no"},
            TypeError,
            "include_prompt .* True or False: got 'no'",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_name(letters, prompt, options, error, says):
    with pytest.raises(error, match=says):
        letters.generate(prompt, **options)


def test_without_a_tokenizer_text_is_refused_and_ids_go(fakes):
    sampler = Sampler(fakes.HashModel())
    for call in (sampler.generate, sampler.stream, sampler.score, sampler.next_token_probabilities):
        with pytest.raises(ValueError, match=r"no tokenizer.*generate_ids"):
            call("a")
    assert sampler.generate_ids([[1]], 2).shape == (1, 3)
    assert repr(sampler) == "Sampler(HashModel, no tokenizer)"


def test_what_is_no_model_or_no_tokenizer_is_refused(fakes):
    model, tokenizer = fakes.HashModel(), fakes.PieceTokenizer("a")
    for wrong, mend in [
        ((tokenizer, model), "a PieceTokenizer; the model comes first, then the tokenizer"),
        ((tokenizer,), "a PieceTokenizer; the model comes first, then the tokenizer"),
        ((fakes.HashModel,), r"the class HashModel; make an object of it: HashModel\(…\)"),
        ((GPTConfig(5, 8, 1, 1, 8),), r"a GPTConfig; make one of a config: GPT\(config\)"),
        ((None, tokenizer), "None"),
    ]:
        with pytest.raises(TypeError, match=f"model must be a language model, .*: got {mend}"):
            Sampler(*wrong)
    for wrong, mend in [("t.json", r"load it first: load_tokenizer\(path\)"), (5, "leave it out")]:
        with pytest.raises(TypeError, match=f"tokenizer must be a tokenizer, .*; {mend}"):
            Sampler(model, wrong)


def test_a_sampler_that_is_called_says_which_method_writes(letters):
    with pytest.raises(TypeError, match=r"use generate\(prompt\), stream\(prompt\), or"):
        letters("abc")


def test_a_tokenizer_of_another_model_is_noticed(fakes):
    sampler = Sampler(fakes.HashModel(vocab_size=2), fakes.PieceTokenizer("a", "b", "c"))
    with pytest.raises(ValueError, match="gives id 2, the model knows 0 to 1"):
        sampler.generate("ac")


def test_special_tokens_in_prompts_are_passed_on_only_where_allowed(fakes):
    class WithSpecial(fakes.PieceTokenizer):
        def encode(self, text, allowed_special=()):
            self.allowed = allowed_special
            return super().encode(text)

    tokenizer = WithSpecial("a")
    Sampler(fakes.HashModel(vocab_size=1), tokenizer).generate("a", 1)
    assert tokenizer.allowed == ()
    Sampler(fakes.HashModel(vocab_size=1), tokenizer, allowed_special="all").generate("a", 1)
    assert tokenizer.allowed == "all"


# ── one set of options ────────────────────────────────────────────────────────────────────────


def test_every_method_has_the_options_of_the_config_with_its_defaults():
    defaults = {field.name: field.default for field in dataclasses.fields(SamplingConfig)}
    left_out = {
        "generate": {"pad_id"},
        "stream": {
            "pad_id",
            "num_return_sequences",
            "length_penalty",
            "early_stopping",
            "progress",
        },
        "generate_ids": {"stop", "include_prompt", "skip_special_tokens"},
    }
    for name, without in left_out.items():
        parameters = inspect.signature(getattr(Sampler, name)).parameters
        own = {"self", "prompt", "ids", "attention_mask", "config"}
        assert {p: v.default for p, v in parameters.items() if p not in own} == {
            option: value for option, value in defaults.items() if option not in without
        }


def test_the_options_for_type_checkers_are_the_fields_of_the_config():
    types = {field.name: field.type for field in dataclasses.fields(SamplingConfig)}
    del types["max_new_tokens"]  # a parameter of its own, which may be given by position
    hints = {name: hint.__forward_arg__ for name, hint in SamplingOptions.__annotations__.items()}
    assert hints == types


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        ("generate", {"temprature": 1}, "generate has no option temprature: did you mean temper"),
        ("generate", {"max_tokens": 1}, "no option max_tokens: did you mean max_new_tokens?"),
        ("stream", {"frobnicate": 1}, "stream has no option frobnicate: SamplingConfig explains"),
        ("stream", {"num_return_sequences": 2}, "stream does not take .*; use generate"),
        (
            "generate_ids",
            {"stop": "a"},
            "generate_ids does not take .* stop: .*stop_tokens",
        ),
        ("generate", {"pad_id": 1}, "generate does not take the option pad_id: .*generate_ids"),
    ],
)
def test_an_option_that_is_not_there_is_refused_by_name(letters, method, options, says):
    with pytest.raises(TypeError, match=says):
        getattr(letters, method)("a" if method != "generate_ids" else [[1]], **options)


def test_a_ready_config_is_taken_and_options_by_name_come_before_it(letters):
    config = SamplingConfig(12, temperature=0.9, top_k=5, seed=4)
    (text,) = letters.generate("abc", 12, temperature=0.9, top_k=5, seed=4)
    assert letters.generate("abc", config=config) == [text]
    assert "".join(letters.stream("abc", config=config)) == text
    ids = [letters.tokenizer.encode("abc")]
    by_name = letters.generate_ids(ids, 5, temperature=0.9, top_k=5, seed=7)
    np.testing.assert_array_equal(letters.generate_ids(ids, 5, config=config, seed=7), by_name)
    with pytest.raises(TypeError, match="config must be a SamplingConfig: got the class"):
        letters.generate("abc", config=SamplingConfig)


def test_published_defaults_go_for_every_method(letters, tmp_path):
    path = tmp_path / "generation_config.json"
    path.write_text(
        '{"do_sample": true, "temperature": 0.9, "top_k": 5, "eos_token_id": 5, "pad_token_id": 8}'
    )
    config = SamplingConfig.from_generation_config(path, max_new_tokens=20, seed=3)
    (text,) = letters.generate("abc", config=config)
    assert [text] == letters.generate(
        "abc", 20, temperature=0.9, top_k=5, stop_tokens=5, seed=3
    ) and text == "".join(letters.stream("abc", config=config))
    assert letters.generate_ids([[1, 2], [3, 4]], config=config).shape[0] == 2
    path.write_text('{"typical_p": 0.5}')
    with pytest.raises(ValueError, match=r"typical_p=0\.5 is not supported by a Sampler"):
        SamplingConfig.from_generation_config(tmp_path)


def test_what_a_method_cannot_do_for_a_ready_config_is_refused(letters):
    with pytest.raises(ValueError, match="num_return_sequences=2 cannot be streamed"):
        letters.stream("abc", config=SamplingConfig(num_return_sequences=2))
    with pytest.raises(ValueError, match=r"stop=\('a',\) is text, .* pass stop_tokens"):
        letters.generate_ids([[1]], config=SamplingConfig(stop="a"))


def test_the_config_is_frozen_and_normalised():
    config = SamplingConfig(stop="end", stop_tokens=np.int64(3), seed=np.int64(1), temperature=1)
    assert (config.stop, config.stop_tokens) == (("end",), (3,))
    assert config == SamplingConfig(stop=["end"], stop_tokens=[3], seed=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.temperature = 2.0


def test_what_every_text_begins_with(fakes):
    """The tokenizer's leading ids stand before a prompt once, and the first token is scored too."""
    plain = mg.BPETokenizer({i: bytes([i]) for i in range(256)}, [], ["<s>"])
    tokenizer = mg.BPETokenizer(plain.vocab, [], ["<s>"], bos_token="<s>", add_bos_token=True)
    model = fakes.HashModel(vocab_size=257, block_size=32)
    sampler = Sampler(model, tokenizer, allowed_special="all")
    ids = sampler.generate_ids([256, 97, 98], 5, temperature=0)[0]
    for prompt in ("ab", "<s>ab"):
        (text,) = sampler.generate(prompt, 5, temperature=0, include_prompt=False)
        assert text == tokenizer.decode(ids[3:])
    explicit = Sampler(model, plain, allowed_special="all")
    assert sampler.next_token_probabilities("ab") == explicit.next_token_probabilities("<s>ab")
    assert sampler.score("ab") == explicit.score("ab", context="<s>")
    assert sampler.score("b", context="a") == explicit.score("b", context="<s>a")
    assert sampler.score("ab").n_tokens == 2
    model.calls.clear()
    sampler.generate("", 1)
    assert model.calls == [(1, 1)]


def test_a_model_of_ones_own_is_told_what_it_lacks():
    with pytest.raises(TypeError, match="it lacks config, an object with vocab_size"):
        mg.Sampler(mg.nn.Linear(2, 2, seed=0))


def test_what_load_model_gives_is_to_be_unpacked():
    loaded = LoadedModel(mg.nn.Linear(2, 2, seed=0), None)
    with pytest.raises(TypeError, match=r"unpack it: Sampler\(\*load_model\(path\)\)"):
        mg.Sampler(loaded)
    with pytest.raises(AttributeError, match=r"no generate: .*tokenizer = load_model\("):
        loaded.generate("Hi")
