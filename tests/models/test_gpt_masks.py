"""The padding mask (E15): a padded batch gives what each sequence gives alone."""

from __future__ import annotations

import numpy as np
import pytest

LENGTHS = (4, 10, 7)


def padded(ids, side):
    """Ids whose padding is a token like any other, the mask, and where each token stands."""
    mask = np.zeros(ids.shape, bool)
    for row, n in enumerate(LENGTHS):
        mask[row, slice(None, n) if side == "right" else slice(-n, None)] = True
    positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)
    filled = np.full_like(ids, 7)
    for row, n in enumerate(LENGTHS):
        filled[row, mask[row]] = ids[row, :n]
    return filled, mask, positions


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32])
def test_a_padded_batch_gives_what_each_sequence_gives_alone(any_gpt, ids, side, dtype):
    filled, mask, positions = padded(ids, side)
    together = any_gpt(filled, mask.astype(dtype), positions).data
    for row, n in enumerate(LENGTHS):
        alone = any_gpt(ids[[row], :n]).data[0]
        np.testing.assert_allclose(together[row, mask[row]], alone, atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_the_padding_holds_does_not_matter(any_gpt, ids, side):
    filled, mask, positions = padded(ids, side)
    before = any_gpt(filled, mask, positions).data
    after = any_gpt(np.where(mask, filled, 3), mask, positions).data
    np.testing.assert_allclose(after[mask], before[mask], atol=1e-6)


def test_right_padding_alone_needs_no_positions(any_gpt, ids):
    filled, mask, positions = padded(ids, "right")
    np.testing.assert_allclose(
        any_gpt(filled, mask).data[mask], any_gpt(filled, mask, positions).data[mask], atol=1e-6
    )


def test_the_mask_combines_with_the_causal_one(any_gpt, ids):
    """A token in the middle is hidden: those behind it change, those before it do not."""
    mask = np.ones(ids.shape, bool)
    mask[:, 5] = False
    full, hidden = any_gpt(ids).data, any_gpt(ids, mask).data
    np.testing.assert_allclose(hidden[:, :5], full[:, :5], atol=1e-6)
    assert (np.abs(hidden[:, 6:] - full[:, 6:]).max(axis=-1) > 1e-4).all()
    changed = ids.copy()
    changed[:, 5] = (changed[:, 5] + 1) % 13
    after = any_gpt(changed, mask).data
    np.testing.assert_allclose(after[:, 6:], hidden[:, 6:], atol=1e-6)


def test_a_mask_of_ones_is_no_mask(any_gpt, ids):
    np.testing.assert_allclose(any_gpt(ids, np.ones_like(ids)).data, any_gpt(ids).data, atol=1e-6)


@pytest.mark.parametrize("side", ["left", "right"])
def test_loss_and_gradients_see_no_padding(any_gpt, ids, side):
    model = any_gpt.astype(np.float64)
    filled, mask, positions = padded(ids, side)
    targets = np.where(mask, (filled + 1) % 13, -1)

    alone = [(ids[[row], :n], (ids[[row], :n] + 1) % 13) for row, n in enumerate(LENGTHS)]
    weights = [model.loss_weight(*pair) for pair in alone]
    assert sum(weights) == model.loss_weight(filled, targets)
    for pair, weight in zip(alone, weights, strict=True):
        (model.loss(*pair) * (weight / sum(weights))).backward()
    expected = {name: p.grad for name, p in model.named_parameters()}

    model.zero_grad()
    if side == "right":
        model.loss(filled, targets, mask).backward()
    else:  # loss() takes no positions: the same, spelt out
        from minigpt.functional import cross_entropy

        cross_entropy(model(filled, mask, positions), targets).backward()
    for name, p in model.named_parameters():
        np.testing.assert_allclose(p.grad, expected[name], atol=1e-10, err_msg=name)


def test_a_row_of_padding_alone_is_finite(any_gpt, ids):
    mask = np.ones(ids.shape, bool)
    mask[1] = False
    with np.errstate(all="raise", under="ignore"):
        logits = any_gpt(ids, mask)
        logits.sum().backward()
    assert np.isfinite(logits.data).all()
    assert all(np.isfinite(p.grad).all() for p in any_gpt.parameters())


def test_loss_weight_and_metrics_take_the_mask_that_loss_takes(any_gpt, ids):
    filled, mask, _ = padded(ids, "right")
    targets = np.where(mask, (filled + 1) % 13, -1)
    assert any_gpt.loss_weight(filled, targets, mask) == sum(LENGTHS)
    assert any_gpt.loss_weight(filled, targets=targets, attention_mask=mask) == sum(LENGTHS)
    found = any_gpt.metrics(filled, targets, mask)
    np.testing.assert_allclose(found["loss"], any_gpt.loss(filled, targets, mask).item(), rtol=1e-6)
    likeliest = any_gpt(filled, mask).data.argmax(axis=-1)
    assert found["accuracy"] == (likeliest == targets)[mask.astype(bool)].mean()


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_is_inspected_follows_the_mask(any_gpt, ids, side):
    filled, mask, _ = padded(ids, side)
    for weights in any_gpt.attention_weights(filled, mask):
        seen = weights[:, :, -1 if side == "left" else 0]
        assert not seen[np.broadcast_to(~mask.astype(bool)[:, None], seen.shape)].any()
    last = any_gpt.hidden_states(filled, mask)[-1]
    from minigpt import Tensor

    np.testing.assert_allclose(
        any_gpt.unembed(Tensor(last)).data, any_gpt(filled, mask).data, atol=1e-5
    )
