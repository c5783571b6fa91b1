from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.grad_mode import is_grad_enabled
from minigpt.models import EncoderDecoder, Seq2SeqConfig
from minigpt.sampling import Sampler, SamplingConfig, beam_search, log_softmax, repetition_penalty
from minigpt.tensor import Tensor

STOP = 0


def search(model, prompt, mask=None, **options):
    """What beam search finds, as pairs (tokens, score) for each prompt."""
    ids = np.atleast_2d(prompt)
    found = beam_search(model, ids, mask, SamplingConfig(**options))
    return [[(h.tokens, h.score) for h in hypotheses] for hypotheses in found]


def same(found, expected):
    assert [tokens for tokens, _ in found] == [tokens for tokens, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected])


def log_p(model, prompt, text):
    """ln P(y | x), a token at a time."""
    whole = [*prompt, *text]
    return sum(
        log_softmax(model(np.array([whole[:t]])).data[0, -1])[whole[t]]
        for t in range(len(prompt), len(whole))
    )


def every_text(vocab_size, n_new):
    """All that can be written: up to a stop token, or n_new tokens long."""
    for n in range(1, n_new + 1):
        for text in product(range(vocab_size), repeat=n):
            if STOP not in text[:-1] and (text[-1] == STOP or n == n_new):
                yield text


def plain_beam_search(model, prompt, k, n_new, alpha, early_stopping, penalty=1.0):
    """With lists, a whole pass for each beam and token, and nothing remembered."""
    beams, finished = [((), 0.0)], []
    for n in range(1, n_new + 1):
        candidates = []
        for text, score in beams:
            before = np.array([[*prompt, *text]])
            step = log_softmax(model(before).data[:, -1])
            step = repetition_penalty(step, before, penalty)[0]
            candidates += [((*text, token), score + step[token]) for token in range(len(step))]
        candidates.sort(key=lambda candidate: -candidate[1])
        ended = [n == n_new or text[-1] == STOP for text, _ in candidates]
        finished += [
            (text, score / n**alpha)
            for (text, score), end in zip(candidates[:k], ended, strict=False)
            if end
        ]
        finished = sorted(finished, key=lambda found: -found[1])[:k]
        beams = [beam for beam, end in zip(candidates, ended, strict=True) if not end][:k]
        if not beams:
            break
        reachable = beams[0][1] / (n_new if early_stopping == "never" and alpha > 0 else n) ** alpha
        if len(finished) == k and (early_stopping is True or reachable <= finished[-1][1]):
            break
    return finished


# ── what it finds ─────────────────────────────────────────────────────────────────────────────────


@given(
    prompt=st.lists(st.integers(0, 2), min_size=1, max_size=3),
    n_new=st.integers(1, 4),
    alpha=st.sampled_from([0.0, 1.0, 0.7, -1.0, 3.0]),
    sharpness=st.sampled_from([0.5, 3.0]),
)
def test_with_enough_beams_it_is_exact(fakes, prompt, n_new, alpha, sharpness):
    """The same order of all texts as by comparing each with each."""
    model = fakes.HashModel(vocab_size=3, block_size=None, sharpness=sharpness)
    texts = list(every_text(3, n_new))
    scores = [log_p(model, prompt, text) / len(text) ** alpha for text in texts]
    expected = sorted(zip(texts, scores, strict=True), key=lambda pair: -pair[1])
    (found,) = search(
        model, prompt, max_new_tokens=n_new, stop_tokens=STOP, length_penalty=alpha,
        num_beams=3**n_new, num_return_sequences=len(texts), early_stopping="never",
    )  # fmt: skip
    same(found, expected)


@given(
    prompt=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    k=st.integers(1, 9),
    n_new=st.integers(1, 9),
    alpha=st.sampled_from([0.0, 1.0, 2.0, -0.5]),
    early_stopping=st.sampled_from([False, True, "never"]),
    penalty=st.sampled_from([1.0, 1.3]),
)
def test_equals_the_plain_search(fakes, prompt, k, n_new, alpha, early_stopping, penalty):
    model = fakes.HashModel(vocab_size=6, block_size=None, sharpness=1.0)
    expected = plain_beam_search(model, prompt, k, n_new, alpha, early_stopping, penalty)
    more = {"length_penalty": alpha, "early_stopping": early_stopping} if k > 1 else {}
    if k == 1:
        expected = plain_beam_search(model, prompt, 1, n_new, 1.0, False, penalty)
    (found,) = search(
        model, prompt, max_new_tokens=n_new, stop_tokens=STOP, num_beams=k,
        num_return_sequences=1, repetition_penalty=penalty, **more,
    )  # fmt: skip
    same(found, expected[:1])


@given(prompt=st.lists(st.integers(0, 10), min_size=1, max_size=9), n_new=st.integers(1, 15))
def test_one_beam_is_greedy(fakes, prompt, n_new):
    model = fakes.HashModel()
    (((tokens, score),),) = search(model, prompt, max_new_tokens=n_new, length_penalty=1.0)
    assert [*prompt, *tokens] == fakes.write_one_by_one(model, prompt, n_new)
    assert score < 0


def test_it_goes_by_the_text_and_not_by_the_first_token():
    """After token 1 all is open; after token 2, less likely at first, token 3 is certain."""
    table = {0: [0, 0.6, 0.4, 0], 1: [0.25] * 4, 2: [0, 0, 0, 1], 3: [0.25] * 4}

    def model(ids):
        return Tensor(np.log(np.array([[table[token] for token in row] for row in ids]) + 1e-30))

    model.config = SimpleNamespace(vocab_size=4, block_size=None)
    greedy = Sampler(model).generate_ids([0], 2, temperature=0)
    assert greedy.tolist() == [[0, 1, 0]]  # P = 0.6 · 0.25
    beams = Sampler(model).generate_ids([0], 2, num_beams=2)
    assert beams.tolist() == [[0, 2, 3]]  # P = 0.4 · 1
    ((best, _),) = search(model, [0], max_new_tokens=2, num_beams=2, num_return_sequences=2)
    assert best[1] == pytest.approx(np.log(0.4) / 2)


def test_the_length_penalty_chooses_between_short_and_long(fakes):
    model = fakes.HashModel(vocab_size=5, block_size=None, sharpness=1.0)
    lengths = []
    for alpha in (-2.0, 0.0, 1.0, 5.0):
        found = search(
            model, [[1], [2], [3], [4]], max_new_tokens=12, num_beams=5, stop_tokens=STOP,
            length_penalty=alpha, early_stopping="never",
        )  # fmt: skip
        lengths.append(sum(len(tokens) for ((tokens, _),) in found))
    assert lengths == sorted(lengths) and lengths[0] < lengths[-1]


@given(
    rows=st.lists(st.lists(st.integers(0, 10), min_size=1, max_size=9), min_size=1, max_size=4),
    k=st.integers(2, 4),
    early_stopping=st.sampled_from([False, True]),
    shift=st.integers(1, 6),
    use_cache=st.booleans(),
    penalty=st.sampled_from([1.0, 1.3]),
)
def test_a_batch_equals_its_rows_one_by_one(
    fakes, rows, k, early_stopping, shift, use_cache, penalty
):
    """Whatever the others' lengths are, and whenever they end; also beyond the context."""
    width = max(map(len, rows))
    ids = np.array([[10] * (width - len(row)) + row for row in rows])
    mask = np.array([[False] * (width - len(row)) + [True] * len(row) for row in rows])
    options = {
        "max_new_tokens": 8, "num_beams": k, "num_return_sequences": 2, "stop_tokens": (0, 5),
        "early_stopping": early_stopping, "window_shift": shift, "repetition_penalty": penalty,
    }  # fmt: skip
    model = fakes.HashModel(sharpness=1.0)
    together = search(model, ids, mask, use_cache=use_cache, **options)
    for row, found in zip(rows, together, strict=True):
        assert found == search(model, row, **options)[0]


# ── what it costs ─────────────────────────────────────────────────────────────────────────────────


def test_each_prompt_is_read_once_and_then_a_token_of_each_beam(fakes):
    model = fakes.HashModel(block_size=20)
    Sampler(model).generate_ids([[1, 2, 3], [4, 5, 6]], 4, num_beams=3)
    assert model.calls == [(2, 3), (6, 1), (6, 1), (6, 1)]


def test_a_prompt_whose_search_is_done_costs_nothing_more(fakes):
    model = fakes.HashModel(vocab_size=4, sharpness=1.0, block_size=99)
    options = {"max_new_tokens": 30, "num_beams": 3, "stop_tokens": STOP, "early_stopping": True}
    prompts = [[1], [2], [3], [0]]
    steps = []
    for prompt in prompts:
        model.calls.clear()
        search(model, [prompt], **options)
        steps.append(len(model.calls))
    model.calls.clear()
    search(model, prompts, **options)
    assert len(set(steps)) > 1
    assert [n for n, _ in model.calls] == [
        sum(n > step for n in steps) * (3 if step else 1) for step in range(max(steps))
    ]


# ── texts and ids ─────────────────────────────────────────────────────────────────────────────────


def test_texts_are_the_ids_without_stop_token_and_unfinished_character(fakes):
    pieces = ["a", "b", b"\xf0\x9f", b"\x98\x80", "#"]
    sampler = Sampler(fakes.HashModel(5, None, sharpness=2.0), fakes.PieceTokenizer(*pieces))
    options = {"num_beams": 5, "num_return_sequences": 5, "stop_tokens": 4}
    texts = sampler.generate(["ab", "b"], 6, **options)
    assert len(texts) == 10 and all("#" not in text for text in texts)
    ids = sampler.generate_ids([0, 1], 6, **options)
    for text, row in zip(texts, ids.tolist(), strict=False):
        kept = row[: row.index(4)] if 4 in row else row
        assert text == sampler.tokenizer.decode(kept).removesuffix("\ufffd")
    bare = sampler.generate(["ab", "b"], 6, include_prompt=False, **options)
    assert texts == [("ab", "b")[i // 5] + text for i, text in enumerate(bare)]


def test_rows_that_ended_are_filled(fakes):
    sampler = Sampler(fakes.HashModel(5, None, sharpness=1.0))
    options = {"num_beams": 4, "num_return_sequences": 4, "stop_tokens": STOP}
    plain = sampler.generate_ids([1], 7, **options)
    filled = sampler.generate_ids([1], 7, pad_id=3, **options)
    assert plain.shape == filled.shape and plain.dtype == filled.dtype == np.int64
    ends = [row.index(STOP) if STOP in row else 99 for row in plain.tolist()]
    assert len(set(ends)) > 1
    for row, fill, end in zip(plain.tolist(), filled.tolist(), ends, strict=True):
        assert row[: end + 1] == fill[: end + 1]
        assert set(row[end:]) <= {STOP} and set(fill[end + 1 :]) <= {3}


def test_ids_that_the_tokenizer_does_not_know_are_never_written(fakes):
    model = fakes.HashModel(vocab_size=64)
    (text,) = Sampler(model, fakes.PieceTokenizer("a", "b")).generate("a", 20, num_beams=3)
    assert set(text) == {"a", "b"} and len(text) == 21


def test_no_new_tokens_are_the_prompt(fakes):
    sampler = Sampler(fakes.HashModel())
    assert sampler.generate_ids([[1, 2], [3, 4]], 0, num_beams=2).tolist() == [[1, 2], [3, 4]]


def test_tokens_that_the_model_rules_out_are_never_written(fakes):
    class Ruled(fakes.HashModel):
        def __call__(self, ids, **options):
            logits = super().__call__(ids, **options).data
            logits[..., 1:] = -np.inf  # after any token comes 0, and nothing else
            return Tensor(logits)

    model = Ruled()
    ((only,),) = search(model, [5], max_new_tokens=3, num_beams=4)
    assert only == ((0, 0, 0), 0.0)
    with pytest.raises(ValueError, match=r"num_return_sequences=2.*only 1 differ"):
        search(model, [5], max_new_tokens=3, num_beams=4, num_return_sequences=2)
    ((only,),) = search(model, [5], max_new_tokens=3, num_beams=4, stop_tokens=0)
    assert only == ((0,), 0.0)


# ── stop strings ──────────────────────────────────────────────────────────────────────────────────


def best_text(model, tokenizer, prompt, n_new, stops, alpha):
    """By comparing all texts: each ends where it first has a stop string."""
    best = (-np.inf, "")
    for text in product(range(tokenizer.vocab_size), repeat=n_new):
        for n in range(1, n_new + 1):
            if any(stop in tokenizer.decode(text[:n]) for stop in stops):
                text = text[:n]
                break
        score = log_p(model, tokenizer.encode(prompt), text) / len(text) ** alpha
        best = max(best, (score, tokenizer.decode(text)))
    whole = best[1]
    return whole[: min([whole.find(stop) for stop in stops if stop in whole], default=None)]


@given(
    prompt=st.text("ab", min_size=1, max_size=3),
    stops=st.lists(st.sampled_from(["b", "ab", "aab", "c", "你"]), min_size=1, max_size=2),
    alpha=st.sampled_from([0.0, 1.0]),
)
def test_with_enough_beams_stop_strings_end_the_best_text(fakes, prompt, stops, alpha):
    """Also one that tokens cut, and a character in halves."""
    tokenizer = fakes.PieceTokenizer("a", "b", "ca", b"\xe4\xbd", b"\xa0")
    model = fakes.HashModel(vocab_size=5, block_size=None, sharpness=2.0)
    (found,) = Sampler(model, tokenizer).generate(
        prompt, 3, num_beams=5**3, length_penalty=alpha, early_stopping="never", stop=stops,
        include_prompt=False,
    )  # fmt: skip
    expected = best_text(model, tokenizer, prompt, 3, stops, alpha)
    assert found in (expected, expected.removesuffix("\ufffd"))


def test_with_stop_strings_a_batch_equals_its_prompts_one_by_one(fakes):
    tokenizer = fakes.PieceTokenizer("a", "b", "#", "ba", "a#")
    sampler = Sampler(fakes.HashModel(5, 8, sharpness=1.0), tokenizer)
    options = {"num_beams": 3, "num_return_sequences": 2, "stop": ["bb", "#b"]}
    prompts = ["a", "ab", "bab#", "#"]
    alone = [text for prompt in prompts for text in sampler.generate(prompt, 9, **options)]
    assert sampler.generate(prompts, 9, **options) == alone
    assert len({len(text) for text in alone}) > 2


# ── models ────────────────────────────────────────────────────────────────────────────────────────


class Bound:
    """A translator of a fake kind: what it writes depends on the source of its row."""

    def __init__(self, fake, sources):
        self.fake, self.sources, self.config = fake, np.asarray(sources), fake.config

    def select_rows(self, rows):
        return Bound(self.fake, self.sources[rows])

    def __call__(self, ids, attention_mask=None, positions=None):
        assert len(ids) == len(self.sources)
        source = np.stack([self.sources] * 2, axis=1)
        return Tensor(self.fake(np.concatenate([source, ids], axis=1)).data[:, 2:])


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 4, "num_return_sequences": 2},
        {"num_return_sequences": 3, "seed": 0},
        {"temperature": 0},
    ],
    ids=str,
)
def test_a_model_that_is_bound_to_its_rows_is_told_which_go_on(fakes, options):
    fake = fakes.HashModel(block_size=None, sharpness=1.0)
    sources = [3, 1, 4, 1, 5]

    def write(sources):
        start = np.full((len(sources), 1), 2)
        return Sampler(Bound(fake, sources)).generate_ids(start, 9, stop_tokens=[0, 1], **options)

    def ends(row):
        """Up to the first stop token."""
        return next((row[: i + 1] for i, token in enumerate(row) if token in (0, 1)), row)

    together = write(sources)
    if "seed" in options:  # each prompt is the same, and goes on counting its samples
        assert len({tuple(row) for row in together.tolist()}) > 10
        return
    alone = [row for source in sources for row in write([source]).tolist()]
    assert [ends(row) for row in together.tolist()] == [ends(row) for row in alone]
    assert together[1 * len(together) // 5].tolist() == together[3 * len(together) // 5].tolist()


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("use_cache", [True, False])
def test_an_encoder_decoder_writes_for_each_source_what_it_writes_for_it_alone(k, use_cache):
    config = Seq2SeqConfig(
        source_vocab_size=9, target_vocab_size=7, source_block_size=6, target_block_size=12,
        n_layer=2, n_head=2, n_embd=16, init_std=0.5,
    )  # fmt: skip
    model = EncoderDecoder(config, seed=0).eval()
    rng = np.random.default_rng(1)
    sources = rng.integers(0, 9, (5, 6))
    mask = np.arange(6) < np.array([[6], [2], [4], [3], [5]])  # shorter sources, padded at the end
    options = {
        "num_beams": k, "num_return_sequences": k, "stop_tokens": STOP, "use_cache": use_cache,
        **({"temperature": 0} if k == 1 else {}),
    }  # fmt: skip

    def write(rows):
        given = model.given(sources[rows], mask[rows])
        start = np.full((len(rows), 1), 1)
        return Sampler(given).generate_ids(start, 10, pad_id=STOP, **options).tolist()

    together = write(range(5))
    alone = [row for i in range(5) for row in write([i])]
    assert [row + [STOP] * (11 - len(row)) for row in together] == [
        row + [STOP] * (11 - len(row)) for row in alone
    ]
    assert len({tuple(row) for row in together}) > 5 * k // 2


def test_an_interrupted_search_leaves_the_mode_as_it_was(fakes):
    model = fakes.HashModel()
    model.fail_at_call = 3
    with pytest.raises(KeyboardInterrupt):
        Sampler(model).generate_ids([[1]], 9, num_beams=2)
    assert model.training and is_grad_enabled()
    assert model.training_in_calls == {False}


def test_the_progress_bar_counts_tokens(fakes, capsys):
    Sampler(fakes.HashModel()).generate_ids([[1]], 7, num_beams=2, progress=True)
    assert "7/7" in capsys.readouterr().err
    Sampler(fakes.HashModel()).generate_ids([[1]], 7, num_beams=2)
    assert capsys.readouterr().err == ""


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"num_beams": 0}, ValueError, "num_beams must be an integer from 1 .*: got 0"),
        ({"num_beams": 2.0}, TypeError, "num_beams must be an integer .*: got 2.0"),
        ({"num_beams": True}, TypeError, "num_beams must be an integer .*: got True"),
        (
            {"num_beams": 2, "length_penalty": "1"},
            TypeError,
            "length_penalty must .*: got '1'",
        ),
        (
            {"num_beams": 2, "length_penalty": float("nan")},
            ValueError,
            "length_penalty .*: got nan",
        ),
        (
            {"num_beams": 2, "length_penalty": 11},
            ValueError,
            "least -10 .* most 10: got 11",
        ),
        (
            {"num_beams": 2, "early_stopping": 1},
            TypeError,
            "early_stopping must be .*: got 1",
        ),
        (
            {"num_beams": 2, "early_stopping": "no"},
            ValueError,
            'early_stop.* "never": got .no.',
        ),
        ({"num_beams": 4, "num_return_sequences": 5}, ValueError, "pass num_beams=5"),
        ({"num_beams": 4, "temperature": 0.8}, ValueError, "temperature=0.8 belongs to sampling"),
        ({"num_beams": 4, "top_k": 5}, ValueError, "top_k=5 belongs to sampling, and num_beams=4"),
        ({"num_beams": 4, "top_p": 0.5}, ValueError, "top_p=0.5 belongs to sampling"),
        ({"num_beams": 4, "min_p": 0.5}, ValueError, "min_p=0.5 belongs to sampling"),
        ({"num_beams": 4, "stop_tokens": 11}, ValueError, "stop_tokens.*11.*0 to 10"),
        ({"length_penalty": 0.5}, ValueError, "length_penalty=0.5 belongs to beam search"),
        ({"early_stopping": True}, ValueError, "early_stopping=True belongs to beam search"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(fakes, options, error, says):
    model = fakes.HashModel()
    with pytest.raises(error, match=says):
        Sampler(model).generate_ids([[1]], **options)
    assert model.calls == []


def test_streams_and_stop_strings_without_a_tokenizer_are_refused(fakes):
    sampler = Sampler(fakes.HashModel(2), fakes.PieceTokenizer("a", "b"))
    with pytest.raises(ValueError, match=r"num_beams=2 cannot be streamed.*use generate"):
        sampler.stream("a", num_beams=2)
    assert len("".join(sampler.stream("a", 3, num_beams=1))) == 4
    with pytest.raises(ValueError, match=r"stop=\('b',\) is text: pass beam_search a tokenizer"):
        search(fakes.HashModel(), [1], num_beams=2, stop="b")


def test_temperature_zero_is_no_contradiction(fakes):
    sampler = Sampler(fakes.HashModel())
    greedy = sampler.generate_ids([[1]], 9, num_beams=3, temperature=0)
    np.testing.assert_array_equal(greedy, sampler.generate_ids([[1]], 9, num_beams=3))


def test_a_model_that_gives_nan_is_an_error_that_says_so(fakes):
    with pytest.raises(ValueError, match="logits contain NaN"):
        Sampler(fakes.HashModel(sharpness=np.nan)).generate_ids([[1]], 1, num_beams=2)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": None}, "model must be a language model, .*: got None"),
        ({"ids": None}, "ids must be an array of integers: got None"),
        ({"options": None}, "options must be a SamplingConfig: got None"),
        ({"options": SamplingConfig}, "got the class SamplingConfig; make an object of it"),
    ],
)
def test_something_else_than_what_is_asked_for(fakes, changes, says):
    given = {"model": fakes.HashModel(), "ids": [[1]], "mask": None, "options": SamplingConfig()}
    with pytest.raises(TypeError, match=says):
        beam_search(**given | changes)
