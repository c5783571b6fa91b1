"""The encoder–decoder: reads a source, and writes a target a token at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.grad_mode import evaluation
from minigpt.models.config import WITHOUT_STUDIES, StackConfig
from minigpt.models.decoder_stack import DecoderStack
from minigpt.models.embeddings import key_mask
from minigpt.models.encoder import EncoderConfig, EncoderStack
from minigpt.models.given_source import GivenSource
from minigpt.models.predictor import Predictor
from minigpt.nn.config import optional, size
from minigpt.tensor import Tensor

# The fields that the encoder takes over as they are.
SHARED = (
    "n_layer", "n_head", "n_embd", "dropout", "bias", "activation", "norm", "positions", "n_inner",
    "layer_norm_eps", "init_std",
)  # fmt: skip


@dataclass(frozen=True)
class Seq2SeqConfig(StackConfig):
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
        activation: of the feed-forward networks, as in :class:`~minigpt.models.GPTConfig`.
        norm: "pre", which needs no long warm-up, or "post".
        positions: "learned", "sinusoidal", or "none".
        share_embeddings: whether source and target, which then have one vocabulary, also have one
            token embedding (§3.4).
        tie_head: whether the output head is the target's token embedding again (§3.4).
        label_smoothing: ε of the loss in training (§5.4); it changes no other number, and is not
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

    CHECKS: ClassVar = {
        **StackConfig.CHECKS,
        **WITHOUT_STUDIES,
        "source_vocab_size": size,
        "target_vocab_size": size,
        "source_block_size": size,
        "target_block_size": size,
        "n_decoder_layer": optional(size),
        "share_embeddings": checks.flag,
        "label_smoothing": checks.probability,
    }

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

    @property
    def residual_std(self) -> float:
        """Of the decoder, whose blocks add to the residual stream three times."""
        return self.init_std / math.sqrt(3 * self.decoder_layers)

    @property
    def decoder_layers(self) -> int:
        """How many blocks the decoder has."""
        return self.n_layer if self.n_decoder_layer is None else self.n_decoder_layer

    def _check_together(self) -> None:
        super()._check_together()
        if self.share_embeddings and self.source_vocab_size != self.target_vocab_size:
            raise ValueError(
                f"share_embeddings=True needs one vocabulary: source_vocab_size="
                f"{self.source_vocab_size} and target_vocab_size={self.target_vocab_size} must be "
                "equal"
            )

    def of_encoder(self) -> EncoderConfig:
        """The encoder's part."""
        return EncoderConfig(
            vocab_size=self.source_vocab_size,
            block_size=self.source_block_size,
            **{name: getattr(self, name) for name in SHARED},
        )


class EncoderDecoder(Predictor):
    """The transformer as it was introduced, for translation (Vaswani et al. 2017).

        m         = Encoder(x)                          every token of the source sees all others
        log p(y|x) = Σₜ log softmax(Decoder(y₍<ₜ₎, m))   the target sees what is written, and m (E6)

    In training the decoder reads the right target, however wrong its own would be (teacher
    forcing): all places are then predicted at once. To write, give it sources and let a Sampler go
    on from the start token.

    Args:
        config: the architecture.
        seed: of the initial weights, a number or a Generator.

    Shapes:
        source_ids: (B, S), target_ids: (B, T) integers -> logits (B, T, target_vocab_size)

    Example:
        >>> import numpy as np, minigpt as mg
        >>> config = Seq2SeqConfig(9, 7, 6, 6, n_layer=1, n_head=2, n_embd=8)
        >>> model = EncoderDecoder(config, seed=0)
        >>> sources, start = np.array([[3, 1, 4], [5, 2, 6]]), np.array([[1], [1]])
        >>> model(sources, start).shape
        (2, 1, 7)
        >>> translator = mg.Sampler(model.given(sources))
        >>> translator.generate_ids(start, max_new_tokens=4, temperature=0).shape
        (2, 5)
    """

    CONFIG: ClassVar[type[Seq2SeqConfig]] = Seq2SeqConfig
    TARGETS = "target_out"

    def __init__(self, config: Seq2SeqConfig, seed: Seed = 0) -> None:
        super().__init__()
        self.config = checks.instance("config", config, Seq2SeqConfig)
        rng = np.random.default_rng(checks.seed(seed))
        self.encoder = EncoderStack(config.of_encoder(), prefix="source_", seed=rng)
        shared = self.encoder.embeddings.token_embedding if config.share_embeddings else None
        self.decoder = DecoderStack(config, token_embedding=shared, seed=rng)
        self.dropout_rng = rng.spawn(1)[0]

    def forward(
        self,
        source_ids: Array,
        target_ids: Array,
        source_mask: Array | None = None,
        target_mask: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Logits of the token that follows each place of the target.

        Args:
            source_ids: (B, S) integers.
            target_ids: (B, T) integers, beginning with a start token.
            source_mask: (B, S), 1 or True for a token and 0 for padding, which nobody sees.
            target_mask: (B, T), the same for the target; not needed for padding at the right, which
                the causal mask hides from the tokens before it.
            rng: of dropout, in training; the model's own where None.

        Shapes:
            returns: (B, T, target_vocab_size)

        Raises:
            ValueError: shapes that do not fit, or more tokens than a context holds.
            IndexError: an id outside its vocabulary.
        """
        _check(source_ids, target_ids)
        rng = self.dropout_generator(rng)
        memory = self.encoder(source_ids, source_mask, rng=rng)  # (B, S) -> (B, S, C)
        memory_mask = _memory_mask(source_mask, memory)
        logits: Tensor = self.decoder(target_ids, memory, target_mask, memory_mask, rng=rng)
        return logits

    # ── what training asks for ────────────────────────────────────────────────────────────────

    def loss(
        self,
        source_ids: Array,
        target_in: Array,
        target_out: Array,
        source_mask: Array | None = None,
        target_mask: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Mean cross-entropy of the next token of the target, over the places that are not −1.

        In training it is smoothed by ``config.label_smoothing``.

        Args:
            source_ids: what the encoder reads.
            target_in: what the decoder reads: the start token, and the target.
            target_out: what it should say: the target, and the end token; −1 leaves a place out.
            source_mask, target_mask: as in :meth:`forward`.
            rng: of dropout, in training; the model's own where None.

        Shapes:
            source_ids, source_mask: (B, S)
            target_in, target_out, target_mask: (B, T)
            returns: a scalar

        Raises:
            ValueError: shapes that do not fit, more tokens than a context holds, or no target that
                counts.
            IndexError: an id or a target outside its vocabulary.
        """
        scored = self.logits_and_targets(
            source_ids, target_in, target_out, source_mask, target_mask, rng
        )
        smoothing = self.config.label_smoothing if self.training else 0.0
        return F.cross_entropy(*scored, label_smoothing=smoothing)

    def logits_and_targets(
        self,
        source_ids: Array,
        target_in: Array,
        target_out: Array,
        source_mask: Array | None = None,
        target_mask: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Tensor, Array]:
        return self(source_ids, target_in, source_mask, target_mask, rng), target_out

    # ── what generation asks for ──────────────────────────────────────────────────────────────

    def given(self, source_ids: Array, source_mask: Array | None = None) -> GivenSource:
        """p(y | x) for these sources: a language model of the target, for a Sampler.

        Args:
            source_ids: (B, S) integers; the encoder reads them here, once, with dropout off.
            source_mask: (B, S), 1 or True for a token and 0 for padding.
        """
        with evaluation():
            memory: Tensor = self.encoder(source_ids, source_mask)
        mask = _memory_mask(source_mask, memory)
        return GivenSource(self, memory, mask)

    def cross_attention_weights(
        self, source_ids: Array, target_ids: Array, source_mask: Array | None = None
    ) -> list[Array]:
        """Where in the source each token of the target looks, for each layer; nothing is dropped.

        The arguments are as in :meth:`forward`.

        Shapes:
            source_ids, source_mask: (B, S), target_ids: (B, T)
            returns: n_decoder_layer arrays (B, n_head, T, S), rows that sum to 1
        """
        with evaluation():
            memory = self.encoder(source_ids, source_mask)
            mask = _memory_mask(source_mask, memory)
            return self.decoder.cross_attention_weights(target_ids, memory, mask)

    def extra_repr(self) -> str:
        c = self.config
        return f"source_vocab_size={c.source_vocab_size}, target_vocab_size={c.target_vocab_size}"


def _memory_mask(source_mask: Array | None, memory: Tensor) -> Array | None:
    b, s, _ = memory.shape
    return key_mask(source_mask, b, s, "source_mask")


def _check(source_ids: Array, target_ids: Array) -> None:
    sources = checks.regular("source_ids", source_ids).shape
    targets = checks.regular("target_ids", target_ids).shape
    if sources[:1] != targets[:1]:
        raise ValueError(
            f"target_ids must have a row for each source: got {targets} for source_ids {sources}"
        )
