"""The encoder–decoder: masks, the loss, and decoding given sources, with a cache and without."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import minigpt as mg
import minigpt.functional as F
from minigpt import no_grad
from minigpt.datasets import PairBatches
from minigpt.models import EncoderDecoder, Seq2SeqConfig, build_model

SIZES = {
    "source_vocab_size": 13, "target_vocab_size": 11, "source_block_size": 9,
    "target_block_size": 8, "n_layer": 2, "n_head": 2, "n_embd": 16,
}  # fmt: skip
KINDS = {
    "pre-norm": {},
    "post-norm": {"norm": "post"},
    "as in the paper": {
        "norm": "post", "positions": "sinusoidal", "source_vocab_size": 11,
        "share_embeddings": True,
    },
    "no bias, untied head": {"bias": False, "tie_head": False},
    "a smaller decoder": {"n_decoder_layer": 1, "n_inner": 10, "activation": "gelu_tanh"},
}  # fmt: skip
LENGTHS = (6, 2, 4)
MASK = np.arange(6) < np.array(LENGTHS)[:, None]
CLOSE = {"atol": 1e-5, "rtol": 0}


def small(seed=0, **changes) -> EncoderDecoder:
    return EncoderDecoder(Seq2SeqConfig(**SIZES | {"init_std": 0.3} | changes), seed=seed)


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def model(request) -> EncoderDecoder:
    return small(**request.param)


@pytest.fixture
def sources(rng):
    return rng.integers(0, 11, (3, 6))


@pytest.fixture
def targets(rng):
    return rng.integers(0, 11, (3, 5))


# ── what sees what ────────────────────────────────────────────────────────────────────────────


def test_the_target_sees_itself_up_to_here_and_all_of_the_source(model, sources, targets):
    before = model(sources, targets).data
    assert before.shape == (3, 5, 11)
    changed = targets.copy()
    changed[:, 3] = (changed[:, 3] + 1) % 11
    difference = np.abs(model(sources, changed).data - before).max(axis=-1)
    assert difference[:, :3].max() < 1e-5 and difference[:, 3:].min() > 1e-5
    for place in (0, 5):
        changed = sources.copy()
        changed[:, place] = (changed[:, place] + 1) % 11
        assert (np.abs(model(changed, targets).data - before).max(axis=-1) > 1e-6).all()


def test_padding_of_the_source_changes_nothing(model, sources, targets):
    together = model(sources, targets, MASK).data
    for row, n in enumerate(LENGTHS):
        alone = model(sources[[row], :n], targets[[row]]).data[0]
        np.testing.assert_allclose(together[row], alone, **CLOSE)
    other = np.where(MASK, sources, 3)
    np.testing.assert_allclose(model(other, targets, MASK).data, together, **CLOSE)


def test_padding_of_the_target(model, sources, targets):
    mask = np.arange(5) < np.array([[3], [5], [1]])
    padded = np.where(mask, targets, 7)
    full = model(sources, targets).data
    np.testing.assert_allclose(model(sources, padded).data[mask], full[mask], **CLOSE)
    np.testing.assert_allclose(
        model(sources, padded, target_mask=mask).data[mask], full[mask], **CLOSE
    )


def test_shared_embeddings_are_one_parameter():
    shared, apart = (small(source_vocab_size=11, share_embeddings=s) for s in (True, False))
    assert apart.num_parameters() - shared.num_parameters() == 11 * 16
    names = [name for name, _ in shared.named_parameters()]
    assert "encoder.embeddings.token_embedding.weight" in names
    assert "decoder.embeddings.token_embedding.weight" not in names


# ── the loss ──────────────────────────────────────────────────────────────────────────────────


def test_loss_and_metrics(model, sources, targets):
    model.astype(np.float64).eval()
    target_out = np.where(np.arange(5) < np.array([[3], [5], [1]]), (targets + 1) % 11, -1)
    logits = model(sources, targets, MASK)
    loss = model.loss(sources, targets, target_out, MASK)
    assert loss.item() == pytest.approx(F.cross_entropy(logits, target_out).item())
    metrics = model.metrics(sources, targets, target_out, MASK)
    assert metrics["loss"] == pytest.approx(loss.item())
    right = (logits.data.argmax(axis=-1) == target_out)[target_out != -1]
    assert metrics["accuracy"] == pytest.approx(right.mean())
    assert model.loss_weight(sources, targets, target_out, MASK) == 9


def test_labels_are_smoothed_in_training_alone(sources, targets):
    model, plain = small(label_smoothing=0.3), small()
    logits = plain(sources, targets)
    smoothed = F.cross_entropy(logits, targets, label_smoothing=0.3).item()
    assert model.loss(sources, targets, targets).item() == pytest.approx(smoothed, rel=1e-6)
    model.eval()
    expected = plain.loss(sources, targets, targets).item()
    assert model.loss(sources, targets, targets).item() == pytest.approx(expected, rel=1e-6)
    assert model.metrics(sources, targets, targets)["loss"] == pytest.approx(expected, rel=1e-6)


def test_every_parameter_gets_its_gradient_from_finite_differences(sources, targets):
    model = small(n_embd=4, n_layer=1, label_smoothing=0.1, norm="post").astype(np.float64)
    model.loss(sources, targets, targets, MASK).backward()
    rng, step = np.random.default_rng(0), 1e-6
    for name, p in model.named_parameters():
        direction = rng.standard_normal(p.shape)
        ends = []
        for sign in (1, -1):
            p.data += sign * step * direction
            ends.append(model.loss(sources, targets, targets, MASK).item())
            p.data -= sign * step * direction
        slope = (ends[0] - ends[1]) / (2 * step)
        assert (p.grad * direction).sum() == pytest.approx(slope, rel=1e-4, abs=1e-7), name


# ── decoding, given sources ───────────────────────────────────────────────────────────────────


@no_grad()
@pytest.mark.parametrize("lengths", [[5], [1] * 5, [2, 1, 2]])
def test_a_cache_changes_no_logits(model, sources, targets, lengths):
    given = model.given(sources, MASK)
    full = model(sources, targets, MASK).data
    np.testing.assert_allclose(given(targets).data, full, **CLOSE)
    np.testing.assert_allclose(given(targets, last_only=True).data, full[:, -1:], **CLOSE)
    cache, found = given.new_cache(3, 5), []
    for n in lengths:
        found.append(given(targets[:, cache.length : cache.length + n], cache=cache).data)
    np.testing.assert_allclose(np.concatenate(found, axis=1), full, **CLOSE)
    cache.clear()
    np.testing.assert_allclose(given(targets, cache=cache).data, full, **CLOSE)


@no_grad()
@pytest.mark.parametrize("rows", [[2, 0, 1], [1, 1], [0, 0, 2, 2, 1], [1]])
def test_rows_are_chosen_with_their_sources(model, sources, targets, rows):
    given = model.given(sources, MASK)
    cache = given.new_cache(3, 8)
    given(targets[:, :3], cache=cache)
    cache.reorder(np.array(rows))
    chosen = given.select_rows(np.array(rows))
    whole = targets[rows]
    expected = model(sources[rows], whole, MASK[rows]).data
    np.testing.assert_allclose(chosen(whole[:, 3:], cache=cache).data, expected[:, 3:], **CLOSE)
    np.testing.assert_allclose(chosen(whole).data, expected, **CLOSE)
    again = chosen.select_rows(np.zeros(2, int))  # chosen once more
    np.testing.assert_allclose(again(whole[[0, 0]]).data, expected[[0, 0]], **CLOSE)


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("options", [{"num_return_sequences": 3, "seed": 1}, {"temperature": 0}])
def test_the_sampler_writes_a_batch_as_each_alone(model, sources, use_cache, options):
    start = np.array([[1], [3], [4]])  # equal prompts would share their random numbers
    options = options | {"max_new_tokens": 7, "stop_tokens": [2, 5], "use_cache": use_cache}
    together = mg.Sampler(model.given(sources, MASK)).generate_ids(start, **options, pad_id=0)
    n = options.get("num_return_sequences", 1)
    for row, length in enumerate(LENGTHS):
        alone = mg.Sampler(model.given(sources[[row], :length])).generate_ids(
            start[[row]], **options, pad_id=0
        )
        width = alone.shape[1]
        np.testing.assert_array_equal(together[row * n : (row + 1) * n, :width], alone)
        assert not together[row * n : (row + 1) * n, width:].any()


def test_beam_search_finds_what_scoring_everything_finds(sources):
    """With as many beams as there are texts, the best of all texts of two tokens."""
    model = small(target_vocab_size=4, source_vocab_size=13)
    start = np.ones((3, 1), int)
    found = mg.Sampler(model.given(sources, MASK)).generate_ids(
        start, max_new_tokens=2, num_beams=16
    )
    for row in range(3):
        texts = np.array([[1, a, b] for a in range(4) for b in range(4)])
        given = model.given(sources[[row] * 16], MASK[[row] * 16])
        with no_grad():
            scores = F.log_likelihood(given(texts[:, :2]), texts[:, 1:]).data
        np.testing.assert_array_equal(found[row], texts[scores.argmax()])


def test_given_runs_without_dropout_and_leaves_the_mode(sources, targets):
    model = small(dropout=0.5)
    start = np.ones((3, 1), int)
    first, again = (
        mg.Sampler(model.given(sources)).generate_ids(start, 6, temperature=0) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    assert model.training and model.encoder.training


def test_what_does_not_fit_is_an_error_before_anything_is_written(sources):
    given = small().given(sources, MASK)
    start = np.ones((3, 1), int)
    with pytest.raises(ValueError, match=r"9 tokens of target do not fit.*target_block_size=8"):
        mg.Sampler(given).generate_ids(start, max_new_tokens=9)
    assert mg.Sampler(given).generate_ids(start, max_new_tokens=8).shape == (3, 9)
    with pytest.raises(ValueError, match="there are 2 targets for 3 sources: give each"):
        mg.Sampler(given).generate_ids(start[:2], max_new_tokens=2)
    with pytest.raises(ValueError, match="there are 2 targets for 3 sources"):
        given(start[:2])
    with pytest.raises(RuntimeError, match="a cache holds no gradients"):
        given(start, cache=given.new_cache(3))


def test_cross_attention_weights(model, sources, targets):
    maps = model.cross_attention_weights(sources, targets, MASK)
    assert len(maps) == len(model.decoder.blocks)
    for weights in maps:
        assert weights.shape == (3, 2, 5, 6)
        assert not weights[1, :, :, 2:].any()
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)


# ── errors ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "target", "masks", "error", "message"),
    [
        (np.zeros((3, 10), int), None, {}, ValueError, "do not fit the context, source_block_size"),
        (None, np.zeros((3, 9), int), {}, ValueError, "do not fit the context, target_block_size"),
        (np.full((3, 6), 13), None, {}, IndexError,
         "source_ids must be from 0 to .*13 entries: got 13"),
        (None, np.full((3, 5), 11), {}, IndexError,
         "target_ids must be from 0 to .*11 entries: got 11"),
        (np.zeros((2, 6), int), None, {}, ValueError,
         r"target_ids must have a row for each source: got \(3, 5\) for source_ids \(2, 6\)"),
        (None, None, {"source_mask": MASK[:, :5]}, ValueError,
         r"source_mask must have shape \(3, 6\): got \(3, 5\)"),
        (None, None, {"source_mask": 2 * MASK}, ValueError,
         r"source_mask must be 1 \(token\) and 0 \(padding\): got 2"),
        (None, None, {"target_mask": MASK}, ValueError,
         r"target_mask must have shape \(3, 5\): got \(3, 6\)"),
        (np.zeros((3, 6)), None, {}, TypeError, "source_ids must be integers"),
    ],
)  # fmt: skip
def test_wrong_arguments(sources, targets, source, target, masks, error, message):
    with pytest.raises(error, match=message):
        small()(
            sources if source is None else source, targets if target is None else target, **masks
        )


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"share_embeddings": True}, ValueError, "source_vocab_size=13 and target_vocab_size=11"),
        (
            {"label_smoothing": 1.0},
            ValueError,
            r"label_smoothing must be a probability.*: got 1\.0",
        ),
        (
            {"n_decoder_layer": 0},
            ValueError,
            "n_decoder_layer must be an integer of at least 1: got 0",
        ),
        ({"norm": "none"}, ValueError, "norm must be .*: got 'none'"),
        ({"target_block_size": 2.0}, TypeError, "target_block_size must be an integer"),
    ],
)
def test_wrong_configurations(changes, error, message):
    with pytest.raises(error, match=message):
        Seq2SeqConfig(**SIZES | changes)


def test_wrong_config_and_seed():
    with pytest.raises(TypeError, match="config must be a Seq2SeqConfig: got"):
        EncoderDecoder(SIZES)
    with pytest.raises(ValueError, match="seed must be an integer of at least 0: got -1"):
        small(seed=-1)


def test_build_model(model):
    fields = json.loads(json.dumps(dataclasses.asdict(model.config)))
    again = build_model("EncoderDecoder", fields)
    again.load_state_dict(model.state_dict())
    assert type(again) is EncoderDecoder and again.config == model.config


# ── training ──────────────────────────────────────────────────────────────────────────────────


def pair_batches():
    """A token several times; the target is the next token, once."""
    rng = np.random.default_rng(0)
    sources = [[int(rng.integers(3, 8))] * int(rng.integers(1, 6)) for _ in range(96)]
    return PairBatches(sources, [[s[0] + 1] for s in sources], 16, seed=0, bos_id=1, eos_id=2)


def test_it_trains_resumes_and_loads(tmp_path):
    settings = mg.TrainerConfig(
        max_steps=100, batch_size=16, learning_rate=0.01, workers=2, progress=False,
        checkpoint_dir=tmp_path / "run", checkpoint_interval=50, eval_interval=100,
    )  # fmt: skip
    model = small(dropout=0.05, label_smoothing=0.1, init_std=0.02)
    trainer = mg.Trainer(model, pair_batches(), pair_batches(), settings)
    assert trainer.fit().evaluations[-1]["val_accuracy"] == 1
    resumed = mg.Trainer.resume(
        tmp_path / "run" / "step-00000050.npz", pair_batches(), None, checkpoint_dir=None
    )
    resumed.fit()
    for name, array in trainer.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[name], array)

    loaded, _ = mg.load_model(tmp_path / "run")
    assert type(loaded) is EncoderDecoder
    sources, mask = np.array([[4, 4, 4], [6, 0, 0]]), np.array([[1, 1, 1], [1, 0, 0]])
    written = mg.Sampler(loaded.given(sources, mask)).generate_ids(
        np.ones((2, 1), int), max_new_tokens=6, temperature=0, stop_tokens=2, pad_id=0
    )
    assert written.tolist() == [[1, 5, 2], [1, 7, 2]]
