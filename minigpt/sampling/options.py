"""The options that every way of sampling shares, checked once, when they are given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np

from minigpt.autograd import Array
from minigpt.sampling.checks import (
    check_early_stopping,
    check_flag,
    check_integer,
    check_length_penalty,
    check_min_p,
    check_repetition_penalty,
    check_temperature,
    check_top_k,
    check_top_p,
)
from minigpt.sampling.filters import (
    apply_temperature,
    min_p_filter,
    repetition_penalty,
    top_k_filter,
    top_p_filter,
)


@dataclass(frozen=True)
class SamplingConfig:
    r"""How tokens are chosen, and when to stop.

    Attributes:
        max_new_tokens: how many tokens a sample has at most, beyond its prompt.
        temperature: below 1 sharper, above 1 more varied, 0 greedy (always the likeliest token).
        top_k: draw from the k likeliest tokens alone; None from all.
        top_p: draw from the likeliest tokens that together hold this probability; None from all.
        min_p: draw from tokens at least this fraction as likely as the best one; None from all.
        repetition_penalty: above 1, tokens that are already there become less likely.
        num_beams: above 1, beam search instead of sampling: the likeliest text is searched for, and
            that many beginnings of it are kept. See :func:`~minigpt.sampling.beam_search`.
        length_penalty: the α of beam search, which compares texts by ln P / length^α: above 0 for
            longer texts, below 0 for shorter ones.
        early_stopping: of beam search, whether it ends as soon as ``num_beams`` texts are finished;
            False as soon as no better one is likely, "never" when none is possible.
        num_return_sequences: samples per prompt, made together as one batch; with beam search the
            best texts found, at most ``num_beams``.
        stop: a string or several; the text ends before the first one that appears after the prompt.
        stop_tokens: an id or several that end a sample; text does not show them.
        pad_id: what fills the rows of ids that stopped before the others; None repeats the token
            that stopped the row.
        include_prompt: whether text begins with the prompt.
        skip_special_tokens: leave special tokens out of the text.
        seed: an int >= 0 or a numpy Generator, for samples that can be repeated; None for new ones.
        use_cache: keep keys and values of the tokens seen, instead of computing them at every step.
        window_shift: how many of the oldest tokens are dropped when the context is full. 1 is
            exact: each token sees the ``block_size`` tokens before it, at the price of a pass over
            all of them. With s, such a pass is needed every s tokens only, and a token sees at
            least ``block_size - s + 1``.
        progress: show a progress bar.

    Raises:
        TypeError: a value is of the wrong type.
        ValueError: a value is out of its range.

    Example:
        >>> SamplingConfig(temperature=0.8, top_k=40, stop="\n").stop
        ('\n',)
    """

    max_new_tokens: int = 100
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    num_return_sequences: int = 1
    stop: str | Iterable[str] = ()
    stop_tokens: int | Iterable[int] = ()
    pad_id: int | None = None
    include_prompt: bool = True
    skip_special_tokens: bool = False
    seed: int | np.random.Generator | None = None
    use_cache: bool = True
    window_shift: int = 1
    progress: bool = False

    def __post_init__(self) -> None:
        checked: dict[str, object] = {
            "max_new_tokens": check_integer("max_new_tokens", self.max_new_tokens, 0),
            "temperature": check_temperature(self.temperature),
            "top_k": None if self.top_k is None else check_top_k(self.top_k),
            "top_p": None if self.top_p is None else check_top_p(self.top_p),
            "min_p": None if self.min_p is None else check_min_p(self.min_p),
            "repetition_penalty": check_repetition_penalty(self.repetition_penalty),
            "num_beams": check_integer("num_beams", self.num_beams, 1),
            "length_penalty": check_length_penalty(self.length_penalty),
            "early_stopping": check_early_stopping(self.early_stopping),
            "num_return_sequences": check_integer(
                "num_return_sequences", self.num_return_sequences, 1
            ),
            "stop": _strings(self.stop),
            "stop_tokens": _token_ids(self.stop_tokens),
            "pad_id": None if self.pad_id is None else check_integer("pad_id", self.pad_id, 0),
            "seed": _seed(self.seed),
            "window_shift": check_integer("window_shift", self.window_shift, 1),
        }
        for name in ("include_prompt", "skip_special_tokens", "use_cache", "progress"):
            checked[name] = check_flag(name, getattr(self, name))
        for name, value in checked.items():
            object.__setattr__(self, name, value)  # frozen for everybody else
        self._check_beams()

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any]) -> SamplingConfig:
        """The options among a method's arguments, which are its ``locals()`` as it begins.

        The sampler's methods spell out their options, for whoever reads or completes a signature;
        handing each one on by its name would say everything three times more.
        """
        names = {field.name for field in fields(cls)}
        return cls(**{name: arguments[name] for name in names & arguments.keys()})

    def known_stop_tokens(self, vocab_size: int) -> tuple[int, ...]:
        """The stop tokens, all of them below ``vocab_size``.

        Raises:
            ValueError: one is not.
        """
        stop_tokens = cast("tuple[int, ...]", self.stop_tokens)
        for token in stop_tokens:
            if token >= vocab_size:
                raise ValueError(
                    f"stop_tokens holds {token}, which is never drawn: the model knows 0 to "
                    f"{vocab_size - 1}"
                )
        return stop_tokens

    def filter(self, logits: Array, ids: Array, mask: Array | None = None) -> Array:
        """The logits (B, V) after every filter that is on; ``ids`` and ``mask`` (B, T) so far."""
        if self.repetition_penalty != 1:
            logits = repetition_penalty(logits, ids, self.repetition_penalty, mask)
        if self.temperature != 1:
            logits = apply_temperature(logits, self.temperature)
        if self.top_k is not None:
            logits = top_k_filter(logits, self.top_k)
        if self.top_p is not None:
            logits = top_p_filter(logits, self.top_p)
        if self.min_p is not None:
            logits = min_p_filter(logits, self.min_p)
        return logits

    def row_generators(self, prompts: list[Array]) -> list[np.random.Generator]:
        """One independent generator per returned row, prompt by prompt.

        It is derived from the seed, the prompt's own ids and the number of the sample, so that a
        sample does not change with what else is in the batch, or with how many others are drawn
        from the same prompt. A prompt that occurs twice goes on counting its samples.
        """
        if self.seed is None:
            words = [cast(int, np.random.SeedSequence().entropy)]
        elif isinstance(self.seed, np.random.Generator):
            words = self.seed.integers(0, 2**32, size=4).tolist()
        else:
            words = [self.seed]
        samples_of: dict[tuple[int, ...], int] = {}
        generators = []
        for prompt in prompts:
            key = tuple(prompt.tolist())
            for _ in range(self.num_return_sequences):
                number = samples_of[key] = samples_of.get(key, -1) + 1
                generators.append(np.random.default_rng([*words, number, len(key), *key]))
        return generators

    def _check_beams(self) -> None:
        """Beam search draws nothing, and sampling knows no beams: what is not used is refused."""
        if self.num_beams == 1:
            for name, unused in (("length_penalty", 1.0), ("early_stopping", False)):
                if (value := getattr(self, name)) != unused:
                    raise ValueError(
                        f"{name}={value!r} belongs to beam search: leave it out, or pass "
                        "num_beams >= 2"
                    )
            return
        for name in ("temperature", "top_k", "top_p", "min_p"):
            value = getattr(self, name)
            if value not in ((0, 1) if name == "temperature" else (None,)):
                raise ValueError(
                    f"{name}={value} belongs to sampling, and num_beams={self.num_beams} searches "
                    "for the likeliest text: leave one of them out"
                )
        if self.stop:
            raise ValueError(
                f"stop={self.stop!r} does not go with num_beams={self.num_beams}: beams end at "
                "stop_tokens alone"
            )
        if self.num_return_sequences > self.num_beams:
            raise ValueError(
                f"num_return_sequences={self.num_return_sequences} is more than the "
                f"num_beams={self.num_beams} texts that are kept: pass "
                f"num_beams={self.num_return_sequences}"
            )


def _strings(stop: object) -> tuple[str, ...]:
    strings = (stop,) if isinstance(stop, str) else _items("stop", stop, "a string")
    for string in strings:
        if not isinstance(string, str):
            raise TypeError(f"stop holds {string!r}: pass a string or a sequence of strings")
        if not string:
            raise ValueError("stop holds an empty string, which would stop at once: leave it out")
    return cast("tuple[str, ...]", strings)


def _token_ids(stop_tokens: object) -> tuple[int, ...]:
    one = isinstance(stop_tokens, (int, np.integer))
    ids = (stop_tokens,) if one else _items("stop_tokens", stop_tokens, "a token id")
    return tuple(check_integer("stop_tokens", token, 0) for token in ids)


def _items(name: str, value: object, one: str) -> tuple[object, ...]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}: pass {one} or several")
    return tuple(value)


def _seed(seed: object) -> int | np.random.Generator | None:
    if seed is None or isinstance(seed, np.random.Generator):
        return seed
    return check_integer("seed", seed, 0, ", a numpy Generator, or None")
