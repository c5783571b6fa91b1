"""The fields of SamplingConfig as the keyword arguments of a method, without saying them again."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, TypedDict, TypeVar, cast

import numpy as np

from minigpt import checks
from minigpt.arguments import did_you_mean
from minigpt.sampling.logits_processor import LogitsProcessor
from minigpt.sampling.options import SamplingConfig

Method = TypeVar("Method", bound=Callable[..., Any])

WHY_NOT = {
    "num_return_sequences": "a stream is one text; use generate",
    "length_penalty": "it belongs to beam search, which cannot be streamed; use generate",
    "early_stopping": "it belongs to beam search, which cannot be streamed; use generate",
    "progress": "its pieces are the progress",
    "pad_id": "it fills rows of ids; use generate_ids",
    "stop": "it is a text; pass stop_tokens, or use generate",
    "include_prompt": "it is of texts; use generate",
    "skip_special_tokens": "it is of texts; use generate",
}


class SamplingOptions(TypedDict, total=False):
    """The fields of :class:`SamplingConfig` as keyword arguments, for editors and type checkers."""

    temperature: float
    top_k: int | None
    top_p: float | None
    min_p: float | None
    repetition_penalty: float
    no_repeat_ngram_size: int
    min_new_tokens: int
    logits_processor: LogitsProcessor | None
    num_beams: int
    length_penalty: float
    early_stopping: bool | str
    num_return_sequences: int
    stop: str | Iterable[str]
    stop_tokens: int | Iterable[int]
    pad_id: int | None
    include_prompt: bool
    skip_special_tokens: bool
    seed: int | np.random.Generator | None
    use_cache: bool
    window_shift: int
    progress: bool


def takes_options(*but: str) -> Callable[[Method], Method]:
    """A method's ``**options`` are the fields of :class:`SamplingConfig`, ``but`` for some.

    Its signature spells them out with their defaults, for help() and for completion. What is not
    among them is refused by name, with the nearest one that is.
    """

    def decorated(method: Method) -> Method:
        signature = _spelt_out(inspect.signature(method), but)

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            for name in kwargs:
                if name not in signature.parameters:
                    raise _unknown_option(method.__name__, name, signature, but)
            return method(*args, **kwargs)

        call.__signature__ = signature  # type: ignore[attr-defined]
        return cast(Method, call)

    return decorated


def chosen_options(
    max_new_tokens: int | None, config: SamplingConfig | None, options: Mapping[str, object]
) -> SamplingConfig:
    """The options of a call: those given by name, else the config's, else the defaults.

    Example:
        >>> greedy = SamplingConfig(max_new_tokens=9, temperature=0)
        >>> chosen = chosen_options(None, greedy, {"seed": 1})
        >>> chosen.max_new_tokens, chosen.temperature, chosen.seed
        (9, 0.0, 1)
    """
    given: dict[str, Any] = dict(options)
    if max_new_tokens is not None:
        given["max_new_tokens"] = max_new_tokens
    if config is None:
        return SamplingConfig(**given)
    return replace(checks.instance("config", config, SamplingConfig), **given)


def _spelt_out(signature: inspect.Signature, but: tuple[str, ...]) -> inspect.Signature:
    """The signature with the options in place of its ``**options``."""
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    parameters = {p.name: p for p in own}
    for field in fields(SamplingConfig):
        if field.name not in but:
            place = parameters.get(field.name) or inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY
            )
            parameters[field.name] = place.replace(default=field.default, annotation=field.type)
    ordered = sorted(parameters.values(), key=lambda p: p.kind)
    return signature.replace(parameters=ordered)


def _unknown_option(
    method: str, name: str, signature: inspect.Signature, but: tuple[str, ...]
) -> TypeError:
    if name in but:
        return TypeError(f"{method} does not take the option {name}: {WHY_NOT[name]}")
    near = did_you_mean(name, signature.parameters)
    mend = near or "SamplingConfig explains those that there are"
    return TypeError(f"{method} has no option {name}: {mend}")
