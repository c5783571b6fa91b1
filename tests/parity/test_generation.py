"""Generation gives what Transformers' `generate` gives, for GPT-2 models with random weights."""

from __future__ import annotations

import tempfile
import warnings

import numpy as np
import pytest

from minigpt import GPT, GPTConfig, Sampler
from minigpt.sampling import SamplingConfig, beam_search, perplexity, token_log_probabilities

torch = pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')
transformers = pytest.importorskip(
    "transformers", reason='transformers is not installed: pip install -e ".[parity]"'
)

VOCAB_SIZE, BLOCK_SIZE, EOS, PAD = 29, 48, 7, 28


def pair(seed, std=0.4):
    """A GPT-2 of Transformers and ours with its weights, which are wide: every token has a say."""
    torch.manual_seed(seed)
    sizes = {"n_layer": 2, "n_head": 4, "n_embd": 32}
    config = transformers.GPT2Config(
        vocab_size=VOCAB_SIZE, n_positions=BLOCK_SIZE, initializer_range=std, **sizes,
        bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    theirs = transformers.GPT2LMHeadModel(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours = GPT.from_pretrained(folder, memory_map=False)
    return ours.eval(), theirs


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """For matrices this small more of them only wait for each other."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module", params=range(2), ids=lambda seed: f"seed {seed}")
def models(request):
    return pair(request.param)


def reference(theirs, ids, mask=None, **options):
    """What Transformers generates, deterministically unless told otherwise."""
    ids = torch.tensor(np.atleast_2d(ids))
    mask = torch.ones_like(ids) if mask is None else torch.tensor(np.asarray(mask, int))
    options = {"do_sample": False, "pad_token_id": PAD, **options}
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return theirs.generate(ids, attention_mask=mask, **options)


def prompts(seed, batch_size=3, length=6):
    return np.random.default_rng(seed).integers(0, VOCAB_SIZE, (batch_size, length))


MASK = np.arange(6) >= np.array([[0], [4], [2]])


# ── one beam ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mask", [None, MASK], ids=["", "padded"])
@pytest.mark.parametrize("eos", [(), EOS, [EOS, 3, 11]])
def test_greedy(models, mask, eos):
    ours, theirs = models
    ids = prompts(0)
    out = Sampler(ours).generate_ids(
        ids, 40, temperature=0, stop_tokens=eos, pad_id=PAD, attention_mask=mask
    )
    options = {"eos_token_id": eos} if eos else {}
    expected = reference(theirs, ids, mask, max_new_tokens=40, **options)
    np.testing.assert_array_equal(out, expected.numpy())


def test_a_maximum_length_is_the_prompts_plus_the_new_tokens(models):
    ours, theirs = models
    ids = prompts(1)
    out = Sampler(ours).generate_ids(ids, 20 - ids.shape[1], temperature=0)
    np.testing.assert_array_equal(out, reference(theirs, ids, max_length=20).numpy())


@pytest.mark.parametrize("penalty", [0.7, 1.3, 3.0])
def test_repetition_penalty(models, penalty):
    ours, theirs = models
    ids = prompts(2)
    out = Sampler(ours).generate_ids(ids, 30, temperature=0, repetition_penalty=penalty)
    expected = reference(theirs, ids, max_new_tokens=30, repetition_penalty=penalty)
    np.testing.assert_array_equal(out, expected.numpy())


OPTIONS_ON_TOKENS = [
    {"no_repeat_ngram_size": 1},
    {"no_repeat_ngram_size": 3},
    {"min_new_tokens": 7},
    {"min_new_tokens": 16, "no_repeat_ngram_size": 2, "repetition_penalty": 1.3},
]


@pytest.mark.parametrize("num_beams", [1, 3])
@pytest.mark.parametrize("eos", [EOS, [EOS, 3, 11]])
@pytest.mark.parametrize("options", OPTIONS_ON_TOKENS, ids=str)
def test_options_that_look_at_the_tokens(models, options, eos, num_beams):
    """Greedy and with beams. Transformers counts padding as text, so there is none here."""
    ours, theirs = models
    ids = prompts(7)
    expected = reference(
        theirs, ids, max_new_tokens=16, num_beams=num_beams, eos_token_id=eos, **options
    )
    out = Sampler(ours).generate_ids(
        ids, 16, temperature=0, num_beams=num_beams, stop_tokens=eos, pad_id=PAD, **options
    )
    np.testing.assert_array_equal(out, expected.numpy())


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_logits_processor_of_ones_own(models, num_beams):
    """At the same place among the other options, with the same tokens."""
    ours, theirs = models
    ids = prompts(8)

    def after_even_come_small(ids, z):
        z = z.copy()
        z[ids[:, -1] % 2 == 0, VOCAB_SIZE // 2 :] -= 3.0
        return z

    class Theirs(transformers.LogitsProcessor):
        def __call__(self, input_ids, scores):
            return torch.tensor(after_even_come_small(input_ids.numpy(), scores.numpy()))

    options = {"num_beams": num_beams, "repetition_penalty": 1.4}
    expected = reference(theirs, ids, max_new_tokens=16, logits_processor=[Theirs()], **options)
    without = reference(theirs, ids, max_new_tokens=16, **options)
    out = Sampler(ours).generate_ids(
        ids, 16, temperature=0, logits_processor=after_even_come_small, **options
    )
    np.testing.assert_array_equal(out, expected.numpy())
    assert (out != without.numpy()).any()


@pytest.mark.parametrize(
    "filters",
    [
        {"temperature": 0.7},
        {"temperature": 1.5, "top_k": 5},
        {"temperature": 0.8, "top_k": 12, "top_p": 0.7},
        {"temperature": 1.2, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.4},
    ],
    ids=str,
)
def test_the_distribution_that_is_drawn_from(models, filters):
    """Step by step, along the tokens that Transformers happened to draw."""
    ours, theirs = models
    ids = prompts(3)
    out = reference(
        theirs, ids, max_new_tokens=12, do_sample=True, return_dict_in_generate=True,
        output_scores=True, **{"top_k": 0} | filters,
    )  # fmt: skip
    options = SamplingConfig(**filters)
    for step, expected in enumerate(out.scores):
        before = out.sequences[:, : ids.shape[1] + step].numpy()
        found = options.filter(ours(before).data[:, -1], before)
        np.testing.assert_array_equal(np.isneginf(found), np.isneginf(expected.numpy()))
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    "published",
    [
        {"num_beams": 3, "length_penalty": 0.5, "early_stopping": True, "eos_token_id": [EOS, 3]},
        {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2, "eos_token_id": EOS},
        {"eos_token_id": EOS, "min_new_tokens": 5},
    ],
    ids=str,
)
def test_published_defaults_write_what_they_write_there(models, published, tmp_path):
    """A generation_config.json of Transformers' own making, given to both."""
    ours, theirs = models
    defaults = transformers.GenerationConfig(max_new_tokens=16, pad_token_id=PAD, **published)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        defaults.save_pretrained(tmp_path)
    config = SamplingConfig.from_generation_config(tmp_path)
    ids = prompts(9)
    out = Sampler(ours).generate_ids(ids, config=config)
    expected = reference(theirs, ids, generation_config=defaults, do_sample=None)
    np.testing.assert_array_equal(out, expected.numpy())


def test_several_samples_of_each_prompt_stand_together(models):
    """The draws differ, the shape and the order do not."""
    ours, theirs = models
    ids = prompts(4)
    options = {"num_return_sequences": 4, "temperature": 0.8, "top_k": 3}
    out = Sampler(ours).generate_ids(ids, 5, seed=0, **options)
    expected = reference(theirs, ids, max_new_tokens=5, do_sample=True, **options).numpy()
    assert out.shape == expected.shape
    np.testing.assert_array_equal(out[:, :6], expected[:, :6])


def test_special_tokens_are_skipped():
    tokenizers = pytest.importorskip("tokenizers")
    words = {"<|endoftext|>": 0, "a": 1, "b": 2, "c": 3}
    theirs = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="a"))
    theirs.add_special_tokens(["<|endoftext|>"])
    theirs.decoder = tokenizers.decoders.Fuse()

    class Ours:
        vocab_size = 4

        def encode(self, text):
            return [words[character] for character in text]

        def decode(self, ids, skip_special_tokens=False):
            names = list(words)
            return "".join(names[i] for i in ids if i or not skip_special_tokens)

    model = GPT(GPTConfig(4, 8, n_layer=1, n_head=1, n_embd=8, init_std=1.0), seed=1)
    sampler = Sampler(model, Ours())
    ids = sampler.generate_ids([[1, 2]], 20, seed=0)[0].tolist()
    assert 0 in ids
    for skip in (False, True):
        for more in ({}, {"num_beams": 2}):
            (text,) = sampler.generate("ab", 20, seed=0, skip_special_tokens=skip, **more)
            ids = sampler.generate_ids([[1, 2]], 20, seed=0, **more)[0].tolist()
            assert text == theirs.decode(ids, skip_special_tokens=skip)


# ── beams ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("early_stopping", [False, True, "never"])
@pytest.mark.parametrize("length_penalty", [1.0, 0.0, -0.5])
@pytest.mark.parametrize(
    ("num_beams", "eos", "several"), [(2, EOS, 1), (4, EOS, 4), (4, [EOS, 3, 11], 2), (3, (), 3)]
)
def test_beam_search(models, num_beams, eos, several, length_penalty, early_stopping):
    """The same texts in the same order, with the same scores; prompts of unequal length."""
    ours, theirs = models
    ids, mask = prompts(5), MASK
    beams = {
        "num_beams": num_beams, "num_return_sequences": several,
        "length_penalty": length_penalty, "early_stopping": early_stopping,
    }  # fmt: skip
    expected = reference(
        theirs, ids, mask, max_new_tokens=16, return_dict_in_generate=True, output_scores=True,
        **beams, **({"eos_token_id": eos} if eos else {}),
    )  # fmt: skip
    out = Sampler(ours).generate_ids(
        ids, 16, stop_tokens=eos, pad_id=PAD, attention_mask=mask, **beams
    )
    np.testing.assert_array_equal(out, expected.sequences.numpy())
    options = SamplingConfig(16, stop_tokens=eos, **beams)
    scores = [h.score for found in beam_search(ours, ids, mask, options) for h in found]
    np.testing.assert_allclose(scores, expected.sequences_scores.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("penalty", [0.8, 1.5])
def test_beam_search_with_a_repetition_penalty(models, penalty):
    ours, theirs = models
    ids, options = prompts(6), {"num_beams": 4, "repetition_penalty": penalty}
    out = Sampler(ours).generate_ids(ids, 20, stop_tokens=EOS, pad_id=PAD, **options)
    expected = reference(theirs, ids, max_new_tokens=20, eos_token_id=EOS, **options)
    np.testing.assert_array_equal(out, expected.numpy())


def up_to_stop(text, stops):
    """The text before the stop string that is complete first, the longer of two."""
    for end in range(1, len(text) + 1):
        if found := [len(stop) for stop in stops if text[:end].endswith(stop)]:
            return text[: end - max(found)]
    return text


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("stop", [["c"], ["ab", "ba", "cc"], ["e", "aba", "dk", "i", "h", "n"]])
def test_beam_search_with_stop_strings(models, stop, early_stopping):
    """Also where a stop string begins in one token and ends inside another."""
    tokenizers = pytest.importorskip("tokenizers")
    merges = [("a", "b"), ("b", "c"), ("e", "d"), ("c", "a"), ("b", "a"), ("c", "ab")]
    pieces = [*"abcdefghijklmnopqrstuvw", *("".join(pair) for pair in merges)]
    ids_of = {piece: i for i, piece in enumerate(pieces)}
    byte_pairs = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=ids_of, merges=merges))
    byte_pairs.decoder = tokenizers.decoders.Fuse()
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=byte_pairs)

    class Ours:
        vocab_size = VOCAB_SIZE

        def encode(self, text):
            return [ids_of[character] for character in text]

        def decode(self, ids):
            return "".join(pieces[i] for i in ids)

    ours, theirs = models
    beams = {"num_beams": 4, "num_return_sequences": 4, "early_stopping": early_stopping}
    n_stopped = 0
    for prompt in ("wq", "rs", "jt"):  # of letters that are in no stop string
        expected = reference(
            theirs, Ours().encode(prompt), max_new_tokens=10, stop_strings=stop, tokenizer=wrapped,
            **beams,
        )  # fmt: skip
        texts = Sampler(ours, Ours()).generate(prompt, 10, stop=stop, **beams)
        wholes = [Ours().decode(row) for row in expected.tolist()]
        assert texts == [up_to_stop(whole, stop) for whole in wholes]
        n_stopped += sum(text != whole for text, whole in zip(texts, wholes, strict=True))
    assert n_stopped > 0


# ── scores ────────────────────────────────────────────────────────────────────────────────────────


class Narrower:
    """A model whose context is one token shorter."""

    def __init__(self, model):
        self.model = model
        self.config = GPTConfig(VOCAB_SIZE, BLOCK_SIZE - 1, n_layer=1, n_head=1, n_embd=1)

    def __call__(self, ids):
        return self.model(ids)


@pytest.mark.parametrize("stride", [1, 8, 24, 40])
def test_the_log_probabilities_of_the_usual_windows(models, stride):
    """The recipe that goes round for Transformers: windows of n_positions tokens, ``stride`` apart,
    with the targets of the overlap left out. A window is read with its first token as the only one
    that is not predicted: n_positions - 1 tokens are read for their predictions. With a context one
    shorter, that is ours.
    """
    ours, theirs = models
    n = BLOCK_SIZE + 4 * stride
    ids = np.random.default_rng(stride).integers(0, VOCAB_SIZE, n)
    total, count, end_before = 0.0, 0, 0
    for begin in range(0, n, stride):
        end = min(begin + BLOCK_SIZE, n)
        window = torch.tensor(ids[None, begin:end])
        targets = window.clone()
        targets[:, : end_before - begin] = -100
        with torch.inference_mode():
            loss = theirs(window, labels=targets).loss
        scored = int((targets[:, 1:] != -100).sum())
        total, count, end_before = total + loss.item() * scored, count + scored, end
        if end == n:
            break
    assert count == n - 1  # each token but the first, once
    assert perplexity(Narrower(ours), ids, stride) == pytest.approx(np.exp(total / count), rel=1e-5)


def test_each_token_with_the_whole_context(models):
    ours, theirs = models
    ids = np.random.default_rng(0).integers(0, VOCAB_SIZE, BLOCK_SIZE + 10)
    found = token_log_probabilities(ours, ids, stride=1)
    for t in (1, 20, BLOCK_SIZE, BLOCK_SIZE + 9):
        window = torch.tensor(ids[None, max(t - BLOCK_SIZE, 0) : t])
        with torch.inference_mode():
            expected = theirs(window).logits[0, -1].log_softmax(-1)[ids[t]].item()
        assert found[t - 1] == pytest.approx(expected, abs=2e-5)
