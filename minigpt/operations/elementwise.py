"""Elementwise primitives: the value, and right below it the derivative in the same symbols.

Every binary operation broadcasts as NumPy does, and raises a ValueError that names the shapes where
they do not. ``g`` is the gradient ∂L/∂y that comes from above.
Constants have x's own type: NumPy 1 would make a float64 of a float32 without axes and a plain 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, record
from minigpt.operations.operands import (
    Operand,
    as_tensor,
    broadcast,
    float_type,
    operands,
    unbroadcast,
)

if TYPE_CHECKING:
    from minigpt.tensor import Tensor

# ── of two operands ───────────────────────────────────────────────────────────────────────────


def add(a: Operand, b: Operand) -> Tensor:
    """y = a + b, with ∂y/∂a = ∂y/∂b = 1.

    What was stretched to the other's shape gets the sum of the gradient over those places.

    Example:
        >>> import minigpt as mg, minigpt.operations as op
        >>> x, bias = mg.Tensor([[1.0], [2.0]]), mg.Tensor([10.0], requires_grad=True)
        >>> y = op.add(x, bias)  # or x + bias
        >>> y.sum().backward()
        >>> y.numpy().tolist(), bias.grad  # the bias was used in two places
        ([[11.0], [12.0]], array([2.], dtype=float32))
    """
    a, b = operands(a, b)
    a_shape, b_shape = a.shape, b.shape

    def vjp(g: Array) -> tuple[Array, Array]:
        return unbroadcast(g, a_shape), unbroadcast(g, b_shape)

    return record(broadcast(np.add, a.data, b.data), (a, b), vjp)


def subtract(a: Operand, b: Operand) -> Tensor:
    """y = a − b, with ∂y/∂a = 1 and ∂y/∂b = −1.

    Example:
        >>> import minigpt as mg, minigpt.operations as op
        >>> op.subtract(1, mg.Tensor([0.25, 1.0])).numpy()  # or 1 - x
        array([0.75, 0.  ], dtype=float32)
    """
    a, b = operands(a, b)
    a_shape, b_shape = a.shape, b.shape

    def vjp(g: Array) -> tuple[Array, Array]:
        return unbroadcast(g, a_shape), unbroadcast(-g, b_shape)

    return record(broadcast(np.subtract, a.data, b.data), (a, b), vjp)


def multiply(a: Operand, b: Operand) -> Tensor:
    """y = a·b, with ∂y/∂a = b and ∂y/∂b = a.

    Example:
        >>> import minigpt as mg, minigpt.operations as op
        >>> a, b = (mg.Tensor([n], requires_grad=True) for n in (3.0, 5.0))
        >>> op.multiply(a, b).backward()  # or a * b
        >>> a.grad, b.grad  # each has the other
        (array([5.], dtype=float32), array([3.], dtype=float32))
    """
    a, b = operands(a, b)
    x, y = _if_needed(a, for_gradient_of=b), _if_needed(b, for_gradient_of=a)
    a_shape, b_shape = a.shape, b.shape

    def vjp(g: Array) -> tuple[Array | None, Array | None]:
        return (
            None if y is None else unbroadcast(g * y, a_shape),
            None if x is None else unbroadcast(g * x, b_shape),
        )

    return record(broadcast(np.multiply, a.data, b.data), (a, b), vjp)


def divide(a: Operand, b: Operand) -> Tensor:
    """y = a / b, with ∂y/∂a = 1/b and ∂y/∂b = −a/b².

    Example:
        >>> import minigpt as mg, minigpt.operations as op
        >>> b = mg.Tensor([2.0], requires_grad=True)
        >>> op.divide(1, b).backward()  # or 1 / b
        >>> b.grad  # −1/b²
        array([-0.25], dtype=float32)
    """
    a, b = operands(a, b)
    x, y = _if_needed(a, for_gradient_of=b), b.data
    a_shape, b_shape = a.shape, b.shape

    def vjp(g: Array) -> tuple[Array, Array | None]:
        gx = g / y
        gy = None if x is None else unbroadcast(-gx * x / y, b_shape)
        return unbroadcast(gx, a_shape), gy

    return record(broadcast(np.divide, a.data, y), (a, b), vjp)


def maximum(a: Operand, b: Operand) -> Tensor:
    """y = max(a, b), entry by entry; where both are equal each gets half of the gradient.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> x = mg.Tensor([-1.0, 0.0, 2.0], requires_grad=True)
        >>> y = F.maximum(x, 0)
        >>> y.sum().backward()
        >>> y.numpy(), x.grad
        (array([0., 0., 2.], dtype=float32), array([0. , 0.5, 1. ], dtype=float32))
    """
    a, b = operands(a, b)
    x, y = a.data, b.data

    def vjp(g: Array) -> tuple[Array, Array]:
        gx = g * ((x > y) + 0.5 * (x == y)).astype(g.dtype)
        return unbroadcast(gx, x.shape), unbroadcast(g - gx, y.shape)

    return record(broadcast(np.maximum, x, y), (a, b), vjp)


def _if_needed(x: Tensor, for_gradient_of: Tensor) -> Array | None:
    """The array of x, if the other operand's gradient needs it; else it need not stay alive."""
    return x.data if for_gradient_of.requires_grad else None


def power(x: Tensor, exponent: float) -> Tensor:
    """y = xⁿ for a number n, the ``exponent``, with dy/dx = n·xⁿ⁻¹.

    Raises:
        TypeError: ``exponent`` is not a number.

    Example:
        >>> import minigpt as mg, minigpt.operations as op
        >>> x = mg.Tensor([3.0], requires_grad=True)
        >>> y = op.power(x, 2)  # or x**2
        >>> y.backward()
        >>> y.item(), x.grad
        (9.0, array([6.], dtype=float32))
    """
    n = _check_power(x, exponent)
    a = x.data

    def vjp(g: Array) -> tuple[Array]:
        if n == 0:  # a constant; the formula would give 0·∞ at 0
            return (np.zeros_like(a),)
        return (g * (a.dtype.type(n) * _power(a, n - 1)),)

    return record(_power(a, n), (x,), vjp)


def _power(a: Array, n: float) -> Array:
    """aⁿ; small whole exponents by multiplying, hundreds of times faster than ``**`` in float32."""
    if n in (0, 1, 2, 3):
        y = np.ones_like(a)
        for _ in range(int(n)):
            y = y * a
        return y
    return np.sqrt(a) if n == 0.5 else np.power(a, a.dtype.type(n))


# ── of one operand: y = f(x), and g · f′(x) ───────────────────────────────────────────────────


def negative(x: Tensor) -> Tensor:
    """y = −x, with dy/dx = −1.

    Example:
        >>> import minigpt as mg, minigpt.operations as op
        >>> op.negative(mg.Tensor([1.0, -2.0])).numpy()  # or -x
        array([-1.,  2.], dtype=float32)
    """
    checks.tensors("negative", x=x)
    return record(-x.data, (x,), lambda g: (-g,))


def absolute(x: Tensor) -> Tensor:
    """y = |x|, with dy/dx = sign(x), which is 0 at 0.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> x = mg.Tensor([-3.0, 0.0, 3.0], requires_grad=True)
        >>> F.absolute(x).sum().backward()  # or x.abs()
        >>> x.grad
        array([-1.,  0.,  1.], dtype=float32)
    """
    checks.tensors("absolute", x=x)
    a = x.data
    return record(np.abs(a), (x,), lambda g: (g * np.sign(a),))


def exp(x: Tensor) -> Tensor:
    """y = eˣ for every number x, with dy/dx = y.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> x = mg.Tensor([0.0, 1.0], requires_grad=True)
        >>> y = F.exp(x)
        >>> y.sum().backward()
        >>> y.numpy().round(3), bool((x.grad == y.data).all())  # it is its own derivative
        (array([1.   , 2.718], dtype=float32), True)
    """
    checks.tensors("exp", x=x)
    y = np.exp(x.data)
    return record(y, (x,), lambda g: (g * y,))


def log(x: Tensor) -> Tensor:
    """y = ln x, with dy/dx = 1/x.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> x = mg.Tensor([1.0, 0.01], requires_grad=True)
        >>> F.log(x).sum().backward()
        >>> x.grad.round(3)  # a small probability has a large gradient
        array([  1., 100.], dtype=float32)
    """
    checks.tensors("log", x=x)
    a = x.data
    return record(np.log(a), (x,), lambda g: (g / a,))


def sqrt(x: Tensor) -> Tensor:
    """y = √x, with dy/dx = 1/(2y).

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> x = mg.Tensor([1.0, 4.0], requires_grad=True)
        >>> F.sqrt(x).sum().backward()
        >>> x.grad
        array([0.5 , 0.25], dtype=float32)
    """
    checks.tensors("sqrt", x=x)
    y = np.sqrt(x.data)
    return record(y, (x,), lambda g: (g / (y + y),))


def tanh(x: Tensor) -> Tensor:
    """y = tanh x, with dy/dx = 1 − y².

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> x = mg.Tensor([0.0, 5.0], requires_grad=True)
        >>> F.tanh(x).sum().backward()
        >>> x.grad.round(4)  # saturated at 5: hardly anything comes back
        array([1.e+00, 2.e-04], dtype=float32)
    """
    checks.tensors("tanh", x=x)
    y, one = np.tanh(x.data), x.dtype.type(1)
    return record(y, (x,), lambda g: (g * (one - y * y),))


def sigmoid(x: Tensor) -> Tensor:
    """y = 1/(1 + e⁻ˣ), written as eˣ/(1 + eˣ) below 0, so that no x overflows; dy/dx = y(1 − y).

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> F.sigmoid(mg.Tensor([-1000.0, 0.0, 1000.0])).numpy()
        array([0. , 0.5, 1. ], dtype=float32)
    """
    checks.tensors("sigmoid", x=x)
    one = x.dtype.type(1)
    e = np.exp(-np.abs(x.data))  # at most 1
    y = np.where(x.data >= 0, one, e) / (one + e)
    return record(y, (x,), lambda g: (g * (y * (one - y)),))


def relu(x: Tensor) -> Tensor:
    """y = max(x, 0), with dy/dx = 1 where x > 0 and 0 elsewhere, at 0 too.

    Example:
        >>> import minigpt as mg, minigpt.functional as F
        >>> x = mg.Tensor([-2.0, 0.0, 3.0], requires_grad=True)
        >>> y = F.relu(x)
        >>> y.sum().backward()
        >>> y.numpy(), x.grad
        (array([0., 0., 3.], dtype=float32), array([0., 0., 1.], dtype=float32))
    """
    checks.tensors("relu", x=x)
    positive = x.data > 0
    return record(np.where(positive, x.data, x.data.dtype.type(0)), (x,), lambda g: (g * positive,))


def astype(x: Tensor, dtype: np.dtype[np.floating] | type) -> Tensor:
    """y = x as float32 or float64; its gradient comes back in x's own type.

    Args:
        x: a Tensor.
        dtype: ``np.float32`` or ``np.float64``.

    Raises:
        TypeError: ``dtype`` is neither float32 nor float64.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> x = mg.Tensor([1.0], requires_grad=True)
        >>> y = x.astype(np.float64)
        >>> y.backward()
        >>> y.dtype, x.grad.dtype
        (dtype('float64'), dtype('float32'))
    """
    after = _check_astype(x, dtype)
    before = x.data.dtype
    return record(x.data.astype(after), (x,), lambda g: (g.astype(before),))


# ── choosing between operands ─────────────────────────────────────────────────────────────────


def where(condition: Array, a: Operand, b: Operand) -> Tensor:
    """y = a where ``condition`` holds and b elsewhere; each gets the gradient of its own places.

    Raises:
        TypeError: ``condition`` is not an array of booleans.
        ValueError: the three shapes do not broadcast.

    Example:
        >>> import numpy as np, minigpt as mg, minigpt.functional as F
        >>> x = mg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
        >>> y = F.where(x > 1.5, x, 0)
        >>> y.sum().backward()
        >>> y.numpy(), x.grad
        (array([0., 2., 3.], dtype=float32), array([0., 1., 1.], dtype=float32))
    """
    chosen = checks.booleans("condition", condition)
    a, b = operands(a, b)
    a_shape, b_shape = a.shape, b.shape

    def vjp(g: Array) -> tuple[Array, Array]:
        zero = g.dtype.type(0)
        return (
            unbroadcast(np.where(chosen, g, zero), a_shape),
            unbroadcast(np.where(chosen, zero, g), b_shape),
        )

    return record(broadcast(np.where, chosen, a.data, b.data), (a, b), vjp)


def masked_fill(x: Tensor, mask: Array, value: float) -> Tensor:
    """y = ``value`` where ``mask`` is True, else x; no gradient passes through these places.

    Shapes:
        x: any, the mask: booleans of a shape that broadcasts with it
        returns: what both broadcast to, which is x's own shape unless the mask is larger

    Raises:
        TypeError: ``mask`` is not an array of booleans, or ``value`` one of another float type.
        ValueError: the shapes do not broadcast.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> mg.Tensor([1.0, 2.0]).masked_fill(np.array([True, False]), -np.inf).numpy()
        array([-inf,   2.], dtype=float32)
    """
    mask = _check_masked_fill(x, mask)
    return where(mask, as_tensor(value, x.data.dtype, "value"), x)


# ── checks ────────────────────────────────────────────────────────────────────────────────────


def _check_power(x: Tensor, exponent: object) -> float:
    checks.tensors("power", x=x)
    return checks.number("exponent", exponent)


def _check_astype(x: Tensor, dtype: Any) -> np.dtype[Any]:
    checks.tensors("astype", x=x)
    return float_type(dtype)


def _check_masked_fill(x: Tensor, mask: Array) -> Array:
    checks.tensors("masked_fill", x=x)
    return checks.booleans("mask", mask)
