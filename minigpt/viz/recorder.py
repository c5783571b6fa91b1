"""What happens to every layer in a run: the size of its weights, its gradients and its updates."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.training import Callback, Trainer
from minigpt.training.records import Record, Records

QUANTITIES = {
    "weights": "root mean square of the weights",
    "gradients": "root mean square of ∂L/∂θ",
    "updates": "root mean square of a step, over that of the weights",
}


class Recorder(Callback):
    """Records for each layer how large its weights θ, gradients ∂L/∂θ and updates Δθ are.

    A size is the root mean square over all numbers of the layer, √mean(x²); that of an update is
    divided by that of the weights, so that 10⁻³ says that the step changed them by a thousandth.
    Weights are those before the step, gradients those before clipping. A layer is a block
    (``blocks.3``), or a part outside the blocks (``token_embedding``). During a step that is
    recorded a copy of the weights is held.

    Args:
        every: steps between two records.

    Attributes:
        records: of each recorded step: its number, and ``weights/blocks.0``, ``gradients/…``,
            ``updates/…``.
        layers: the names of the layers, in the model's order.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> model = mg.GPT(mg.GPTConfig(vocab_size=5, block_size=4, n_layer=1, n_head=1, n_embd=8))
        >>> recorder = Recorder(every=2)
        >>> config = mg.TrainerConfig(max_steps=4, batch_size=2, progress=False)
        >>> _ = mg.Trainer(model, np.arange(99) % 5, None, config, callbacks=[recorder]).fit()
        >>> recorder.layers
        ['token_embedding', 'position_embedding', 'blocks.0', 'final_norm']
        >>> recorder.column("updates", "blocks.0")[0]
        [2, 4]
    """

    def __init__(self, every: int = 10) -> None:
        self.every = checks.integer("every", every, least=1)
        self.records = Records()
        self.layers: list[str] = []
        self._members: dict[str, list[str]] = {}  # the parameters of each layer
        self._gradients: dict[str, float] = {}
        self._before: dict[str, Array] = {}

    def on_gradients(self, trainer: Trainer, norm: float) -> None:
        """Look at the gradients, and keep the weights, of a step that is recorded."""
        if (trainer.step + 1) % self.every:
            return
        named = dict(trainer.model.named_parameters())
        self._members = _by_layer(named)
        self.layers = list(self._members)
        self._before = {name: parameter.data.copy() for name, parameter in named.items()}
        found = {name: p.grad for name, p in named.items() if p.grad is not None}
        clipped = math.sqrt(sum(map(_squares, found.values())))
        scale = norm / clipped if clipped else 1.0  # what clipping took
        self._gradients = {
            f"gradients/{layer}": scale * rms([found[name] for name in names if name in found])
            for layer, names in self._members.items()
            if any(name in found for name in names)
        }

    def on_step(self, trainer: Trainer, record: Record) -> None:
        """Look at what the step has done to the weights."""
        if trainer.step % self.every:
            return
        named, sizes = dict(trainer.model.named_parameters()), dict(self._gradients)
        for layer, names in self._members.items():
            before = rms([self._before[name] for name in names])
            moved = rms([named[name].data - self._before[name] for name in names])
            sizes[f"weights/{layer}"] = before
            if before:
                sizes[f"updates/{layer}"] = moved / before
        self.records.append({"step": trainer.step, **sizes})
        self._before = {}

    def column(self, quantity: str, layer: str) -> tuple[list[float], list[float]]:
        """The steps at which a ``quantity`` of a ``layer`` is known, and its values.

        Raises:
            ValueError: another quantity or layer.
        """
        name = f"{checks.one_of('quantity', quantity, QUANTITIES)}/{layer}"
        checks.one_of("layer", layer, self.layers)
        known = [record for record in self.records if name in record]
        return [record["step"] for record in known], [record[name] for record in known]


def rms(arrays: list[Array]) -> float:
    """√mean(x²) over all numbers of some arrays.

    Example:
        >>> rms([np.array([3.0]), np.array([4.0, 0.0, 0.0])])
        2.5
    """
    return math.sqrt(sum(map(_squares, arrays)) / sum(array.size for array in arrays))


def _squares(array: Array) -> float:
    """Σ x², in float64: those of float16 and float32 may overflow."""
    flat = array.reshape(-1).astype(np.float64)
    return float(flat @ flat)


def _by_layer(names: Iterable[str]) -> dict[str, list[str]]:
    """The names of parameters by layer.

    Example:
        >>> _by_layer(["blocks.3.mlp.up_proj.weight", "blocks.3.mlp.up_proj.bias", "head.weight"])
        {'blocks.3': ['blocks.3.mlp.up_proj.weight', 'blocks.3.mlp.up_proj.bias'],
         'head': ['head.weight']}
    """
    layers: dict[str, list[str]] = {}
    for name in names:
        parts = name.split(".")
        number = next((i for i, part in enumerate(parts) if part.isdigit()), 0)
        layers.setdefault(".".join(parts[: number + 1]), []).append(name)
    return layers
