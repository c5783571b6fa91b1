"""Multi-head attention of one sequence to another, as a module."""

from __future__ import annotations

import numpy as np

import minigpt.functional as F
from minigpt.autograd import Array
from minigpt.functional.attention import attention_weights, heads_of, split_heads
from minigpt.functional.dropout import check_probability
from minigpt.nn.attention import check_heads
from minigpt.nn.layers import Dropout, Linear, Seed, check_seed, check_size
from minigpt.nn.module import Module
from minigpt.tensor import Tensor


class CrossAttention(Module):
    """Every token of x asks all tokens of a memory m, in n_head ways at once.

        Q    = x W_q + b_q
        K, V = m W_kv + b_kv
        headᵢ = softmax(Qᵢ Kᵢᵀ / √d_k) Vᵢ,  d_k = n_embd / n_head
        y     = Concat(head₁, …, head_h) W_out + b_out      (Vaswani et al. 2017, §3.2.3)

    In an encoder–decoder x is the target so far, and m what the encoder made of the source. K and V
    depend on m alone: however many tokens are written, :meth:`keys_and_values` computes them once.

    Args:
        n_embd: the width of x and of m.
        n_head: how many heads; must divide n_embd.
        dropout: on the attention weights, and on y before it joins the residual stream.
        bias: whether the projections have biases.
        std: standard deviation of the initial projections; 1/√n_in by default.
        out_std: that of W_out; the same as ``std`` by default.
        seed: of the projections, a number or a Generator.

    Shapes:
        x: (B, T, n_embd), memory: (B, S, n_embd) -> (B, T, n_embd)
        mask: (B, 1 or n_head, 1 or T, S) booleans, True where a token of the memory may be seen

    Raises:
        ValueError: n_head does not divide n_embd.
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
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
        self.attention_dropout = dropout
        self.q_proj = Linear(n_embd, n_embd, bias, std=std, seed=rng)
        self.kv_proj = Linear(n_embd, 2 * n_embd, bias, std=std, seed=rng)
        self.out_proj = Linear(
            n_embd, n_embd, bias, std=std if out_std is None else out_std, seed=rng
        )
        self.residual_dropout = Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        mask: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        q, kv = self.q_proj(x), self.kv_proj(memory)  # (B, T, C), (B, S, 2·C)
        dropout = self.attention_dropout if self.training else 0.0
        heads = F.multi_head_cross_attention(q, kv, self.n_head, mask, dropout, rng)
        return self.residual_dropout(self.out_proj(heads), rng)  # (B, T, C)

    def keys_and_values(self, memory: Tensor) -> tuple[Array, Array]:
        """K and V of every head, for :meth:`over`; no gradient goes through.

        Shapes:
            memory: (B, S, n_embd) -> two of (B, n_head, S, n_embd / n_head)
        """
        k, v = heads_of(self.kv_proj(memory).data, self.n_head, 2)
        return k, v

    def over(self, x: Tensor, k: Array, v: Array, mask: Array | None = None) -> Tensor:
        """:meth:`forward` with K and V computed before, for generation: nothing is dropped.

        Shapes:
            x: (B, T, n_embd) -> (B, T, n_embd)
            k, v: as of :meth:`keys_and_values`
        """
        q = split_heads(self.q_proj(x).data, self.n_head)
        heads = F.scaled_dot_product_attention(Tensor(q), Tensor(k), Tensor(v), mask)
        return self.out_proj(heads.swapaxes(1, 2).reshape(*x.shape))

    def weights(self, x: Tensor, memory: Tensor, mask: Array | None = None) -> Array:
        """The attention weights, for looking at: where in the memory each token of x looks.

        Shapes:
            x: (B, T, n_embd), memory: (B, S, n_embd)
            returns: (B, n_head, T, S), each row a distribution over the memory
        """
        k, _ = self.keys_and_values(memory)
        return attention_weights(split_heads(self.q_proj(x).data, self.n_head), k, mask)

    def extra_repr(self) -> str:
        return f"n_head={self.n_head}"
