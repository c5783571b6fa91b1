"""The options that every way of sampling shares, checked once, when they are given."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.sampling.filters import (
    apply_temperature,
    check_min_p,
    check_repetition_penalty,
    check_temperature,
    check_top_k,
    check_top_p,
    min_p_filter,
    no_repeat_ngram_filter,
    repetition_penalty,
    top_k_filter,
    top_p_filter,
)
from minigpt.sampling.logits_processor import LogitsProcessor, check_processor, processed

MOST_ROWS = 2**20  # that are made together: with a vocabulary of 65, their logits take 272 MB


@dataclass(frozen=True)
class SamplingConfig:
    r"""How tokens are chosen, and when to stop.

    Attributes:
        max_new_tokens: how many tokens a sample has at most, beyond its prompt.
        temperature: below 1 sharper, above 1 more varied, 0 greedy (always the likeliest token).
        top_k: draw only from the k likeliest tokens; None from all.
        top_p: draw from the likeliest tokens that together hold this probability; None from all.
        min_p: draw from tokens at least this fraction as likely as the best one; None from all.
        repetition_penalty: above 1, tokens that are already there become less likely.
        no_repeat_ngram_size: an n above 0 rules out every token that would repeat an n-gram of the
            prompt or the text.
        min_new_tokens: until there are that many, no stop token is drawn. Stop strings still count.
        logits_processor: any function (ids, logits) → logits, to change what is drawn: of the
            tokens so far (A, T) and the logits of the next one (A, V) of A rows. It comes after the
            options above that look at the tokens, and before temperature, top-k, top-p and min-p;
            in beam search its logits are ln p. It sees no padding: prompts of different lengths
            come one by one.
        num_beams: above 1, beam search instead of sampling: the likeliest text is searched for, and
            that many beginnings of it are kept. See :func:`~minigpt.sampling.beam_search`.
        length_penalty: the α of beam search, which compares texts by ln P / length^α: above 0 for
            longer texts, below 0 for shorter ones.
        early_stopping: of beam search, whether it ends as soon as ``num_beams`` texts are finished;
            False as soon as no better one is likely, "never" when none is possible.
        num_return_sequences: samples per prompt, made together as one batch; with beam search the
            best texts that were found, at most ``num_beams``.
        stop: a string or several; the text ends before the first one that appears after the prompt.
        stop_tokens: an id or several that end a sample; text does not show them.
        pad_id: what fills the rows of ids that stopped before the others; None repeats the token
            that stopped the row.
        include_prompt: whether text begins with the prompt.
        skip_special_tokens: leave special tokens out of the text.
        seed: an int of at least 0 or a numpy.random.Generator, for samples that can be repeated;
            None for new ones each time.
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
    no_repeat_ngram_size: int = 0
    min_new_tokens: int = 0
    logits_processor: LogitsProcessor | None = None
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
        for name, value in _checked(self).items():
            object.__setattr__(self, name, value)  # frozen for everybody else
        _check_beams(self)

    @classmethod
    def from_generation_config(cls, path: str | os.PathLike[str], **options: Any) -> SamplingConfig:
        """What the publishers of a model recommend, out of its ``generation_config.json``.

        Args:
            path: the file, or the folder that it is in.
            **options: fields that are to differ.

        Raises:
            FileNotFoundError: there is no such file.
            PretrainedError: it asks for something that a Sampler cannot do, and says what.

        Example:
            >>> import tempfile, pathlib
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     file = pathlib.Path(folder, "generation_config.json")
            ...     _ = file.write_text('{"do_sample": true, "top_p": 0.9, "eos_token_id": 7}')
            ...     config = SamplingConfig.from_generation_config(folder, seed=1)
            >>> config.top_p, config.top_k, config.stop_tokens, config.seed
            (0.9, 50, (7,), 1)
        """
        from minigpt.interop import read_generation_config
        from minigpt.interop.errors import refusing

        path = checks.path("path", path)
        stated = read_generation_config(path)
        kept = {name: value for name, value in stated.items() if name not in options}
        with refusing(path):
            cls(**kept)
        return cls(**kept, **options)

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

    def process(
        self, logits: Array, ids: Array, mask: Array | None = None, n_new: int = 0
    ) -> Array:
        """The logits after every option that is on and looks at the tokens so far.

        Shapes:
            logits: (A, V) → (A, V)
            ids, mask: (A, T), the last ``n_new`` of them written, the others the prompt
        """
        if self.repetition_penalty != 1 or self.no_repeat_ngram_size:
            real = _known(ids, mask, logits.shape[-1])
            if self.repetition_penalty != 1:
                logits = repetition_penalty(logits, ids, self.repetition_penalty, real)
            if self.no_repeat_ngram_size:
                logits = no_repeat_ngram_filter(logits, ids, self.no_repeat_ngram_size, real)
        if n_new < self.min_new_tokens:
            stop_tokens = cast("tuple[int, ...]", self.stop_tokens)
            ruled_out = np.isin(np.arange(logits.shape[-1]), stop_tokens)  # (V,)
            logits = np.where(ruled_out, logits.dtype.type(-np.inf), logits)
        if self.logits_processor is not None:
            logits = processed(self.logits_processor, logits, ids, mask)
        return logits

    def filter(self, logits: Array, ids: Array, mask: Array | None = None, n_new: int = 0) -> Array:
        """The logits that are drawn from: :meth:`process`, then the filters of sampling.

        Shapes:
            logits: (A, V) → (A, V)
            ids, mask: (A, T), the last ``n_new`` of them written, the others the prompt
        """
        logits = self.process(logits, ids, mask, n_new)
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
        from the same prompt. One of the ``prompts`` that occurs twice goes on counting its samples.
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


# ── what options must be ──────────────────────────────────────────────────────────────────────


def _checked(options: SamplingConfig) -> dict[str, object]:
    """Every option as it is kept."""
    o = options
    return {
        "max_new_tokens": checks.integer("max_new_tokens", o.max_new_tokens, least=0),
        "temperature": check_temperature(o.temperature),
        "top_k": None if o.top_k is None else check_top_k(o.top_k),
        "top_p": None if o.top_p is None else check_top_p(o.top_p),
        "min_p": None if o.min_p is None else check_min_p(o.min_p),
        "repetition_penalty": check_repetition_penalty(o.repetition_penalty),
        "no_repeat_ngram_size": checks.integer(
            "no_repeat_ngram_size", o.no_repeat_ngram_size, least=0, mend="0 allows repeating"
        ),
        "min_new_tokens": _min_new_tokens(o),
        "logits_processor": check_processor(o.logits_processor),
        "num_beams": checks.integer("num_beams", o.num_beams, 1, MOST_ROWS),
        "length_penalty": checks.number(
            "length_penalty", o.length_penalty, least=-10, most=10,
            mend="0 compares probabilities, 1 means per token",
        ),
        "early_stopping": _early_stopping(o.early_stopping),
        "num_return_sequences": checks.integer(
            "num_return_sequences", o.num_return_sequences, 1, MOST_ROWS,
            mend="they are made together as one batch",
        ),
        "stop": _strings(o.stop),
        "stop_tokens": _token_ids(o.stop_tokens),
        "pad_id": None if o.pad_id is None else checks.integer("pad_id", o.pad_id, 0, 2**63 - 1),
        "include_prompt": checks.flag("include_prompt", o.include_prompt),
        "skip_special_tokens": checks.flag("skip_special_tokens", o.skip_special_tokens),
        "seed": None if o.seed is None else checks.seed(o.seed),
        "use_cache": checks.flag("use_cache", o.use_cache),
        "window_shift": checks.integer("window_shift", o.window_shift, least=1),
        "progress": checks.flag("progress", o.progress),
    }  # fmt: skip


def _check_beams(options: SamplingConfig) -> None:
    """Beam search draws nothing, and sampling knows no beams: what is not used is refused."""
    if options.num_beams == 1:
        for name, unused in (("length_penalty", 1.0), ("early_stopping", False)):
            if (value := getattr(options, name)) != unused:
                raise ValueError(
                    f"{name}={value!r} belongs to beam search: leave it out, or pass num_beams >= 2"
                )
        return
    for name in ("temperature", "top_k", "top_p", "min_p"):
        value = getattr(options, name)
        if value not in ((0, 1) if name == "temperature" else (None,)):
            raise ValueError(
                f"{name}={value} belongs to sampling, and num_beams={options.num_beams} searches "
                "for the likeliest text: leave one of them out"
            )
    if options.num_return_sequences > options.num_beams:
        raise ValueError(
            f"num_return_sequences={options.num_return_sequences} is more than the "
            f"num_beams={options.num_beams} texts that are kept: pass "
            f"num_beams={options.num_return_sequences}"
        )


def _early_stopping(value: object) -> bool | str:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, str) and value == "never":
        return value
    wrong = checks.wrong_value if isinstance(value, str) else checks.wrong_type
    raise wrong("early_stopping", 'True, False or "never"', value)


def _min_new_tokens(options: SamplingConfig) -> int:
    n = checks.integer("min_new_tokens", options.min_new_tokens, least=0)
    if n > options.max_new_tokens:
        mend = f"max_new_tokens={options.max_new_tokens} are the most"
        raise checks.wrong_value("min_new_tokens", "at most max_new_tokens", n, mend)
    return n


def _known(ids: Array, mask: Array | None, n: int) -> Array | None:
    """The mask, without ids that have no logit, as a tokenizer may know fewer than the model."""
    known = ids < n
    if known.all():
        return mask
    return known if mask is None else mask & known


def _strings(stop: object) -> tuple[str, ...]:
    strings = (stop,) if isinstance(stop, str) else _items("stop", stop, "a str or several")
    for i, string in enumerate(strings):
        if not checks.text(f"stop[{i}]", string):
            raise ValueError("stop holds an empty string, which would stop at once: leave it out")
    return cast("tuple[str, ...]", strings)


def _token_ids(stop_tokens: object) -> tuple[int, ...]:
    if isinstance(stop_tokens, (int, np.integer)):
        return (checks.integer("stop_tokens", stop_tokens, least=0),)
    ids = _items("stop_tokens", stop_tokens, "a token id or several")
    return tuple(checks.integer(f"stop_tokens[{i}]", token, least=0) for i, token in enumerate(ids))


def _items(name: str, value: object, expected: str) -> tuple[object, ...]:
    return tuple(checks.items(name, value, expected))
