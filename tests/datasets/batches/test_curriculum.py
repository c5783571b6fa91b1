"""A curriculum: the stages' own batches in their order, and going on from a state."""

from __future__ import annotations

import json

import numpy as np
import pytest

import minigpt as mg
from minigpt.datasets import Completion, CompletionBatches, Curriculum, RandomBatches


def stage(length: int, n: int = 5, seed: int = 0) -> CompletionBatches:
    lessons = [Completion.read([i] * length) + Completion.say([i]) for i in range(n)]
    return CompletionBatches(lessons, 2, seed)


def new_curriculum() -> Curriculum:
    return Curriculum([(stage(1), 2), (stage(4, seed=1), 5), (stage(2, n=2), 1)])


def same(one, other):
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def test_so_many_batches_of_each_stage():
    batches = new_curriculum()
    assert len(batches) == batches.batches_per_epoch == 8
    alone = [(stage(1), 2), (stage(4, seed=1), 5), (stage(2, n=2), 1)]
    expected = [own.next_batch() for own, count in alone for _ in range(count)]
    found = list(batches)
    assert all(same(one, other) for one, other in zip(found, expected, strict=True))
    assert [ids.shape[1] for ids, _ in found] == [1, 1, 4, 4, 4, 4, 4, 2]
    assert (batches.epoch, batches.position) == (1, 0)
    # The next epoch begins with the easy stage again, where its own batches stand.
    assert same(batches.next_batch(), alone[0][0].next_batch())


def test_a_stage_that_is_left_gives_its_batches_to_the_last():
    batches = new_curriculum()
    lengths = []
    for taken in range(1, 9):
        lengths.append(batches.next_batch()[0].shape[1])
        if taken == 3:
            assert (batches.stage, batches.ends) == (1, [2, 7, 8])
            batches.move_on()
            assert (batches.stage, batches.ends) == (2, [2, 3, 8])
    assert lengths == [1, 1, 4, 2, 2, 2, 2, 2] and len(batches) == 8
    assert (batches.epoch, batches.stage) == (1, 0)  # which is divided in the same way
    assert [ids.shape[1] for ids, _ in batches] == lengths


def test_a_stage_is_left_before_its_first_batch_and_the_last_one_never():
    batches = new_curriculum()
    batches.move_on()
    batches.move_on()
    assert (batches.stage, batches.ends) == (2, [0, 0, 8])
    with pytest.raises(ValueError, match="stage 2 is the last one"):
        batches.move_on()
    assert batches.ends == [0, 0, 8]


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("taken", [0, 1, 2, 4, 7, 9])
def test_going_on_from_a_state(taken, left):
    batches, other = new_curriculum(), new_curriculum()
    for _ in range(taken):
        batches.next_batch()
    if left and batches.stage < 2:
        batches.move_on()
    other.load_state_dict(json.loads(json.dumps(batches.state_dict())))
    assert other.state_dict() == batches.state_dict()
    assert all(same(batches.next_batch(), other.next_batch()) for _ in range(12))


def test_a_state_from_before_stages_could_end_sooner():
    batches, other = new_curriculum(), new_curriculum()
    for _ in range(4):
        batches.next_batch()
    other.load_state_dict({k: v for k, v in batches.state_dict().items() if k != "ends"})
    assert other.state_dict() == batches.state_dict()


def test_a_damaged_state_changes_nothing():
    batches = new_curriculum()
    for _ in range(3):
        batches.next_batch()
    before = json.dumps(batches.state_dict())
    further = new_curriculum()
    further.next_batch()
    state = json.loads(json.dumps(further.state_dict()))
    state["stages"][2]["sha256"] = "0"  # the two before it fit
    with pytest.raises(ValueError, match="sha256"):
        batches.load_state_dict(state)
    assert json.dumps(batches.state_dict()) == before
    for stages in ([], "abc", None):
        with pytest.raises(ValueError, match="stages of the state must be a list of 3 states"):
            batches.load_state_dict({**further.state_dict(), "stages": stages})
    for ends in ([2, 7], [3, 7, 8], [2, 1, 8], [2, 7, 7], [-1, 7, 8], [2, 7.0, 8], None):
        with pytest.raises(ValueError, match=r"ends of the state must be an ascending list up to"):
            batches.load_state_dict({**further.state_dict(), "ends": ends})
    with pytest.raises(ValueError, match=r"counts=\[2, 5\]"):
        batches.load_state_dict({**further.state_dict(), "counts": [2, 5]})
    with pytest.raises(ValueError, match="kind"):
        batches.load_state_dict(stage(1).state_dict())
    assert json.dumps(batches.state_dict()) == before


def test_a_trainer_goes_through_it():
    model = mg.GPT(mg.GPTConfig(9, block_size=8, n_layer=1, n_head=1, n_embd=8), seed=0)
    config = mg.TrainerConfig(max_steps=8, seed=0, progress=False)
    trainer = mg.Trainer(model, new_curriculum(), None, config)
    trainer.fit()
    assert trainer.finished and trainer.batches.epoch == 1


def test_wrong_stages():
    with pytest.raises(ValueError, match="stages is empty"):
        Curriculum([])
    with pytest.raises(TypeError, match=r"stages\[1\] must be \(batches, how many\): got 7"):
        Curriculum([(stage(1), 1), 7])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"first of stages\[0\] must be batches, .* got \[1, 2\]"):
        Curriculum([([1, 2], 1)])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"the number of stages\[0\]"):
        Curriculum([(stage(1), 0)])
    with pytest.raises(TypeError, match=r"the number of stages\[0\]"):
        Curriculum([(stage(1), 1.5)])  # type: ignore[list-item]


def test_stages_may_be_streams():
    batches = Curriculum([(RandomBatches(np.arange(50), 4, 2, seed=0), 2), (stage(1, n=2), 1)])
    assert [ids.shape for ids, _ in batches] == [(2, 4), (2, 4), (2, 1)]
    assert "2 of RandomBatches(" in repr(batches) and "1 of CompletionBatches(" in repr(batches)
