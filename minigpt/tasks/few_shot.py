r"""A task shown in the prompt: a few solved cases, then the one to solve; nothing is trained.

Source: Brown et al. 2020, "Language Models are Few-Shot Learners", §2: K examples of a context and
its completion, then one more context, whose completion the model is expected to write. With K = 0
and an instruction it is zero-shot, with K = 1 one-shot.

    Translate English to Chinese.
    Input: four
    Output: 四
    Input: six
    Output: 六
    Input: nine
    Output:                  ← the model goes on from here, up to the separator, here "\n"

How well that works depends above all on the size of the model (§3 of the paper).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from minigpt import checks
from minigpt.sampling import Sampler
from minigpt.sampling.prompts import encode_prompt
from minigpt.tasks.answering import check_texts
from minigpt.tasks.prompt_format import PromptFormat

Normalize = Literal["none", "tokens", "unconditional"]
Examples = Sequence[tuple[str, str]]


def few_shot(
    sampler: Sampler,
    examples: Examples,
    query: str,
    *,
    prompt_format: PromptFormat | None = None,
    max_new_tokens: int = 50,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | np.random.Generator | None = None,
) -> str:
    r"""The output that a model writes to the query, after the examples (Brown et al. 2020, §2).

    Args:
        sampler: a model with its tokenizer.
        examples: (input, output) pairs; without any, only the instruction tells the task.
        query: the input to solve.
        prompt_format: how cases are written; None for ``PromptFormat()``.
        max_new_tokens: the output ends there at the latest.
        temperature: 0 takes the likeliest token each time.
        top_k, top_p, seed: as in :class:`~minigpt.sampling.SamplingConfig`.

    Returns:
        what the model writes up to the separator, without white space around it

    Raises:
        TypeError, ValueError: wrong options or examples, or a prompt that leaves no room in the
            model's context for ``max_new_tokens``.

    Example:
        >>> import minigpt as mg
        >>> letters = np.random.default_rng(0).choice(list("abcd"), 500)
        >>> text = "".join(f"{letter} > {letter.upper()}\n" for letter in letters)
        >>> tokenizer = mg.CharTokenizer.train(text)
        >>> config = mg.GPTConfig(tokenizer.vocab_size, 32, n_layer=1, n_head=2, n_embd=32)
        >>> training = mg.TrainerConfig(100, batch_size=8, learning_rate=1e-2, progress=False)
        >>> tokens = tokenizer.encode_array(text)
        >>> trainer = mg.Trainer(mg.GPT(config, seed=0), tokens, None, training)
        >>> history = trainer.fit()
        >>> sampler, form = mg.Sampler(trainer.model, tokenizer), PromptFormat("{input} > {output}")
        >>> few_shot(sampler, [("b", "B")], "d", prompt_format=form, max_new_tokens=3)
        'D'
    """
    form = _check(sampler, examples, prompt_format)
    prompt = form.prompt(examples, query)
    n_new = checks.integer("max_new_tokens", max_new_tokens, least=1)
    _check_room(sampler, form, examples, query, n_new, f"max_new_tokens={n_new}")
    (output,) = sampler.generate(
        prompt,
        n_new,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        stop=form.stop,
        include_prompt=False,
        seed=seed,
    )
    return output.strip()


def few_shot_scores(
    sampler: Sampler,
    examples: Examples,
    query: str,
    labels: Sequence[str],
    *,
    prompt_format: PromptFormat | None = None,
    normalize: Normalize = "none",
) -> dict[str, float]:
    r"""How likely each label is as the output of the query (Brown et al. 2020, §2.4).

        "none"            ln P(label | prompt)
        "tokens"          1/n · ln P(label | prompt), n tokens, so that long labels are not worse
        "unconditional"   ln P(label | prompt) − ln P(label | cue), with the cue that stands before
                          outputs, such as "Output:", so that frequent labels are not better

    A label is scored with the separator after it: "no" is not the beginning of "nothing".

    Args:
        sampler, examples, query, prompt_format: as in :func:`few_shot`.
        labels: the outputs to choose from.
        normalize: one of the three.

    Returns:
        the score of each label, the best first

    Raises:
        TypeError, ValueError: as :func:`few_shot`; there are fewer than two labels, or one of them
            twice; there is no cue to condition on.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("two > even\nthree > odd\n")
        >>> config = mg.GPTConfig(tokenizer.vocab_size, 32, n_layer=1, n_head=2, n_embd=16)
        >>> sampler = mg.Sampler(
        ...     mg.GPT(config, seed=0), tokenizer
        ... )  # knows nothing: short is likely
        >>> form, examples = PromptFormat("{input} > {output}"), [("two", "even")]
        >>> scores = few_shot_scores(
        ...     sampler, examples, "three", ["even", "odd"], prompt_format=form
        ... )
        >>> {label: round(score) for label, score in scores.items()}
        {'odd': -12, 'even': -15}
    """
    form = _check(sampler, examples, prompt_format)
    _check_labels(labels, normalize, form)
    completions = {label: form.completion(label) for label in labels}
    prompt = form.prompt(examples, query)
    n_new = max(len(_ids(sampler, completion)) for completion in completions.values())
    _check_room(sampler, form, examples, query, n_new, f"the longest label's {n_new} tokens")
    scores = {}
    for label, completion in completions.items():
        score = sampler.score(completion, context=prompt)
        scores[label] = score.log_probability
        if normalize == "tokens":
            scores[label] /= score.n_tokens
        elif normalize == "unconditional":
            scores[label] -= sampler.score(completion, context=form.cue).log_probability
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def few_shot_classify(
    sampler: Sampler,
    examples: Examples,
    query: str,
    labels: Sequence[str],
    *,
    prompt_format: PromptFormat | None = None,
    normalize: Normalize = "none",
) -> str:
    r"""The likeliest label: argmax over the labels of :func:`few_shot_scores`.

    Args:
        sampler, examples, query, labels, prompt_format, normalize: as in :func:`few_shot_scores`.

    Raises:
        TypeError, ValueError: as :func:`few_shot_scores`.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("two > even\nthree > odd\n")
        >>> config = mg.GPTConfig(tokenizer.vocab_size, 32, n_layer=1, n_head=2, n_embd=16)
        >>> sampler = mg.Sampler(mg.GPT(config, seed=0), tokenizer)  # it knows nothing yet
        >>> form, examples = PromptFormat("{input} > {output}"), [("two", "even")]
        >>> few_shot_classify(sampler, examples, "three", ["even", "odd"], prompt_format=form)
        'odd'
    """
    scores = few_shot_scores(
        sampler, examples, query, labels, prompt_format=prompt_format, normalize=normalize
    )
    return next(iter(scores))


def _check_room(
    sampler: Sampler, form: PromptFormat, examples: Examples, query: str, n_new: int, new: str
) -> None:
    """Refuse a prompt of which the model could not see everything while it writes ``n_new`` tokens.

    Raises:
        ValueError: with how many examples it would be possible.
    """
    block_size = sampler.model.config.block_size
    if block_size is None:
        return

    def n_tokens(n_examples: int) -> int:
        return len(_ids(sampler, form.prompt(examples[:n_examples], query)))

    room = block_size - (n_new - 1)  # the last token is not read
    if (n_prompt := n_tokens(len(examples))) <= room:
        return
    fitting = next((k for k in range(len(examples) - 1, -1, -1) if n_tokens(k) <= room), None)
    mend = (
        f"pass at most {fitting} of the examples, or leave room for fewer new tokens"
        if fitting is not None
        else "even alone, the query leaves too little room: shorten it, or write fewer new tokens"
    )
    raise ValueError(
        f"the prompt with {len(examples)} examples has {n_prompt} tokens, and with {new} that is "
        f"more than the model's context, block_size={block_size}: {mend}"
    )


def _check(sampler: object, examples: object, prompt_format: object) -> PromptFormat:
    checks.instance("sampler", sampler, Sampler, "wrap the model: Sampler(model, tokenizer)")
    if isinstance(examples, (str, bytes)) or not isinstance(examples, Sequence):
        raise checks.wrong_type("examples", "a list of pairs (input, output)", examples)
    if prompt_format is None:
        return PromptFormat()
    return checks.instance("prompt_format", prompt_format, PromptFormat)


def _check_labels(labels: Sequence[str], normalize: object, form: PromptFormat) -> None:
    checks.one_of("normalize", normalize, ("none", "tokens", "unconditional"))
    if normalize == "unconditional" and not form.cue:
        raise ValueError(
            f"template={form.template!r} has no words before the output, on which "
            "normalize='unconditional' conditions: add some, such as 'Output: '"
        )
    check_texts("labels", labels)
    if not isinstance(labels, Sequence):
        raise checks.wrong_type("labels", "a list of strings", labels)
    if len(labels) < 2:
        raise ValueError(f"labels={list(labels)} leave nothing to choose: pass at least two")
    if twice := [label for label in labels if list(labels).count(label) > 1]:
        raise ValueError(f"labels hold {twice[0]!r} more than once: pass each label once")


def _ids(sampler: Sampler, text: str) -> list[int]:
    if sampler.tokenizer is None:
        raise ValueError("this sampler has no tokenizer: pass Sampler(model, tokenizer)")
    vocab_size = sampler.model.config.vocab_size
    return encode_prompt(sampler.tokenizer, text, vocab_size, sampler.allowed_special)
