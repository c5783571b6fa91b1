"""Prompts and their answers: how they become tokens, and what a model says to them."""

from __future__ import annotations

import re

import numpy as np
import pytest

import minigpt as mg
from minigpt.datasets import Completion, CompletionBatches
from minigpt.models import LSTMConfig, LSTMLanguageModel
from minigpt.tasks import answer, complete, encode_answer, encode_prompt, special_id
from minigpt.tasks.answering import ANSWER, END, SPECIAL_TOKENS

TOKENIZER = mg.CharTokenizer.train("abcdefgh", special_tokens=SPECIAL_TOKENS)
TASK = {"ab": "ba", "abc": "cba", "fgh": "hgf", "h": "h", "dcb": "bcd", "ga": "ag"}


@pytest.fixture(scope="module")
def reverser():
    """A GPT that has learned to say six prompts backwards."""
    completions = [encode_answer(TOKENIZER, prompt, said) for prompt, said in TASK.items()]
    batches = CompletionBatches(completions, 6, seed=0)
    config = mg.GPTConfig(TOKENIZER.vocab_size, block_size=8, n_layer=1, n_head=2, n_embd=24)
    model = mg.GPT(config, seed=0)
    training = mg.TrainerConfig(
        max_steps=120, learning_rate=2e-2, workers=1, progress=False, eval_interval=1000
    )
    mg.Trainer(model, batches, None, training).fit()
    return model


def test_a_prompt_and_its_answer():
    a, end = special_id(TOKENIZER, ANSWER), special_id(TOKENIZER, END)
    assert encode_prompt(TOKENIZER, "cab") == [2, 0, 1, a]
    assert encode_answer(TOKENIZER, "cab", "h") == Completion.read([2, 0, 1, a]) + Completion.say(
        [7, end]
    )
    assert all(encode_answer(TOKENIZER, "cab", "h", say_prompt=True).said)


def test_other_special_tokens():
    tokenizer = mg.BPETokenizer.train("ab ab", 260, ("<u>", "<e>"), progress=False)
    names = {"answer_token": "<u>", "end_token": "<e>"}
    made = encode_answer(tokenizer, "ab", "a", **names)
    assert tokenizer.decode(made.ids) == "ab<u>a<e>"
    with pytest.raises(ValueError, match=re.escape("no special token '<|answer|>': train it with")):
        encode_prompt(tokenizer, "ab")


def test_a_prompt_cannot_smuggle_in_a_special_token():
    for prompt, said in ((f"a{ANSWER}b", "a"), ("a", f"a{END}")):
        with pytest.raises(ValueError, match="holds the special token"):
            encode_answer(TOKENIZER, prompt, said)


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"batch_size": 1}, {"batch_size": 4}])
def test_answers_come_in_the_order_of_the_prompts(reverser, options):
    assert answer(reverser, TOKENIZER, list(TASK), **options) == list(TASK.values())


def test_answers_are_cut_where_told(reverser):
    assert answer(reverser, TOKENIZER, ["abc", "h"], max_new_tokens=2) == ["cb", "h"]


@pytest.mark.parametrize("options", [{}, {"num_beams": 2}])
def test_a_model_with_more_ids_than_its_tokenizer_says_only_those(options):
    config = mg.GPTConfig(TOKENIZER.vocab_size + 50, 12, 1, 1, 8, init_std=0.5)
    model, prompts = mg.GPT(config, seed=0), ["abc", "h"]
    said = answer(model, TOKENIZER, prompts, **options)
    assert len(said) == 2 and all(set(text) <= set("abcdefgh<|answer|>") for text in said)
    ids = [encode_prompt(TOKENIZER, prompt) for prompt in prompts]
    found = complete(model, ids, special_id(TOKENIZER, END), tokenizer=TOKENIZER, **options)
    assert [TOKENIZER.decode(row) for row in found] == said


def test_several_turns(reverser):
    """What is read before an answer may be any ids: here nothing but the prompt's own."""
    turns = encode_answer(TOKENIZER, "ab", "ba") + encode_answer(TOKENIZER, "h", "h")
    assert TOKENIZER.decode(turns.ids) == "ab<|answer|>ba<|end|>h<|answer|>h<|end|>"
    end = special_id(TOKENIZER, END)
    said = complete(reverser, [encode_prompt(TOKENIZER, "fgh")], end)
    assert said == [TOKENIZER.encode("hgf")]


def test_a_row_is_as_if_alone(reverser):
    untrained = mg.GPT(reverser.config, seed=1)
    prompts = [[1, 2, 3], [4], [5, 6]]
    together = complete(untrained, prompts, end_id=9, max_new_tokens=4)
    assert together == [complete(untrained, [p], end_id=9, max_new_tokens=4)[0] for p in prompts]
    assert complete(untrained, [np.array([1, 2])], 9, max_new_tokens=1) == complete(
        untrained, [[1, 2]], 9, max_new_tokens=1
    )


def test_the_whole_context_is_used(reverser):
    """Behind a prompt of T tokens there is room for block_size − T + 1: the last is not read."""
    untrained = mg.GPT(reverser.config, seed=1)
    assert [len(said) for said in complete(untrained, [[1] * 5, [1] * 3], end_id=9)] == [4, 4]
    assert len(complete(untrained, [[1] * 8], end_id=9)[0]) == 1


@pytest.mark.parametrize(
    ("prompts", "changes", "error", "message"),
    [
        ("ab", {}, TypeError, r"prompts must be a list of strings: got 'ab'; write \[prompt\]"),
        ([], {}, ValueError, "prompts is empty"),
        (["a", None], {}, TypeError, r"prompts\[1\] must be a str"),
        (["a", "x"], {}, ValueError, "characters that the tokenizer does not know"),
        (["a", "a" * 8], {}, ValueError, r"prompts\[1\] has 9 tokens.*room for 0.*block_size=8"),
        (["a"], {"max_new_tokens": 8}, ValueError, "room for 7 more.*fewer than max_new_tokens=8"),
        (["a"], {"num_beams": 0}, ValueError, "num_beams"),
        (
            ["a"],
            {"batch_size": 0},
            ValueError,
            "batch_size must be an integer of at least 1: got 0",
        ),
    ],
)
def test_wrong_arguments(reverser, prompts, changes, error, message):
    with pytest.raises(error, match=message):
        answer(reverser, TOKENIZER, prompts, **changes)


def test_a_model_without_an_end_of_its_context():
    config = LSTMConfig(TOKENIZER.vocab_size, n_embd=4, n_hidden=4, n_layer=1)
    model = LSTMLanguageModel(config)
    said = mg.Sampler(model).generate_ids([1, 2], 3, temperature=0)[0, 2:].tolist()
    end = min(set(range(9)) - set(said))
    assert complete(model, [[1, 2]], end, max_new_tokens=3) == [said]
    with pytest.raises(ValueError, match="max_new_tokens=None needs a model with a block_size"):
        complete(model, [[1, 2]], end_id=9)


def test_something_else_than_what_is_asked_for(reverser):
    end = special_id(TOKENIZER, END)
    for call, says in [
        (lambda: answer(None, TOKENIZER, ["a"]), "model must be a language model, .*: got None"),
        (lambda: answer(TOKENIZER, reverser, ["a"]), "model must be .*; the model comes first"),
        (lambda: answer(reverser, None, ["a"]), "tokenizer must be a tokenizer, .*: got None"),
        (lambda: answer(reverser, TOKENIZER, None), "prompts must be a list of strings: got None"),
        (lambda: answer(reverser, TOKENIZER, ["a"], max_new_tokens="x"), "max_new_tokens must be"),
        (lambda: answer(reverser, TOKENIZER, ["a"], num_beams="x"), "num_beams must be"),
        (lambda: answer(reverser, TOKENIZER, ["a"], progress="x"), "progress must be True or"),
        (lambda: complete(reverser, None, end), "prompts must be a list of lists of ids: got None"),
        (lambda: complete(reverser, ["ab"], end), r"prompts\[0\] must be integers"),
        (lambda: special_id(TOKENIZER, 10**400), "must be a str: got an integer of 1329 bits"),
        (lambda: encode_prompt(None, "a"), "tokenizer must be a tokenizer, .*: got None"),
    ]:
        with pytest.raises(TypeError, match=says):
            call()
