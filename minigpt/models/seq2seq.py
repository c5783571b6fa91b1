"""The encoder–decoder: reads a source, and writes a target a token at a time."""

from __future__ import annotations

import numpy as np

import minigpt.functional as F
from minigpt.autograd import Array
from minigpt.grad_mode import evaluation, no_grad
from minigpt.models.decoder_stack import DecoderStack
from minigpt.models.encoder_stack import EncoderStack
from minigpt.models.given_source import GivenSource
from minigpt.models.inputs import key_mask
from minigpt.models.seq2seq_config import Seq2SeqConfig
from minigpt.nn import Module
from minigpt.nn.layers import Seed, check_seed
from minigpt.tensor import Tensor


class EncoderDecoder(Module):
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

    Raises:
        ValueError: the seed is negative.
        TypeError: ``config`` is no Seq2SeqConfig, or the seed neither an integer nor a Generator.

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

    def __init__(self, config: Seq2SeqConfig, seed: Seed = 0) -> None:
        super().__init__()
        if not isinstance(config, Seq2SeqConfig):
            raise TypeError(f"config must be a Seq2SeqConfig, got {type(config).__name__}")
        self.config = config
        check_seed(seed)
        rng = np.random.default_rng(seed)
        self.encoder = EncoderStack(config.of_encoder(), prefix="source_", seed=rng)
        shared = self.encoder.embeddings.token_embedding if config.share_embeddings else None
        self.decoder = DecoderStack(config, token_embedding=shared, seed=rng)
        self.dropout_rng = rng.spawn(1)[0]  # for training without a Generator of one's own

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
            TypeError: ids that are not integers.
        """
        rng = self.dropout_rng if rng is None else rng
        sources, targets = np.shape(source_ids), np.shape(target_ids)
        if sources[:1] != targets[:1]:
            raise ValueError(f"source_ids have shape {sources}, target_ids {targets}: other rows")
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
            target_out: what it shall say: the target, and the end token; −1 leaves a place out.
            source_mask, target_mask: as of :meth:`forward`.
            rng: of dropout, in training; the model's own where None.

        Shapes:
            source_ids, source_mask: (B, S)
            target_in, target_out, target_mask: (B, T)
            returns: a scalar

        Raises:
            ValueError: shapes that do not fit, more tokens than a context holds, or no target that
                counts.
            IndexError: an id or a target outside its vocabulary.
            TypeError: ids or targets that are not integers.
        """
        logits = self(source_ids, target_in, source_mask, target_mask, rng)
        smoothing = self.config.label_smoothing if self.training else 0.0
        return F.cross_entropy(logits, target_out, label_smoothing=smoothing)

    def loss_weight(
        self,
        source_ids: Array,
        target_in: Array,
        target_out: Array,
        source_mask: Array | None = None,
        target_mask: Array | None = None,
    ) -> float:
        """How many targets the mean in :meth:`loss` runs over."""
        return float((np.asarray(target_out) != -1).sum())

    @no_grad()
    def metrics(
        self,
        source_ids: Array,
        target_in: Array,
        target_out: Array,
        source_mask: Array | None = None,
        target_mask: Array | None = None,
    ) -> dict[str, float]:
        """Loss, not smoothed, and accuracy: how often the likeliest token is the right one."""
        logits = self(source_ids, target_in, source_mask, target_mask)
        targets = np.asarray(target_out)
        right = logits.data.argmax(axis=-1) == targets
        return {
            "loss": F.cross_entropy(logits, targets).item(),
            "accuracy": float(right[targets != -1].mean()),
        }

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
        """Where in the source each token of the target looks, for each layer; dropout is off.

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
