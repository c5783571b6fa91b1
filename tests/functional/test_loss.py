"""Cross-entropy and the log-likelihood of sequences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt.functional as F
from minigpt import Tensor, gradcheck
from minigpt.functional import plain
from tests.strategies import assert_same_function, seeds, shapes, tensors

reductions = st.sampled_from(["mean", "sum", "none"])


@st.composite
def scored_targets(draw, min_dims=0):
    """The shape of logits, targets for them, and which target does not count."""
    lead = draw(shapes(min_dims=min_dims, max_dims=2))
    n = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(seeds))
    ignored = draw(st.sampled_from([-1, -100, 0]))
    targets = rng.integers(0, n, lead, dtype=draw(st.sampled_from([np.int64, np.int32])))
    left_out = rng.random(lead) < 0.3
    targets = np.where(left_out, ignored, targets).astype(targets.dtype)
    return (*lead, n), targets, ignored


@given(scored_targets(), reductions, seeds)
def test_gradient(drawn, reduction, seed):
    shape, targets, ignored = drawn
    if reduction == "mean" and (targets == ignored).all():
        return
    (logits,) = tensors([shape], seed)
    assert gradcheck(lambda x: F.cross_entropy(x, targets, ignored, reduction), logits)
    smoothing = np.random.default_rng(seed).random()
    assert gradcheck(lambda x: F.cross_entropy(x, targets, ignored, reduction, smoothing), logits)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@given(scored_targets(min_dims=1), st.sampled_from([0.0, 0.1, 0.9]), seeds)
def test_equals_plain(dtype, tolerance, drawn, smoothing, seed):
    shape, targets, ignored = drawn
    if (targets == ignored).all():
        return
    assert_same_function(
        lambda x: F.cross_entropy(x, targets, ignored, label_smoothing=smoothing),
        lambda x: plain.cross_entropy(x, targets, ignored, smoothing),
        tensors([shape], seed, dtype),
        seed,
        tolerance,
    )


@given(scored_targets(), seeds)
def test_reductions_belong_together(drawn, seed):
    shape, targets, ignored = drawn
    (x,) = tensors([shape], seed)
    each = F.cross_entropy(x, targets, ignored, "none").data
    counted = targets != ignored
    assert each.shape == targets.shape
    assert (each[~counted] == 0).all()
    assert F.cross_entropy(x, targets, ignored, "sum").item() == pytest.approx(each.sum())
    if counted.any():
        assert F.cross_entropy(x, targets, ignored).item() == pytest.approx(each[counted].mean())


@given(scored_targets(min_dims=1), seeds)
def test_log_likelihood(drawn, seed):
    shape, targets, ignored = drawn
    (x,) = tensors([shape], seed)
    log_p = np.log(np.exp(x.data) / np.exp(x.data).sum(axis=-1, keepdims=True))
    picked = np.take_along_axis(log_p, np.where(targets == ignored, 0, targets)[..., None], -1)
    expected = np.where(targets == ignored, 0, picked[..., 0]).sum(axis=-1)
    np.testing.assert_allclose(F.log_likelihood(x, targets, ignored).data, expected, rtol=1e-12)
    assert gradcheck(lambda x: F.log_likelihood(x, targets, ignored), x)


@given(st.integers(2, 9), st.floats(0.01, 0.99), seeds)
def test_smoothed_it_is_lowest_where_the_model_says_what_is_asked_for(n, smoothing, seed):
    """The logits log q have the loss −Σ q log q, the entropy of q, and no gradient."""
    q = np.full(n, smoothing / n)
    q[0] += 1 - smoothing
    x = Tensor(np.log(q) + 3, requires_grad=True)  # softmax takes the 3 away
    loss = F.cross_entropy(x, np.array(0), label_smoothing=smoothing)
    loss.backward()
    assert loss.item() == pytest.approx(-(q * np.log(q)).sum())
    np.testing.assert_allclose(x.grad, 0, atol=1e-12)
    other = Tensor(x.data + np.random.default_rng(seed).standard_normal(n))
    assert F.cross_entropy(other, np.array(0), label_smoothing=smoothing).item() > loss.item()


@given(st.integers(2, 100))
def test_equal_logits_cost_the_logarithm_of_the_vocabulary(n):
    loss = F.cross_entropy(Tensor(np.zeros((3, n))), np.array([0, 1, n - 1]))
    assert loss.item() == pytest.approx(math.log(n))


def test_large_logits_do_not_overflow():
    x = Tensor(np.array([[1e30, 0.0], [-1e30, 0.0]], np.float32), requires_grad=True)
    with np.errstate(over="raise", invalid="raise"):
        loss = F.cross_entropy(x, np.array([0, 1]))
        loss.backward()
    assert loss.item() == 0
    np.testing.assert_array_equal(x.grad, 0)


def test_places_left_out_have_no_gradient():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    F.cross_entropy(x, np.array([-1, 2])).backward()
    np.testing.assert_array_equal(x.grad[0], 0)
    np.testing.assert_allclose(x.grad[1], [1 / 3, 1 / 3, -2 / 3])


@pytest.mark.parametrize(
    ("targets", "options", "error", "message"),
    [
        (
            [0],
            {},
            ValueError,
            r"cross_entropy: targets must have shape \(2,\): got \(1,\), as logits "
            r"are \(2, 3\)",
        ),
        (
            [[0], [0]],
            {},
            ValueError,
            r"cross_entropy: targets must have shape \(2,\): got \(2, 1\), as logits "
            r"are \(2, 3\)",
        ),
        (
            [0, 3],
            {},
            IndexError,
            "targets must be from 0 to 2, as the vocabulary has 3 entries: got 3",
        ),
        (
            [0, -2],
            {},
            IndexError,
            "targets must be from 0 to 2, as the vocabulary has 3 entries: got -2",
        ),
        (
            [0.0, 1.0],
            {},
            TypeError,
            r"targets must be integers: got a float64 array of shape \(2,\)",
        ),
        (
            [True, False],
            {},
            TypeError,
            r"targets must be integers: got a bool array of shape \(2,\)",
        ),
        (
            [-1, -1],
            {},
            ValueError,
            "cross_entropy: every target is ignore_index=-1: there is no mean of none",
        ),
        (
            [0, 1],
            {"label_smoothing": 1},
            ValueError,
            "label_smoothing must be a probability, 0 <= label_smoothing < 1: got 1",
        ),
        (
            [0, 1],
            {"label_smoothing": -0.1},
            ValueError,
            "label_smoothing must be a probability, 0 <= label_smoothing < 1: got "
            r"-0\.1",
        ),
        (
            [0, 1],
            {"label_smoothing": float("nan")},
            ValueError,
            "label_smoothing must be a probability, 0 <= label_smoothing < 1: got nan",
        ),
        (
            [0, 1],
            {"label_smoothing": True},
            TypeError,
            "label_smoothing must be a probability, 0 <= label_smoothing < 1: got True",
        ),
        (
            [0, 1],
            {"reduction": "max"},
            ValueError,
            'reduction must be "mean", "sum" or "none": got',
        ),
    ],
)
def test_wrong_arguments(targets, options, error, message):
    with pytest.raises(error, match=message):
        F.cross_entropy(Tensor(np.zeros((2, 3))), np.array(targets), **options)
