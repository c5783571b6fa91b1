"""A classifier of texts: a transformer that was trained on something else, and one linear layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

import minigpt.functional as F
from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.grad_mode import evaluation
from minigpt.models.embeddings import key_mask, places_in_text
from minigpt.models.encoder import Encoder, EncoderConfig, EncoderStack
from minigpt.models.gpt import GPT
from minigpt.models.gpt_config import GPTConfig
from minigpt.models.predictor import Predictor
from minigpt.nn import Dropout, Identity, Linear, Module
from minigpt.nn.config import Config, one_of, optional
from minigpt.tensor import Tensor

BACKBONES: dict[str, Any] = {"Encoder": EncoderConfig, "GPT": GPTConfig}
POOLINGS = ("first", "last", "mean")
# Fields of a configuration that change no hidden state, given the parameters.
_WITHOUT_EFFECT = {"dropout", "init_std", "recompute", "tie_head"}


@dataclass(frozen=True)
class ClassifierConfig(Config):
    """A backbone, and how a class is read off its hidden states.

    Attributes:
        backbone: the configuration of an Encoder or a GPT, whose own head is left off.
        n_classes: how many classes there are, 0 to n_classes − 1.
        pooling: which hidden state speaks for the text, padding aside: that of its "first" token
            (BERT, where each text begins with a token for it), of its "last" (GPT-1), or the "mean"
            of all. Where None: "mean" for an Encoder, whose tokens all see the whole text; "last"
            for a GPT, as it is the only one that does.
        dropout: on that state, before the head. The backbone has its own.
        backbone_model: "Encoder" or "GPT"; said by ``backbone`` itself, unless that is a dict of
            its fields, as it is in files.

    Raises:
        ValueError, TypeError: name the field, what came and what was expected.

    Example:
        >>> backbone = EncoderConfig(vocab_size=40, block_size=88, n_layer=2, n_head=4, n_embd=64)
        >>> ClassifierConfig(backbone, n_classes=3).pooling
        'mean'
    """

    CHECKS: ClassVar = {
        "backbone": lambda _, backbone: backbone,  # checked when it was made
        "n_classes": partial(checks.integer, least=2, mend="one class tells nothing apart"),
        "pooling": optional(one_of(POOLINGS)),
        "dropout": checks.probability,
        "backbone_model": optional(one_of(tuple(BACKBONES))),
    }

    backbone: EncoderConfig | GPTConfig
    n_classes: int
    pooling: str | None = None
    dropout: float = 0.0
    backbone_model: str | None = None

    def __post_init__(self) -> None:
        self._put("backbone", _check_backbone(self.backbone, self.backbone_model))
        super().__post_init__()

    def _check_together(self) -> None:
        name = "GPT" if isinstance(self.backbone, GPTConfig) else "Encoder"
        if self.backbone_model not in (None, name):
            raise ValueError(
                f"backbone_model={checks.shown(self.backbone_model)}, but backbone configures the "
                f"{name}: leave backbone_model out"
            )
        self._put("backbone_model", name)
        if self.pooling is None:
            self._put("pooling", "last" if name == "GPT" else "mean")
        causal = isinstance(self.backbone, GPTConfig) and self.backbone.causal
        if causal and self.pooling == "first":
            raise ValueError(
                'pooling="first" reads the first token, which in a causal GPT sees no other: '
                'choose "last" or "mean"'
            )

    @property
    def vocab_size(self) -> int:
        """How many tokens the backbone knows."""
        return self.backbone.vocab_size

    @property
    def block_size(self) -> int:
        """How many tokens it sees at most."""
        return self.backbone.block_size


class TextClassifier(Predictor):
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

    Example:
        >>> from minigpt.models import EncoderConfig
        >>> encoder = Encoder(EncoderConfig(20, block_size=8, n_layer=1, n_head=2, n_embd=8))
        >>> classifier = TextClassifier.from_model(encoder, n_classes=3)
        >>> classifier.probabilities(np.array([[3, 1, 4], [1, 5, 0]])).shape
        (2, 3)
    """

    CONFIG: ClassVar[type[ClassifierConfig]] = ClassifierConfig
    TARGETS = "labels"

    def __init__(self, config: ClassifierConfig, seed: Seed = 0) -> None:
        super().__init__()
        self.config = c = checks.instance("config", config, ClassifierConfig)
        rng = np.random.default_rng(checks.seed(seed))
        self.backbone = _without_head(config, rng)
        self.dropout = Dropout(c.dropout)
        self.head = Linear(c.backbone.n_embd, c.n_classes, std=c.backbone.init_std, seed=rng)
        self.dropout_rng = rng.spawn(1)[0]

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
            n_classes, pooling, dropout: as in :class:`ClassifierConfig`.
            seed: of the head.

        Raises:
            TypeError, ValueError: as :meth:`start_from` and :class:`ClassifierConfig` say.
        """
        config = _check_source(model).config
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
        source = _check_source(model)
        trained: Module = source
        if isinstance(source, TextClassifier):
            trained = source.backbone
        elif isinstance(source, Encoder):
            trained = source.stack
        _check_same_architecture(source, self.config)
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
            attention_mask: (B, T), 1 or True for a token and 0 for padding, on either side: a text
                gets the same logits wherever its padding is.
            rng: of dropout, in training; the model's own where None.

        Shapes:
            returns: (B, n_classes)

        Raises:
            ValueError: ids or mask of another shape, more tokens than the context holds, or a text
                that is nothing but padding.
            IndexError: an id outside the vocabulary.
        """
        mask = _check_texts(ids, attention_mask)
        rng, positions = self.dropout_generator(rng), places_in_text(mask)
        hidden: Tensor = self.backbone(ids, mask, positions, rng=rng)  # (B, T) -> (B, T, C)
        state = self._pooled(hidden, mask)  # (B, T, C) -> (B, C)
        logits: Tensor = self.head(self.dropout(state, rng))  # (B, C) -> (B, K)
        return logits

    def _pooled(self, hidden: Tensor, mask: Array | None) -> Tensor:
        """The state that speaks for each text: (B, T, C) -> (B, C)."""
        b, t, c = hidden.shape
        mask = np.ones((b, t), bool) if mask is None else mask
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
        """L = −mean log p(label | text), over the ``labels`` that are not −1.

        Shapes:
            ids, attention_mask: (B, T); labels: (B,) integers
            returns: a scalar

        Raises:
            ValueError, IndexError: as :meth:`forward`; and for labels of another shape, outside the
                classes, or none that counts.
        """
        return F.cross_entropy(*self.logits_and_targets(ids, labels, attention_mask, rng))

    def logits_and_targets(
        self,
        ids: Array,
        labels: Array,
        attention_mask: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Tensor, Array]:
        logits = self(ids, attention_mask, rng)
        return logits, _check_labels(labels, logits)

    # ── what it is good for ───────────────────────────────────────────────────────────────────

    def probabilities(self, ids: Array, attention_mask: Array | None = None) -> Array:
        """p(class | text), nothing dropped: (B, T) -> (B, n_classes).

        ``ids`` and ``attention_mask`` are as in :meth:`forward`.
        """
        with evaluation():
            return F.softmax(self(ids, attention_mask)).data

    def predict(self, ids: Array, attention_mask: Array | None = None) -> Array:
        """The likeliest class of each text, nothing dropped: (B, T) -> (B,).

        ``ids`` and ``attention_mask`` are as in :meth:`forward`.
        """
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


def _check_backbone(given: Any, model: Any) -> EncoderConfig | GPTConfig:
    """The backbone's configuration, made of a dict of its fields where it comes out of a file."""
    if isinstance(given, (EncoderConfig, GPTConfig)):
        return given
    if not isinstance(given, Mapping):
        raise checks.wrong_type("backbone", "an EncoderConfig or a GPTConfig", given)
    name = "backbone_model, as backbone is a dict,"
    config = BACKBONES[checks.one_of(name, model, tuple(BACKBONES))]
    try:
        made: EncoderConfig | GPTConfig = config(**given)
    except TypeError as error:
        raise ValueError(f"backbone does not fit {model}: {error}") from None
    return made


def _check_source(model: object) -> Encoder | GPT | TextClassifier:
    if not isinstance(model, (Encoder, GPT, TextClassifier)):
        raise checks.wrong_type("model", "an Encoder, a GPT or a TextClassifier", model)
    return model


def _check_same_architecture(source: Encoder | GPT | TextClassifier, own: ClassifierConfig) -> None:
    if isinstance(source, TextClassifier):
        kind, config = source.config.backbone_model, source.config.backbone
    else:
        kind, config = type(source).__name__, source.config
    if type(config) is not type(own.backbone):
        raise TypeError(
            f"model must be of the backbone's kind, {own.backbone_model}: got {kind}; make the "
            "classifier with TextClassifier.from_model(model, n_classes)"
        )
    for name in (field.name for field in dataclasses.fields(own.backbone)):
        here, there = getattr(own.backbone, name), getattr(config, name)
        if name not in _WITHOUT_EFFECT and there != here:
            raise ValueError(
                f"model must have {name}={here!r}, like the classifier's backbone: got {there!r}; "
                "make the classifier with ClassifierConfig(model.config, …)"
            )


def _check_texts(ids: Array, attention_mask: Array | None) -> Array | None:
    """The mask as booleans (B, T)."""
    shape = checks.regular("ids", ids).shape
    keys = key_mask(attention_mask, *shape) if len(shape) == 2 else None
    if keys is None:  # the backbone says what is wrong with the ids
        return None
    mask: Array = keys[:, 0, 0]  # (B, 1, 1, T) -> (B, T)
    if not mask.any(axis=1).all():
        row = int(np.argmin(mask.any(axis=1)))
        raise ValueError(f"row {row} of attention_mask is all padding: there is no text in it")
    return mask


def _check_labels(labels: Array, logits: Tensor) -> Array:
    labels = checks.integers("labels", labels)
    checks.same_shape("labels", labels, logits.shape[:1], ": one for each text")
    n = logits.shape[1]
    if labels.size and (labels.min() < -1 or labels.max() >= n):
        raise IndexError(
            f"labels must be from 0 to {n - 1}, as n_classes={n}, or -1 to leave a text out: got "
            f"{labels.min()} to {labels.max()}"
        )
    return labels
