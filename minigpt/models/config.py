"""What a GPT is made of: its configuration, and the sizes that GPT-2 was published in."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from minigpt.models.fields import check_transformer

GPT2_SIZES = {  # Radford et al. 2019, table 2 (n_layer, n_embd); heads from the released models
    "gpt2": (12, 12, 768),
    "gpt2-medium": (24, 16, 1024),
    "gpt2-large": (36, 20, 1280),
    "gpt2-xl": (48, 25, 1600),
}


@dataclass(frozen=True)
class GPTConfig:
    """The architecture of a GPT; GPT-2's unless said otherwise.

    Attributes:
        vocab_size: how many tokens there are.
        block_size: the context: how many tokens the model sees at most.
        n_layer: how many blocks.
        n_head: how many attention heads a block has; divides n_embd.
        n_embd: the width of the residual stream.
        dropout: the probability used on embeddings, attention weights and residual branches.
        bias: whether linear layers and layer norms have biases.
        activation: of the feed-forward network: "gelu_tanh" (GPT-2), "gelu_erf" (exact),
            "relu", "silu" or "tanh".
        norm: "pre" (GPT-2), "post" (GPT-1, Vaswani et al. 2017), or "none".
        positions: "learned" (GPT-1, GPT-2), "sinusoidal" (Vaswani et al. 2017, §3.5), "alibi"
            (attention falls with the distance instead: Press et al. 2022), or "none". With the
            second and the third the token embeddings are multiplied by √n_embd (Vaswani, §3.4).
        alibi_scale: with "alibi", how much steeper attention falls than with the paper's slopes
            (:func:`~minigpt.functional.alibi_slopes`).
        tie_head: whether the output head is the token embedding again (Press & Wolf 2017).
        n_inner: the width inside the feed-forward network; 4·n_embd where None.
        layer_norm_eps: ε of the layer norms.
        recompute: whether blocks keep nothing for their derivative but are computed again in the
            walk back: far less memory in training for about a third more time. It changes no
            number, and is no part of the architecture.
        init_std: standard deviation of the initial weights; projections back into the residual
            stream start smaller by 1/√(2·n_layer) (Radford et al. 2019, §2.3).
        causal: False takes the causal mask away: a token then sees those that follow it, the one
            to be predicted among them.
        residual: False takes the residual connections away.

    The last two, and "none" for norms and positions, are for studying what each part does.

    Raises:
        ValueError, TypeError: name the field, what came and what was expected.

    Example:
        >>> import minigpt as mg
        >>> mg.GPTConfig(vocab_size=65, block_size=64, n_layer=4, n_head=4, n_embd=130)
        Traceback (most recent call last):
        ...
        ValueError: n_embd=130 is not divisible by n_head=4: choose n_embd=128 or n_head=5
    """

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

    def __post_init__(self) -> None:
        check_transformer(
            self,
            sizes=("vocab_size", "block_size", "n_layer", "n_head", "n_embd"),
            flags=("bias", "tie_head", "recompute", "causal", "residual"),
            positive=("layer_norm_eps", "init_std", "alibi_scale"),
        )
        if self.alibi_scale != 1 and self.positions != "alibi":
            raise ValueError(
                f'alibi_scale={self.alibi_scale} is for positions="alibi", not '
                f"{self.positions!r}: leave it out"
            )

    @classmethod
    def preset(cls, name: str, **changes: Any) -> GPTConfig:
        """GPT-2 in one of its four sizes: "gpt2" (124M), "gpt2-medium", "gpt2-large", "gpt2-xl".

        Args:
            name: the size.
            changes: fields that shall differ.

        Raises:
            ValueError: no size of that name.

        Example:
            >>> import minigpt as mg
            >>> mg.GPTConfig.preset("gpt2-medium", dropout=0.1).n_layer
            24
        """
        if name not in GPT2_SIZES:
            known = ", ".join(repr(size) for size in GPT2_SIZES)
            raise ValueError(f"preset {name!r} is not known: choose one of {known}")
        n_layer, n_head, n_embd = GPT2_SIZES[name]
        config = cls(
            vocab_size=50257, block_size=1024, n_layer=n_layer, n_head=n_head, n_embd=n_embd
        )
        return dataclasses.replace(config, **changes)
