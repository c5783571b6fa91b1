"""Multi-head self-attention, as a module."""

from __future__ import annotations

import math

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.functional.attention import attention_weights
from minigpt.functional.attention_blocks import attend
from minigpt.functional.attention_options import AttentionOptions
from minigpt.functional.multi_head import heads_of, split_heads, turned_heads
from minigpt.functional.rotary import rotation_at, turn_heads
from minigpt.grad_mode import evaluation
from minigpt.nn.cache import KeyValueCache
from minigpt.nn.config import TransformerConfig, check_config, heads_in
from minigpt.nn.layers import Dropout, Linear, RMSNorm
from minigpt.nn.lora_layer import project
from minigpt.nn.module import Module
from minigpt.nn.short_convolution import ShortConvolution, convolved
from minigpt.tensor import Tensor


class CausalSelfAttention(Module):
    """Every token asks all tokens up to itself, in n_head ways at once.

        Q, K, V = x W_qkv + b_qkv
        headᵢ   = softmax(Qᵢ Kⱼᵀ / √d + causal mask) Vⱼ,  d = n_embd / n_head
        y       = Concat(head₁, …, head_h) W_out + b_out       (Vaswani et al. 2017, §3.2)

    As GPT-2 has it, j = i. With n_kv_head, fewer heads of keys and values are shared by groups of
    queries: j = ⌊i·n_kv_head/n_head⌋ (Ainslie et al. 2023). With qk_norm each Qᵢ and Kⱼ is
    normalised first (:func:`~minigpt.functional.qk_norm`), and with rotary positions turned by the
    angles of its token's place (:func:`~minigpt.functional.rotary`). With short_convolution each
    feature of Q, K and V is mixed with that of the last few tokens before all this
    (:func:`~minigpt.functional.short_convolution`); a token that the mask hides from all is padding
    there.

    Args:
        config: a model's, a :class:`~minigpt.nn.BlockConfig`, or any object with what is read of
            it: n_embd, n_head, n_kv_head, head_width (d), dropout (on the attention weights, and on
            y), bias, qkv_bias, short_convolution (how many tokens it mixes, or None), qk_norm and
            layer_norm_eps (its ε), causal (False lets every token see all others), slopes (how fast
            each head's scores fall with the distance of a token, or None), rotary (base and
            scaling, or None), scale_attention (False leaves 1/√d out) and scale_attention_by_layer
            (True divides the scores by layer + 1), init_std and residual_std (of the initial W_qkv
            and W_out).
        layer: its place in the stack, from 0: where a cache keeps its keys and values.
        seed: of the projections, a number or a Generator.

    Shapes:
        x: (B, T, n_embd) -> (B, T, n_embd)
        mask: (B, 1 or n_head, 1 or T, S) booleans, True where a key may be seen; S = T, or with a
            cache the number of all tokens so far
        positions: (T,) or (B, T) integers from 0

    Raises:
        TypeError: ``config`` lacks something of that.

    Example:
        >>> from minigpt.nn import BlockConfig
        >>> attention = CausalSelfAttention(BlockConfig(n_embd=8, n_head=2), seed=0)
        >>> attention(Tensor(np.ones((1, 3, 8), np.float32))).shape
        (1, 3, 8)
    """

    def __init__(self, config: TransformerConfig, layer: int = 0, *, seed: Seed) -> None:
        super().__init__()
        _check(config)
        c, rng = config, np.random.default_rng(checks.seed(seed))
        self.layer = checks.integer("layer", layer, least=0)
        self.n_head, self.n_kv_head, self.head_width = n_head, n_kv_head, width = heads_in(c)
        self.causal, self.slopes, self.rotary = c.causal, c.slopes, c.rotary
        self.query_scale = 1.0 if c.scale_attention else math.sqrt(width)
        self.query_scale /= layer + 1 if c.scale_attention_by_layer else 1
        self.attention_dropout = c.dropout
        qkv = (n_head * width, n_kv_head * width, n_kv_head * width)  # the widths of Q, K and V
        qkv_bias = c.bias if c.qkv_bias is None else c.qkv_bias
        self.qkv_proj = Linear(c.n_embd, sum(qkv), qkv_bias, std=c.init_std, parts=qkv, seed=rng)
        n_mixed = c.short_convolution
        self.short_convolution = (
            None if n_mixed is None else ShortConvolution(sum(qkv), n_mixed, seed=rng)
        )
        self.query_norm = RMSNorm(width, c.layer_norm_eps) if c.qk_norm else None
        self.key_norm = RMSNorm(width, c.layer_norm_eps) if c.qk_norm else None
        self.out_proj = Linear(n_head * width, c.n_embd, c.bias, std=c.residual_std, seed=rng)
        self.residual_dropout = Dropout(c.dropout)

    def forward(
        self,
        x: Tensor,
        mask: Array | None = None,
        cache: KeyValueCache | None = None,
        rng: np.random.Generator | None = None,
        positions: Array | None = None,
    ) -> Tensor:
        """Attention of x to itself, and with a cache to the tokens before it.

        Args:
            x: (B, T, n_embd).
            mask: as the class has it.
            cache: holds the keys (turned to their places already) and values of the tokens before,
                and gets those of x. It is for generation: no gradient goes through, and no
                attention weight is dropped, not even in training mode.
            rng: of dropout, in training.
            positions: of rotary ones, where each token stands; 0, 1, 2, … by default, going on
                after the cache.
        """
        qkv = self._projected(x, mask, cache, rng)  # (B, T, C) -> (B, T, (h + 2·h_kv)·d)
        rotation = self._rotation(qkv, positions, 0 if cache is None else cache.length)
        if cache is None:
            dropout = self.attention_dropout if self.training else 0.0
            fresh = isinstance(self.qkv_proj, Linear)  # what it computed, it does not keep
            heads = F.multi_head_attention(
                qkv, self.n_head, mask, self.causal, dropout, rng, self.slopes,
                self.n_kv_head, rotation, overwrite_qkv=fresh,
            )  # (B, T, (h + 2·h_kv)·d) -> (B, T, h·d)  # fmt: skip
        else:
            q, k, v = self._heads(qkv, rotation)  # (B, h, T, d), 2 × (B, h_kv, T, d)
            k, v = cache.extend(self.layer, k, v)  # (B, h_kv, T, d) -> (B, h_kv, S, d)
            heads = heads_over(q, k, v, mask, self.causal, self.slopes)  # -> (B, T, h·d)
        y = project(self.out_proj, heads, rng)  # (B, T, h·d) -> (B, T, C)
        return self.residual_dropout(y, rng)

    @evaluation()
    def weights(
        self, x: Tensor, mask: Array | None = None, positions: Array | None = None
    ) -> Array:
        """The attention weights, to inspect: where each token looks, in each head.

        Args:
            x: what :meth:`forward` takes; no gradient passes through, and nothing is dropped.
            mask: True where a key may be seen.
            positions: as :meth:`forward` has them.

        Shapes:
            x: (B, T, n_embd)
            mask: (B, 1 or n_head, 1 or T, T)
            returns: (B, n_head, T, T), each row a distribution over the tokens
        """
        qkv = self._projected(x, mask)
        q, k, _ = self._heads(qkv, self._rotation(qkv, positions))
        return attention_weights(q, k, mask, self.causal, self.slopes, grouped=True)

    def _projected(
        self,
        x: Tensor,
        mask: Array | None = None,
        cache: KeyValueCache | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Q, K and V; Q takes in what the scores are to be scaled by other than 1/√d."""
        qkv = project(self.qkv_proj, x, rng)
        if self.short_convolution is not None:
            qkv = convolved(self.short_convolution, qkv, mask, self.layer, cache)
        if self.query_norm is not None and self.key_norm is not None:
            gains = self.query_norm.weight, self.key_norm.weight
            qkv = F.qk_norm(qkv, *gains, self.n_head, self.n_kv_head, self.query_norm.eps)
        if self.query_scale == 1:
            return qkv
        scale = np.ones(qkv.shape[-1], qkv.dtype)
        scale[: self.n_head * self.head_width] = self.query_scale
        return qkv * Tensor(scale)

    def _rotation(self, qkv: Tensor, positions: Array | None, past: int = 0) -> Array | None:
        """The angles of rotary positions, (T or B, T, 2, d), where there are any."""
        if self.rotary is None:
            return None
        if positions is None:
            positions = np.arange(past, past + qkv.shape[1])
        else:
            positions = _check_positions(positions, qkv)
        base, scaling = self.rotary
        return rotation_at(positions, self.head_width, base, scaling, qkv.dtype)

    def _heads(self, qkv: Tensor, rotation: Array | None) -> tuple[Array, ...]:
        """Q and K, turned, and V as arrays: (B, h, T, d), and twice (B, h_kv, T, d)."""
        array = qkv.data
        if rotation is not None:
            array = array.copy()
            turn_heads(turned_heads(array, self.n_head, self.n_kv_head), rotation)
        return heads_of(array, self.n_head, self.n_kv_head, self.n_kv_head)

    def extra_repr(self) -> str:
        heads = f"n_head={self.n_head}"
        heads += "" if self.n_kv_head == self.n_head else f", n_kv_head={self.n_kv_head}"
        causal = "" if self.causal else ", causal=False"
        causal += "" if self.query_scale == 1 else f", query_scale={self.query_scale:.3g}"
        slopes = "" if self.slopes is None else f", slopes={self.slopes}"
        rotary = "" if self.rotary is None else f", rotary_base={self.rotary[0]:g}"
        return f"{heads}{causal}{slopes}{rotary}"


def heads_over(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    causal: bool = False,
    slopes: Array | None = None,
) -> Tensor:
    """Concat(head₁, …, head_h) of new tokens over the keys and values that a cache holds.

    Shapes:
        q: (B, h, T, d);  k, v: (B, h, S, d), or fewer heads of them, each for a group
        returns: (B, T, h·d)
    """
    b, h, t, d = q.shape
    mask = _check_mask(mask, q, k)
    o = np.empty((b, t, h * d), q.dtype)
    causal = causal and t > 1  # a single new token comes last and sees all
    group = h // k.shape[1]
    attend(q, k, v, split_heads(o, h), mask, causal, 0.0, None, False, slopes, group)
    return Tensor(o)


def _check_mask(mask: Array | None, q: Array, k: Array) -> Array | None:
    if mask is None:
        return None
    scores = (*q.shape[:-1], k.shape[-2])
    return AttentionOptions.checked(mask, None, q.shape, scores, causal=True).mask


def _check_positions(positions: Array, qkv: Tensor) -> Array:
    """Places of rotary positions, one for each token."""
    places = checks.integers("positions", positions)
    batch, tokens = qkv.shape[:2]
    if places.shape not in ((tokens,), (1, tokens), (batch, tokens)):
        expected = f"of shape (T,) or (B, T), where x is ({batch}, {tokens}, …)"
        raise checks.wrong_value("positions", expected, places)
    if places.size and int(places.min()) < 0:
        raise checks.wrong_value("positions", "0 or more", int(places.min()))
    return places


def _check(config: object) -> None:
    check_config(
        config, "n_embd", "n_head", "n_kv_head", "head_width", "dropout", "bias", "qkv_bias",
        "short_convolution", "qk_norm", "layer_norm_eps", "causal", "slopes", "rotary",
        "scale_attention", "scale_attention_by_layer", "init_std", "residual_std",
    )  # fmt: skip
