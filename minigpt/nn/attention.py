"""Multi-head self-attention, as a module."""

from __future__ import annotations

import numpy as np

import minigpt.functional as F
from minigpt.autograd import Array
from minigpt.functional.attention import attention_weights, heads_of
from minigpt.functional.dropout import check_probability
from minigpt.nn.cache import KeyValueCache
from minigpt.nn.layers import Dropout, Linear, Seed, check_seed, check_size
from minigpt.nn.module import Module
from minigpt.tensor import Tensor


class CausalSelfAttention(Module):
    """Every token asks all tokens up to itself, in n_head ways at once.

        Q, K, V = x W_qkv + b_qkv
        headᵢ   = softmax(Qᵢ Kᵢᵀ / √d_k + causal mask) Vᵢ,  d_k = n_embd / n_head
        y       = Concat(head₁, …, head_h) W_out + b_out       (Vaswani et al. 2017, §3.2)

    Args:
        n_embd: the width of x.
        n_head: how many heads; must divide n_embd.
        dropout: on the attention weights, and on y before it joins the residual stream.
        bias: whether the projections have biases.
        causal: False lets every token see all others, as in an encoder.
        slopes: (n_head,), how fast each head's scores fall with the distance of a token
            (:func:`~minigpt.functional.alibi_slopes`); None: not at all.
        std: standard deviation of the initial projections; 1/√n_in by default.
        out_std: that of W_out; the same as ``std`` by default.
        seed: of the projections, a number or a Generator.

    Shapes:
        x: (B, T, n_embd) -> (B, T, n_embd)
        mask: (B, 1 or n_head, 1 or T, S) booleans, True where a key may be seen; S = T, or with a
            cache the number of all tokens so far

    Raises:
        ValueError: n_head does not divide n_embd, or ``slopes`` are not one for each, or
            without ``causal``.
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        dropout: float = 0.0,
        bias: bool = True,
        causal: bool = True,
        *,
        slopes: Array | None = None,
        std: float | None = None,
        out_std: float | None = None,
        seed: Seed,
    ) -> None:
        super().__init__()
        check_size(n_embd=n_embd, n_head=n_head)
        check_probability(dropout, "dropout")
        check_heads(n_embd, n_head)
        check_seed(seed)
        rng = np.random.default_rng(seed)
        self.n_head = n_head
        self.causal = causal
        if slopes is not None and (np.shape(slopes) != (n_head,) or not causal):
            raise ValueError(
                f"slopes have shape {np.shape(slopes)}, with causal={causal}: expected one for "
                f"each of the {n_head} heads, and causal=True, as distances count back in time"
            )
        self.slopes = slopes
        self.attention_dropout = dropout
        self.qkv_proj = Linear(n_embd, 3 * n_embd, bias, std=std, seed=rng)
        self.out_proj = Linear(
            n_embd, n_embd, bias, std=std if out_std is None else out_std, seed=rng
        )
        self.residual_dropout = Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        mask: Array | None = None,
        cache: KeyValueCache | None = None,
        layer: int = 0,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Attention of x to itself, and with a cache to the tokens before it.

        Args:
            x: (B, T, n_embd).
            mask: as the class has it.
            cache: holds the keys and values of the tokens before, and gets those of x. It is for
                generation: no gradient goes through, and no attention weight is dropped, in
                training mode either.
            layer: which of the cache's layers this is.
            rng: of dropout, in training.
        """
        qkv = self.qkv_proj(x)  # (B, T, C) -> (B, T, 3·C)
        if cache is None:
            dropout = self.attention_dropout if self.training else 0.0
            heads = F.multi_head_attention(
                qkv, self.n_head, mask, self.causal, dropout, rng, self.slopes
            )
        else:
            heads = self._continued(qkv, mask, cache, layer)
        return self.residual_dropout(self.out_proj(heads), rng)  # (B, T, C)

    def _continued(
        self, qkv: Tensor, mask: Array | None, cache: KeyValueCache, layer: int
    ) -> Tensor:
        """The new tokens' attention over those in the cache and themselves."""
        q, k, v = heads_of(qkv.data, self.n_head)
        k, v = cache.extend(layer, k, v)
        b, h, t, d = q.shape
        several = self.causal and t > 1  # a single new token comes last and sees all
        heads = F.scaled_dot_product_attention(
            Tensor(q), Tensor(k), Tensor(v), mask, several, slopes=self.slopes
        )
        return heads.swapaxes(1, 2).reshape(b, t, h * d)

    def weights(self, x: Tensor, mask: Array | None = None) -> Array:
        """The attention weights, for looking at: where each token looks, in each head.

        Args:
            x: what :meth:`forward` takes; no gradient passes through, and nothing is dropped.
            mask: True where a key may be seen.

        Shapes:
            x: (B, T, n_embd)
            mask: (B, 1 or n_head, 1 or T, T)
            returns: (B, n_head, T, T), each row a distribution over the tokens
        """
        q, k, _ = heads_of(self.qkv_proj(x).data, self.n_head)
        return attention_weights(q, k, mask, self.causal, self.slopes)

    def extra_repr(self) -> str:
        causal = "" if self.causal else ", causal=False"
        slopes = "" if self.slopes is None else f", slopes={self.slopes}"
        return f"n_head={self.n_head}{causal}{slopes}"


def check_heads(n_embd: int, n_head: int) -> None:
    """Raise unless n_head divides n_embd, and say which sizes would do."""
    if n_embd % n_head:
        below = n_embd - n_embd % n_head
        mends = [f"n_embd={below or n_head}"]
        mends += [f"n_head={h}" for h in range(n_head + 1, n_embd + 1) if n_embd % h == 0][:1]
        raise ValueError(
            f"n_embd={n_embd} is not divisible by n_head={n_head}: choose {' or '.join(mends)}"
        )
