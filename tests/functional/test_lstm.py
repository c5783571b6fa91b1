"""The LSTM over a sequence: derivative, equality with plain, state, padding, errors."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt.functional as F
from minigpt import Tensor, gradcheck, no_grad
from minigpt.functional import plain
from tests.strategies import assert_same_function, seeds, tensors

lstm_module = sys.modules["minigpt.functional.lstm"]
TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}


@pytest.fixture(scope="module", autouse=True, params=[lstm_module.AT_ONCE, 50, 1])
def numbers_at_once(request):
    """Everything here holds for many steps at once, for a few, and for one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lstm_module, "AT_ONCE", request.param)
        yield


def shapes_of(b, t, n_in, n):
    return [(b, t, n_in), (n_in, 4 * n), (n, 4 * n), (4 * n,), (b, n), (b, n)]


@st.composite
def cases(draw):
    """Shapes of all inputs, and a mask or none; padding may be anywhere, and a row all of it."""
    b, t, n_in, n = (draw(st.integers(1, most)) for most in (3, 4, 3, 3))
    mask = None
    if draw(st.booleans()):
        mask = np.random.default_rng(draw(seeds)).random((b, t)) < 0.6
    return shapes_of(b, t, n_in, n), mask


def joined(states, c):
    """Both results as one tensor."""
    return F.concatenate([states.reshape(len(states.data), -1), c], axis=1)


@given(cases(), seeds)
def test_gradient(drawn, seed):
    shapes, mask = drawn
    inputs = tensors(shapes, seed)
    assert gradcheck(lambda *a: joined(*F.lstm(*a, mask=mask)), inputs)
    assert gradcheck(lambda *a: F.lstm(*a, mask=mask)[0], inputs[:4])
    assert gradcheck(lambda *a: F.lstm(*a, mask=mask)[1], inputs)


@pytest.mark.parametrize("dtype", TOLERANCE)
@given(cases(), seeds)
def test_equals_plain(dtype, drawn, seed):
    shapes, mask = drawn
    inputs = tensors(shapes, seed, dtype)
    fused, composed = (lambda *a, f=f: joined(*f(*a, mask=mask)) for f in (F.lstm, plain.lstm))
    assert_same_function(fused, composed, inputs, seed, TOLERANCE[dtype])
    with no_grad():
        np.testing.assert_allclose(
            fused(*inputs).data, composed(*inputs).data, atol=TOLERANCE[dtype]
        )


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("width", [32, 56, 224])
def test_equals_plain_where_products_are_large(n_steps, width, monkeypatch):
    """W_hh is cut in blocks of columns, and for the walk back turned round."""
    n_rows, n = 24, 56
    monkeypatch.setattr(lstm_module, "UNPACKED", width * n_rows * n)
    assert lstm_module._block_width(n_rows, n) == width
    assert n_rows * 4 * n * n > lstm_module.SMALL_PRODUCT
    inputs = tensors(shapes_of(n_rows, n_steps, 5, n), 0)
    fused, composed = (lambda *a, f=f: joined(*f(*a)) for f in (F.lstm, plain.lstm))
    assert_same_function(fused, composed, inputs, 1, 1e-10)


def test_the_state_is_that_of_the_last_step_and_goes_on():
    inputs = tensors(shapes_of(2, 7, 3, 4), seed=0)
    x, weights, state = inputs[0], inputs[1:4], inputs[4:]
    whole, last_c = F.lstm(x, *weights, *state)
    first, c = F.lstm(x[:, :3], *weights, *state)
    second, c = F.lstm(x[:, 3:], *weights, first[:, -1], c)
    np.testing.assert_allclose(F.concatenate([first, second], axis=1).data, whole.data, rtol=1e-12)
    np.testing.assert_allclose(c.data, last_c.data, rtol=1e-12)
    # Not truncated, the gradient of the two parts is that of the whole as well.
    (whole.sum() + last_c.sum()).backward()
    expected = [tensor.grad for tensor in inputs]
    for tensor in inputs:
        tensor.grad = None
    (first.sum() + second.sum() + c.sum()).backward()
    for tensor, gradient in zip(inputs, expected, strict=True):
        np.testing.assert_allclose(tensor.grad, gradient, rtol=1e-10, atol=1e-12)


def test_without_a_state_it_starts_from_zeros():
    x, *weights = tensors(shapes_of(2, 3, 3, 4)[:4], seed=0)
    zeros = Tensor(np.zeros((2, 4)))
    for found, expected in zip(F.lstm(x, *weights), F.lstm(x, *weights, zeros, zeros), strict=True):
        np.testing.assert_array_equal(found.data, expected.data)


def test_padding_leaves_the_state_untouched():
    inputs = tensors(shapes_of(2, 5, 3, 4), seed=0)
    x, weights, (h0, c0) = inputs[0], inputs[1:4], inputs[4:]
    mask = np.array([[False, False, True, True, True], [True, True, True, False, False]])
    h, c = F.lstm(x, *weights, h0, c0, mask)
    np.testing.assert_array_equal(h.data[0, :2], np.broadcast_to(h0.data[0], (2, 4)))
    for row, read in ((0, slice(2, 5)), (1, slice(0, 3))):
        part = slice(row, row + 1)
        alone, alone_c = F.lstm(x[part, read], *weights, h0[part], c0[part])
        np.testing.assert_allclose(h.data[row, read], alone.data[0], rtol=1e-12)
        np.testing.assert_allclose(c.data[row], alone_c.data[0], rtol=1e-12)
    np.testing.assert_array_equal(h.data[1, 3:], np.broadcast_to(h.data[1, 2], (2, 4)))
    h.sum().backward()
    np.testing.assert_array_equal(x.grad[~mask], 0)


def test_the_gates_by_hand():
    """One step of one cell, every gate with weights of its own: σ(0) = ½, tanh(½) = 0.4621."""
    x, h, c = (Tensor(np.full((1, *shape), 1.0)) for shape in ((1, 1), (1,), (1,)))
    w = Tensor(np.array([[0.0, 20.0, 0.25, 0.0]]))
    states, c = F.lstm(x, w, w, Tensor(np.zeros(4)), h, c)
    assert c.item() == pytest.approx(1 + 0.5 * np.tanh(0.5))  # f = 1, i = ½, g = tanh(½)
    assert states.item() == pytest.approx(0.5 * np.tanh(c.item()))  # o = ½


def test_large_inputs_saturate_and_do_not_overflow():
    x, *weights = tensors(shapes_of(2, 3, 3, 4)[:4], seed=0, dtype=np.float32, low=-1e4, high=1e4)
    with np.errstate(all="raise", under="ignore"):
        h, c = F.lstm(x, *weights)
        (h.sum() + c.sum()).backward()
    assert np.isfinite(h.data).all()
    assert np.isfinite(weights[1].grad).all()


@pytest.mark.parametrize(
    ("shapes", "options", "error", "message"),
    [
        (
            [(2, 3)],
            {},
            ValueError,
            r"lstm: x must be of shape \(B, T, n_in\), none of them 0: got a float64 "
            r"Tensor of shape \(2, 3\)",
        ),
        ([(2, 0, 3)], {}, ValueError, "none of them 0"),
        (
            [(2, 5, 3), (3, 8), (2, 6)],
            {},
            ValueError,
            r"lstm: weight_hh must be of shape \(H, 4·H\), the four gates side by "
            r"side: got a float64 Tensor of shape \(2, 6\)",
        ),
        (
            [(2, 5, 3), (4, 8)],
            {},
            ValueError,
            r"lstm: weight_ih must have shape \(3, 8\): got \(4, 8\), as x is \(2, 5, "
            r"3\) and weight_hh \(2, 8\)",
        ),
        (
            [(2, 5, 3), (3, 8), (2, 8), (9,)],
            {},
            ValueError,
            r"lstm: bias must have shape \(8,\): got \(9,\), as x is \(2, 5, 3\) and "
            r"weight_hh \(2, 8\)",
        ),
        (
            [],
            {"h0": np.zeros((3, 2))},
            ValueError,
            r"lstm: h0 must have shape \(2, 2\): got \(3, 2\), as x is \(2, 5, 3\) "
            r"and weight_hh \(2, 8\)",
        ),
        (
            [],
            {"c0": np.zeros((2, 3))},
            ValueError,
            r"lstm: c0 must have shape \(2, 2\): got \(2, 3\), as x is \(2, 5, 3\) "
            r"and weight_hh \(2, 8\)",
        ),
        (
            [],
            {"c0": np.zeros((2, 2), np.float32)},
            TypeError,
            "lstm: c0 must have the dtype of x, float64: got float32",
        ),
        (
            [],
            {"mask": np.ones((2, 5))},
            TypeError,
            r"mask must be an array of booleans: got a float64 array of shape \(2, "
            r"5\)",
        ),
        (
            [],
            {"mask": np.ones((5, 2), bool)},
            ValueError,
            r"lstm: mask must have shape \(2, 5\): got \(5, 2\), as x is \(2, 5, 3\)",
        ),
    ],
)
def test_wrong_arguments(shapes, options, error, message):
    shapes = [*shapes, *shapes_of(2, 5, 3, 2)[len(shapes) : 4]]
    options = {k: Tensor(v) if k != "mask" else v for k, v in options.items()}
    with pytest.raises(error, match=message):
        F.lstm(*(Tensor(np.ones(s)) for s in shapes), **options)
