"""What all prompts begin with is read once, and changes no answer."""

from __future__ import annotations

import numpy as np
import pytest

import minigpt as mg
from minigpt.models import LSTMConfig, LSTMLanguageModel
from minigpt.tasks import answering, complete
from minigpt.tasks.shared_beginning import WORTHWHILE, SharedBeginning

LENGTH = WORTHWHILE + 6
MODERN = {"positions": "rotary", "normalization": "rms", "mlp": "gated", "n_kv_head": 1}


def model(**changes):
    sizes = {"vocab_size": 19, "block_size": 100, "n_layer": 2, "n_head": 2, "n_embd": 16}
    return mg.GPT(mg.GPTConfig(**sizes | {"init_std": 0.4} | changes), seed=1)


@pytest.fixture
def prompts(rng):
    beginning = rng.integers(0, 19, LENGTH).tolist()
    endings = [rng.integers(0, 19, n).tolist() for n in (3, 1, 7, 3, 3, 1, 3)]
    return [[*beginning, 5], *([*beginning, i % 5 + 6, *rest] for i, rest in enumerate(endings))]


@pytest.mark.parametrize("changes", [{}, {"positions": "alibi"}, MODERN], ids=str)
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_answers_are_those_of_prompts_read_whole(changes, batch_size, prompts):
    gpt = model(**changes)
    whole = [complete(gpt, [prompt], end_id=0, max_new_tokens=9)[0] for prompt in prompts]
    assert complete(gpt, prompts, end_id=0, max_new_tokens=9, batch_size=batch_size) == whole
    assert len({tuple(said) for said in whole}) > 1  # they depend on the prompt


def test_how_many_tokens_are_read(prompts, monkeypatch):
    gpt, read = model(), []
    forward = mg.GPT.forward

    def counted(self, ids, **options):
        read.append(ids.size)
        return forward(self, ids, **options)

    monkeypatch.setattr(mg.GPT, "forward", counted)
    complete(gpt, prompts, end_id=18, max_new_tokens=1)
    assert sum(read) == LENGTH + sum(len(prompt) - LENGTH for prompt in prompts)
    read.clear()
    complete(gpt, prompts, end_id=18, max_new_tokens=1, num_beams=2)
    assert sum(read) >= sum(map(len, prompts))


def test_the_beginning_itself_is_not_used_up(prompts):
    gpt = model()
    beginning = SharedBeginning.of(gpt, prompts)
    options = answering.SamplingConfig(max_new_tokens=4, temperature=0)
    first, again = (beginning.write(np.array(prompts[:1]), options) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert beginning.length == LENGTH


def test_where_nothing_is_shared(prompts):
    gpt = model()
    assert SharedBeginning.of(gpt, prompts[:1]) is None
    assert (
        SharedBeginning.of(gpt, [prompt[LENGTH - WORTHWHILE + 1 :] for prompt in prompts]) is None
    )
    assert SharedBeginning.of(gpt, [*prompts, prompts[0][:WORTHWHILE]]) is None
    assert SharedBeginning.of(gpt, [*prompts, prompts[0][: WORTHWHILE + 1]]).length == WORTHWHILE
    assert SharedBeginning.of(gpt, [np.array(prompt) for prompt in prompts]).length == LENGTH
    lstm = LSTMLanguageModel(LSTMConfig(19, n_embd=8, n_hidden=8, n_layer=1), seed=0)
    assert SharedBeginning.of(lstm, prompts) is None
    assert len(complete(lstm, prompts, end_id=0, max_new_tokens=2)) == len(prompts)
