"""What an encoder is made of."""

from __future__ import annotations

from dataclasses import dataclass

from minigpt.models.fields import check_transformer


@dataclass(frozen=True)
class EncoderConfig:
    """The architecture of a bidirectional encoder.

    BERT's (Devlin et al. 2018) is norm="post", embedding_norm=True, activation="gelu_erf",
    layer_norm_eps=1e-12.

    Attributes:
        vocab_size: how many tokens there are, the mask token among them.
        block_size: how many tokens the model sees at most.
        n_layer: how many blocks.
        n_head: how many attention heads a block has; divides n_embd.
        n_embd: the width of the residual stream.
        dropout: the probability used on embeddings, attention weights and residual branches.
        bias: whether linear layers and layer norms have biases.
        activation: of the feed-forward network and of the head, as of
            :class:`~minigpt.models.GPTConfig`.
        norm: "pre" or "post".
        positions: "learned", "sinusoidal", or "none".
        embedding_norm: whether a layer norm follows the embeddings.
        n_inner: the width inside the feed-forward network; 4·n_embd where None.
        layer_norm_eps: ε of the layer norms.
        init_std: standard deviation of the initial weights; projections back into the residual
            stream start smaller by 1/√(2·n_layer).

    Raises:
        ValueError, TypeError: name the field, what came and what was expected.
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
    embedding_norm: bool = False
    n_inner: int | None = None
    layer_norm_eps: float = 1e-5
    init_std: float = 0.02

    def __post_init__(self) -> None:
        check_transformer(
            self,
            sizes=("vocab_size", "block_size", "n_layer", "n_head", "n_embd"),
            flags=("bias", "embedding_norm"),
            norms=("pre", "post"),
        )
