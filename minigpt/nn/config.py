"""Configurations: frozen, every field checked once, when it is made; and a transformer block's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.functional.activations import ACTIVATIONS
from minigpt.nn.initial_weights import LARGEST_STD

Check = Callable[[str, Any], Any]  # a field's name and value -> the value, as a plain Python one

size: Check = checks.size
positive: Check = partial(checks.number, above=0)
deviation: Check = partial(checks.number, above=0, most=LARGEST_STD)
NORMS = {"pre": "GPT-2", "post": "GPT-1", "none": "to study"}


def optional(check: Check) -> Check:
    """The same check, of a value that may also be None."""
    return lambda name, value: None if value is None else check(name, value)


def one_of(words: Any) -> Check:
    """The check of a field that is one of some words."""
    return lambda name, value: checks.one_of(name, value, words)


class Config:
    """What configurations share: each field is checked by its name, and becomes a plain value.

    A frozen dataclass that derives from it lists its fields, in the order in which they can be
    given by position, and says in ``CHECKS`` how those are checked that are not there yet. What
    must fit together it checks in :meth:`_check_together`. Modules that are made from a
    configuration trust it.
    """

    CHECKS: ClassVar[Mapping[str, Check]] = {}

    def __post_init__(self) -> None:
        fields: Any = self
        for field in dataclasses.fields(fields):
            self._put(field.name, self.CHECKS[field.name](field.name, getattr(self, field.name)))
        self._check_together()

    def _check_together(self) -> None:
        """Raise unless the fields fit each other."""

    def _put(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # frozen for everybody else


class TransformerConfig(Config):
    """What blocks, attention and feed-forward networks read of a configuration.

    Attributes:
        n_embd: the width of the residual stream.
        n_head: how many attention heads a block has; divides n_embd.
        n_inner: the width inside the feed-forward network; 4·n_embd where None.
        activation: of the feed-forward network.
        norm: "pre", "post" or "none".
        dropout: on the attention weights, and on what attention and the feed-forward network add
            to the residual stream.
        bias: whether projections and layer norms have biases.
        layer_norm_eps: ε of the layer norms.
        init_std: standard deviation of the initial projections; 1/√n_in of each where None.
        residual_std: that of the projections back into the residual stream; init_std where None.
        causal: False lets every token see all others, as in an encoder.
        residual: False leaves the residual connections out.
        slopes: (n_head,), how fast each head's scores fall with the distance of a token
            (:func:`~minigpt.functional.alibi_slopes`); None: not at all.
        scale_attention: whether the scores Q Kᵀ are divided by √d_k.
        scale_attention_by_layer: whether those of the blocks 1, 2, 3, … are also divided by their
            number.
    """

    CHECKS: ClassVar[Mapping[str, Check]] = {
        "n_layer": size,
        "n_embd": size,
        "n_head": size,
        "n_inner": optional(size),
        "activation": one_of(tuple(ACTIVATIONS)),
        "norm": one_of(NORMS),
        "dropout": checks.probability,
        "bias": checks.flag,
        "layer_norm_eps": positive,
        "init_std": deviation,
        "causal": checks.flag,
        "residual": checks.flag,
    }

    n_embd: int
    n_head: int
    n_inner: int | None
    activation: str
    norm: str
    dropout: float
    bias: bool
    layer_norm_eps: float
    init_std: float | None
    causal: bool = True
    residual: bool = True
    scale_attention: bool = True
    scale_attention_by_layer: bool = False

    @property
    def residual_std(self) -> float | None:
        """Standard deviation of the initial projections back into the residual stream."""
        return self.init_std

    @property
    def slopes(self) -> Array | None:
        """How fast each head's scores fall with the distance of a token; None: not at all."""
        return None

    def _check_together(self) -> None:
        _check_heads(self.n_embd, self.n_head)


@dataclass(frozen=True)
class BlockConfig(TransformerConfig):
    """What a :class:`~minigpt.nn.Block` is made of, for networks of one's own.

    Attributes:
        n_embd: the width of the residual stream.
        n_head: how many attention heads; divides n_embd.
        n_inner: the width inside the feed-forward network; 4·n_embd where None.
        activation: of the feed-forward network: "gelu_tanh" (GPT-2), "gelu_erf" (exact), "relu"
            (Vaswani et al. 2017), "silu" or "tanh".
        norm: "pre" (GPT-2), "post" (GPT-1, Vaswani et al. 2017), or "none".
        dropout: on the attention weights, and on what attention and the feed-forward network add
            to the residual stream.
        bias: whether projections and layer norms have biases.
        layer_norm_eps: ε of the layer norms.
        init_std: standard deviation of the initial projections; 1/√n_in of each where None.
        causal: False lets every token see all others, as in an encoder.
        residual: False leaves the residual connections out.
        alibi_scale: a number makes attention fall with the distance of a token, which takes a
            causal block: the scale of :func:`~minigpt.functional.alibi_slopes`.

    Raises:
        ValueError, TypeError: name the field, what came and what was expected.

    Example:
        >>> from minigpt.nn import Block
        >>> block = Block(BlockConfig(n_embd=8, n_head=2), seed=0)
    """

    CHECKS: ClassVar = {
        **TransformerConfig.CHECKS,
        "init_std": optional(deviation),
        "alibi_scale": optional(positive),
    }

    n_embd: int
    n_head: int
    n_inner: int | None = None
    activation: str = "gelu_tanh"
    norm: str = "pre"
    dropout: float = 0.0
    bias: bool = True
    layer_norm_eps: float = 1e-5
    init_std: float | None = None
    causal: bool = True
    residual: bool = True
    alibi_scale: float | None = None

    @property
    def slopes(self) -> Array | None:
        """How fast each head's scores fall with the distance of a token; None: not at all."""
        return None if self.alibi_scale is None else F.alibi_slopes(self.n_head, self.alibi_scale)

    def _check_together(self) -> None:
        super()._check_together()
        if self.alibi_scale is not None and not self.causal:
            raise checks.wrong_value(
                "causal", "True with an alibi_scale", False, "distances count back in time"
            )


def check_config(config: Any, *names: str) -> None:
    """Raise unless ``config`` has the attributes that a module reads."""
    missing = [name for name in names if not hasattr(config, name)]
    if missing or isinstance(config, type):
        expected = f"a configuration, with {', '.join(names)}"
        mend = "make one: BlockConfig(n_embd=…, n_head=…)"
        raise checks.wrong_type("config", expected, config, mend)


def _check_heads(n_embd: int, n_head: int) -> None:
    """Raise unless n_head divides n_embd, and say which sizes would do."""
    if n_embd % n_head:
        mends = [f"n_embd={max(n_embd - n_embd % n_head, n_head)}"]
        near = range(n_head + 1, min(n_embd, n_head + 1000) + 1)
        mends += [f"n_head={h}" for h in near if n_embd % h == 0][:1]
        raise ValueError(
            f"n_embd={n_embd} is not divisible by n_head={n_head}: choose {' or '.join(mends)}"
        )
