"""The LSTM layer: its initial weights, and that it is F.lstm."""

from __future__ import annotations

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import Tensor
from minigpt.nn import LSTM


def test_initial_weights():
    state = LSTM(50, 40, seed=0).state_dict()
    assert {name: array.shape for name, array in state.items()} == {
        "weight_ih": (50, 160), "weight_hh": (40, 160), "bias": (160,)
    }  # fmt: skip
    assert all(array.dtype == np.float32 for array in state.values())
    assert state["weight_ih"].std() == pytest.approx(50**-0.5, rel=0.05)
    gates = np.split(state["weight_hh"], 4, axis=1)
    for gate in gates:
        np.testing.assert_allclose(gate @ gate.T, np.eye(40), atol=1e-5)
    assert len({gate[0, 0] for gate in gates}) == 4
    np.testing.assert_array_equal(state["bias"].reshape(4, 40)[:, 0], [0, 1, 0, 0])


def test_the_same_seed_gives_the_same_weights():
    one, same, other = (LSTM(3, 4, seed=seed).state_dict() for seed in (1, 1, 2))
    for name in ("weight_ih", "weight_hh"):
        np.testing.assert_array_equal(one[name], same[name])
        assert (one[name] != other[name]).any()


def test_forward_is_the_operation(rng):
    layer = LSTM(3, 4, seed=0)
    x, h0, c0 = (
        Tensor(rng.standard_normal(shape).astype(np.float32))
        for shape in ((2, 5, 3), (2, 4), (2, 4))
    )
    mask = np.arange(5) >= np.array([[0], [2]])
    weights = layer.weight_ih, layer.weight_hh, layer.bias
    expected = F.lstm(x, *weights, h0, c0, mask)
    for found, wanted in zip(layer(x, h0, c0, mask), expected, strict=True):
        np.testing.assert_array_equal(found.data, wanted.data)


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ((0, 3), ValueError, "n_in must be an integer of at least 1: got 0"),
        ((3, 2.0), TypeError, "n_hidden must be an integer of at least 1: got 2.0"),
    ],
)
def test_wrong_sizes(sizes, error, message):
    with pytest.raises(error, match=message):
        LSTM(*sizes, seed=0)
