"""A decoder does a task by itself: it reads a prompt, and goes on with the answer.

    prompt <|answer|> answer <|end|>

Whatever maps a text to a text can be written so: a translation, a summary, an answer to a question.
The model is trained to say what comes after ``<|answer|>`` (:class:`CompletionBatches`), and asked
by letting it go on from there until it says ``<|end|>`` (Radford et al. 2018, "Improving Language
Understanding by Generative Pre-Training", §3.3, where a task is a text with delimiters).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.datasets import Completion
from minigpt.padding import padded
from minigpt.progress_bar import ProgressBar
from minigpt.sampling import Sampler, SamplingConfig
from minigpt.sampling.protocols import check_model, check_tokenizer
from minigpt.tasks.shared_beginning import SharedBeginning

ANSWER, END = "<|answer|>", "<|end|>"
SPECIAL_TOKENS = (ANSWER, END)


def special_id(tokenizer: Any, name: str) -> int:
    """The id of the special token ``name`` of a ``tokenizer``.

    Raises:
        ValueError: the tokenizer has none of that name.

    Example:
        >>> import minigpt as mg
        >>> special_id(mg.CharTokenizer.train("abc", special_tokens=SPECIAL_TOKENS), END)
        4
    """
    checks.text("the name of a special token", name)
    if name not in getattr(tokenizer, "special_tokens", ()):
        raise ValueError(
            f"the tokenizer has no special token {name!r}: train it with special_tokens=({name!r}, "
            "…)"
        )
    (token_id,) = tokenizer.encode(name, allowed_special={name})
    return int(token_id)


def encode_prompt(tokenizer: Any, prompt: str, *, answer_token: str = ANSWER) -> list[int]:
    """The ids of ``prompt <|answer|>`` by a ``tokenizer``, after which the answer follows.

    Raises:
        TypeError: the prompt is not a str.
        ValueError: it holds a special token or an unknown character, or the tokenizer lacks
            ``answer_token``.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("abc", special_tokens=SPECIAL_TOKENS)
        >>> encode_prompt(tokenizer, "cab")
        [2, 0, 1, 3]
    """
    check_tokenizer(tokenizer)
    return [*tokenizer.encode(prompt), special_id(tokenizer, answer_token)]


def encode_answer(
    tokenizer: Any,
    prompt: str,
    answer: str,
    *,
    answer_token: str = ANSWER,
    end_token: str = END,
    say_prompt: bool = False,
) -> Completion:
    """``prompt <|answer|> answer <|end|>``, of which the answer and its end are to be said.

    Completions add up: ``encode_answer(t, p, a) + encode_answer(t, q, b)`` is one sequence in which
    the second prompt follows the first answer.

    Args:
        tokenizer: has both special tokens; texts that hold one are refused.
        prompt, answer: texts.
        answer_token, end_token: the special tokens.
        say_prompt: whether the model should learn to predict the prompt, too.

    Raises:
        TypeError, ValueError: as :func:`encode_prompt`.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("abc", special_tokens=SPECIAL_TOKENS)
        >>> encode_answer(tokenizer, "ca", "b")
        Completion(ids=(2, 0, 3, 1, 4), said=(False, False, False, True, True))
    """
    ids = encode_prompt(tokenizer, prompt, answer_token=answer_token)
    asked = Completion.say(ids) if checks.flag("say_prompt", say_prompt) else Completion.read(ids)
    end_id = special_id(tokenizer, end_token)
    return asked + Completion.say([*tokenizer.encode(answer), end_id])


def answer(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    max_new_tokens: int | None = None,
    num_beams: int = 1,
    batch_size: int = 64,
    answer_token: str = ANSWER,
    end_token: str = END,
    progress: bool = False,
) -> list[str]:
    """What the model says to each prompt: the likeliest token each time, or by beam search.

    Args:
        model: a language model, trained on :func:`encode_answer`.
        tokenizer: the one of its training.
        prompts: texts.
        max_new_tokens: an answer that has not ended by then is cut there; None for as many as the
            model's context has room for after the longest prompt.
        num_beams: above 1, beam search.
        batch_size: prompts at a time; those of similar length stand together.
        answer_token, end_token: the special tokens.
        progress: whether to show a bar.

    Shapes:
        prompts: N strings -> N strings, without the end token

    Raises:
        TypeError: a prompt is not a str, or one str came in place of a list.
        ValueError: there is no prompt, or one leaves no room in the context for its answer; and
            as :func:`encode_prompt`.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("ab", special_tokens=SPECIAL_TOKENS)
        >>> batches = mg.datasets.CompletionBatches(  # to say a text backwards
        ...     [encode_answer(tokenizer, q, q[::-1]) for q in ("ab", "ba")], batch_size=2, seed=0
        ... )
        >>> model = mg.GPT(mg.GPTConfig(4, block_size=8, n_layer=1, n_head=2, n_embd=16), seed=0)
        >>> config = mg.TrainerConfig(60, batch_size=2, learning_rate=0.03, progress=False)
        >>> _ = mg.Trainer(model, batches, None, config).fit()
        >>> answer(model, tokenizer, ["ab", "ba"])
        ['ba', 'ab']
    """
    check_model(model, tokenizer)
    check_texts("prompts", prompts)
    ids = [encode_prompt(tokenizer, prompt, answer_token=answer_token) for prompt in prompts]
    end_id = special_id(tokenizer, end_token)
    said = complete(
        model,
        ids,
        end_id,
        max_new_tokens=max_new_tokens,
        num_beams=num_beams,
        batch_size=batch_size,
        tokenizer=tokenizer,
        progress=progress,
    )
    return [tokenizer.decode(row) for row in said]


def complete(
    model: Any,
    prompts: Sequence[Sequence[int]],
    end_id: int,
    *,
    max_new_tokens: int | None = None,
    num_beams: int = 1,
    batch_size: int = 64,
    tokenizer: Any = None,
    progress: bool = False,
) -> list[list[int]]:
    """The ids that the model says after each prompt, up to ``end_id`` and without it.

    What :func:`answer` does, for prompts that are ids already, such as a dialogue of many turns.
    With a ``tokenizer`` the model says only ids that it knows. A long beginning that all prompts
    have in common, such as solved cases, is read once.

    Args:
        model: a language model.
        prompts: ids, to be gone on from.
        end_id: what ends an answer.
        max_new_tokens, num_beams, batch_size, progress: as in :func:`answer`.
        tokenizer: says which ids may be said; None: all.

    Shapes:
        prompts: N lists of ids -> N lists of ids

    Raises:
        ValueError: there is no prompt, or one leaves no room in the context for its answer.

    Example:
        >>> import minigpt as mg
        >>> model = mg.GPT(mg.GPTConfig(9, block_size=8, n_layer=1, n_head=1, n_embd=8), seed=0)
        >>> [len(ids) for ids in complete(model, [[1, 2, 3], [4]], end_id=0, max_new_tokens=5)]
        [5, 5]
    """
    batch_size, lengths = _check(model, prompts, num_beams, batch_size, progress)
    end_id = checks.integer("end_id", end_id, least=0)
    if tokenizer is not None:
        check_tokenizer(tokenizer)
    max_new_tokens = checked_room(lengths, max_new_tokens, model.config.block_size)
    n_tokens = None if tokenizer is None else tokenizer.vocab_size
    sampler = Sampler(model, tokenizer)
    options = SamplingConfig(
        max_new_tokens=max_new_tokens,
        temperature=1 if num_beams > 1 else 0,
        num_beams=num_beams,
        stop_tokens=end_id,
        pad_id=end_id,
    )
    shared = SharedBeginning.of(model, prompts) if num_beams == 1 else None
    said: list[list[int]] = [[] for _ in prompts]
    with ProgressBar(len(prompts), "answering", "prompt", shown=progress) as bar:
        for rows in _batches(lengths, batch_size, of_one_length=shared is not None):
            ids, mask = padded([prompts[row] for row in rows], at_left=True)  # (B, T)
            if shared is None:
                written = sampler.generate_ids(ids, config=options, attention_mask=mask)
                written = written[:, ids.shape[1] :]
            else:
                written = shared.write(ids, options, n_tokens)
            for row, new in zip(rows, written.tolist(), strict=True):
                said[row] = new[: new.index(end_id)] if end_id in new else new
            bar.update(len(rows))
    return said


def checked_room(lengths: Sequence[int], max_new_tokens: int | None, block_size: int | None) -> int:
    """How many tokens an answer may have, such that the model sees its whole prompt throughout.

    Raises:
        ValueError: there is no prompt, or the longest one has no such room.
    """
    if len(lengths) == 0:
        raise ValueError("prompts is empty: pass at least one")
    if max_new_tokens is not None:
        max_new_tokens = checks.integer("max_new_tokens", max_new_tokens, least=0)
    if block_size is None:
        if max_new_tokens is None:
            raise ValueError("max_new_tokens=None needs a model with a block_size: pass a number")
        return max_new_tokens
    longest = int(np.argmax(lengths))
    room = block_size - lengths[longest] + 1  # the last token said is not read
    if room < (1 if max_new_tokens is None else max_new_tokens):
        raise ValueError(
            f"prompts[{longest}] has {lengths[longest]} tokens, which leaves room for "
            f"{max(room, 0)} more in the context, block_size={block_size}: pass shorter prompts"
            + ("" if max_new_tokens is None else f" or fewer than max_new_tokens={max_new_tokens}")
        )
    return room if max_new_tokens is None else max_new_tokens


def _batches(lengths: Sequence[int], size: int, of_one_length: bool) -> Iterator[list[int]]:
    """The numbers of the prompts, ``size`` at a time, those of similar (or one) length together."""
    order = np.argsort(lengths, kind="stable").tolist()
    groups = [order]
    if of_one_length:
        groups = [list(group) for _, group in groupby(order, key=lambda row: lengths[row])]
    for group in groups:
        yield from (group[first : first + size] for first in range(0, len(group), size))


def check_texts(name: str, texts: object) -> None:
    """Refuse one str, or what is not a list, in place of a list of strings.

    Raises:
        TypeError: as said.
    """
    if isinstance(texts, str):
        raise checks.wrong_type(name, "a list of strings", texts, f"write [{name.rstrip('s')}]")
    for i, text in enumerate(checks.items(name, texts, "a list of strings")):
        checks.text(f"{name}[{i}]", text)


def _check(
    model: object, prompts: object, num_beams: object, batch_size: object, progress: object
) -> tuple[int, list[int]]:
    """The batch size, and the lengths of the prompts."""
    check_model(model)
    checks.integer("num_beams", num_beams, least=1)
    checks.flag("progress", progress)
    is_list = isinstance(prompts, (Sequence, np.ndarray)) and not isinstance(prompts, (str, bytes))
    if not is_list or not checks.iterates(prompts):
        raise checks.wrong_type("prompts", "a list of lists of ids", prompts)
    rows = [checks.integers(f"prompts[{i}]", ids) for i, ids in enumerate(prompts)]
    for i, row in enumerate(rows):
        if row.ndim != 1:
            raise checks.wrong_value(f"prompts[{i}]", "a list of ids", row)
    lengths = [len(row) for row in rows]
    return checks.integer("batch_size", batch_size, least=1), lengths
