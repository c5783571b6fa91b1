"""Reverse-mode differentiation: what an operation records, and the walk back over the record.

Every operation computes its value and hands :func:`record` a *vector–Jacobian product* (VJP): a
function that takes the gradient g = ∂L/∂y of the operation's output y and returns, for each input
x, the gradient gᵀ ∂y/∂x. The chain rule is then a walk over the recorded operations in reverse
order, adding up the gradients wherever a tensor was used more than once (Griewank & Walther 2008,
"Evaluating Derivatives", chapter 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.grad_mode import is_grad_enabled

if TYPE_CHECKING:
    from minigpt.tensor import Tensor

Array = np.ndarray[Any, np.dtype[Any]]
VJP = Callable[[Array], tuple["Array | None", ...]]


class Node:
    """One recorded operation: its VJP, and where the gradients that the VJP returns go.

    ``inputs`` holds, for each input of the operation, the Node that computed it, the Tensor itself
    where it is a leaf, or None where it requires no gradient. Values are deliberately not kept
    here: an array stays alive only where a VJP needs it again. ``leaves`` holds what was seen of
    the parameters among the inputs: a derivative is wrong where they have changed since.
    """

    __slots__ = ("dtype", "inputs", "leaves", "shape", "vjp")

    def __init__(self, value: Array, inputs: tuple[Tensor, ...], vjp: VJP) -> None:
        self.shape, self.dtype = value.shape, value.dtype
        self.inputs: tuple[Node | Tensor | None, ...] = tuple(
            [(x.node or x) if x.requires_grad else None for x in inputs]
        )
        self.leaves = [
            (x, x.version, _sample(x.data))
            for x in inputs
            if x.version is not None or (x.requires_grad and x.node is None)
        ]
        self.vjp: VJP | None = vjp  # None once the walk has been here

    @property
    def operation(self) -> str:
        """The name of the function that computed it; "" where the graph was walked."""
        return _function_of(getattr(self.vjp, "__qualname__", ""))

    def free(self) -> None:
        """Let go of the inputs, and of every array that the VJP kept."""
        self.inputs, self.leaves, self.vjp = (), [], None


def is_recorded(inputs: Iterable[Tensor]) -> bool:
    """Whether an operation on ``inputs`` will be recorded: it need not prepare its VJP if not."""
    return is_grad_enabled() and any(x.requires_grad for x in inputs)


def record(
    value: Array,
    inputs: tuple[Tensor, ...],
    vjp: VJP,
    rebuild: Callable[[], Array] | None = None,
) -> Tensor:
    """The Tensor that holds ``value``, the outcome of an operation on ``inputs``.

    Args:
        value: what the operation computed.
        inputs: the tensors it computed it from.
        vjp: takes ∂L/∂value and returns one gradient for each input, of that input's shape and
            dtype (None is allowed where the input requires no gradient). Each returned gradient is
            its argument, a view, or a new array that nobody else holds. It must not write to its
            argument, and is called once at most.
        rebuild: computes ``value`` again, cheaply, from arrays that ``vjp`` keeps anyway; see
            :func:`kept`.

    Example:
        How to write an operation of one's own: the value, and its VJP right below. This one has
        y = x·sin x, dy/dx = sin x + x·cos x.

        >>> import numpy as np, minigpt as mg
        >>> def x_sine(x):
        ...     a = x.data  # an array; the Tensor that holds the result is made by record
        ...
        ...     def vjp(g):  # a tuple, with one gradient for each input
        ...         return (g * (np.sin(a) + a * np.cos(a)),)
        ...
        ...     return record(a * np.sin(a), (x,), vjp)
        >>> x = mg.Tensor(np.array([0.5, 2.0]), requires_grad=True)
        >>> mg.gradcheck(x_sine, x)  # in float64: does finite differencing agree?
        True
        >>> x_sine(x).sum().backward()
        >>> x.grad.round(4)
        array([0.9182, 0.077 ])
    """
    if not isinstance(inputs, (tuple, list)):  # a Tensor would be taken for its rows
        raise TypeError("record: inputs must be a tuple of Tensors: write (x,) for a single x")
    output = inputs[0].like(value)
    if is_recorded(inputs):
        output.requires_grad, output.rebuild = True, rebuild
        output.node = Node(output.data, inputs, vjp)
    return output


def kept(x: Tensor) -> Callable[[], Array]:
    """How a VJP that needs the array of x gets it: a function that returns the array.

    Where the operation that computed x offers to rebuild it, only that offer is kept, so that the
    array need not stay in memory until the walk back; else the array itself.
    """
    if x.rebuild is not None:
        return x.rebuild
    array = x.data
    return lambda: array


def gradients(
    root: Tensor,
    gradient: Array | None = None,
    finished: Callable[[Tensor, Array], object] | None = None,
) -> dict[Tensor, Array]:
    """∂root/∂leaf for every leaf that requires a gradient; the graph is freed on the way.

    Nothing is written to ``.grad``, so several threads can share the leaves.

    Args:
        root: the tensor to differentiate, usually a scalar loss.
        gradient: ∂L/∂root, of root's shape; may be left out (1) where root holds one number.
        finished: is called with a leaf and its gradient as soon as all of it is added up, while the
            walk goes on (the last layers' come first); nothing is returned then.

    Raises:
        RuntimeError: root has no graph, its graph was walked before, or the data of a leaf has
            changed since the graph was recorded.
        ValueError: ``gradient`` is missing for a root of several numbers, or has another shape; or
            the VJP of an operation gave a gradient of another shape than its input has.
        TypeError: ``gradient`` has another dtype than root; or a VJP did not give a tuple of one
            gradient for each input, of the inputs' dtypes.
    """
    origin: Node | Tensor = root.node or root
    pending: dict[Node | Tensor, Array] = {origin: _first_gradient(root, gradient)}
    uses = _count_uses(origin)
    owned: set[Node | Tensor] = set()  # whose pending gradient nobody else holds: may be added into
    leaves: dict[Tensor, Array] = {}
    take = finished or leaves.__setitem__
    ready = [origin]
    while ready:
        node = ready.pop()
        g = np.asarray(pending.pop(node))
        if not isinstance(node, Node):
            take(node, g if node in owned else np.array(g))
            continue
        assert node.vjp is not None
        parts = node.vjp(g)
        inputs, name = node.inputs, getattr(node.vjp, "__qualname__", "")
        node.free()
        if type(parts) is not tuple or len(parts) != len(inputs):
            raise _not_one_gradient_each(name, parts, len(inputs))
        for source, part in zip(inputs, parts, strict=True):
            if source is None:
                continue
            if (
                not isinstance(part, (np.ndarray, np.generic))
                or part.shape != source.shape
                or part.dtype != source.dtype
            ):
                raise _not_the_gradient(name, part, source)
            is_fresh = part is not g and part.base is None
            if source not in pending:
                pending[source] = part
            elif source in owned:
                pending[source] += part
            elif is_fresh:
                part += pending[source]
                pending[source] = part
            else:
                pending[source] = part + pending[source]
                is_fresh = True
            if is_fresh:
                owned.add(source)
            uses[source] -= 1
            if uses[source] == 0:
                ready.append(source)
    return leaves


def _first_gradient(root: Tensor, gradient: Array | None) -> Array:
    if not root.requires_grad:
        raise RuntimeError(
            "backward() on a tensor without a graph: nothing it was computed from requires a "
            "gradient, or it was computed under no_grad(). Make the inputs with requires_grad=True"
        )
    if gradient is None:
        if root.data.size != 1:
            raise ValueError(
                f"backward() on a tensor of shape {root.shape} needs a gradient of that shape: "
                "call it on a scalar (a .sum() or .mean()), or pass gradient="
            )
        return np.ones_like(root.data)
    expected = f"gradient must be {root.dtype} of shape {root.shape}, as the tensor is"
    try:
        gradient = np.asarray(gradient)
    except (ValueError, TypeError):
        raise TypeError(f"{expected}: got {type(gradient).__name__}") from None
    if gradient.shape != root.shape:
        raise ValueError(f"{expected}: got one of shape {gradient.shape}")
    if gradient.dtype != root.dtype:
        raise TypeError(f"{expected}: got {gradient.dtype}; use gradient.astype")
    return gradient


def _count_uses(origin: Node | Tensor) -> dict[Node | Tensor, int]:
    """For everything below ``origin``: by how many recorded operations it is used."""
    uses: dict[Node | Tensor, int] = {origin: 0}
    stack = [origin]
    while stack:
        node = stack.pop()
        if not isinstance(node, Node):
            continue
        if node.vjp is None:
            raise RuntimeError(
                "backward() through a graph that was walked before: the first call frees it. "
                "Compute the tensor again, or add the losses up and call backward() once"
            )
        for leaf, version, sample in node.leaves:
            if leaf.version != version or not _same(_sample(leaf.data), sample):
                raise RuntimeError(
                    f"backward() through a graph whose leaf of shape {leaf.shape} has changed "
                    "since it was recorded: something wrote to its data (an optimizer's step, "
                    "load_state_dict, …), so the gradient would be wrong. Compute the tensor again"
                )
        for source in node.inputs:
            if source is None:
                continue
            if source not in uses:
                uses[source] = 0
                stack.append(source)
            uses[source] += 1
    return uses


SMALL = 64  # numbers
Sample = bytes | tuple[float, float, float]


def _sample(array: Array) -> Sample:
    """What a small array holds, and three numbers of a larger one, which costs next to nothing.

    What changes data within the library says so by :attr:`Tensor.version`. This is for assignments
    from outside, such as ``w.data -= lr * w.grad``; one to parts of a large array, which leaves all
    three numbers as they are, is not noticed.
    """
    if array.size <= SMALL:
        return array.tobytes()
    return array.item(0), array.item(array.size // 2), array.item(-1)


def _same(a: Sample, b: Sample) -> bool:
    if a == b or isinstance(a, bytes) or isinstance(b, bytes):
        return a == b
    return all(x == y or (x != x and y != y) for x, y in zip(a, b, strict=True))  # NaN stays NaN


def _function_of(qualified_name: str) -> str:
    """The function that a VJP was written in."""
    return qualified_name.split(".<locals>")[0]


def _vjp_of(qualified_name: str) -> str:
    """What an error calls a VJP: by the function that it was written in."""
    function = _function_of(qualified_name)
    return f"the VJP of {function}" if function else "a VJP"


def _not_one_gradient_each(name: str, parts: object, n_inputs: int) -> TypeError:
    found = f"{len(parts)} of them" if isinstance(parts, tuple) else type(parts).__name__
    expected = "a tuple of one gradient" + (f" for each of {n_inputs} inputs" * (n_inputs > 1))
    return TypeError(f"{_vjp_of(name)} must return {expected}: got {found}")


def _not_the_gradient(name: str, part: Any, source: Node | Tensor) -> TypeError | ValueError:
    dtype, shape = getattr(part, "dtype", None), getattr(part, "shape", None)
    kind = ValueError if dtype == source.dtype and shape is not None else TypeError
    found = type(part).__name__ if shape is None else f"{dtype} of shape {shape}"
    if hasattr(part, "node"):
        kind, found = TypeError, "a Tensor; compute it with arrays, x.data for x"
    return kind(
        f"{_vjp_of(name)} must return a gradient like its input, {source.dtype} of shape "
        f"{source.shape}: got {found}"
    )
