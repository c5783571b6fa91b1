"""The twelve steps in their order: a name, its check, and the functions it is built of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from steps import (
    adamw,
    attention,
    block,
    cross_entropy,
    embedding,
    gelu,
    layer_norm,
    linear,
    multi_head_attention,
    next_token,
    softmax,
    train_step,
)


@dataclass(frozen=True)
class Step:
    """A function to be written.

    Attributes:
        number: from 1.
        name: of the function.
        check: takes the reader's function, and raises ``comparing.Wrong``.
        built_of: earlier functions that it will call.
    """

    number: int
    name: str
    check: Callable[[Any], None]
    built_of: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """The name of its page in pages/."""
        return f"{self.number:02}_{self.name}.md"


STEPS = tuple(
    Step(number, name, module.check, built_of)
    for number, (name, module, built_of) in enumerate(
        [
            ("softmax", softmax, ()),
            ("cross_entropy", cross_entropy, ("softmax",)),
            ("linear", linear, ()),
            ("embedding", embedding, ()),
            ("gelu", gelu, ()),
            ("layer_norm", layer_norm, ()),
            ("attention", attention, ("softmax",)),
            ("multi_head_attention", multi_head_attention, ("attention",)),
            ("block", block, ("linear", "gelu", "layer_norm", "multi_head_attention")),
            ("next_token", next_token, ("softmax",)),
            ("adamw", adamw, ()),
            ("train_step", train_step, ("adamw",)),
        ],
        start=1,
    )
)

__all__ = ["STEPS", "Step"]
