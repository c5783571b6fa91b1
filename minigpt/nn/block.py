"""The transformer block: attention and feed-forward, each around a residual connection (E11)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.nn.attention import CausalSelfAttention
from minigpt.nn.cache import KeyValueCache
from minigpt.nn.config import TransformerConfig, check_config
from minigpt.nn.layers import Identity, LayerNorm, RMSNorm
from minigpt.nn.mlp import mlp_of
from minigpt.nn.module import Module
from minigpt.tensor import Tensor


class ResidualBlock(Module):
    """Parts f of a network, each around a residual connection.

        norm="pre"  (GPT-2):  x = x + f(LN(x))
        norm="post" (GPT-1):  x = LN(x + f(x))
        norm="none":          x = x + f(x)

    The residual x + … is what lets gradients reach the first layers of a deep stack (He et al.
    2016). Pre-norm keeps that path free of any layer norm, so that training needs no long warm-up
    (Xiong et al. 2020).

    Args:
        config: norm and residual are read of it; without ``residual``, the x of x + … is left out.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        _check(config)
        self.norm, self.residual = config.norm, config.residual

    def around(self, part: Module, norm: Module, x: Tensor, **options: Any) -> Tensor:
        """x + f(LN(x)), or with norm="post" LN(x + f(x)), where f is the part.

        The options that are not None are passed to it; a generator ``rng`` only where its
        ``forward`` takes one, so that modules of one's own need not.
        """
        given = {name: value for name, value in options.items() if value is not None}
        if not _takes_rng(type(part).forward):
            given.pop("rng", None)
        if self.norm == "post":
            return norm(self._add(x, part(x, **given)))
        return self._add(x, part(norm(x), **given))

    def _add(self, x: Tensor, y: Tensor) -> Tensor:
        """The residual connection, where there is one."""
        return x + y if self.residual else y

    def _seen(self, norm: Module, x: Tensor) -> Tensor:
        """What a part is given: LN(x), or with norm="post" x itself."""
        return x if self.norm == "post" else norm(x)

    def extra_repr(self) -> str:
        return f"norm={self.norm!r}" + ("" if self.residual else ", residual=False")


class Block(ResidualBlock):
    """One layer of a GPT.

        norm="pre"  (GPT-2):  x = x + Attention(LN(x));  x = x + MLP(LN(x))
        norm="post" (GPT-1):  x = LN(x + Attention(x));  x = LN(x + MLP(x))

    With ``causal=False`` in its configuration it is a layer of an encoder. Without ``residual``, or
    with norm="none", it is for studying what the residual and the norms are for.

    Its ``attention`` and ``mlp`` may be replaced by modules of one's own: of x, mask, positions (of
    rotary ones) and rng they are given what is not None, and rng only where their ``forward`` takes
    it.

    Args:
        config: a model's, a :class:`~minigpt.nn.BlockConfig`, or any object with what is read of
            it: norm, normalization, residual, layer_norm_eps, mlp, and what
            :class:`CausalSelfAttention` and :class:`MLP` or :class:`GatedMLP` read.
        layer: its place in the stack, from 0: where a cache keeps its keys and values.
        seed: of the projections, a number or a Generator.

    Shapes:
        x: (B, T, n_embd) -> (B, T, n_embd)
        mask, positions: as in :class:`CausalSelfAttention`

    Example:
        >>> from minigpt.nn import BlockConfig
        >>> block = Block(BlockConfig(n_embd=8, n_head=2, norm="post"), seed=0)
        >>> block(Tensor(np.ones((1, 3, 8), np.float32))).shape
        (1, 3, 8)
    """

    def __init__(self, config: TransformerConfig, layer: int = 0, *, seed: Seed) -> None:
        super().__init__(config)
        rng = np.random.default_rng(checks.seed(seed))
        self.attention_norm = norm_of(config)
        self.attention = CausalSelfAttention(config, layer, seed=rng)
        self.mlp_norm = norm_of(config)
        self.mlp = mlp_of(config, rng)

    def forward(
        self,
        x: Tensor,
        mask: Array | None = None,
        cache: KeyValueCache | None = None,
        rng: np.random.Generator | None = None,
        positions: Array | None = None,
    ) -> Tensor:
        x = self.around(
            self.attention, self.attention_norm, x,
            mask=mask, cache=cache, rng=rng, positions=positions,
        )  # fmt: skip
        return self.around(self.mlp, self.mlp_norm, x, rng=rng)

    def attention_weights(
        self, x: Tensor, mask: Array | None = None, positions: Array | None = None
    ) -> Array:
        """Where each token looks, to inspect: (B, T, n_embd) -> (B, n_head, T, T).

        ``mask`` and ``positions`` are as in :meth:`CausalSelfAttention.weights`.
        """
        return self.attention.weights(self._seen(self.attention_norm, x), mask, positions)


def residual_stream(
    blocks: Sequence[Module], x: Tensor, *context: Any, **options: Any
) -> list[Tensor]:
    """x as the first block is given it, and after each block: what flows past a stack's parts.

    Args:
        blocks: each is called with x and the context.
        context, options: a mask, positions; for decoder blocks the memory, and masks.
    """
    stream = [x]
    for block in blocks:
        stream.append(block(stream[-1], *context, **options))
    return stream


def norm_of(config: TransformerConfig) -> LayerNorm | RMSNorm | Identity:
    """The norm of a part of a block, or with norm="none" nothing in its place."""
    if config.norm == "none":
        return Identity()
    if config.normalization == "rms":
        return RMSNorm(config.n_embd, config.layer_norm_eps)
    return LayerNorm(config.n_embd, config.bias, config.layer_norm_eps)


@lru_cache(maxsize=256)
def _takes_rng(forward: Callable[..., Any]) -> bool:
    parameters = inspect.signature(forward).parameters
    return "rng" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _check(config: object) -> None:
    check_config(
        config, "norm", "normalization", "residual", "mlp", "n_embd", "bias", "layer_norm_eps"
    )
