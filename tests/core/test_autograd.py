"""The walk back over the graph: sums, ownership, freeing, errors, long chains."""

from __future__ import annotations

import gc
import itertools
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt.functional as F
from minigpt import Tensor, gradcheck
from minigpt.autograd import gradients, record
from tests.strategies import seeds


def leaf(*shape, dtype=np.float64, seed=0):
    values = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return Tensor(values, requires_grad=True)


# ── sums ──────────────────────────────────────────────────────────────────────────────────────


def test_a_tensor_used_several_times_gets_the_sum():
    x = leaf(3)
    assert gradcheck(lambda x: x * x + x.exp() * x - x, x)
    assert gradcheck(lambda x: x + x, x)
    assert gradcheck(lambda x: x @ x, x)


def test_diamonds():
    def diamonds(x):
        for _ in range(6):  # 2⁶ paths, walked in 6 steps
            a, b = x.tanh(), x * 0.5
            x = a * b + a
        return x

    assert gradcheck(diamonds, leaf(3))


def test_every_operation_is_differentiated_once_however_many_paths_lead_to_it():
    calls = []

    def counted(x, name):
        def vjp(g):
            calls.append(name)
            return (g * 2,)

        return record(x.data * 2, (x,), vjp)

    x = y = leaf(2)
    for name in range(40):  # 2⁴⁰ paths
        y = counted(y, name)
        y = y + y
    y.sum().backward()
    assert calls == list(range(39, -1, -1))
    np.testing.assert_array_equal(x.grad, np.full(2, 4.0**40))


@st.composite
def programs(draw):
    """Some steps, each an operation on earlier results, of which the first three are leaves."""
    steps = []
    for n in range(3, 3 + draw(st.integers(1, 12))):
        operation = draw(st.sampled_from(["add", "subtract", "multiply", "tanh", "view"]))
        steps.append((operation, draw(st.integers(0, n - 1)), draw(st.integers(0, n - 1))))
    return steps


@given(programs(), seeds)
def test_any_graph(steps, seed):
    def run(*leaves):
        results = list(leaves)
        for operation, i, j in steps:
            a, b = results[i], results[j]
            results.append(
                {
                    "add": lambda a, b: a + b,
                    "subtract": lambda a, b: a - b,
                    "multiply": lambda a, b: a * b * 0.5,
                    "tanh": lambda a, b: a.tanh(),
                    "view": lambda a, b: a.reshape(4).reshape(2, 2).T,
                }[operation](a, b)
            )
        return F.stack(results[3:]).sum(axis=0)

    leaves = [leaf(2, 2, seed=seed + i) for i in range(3)]
    output = run(*leaves)
    assert gradcheck(run, leaves) or not output.requires_grad


def test_gradients_add_up_over_calls():
    x = leaf(3)
    (x * 2).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    assert x.grad is first
    np.testing.assert_array_equal(x.grad, [5, 5, 5])
    x.zero_grad()
    assert x.grad is None


def test_only_leaves_that_require_it_get_a_gradient():
    x, c = leaf(3), Tensor(np.ones(3))
    y = x * c
    y.sum().backward()
    assert x.grad is not None
    assert c.grad is None
    assert y.grad is None


def test_a_frozen_leaf_gets_no_gradient_and_thaws():
    x, w = leaf(3), leaf(3, seed=1)
    w.requires_grad = False
    assert list(gradients((x * w).sum())) == [x]
    w.requires_grad = True
    assert set(gradients((x * w).sum())) == {x, w}


def test_backward_from_a_leaf():
    x = leaf()
    x.backward()
    assert x.grad == 1


def test_a_given_gradient():
    x = leaf(2, 3)
    v = np.arange(6.0).reshape(2, 3)
    (x * 2).backward(v)
    np.testing.assert_array_equal(x.grad, 2 * v)


# ── who owns which array ──────────────────────────────────────────────────────────────────────

SHARING = {
    "x + y": lambda x, y: x + y,
    "x - y": lambda x, y: x - y,
    "x + y + x": lambda x, y: x + y + x,
    "x + x": lambda x, y: x + x + y,
    "reshape": lambda x, y: x.reshape(3, 2).reshape(2, 3) + y,
    "transpose": lambda x, y: x.T + y.T,
    "transposed twice": lambda x, y: x.T.T + y,
    "swapaxes": lambda x, y: x.swapaxes(0, 1) - y.swapaxes(1, 0),
    "broadcast": lambda x, y: x.broadcast_to((2, 2, 3)) + y,
    "sum": lambda x, y: x.sum() + y.sum() + (x.sum(axis=0) - y.sum(axis=0)),
    "mean": lambda x, y: x.mean(axis=1, keepdims=True) + y,
    "concatenate": lambda x, y: F.concatenate([x, y, x]),
    "stack": lambda x, y: F.stack([x, y, y], axis=1),
    "split": lambda x, y: x.split(3, axis=1)[0] + y.split(3, axis=1)[1],
    "index": lambda x, y: x[0] + y[1] + x[:, :1].sum(),
    "where": lambda x, y: F.where(np.eye(2, 3) > 0, x, y),
    "astype": lambda x, y: x.astype(x.dtype) + y,
    "linear": lambda x, y: F.linear(x, y.T, y.sum(axis=1)),
    "leaf alone": lambda x, y: x * 1 + y.reshape(2, 3),
    "maximum": lambda x, y: F.maximum(x, y) + x + y,
    "dropout of nothing": lambda x, y: F.dropout(x, 0.0, np.random.default_rng(0)) + y,
}


@pytest.mark.parametrize("fn", SHARING.values(), ids=SHARING)
def test_no_two_gradients_share_memory(fn):
    x, y = leaf(2, 3), leaf(2, 3, seed=1)
    output = fn(x, y)
    given_gradient = np.random.default_rng(2).standard_normal(output.shape)
    given_gradient.setflags(write=False)  # nothing may write to it
    before = given_gradient.copy()
    found = gradients(output, given_gradient)
    assert x.grad is None
    assert y.grad is None
    arrays = [given_gradient, x.data, y.data, output.data, *found.values()]
    for a, b in itertools.combinations(arrays, 2):
        if b is not output.data:  # a view is one: reshape
            assert not np.shares_memory(a, b)
    expected_y = found[y].copy()
    found[x] *= 100  # writable
    np.testing.assert_array_equal(found[y], expected_y)
    np.testing.assert_array_equal(given_gradient, before)


@pytest.mark.parametrize("fn", SHARING.values(), ids=SHARING)
def test_changing_a_gradient_in_place_changes_no_other(fn):
    x, y = leaf(2, 3), leaf(2, 3, seed=1)
    for _ in range(2):
        fn(x, y).sum().backward()
    expected = y.grad.copy()
    x.grad += 100
    np.testing.assert_array_equal(y.grad, expected)


@pytest.mark.parametrize("fn", SHARING.values(), ids=SHARING)
def test_the_gradients_of_what_shares_are_right(fn):
    assert gradcheck(fn, [leaf(2, 3), leaf(2, 3, seed=1)])


def test_the_gradient_of_a_leaf_itself_is_a_copy():
    x, g = leaf(3), np.ones(3)
    x.backward(g)
    assert not np.shares_memory(x.grad, g)


def test_gradients_leaves_grad_alone():
    x = leaf(3)
    x.grad = old = np.full(3, 7.0)
    found = gradients((x * 2).sum())
    assert x.grad is old
    np.testing.assert_array_equal(old, [7, 7, 7])
    np.testing.assert_array_equal(found[x], [2, 2, 2])


# ── memory ────────────────────────────────────────────────────────────────────────────────────


def test_values_that_no_derivative_needs_are_not_kept():
    x = leaf(3)
    y = x + 1
    kept = weakref.ref(y.data)
    z = y.exp()
    del y
    assert kept() is None
    z.sum().backward()
    np.testing.assert_array_equal(x.grad, z.data)


def test_the_graph_is_freed_as_it_is_walked():
    x = leaf(3)
    seen = []

    def probe(x):
        def vjp(g):
            seen.append([ref() is None for ref in kept])
            return (g,)

        return record(x.data.copy(), (x,), vjp)

    y = probe(x).exp()
    z = y.tanh()
    kept = [weakref.ref(y.data), weakref.ref(z.data)]  # both VJPs need their outputs again
    loss = z.sum()
    del y, z
    gc.disable()  # it shall not take the garbage collector
    try:
        assert [ref() is None for ref in kept] == [False, False]
        loss.backward()
    finally:
        gc.enable()
    assert seen == [[True, True]]
    assert loss.requires_grad


def test_a_graph_that_is_dropped_is_freed_without_backward():
    x = leaf(3)
    y = x.exp()
    kept = weakref.ref(y.data)
    z = y.sum()
    del y
    gc.disable()
    try:
        del z
        assert kept() is None
    finally:
        gc.enable()


def test_a_chain_of_100_000_operations():
    x = y = leaf(2)
    for _ in range(50_000):
        y = (-y).swapaxes(0, 0)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 1])


def test_a_long_chain_of_several_inputs():
    x, step = leaf(2), leaf(2, seed=1)
    y = x
    for _ in range(20_000):
        y = y + step
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 1])
    np.testing.assert_array_equal(step.grad, [20_000, 20_000])


def test_a_chain_of_300_000_operations_is_dropped():
    y = leaf()
    for _ in range(300_000):
        y = -y
    last = weakref.ref(y)
    del y
    assert last() is None


def test_a_chain_through_what_derivatives_hold_is_dropped():
    """Through biases, which linear takes as its third input."""
    x, w = Tensor(np.ones((1, 1))), Tensor(np.ones((1, 1)))
    bias = leaf(1)
    for _ in range(20_000):
        bias = F.linear(x, w, bias).reshape(1)
    last = weakref.ref(bias)
    del bias
    assert last() is None


# ── errors ────────────────────────────────────────────────────────────────────────────────────


def test_a_second_backward_says_that_the_graph_is_gone():
    x = leaf(3)
    loss = (x * x).sum()
    loss.backward()
    before = x.grad.copy()
    with pytest.raises(RuntimeError, match=r"walked before.*Compute the tensor again"):
        loss.backward()
    np.testing.assert_array_equal(x.grad, before)


def test_a_part_of_the_graph_that_was_walked_before():
    x = leaf(3)
    shared = x.exp()
    first, second = shared.sum(), (shared * shared).sum()
    first.backward()
    before = x.grad.copy()
    with pytest.raises(RuntimeError, match="walked before"):
        second.backward()
    np.testing.assert_array_equal(x.grad, before)


def test_several_numbers_need_a_gradient():
    with pytest.raises(ValueError, match=r"shape \(3,\) needs a gradient of that shape"):
        (leaf(3) * 2).backward()


def test_one_number_of_any_shape_needs_none():
    x = leaf(1, 1)
    (x * 2).backward()
    np.testing.assert_array_equal(x.grad, [[2]])


def test_a_gradient_of_another_shape_or_type():
    x = leaf(3)
    with pytest.raises(
        ValueError, match=r"float64 of shape \(3,\), as the tensor is: got one of shape \(2,\)"
    ):
        (x * 2).backward(np.ones(2))
    with pytest.raises(
        TypeError, match=r"must be float64 of shape .*: got float32; use gradient\.astype"
    ):
        (x * 2).backward(np.ones(3, np.float32))


def test_a_tensor_without_a_graph():
    with pytest.raises(RuntimeError, match=r"without a graph.*requires_grad=True"):
        Tensor([1.0]).sum().backward()
    with pytest.raises(RuntimeError, match="without a graph"):
        leaf(3).detach().sum().backward()


# ── what a VJP must return ────────────────────────────────────────────────────────────────────


def double(x, vjp):
    return record(x.data * 2, (x,), vjp)


@pytest.mark.parametrize(
    ("vjp", "error", "message"),
    [
        (lambda g: g * 2, TypeError, "a tuple of one gradient: got ndarray"),
        (lambda g: [g * 2], TypeError, "a tuple of one gradient: got list"),
        (lambda g: None, TypeError, "a tuple of one gradient: got NoneType"),
        (lambda g: (g * 2, g), TypeError, "a tuple of one gradient: got 2 of them"),
        (lambda g: (), TypeError, "a tuple of one gradient: got 0 of them"),
        (lambda g: (None,), TypeError, r"like its input, float32 of shape \(1, 3\): got NoneType"),
        (lambda g: ([2.0],), TypeError, r"like its input, float32 of shape \(1, 3\): got list"),
        (lambda g: ((g * 2)[0],), ValueError, r"\(1, 3\): got float32 of shape \(3,\)"),
        (lambda g: ((g * 2).astype(np.float64),), TypeError, "got float64 of shape"),
        (lambda g: ((g * 2).astype(int),), TypeError, "got int64 of shape"),
    ],
)
@pytest.mark.parametrize("is_leaf", [True, False])
def test_a_gradient_that_is_not_like_its_input_is_refused_by_the_operations_name(
    vjp, error, message, is_leaf
):
    x = leaf(1, 3, dtype=np.float32)
    vjp.__qualname__ = "double.<locals>.vjp"
    y = double(x if is_leaf else x + 1, vjp).sum()
    with pytest.raises(error, match=f"the VJP of double must return .*{message}"):
        y.backward()
    assert x.grad is None


def test_one_gradient_too_few_of_several_inputs_says_how_many_there_should_be():
    x, y = leaf(2), leaf(2)
    with pytest.raises(TypeError, match="one gradient for each of 2 inputs: got 1 of them"):
        record(x.data + y.data, (x, y), lambda g: (g,)).sum().backward()


def test_an_input_that_needs_no_gradient_may_get_anything():
    x, c = leaf(2), Tensor(np.ones(2))
    record(x.data * c.data, (x, c), lambda g: (g, None)).sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 1])


# ── data that changed after the forward pass ──────────────────────────────────────────────────

CHANGES = {
    "assign": lambda w: w.assign(5.0),
    "written over": lambda w: w.data.fill(5),
    "scaled": lambda w: np.multiply(w.data, 2, out=w.data),
    "one number": lambda w: w.data.__setitem__((1, 2), 5.0),
    "replaced": lambda w: setattr(w, "data", w.data * 2),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("is_frozen", [False, True])
def test_a_backward_after_the_data_changed_is_refused(change, is_frozen):
    w, x = leaf(3, 4), leaf(2, 3, seed=1)
    w.requires_grad = not is_frozen
    y = F.linear(x, w).tanh().sum()
    change(w)
    with pytest.raises(RuntimeError, match=r"leaf of shape \(3, 4\) has changed since"):
        y.backward()
    assert w.grad is None and x.grad is None
    F.linear(x, w).sum().backward()  # a new graph is fine
    assert x.grad is not None


def test_the_example_that_gave_54():
    w = Tensor([2.0], requires_grad=True)
    y = (w * w * w).sum()
    w.data[...] = 5
    with pytest.raises(RuntimeError, match="Compute the tensor again"):
        y.backward()


def test_a_tensor_that_requires_a_gradient_later_is_watched_too():
    w = Tensor(np.ones(3))
    w.requires_grad = True
    y = (w * w).sum()
    w.data[...] = 5
    with pytest.raises(RuntimeError, match="has changed"):
        y.backward()


@pytest.mark.parametrize("size", [3, 300])
def test_what_did_not_change_may_hold_anything(size):
    w = Tensor(np.resize([np.nan, np.inf, 0.0], size), requires_grad=True)
    (w * 2).sum().backward()
    np.testing.assert_array_equal(w.grad, np.full(size, 2))


def test_a_large_array_is_known_by_some_of_its_numbers():
    w = leaf(30, 40)
    y = (w * w).sum()
    w.data -= 0.1 * w.data
    with pytest.raises(RuntimeError, match=r"leaf of shape \(30, 40\) has changed"):
        y.backward()


def test_an_empty_leaf_has_not_changed():
    empty = Tensor(np.ones((0, 2)), requires_grad=True)
    (empty * 2).sum().backward()
    assert empty.grad.shape == (0, 2)


def test_a_constant_may_be_used_again_once_its_operation_has_it():
    """The buffer of a batch, or a carried state: what reads it copied what it needs."""
    w, buffer = leaf(2), Tensor(np.ones(2))
    y = (w + buffer).sum()
    buffer.data[...] = 7
    y.backward()
    np.testing.assert_array_equal(w.grad, [1, 1])


def test_a_vjp_that_returns_a_tensor_is_told_to_use_arrays():
    x = Tensor(np.ones(3), requires_grad=True)
    y = record(x.data * 2, (x,), lambda g: (Tensor(g * 2),))
    with pytest.raises(TypeError, match=r"got a Tensor; compute it with arrays, x\.data"):
        y.sum().backward()


def test_inputs_that_are_not_a_tuple_are_refused():
    x = Tensor(np.ones(3), requires_grad=True)
    with pytest.raises(TypeError, match=r"record: inputs must be a tuple .* \(x,\)"):
        record(x.data * 2, x, lambda g: (g * 2,))
