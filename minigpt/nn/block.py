"""The transformer block: attention and feed-forward, each around a residual connection (E11)."""

from __future__ import annotations

import numpy as np

from minigpt.autograd import Array
from minigpt.nn.attention import CausalSelfAttention
from minigpt.nn.cache import KeyValueCache
from minigpt.nn.layers import Identity, LayerNorm, Seed, check_seed
from minigpt.nn.mlp import MLP
from minigpt.nn.module import Module
from minigpt.tensor import Tensor


class Block(Module):
    """One layer of a GPT.

        norm="pre"  (GPT-2):  x = x + Attention(LN(x));  x = x + MLP(LN(x))
        norm="post" (GPT-1):  x = LN(x + Attention(x));  x = LN(x + MLP(x))

    The residual x + … is what lets gradients reach the first layers of a deep stack (He et al.
    2016). Pre-norm keeps that path free of any layer norm, so that training needs no long warm-up
    (Xiong et al. 2020).

    ``causal=False`` makes it a layer of an encoder. Without ``residual``, or with norm="none", it
    is for studying what the residual and the norms are for.

    Args:
        n_embd: the width of the residual stream, x.
        n_head: how many attention heads; must divide n_embd.
        n_inner: the width inside the feed-forward network; 4·n_embd by default.
        activation: of the feed-forward network, as :class:`MLP` has them.
        norm: "pre", "post" or "none".
        dropout: on the attention weights, and on what either part adds to x.
        bias: whether projections and layer norms have biases.
        causal: False lets every token see all others, as in an encoder.
        eps: ε of the layer norms.
        residual: False leaves out the x of x + ….
        slopes: how fast attention falls with the distance, as :class:`CausalSelfAttention` has it.
        std: standard deviation of the initial projections; 1/√n_in of each by default.
        out_std: that of the two projections back into the residual stream; the same as ``std`` by
            default.
        seed: of the projections, a number or a Generator.

    Shapes:
        x: (B, T, n_embd) -> (B, T, n_embd)
        mask: as in :class:`CausalSelfAttention`

    Raises:
        ValueError: ``norm`` is none of the three, n_head does not divide n_embd, or there is no
            activation of that name.
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        n_inner: int | None = None,
        activation: str = "gelu_tanh",
        norm: str = "pre",
        dropout: float = 0.0,
        bias: bool = True,
        causal: bool = True,
        eps: float = 1e-5,
        residual: bool = True,
        *,
        slopes: Array | None = None,
        std: float | None = None,
        out_std: float | None = None,
        seed: Seed,
    ) -> None:
        super().__init__()
        check_norm(norm)
        check_seed(seed)
        rng = np.random.default_rng(seed)
        self.norm, self.residual = norm, residual
        self.attention_norm = Identity() if norm == "none" else LayerNorm(n_embd, bias, eps)
        self.attention = CausalSelfAttention(
            n_embd, n_head, dropout, bias, causal, slopes=slopes, std=std, out_std=out_std, seed=rng
        )
        self.mlp_norm = Identity() if norm == "none" else LayerNorm(n_embd, bias, eps)
        self.mlp = MLP(
            n_embd, n_inner, activation, dropout, bias, std=std, out_std=out_std, seed=rng
        )

    def forward(
        self,
        x: Tensor,
        mask: Array | None = None,
        cache: KeyValueCache | None = None,
        layer: int = 0,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        if self.norm != "post":
            x = self._add(x, self.attention(self.attention_norm(x), mask, cache, layer, rng))
            return self._add(x, self.mlp(self.mlp_norm(x), rng))
        x = self.attention_norm(self._add(x, self.attention(x, mask, cache, layer, rng)))
        return self.mlp_norm(self._add(x, self.mlp(x, rng)))

    def _add(self, x: Tensor, y: Tensor) -> Tensor:
        """The residual connection, where there is one."""
        return x + y if self.residual else y

    def extra_repr(self) -> str:
        return f"norm={self.norm!r}" + ("" if self.residual else ", residual=False")


def check_norm(norm: str, known: tuple[str, ...] = ("pre", "post", "none")) -> None:
    """Raise unless ``norm`` is one of the ways to place the layer norms, or to leave them out."""
    if norm not in known:
        described = {"pre": '"pre" (GPT-2)', "post": '"post" (GPT-1)', "none": '"none" (to study)'}
        expected = [described[name] for name in known]
        raise ValueError(f"norm={norm!r}: expected {', '.join(expected[:-1])} or {expected[-1]}")
