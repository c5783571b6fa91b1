"""What a classifier of texts is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from minigpt.functional.dropout import check_probability
from minigpt.models.config import GPTConfig
from minigpt.models.encoder_config import EncoderConfig
from minigpt.nn.layers import check_size

BACKBONES: dict[str, Any] = {"Encoder": EncoderConfig, "GPT": GPTConfig}
POOLINGS = ("first", "last", "mean")


@dataclass(frozen=True)
class ClassifierConfig:
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

    backbone: EncoderConfig | GPTConfig
    n_classes: int
    pooling: str | None = None
    dropout: float = 0.0
    backbone_model: str | None = None

    def __post_init__(self) -> None:
        self._put("backbone", self._configured())
        name = "GPT" if isinstance(self.backbone, GPTConfig) else "Encoder"
        if self.backbone_model not in (None, name):
            raise ValueError(
                f"backbone_model={self.backbone_model!r}, but backbone configures the {name}: "
                "leave backbone_model out"
            )
        self._put("backbone_model", name)
        check_size(n_classes=self.n_classes)
        if self.n_classes < 2:
            raise ValueError("n_classes=1 leaves nothing to tell apart: it must be 2 or more")
        self._put("n_classes", int(self.n_classes))
        check_probability(self.dropout, "dropout")
        self._put("dropout", float(self.dropout))
        causal = isinstance(self.backbone, GPTConfig) and self.backbone.causal
        if self.pooling is None:
            self._put("pooling", "last" if name == "GPT" else "mean")
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling={self.pooling!r}: expected one of {', '.join(POOLINGS)}")
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

    def _configured(self) -> EncoderConfig | GPTConfig:
        given: Any = self.backbone
        if isinstance(given, (EncoderConfig, GPTConfig)):
            return given
        if not isinstance(given, Mapping):
            raise TypeError(
                f"backbone must be an EncoderConfig or a GPTConfig: got {type(given).__name__}"
            )
        if self.backbone_model not in BACKBONES:
            raise ValueError(
                f"backbone_model={self.backbone_model!r}: a backbone that is a dict needs it, one "
                f"of {', '.join(BACKBONES)}"
            )
        try:
            config: EncoderConfig | GPTConfig = BACKBONES[self.backbone_model](**given)
        except TypeError as error:
            raise ValueError(f"backbone does not fit {self.backbone_model}: {error}") from None
        return config

    def _put(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # frozen for everybody else
