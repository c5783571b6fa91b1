"""A piece of each parameter for an optimizer that shares the work, and the memory, with others."""

from __future__ import annotations

from minigpt.autograd import Array
from minigpt.optim.optimizer import Slot
from minigpt.optim.parameters import ParameterLike


class Piece:
    """Some of a parameter's numbers, in their order: all that an optimizer knows of it.

    Args:
        whole: the parameter, whose data is contiguous.
        numbers: which of its numbers, of all in one row.

    Example:
        >>> import numpy as np
        >>> from minigpt.nn import Parameter
        >>> w = Parameter(np.zeros((2, 3)))
        >>> Piece(w, slice(2, 5)).data[:] = 1  # a view
        >>> w.data
        array([[0., 0., 1.],
               [1., 1., 0.]])
    """

    def __init__(self, whole: ParameterLike, numbers: slice) -> None:
        self.whole, self.numbers = whole, numbers
        self.grad: Array | None = None

    @property
    def data(self) -> Array:
        """The numbers, a view."""
        return self.whole.data.reshape(-1)[self.numbers]

    @property
    def version(self) -> int | None:
        """The parameter's: whoever changes a piece has changed it."""
        return self.whole.version

    @version.setter
    def version(self, value: int | None) -> None:
        self.whole.version = value


def keep_piece(slot: Slot, numbers: slice) -> None:
    """Of a slot of an optimizer, keep what belongs to some of the parameter's numbers.

    All of them leave the slot as it is. A slot that keeps none still counts its updates.
    """
    size = slot.parameter.data.size
    if numbers == slice(0, size):
        return
    slot.parameter = Piece(slot.parameter, numbers)
    slot.arrays = {name: a.reshape(-1)[numbers].copy() for name, a in slot.arrays.items()}
