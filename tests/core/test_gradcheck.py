"""gradcheck itself: it must not pass what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from minigpt import Tensor, gradcheck
from minigpt.autograd import record
from minigpt.gradcheck import GradcheckError


def tensor(*values):
    return Tensor(np.array(values), requires_grad=True)


def square_with(vjp):
    """x², with whatever is given as its derivative."""
    return lambda x: record(x.data * x.data, (x,), lambda g: (vjp(g, x.data),))


def test_a_right_derivative_passes():
    assert gradcheck(square_with(lambda g, a: 2 * a * g), tensor(1.0, -2.0, 3.0)) is True


@pytest.mark.parametrize(
    "vjp",
    [
        lambda g, a: a * g,
        lambda g, a: 2 * a * g * (1 + 1e-4),
        lambda g, a: np.roll(2 * a * g, 1),
        lambda g, a: 2 * a * g.sum(),
        lambda g, a: np.zeros_like(a),
    ],
    ids=["factor", "a little off", "moved", "summed", "zero"],
)
def test_a_wrong_derivative_fails(vjp):
    with pytest.raises(GradcheckError, match=r"worst at inputs\[0\]\[\d\]: .* off by"):
        gradcheck(square_with(vjp), tensor(1.0, -2.0, 3.0))


def test_the_worst_entry_is_named_with_both_values():
    def vjp(g, a):
        return 2 * a * g + np.array([0.0, 0.5, 0.1])

    with pytest.raises(GradcheckError, match=r"inputs\[1\]\[1\]: .*, off by 0\.5"):
        gradcheck(lambda x, y: x + square_with(vjp)(y), [tensor(0.0, 0.0, 0.0), tensor(1, 1, 1.0)])


def test_a_nan_fails_and_is_named():
    def vjp(g, a):
        return 2 * a * g + np.array([0.0, np.nan, 0.0])

    with pytest.raises(GradcheckError, match=r"inputs\[0\]\[1\]: nan"):
        gradcheck(square_with(vjp), tensor(1.0, -2.0, 3.0))


def test_a_value_that_is_not_finite_fails():
    with np.errstate(invalid="ignore"), pytest.raises(GradcheckError, match="nan"):
        gradcheck(lambda x: x.log(), tensor(1.0, -1.0))


@pytest.mark.parametrize(
    "vjp",
    [lambda g, a: (2 * a * g)[None], lambda g, a: (2 * a * g)[:1], lambda g, a: (2 * a * g).sum()],
    ids=["axis too many", "cut", "scalar"],
)
def test_a_gradient_of_the_wrong_shape_fails(vjp):
    with pytest.raises(
        GradcheckError, match=r"VJP of square_with .*float64 of shape \(3,\): got f"
    ):
        gradcheck(square_with(vjp), tensor(1.0, -2.0, 3.0))


def test_a_gradient_of_the_wrong_dtype_fails():
    with pytest.raises(GradcheckError, match=r"VJP of square_with .*got float32 of shape"):
        gradcheck(square_with(lambda g, a: (2 * a * g).astype(np.float32)), tensor(1.0, 2.0))


def test_a_gradient_that_never_arrives_fails():
    """The second input has an influence on the value that no VJP tells of."""
    with pytest.raises(GradcheckError, match=r"inputs\[1\]"):
        gradcheck(lambda x, y: x * y.detach(), [tensor(1.0), tensor(2.0)])


def test_inputs_that_need_no_gradient_are_left_alone():
    constant = Tensor(np.array([3.0]))
    assert gradcheck(lambda x, c: x * c, [tensor(1.0), constant])
    np.testing.assert_array_equal(constant.data, [3.0])


def test_nothing_is_changed():
    x = tensor(1.0, 2.0)
    data = x.data
    gradcheck(lambda x: x.exp(), x)
    assert x.data is data
    assert x.grad is None
    np.testing.assert_array_equal(data, [1.0, 2.0])


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        (Tensor([1.0], requires_grad=True), r"a float32 Tensor of shape \(1,\)"),
        (np.ones(2), r"a float64 array of shape \(2,\)"),
        (2.0, "2.0"),
    ],
)
def test_inputs_that_are_no_float64_tensors_are_refused(bad, found):
    with pytest.raises(TypeError, match=rf"inputs\[1\] must be a float64 Tensor: got {found}"):
        gradcheck(lambda x, y: x * y, [tensor(1.0), bad])


@pytest.mark.parametrize(
    ("fn", "found"),
    [
        (lambda x: x.data, "a float64 array"),
        (lambda x: (x, x), r"\(Tensor"),
        (lambda x: None, "None"),
    ],
)
def test_a_function_gives_one_tensor(fn, found):
    with pytest.raises(TypeError, match=f"what fn returns must be a Tensor: got {found}"):
        gradcheck(fn, tensor(1.0, 2.0))


def test_a_function_without_a_graph_is_refused():
    with pytest.raises(RuntimeError, match="without a graph"):
        gradcheck(lambda x: x.detach() * 2, tensor(1.0, 2.0))


def test_no_input_that_requires_a_gradient_is_refused():
    with pytest.raises(ValueError, match="requires_grad=True"):
        gradcheck(lambda x: x * 2, Tensor(np.ones(2)))
