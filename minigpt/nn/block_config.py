"""The configuration of a transformer block, for networks of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.functional.rotary import RotaryScaling
from minigpt.nn.config import Rotary, TransformerConfig, deviation, optional, positive


@dataclass(frozen=True)
class BlockConfig(TransformerConfig):
    """What a :class:`~minigpt.nn.Block` is made of, for networks of one's own.

    Attributes:
        n_embd: the width of the residual stream.
        n_head: how many attention heads; divides n_embd.
        n_inner: the width inside the feed-forward network; 4·n_embd where None.
        activation: of the feed-forward network: "gelu_tanh" (GPT-2), "gelu_erf" (exact), "relu"
            (Vaswani et al. 2017), "relu_squared" (So et al. 2021), "silu" (Llama) or "tanh".
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
        normalization, mlp, n_kv_head, head_width, qk_norm, qkv_bias: as in
            :class:`~minigpt.models.GPTConfig`.
        rotary_base: a number turns queries and keys by their places: the base of
            :func:`~minigpt.functional.rotary_frequencies`.
        rotary_scaling: of these frequencies, a :class:`RotaryScaling`.
        short_convolution: as in :class:`~minigpt.models.GPTConfig`.

    Raises:
        ValueError, TypeError: name the field, what came and what was expected.

    Example:
        >>> from minigpt.nn import Block
        >>> Block(BlockConfig(n_embd=8, n_head=2, mlp="gated"), seed=0).mlp.up_proj.weight.shape
        (8, 32)
    """

    CHECKS: ClassVar = {
        **TransformerConfig.CHECKS,
        "init_std": optional(deviation),
        "alibi_scale": optional(positive),
        "rotary_base": optional(positive),
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
    normalization: str = "layer"
    mlp: str = "plain"
    n_kv_head: int | None = None
    head_width: int | None = None
    qk_norm: bool = False
    qkv_bias: bool | None = None
    rotary_base: float | None = None
    rotary_scaling: RotaryScaling | None = None
    short_convolution: int | None = None

    @property
    def slopes(self) -> Array | None:
        """How fast each head's scores fall with the distance of a token; None: not at all."""
        return None if self.alibi_scale is None else F.alibi_slopes(self.n_head, self.alibi_scale)

    @property
    def rotary(self) -> Rotary | None:
        """By which frequencies queries and keys are turned to their places; None: not at all."""
        return None if self.rotary_base is None else (self.rotary_base, self.rotary_scaling)

    def _check_together(self) -> None:
        super()._check_together()
        if self.alibi_scale is not None and not self.causal:
            raise checks.wrong_value(
                "causal", "True with an alibi_scale", False, "distances count back in time"
            )
        if self.alibi_scale is not None and self.rotary_base is not None:
            raise ValueError("alibi_scale and rotary_base are two kinds of positions: choose one")
        if self.rotary_scaling is not None and self.rotary_base is None:
            raise ValueError("rotary_scaling is for rotary positions: pass rotary_base too")
