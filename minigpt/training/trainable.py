"""What the Trainer asks of a model, and the parts it makes up where a model leaves them out."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.blas_threads import MatrixProducts
from minigpt.grad_mode import evaluation
from minigpt.nn import Module
from minigpt.tensor import Tensor
from minigpt.training.config import TrainerConfig

Batch = tuple[Array, ...]
_NEEDED = (
    "parameters", "named_parameters", "state_dict", "load_state_dict", "train", "eval", "loss",
)  # fmt: skip


class Trainable(Protocol):
    """A model that can be trained: parameters, and a loss of a batch.

    It may also have ``loss_weight(*batch) -> float``, how many terms the mean in ``loss`` runs over
    (the rows of the batch where it is left out), and ``metrics(*batch) -> dict`` with the loss and
    whatever else is worth knowing. Where ``loss`` takes an argument ``rng``, it is given a
    generator to draw dropout from.

    A recurrent model whose ``new_state(batch_size)`` gives an array, its state before a text, can
    be trained with ``TrainerConfig(carry_state=True)``: a batch then ends with that array, which
    ``loss`` and ``metrics`` overwrite with the state after the batch.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> import minigpt.functional as F
        >>> class Bigrams(mg.nn.Module):  # a table: of each token, the logits of the next
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.table = mg.nn.Embedding(5, 5, seed=0)
        ...
        ...     def loss(self, ids, targets):
        ...         return F.cross_entropy(self.table(ids), targets)
        >>> config = mg.TrainerConfig(
        ...     60, batch_size=4, block_size=8, learning_rate=0.1, progress=False
        ... )
        >>> history = mg.Trainer(Bigrams(), np.arange(99) % 5, None, config).fit()
        >>> history.column("loss")[0] > 1.5, history.column("loss")[-1] < 0.5
        (True, True)
    """

    def parameters(self) -> list[Any]:
        """Every parameter, once."""

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """Every parameter with its name."""

    def state_dict(self) -> dict[str, Array]:
        """The values of the parameters, copied."""

    def load_state_dict(self, state_dict: Mapping[str, Array], /) -> Any:
        """Take over what state_dict() gave."""

    def train(self) -> Any:
        """Switch dropout and its like on."""

    def eval(self) -> Any:
        """Switch them off."""

    def loss(self, *batch: Any, **options: Any) -> Tensor:
        """The mean loss of a batch, a scalar."""


class Objective:
    """The loss of a model's batches, with the parts that the model leaves out.

    Args:
        model: a :class:`Trainable`.

    Attributes:
        products: how large its matrix products are.
    """

    def __init__(self, model: Trainable) -> None:
        self.model = model
        self._draws = "rng" in inspect.signature(model.loss).parameters
        self.products = MatrixProducts(model)

    def loss(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        """L, with the generator where ``model.loss`` takes one."""
        options = {"rng": rng} if self._draws else {}
        return _scalar(self.model, self.model.loss(*batch, **options))

    def weight(self, batch: Batch) -> float:
        """How many terms the mean in the loss runs over: w in L = Σ wᵢ Lᵢ / Σ wᵢ."""
        own = getattr(self.model, "loss_weight", None)
        return float(own(*batch)) if own is not None else float(len(batch[0]))

    @evaluation()
    def metrics(self, batch: Batch) -> dict[str, float]:
        """The loss, and what else the model measures, with dropout off."""
        own = getattr(self.model, "metrics", None)
        if own is None:
            return {"loss": _scalar(self.model, self.model.loss(*batch)).item()}
        return {name: float(value) for name, value in own(*batch).items()}


@contextlib.contextmanager
def evaluating(model: Trainable) -> Iterator[None]:
    """A model that is not a Module is switched to evaluation inside, and back afterwards.

    A Module needs no switch: it looks at the mode of the thread, ``minigpt.grad_mode.evaluation``.
    """
    if isinstance(model, Module):
        yield
        return
    was_training = getattr(model, "training", True)
    model.eval()
    try:
        yield
    finally:
        if was_training:
            model.train()


def rows_of(batch: Batch) -> int:
    """How many rows every array of a batch has."""
    return len(batch[0])


def check_carries_state(model: Any) -> None:
    """Refuse a model that remembers nothing from one batch to the next.

    Raises:
        ValueError: it has no ``new_state``.
    """
    if not callable(getattr(model, "new_state", None)):
        raise ValueError(
            f"carry_state=True needs a model with a state, such as an LSTMLanguageModel: "
            f"{type(model).__name__} has no new_state(batch_size); leave carry_state out"
        )


def _scalar(model: Any, loss: Any) -> Tensor:
    """What ``model.loss`` gave, which is one number that knows how it was computed.

    Raises:
        TypeError, ValueError: it is something else.
    """
    if isinstance(loss, Tensor) and loss.data.size == 1:
        return loss
    name, expected = f"what {type(model).__name__}.loss returns", "a Tensor of one number"
    if isinstance(loss, Tensor):
        raise checks.wrong_value(name, expected, loss, "take the mean: loss.mean()")
    mend = "compute it with Tensors, such as F.cross_entropy(logits, targets)"
    mend = "is the return missing?" if loss is None else mend
    raise checks.wrong_type(name, expected, loss, mend)


def checked_parts(
    model: Any, train_tokens: Any, val_tokens: Any, config: Any, tokenizer: Any
) -> TrainerConfig:
    """The configuration, unless the model cannot be trained, or parts contradict each other.

    Raises:
        TypeError: a part is not what it should be.
        ValueError: parts do not fit each other.
    """
    checked = _checked_config(config, val_tokens)
    check_trainable(model)
    if config.carry_state:
        check_carries_state(model)
        for name, tokens in (("train_tokens", train_tokens), ("val_tokens", val_tokens)):
            if hasattr(tokens, "next_batch"):
                raise ValueError(
                    f"carry_state=True makes batches of its own: {name} must be a stream of tokens"
                )
    if config.early_stopping_patience is not None and val_tokens is None:
        raise ValueError("early_stopping_patience needs val_tokens: give a validation text")
    if tokenizer is not None:
        _check_tokenizer(tokenizer, model)
    return checked


def _checked_config(config: Any, val_tokens: Any) -> TrainerConfig:
    if isinstance(val_tokens, TrainerConfig):
        mend = "name it: Trainer(model, train_tokens, config=…)"
        raise checks.wrong_type("val_tokens", "token ids, batches or None", val_tokens, mend)
    example = "Trainer(model, train_tokens, val_tokens, TrainerConfig(max_steps=1000))"
    return checks.instance("config", config, TrainerConfig, f"say how to train: {example}")


def _check_tokenizer(tokenizer: Any, model: Any) -> None:
    if isinstance(tokenizer, type) or not callable(getattr(tokenizer, "to_dict", None)):
        raise checks.wrong_type("tokenizer", "one of minigpt's", tokenizer)
    known = getattr(getattr(model, "config", None), "vocab_size", None)
    if known is not None and tokenizer.vocab_size > known:
        raise ValueError(
            f"tokenizer has {tokenizer.vocab_size} tokens, the model knows {known}: make the model "
            f"with vocab_size={tokenizer.vocab_size}"
        )


def check_trainable(model: Any) -> None:
    """Refuse what is not a :class:`Trainable`.

    Raises:
        TypeError: names what it lacks.
    """
    missing = [name for name in _NEEDED if not callable(getattr(model, name, None))]
    if isinstance(model, type) or missing:
        mend = f"it lacks {', '.join(missing)}" if missing else "make an object of it"
        expected = "an object that can be trained (see minigpt.training.Trainable)"
        raise checks.wrong_type("model", expected, model, mend)
