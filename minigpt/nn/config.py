"""Configurations: frozen, every field checked once, when it is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, NamedTuple

from minigpt import checks
from minigpt.autograd import Array
from minigpt.functional.activations import ACTIVATIONS
from minigpt.functional.rotary import RotaryScaling
from minigpt.nn.initial_weights import LARGEST_STD

Check = Callable[[str, Any], Any]  # a field's name and value -> the value, as a plain Python one

size: Check = checks.size
positive: Check = partial(checks.number, above=0)
deviation: Check = partial(checks.number, above=0, most=LARGEST_STD)
NORMS = {"pre": "GPT-2", "post": "GPT-1", "none": "to study"}
NORMALIZATIONS = {"layer": "GPT-2", "rms": "Llama"}
MLPS = {"plain": "GPT-2", "gated": "Llama"}
Rotary = tuple[float, RotaryScaling | None]  # the base of the frequencies, and their scaling


def optional(check: Check) -> Check:
    """The same check, of a value that may also be None."""
    return lambda name, value: None if value is None else check(name, value)


def one_of(words: Any) -> Check:
    """The check of a field that is one of some words."""
    return lambda name, value: checks.one_of(name, value, words)


def rotary_scaling(name: str, value: Any) -> RotaryScaling:
    """The check of a field that is a RotaryScaling, or a dict of its fields, as files hold it."""
    if not isinstance(value, Mapping):
        return checks.instance(name, value, RotaryScaling)
    try:
        return RotaryScaling(**value)
    except TypeError as error:
        raise ValueError(f"{name} does not fit a RotaryScaling: {error}") from None


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
        normalization: which norm stands where ``norm`` puts one, "layer" or "rms".
        mlp: the feed-forward network, "plain" or "gated".
        n_kv_head: how many heads keys and values have; n_head where None.
        head_width: of each head; n_embd / n_head where None.
        qk_norm: whether the heads of queries and keys are normalised.
        qkv_bias: whether the projection to queries, keys and values has biases; as ``bias`` where
            None.
        rotary: base and scaling of rotary positions; None: not at all.
        short_convolution: how many tokens queries, keys and values are mixed of, the present one
            included; None: not at all.
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
        "normalization": one_of(NORMALIZATIONS),
        "mlp": one_of(MLPS),
        "n_kv_head": optional(size),
        "head_width": optional(size),
        "qk_norm": checks.flag,
        "qkv_bias": optional(checks.flag),
        "rotary_scaling": optional(rotary_scaling),
        "short_convolution": optional(partial(checks.integer, least=2)),
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
    normalization: str = "layer"
    mlp: str = "plain"
    n_kv_head: int | None = None
    head_width: int | None = None
    qk_norm: bool = False
    qkv_bias: bool | None = None
    short_convolution: int | None = None

    @property
    def residual_std(self) -> float | None:
        """Standard deviation of the initial projections back into the residual stream."""
        return self.init_std

    @property
    def slopes(self) -> Array | None:
        """How fast each head's scores fall with the distance of a token; None: not at all."""
        return None

    @property
    def rotary(self) -> Rotary | None:
        """By which frequencies queries and keys are turned to their places; None: not at all."""
        return None

    def _check_together(self) -> None:
        _check_heads(self)
        if self.normalization == "rms" and self.norm == "none":
            raise ValueError(
                'normalization="rms" with norm="none", which has no norms: leave it out'
            )


class Heads(NamedTuple):
    """How many heads queries have, and keys and values, and how wide each is."""

    n_head: int
    n_kv_head: int
    width: int


def heads_in(config: TransformerConfig) -> Heads:
    """The heads of a block, where a configuration may leave open what follows from the others."""
    n_kv_head = config.n_head if config.n_kv_head is None else config.n_kv_head
    width = config.n_embd // config.n_head if config.head_width is None else config.head_width
    return Heads(config.n_head, n_kv_head, width)


def check_config(config: Any, *names: str) -> None:
    """Raise unless ``config`` has the attributes that a module reads."""
    missing = [name for name in names if not hasattr(config, name)]
    if missing or isinstance(config, type):
        expected = f"a configuration, with {', '.join(names)}"
        mend = "make one: BlockConfig(n_embd=…, n_head=…)"
        raise checks.wrong_type("config", expected, config, mend)


GPT_ONLY = {
    "normalization": "layer", "mlp": "plain", "n_kv_head": None, "head_width": None,
    "qk_norm": False, "qkv_bias": None, "rotary": None, "short_convolution": None,
}  # fmt: skip


def check_without_gpt_options(config: Any, module: str) -> None:
    """Refuse the options that only a GPT's blocks have, for a module that would ignore them."""
    for name, default in GPT_ONLY.items():
        value = getattr(config, name, default)
        if value != default:
            raise ValueError(
                f"{name}={value!r} is for the blocks of a GPT: {module} only has {default!r}"
            )


def _check_heads(config: TransformerConfig) -> None:
    """Raise unless the heads fit each other and the width, and say which sizes would do."""
    n_embd, n_head = config.n_embd, config.n_head
    if config.head_width is None and n_embd % n_head:
        mends = [f"n_embd={max(n_embd - n_embd % n_head, n_head)}"]
        near = range(n_head + 1, min(n_embd, n_head + 1000) + 1)
        mends += [f"n_head={h}" for h in near if n_embd % h == 0][:1]
        raise ValueError(
            f"n_embd={n_embd} is not divisible by n_head={n_head}: choose {' or '.join(mends)}"
        )
    _, n_kv_head, width = heads_in(config)
    if n_head % n_kv_head:
        mend = next(h for h in range(min(n_head, n_kv_head), 0, -1) if n_head % h == 0)
        raise ValueError(
            f"n_head={n_head} is not divisible by n_kv_head={n_kv_head}: choose n_kv_head={mend}, "
            "as each head of keys and values is shared by as many heads of queries"
        )
    of_head = f"n_embd / n_head = {width}" if config.head_width is None else f"{width}"
    if config.rotary is not None and width % 2:
        raise ValueError(
            f"rotary positions turn features in pairs: head_width must be even, got {of_head}; "
            f"choose head_width={width + 1}"
        )
    if config.qk_norm and width == 1:
        raise ValueError(
            f"qk_norm=True needs a head_width of at least 2, got {of_head}: of a single number a "
            "norm leaves nothing but the sign"
        )
