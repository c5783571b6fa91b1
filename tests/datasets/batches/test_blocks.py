"""Batches: what they hold, in which order, and going on from a state."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.datasets import (
    Batches,
    EpochBatches,
    RandomBatches,
    SequentialBatches,
    open_tokens,
    write_tokens,
)

Make = Callable[..., Batches]


def sequential(
    tokens: Any, block_size: int, batch_size: int, seed: int, **options: Any
) -> SequentialBatches:
    return SequentialBatches(tokens, block_size, batch_size, **options)


KINDS: dict[str, Make] = {
    "random": RandomBatches,
    "sequential": sequential,
    "epoch": EpochBatches,
}
every_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
SIZES = {
    "length": st.integers(2, 120),
    "block_size": st.integers(1, 12),
    "batch_size": st.integers(1, 6),
    "seed": st.integers(0, 2**64),
}


@every_kind
@given(dtype=st.sampled_from([np.uint8, np.uint16, np.uint32, np.int32, np.int64]), **SIZES)
def test_targets_follow_ids(
    make: Make, dtype: Any, length: int, block_size: int, batch_size: int, seed: int
) -> None:
    block_size = min(block_size, length - 1)
    batches = make(np.arange(length, dtype=dtype), block_size, batch_size, seed)
    assert batches.tokens_per_batch == batch_size * block_size
    for _ in range(3):
        ids, targets = batches.next_batch()
        for array in (ids, targets):
            assert array.dtype == np.int64 and array.flags.c_contiguous and array.flags.owndata
            assert array.shape[1] == block_size and 1 <= array.shape[0] <= batch_size
        assert not np.shares_memory(ids, targets)
        real = targets != -1
        assert np.array_equal(targets[real], ids[real] + 1)
        assert real[:, 0].all()


@given(**SIZES)
def test_sequential_covers_every_target_once_in_order(
    length: int, block_size: int, batch_size: int, seed: int
) -> None:
    block_size = min(block_size, length - 1)
    batches = SequentialBatches(np.arange(length), block_size, batch_size)
    for epoch in range(2):
        assert batches.epoch == epoch and batches.position == 0
        passes = list(batches)
        assert len(passes) == batches.batches_per_epoch == len(batches)
        targets = np.concatenate([t.ravel() for _, t in passes])
        assert targets[targets != -1].tolist() == list(range(1, length))
        assert (targets == -1).sum() < block_size  # padding at the very end alone


@given(**SIZES)
def test_epochs_cover_every_block_once(
    length: int, block_size: int, batch_size: int, seed: int
) -> None:
    block_size = min(block_size, length - 1)
    batches = EpochBatches(np.arange(length), block_size, batch_size, seed)
    blocks = (length - 1) // block_size
    orders = []
    for _ in range(2):
        passes = list(batches)
        assert len(passes) == batches.batches_per_epoch
        starts = np.concatenate([ids[:, 0] for ids, _ in passes])
        assert sorted(starts.tolist()) == [i * block_size for i in range(blocks)]
        orders.append(starts.tolist())
    if blocks > 30:
        assert orders[0] != orders[1] and orders[0] != sorted(orders[0])


def test_random_draws_from_every_place_and_no_other() -> None:
    batches = RandomBatches(np.arange(10), block_size=4, batch_size=50, seed=0)
    ids, _ = batches.next_batch()
    assert sorted(set(ids[:, 0].tolist())) == [0, 1, 2, 3, 4, 5]


@every_kind
@given(steps=st.integers(0, 30), more=st.integers(1, 30), **SIZES)
def test_a_state_goes_on_exactly(
    make: Make, steps: int, more: int, length: int, block_size: int, batch_size: int, seed: int
) -> None:
    block_size = min(block_size, length - 1)
    tokens = np.arange(length)
    batches = make(tokens, block_size, batch_size, seed)
    for _ in range(steps):
        batches.next_batch()
    state = json.loads(json.dumps(batches.state_dict()))
    resumed = make(
        tokens, block_size, batch_size, 12345
    )  # another seed: the state has the right one
    resumed.next_batch()
    resumed.load_state_dict(state)
    assert resumed.state_dict() == batches.state_dict() == state
    for _ in range(more):
        for expected, got in zip(batches.next_batch(), resumed.next_batch(), strict=True):
            assert np.array_equal(expected, got)
    assert (resumed.epoch, resumed.position) == (batches.epoch, batches.position)


@pytest.mark.parametrize("name", ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])
def test_the_state_of_every_generator(name: str) -> None:
    kind = getattr(np.random, name)
    batches = RandomBatches(np.arange(100), 8, 4, np.random.Generator(kind(3)))
    batches.next_batch()
    state = json.loads(json.dumps(batches.state_dict()))
    expected = batches.next_batch()[0]
    resumed = RandomBatches(np.arange(100), 8, 4, np.random.Generator(kind(9)))
    resumed.load_state_dict(state)
    assert np.array_equal(resumed.next_batch()[0], expected)


@every_kind
def test_the_seed_decides(make: Make) -> None:
    def draw(seed: Any) -> list[int]:
        batches = make(np.arange(1000), 4, 8, seed)
        ids: list[int] = batches.next_batch()[0].ravel().tolist()
        return ids

    assert draw(1) == draw(1) == draw(np.int64(1))
    assert draw(np.random.default_rng(5)) == draw(np.random.default_rng(5))
    if make is not sequential:
        assert draw(1) != draw(2)


@every_kind
def test_batches_of_a_memory_map(make: Make, tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 500, size=300)
    write_tokens(tmp_path / "t.npy", array, 500)
    mapped = make(open_tokens(tmp_path / "t.npy"), 16, 5, 7)
    held = make(array, 16, 5, 7)
    for _ in range(2 * held.batches_per_epoch):
        for expected, got in zip(held.next_batch(), mapped.next_batch(), strict=True):
            assert np.array_equal(expected, got)
            assert type(got) is np.ndarray


def test_batches_can_be_written_to() -> None:
    tokens = np.arange(10)
    ids, targets = SequentialBatches(tokens, 9, 1).next_batch()
    ids[:] = 0
    assert targets.tolist() == [list(range(1, 10))] and tokens.tolist() == list(range(10))


@every_kind
def test_streams_that_are_too_short(make: Make) -> None:
    message = (
        "tokens holds 40 tokens, but block_size=64 needs at least 65: "
        "use a longer text or block_size=39 or less"
    )
    with pytest.raises(ValueError, match=message):
        make(np.arange(40), 64, 2, 0)
    with pytest.raises(ValueError, match="tokens holds 0 tokens"):
        make([], 1, 1, 0)
    assert make(np.arange(65), 64, 2, 0).next_batch()[0].shape[1] == 64


@every_kind
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("to be", 2, 2, 0), TypeError, r"encode the text first: tokenizer\.encode\(text\)"),
        ((np.arange(9.0), 2, 2, 0), TypeError, "must be integers: got a float64 array"),
        ((np.ones(9, bool), 2, 2, 0), TypeError, "must be integers: got a bool array"),
        ((np.ones((3, 3), int), 2, 2, 0), ValueError, r"must be 1-D, .*shape \(3, 3\)"),
        ((None, 2, 2, 0), TypeError, "must be a 1-D array of integers: got None; encode"),
        ((object(), 2, 2, 0), TypeError, "must be integers: got an object array"),
        (
            ([[1, 2], [3]], 2, 2, 0),
            ValueError,
            "must be a 1-D array of integers with rows of one length",
        ),
        ((np.arange(9), 0, 2, 0), ValueError, "block_size must be an integer of at least 1: got 0"),
        (
            (np.arange(9), 2, -1, 0),
            ValueError,
            "batch_size must be an integer of at least 1: got -1",
        ),
        (
            (np.arange(9), 2.0, 2, 0),
            TypeError,
            "block_size must be an integer of at least 1: got 2.0",
        ),
        ((np.arange(9), 2, True, 0), TypeError, "batch_size must be an integer"),
        (
            (np.arange(9), "2", 2, 0),
            TypeError,
            "block_size must be an integer of at least 1: got '2'",
        ),
    ],
)
def test_wrong_arguments(
    make: Make, arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make(*arguments)


@pytest.mark.parametrize("make", [RandomBatches, EpochBatches])
@pytest.mark.parametrize(
    ("seed", "error"),
    [(-1, ValueError), (True, TypeError), (1.5, TypeError), ("0", TypeError), (None, TypeError)],
)
def test_wrong_seeds(make: Make, seed: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="seed"):
        make(np.arange(9), 2, 2, seed)


@every_kind
@pytest.mark.parametrize("argument", ["block_size", "batch_size"])
def test_a_size_that_no_machine_has(make: Make, argument: str) -> None:
    sizes = {"block_size": 2, "batch_size": 2, argument: 10**400}
    with pytest.raises(ValueError, match=f"{argument} must be .* at most 4294967295: got an int"):
        make(np.arange(9), seed=0, **sizes)


def changed(state: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the state with another value at a place such as ``generator.state.inc``."""
    copy: dict[str, Any] = json.loads(json.dumps(state))
    inner, *rest = path.split(".")
    place = copy
    while rest:
        place = place[inner]
        inner, *rest = rest
    place[inner] = value
    return copy


RANDOM_DAMAGE = [
    ("kind", "epoch", "of kind 'epoch', but these batches are 'random'"),
    ("block_size", 5, "with block_size=5, but here block_size=4"),
    ("batch_size", 3, "with batch_size=3, but here batch_size=2"),
    ("tokens", 99, "with tokens=99, but here tokens=100"),
    ("tokens", True, "with tokens=True"),
    ("epoch", -1, "epoch of the state must be an int of at least 0"),
    ("epoch", 1.0, "epoch of the state must be an int of at least 0"),
    ("position", True, "position of the state must be an int of at least 0"),
    ("position", 10**6, "past the end of the epoch"),
    ("extra", 1, "must have the keys"),
    ("generator", None, "generator of the state must be dict: got NoneType"),
    ("generator", {}, "must have the keys"),
    ("generator.bit_generator", "MT19937", "is 'MT19937', but the generator here is 'PCG64'"),
    ("generator.state.state", -1, "must not be negative"),
    ("generator.state.state", 2**128, "cannot be restored"),
    ("generator.state.inc", "1", "must be int: got str"),
    ("generator.uinteger", 2**40, "cannot be restored"),
]


@pytest.mark.parametrize(("path", "value", "message"), RANDOM_DAMAGE)
def test_a_wrong_state_changes_nothing(path: str, value: Any, message: str) -> None:
    batches = RandomBatches(np.arange(100), 4, 2, seed=0)
    state = batches.state_dict()
    with pytest.raises(ValueError, match=message):
        batches.load_state_dict(
            changed(RandomBatches(np.arange(100), 4, 2, 1).state_dict(), path, value)
        )
    assert batches.state_dict() == state


def test_wrong_states_of_the_other_kinds() -> None:
    epochs = EpochBatches(np.arange(100), 4, 2, seed=0)
    for path, value in (("seed", -1), ("seed", "0"), ("seed", True), ("drop_last", True)):
        with pytest.raises(ValueError, match=path):
            epochs.load_state_dict(changed(epochs.state_dict(), path, value))
    with pytest.raises(ValueError, match="of kind 'epoch', but these batches are 'sequential'"):
        SequentialBatches(np.arange(100), 4, 2).load_state_dict(epochs.state_dict())
    with pytest.raises(ValueError, match="must have the keys"):
        epochs.load_state_dict({})
    with pytest.raises(TypeError, match=r"must be a dict from state_dict\(\): got \[\]"):
        epochs.load_state_dict([])  # type: ignore[arg-type]


def test_a_generator_of_arrays_refuses_lists_of_other_lengths() -> None:
    batches = RandomBatches(np.arange(100), 4, 2, np.random.Generator(np.random.MT19937(0)))
    state = batches.state_dict()
    with pytest.raises(ValueError, match="pos=625 of the state is past its 624 numbers"):
        batches.load_state_dict(changed(state, "generator.state.pos", 625))
    for key in (state["generator"]["state"]["key"][:-1], [2**40] * 624, ["x"] * 624):
        with pytest.raises(ValueError, match=r"of the state|cannot be restored"):
            batches.load_state_dict(changed(state, "generator.state.key", key))
    assert batches.state_dict() == state
