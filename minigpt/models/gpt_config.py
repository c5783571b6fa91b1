"""The architecture of a GPT: its sizes and parts, and those of published families."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import minigpt.functional as F
from minigpt import checks
from minigpt.arguments import named_fields
from minigpt.autograd import Array
from minigpt.models.config import StackConfig
from minigpt.nn import RotaryScaling
from minigpt.nn.config import Rotary, positive
from minigpt.nn.mlp import gated_width

GPT2_SIZES = {  # Radford et al. 2019, table 2 (n_layer, n_embd); heads from the released models
    "gpt2": (12, 12, 768),
    "gpt2-medium": (24, 16, 1024),
    "gpt2-large": (36, 20, 1280),
    "gpt2-xl": (48, 25, 1600),
}


@named_fields
@dataclass(frozen=True)
class GPTConfig(StackConfig):
    """The architecture of a GPT; GPT-2's unless said otherwise.

    :meth:`gpt2` and :meth:`llama` give the two families, :meth:`preset` GPT-2's sizes.

    Attributes:
        vocab_size: how many tokens there are.
        block_size: the context: how many tokens the model sees at most.
        n_layer: how many blocks.
        n_head: how many attention heads a block has; divides n_embd, unless there is a head_width.
        n_embd: the width of the residual stream.
        dropout: the probability used on embeddings, attention weights and residual branches.
        bias: whether linear layers and layer norms have biases; RMS norms never have.
        activation: of the feed-forward network: "gelu_tanh" (GPT-2), "gelu_erf" (exact),
            "relu", "relu_squared" (So et al. 2021), "silu" (Llama) or "tanh".
        norm: "pre" (GPT-2), "post" (GPT-1, Vaswani et al. 2017), or "none".
        positions: "learned" (GPT-1, GPT-2), "sinusoidal" (Vaswani et al. 2017, §3.5), "alibi"
            (attention falls with the distance instead: Press et al. 2022), "rotary" (queries and
            keys are turned by their places: Su et al. 2021; Llama), or "none". With "sinusoidal"
            and "alibi" the token embeddings are multiplied by √n_embd (Vaswani, §3.4).
        tie_head: whether the output head is the token embedding again (Press & Wolf 2017).
        n_inner: the width inside the feed-forward network; where None 4·n_embd, or for a gated one
            8/3·n_embd rounded up to a multiple of 32, which is as many weights.
        layer_norm_eps: ε of the norms, of either kind.
        init_std: standard deviation of the initial weights; projections back into the residual
            stream start smaller by 1/√(2·n_layer) (Radford et al. 2019, §2.3).
        recompute: whether blocks keep nothing for their derivative but are computed again in the
            walk back: far less memory in training for about a third more time. It changes no
            number, and is not part of the architecture.
        causal: False takes the causal mask away: a token then sees those that follow it, the one
            to be predicted among them.
        residual: False takes the residual connections away.
        alibi_scale: with "alibi", how much steeper attention falls than with the paper's slopes
            (:func:`~minigpt.functional.alibi_slopes`).
        scale_attention: whether the scores Q Kᵀ are divided by √d_k; some GPT-2s leave it out.
        scale_attention_by_layer: whether those of the blocks 1, 2, 3, … are also divided by their
            number (Mistral's GPT-2s, for float16).
        normalization: "layer" (GPT-2), or "rms" (Zhang & Sennrich 2019; Llama).
        mlp: the feed-forward network, "plain" (GPT-2) or "gated" (Shazeer 2020; Llama, whose f is
            "silu").
        n_kv_head: how many heads keys and values have, each shared by n_head / n_kv_head heads of
            queries (Ainslie et al. 2023); n_head where None. The cache is smaller by as much.
        head_width: of each head; n_embd / n_head where None.
        qk_norm: whether the heads of queries and keys are normalised before they meet (Qwen 3).
        qkv_bias: whether the projection to queries, keys and values has biases, where that is not
            as ``bias`` says (Qwen 2).
        rotary_base: with "rotary", the base of its frequencies
            (:func:`~minigpt.functional.rotary_frequencies`).
        rotary_scaling: with "rotary", how these are scaled for longer texts, a
            :class:`~minigpt.nn.RotaryScaling`.
        short_convolution: of how many tokens, the present one included, queries, keys and values
            are mixed before they meet (:func:`~minigpt.functional.short_convolution`; So et al.
            2021, with 3), 2 or more; None: not at all. What stood next to a word is found much
            sooner with it.

    ``causal`` and ``residual``, and "none" for norms and positions, are for studying what each part
    does.

    Raises:
        ValueError, TypeError: name the field, what came and what was expected.

    Example:
        >>> import minigpt as mg
        >>> mg.GPTConfig(vocab_size=65, block_size=64, n_layer=4, n_head=4, n_embd=130)
        Traceback (most recent call last):
        ...
        ValueError: n_embd=130 is not divisible by n_head=4: choose n_embd=128 or n_head=5
    """

    CHECKS: ClassVar = {
        **StackConfig.CHECKS,
        "recompute": checks.flag,
        "alibi_scale": positive,
        "scale_attention": checks.flag,
        "scale_attention_by_layer": checks.flag,
        "rotary_base": positive,
    }

    vocab_size: int
    block_size: int
    n_layer: int
    n_head: int
    n_embd: int
    dropout: float = 0.0
    bias: bool = True
    activation: str = "gelu_tanh"
    norm: str = "pre"
    positions: str = "learned"
    tie_head: bool = True
    n_inner: int | None = None
    layer_norm_eps: float = 1e-5
    init_std: float = 0.02
    recompute: bool = False
    causal: bool = True
    residual: bool = True
    alibi_scale: float = 1.0
    scale_attention: bool = True
    scale_attention_by_layer: bool = False
    normalization: str = "layer"
    mlp: str = "plain"
    n_kv_head: int | None = None
    head_width: int | None = None
    qk_norm: bool = False
    qkv_bias: bool | None = None
    rotary_base: float = 10_000.0
    rotary_scaling: RotaryScaling | None = None
    short_convolution: int | None = None

    @property
    def embedding_std(self) -> float:
        """Standard deviation of the initial token embeddings, whatever the positions are."""
        return self.init_std

    @property
    def slopes(self) -> Array | None:
        """How fast each head's scores fall with the distance of a token; None: not at all."""
        alibi = self.positions == "alibi"
        return F.alibi_slopes(self.n_head, self.alibi_scale) if alibi else None

    @property
    def rotary(self) -> Rotary | None:
        """By which frequencies queries and keys are turned to their places; None: not at all."""
        return (self.rotary_base, self.rotary_scaling) if self.positions == "rotary" else None

    def _check_together(self) -> None:
        super()._check_together()
        for name, default, positions in (
            ("alibi_scale", 1, "alibi"),
            ("rotary_base", 10_000, "rotary"),
            ("rotary_scaling", None, "rotary"),
        ):
            if getattr(self, name) != default and self.positions != positions:
                raise ValueError(
                    f'{name}={getattr(self, name)} is for positions="{positions}", not '
                    f"{self.positions!r}: leave it out"
                )

    @classmethod
    def gpt2(
        cls,
        vocab_size: int,
        block_size: int,
        n_layer: int,
        n_head: int,
        n_embd: int,
        **changes: Any,
    ) -> GPTConfig:
        """The family of GPT-2 (Radford et al. 2019), in any size.

        Learned positions, layer norms before each part, a plain feed-forward network with GELU,
        biases everywhere, and the head tied to the embedding: all that is the default here.

        Args:
            vocab_size, block_size, n_layer, n_head, n_embd: the sizes.
            changes: fields that should differ.
        """
        return cls(vocab_size, block_size, n_layer, n_head, n_embd, **changes)

    @classmethod
    def llama(
        cls,
        vocab_size: int,
        block_size: int,
        n_layer: int,
        n_head: int,
        n_embd: int,
        **changes: Any,
    ) -> GPTConfig:
        """The family of Llama (Touvron et al. 2023, §2.2), which most models of today belong to.

        RMS norms before each part, rotary positions, a gated feed-forward network with SiLU, no
        biases, and a head of its own.

        Args:
            vocab_size, block_size, n_layer, n_head, n_embd: the sizes.
            changes: fields that should differ, such as n_kv_head, tie_head, n_inner, rotary_base.

        Example:
            >>> import minigpt as mg
            >>> mg.GPTConfig.llama(65, 64, n_layer=4, n_head=4, n_embd=96, n_kv_head=2).n_inner
            256
        """
        family: dict[str, Any] = {
            "bias": False, "activation": "silu", "positions": "rotary", "tie_head": False,
            "n_inner": gated_width(checks.size("n_embd", n_embd)), "normalization": "rms",
            "mlp": "gated",
        }  # fmt: skip
        return cls(vocab_size, block_size, n_layer, n_head, n_embd, **family | changes)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> GPTConfig:
        """GPT-2 in one of its four sizes: "gpt2" (124M), "gpt2-medium", "gpt2-large", "gpt2-xl".

        Args:
            name: the size.
            changes: fields that should differ.

        Raises:
            ValueError: not the name of a size.

        Example:
            >>> import minigpt as mg
            >>> mg.GPTConfig.preset("gpt2-medium", dropout=0.1).n_layer
            24
        """
        n_layer, n_head, n_embd = GPT2_SIZES[checks.one_of("name", name, tuple(GPT2_SIZES))]
        config = cls(
            vocab_size=50257, block_size=1024, n_layer=n_layer, n_head=n_head, n_embd=n_embd
        )
        return dataclasses.replace(config, **changes)
