"""What ranks have in common with a single process, and how parameters are shared out; no MPI."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from minigpt.optim import AdamW, Muon
from minigpt.optim.pieces import Piece, keep_piece
from minigpt.training.distributed import buckets_of
from minigpt.training.parallel import Workers
from minigpt.training.ranks import Ranks
from tests.training.tiny import tiny_gpt


def test_one_process_agrees_with_itself() -> None:
    ranks = Ranks()
    assert (ranks.rank, ranks.count, ranks.is_first) == (0, 1, True)
    assert ranks.gathered({"a": 1}) == [{"a": 1}]
    assert ranks.total(2.5) == 2.5
    assert ranks.any(True) and not ranks.any(False)
    assert ranks.on_first(lambda: "done") == "done"
    ranks.agree({"a": 1})
    with pytest.raises(KeyError), ranks.together():
        raise KeyError("mine")
    assert not ranks.has_lost_others


@pytest.mark.parametrize("rows", [1, 2, 5, 12, 13])
@pytest.mark.parametrize(("count", "workers"), [(1, 1), (2, 1), (4, 1), (3, 2), (7, 1)])
def test_every_row_is_one_rank_s(rows: int, count: int, workers: int) -> None:
    owned = [Workers(workers, rank, count).own_rows(rows) for rank in range(count)]
    found = [row for part in owned for row in range(rows)[part]]
    assert found == list(range(rows))
    if rows >= count:
        assert max(len(range(rows)[part]) for part in owned) <= -(-rows // count) + workers


@pytest.mark.parametrize("size", [1, 100, 10**6])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("optimizer", [AdamW, Muon])
def test_every_number_is_one_rank_s_and_matrices_of_muon_stay_whole(optimizer, count, size) -> None:
    model = tiny_gpt(n_layer=2)
    numbers = {name: np.zeros(p.size, int) for name, p in model.named_parameters()}
    loads = []
    for rank in range(count):
        made = optimizer(model.named_parameters())
        buckets = buckets_of(made, SimpleNamespace(rank=rank, count=count), size)
        loads.append(0)
        for bucket in buckets:
            for index, slot in enumerate(bucket.slots):
                piece = bucket.piece(index)
                numbers[slot.name][piece] += 1
                loads[-1] += piece.stop - piece.start
                if not made.is_divisible(slot):
                    assert piece.stop - piece.start in (0, slot.parameter.data.size)
        assert sum(len(bucket.slots) for bucket in buckets) == len(made.slots)
        assert [sum(bucket.counts) for bucket in buckets] == [len(b.numbers) for b in buckets]
    assert all((count == 1).all() for count in numbers.values())
    if optimizer is AdamW:
        assert max(loads) - min(loads) <= len(numbers)


def test_an_optimizer_of_pieces_moves_only_those(rng) -> None:
    model, whole = tiny_gpt(), tiny_gpt()
    for a, b in zip(model.parameters(), whole.parameters(), strict=True):
        b.grad = rng.standard_normal(b.shape).astype(np.float32)
        a.grad = None
    one, all_ = AdamW(model.named_parameters()), AdamW(whole.named_parameters())
    before = whole.state_dict()
    for slot in one.slots:
        size = slot.parameter.data.size
        keep_piece(slot, slice(1, max(1, size // 2)))
        gradient = dict(whole.named_parameters())[slot.name].grad.reshape(-1)
        slot.parameter.grad = gradient[1 : max(1, size // 2)]
    one.step()
    all_.step()
    for name, parameter in model.named_parameters():
        expected = before[name].reshape(-1).copy()
        piece = slice(1, max(1, expected.size // 2))
        expected[piece] = dict(whole.named_parameters())[name].data.reshape(-1)[piece]
        np.testing.assert_array_equal(parameter.data.reshape(-1), expected, err_msg=name)
    assert {slot.updates for slot in one.slots} == {1}
    assert all(isinstance(slot.parameter, Piece) for slot in one.slots)
    kept = sum(array.size for slot in one.slots for array in slot.arrays.values())
    assert kept < model.num_parameters()
