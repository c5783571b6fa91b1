"""The Tensor: what it is made of, the rule for types, operators, comparisons."""

from __future__ import annotations

import copy
import operator as op
from typing import Any

import numpy as np
import pytest

from minigpt import Tensor, no_grad

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


@pytest.mark.parametrize("dtype", [F32, F64])
def test_a_float_array_is_shared_and_keeps_its_type(dtype):
    array = np.arange(6, dtype=dtype).reshape(2, 3)
    x = Tensor(array)
    assert x.data is array
    assert x.numpy() is array
    assert (x.shape, x.dtype, x.ndim, x.size, len(x)) == ((2, 3), dtype, 2, 6, 2)
    assert not x.requires_grad
    assert x.grad is None


@pytest.mark.parametrize(
    "numbers", [2, 2.5, True, [1, 2], [1.5, 2], [[True], [False]], (), [], np.float32(2)]
)
def test_numbers_become_float32(numbers):
    x = Tensor(numbers)
    assert x.dtype == F32
    np.testing.assert_array_equal(x.data, np.asarray(numbers, np.float32))


def test_a_float64_scalar_of_numpy_stays_float64():
    assert Tensor(np.float64(2)).dtype == F64


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.arange(3), "float32 or float64: got an int64 array.*astype"),
        (np.ones(3, bool), "float32 or float64: got a bool array"),
        (np.ones(3, np.float16), "float32 or float64: got a float16 array"),
        (np.ones(3, np.dtype(np.float32).newbyteorder()), "float32 or float64: got a [<>]f4 array"),
        (np.ones(3, np.complex64), "float32 or float64: got a complex64 array"),
        (np.int32(3), "float32 or float64: got an int32 array"),
        (np.array([None]), "float32 or float64: got an object array"),
        (None, "array must be made of numbers: got None"),
        ("text", "array must be made of numbers: got 'text'"),
        ([1, "a"], r"array must be made of numbers: got \[1, 'a'\]"),
        (1j, "array must be made of numbers: got 1j"),
        (Tensor([1.0]), r"an array, not a Tensor: got a float32 Tensor.*x\.detach\(\)"),
    ],
    ids=repr,
)
def test_other_things_are_refused(array, message):
    with pytest.raises(TypeError, match=message):
        Tensor(array)


def test_rows_of_different_lengths_make_no_tensor():
    with pytest.raises(ValueError, match=r"array of numbers with rows of one length: got \[\[1"):
        Tensor([[1.0], [1.0, 2.0]])
    with pytest.raises(ValueError, match=r"with rows of one length: got \[\[1"):
        Tensor([1.0]) * [[1.0], [1.0, 2.0]]


def test_item():
    assert Tensor([[2.5]]).item() == 2.5
    assert type(Tensor(np.array(2.5)).item()) is float
    assert float(Tensor(2.5)) == 2.5
    for several in ([1.0, 2.0], []):
        with pytest.raises(
            ValueError,
            match=r"the tensor must be of one number: got a float32 Tensor of shape \(\d,\)",
        ):
            Tensor(several).item()


def test_the_outcome_of_an_operation_is_an_array_even_without_axes():
    x = Tensor(2.0, requires_grad=True)
    y = (x * 3 + 1).exp().sqrt()
    assert type(y.data) is np.ndarray
    y.backward()
    assert type(x.grad) is np.ndarray
    assert x.grad.shape == ()


def test_detach_shares_the_array_and_stops_the_gradient():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    d = y.detach()
    assert d.data is y.data
    assert not d.requires_grad
    (y * d).sum().backward()
    np.testing.assert_array_equal(x.grad, 2 * y.data)


def test_repr():
    assert repr(Tensor([1.0, 2.0])) == "Tensor([1., 2.])"
    assert repr(Tensor(np.array([1.5]), requires_grad=True)) == (
        "Tensor([1.5], dtype=float64, requires_grad=True)"
    )
    assert repr(Tensor(np.eye(2, dtype=np.float32))) == ("Tensor([[1., 0.],\n        [0., 1.]])")


def test_a_notebook_shows_the_numbers_and_the_gradient():
    x = Tensor([[1.0, -2.0]], requires_grad=True)
    y = x * 3
    assert "Tensor (1, 2), float32, requires a gradient<" in x._repr_html_()
    assert "Tensor (1, 2), float32, computed by multiply<" in y._repr_html_()
    assert "its gradient" not in x._repr_html_()
    y.sum().backward()
    page = x._repr_html_()
    assert page.count("<table") == 2 and page.index("its gradient") < page.rindex(">3</td>")
    assert "Tensor (), float64<" in Tensor(np.array(2.5))._repr_html_()


def test_an_operation_is_called_by_the_function_that_records_it():
    x = Tensor([[1.0, 2.0]], requires_grad=True)
    y = x @ Tensor([[1.0], [1.0]])
    assert y.node.operation == "matmul" and y.sum().node.operation == "sum"
    y.backward()
    assert y.node.operation == ""


def test_length_and_iteration():
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    first, second = x
    (first * second).sum().backward()
    np.testing.assert_array_equal(x.grad, [[3, 4], [1, 2]])
    with pytest.raises(TypeError, match="single number"):
        len(Tensor(1.0))
    with pytest.raises(TypeError):
        iter(list(Tensor(1.0)))


# ── operators ─────────────────────────────────────────────────────────────────────────────────

OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "@": lambda a, b: a @ b,
}
A, B = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[-2.0, 4.0], [0.5, 8.0]])
with_every_operator = pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)


@with_every_operator
@pytest.mark.parametrize("dtype", [F32, F64])
def test_operators_with_tensors_and_arrays_on_either_side(operator, dtype):
    a, b = A.astype(dtype), B.astype(dtype)
    x, y = Tensor(a, requires_grad=True), Tensor(b)
    for result in (operator(x, y), operator(x, b), operator(a, y)):
        assert type(result) is Tensor
        assert result.dtype == dtype
        np.testing.assert_array_equal(result.data, operator(a, b))


@with_every_operator
def test_an_array_on_the_left_passes_the_gradient_on(operator):
    left, right = Tensor(A), Tensor(B, requires_grad=True)
    operator(left, right).sum().backward()
    expected = right.grad
    right.zero_grad()
    operator(A, right).sum().backward()
    np.testing.assert_array_equal(right.grad, expected)


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize(
    "number",
    [3, 3.0, True, np.float32(3), np.float64(3), np.int64(3), np.array(3.0), np.array(3)],
    ids=lambda n: f"{type(n).__name__} {getattr(n, 'dtype', '')}",
)
@pytest.mark.parametrize("name", ["+", "-", "*", "/"])
def test_a_number_takes_the_tensors_dtype(name, number, dtype):
    x = Tensor(A.astype(dtype), requires_grad=True)
    for result in (OPERATORS[name](x, number), OPERATORS[name](number, x)):
        assert type(result) is Tensor
        assert result.dtype == dtype
        result.sum().backward()
        assert x.grad.dtype == dtype
    expected = OPERATORS[name](A.astype(dtype), np.asarray(number, dtype))
    np.testing.assert_array_equal(OPERATORS[name](x, number).data, expected)


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize(
    "other", [np.array([2, 3]), np.array([True, False]), [2, 3], [2.5, 3], (True, 1)], ids=repr
)
def test_integers_booleans_and_lists_take_the_tensors_dtype(other, dtype):
    x = Tensor(A.astype(dtype))
    for result in (x + other, other + x, x * other, other - x):
        assert type(result) is Tensor
        assert result.dtype == dtype


@with_every_operator
def test_float32_and_float64_do_not_mix(operator):
    x, y = Tensor(A.astype(F32)), Tensor(B)
    for mixed in ((x, y), (y, x)):
        with pytest.raises(TypeError, match=r"float(32|64) and float(32|64) tensors do not mix"):
            operator(*mixed)
    for left, right in ((x, B), (A, x), (y, B.astype(F32)), (A.astype(F32), y)):
        with pytest.raises(TypeError, match=r"array and a .* tensor do not mix"):
            operator(left, right)


@pytest.mark.parametrize("wrong", [None, "2", object(), {}, [None], np.array(["a"]), 1j])
@with_every_operator
def test_what_is_no_number_is_refused(operator, wrong):
    with pytest.raises(
        TypeError,
        match=r"operand must be a number, an array of numbers or a Tensor: got|unsupported",
    ):
        operator(Tensor(A), wrong)


def test_unary_operators_and_power():
    x = Tensor(A)
    np.testing.assert_array_equal((-x).data, -A)
    np.testing.assert_array_equal(abs(-x).data, A)
    np.testing.assert_allclose((x**3).data, A**3)
    np.testing.assert_array_equal(x.T.data, A.T)
    for wrong in (x, A, "2", None, True):
        with pytest.raises(TypeError, match=r"exponent must be a finite number: got|unsupported"):
            x**wrong


@pytest.mark.parametrize("sign", ["+", "-", "*", "/"])
def test_what_learns_is_not_replaced_by_an_operator_that_looks_as_if_it_changed_it(sign):
    first = Tensor([2.0, 4.0], requires_grad=True)
    scope: dict[str, Any] = {"w": first, "x": Tensor([2.0, 4.0])}
    with pytest.raises(RuntimeError, match=rf"write x = x \{sign} … where a new one is meant"):
        exec(f"w {sign}= 2.0", scope)
    assert scope["w"] is first
    exec(f"x {sign}= 2.0", scope)
    exec(f"y = w * 1\ny {sign}= 2.0", scope)  # what is computed from it may get a new value
    exec(f"expected = w.data {sign} 2.0", scope)
    np.testing.assert_array_equal(scope["x"].data, scope["expected"])
    np.testing.assert_array_equal(scope["y"].data, scope["expected"])
    scope["y"].sum().backward()
    assert first.grad is not None


def test_a_single_number_is_formatted_as_a_number():
    loss = Tensor([1.0, 3.0], requires_grad=True).mean()
    assert f"{loss:.3f}" == "2.000" and f"{loss}" == str(loss)
    with pytest.raises(ValueError, match=r"item\(\)"):
        format(Tensor([1.0, 2.0]), ".3f")


def test_comparisons_give_boolean_arrays():
    x, y = Tensor(A, requires_grad=True), Tensor(B)
    for left, right in ((x, y), (x, B), (x, 2), (A, y), (2, y)):
        a, b = (t.data if isinstance(t, Tensor) else t for t in (left, right))
        for found, expected in (
            (left < right, a < b),
            (left <= right, a <= b),
            (left > right, a > b),
            (left >= right, a >= b),
        ):
            assert type(found) is np.ndarray
            assert found.dtype == np.bool_
            np.testing.assert_array_equal(found, expected)


def test_tensors_are_told_apart_by_identity():
    x, y = Tensor([1.0]), Tensor([1.0])
    assert len({x, y, x}) == 2
    assert {x: "x", y: "y"}[y] == "y"


def test_equality_is_of_the_numbers():
    x = Tensor([1.0, 2.0])
    assert (x == Tensor([1.0, 3.0])).tolist() == [True, False]
    assert (x != 1.0).tolist() == [False, True]


def test_truth():
    assert Tensor(1.0)
    assert not Tensor([0.0])
    with pytest.raises(ValueError, match="ambiguous"):
        bool(Tensor([1.0, 2.0]))


# ── NumPy ─────────────────────────────────────────────────────────────────────────────────────


def test_numpy_reads_a_tensor_but_never_loses_a_gradient():
    x = Tensor(A)
    assert np.asarray(x) is A
    assert np.array(x) is not A
    assert np.asarray(x, dtype=np.float32).dtype == np.float32
    for lose in (np.asarray, np.linalg.norm, lambda t: np.concatenate([t, t])):
        with pytest.raises(TypeError, match=r"lose this tensor's gradient.*x\.detach\(\)"):
            lose(Tensor(A, requires_grad=True))


def test_numpys_functions_do_not_take_tensors_apart():
    with pytest.raises(TypeError, match=r"NumPy's exp .*x\.exp\(\)"):
        np.exp(Tensor(A))


# ── conversion, copying ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("before", "after"), [(F32, F64), (F64, F32), (F32, F32)])
def test_astype_converts_the_value_and_takes_the_gradient_back(before, after):
    x = Tensor(A.astype(before), requires_grad=True)
    y = x.astype(after)
    assert y.dtype == after
    (y * y).sum().backward()
    assert x.grad.dtype == before
    np.testing.assert_allclose(x.grad, 2 * A)
    with pytest.raises(
        TypeError, match=r"dtype must be np\.float32 or np\.float64: got the class int32"
    ):
        x.astype(np.int32)


def test_a_leaf_can_be_copied():
    x = Tensor(A.copy(), requires_grad=True)
    y = copy.deepcopy(x)
    y.data[0, 0] = 100
    assert y.requires_grad
    assert x.data[0, 0] == 1


def test_what_no_gradient_reaches_requires_none():
    x, c = Tensor(A, requires_grad=True), Tensor(B)
    assert (x * c).requires_grad
    assert not (c * c).requires_grad
    assert (c * c).node is None
    with no_grad():
        assert not (x * c).requires_grad


def test_arrays_at_the_left_leave_the_operation_to_the_tensor():
    x, a = Tensor([1.0, 2.0, 4.0], requires_grad=True), np.array([2, 2, 2], np.float32)
    for operation in (op.add, op.sub, op.mul, op.truediv, op.matmul):
        for left in (a, np.float32(2), np.int64(2)):
            if operation is op.matmul and np.ndim(left) == 0:
                continue
            y = operation(left, x)
            assert isinstance(y, Tensor) and y.requires_grad
            assert np.array_equal(y.data, operation(left, x.data))
    for comparison in (op.eq, op.ne, op.lt, op.le, op.gt, op.ge):
        assert np.array_equal(comparison(a, x), comparison(a, x.data))
    b = a
    b += x  # the name is the sum's now, and the array as it was
    assert isinstance(b, Tensor) and np.array_equal(a, [2, 2, 2])


@pytest.mark.parametrize("grad", [True, False])
def test_numpys_functions_say_what_to_use(grad):
    x = Tensor([1.0, 2.0], requires_grad=grad)
    for function in (np.exp, np.tanh, np.sum, np.mean, np.var, np.max):
        name = function.__name__.removeprefix("a")
        with pytest.raises(TypeError, match=rf"x\.{name}\(\) or .*x\.detach\(\)"):
            function(x)
    for call in (
        lambda: np.prod(x),
        lambda: np.sin(x),
        lambda: np.zeros(2, np.float32) ** x,
        lambda: np.add(np.zeros(2, np.float32), x, out=np.zeros(2, np.float32)),
    ):
        with pytest.raises(TypeError, match="its own methods and minigpt"):
            call()
    assert np.shape(x) == (2,)


def test_numpys_functions_take_constants_as_arrays():
    x = Tensor([1.0, 2.0])
    assert np.allclose(x, [1, 2]) and np.stack([x, x]).shape == (2, 2)
