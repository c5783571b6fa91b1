"""What the configurations of whole transformers share, on top of what their blocks read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from minigpt import checks
from minigpt.nn.config import Check, TransformerConfig, one_of, size
from minigpt.nn.positions import POSITIONS


class StackConfig(TransformerConfig):
    """Blocks on top of embeddings: a GPT, an encoder, a decoder.

    Attributes:
        n_layer: how many blocks.
        positions: what is added for where a token stands, as in :class:`~minigpt.models.GPTConfig`.
        init_std: standard deviation of the initial weights; projections back into the residual
            stream start smaller by 1/√(2·n_layer) (Radford et al. 2019, §2.3), as there are two in
            each block.
    """

    CHECKS: ClassVar[Mapping[str, Check]] = {
        **TransformerConfig.CHECKS,
        "vocab_size": size,
        "block_size": size,
        "n_layer": size,
        "positions": one_of(POSITIONS),
        "tie_head": checks.flag,
    }

    n_layer: int
    positions: str
    init_std: float

    @property
    def residual_std(self) -> float:
        """Standard deviation of the initial projections back into the residual stream."""
        return self.init_std / math.sqrt(2 * self.n_layer)

    @property
    def embedding_std(self) -> float:
        """That of the initial token embeddings.

        Multiplied by √n_embd they are as loud as the sines and cosines that are added to them.
        """
        return 1 / math.sqrt(self.n_embd) if self.positions == "sinusoidal" else self.init_std

    def _check_together(self) -> None:
        super()._check_together()
        if self.positions == "sinusoidal" and self.n_embd % 2:
            raise checks.wrong_value("n_embd", "even for sinusoidal positions", self.n_embd)
        if self.positions == "alibi" and not self.causal:
            expected = '"learned" (GPT-2), "sinusoidal" or "none" in a model that is not causal'
            raise checks.wrong_value("positions", expected, "alibi")


OF_A_GPT = ("alibi", "rotary")  # positions that attention knows of, in a GPT's blocks only


def added_positions(name: str, value: Any) -> str:
    """The check of positions that are added to the embeddings, or none."""
    if isinstance(value, str) and value in OF_A_GPT:
        mend = f'"{value}" is for a GPT: minigpt.GPTConfig(…, positions="{value}")'
        raise checks.wrong_value(name, '"learned", "sinusoidal" or "none"', value, mend)
    return checks.one_of(name, value, {n: w for n, w in POSITIONS.items() if n not in OF_A_GPT})


# An encoder's and a translator's blocks: what is there to study a GPT, they leave out.
WITHOUT_STUDIES: dict[str, Check] = {
    "norm": one_of({"pre": "GPT-2", "post": "Vaswani et al. 2017"}),
    "positions": added_positions,
}
