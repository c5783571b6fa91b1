"""Prompts with examples: their text, what a model makes of them, and when they are too long."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

import minigpt as mg
from minigpt.datasets import Completion, CompletionBatches
from minigpt.models import LSTMConfig, LSTMLanguageModel
from minigpt.sampling import token_log_probabilities
from minigpt.tasks.few_shot import few_shot, few_shot_classify, few_shot_scores
from minigpt.tasks.prompt_format import PromptFormat

LETTERS = "abcdefgh"
TOKENIZER = mg.CharTokenizer("".join(sorted(LETTERS + " =\n.:XY")))
FORM = PromptFormat("{input}={output}")


def cases(letters: str, shift: int = 0) -> list[tuple[str, str]]:
    """Each letter with itself, or with the one ``shift`` further on."""
    return [(x, LETTERS[(LETTERS.index(x) + shift) % len(LETTERS)]) for x in letters]


@pytest.fixture(scope="module")
def sampler():
    """A GPT that has learned to say a letter again."""
    rng, completions = np.random.default_rng(0), []
    for _ in range(500):
        text = Completion.read(())
        for x, y in cases("".join(rng.choice(list(LETTERS), size=6))):
            text += Completion.read(TOKENIZER.encode(f"{x}="))
            text += Completion.say(TOKENIZER.encode(f"{y}\n"))
        completions.append(text)
    config = mg.GPTConfig(TOKENIZER.vocab_size, block_size=24, n_layer=1, n_head=2, n_embd=32)
    training = mg.TrainerConfig(
        max_steps=250, learning_rate=1e-2, eval_interval=1000, eval_batches=1, workers=1,
        progress=False,
    )  # fmt: skip
    batches = CompletionBatches(completions, 8, seed=0)
    trainer = mg.Trainer(mg.GPT(config, seed=0), batches, None, training)
    trainer.fit()
    return mg.Sampler(trainer.model, TOKENIZER)


class ReadsTheExamples:
    """A model that finds out from the solved cases how far on the output is, and goes on so."""

    config = SimpleNamespace(vocab_size=TOKENIZER.vocab_size, block_size=1000)

    def __call__(self, ids):
        logits = np.zeros((*ids.shape, self.config.vocab_size), np.float32)
        for t in range(ids.shape[1]):
            *solved, line = TOKENIZER.decode(ids[0, : t + 1]).split("\n")
            shifts = {(LETTERS.index(case[2]) - LETTERS.index(case[0])) % 8 for case in solved}
            if line.endswith("=") and len(shifts) == 1:
                (following,) = cases(line[0], shifts.pop())
                logits[0, t, TOKENIZER.encode(following[1])] = 9.0
            else:
                logits[0, t, TOKENIZER.encode("\n")] = 9.0
        return mg.Tensor(logits)


# ── the prompt ────────────────────────────────────────────────────────────────────────────────────


def test_the_text_of_a_prompt():
    pairs = [("four", "四"), ("six", "六")]
    instruction = "Translate English to Chinese."
    form = PromptFormat(instruction=instruction)
    assert form.prompt(pairs, "nine") == (
        "Translate English to Chinese.\n"
        "Input: four\nOutput: 四\nInput: six\nOutput: 六\nInput: nine\nOutput:"
    )
    assert form.completion("九") == " 九\n"
    form = PromptFormat("Q({input}) A({output}).", "\n\n")
    assert form.prompt(pairs[:1], "nine") == "Q(four) A(四).\n\nQ(nine) A("
    assert (form.stop, form.completion("九")) == (").\n\n", "九).\n\n")


def test_a_prompt_and_its_completion_are_a_solved_case():
    for template in (
        "{input} -> {output}",
        "{input}\n{output}",
        "{input}  {output} !",
        "{input}{output}",
    ):
        form = PromptFormat(template)
        for given in ("a", "a ", ""):
            whole = form.prompt([("x", "y")], given) + form.completion("b")
            assert whole == form.prompt([("x", "y"), (given, "b")], "").removesuffix(
                form.prompt([], "")
            )


def test_braces_in_a_text_are_text():
    assert FORM.prompt([("{output}", "{input}")], "{x}") == "{output}={input}\n{x}="


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"template": "{input}"}, ValueError, r"template='\{input\}' must hold"),
        ({"template": "{output}{input}"}, ValueError, "and after it"),
        ({"template": "{input}{output}{input}"}, ValueError, "each once"),
        ({"separator": ""}, ValueError, "separator is empty"),
        ({"separator": None}, TypeError, "separator must be a str: got None"),
        ({"instruction": 3}, TypeError, "instruction must be a str: got 3"),
    ],
)
def test_what_is_no_format(options, error, message):
    with pytest.raises(error, match=message):
        PromptFormat(**options)


@pytest.mark.parametrize(
    ("examples", "query", "error", "message"),
    [
        ([("a", "b\nc")], "d", ValueError, r"the output of examples\[0\] is 'b\\nc', which holds"),
        ([("a", "b"), ("a",)], "d", TypeError, r"examples\[1\] must be a pair"),
        (["ab"], "d", TypeError, r"examples\[0\] must be a pair .* got 'ab'"),
        ([("a", 1)], "d", TypeError, r"examples\[0\] must be a pair"),
        ([], 3, TypeError, "query must be a str: got 3"),
    ],
)
def test_what_is_no_prompt(examples, query, error, message):
    with pytest.raises(error, match=message):
        FORM.prompt(examples, query)


def test_an_output_may_hold_part_of_its_end():
    form = PromptFormat("{input}={output}.", "\n")
    assert form.prompt([("a", "b.c")], "d") == "a=b.c.\nd="
    with pytest.raises(ValueError, match="the end of an output"):
        PromptFormat("{input}={output}", "bb").prompt([("a", "cb")], "d")  # ends one too early


# ── what a model makes of it ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("query", LETTERS)
def test_a_trained_model_goes_on_with_the_pattern(sampler, query):
    examples = cases("cfa")
    said = few_shot(sampler, examples, query, prompt_format=FORM, max_new_tokens=2)
    assert said == query
    found = few_shot_classify(sampler, examples, query, list(LETTERS), prompt_format=FORM)
    assert found == query


@pytest.mark.parametrize("shift", range(4))
def test_the_examples_tell_the_task(shift):
    sampler, examples = mg.Sampler(ReadsTheExamples(), TOKENIZER), cases("cfa", shift)
    for query, right in cases("bdegh", shift):
        assert few_shot(sampler, examples, query, prompt_format=FORM, max_new_tokens=2) == right
        assert few_shot_classify(sampler, examples, query, [*LETTERS], prompt_format=FORM) == right


def test_the_output_ends_at_the_separator(sampler):
    said = few_shot(sampler, cases("cf"), "a", prompt_format=FORM, max_new_tokens=12)
    assert said == "a"
    form = PromptFormat("{input}={output}", "\nc")
    assert few_shot(sampler, [], "ab", prompt_format=form, max_new_tokens=5).count("\nc") == 0


def test_scores_are_log_probabilities_of_the_label_and_its_end(sampler):
    examples, query, labels = cases("cf"), "d", ["d", "de", "e"]
    scores = few_shot_scores(sampler, examples, query, labels, prompt_format=FORM)
    for label in labels:
        prompt = TOKENIZER.encode("c=c\nf=f\nd=")
        ids = np.array(prompt + TOKENIZER.encode(label + "\n"))
        each = token_log_probabilities(sampler.model, ids)[len(prompt) - 1 :]
        assert len(each) == len(label) + 1
        assert scores[label] == pytest.approx(each.sum(), abs=1e-5)
        mean = few_shot_scores(
            sampler, examples, query, labels, prompt_format=FORM, normalize="tokens"
        )
        assert mean[label] == pytest.approx(each.mean(), abs=1e-5)
        ids = ids[len(prompt) - 1 :]  # the cue "="
        alone = token_log_probabilities(sampler.model, ids).sum()
        gain = few_shot_scores(
            sampler, examples, query, labels, prompt_format=FORM, normalize="unconditional"
        )
        assert gain[label] == pytest.approx(each.sum() - alone, abs=1e-5)
    assert list(scores.values()) == sorted(scores.values(), reverse=True)


def test_a_label_is_not_the_beginning_of_another(sampler):
    """What begins alike is told apart by where it ends."""
    scores = few_shot_scores(sampler, cases("cf"), "d", ["dX", "d"], prompt_format=FORM)
    assert [*scores] == ["d", "dX"] and sum(map(np.exp, scores.values())) < 1


# ── the context ───────────────────────────────────────────────────────────────────────────────────


def test_a_prompt_that_is_too_long(sampler):
    # Of a context of 24 tokens, 5 examples take 20, and the query 2.
    options = {"prompt_format": FORM}
    assert few_shot(sampler, cases("abcde"), "g", max_new_tokens=3, **options)
    message = (
        "the prompt with 5 examples has 22 tokens, and with max_new_tokens=4 that is more than the "
        "model's context, block_size=24: pass at most 4 of the examples"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        few_shot(sampler, cases("abcde"), "g", max_new_tokens=4, **options)
    with pytest.raises(
        ValueError, match=r"with 6 examples has 26 .* pass at most 5 of the examples"
    ):
        few_shot(sampler, cases("abcdef"), "g", max_new_tokens=1, **options)
    with pytest.raises(ValueError, match="pass at most 0 of the examples"):
        few_shot(sampler, cases("abc"), "a" * 20, max_new_tokens=1, **options)
    with pytest.raises(
        ValueError, match=r"has 2 tokens, .* even alone, the query leaves too little"
    ):
        few_shot(sampler, [], "g", max_new_tokens=24, **options)
    assert few_shot_scores(sampler, cases("abcde"), "g", ["a", "bc"], **options)
    with pytest.raises(ValueError, match="with the longest label's 4 tokens that is more"):
        few_shot_scores(sampler, cases("abcde"), "g", ["a", "bcd"], **options)


def test_a_model_without_a_limit():
    model = LSTMLanguageModel(LSTMConfig(TOKENIZER.vocab_size, 1, 8), seed=0)
    examples = cases(LETTERS * 5)
    sampler = mg.Sampler(model, TOKENIZER)
    assert len(few_shot(sampler, examples, "a", prompt_format=FORM, max_new_tokens=3)) <= 3
    assert len(few_shot_scores(sampler, examples, "a", ["a", "b"], prompt_format=FORM)) == 2


@pytest.mark.parametrize(
    ("labels", "options", "error", "message"),
    [
        ("ab", {}, TypeError, r"labels must be a list of strings: got 'ab'; write \[label\]"),
        (["a"], {}, ValueError, r"labels=\['a'\] leave nothing to choose"),
        (["a", "b", "a"], {}, ValueError, "labels hold 'a' more than once"),
        (["a", "b\n"], {}, ValueError, "output is 'b\\\\n', which holds"),
        (["a", 2], {}, TypeError, r"labels\[1\] must be a str: got 2"),
        (
            ["a", "b"],
            {"normalize": "length"},
            ValueError,
            "normalize must be .*: got .length.",
        ),
        (
            ["a", "b"],
            {"normalize": "unconditional", "prompt_format": PromptFormat("{input} {output}")},
            ValueError,
            "has no words before the output",
        ),
    ],
)
def test_labels_and_options_that_do_not_hold(sampler, labels, options, error, message):
    with pytest.raises(error, match=message):
        few_shot_scores(sampler, [], "a", labels, **{"prompt_format": FORM, **options})


def test_options_of_writing(sampler):
    with pytest.raises(ValueError, match="max_new_tokens must be an integer of at least 1: got 0"):
        few_shot(sampler, [], "a", prompt_format=FORM, max_new_tokens=0)
    with pytest.raises(ValueError, match="this sampler has no tokenizer"):
        few_shot(mg.Sampler(sampler.model), [], "a", prompt_format=FORM)
    draws = {
        few_shot(sampler, [], "a", prompt_format=FORM, max_new_tokens=2, temperature=9.0, seed=s)
        for s in range(8)
    }
    assert len(draws) > 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sampler": None}, "sampler must be a Sampler: got None; wrap the model"),
        ({"examples": None}, "examples must be a list of pairs .*: got None"),
        ({"prompt_format": "Q: {input}"}, "prompt_format must be a PromptFormat: got 'Q:"),
        ({"prompt_format": PromptFormat}, r"the class PromptFormat; make an object of it"),
    ],
)
def test_something_else_than_what_is_asked_for(sampler, changes, says):
    given = {"sampler": sampler, "examples": [], "query": "a", "prompt_format": FORM} | changes
    with pytest.raises(TypeError, match=says):
        few_shot(**given)
    with pytest.raises(TypeError, match=says):
        few_shot_scores(**given, labels=["a", "b"])
