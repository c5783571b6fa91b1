"""Multi-head attention of one sequence to another, as a module."""

from __future__ import annotations

from typing import cast

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.functional.attention import attention_weights
from minigpt.functional.multi_head import heads_of, split_heads
from minigpt.grad_mode import evaluation
from minigpt.nn.attention import heads_over
from minigpt.nn.config import TransformerConfig, check_config, check_without_gpt_options
from minigpt.nn.decoder_cache import DecoderCache
from minigpt.nn.layers import Dropout, Linear
from minigpt.nn.lora_layer import project
from minigpt.nn.module import Module
from minigpt.tensor import Tensor


class CrossAttention(Module):
    """Every token of x asks all tokens of a memory m, in n_head ways at once.

        Q     = x W_q + b_q
        K, V  = m W_kv + b_kv
        headᵢ = softmax(Qᵢ Kᵢᵀ / √d_k) Vᵢ,  d_k = n_embd / n_head
        y     = Concat(head₁, …, head_h) W_out + b_out      (Vaswani et al. 2017, §3.2.3)

    In an encoder–decoder x is the target so far, and m what the encoder made of the source. K and V
    depend on m only: however many tokens are written, :meth:`keys_and_values` computes them once.

    Args:
        config: a model's, a :class:`~minigpt.nn.BlockConfig`, or any object with what is read of
            it: n_embd (the width of x and of m), n_head, dropout (on the attention weights, and on
            y), bias, init_std and residual_std (of the initial W_q and W_kv, and of W_out).
        layer: its place in the stack, which is where a cache keeps the memory's K and V.
        seed: of the projections, a number or a Generator.

    Shapes:
        x: (B, T, n_embd), memory: (B, S, n_embd) -> (B, T, n_embd)
        mask: (B, 1 or n_head, 1 or T, S) booleans, True where a token of the memory may be seen

    Raises:
        TypeError: ``config`` lacks something of that.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> attention = CrossAttention(mg.nn.BlockConfig(n_embd=8, n_head=2), seed=0)
        >>> x, memory = (mg.Tensor(np.ones((1, n, 8), np.float32)) for n in (3, 5))
        >>> attention(x, memory).shape
        (1, 3, 8)
        >>> attention.weights(x, memory)[0, 0, 0].round(2)  # all five are alike here
        array([0.2, 0.2, 0.2, 0.2, 0.2], dtype=float32)
    """

    def __init__(self, config: TransformerConfig, layer: int = 0, *, seed: Seed) -> None:
        super().__init__()
        _check(config)
        c, rng = config, np.random.default_rng(checks.seed(seed))
        self.layer = checks.integer("layer", layer, least=0)
        self.n_head = c.n_head
        self.attention_dropout = c.dropout
        self.q_proj = Linear(c.n_embd, c.n_embd, c.bias, std=c.init_std, seed=rng)
        kv = (c.n_embd, c.n_embd)  # the widths of K and V
        self.kv_proj = Linear(c.n_embd, sum(kv), c.bias, std=c.init_std, parts=kv, seed=rng)
        self.out_proj = Linear(c.n_embd, c.n_embd, c.bias, std=c.residual_std, seed=rng)
        self.residual_dropout = Dropout(c.dropout)

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        mask: Array | None = None,
        cache: DecoderCache | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Attention of x to the memory, or with a cache to the one that the cache holds.

        Args:
            x: (B, T, n_embd).
            memory, mask: as the class has them; the cache's own are taken where there is a cache.
            cache: for generation: no gradient goes through, and no attention weight is dropped.
            rng: of dropout, in training.

        Raises:
            ValueError: the memory has another width, or there is neither a memory nor a cache.
        """
        memory = _check_memory(memory, self, cache)
        q = project(self.q_proj, x, rng)  # (B, T, C) -> (B, T, C)
        if cache is None:
            dropout = self.attention_dropout if self.training else 0.0
            kv = project(self.kv_proj, cast(Tensor, memory), rng)  # (B, S, C) -> (B, S, 2·C)
            heads = F.multi_head_cross_attention(q, kv, self.n_head, mask, dropout, rng)
        else:
            k, v = cache.memory[self.layer]  # 2 × (B, h, S, d)
            heads = heads_over(split_heads(q.data, self.n_head), k, v, cache.memory_mask)
        y = project(self.out_proj, heads, rng)  # (B, T, C) -> (B, T, C)
        return self.residual_dropout(y, rng)

    @evaluation()
    def keys_and_values(self, memory: Tensor) -> tuple[Array, Array]:
        """K and V of every head, for a :class:`~minigpt.nn.DecoderCache`; without gradients.

        Shapes:
            memory: (B, S, n_embd) -> two of (B, n_head, S, n_embd / n_head)

        Raises:
            ValueError: the memory has another width.
        """
        _check_memory(memory, self)
        k, v = heads_of(self.kv_proj(memory).data, self.n_head, self.n_head)
        return k, v

    @evaluation()
    def weights(self, x: Tensor, memory: Tensor, mask: Array | None = None) -> Array:
        """The attention weights, to inspect: where in the ``memory`` each token of x looks.

        A ``mask`` is as the class has it.

        Shapes:
            x: (B, T, n_embd), memory: (B, S, n_embd)
            returns: (B, n_head, T, S), each row a distribution over the memory
        """
        k, _ = self.keys_and_values(memory)
        return attention_weights(split_heads(self.q_proj(x).data, self.n_head), k, mask)

    def extra_repr(self) -> str:
        return f"n_head={self.n_head}"


def _check_memory(
    memory: Tensor | None, layer: CrossAttention, cache: DecoderCache | None = None
) -> Tensor | None:
    """What is looked at: not asked for where a cache holds it."""
    if cache is None:
        checks.tensors("cross-attention", memory=memory)
        width = layer.kv_proj.weight.shape[0]
        if memory is None or memory.ndim != 3 or memory.shape[-1] != width:
            raise checks.wrong_value("memory", f"of shape (B, S, {width})", memory)
    return memory


def _check(config: object) -> None:
    check_config(config, "n_embd", "n_head", "dropout", "bias", "init_std", "residual_std")
    check_without_gpt_options(config, "an encoder–decoder")
