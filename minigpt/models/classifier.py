"""A classifier of texts: a transformer that was trained on something else, and one linear layer."""

from __future__ import annotations

import dataclasses

import numpy as np

import minigpt.functional as F
from minigpt.autograd import Array
from minigpt.functional.embedding import check_integers
from minigpt.grad_mode import evaluation, no_grad
from minigpt.models.classifier_config import ClassifierConfig
from minigpt.models.encoder import Encoder
from minigpt.models.encoder_config import EncoderConfig
from minigpt.models.encoder_stack import EncoderStack
from minigpt.models.gpt import GPT
from minigpt.nn import Dropout, Identity, Linear, Module
from minigpt.nn.layers import Seed, check_seed
from minigpt.tensor import Tensor

# Fields of a configuration that change no hidden state, given the parameters.
_WITHOUT_EFFECT = {"dropout", "init_std", "recompute", "tie_head"}


class TextClassifier(Module):
    """The class of a text, from the hidden states of a backbone (Radford et al. 2018, §3.2).

        h      = backbone(ids)                       an Encoder or a GPT, without its head
        s      = h of the first or last token, or the mean over all; padding counts for nothing
        logits = Dropout(s) W + b

    Made by itself it begins with random parameters; :meth:`from_model` begins with those of a
    trained model, and :meth:`start_from` puts them into a classifier that is there already.

    Args:
        config: the backbone, the classes, and which hidden states count.
        seed: of the initial weights, a number or a Generator.

    Shapes:
        ids: (B, T) integers, T ≤ block_size -> logits (B, n_classes)

    Raises:
        ValueError: the seed is negative.
        TypeError: ``config`` is no ClassifierConfig, or the seed neither an integer nor a
            Generator.

    Example:
        >>> from minigpt.models import EncoderConfig
        >>> encoder = Encoder(EncoderConfig(20, block_size=8, n_layer=1, n_head=2, n_embd=8))
        >>> classifier = TextClassifier.from_model(encoder, n_classes=3)
        >>> classifier.probabilities(np.array([[3, 1, 4], [1, 5, 0]])).shape
        (2, 3)
    """

    def __init__(self, config: ClassifierConfig, seed: Seed = 0) -> None:
        super().__init__()
        if not isinstance(config, ClassifierConfig):
            raise TypeError(f"config must be a ClassifierConfig, got {type(config).__name__}")
        self.config = c = config
        check_seed(seed)
        rng = np.random.default_rng(seed)
        self.backbone = _without_head(config, rng)
        self.dropout = Dropout(c.dropout)
        self.head = Linear(c.backbone.n_embd, c.n_classes, std=c.backbone.init_std, seed=rng)
        self.dropout_rng = rng.spawn(1)[0]  # for training without a Generator of one's own

    @classmethod
    def from_model(
        cls,
        model: Encoder | GPT | TextClassifier,
        n_classes: int,
        pooling: str | None = None,
        dropout: float = 0.0,
        seed: Seed = 0,
    ) -> TextClassifier:
        """A classifier that begins with a copy of a trained model's parameters, and a new head.

        Args:
            model: an Encoder, a GPT, or a classifier; it is left as it is.
            n_classes, pooling, dropout: as of :class:`ClassifierConfig`.
            seed: of the head.

        Raises:
            TypeError, ValueError: as :meth:`start_from` and :class:`ClassifierConfig` say.
        """
        config = _checked_source(model).config
        backbone = config.backbone if isinstance(config, ClassifierConfig) else config
        classifier = cls(ClassifierConfig(backbone, n_classes, pooling, dropout), seed)
        classifier.astype(next(iter(model.parameters())).dtype)
        classifier.start_from(model)
        return classifier

    def start_from(self, model: Encoder | GPT | TextClassifier) -> None:
        """Copy a trained model's parameters into the backbone, name by name; the head stays.

        Nothing is copied unless everything fits. Dropout may differ.

        Raises:
            TypeError: ``model`` is not of the backbone's kind.
            ValueError: it is configured otherwise, or its parameters differ in name, shape or
                dtype.
        """
        source = _checked_source(model)
        if isinstance(source, TextClassifier):
            kind, config = source.config.backbone_model, source.config.backbone
            trained: Module = source.backbone
        else:
            kind, config = type(source).__name__, source.config
            trained = source.stack if isinstance(source, Encoder) else source
        if type(config) is not type(self.config.backbone):
            raise TypeError(
                f"model is a {kind}, but the classifier's backbone a {self.config.backbone_model}: "
                "make it with TextClassifier.from_model(model, n_classes)"
            )
        for name, here in dataclasses.asdict(self.config.backbone).items():
            there = getattr(config, name)
            if name not in _WITHOUT_EFFECT and there != here:
                raise ValueError(
                    f"model has {name}={there!r}, the classifier's backbone {name}={here!r}: make "
                    "the classifier with ClassifierConfig(model.config, …)"
                )
        state = trained.state_dict()
        if isinstance(trained, GPT):
            state.pop("head.weight", None)
        self.backbone.load_state_dict(state)

    def forward(
        self,
        ids: Array,
        attention_mask: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Logits of the classes.

        Args:
            ids: (B, T) integers.
            attention_mask: (B, T), 1 or True for a token and 0 for padding.
            rng: of dropout, in training; the model's own where None.

        Shapes:
            returns: (B, n_classes)

        Raises:
            ValueError: ids or mask of another shape, more tokens than the context holds, or a text
                that is nothing but padding.
            IndexError: an id outside the vocabulary.
            TypeError: ids that are not integers.
        """
        rng = self.dropout_rng if rng is None else rng
        hidden: Tensor = self.backbone(ids, attention_mask, rng=rng)  # (B, T) -> (B, T, C)
        state = self._pooled(hidden, attention_mask)  # (B, T, C) -> (B, C)
        logits: Tensor = self.head(self.dropout(state, rng))  # (B, C) -> (B, K)
        return logits

    def _pooled(self, hidden: Tensor, attention_mask: Array | None) -> Tensor:
        """The state that speaks for each text: (B, T, C) -> (B, C)."""
        b, t, c = hidden.shape
        mask = np.ones((b, t), bool) if attention_mask is None else np.asarray(attention_mask) != 0
        if not mask.any(axis=1).all():
            row = int(np.argmin(mask.any(axis=1)))
            raise ValueError(f"row {row} of attention_mask is all padding: there is no text in it")
        if self.config.pooling == "mean":
            shares = mask / mask.sum(axis=1, keepdims=True)
            return (hidden * shares[:, :, None].astype(hidden.dtype)).sum(axis=1)
        if self.config.pooling == "first":
            places = mask.argmax(axis=1)
        else:
            places = t - 1 - mask[:, ::-1].argmax(axis=1)
        return F.embedding(np.arange(b) * t + places, hidden.reshape(-1, c))

    # ── what training asks for ────────────────────────────────────────────────────────────────

    def loss(
        self,
        ids: Array,
        labels: Array,
        attention_mask: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """L = −mean log p(label | text), over the labels that are not −1.

        Shapes:
            ids, attention_mask: (B, T); labels: (B,) integers
            returns: a scalar

        Raises:
            ValueError, IndexError, TypeError: as :meth:`forward`; and for labels of another shape
                or type, outside the classes, or none that counts.
        """
        logits = self(ids, attention_mask, rng)
        return F.cross_entropy(logits, _checked_labels(labels, logits))

    def loss_weight(self, ids: Array, labels: Array, attention_mask: Array | None = None) -> float:
        """How many labels the mean in :meth:`loss` runs over."""
        return float((np.asarray(labels) != -1).sum())

    @no_grad()
    def metrics(
        self, ids: Array, labels: Array, attention_mask: Array | None = None
    ) -> dict[str, float]:
        """Loss, and accuracy: how often the likeliest class is the right one."""
        logits = self(ids, attention_mask)
        labels = _checked_labels(labels, logits)
        right = logits.data.argmax(axis=-1) == labels
        return {
            "loss": F.cross_entropy(logits, labels).item(),
            "accuracy": float(right[labels != -1].mean()),
        }

    # ── what it is good for ───────────────────────────────────────────────────────────────────

    def probabilities(self, ids: Array, attention_mask: Array | None = None) -> Array:
        """p(class | text), with dropout off: (B, T) -> (B, n_classes)."""
        with evaluation():
            return F.softmax(self(ids, attention_mask)).data

    def predict(self, ids: Array, attention_mask: Array | None = None) -> Array:
        """The likeliest class of each text, with dropout off: (B, T) -> (B,)."""
        classes: Array = self.probabilities(ids, attention_mask).argmax(axis=-1)
        return classes

    def extra_repr(self) -> str:
        return f"n_classes={self.config.n_classes}, pooling={self.config.pooling!r}"


def _without_head(config: ClassifierConfig, rng: np.random.Generator) -> EncoderStack | GPT:
    """An Encoder's stack, or a GPT that gives its hidden states as they come from the last norm."""
    if isinstance(config.backbone, EncoderConfig):
        return EncoderStack(config.backbone, seed=rng)
    gpt = GPT(config.backbone, seed=rng)
    gpt.head = Identity()  # type: ignore[assignment]
    return gpt


def _checked_source(model: object) -> Encoder | GPT | TextClassifier:
    if not isinstance(model, (Encoder, GPT, TextClassifier)):
        raise TypeError(
            f"model must be an Encoder, a GPT or a TextClassifier: got {type(model).__name__}"
        )
    return model


def _checked_labels(labels: Array, logits: Tensor) -> Array:
    labels = np.asarray(labels)
    check_integers(labels, "labels")
    if labels.shape != logits.shape[:1]:
        raise ValueError(
            f"labels have shape {labels.shape}, expected {logits.shape[:1]}: one for each text"
        )
    if labels.size and (labels.min() < -1 or labels.max() >= logits.shape[1]):
        raise IndexError(
            f"labels run from {labels.min()} to {labels.max()}, but there are "
            f"n_classes={logits.shape[1]}: 0 to {logits.shape[1] - 1}, or -1 to leave a text out"
        )
    return labels
