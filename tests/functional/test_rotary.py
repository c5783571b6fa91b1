"""Rotary positions: what the rotation promises, its pairings and scalings, and the plain form."""

from __future__ import annotations

import dataclasses
import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt.functional as F
from minigpt import Tensor, gradcheck
from minigpt.functional import plain_llama
from minigpt.functional.rotary import PAIRINGS, rotation_at, turn_heads
from minigpt.nn import RotaryScaling
from tests.strategies import assert_same_function, distinct, seeds, tensors

TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}
LLAMA3 = RotaryScaling("llama3", 8.0, 1.0, 4.0, 512)


@st.composite
def rotations(draw):
    """The shape of x, and positions that broadcast to it."""
    batch = draw(st.sampled_from([(), (2,), (2, 3)]))
    t, d = draw(st.integers(1, 4)), 2 * draw(st.integers(1, 3))
    places = (*batch, t)[draw(st.integers(0, len(batch))) :]
    places = tuple(1 if n > 1 and draw(st.booleans()) else n for n in places)
    return (*batch, t, d), np.random.default_rng(draw(seeds)).integers(0, 50, places)


@given(rotations(), seeds, st.sampled_from(list(PAIRINGS)))
def test_gradient(drawn, seed, pairing):
    shape, positions = drawn
    assert gradcheck(
        lambda x: F.rotary(x, positions, 100.0, LLAMA3, pairing), tensors([shape], seed)
    )


@pytest.mark.parametrize("dtype", TOLERANCE)
@given(rotations(), seeds, st.sampled_from([10.0, 10_000.0]))
def test_equals_plain(dtype, drawn, seed, base):
    shape, positions = drawn
    assert_same_function(
        lambda x: F.rotary(x, positions, base),
        lambda x: plain_llama.rotary(x, positions, base),
        tensors([shape], seed, dtype),
        seed,
        TOLERANCE[dtype],
    )


def test_a_score_depends_on_the_distance_only():
    q, k = distinct([(8,), (8,)], seed=0)
    places = np.arange(20)
    turned = [F.rotary(Tensor(np.tile(x, (20, 1))), places, base=50.0).data for x in (q, k)]
    scores = turned[0] @ turned[1].T
    for distance in range(-19, 20):
        diagonal = np.diagonal(scores, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-12)
    assert len(np.unique(scores.round(9))) == 39  # and does depend on it


def test_a_pair_is_turned_by_its_angle_and_keeps_its_length():
    x = np.array([[3.0, 0.5, 4.0, 2.0]])
    y = F.rotary(Tensor(x), np.array([7]), base=100.0).data
    for i, theta in enumerate([1.0, 0.1]):
        a, b = x[0, i], x[0, i + 2]
        assert y[0, i] == pytest.approx(a * math.cos(7 * theta) - b * math.sin(7 * theta))
        assert y[0, i + 2] == pytest.approx(b * math.cos(7 * theta) + a * math.sin(7 * theta))
    np.testing.assert_allclose(np.linalg.norm(y), np.linalg.norm(x))
    np.testing.assert_array_equal(F.rotary(Tensor(x), np.array([0])).data, x)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_permutation_of_features_turns_one_pairing_into_the_other(dtype):
    (x,) = tensors([(3, 5, 8)], seed=0, dtype=dtype)
    order = np.arange(8).reshape(2, 4).T.ravel()  # 0 4 1 5 2 6 3 7: neighbours, out of halves
    places = np.arange(5)
    halves = F.rotary(x, places).data
    neighbours = F.rotary(Tensor(x.data[..., order]), places, pairing="neighbours").data
    np.testing.assert_array_equal(neighbours, halves[..., order])
    assert abs(F.rotary(x, places, pairing="neighbours").data - halves).max() > 0.1


def test_permuted_projections_give_the_same_scores():
    """Columns of W_Q and W_K in another order within each head, for the other pairing."""
    x, wq, wk = distinct([(6, 5), (5, 4), (5, 4)], seed=0)
    places, order = np.arange(6), np.array([0, 2, 1, 3])

    def scores(wq, wk, pairing):
        q, k = (F.rotary(Tensor(x @ w), places, pairing=pairing).data for w in (wq, wk))
        return q @ k.T

    np.testing.assert_allclose(
        scores(wq, wk, "halves"), scores(wq[:, order], wk[:, order], "neighbours"), rtol=1e-12
    )


@pytest.mark.parametrize("positions", [np.arange(7), np.arange(21).reshape(3, 7) * 2])
@pytest.mark.parametrize("chunk", [1, 40, 1 << 16])
def test_heads_are_turned_in_place_and_back(positions, chunk, monkeypatch):
    monkeypatch.setattr(sys.modules["minigpt.functional.rotary"], "CHUNK", chunk)
    qkv = distinct([(3, 7, 20)], seed=0)[0]
    heads = qkv.reshape(3, 7, 5, 4)[:, :, :3]
    before = qkv.copy()
    rotation = rotation_at(positions, 4, 10.0, None, qkv.dtype)
    turn_heads(heads, rotation)
    places = np.broadcast_to(positions, (3, 7))[:, None]  # (B, 1, T)
    expected = F.rotary(Tensor(before.reshape(3, 7, 5, 4).swapaxes(1, 2)), places, 10.0).data
    np.testing.assert_allclose(heads.swapaxes(1, 2), expected[:, :3], rtol=1e-13)
    np.testing.assert_array_equal(qkv[..., 12:], before[..., 12:])  # the others stay
    turn_heads(heads, rotation, back=True)
    np.testing.assert_allclose(qkv, before, rtol=1e-13)


def test_places_beyond_the_tables_are_turned_by_the_same_formula(monkeypatch):
    places = np.array([3, 300, 40_000])
    far = rotation_at(places, 6, 1e4, None, np.dtype(np.float64))
    angles = places[:, None] / 1e4 ** (np.arange(0, 6, 2) / 6)
    np.testing.assert_allclose(far[:, 0, :3], np.cos(angles), atol=1e-11)
    np.testing.assert_allclose(far[:, 1, 3:], np.sin(angles), atol=1e-11)
    near = rotation_at(places[:2], 6, 1e4, None, np.dtype(np.float64))  # these come out of a table
    np.testing.assert_allclose(near, far[:2], rtol=1e-15)


def test_nothing_to_turn():
    for shape in ((2, 0, 4), (0, 3, 4)):
        x = Tensor(np.ones(shape), requires_grad=True)
        y = F.rotary(x, np.arange(shape[1]))
        y.sum().backward()
        assert y.shape == x.grad.shape == shape
    turn_heads(np.ones((0, 3, 2, 4)), rotation_at(np.arange(3), 4, 1e4, None, np.dtype(float)))
    turn_heads(np.ones((2, 0, 2, 4)), rotation_at(np.arange(0), 4, 1e4, None, np.dtype(float)))


# ── frequencies and scalings ──────────────────────────────────────────────────────────────────


def test_frequencies():
    np.testing.assert_allclose(F.rotary_frequencies(6, 1000.0), [1, 0.1, 0.01])
    linear = RotaryScaling("linear", 4)
    np.testing.assert_allclose(F.rotary_frequencies(6, 1000.0, linear), [0.25, 0.025, 0.0025])
    # linear scaling is that places are closer
    x, places = Tensor(distinct([(5, 6)], seed=0)[0]), np.arange(5)
    halved = F.rotary(x, 2 * places, scaling=RotaryScaling("linear", 2.0))
    np.testing.assert_allclose(halved.data, F.rotary(x, places).data, rtol=1e-12)


def test_the_scaling_of_llama_3():
    """Waves of 512 places and more are scaled, of 128 and less kept, others in between."""
    wavelengths = np.array([100, 128, 256, 512, 1000])
    found = 2 * math.pi / LLAMA3.scaled(2 * math.pi / wavelengths)
    between = 512 / 256  # waves in the original context: 1 would be scaled, 4 kept
    s = (between - 1) / 3
    np.testing.assert_allclose(found[[0, 1, 3, 4]], [100, 128, 512 * 8, 8000], rtol=1e-12)
    assert found[2] == pytest.approx(256 / ((1 - s) / 8 + s))


# ── errors ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("shape", "positions", "options", "error", "message"),
    [
        ((3, 5), np.arange(3), {}, ValueError,
         r"rotary: x must be of shape \(\.\.\., T, d\) with an even d: got .* \(3, 5\)"),
        ((4,), np.arange(4), {}, ValueError, r"rotary: x must be of shape .*got .* \(4,\)"),
        ((3, 0), np.arange(3), {}, ValueError, r"x must be of shape"),
        ((3, 4), np.arange(4), {}, ValueError,
         r"rotary: positions must be of shape \(3,\), or one that broadcasts to \(3,\), as x is "
         r"\(3, 4\): got an int64 array of shape \(4,\)"),
        ((3, 4), np.array(1), {}, ValueError, "positions must be of shape"),
        ((3, 4), np.zeros((2, 3), int), {}, ValueError, r"broadcasts to \(3,\)"),
        ((3, 4), np.array([0, 1, -1]), {}, ValueError, "positions must be 0 or more: got -1"),
        ((3, 4), np.arange(3.0), {}, TypeError, "positions must be integers: got a float64 array"),
        ((3, 4), np.arange(3), {"base": 0.0}, ValueError, "base must be a number above 0: got 0"),
        ((3, 4), np.arange(3), {"pairing": "rows"}, ValueError,
         r'pairing must be "halves" \(.*\) or "neighbours" \(.*\): got \'rows\''),
        ((3, 4), np.arange(3), {"scaling": 2.0}, TypeError,
         r"scaling must be a RotaryScaling: got 2\.0"),
    ],
)  # fmt: skip
def test_wrong_arguments(shape, positions, options, error, message):
    with pytest.raises(error, match=message):
        F.rotary(Tensor(np.ones(shape)), positions, **options)


@pytest.mark.parametrize(("d", "error"), [(3, ValueError), (0, ValueError), (2.0, TypeError)])
def test_wrong_sizes(d, error):
    with pytest.raises(error, match="d must be an"):
        F.rotary_frequencies(d)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        (("yarn", 2.0), ValueError, r'kind must be "linear" .* or "llama3" .*: got \'yarn\''),
        (("linear", 0), ValueError, "factor must be a number above 0: got 0"),
        (("linear", "2"), TypeError, "factor must be a number above 0: got '2'"),
        (("linear", 2.0, 1.0), ValueError,
         r'low_frequency_factor=1\.0 is for kind="llama3": leave it out'),
        (("llama3", 8.0), TypeError, "low_frequency_factor must be a number above 0: got None"),
        (("llama3", 8.0, 1.0, 4.0), TypeError, "original_context must be an integer .*: got None"),
        (("llama3", 8.0, 4.0, 4.0, 512), ValueError,
         "low_frequency_factor=4 must be below high_frequency_factor=4"),
    ],
)  # fmt: skip
def test_wrong_scalings(fields, error, message):
    with pytest.raises(error, match=message):
        RotaryScaling(*fields)


def test_a_scaling_is_frozen_and_goes_to_a_dict_and_back():
    assert RotaryScaling(**dataclasses.asdict(LLAMA3)) == LLAMA3
    assert RotaryScaling("llama3", np.float32(8), 1, 4, np.int64(512)) == LLAMA3
    with pytest.raises(dataclasses.FrozenInstanceError):
        LLAMA3.factor = 3.0
