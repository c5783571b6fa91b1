"""What an encoder–decoder is made of."""

from __future__ import annotations

from dataclasses import dataclass

from minigpt.models.encoder_config import EncoderConfig
from minigpt.models.fields import check_transformer


@dataclass(frozen=True)
class Seq2SeqConfig:
    """The architecture of an encoder–decoder.

    That of Vaswani et al. 2017 is norm="post", positions="sinusoidal", share_embeddings=True,
    dropout=0.1, label_smoothing=0.1, and the rest as it is here.

    Attributes:
        source_vocab_size, target_vocab_size: how many tokens each side has.
        source_block_size, target_block_size: how many tokens of each side the model sees at most.
        n_layer: how many blocks the encoder has, and the decoder too unless told otherwise.
        n_head: how many attention heads a block has; divides n_embd.
        n_embd: the width of both residual streams.
        n_decoder_layer: how many blocks the decoder has; n_layer where None.
        dropout: the probability used on embeddings, attention weights and residual branches.
        bias: whether linear layers and layer norms have biases.
        activation: of the feed-forward networks, as of :class:`~minigpt.models.GPTConfig`.
        norm: "pre", which needs no long warm-up, or "post".
        positions: "learned", "sinusoidal", or "none".
        share_embeddings: whether source and target, which then have one vocabulary, also have one
            token embedding (§3.4).
        tie_head: whether the output head is the target's token embedding again (§3.4).
        label_smoothing: ε of the loss in training (§5.4); it changes no other number, and is no
            part of the architecture.
        n_inner: the width inside the feed-forward networks; 4·n_embd where None.
        layer_norm_eps: ε of the layer norms.
        init_std: standard deviation of the initial weights; projections back into a residual
            stream start smaller, by one over the root of how many there are.

    Raises:
        ValueError, TypeError: name the field, what came and what was expected.

    Example:
        >>> Seq2SeqConfig(90, 70, 32, 32, n_layer=2, n_head=2, n_embd=16, share_embeddings=True)
        Traceback (most recent call last):
        ...
        ValueError: share_embeddings=True needs one vocabulary: source_vocab_size=90 and
        target_vocab_size=70 must be equal
    """

    source_vocab_size: int
    target_vocab_size: int
    source_block_size: int
    target_block_size: int
    n_layer: int
    n_head: int
    n_embd: int
    n_decoder_layer: int | None = None
    dropout: float = 0.0
    bias: bool = True
    activation: str = "relu"
    norm: str = "pre"
    positions: str = "learned"
    share_embeddings: bool = False
    tie_head: bool = True
    label_smoothing: float = 0.0
    n_inner: int | None = None
    layer_norm_eps: float = 1e-5
    init_std: float = 0.02

    def __post_init__(self) -> None:
        check_transformer(
            self,
            sizes=(
                "source_vocab_size", "target_vocab_size", "source_block_size", "target_block_size",
                "n_layer", "n_head", "n_embd",
            ),
            optional_sizes=("n_decoder_layer", "n_inner"),
            flags=("bias", "share_embeddings", "tie_head"),
            probabilities=("dropout", "label_smoothing"),
            norms=("pre", "post"),
        )  # fmt: skip
        if self.share_embeddings and self.source_vocab_size != self.target_vocab_size:
            raise ValueError(
                f"share_embeddings=True needs one vocabulary: source_vocab_size="
                f"{self.source_vocab_size} and target_vocab_size={self.target_vocab_size} must be "
                "equal"
            )

    def of_encoder(self) -> EncoderConfig:
        """The encoder's part."""
        return EncoderConfig(
            self.source_vocab_size, self.source_block_size, self.n_layer, self.n_head, self.n_embd,
            self.dropout, self.bias, self.activation, self.norm, self.positions,
            n_inner=self.n_inner, layer_norm_eps=self.layer_norm_eps, init_std=self.init_std,
        )  # fmt: skip
