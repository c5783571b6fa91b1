"""Batches of completions: what is read, what is to be said, and going on from a state."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt as mg
import minigpt.functional as F
from minigpt.datasets import Completion, CompletionBatches

PIECES = st.lists(
    st.tuples(st.booleans(), st.lists(st.integers(0, 20), min_size=1, max_size=4)), max_size=4
)


def built(pieces):
    """The pieces added up, and an answer at the end."""
    completion = Completion.read([1])
    for is_said, ids in pieces:
        completion += Completion.say(ids) if is_said else Completion.read(ids)
    return completion + Completion.say([2])


@given(st.lists(PIECES, min_size=1, max_size=20), st.integers(1, 7), st.integers(0, 2**64))
def test_every_completion_once_an_epoch(examples, batch_size, seed):
    completions = [built(pieces) for pieces in examples]
    expected = sorted(
        (c.ids[:-1], tuple(i if s else -1 for i, s in zip(c.ids[1:], c.said[1:], strict=True)))
        for c in completions
    )
    batches = CompletionBatches(completions, batch_size, seed)
    assert batches.longest == max(len(c) for c in completions) - 1
    for _ in range(2):
        found = []
        for ids, targets in batches:
            assert ids.dtype == targets.dtype == np.int64 and ids.shape == targets.shape
            for row, target in zip(ids, targets, strict=True):
                n = np.flatnonzero(target == 2).max() + 1  # the last token said ends it
                assert (row[n:] == 0).all() and (target[n:] == -1).all()
                found.append((tuple(row[:n].tolist()), tuple(target[:n].tolist())))
        assert sorted(found) == expected


def test_several_answers_in_one_sequence():
    turn = Completion.read([5, 6]) + Completion.say([7, 2])
    ((ids, targets),) = CompletionBatches([turn + turn], 1, seed=0)
    assert ids.tolist() == [[5, 6, 7, 2, 5, 6, 7]]
    assert targets.tolist() == [[-1, 7, 2, -1, -1, 7, 2]]


def test_the_loss_is_that_of_the_answers_alone():
    prompts, answers = [[5, 6, 3], [8]], [[7, 2], [4, 4, 2]]
    completions = [
        Completion.read(p) + Completion.say(a) for p, a in zip(prompts, answers, strict=True)
    ]
    model = mg.GPT(mg.GPTConfig(9, block_size=8, n_layer=2, n_head=2, n_embd=8), seed=0).eval()
    (batch,) = CompletionBatches(completions, 2, seed=0)
    total = 0.0
    for p, a in zip(prompts, answers, strict=True):
        logits = model(np.array([p + a[:-1]]))[:, len(p) - 1 :]
        total += F.cross_entropy(logits, np.array([a]), reduction="none").numpy().sum()
    assert model.loss_weight(*batch) == 5
    assert model.loss(*batch).item() == pytest.approx(total / 5, rel=1e-5)


def test_a_gpt_learns_from_them_and_goes_on_exactly():
    completions = [Completion.read([i, i + 1]) + Completion.say([i + 2, 0]) for i in range(1, 12)]
    config = mg.TrainerConfig(max_steps=6, warmup_steps=0, workers=1, progress=False)

    def trainer():
        model = mg.GPT(mg.GPTConfig(20, block_size=3, n_layer=1, n_head=2, n_embd=8), seed=0)
        return mg.Trainer(model, CompletionBatches(completions, 4, seed=1), None, config)

    whole, first = trainer(), trainer()
    losses = [whole.train_step() for _ in range(6)]
    assert losses[-1] < losses[0]
    for _ in range(4):
        first.train_step()
    state = json.loads(json.dumps(first.batches.state_dict()))
    other = CompletionBatches(completions, 4, seed=2)
    other.load_state_dict(state)
    first.batches = other
    assert [first.train_step() for _ in range(2)] == losses[4:]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"completions": [built([]), built([(True, [3])])]}, "sha256"),
        ({"completions": [built([])]}, "examples=2, but here examples=1"),
        ({"pad_id": 3}, "pad_id=0, but here pad_id=3"),
    ],
)
def test_a_state_of_other_batches_is_refused(changes, message):
    # The same tokens, but those that are read are said in the other.
    options = {"completions": [built([]), built([(False, [3])])], "batch_size": 2, "seed": 0}
    state = CompletionBatches(**options).state_dict()
    other = CompletionBatches(**options | changes)
    with pytest.raises(ValueError, match=message):
        other.load_state_dict(state)


GOOD = Completion.read([1, 2]) + Completion.say([3])


@pytest.mark.parametrize(
    ("completions", "changes", "error", "message"),
    [
        ([], {}, ValueError, "completions is empty"),
        (
            [GOOD, [1, 2]],
            {},
            TypeError,
            r"completions\[1\] must be a Completion: got .*; pass Completion.read",
        ),
        ([GOOD, Completion.read([1])], {}, ValueError, r"completions\[1\] has nothing to say"),
        ([Completion.say([1])], {}, ValueError, r"completions\[0\] has nothing to say after its"),
        ([GOOD], {"block_size": 1}, ValueError, r"completions\[0\] has the model read 2 tokens.*1"),
        ([GOOD], {"block_size": True}, TypeError, "block_size must be an int"),
        ([GOOD], {"pad_id": -1}, ValueError, "pad_id must be an integer of at least 0: got -1"),
        ([GOOD], {"seed": -1}, ValueError, "seed must be an integer of at least 0: got -1"),
        (
            [GOOD],
            {"batch_size": 0},
            ValueError,
            "batch_size must be an integer of at least 1: got 0",
        ),
    ],
)
def test_wrong_arguments(completions, changes, error, message):
    with pytest.raises(error, match=message):
        CompletionBatches(completions, **{"batch_size": 2, "seed": 0} | changes)


@pytest.mark.parametrize(
    ("ids", "said", "error", "message"),
    [
        ((1, 2), (True,), ValueError, "there are 2 ids and said has shape"),
        ((1, 2), (0, 1), TypeError, "said must be an array of booleans: got an int64 array"),
        ((1, -2), (True, True), ValueError, "ids hold -2"),
        ((1.5,), (True,), TypeError, "ids must be integers"),
        ("ab", (True, True), TypeError, "encode the text first"),
    ],
)
def test_a_completion_is_checked(ids, said, error, message):
    with pytest.raises(error, match=message):
        Completion(ids, said)


def test_completions_are_plain_values():
    made = Completion.read(np.array([1, 2], np.uint16)) + Completion.say(range(3, 4))
    assert made == Completion((1, 2, 3), (False, False, True)) and len(made) == 3
    assert {type(i) for i in made.ids} == {int} and {type(s) for s in made.said} == {bool}
    assert Completion.read([]) + made == made
    with pytest.raises(TypeError):
        made + (3,)  # noqa: RUF005
