"""SGD, Adam and AdamW: closed forms, and the quick update against the plain equation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.chunks import CHUNK
from minigpt.nn import Parameter
from minigpt.optim import SGD, Adam, AdamW, plain

SIZES = st.sampled_from([(), (0,), (1,), (3, 4), (CHUNK,), (CHUNK + 1,), (2, CHUNK - 3)])
DTYPES = st.sampled_from([np.float32, np.float64])
RATES = st.floats(1e-4, 0.5)
BETAS = st.tuples(st.floats(0, 0.95), st.floats(0, 0.999))
SEEDS = st.integers(0, 2**16)


def assert_equal_to_rounding(ours, expected):
    """A step from the same point: a few roundings apart. (Later steps may amplify them at will,
    where the gradient and the L2 term cancel.)"""
    rounding = 16 * np.finfo(ours.dtype).eps
    assert ours.shape == np.shape(expected)
    np.testing.assert_allclose(ours, expected, rtol=rounding, atol=rounding)


def test_sgd_follows_the_slope_of_a_parabola():
    p = Parameter(np.array([1.0, -2.0]))
    optimizer = SGD([p], lr=0.25)
    for _ in range(10):
        p.grad = 2 * p.data  # of θ²: each step halves θ
        optimizer.step()
    np.testing.assert_array_equal(p.data, np.array([1.0, -2.0]) / 2**10)


def test_momentum_under_a_constant_gradient_reaches_its_final_speed():
    p = Parameter(np.zeros(1))
    optimizer = SGD([p], lr=0.1, momentum=0.5)
    positions = []
    for _ in range(4):
        p.grad = np.ones(1)
        optimizer.step()
        positions.append(p.data[0])
    # b = 1, 1.5, 1.75, 1.875: a geometric series towards 1 / (1 − μ)
    np.testing.assert_allclose(positions, -0.1 * np.cumsum([1, 1.5, 1.75, 1.875]), rtol=1e-15)


def test_nesterov_steps_ahead_of_plain_momentum():
    p = Parameter(np.zeros(1))
    optimizer = SGD([p], lr=0.1, momentum=0.5, nesterov=True)
    p.grad = np.ones(1)
    optimizer.step()
    assert p.data[0] == pytest.approx(-0.1 * (1 + 0.5))


def test_adams_first_step_is_the_learning_rate_whatever_the_gradient():
    p = Parameter(np.zeros(4))
    p.grad = np.array([1e-3, 1.0, -1e5, 0.0])
    Adam([p], lr=0.01).step()
    np.testing.assert_allclose(p.data, [-0.01, -0.01, 0.01, 0.0], rtol=2e-5)


def test_adam_under_a_constant_gradient_moves_by_the_learning_rate_each_step():
    p = Parameter(np.zeros(1))
    optimizer = Adam([p], lr=0.01, betas=(0.9, 0.99))
    for t in range(1, 30):
        p.grad = np.full(1, 3.0)
        optimizer.step()
        assert p.data[0] == pytest.approx(-0.01 * t, rel=1e-8)


def test_adamw_without_gradient_signal_shrinks_geometrically():
    p = Parameter(np.ones((2, 2)))
    optimizer = AdamW([p], lr=0.1, weight_decay=0.5)
    for _ in range(5):
        p.grad = np.zeros((2, 2))
        optimizer.step()
    np.testing.assert_allclose(p.data, (1 - 0.1 * 0.5) ** 5, rtol=1e-15)


def test_l2_in_adam_is_normalised_away_and_in_adamw_is_not():
    """The point of Loshchilov & Hutter: under Adam the size of λ hardly matters."""
    moved = {}
    for cls in (Adam, AdamW):
        for decay in (0.01, 0.1):
            p = Parameter(np.ones((1, 1)))
            p.grad = np.zeros((1, 1))
            cls([p], lr=0.1, weight_decay=decay).step()
            moved[cls, decay] = 1 - p.data.item()
    assert moved[Adam, 0.1] == pytest.approx(moved[Adam, 0.01], rel=1e-5)
    assert moved[AdamW, 0.1] == pytest.approx(10 * moved[AdamW, 0.01], rel=1e-9)


def test_adamw_decays_matrices_and_embeddings_alone_by_default():
    shapes = [(), (3,), (3, 3), (2, 3, 4)]
    parameters = [Parameter(np.ones(shape)) for shape in shapes]
    for p in parameters:
        p.grad = np.zeros(p.shape)
    AdamW(parameters, lr=0.1, weight_decay=0.5).step()
    assert [float(p.data.max()) for p in parameters] == [1, 1, 0.95, 0.95]


@given(SIZES, DTYPES, RATES, st.floats(0.1, 0.95), st.booleans(), st.floats(0, 0.5), SEEDS)
def test_sgd_is_its_equation(shape, dtype, lr, momentum, nesterov, decay, seed):
    rng = np.random.default_rng(seed)
    p = Parameter(rng.standard_normal(shape).astype(dtype))
    optimizer = SGD([p], lr, momentum, nesterov, decay)
    for _ in range(3):
        p.grad = rng.standard_normal(shape).astype(dtype)
        theta, b = plain.sgd(
            p.data, p.grad, optimizer.state_dict()["momentum.0"],
            lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=decay,
        )  # fmt: skip
        optimizer.step()
        assert p.data.dtype == dtype
        assert_equal_to_rounding(p.data, theta)
        assert_equal_to_rounding(optimizer.state_dict()["momentum.0"], b)


@pytest.mark.parametrize(("cls", "equation"), [(Adam, plain.adam), (AdamW, plain.adamw)])
@given(SIZES, DTYPES, RATES, BETAS, st.floats(0, 0.5), SEEDS)
def test_adam_and_adamw_are_their_equations(cls, equation, shape, dtype, lr, betas, decay, seed):
    rng = np.random.default_rng(seed)
    p = Parameter(rng.standard_normal(shape).astype(dtype))
    optimizer = cls([{"params": [p], "weight_decay": decay}], lr=lr, betas=betas)
    for t in (1, 2, 3):
        p.grad = rng.standard_normal(shape).astype(dtype)
        state = optimizer.state_dict()
        theta, m, v = equation(
            p.data, p.grad, state["first_moment.0"], state["second_moment.0"], t,
            lr=lr, betas=betas, weight_decay=decay,
        )  # fmt: skip
        optimizer.step()
        state = optimizer.state_dict()
        assert p.data.dtype == dtype
        assert_equal_to_rounding(p.data, theta)
        assert_equal_to_rounding(state["first_moment.0"], m)
        assert_equal_to_rounding(state["second_moment.0"], v)


@pytest.mark.parametrize("cls", [SGD, Adam, AdamW])
def test_float32_stays_float32_throughout(cls):
    p = Parameter(np.ones((2, 2), np.float32))
    p.grad = np.ones((2, 2), np.float32)
    optimizer = cls([p], lr=np.float64(0.1), weight_decay=0.1)
    optimizer.step()
    arrays = [v for v in optimizer.state_dict().values() if isinstance(v, np.ndarray)]
    assert {array.dtype for array in [p.data, *arrays]} == {np.dtype(np.float32)}


@pytest.mark.parametrize("cls", [SGD, Adam, AdamW])
def test_the_gradient_is_not_changed_and_the_parameter_is_changed_in_place(cls, rng):
    p = Parameter(rng.standard_normal((3, 3)))
    g, data = rng.standard_normal((3, 3)), p.data
    p.grad = g.copy()
    cls([p], lr=0.1, weight_decay=0.3).step()
    np.testing.assert_array_equal(p.grad, g)
    assert p.data is data


@pytest.mark.parametrize("cls", [SGD, Adam, AdamW])
def test_transposed_parameters_and_gradients_are_updated_alike(cls, rng):
    values, g = rng.standard_normal((5, 3)), rng.standard_normal((5, 3))
    plain, transposed = Parameter(values.copy()), Parameter(values.copy())
    transposed.data = np.asfortranarray(values)
    plain.grad, transposed.grad = g, np.asfortranarray(g)
    for p in (plain, transposed):
        optimizer = cls([p], lr=0.1, weight_decay=0.3)
        optimizer.step()
        optimizer.step()
    np.testing.assert_array_equal(plain.data, transposed.data)


def test_no_array_of_a_parameters_size_is_allocated_in_a_step(rng):
    tracemalloc = pytest.importorskip("tracemalloc")
    p = Parameter(rng.standard_normal((512, 1024)).astype(np.float32))
    optimizer = AdamW([p], weight_decay=0.1)
    p.grad = np.ones_like(p.data)
    optimizer.step()
    tracemalloc.start()
    try:
        optimizer.step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < p.data.nbytes / 20


def test_adam_learns_a_linear_map(rng):
    """Not only the equation: it minimises."""
    x, w = rng.standard_normal((64, 5)), rng.standard_normal((5, 2))
    p = Parameter(np.zeros((5, 2)))
    optimizer = Adam([p], lr=0.1)
    for step in range(300):
        optimizer.lr = 0.1 * 0.5 * (1 + math.cos(math.pi * step / 300))
        p.grad = x.T @ (x @ p.data - x @ w) / 64
        optimizer.step()
    np.testing.assert_allclose(p.data, w, atol=1e-3)
