"""The Tensor: an array, and how it was computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np

from minigpt import checks, numpy_functions
from minigpt.autograd import Array, Node, gradients
from minigpt.operations import elementwise, indexing, reductions, shaping
from minigpt.operations.matmul import matmul
from minigpt.operations.operands import FLOATS, Operand


def _with_the_old_name(sign: str, operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``x += y``, which makes another tensor and gives it the name of x: not where x learns."""

    def assigned(x: Tensor, y: Operand) -> Tensor:
        if x.requires_grad and x.node is None:
            raise RuntimeError(
                f"x {sign}= … would make a new tensor, and what learns is the old one: change its "
                f"numbers by x.data {sign}= …, or write x = x {sign} … where a new one is meant"
            )
        return operation(x, y)

    return assigned


class Tensor:
    """A NumPy array of float32 or float64 that remembers how it was computed.

    Args:
        array: a float32 or float64 array, which the tensor shares without copying; or a number or
            nested lists of numbers, which become float32.
        requires_grad: whether :meth:`backward` of what is computed from it should reach it.

    Attributes:
        data: the array.
        grad: ∂L/∂self after ``L.backward()``, added up over calls; None before. Only leaves have
            one: tensors that no operation computed.
        version: how often the data of a parameter was changed in place. What changes it counts
            on (:meth:`assign` does), so that ``backward`` through a graph from before the change is
            an error, not a wrong gradient. ``x.data[...] = value`` is noticed too, unless it leaves
            most of a large array as it is. None for constants and results, which stay.

    Types never change silently: float32 and float64 do not mix, arrays of other types are refused;
    numbers, and arrays of integers or booleans in arithmetic, take the dtype of the tensor they
    meet. Comparisons give plain NumPy arrays of booleans.

    Raises:
        TypeError: ``array`` is not made of numbers, or is an array of another type.

    Example:
        >>> import minigpt as mg
        >>> x = mg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
        >>> y = (x * x).sum()
        >>> y.backward()
        >>> y.item(), x.grad
        (14.0, array([2., 4., 6.], dtype=float32))
    """

    __slots__ = ("__weakref__", "data", "grad", "node", "rebuild", "requires_grad", "version")

    def __init__(self, array: Any, requires_grad: bool = False) -> None:
        self.data: Array = floats(array)
        self.grad: Array | None = None
        self.requires_grad: bool = requires_grad is not False and _checked_flag(requires_grad)
        self.node: Node | None = None  # the operation that computed it; None for a leaf
        self.rebuild: Callable[[], Array] | None = None  # computes the array again: autograd.kept
        self.version: int | None = 0 if self.requires_grad else None

    # ── the array ─────────────────────────────────────────────────────────────────────────────

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.data.size

    @property
    def T(self) -> Tensor:
        """All axes in reverse order: a matrix transposed."""
        return shaping.transpose(self)

    def item(self) -> float:
        """The one number that the tensor holds, as a Python float.

        Raises:
            ValueError: it holds several, or none.
        """
        if self.data.size != 1:
            raise checks.wrong_value("item(): the tensor", "of one number", self)
        return float(self.data.item())

    def numpy(self) -> Array:
        """The array itself, not a copy."""
        return self.data

    def assign(self, value: Array | float) -> None:
        """Write other numbers into the array.

        As ``x.data[...] = value``, and counted: ``backward`` through a graph that was recorded
        before is an error then, not a wrong gradient.

        Raises:
            TypeError: ``value`` is not made of numbers.
            ValueError: it does not broadcast to the tensor's shape.
        """
        self.data[...] = _assignable(value, self.shape)
        self.version = (self.version or 0) + 1

    def detach(self) -> Tensor:
        """The same array without its history: gradients do not flow through."""
        return Tensor(self.data)

    def like(self, value: Array) -> Tensor:
        """A tensor of another array, without history: what operations put their results in."""
        made = Tensor.__new__(Tensor)
        made.data = np.asarray(value)  # NumPy gives a scalar, not an array, where no axis is left
        made.grad, made.requires_grad, made.node, made.rebuild = None, False, None, None
        made.version = None
        return made

    __array_ufunc__ = numpy_functions.array_ufunc
    __array_function__ = numpy_functions.array_function

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.requires_grad:
            raise TypeError(
                "NumPy would lose this tensor's gradient: use its own methods and "
                "minigpt.functional, or pass x.detach()"
            )
        return np.array(self.data, dtype=dtype) if copy else np.asarray(self.data, dtype=dtype)

    def __len__(self) -> int:
        if self.data.ndim == 0:
            raise TypeError("len() of a tensor that holds a single number")
        return self.data.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        return self.item()

    def __format__(self, form: str) -> str:
        return format(self.item(), form) if form else str(self)

    def __repr__(self) -> str:
        numbers = np.array2string(self.data, separator=", ", prefix="Tensor(")
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        return f"Tensor({numbers}{dtype}{', requires_grad=True' if self.requires_grad else ''})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the numbers or a heat map, and the gradient where it has one."""
        from minigpt.drawing.array_html import array_html, panel

        origin = f", computed by {self.node.operation}" if self.node else ""
        learns = ", requires a gradient" if self.requires_grad and not self.node else ""
        title = f"{type(self).__name__} {self.shape}, {self.dtype}{learns}{origin}"
        shown = [array_html(title, self.data)]
        shown += [array_html("its gradient", self.grad)] if self.grad is not None else []
        return panel(*shown)

    # ── the gradient ──────────────────────────────────────────────────────────────────────────

    def backward(self, gradient: Array | None = None) -> None:
        """Add ∂self/∂leaf to ``leaf.grad`` of every leaf below that requires a gradient.

        The graph is freed on the way, so it can be walked once.

        Args:
            gradient: ∂L/∂self, where self is not a scalar loss but holds several numbers.

        Raises:
            RuntimeError: there is no graph, it was walked before, or the data of a leaf has changed
                since it was recorded.
            ValueError: self holds several numbers and ``gradient`` is missing or misshapen.
        """
        for leaf, g in gradients(self, gradient).items():
            if leaf.grad is None:
                leaf.grad = g
            else:
                leaf.grad += g

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    # ── operators and methods: each is the function of that name in minigpt.operations ────────

    __add__ = __radd__ = elementwise.add
    __sub__ = elementwise.subtract
    __mul__ = __rmul__ = elementwise.multiply
    __truediv__ = elementwise.divide
    __iadd__ = _with_the_old_name("+", elementwise.add)
    __isub__ = _with_the_old_name("-", elementwise.subtract)
    __imul__ = _with_the_old_name("*", elementwise.multiply)
    __itruediv__ = _with_the_old_name("/", elementwise.divide)
    __neg__ = elementwise.negative
    __abs__ = elementwise.absolute
    __pow__ = elementwise.power
    __matmul__ = matmul
    __getitem__ = indexing.getitem

    def __rsub__(self, other: Operand) -> Tensor:
        return elementwise.subtract(other, self)

    def __rtruediv__(self, other: Operand) -> Tensor:
        return elementwise.divide(other, self)

    def __rmatmul__(self, other: Operand) -> Tensor:
        return matmul(other, self)

    __hash__ = object.__hash__  # a tensor is a key by its identity, whatever it holds

    def __eq__(self, other: Operand) -> Array:  # type: ignore[override]
        return cast(Array, self.data == _array_of(other))

    def __ne__(self, other: Operand) -> Array:  # type: ignore[override]
        return cast(Array, self.data != _array_of(other))

    def __lt__(self, other: Operand) -> Array:
        return cast(Array, self.data < _array_of(other))

    def __le__(self, other: Operand) -> Array:
        return cast(Array, self.data <= _array_of(other))

    def __gt__(self, other: Operand) -> Array:
        return cast(Array, self.data > _array_of(other))

    def __ge__(self, other: Operand) -> Array:
        return cast(Array, self.data >= _array_of(other))

    sum = reductions.sum
    mean = reductions.mean
    var = reductions.var
    max = reductions.max
    exp = elementwise.exp
    log = elementwise.log
    sqrt = elementwise.sqrt
    tanh = elementwise.tanh
    sigmoid = elementwise.sigmoid
    relu = elementwise.relu
    abs = elementwise.absolute
    astype = elementwise.astype
    reshape = shaping.reshape
    transpose = shaping.transpose
    swapaxes = shaping.swapaxes
    broadcast_to = shaping.broadcast_to
    split = shaping.split
    masked_fill = elementwise.masked_fill


def floats(array: Any, name: str = "array") -> Array:
    """``array`` as float32 or float64, by the rule that Tensor's docstring gives."""
    if isinstance(array, Tensor):
        mend = "use it as it is, or its values without history: x.detach()"
        raise checks.wrong_type(name, "an array, not a Tensor", array, mend)
    if isinstance(array, (np.ndarray, np.generic)):
        if array.dtype not in FLOATS:
            mend = "convert it first, for example array.astype(np.float32)"
            raise checks.wrong_type(name, "float32 or float64", np.asarray(array), mend)
        return checks.regular(name, array, "an array of floats")
    values = checks.regular(name, array, "an array of numbers")
    if values.dtype.kind not in "biuf":
        raise checks.wrong_type(name, "made of numbers", array)
    return values.astype(np.float32)


def _checked_flag(requires_grad: object) -> bool:
    return checks.flag("requires_grad", requires_grad)


def _assignable(value: Any, shape: tuple[int, ...]) -> Array:
    """``value`` as numbers that an array of this shape can be filled with."""
    array = checks.regular("value", value, "a number or an array of numbers")
    if array.dtype.kind not in "biuf":
        raise checks.wrong_type("value", "a number or an array of numbers", value)
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise checks.wrong_value("value", f"of a shape that broadcasts to {shape}", array) from None


def _array_of(value: Operand) -> Any:
    return value.data if isinstance(value, Tensor) else value
