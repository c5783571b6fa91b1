"""The short convolution: the sum that it is, its derivative, and what it refuses."""

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import Tensor, gradcheck
from minigpt.functional import plain


def pair(shape, n_taps, dtype=np.float64):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(shape), rng.standard_normal((n_taps, shape[-1]))
    return tuple(Tensor(a.astype(dtype), requires_grad=True) for a in (x, w))


@pytest.mark.parametrize("n_taps", [1, 2, 4, 9])  # more taps than tokens, too
@pytest.mark.parametrize("shape", [(2, 5, 3), (1, 1, 2), (3, 400, 160)])  # the last one in pieces
def test_it_is_the_plain_one(shape, n_taps):
    x, w = pair(shape, n_taps)
    y, expected = F.short_convolution(x, w), plain.short_convolution(x, w)
    np.testing.assert_allclose(y.data, expected.data, rtol=1e-12, atol=1e-12)
    g = np.random.default_rng(1).standard_normal(shape)
    found = []
    for output in (y, expected):
        x.grad = w.grad = None
        (output * g).sum().backward()
        found.append((x.grad, w.grad))
    for own, plainly in zip(*found, strict=True):
        np.testing.assert_allclose(own, plainly, rtol=1e-9, atol=1e-9)


def test_gradients():
    assert gradcheck(F.short_convolution, pair((2, 5, 3), 4))
    x, w = pair((1, 4, 2), 3)
    assert gradcheck(lambda w: F.short_convolution(x.detach(), w), [w])
    assert gradcheck(lambda x: F.short_convolution(x, w.detach()), [x])


def test_no_token_hears_of_later_ones_and_no_feature_of_others():
    x, w = pair((1, 6, 3), 3)
    changed = x.data.copy()
    changed[0, 2, 1] += 1
    differs = F.short_convolution(Tensor(changed), w).data != F.short_convolution(x, w).data
    assert {(int(t), int(c)) for _, t, c in np.argwhere(differs)} == {(2, 1), (3, 1), (4, 1)}


def test_float32_stays_and_no_tokens_are_none():
    x, w = pair((2, 3, 4), 4, np.float32)
    assert F.short_convolution(x, w).dtype == np.float32
    assert F.short_convolution(Tensor(np.zeros((2, 0, 4), np.float32)), w).shape == (2, 0, 4)


@pytest.mark.parametrize(
    ("x", "w", "error", "match"),
    [
        ((2, 3), (4, 3), ValueError, r"short_convolution: x must be of shape \(B, T, C\)"),
        ((1, 2, 3), (4, 2), ValueError, r"weight must be of shape \(K, 3\), as x is \(1, 2, 3\)"),
        ((1, 2, 3), (0, 3), ValueError, r"weight must be of shape \(K, 3\)"),
        ((1, 2, 3), (3,), ValueError, r"weight must be of shape \(K, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(x, w, error, match):
    with pytest.raises(error, match=match):
        F.short_convolution(Tensor(np.zeros(x)), Tensor(np.zeros(w)))
    with pytest.raises(TypeError, match="dtype"):
        F.short_convolution(Tensor(np.zeros((1, 2, 3))), Tensor(np.zeros((4, 3), np.float32)))
