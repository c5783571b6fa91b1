"""The LSTM over a whole sequence, as one operation, with its derivative through time by hand.

    i, f, o = σ(z_i), σ(z_f), σ(z_o),  g = tanh(z_g),  z = x_t W_ih + h_{t−1} W_hh + b
    c_t = f∘c_{t−1} + i∘g
    h_t = o∘tanh(c_t)

(Hochreiter & Schmidhuber 1997, §4; the forget gate f is Gers, Schmidhuber & Cummins 2000, §3.)
Composed from primitives it is :func:`plain.lstm`. What needs no h_{t−1} is done for many steps at
once, and each step works in place. Arrays are time-major, (T, B, …), so that a step is one piece of
memory; the batch comes first again in what is returned, as a view.
"""

from __future__ import annotations

import itertools

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, is_recorded, record
from minigpt.tensor import Tensor

AT_ONCE = 1 << 19  # numbers of z that are worked on together: enough rows for a quick product
UNPACKED = 10**6  # multiplications of a product whose matrices OpenBLAS reads where they lie
SMALL_PRODUCT = 1 << 18  # multiplications: up to here BLAS takes matrices as they are


def lstm(
    x: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    mask: Array | None = None,
) -> tuple[Tensor, Tensor]:
    """The hidden states h_1 … h_T, and the last cell state c_T; the last hidden state is h[:, −1].

        i, f, o = σ(z_i), σ(z_f), σ(z_o),  g = tanh(z_g),  z = x_t W_ih + h_{t−1} W_hh + b
        c_t = f∘c_{t−1} + i∘g
        h_t = o∘tanh(c_t)                   (Hochreiter & Schmidhuber 1997, §4; Gers et al. 2000)

    The columns of weights and bias belong to the gates i, f, g and o, in this order.

    Args:
        x: what is read.
        weight_ih, weight_hh, bias: W_ih, W_hh and b of all four gates side by side.
        h0, c0: the state before the first step; zeros where None.
        mask: booleans, False for padding: a step that leaves the row's state as it was.

    Shapes:
        x: (B, T, n_in)
        weight_ih: (n_in, 4·H);  weight_hh: (H, 4·H);  bias: (4·H,)
        h0, c0: (B, H)
        mask: (B, T)
        returns: (B, T, H) and (B, H)

    Raises:
        ValueError: shapes that do not fit.
        TypeError: dtypes that differ, or a mask that is not boolean.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> import minigpt.functional as F
        >>> w_ih, w_hh, b = (mg.Tensor(np.zeros(shape)) for shape in ((3, 8), (2, 8), (8,)))
        >>> c0 = mg.Tensor(np.full((1, 2), 4.0))
        >>> h, c = F.lstm(mg.Tensor(np.zeros((1, 5, 3))), w_ih, w_hh, b, c0=c0)
        >>> h.shape, c.numpy()  # every gate is half open: c halves at each of the 5 steps
        ((1, 5, 2), array([[0.125, 0.125]]))
    """
    padding = _check(x, weight_ih, weight_hh, bias, h0, c0, mask)
    n_rows, n_steps, n_in = x.shape
    n = weight_hh.shape[0]
    inputs = tuple(t for t in (x, weight_ih, weight_hh, bias, h0, c0) if t is not None)
    recorded = is_recorded(inputs)
    w_ih, w_hh = weight_ih.data, weight_hh.data
    needs_x, needs_weights = x.requires_grad, weight_ih.requires_grad or weight_hh.requires_grad
    states_given = [s is not None for s in (h0, c0)]

    xs = np.ascontiguousarray(x.data.swapaxes(0, 1))  # (B, T, n_in) -> (T, B, n_in)
    h = np.empty((n_steps + 2, n_rows, n), x.dtype)  # h_0, h_1 … h_T, and after them c_T
    # Gates and cell states of all steps are kept for the derivative, otherwise of a few.
    kept = n_steps if recorded else min(n_steps, _at_once(n_rows, n))
    c = np.empty((n_steps + 1 if recorded else 2, n_rows, n), x.dtype)
    gates = np.empty((kept, n_rows, 4 * n), x.dtype)
    h[0] = 0 if h0 is None else h0.data
    c[0] = 0 if c0 is None else c0.data
    _forward(xs, w_ih, w_hh, bias.data, h, c, gates, padding)

    def vjp(g: Array) -> tuple[Array | None, ...]:
        # The gates are used up: ∂L/∂z is written over them, as the walk comes here once.
        gh0, gc0 = _backward(g, w_hh, c, gates, padding)
        gz = gates.reshape(n_steps * n_rows, 4 * n)
        gx = (gz @ w_ih.T).reshape(xs.shape).swapaxes(0, 1) if needs_x else None
        gw_ih = xs.reshape(-1, n_in).T @ gz if needs_weights else None
        gw_hh = h[:n_steps].reshape(-1, n).T @ gz if needs_weights else None
        g_states = itertools.compress((gh0, gc0), states_given)
        return (gx, gw_ih, gw_hh, gz.sum(axis=0), *g_states)

    states = record(h[1:], inputs, vjp)
    return states[:n_steps].swapaxes(0, 1), states[n_steps]


def _forward(
    xs: Array,
    w_ih: Array,
    w_hh: Array,
    bias: Array,
    h: Array,
    c: Array,
    gates: Array,
    padding: Array | None,
) -> None:
    """Fill in h, c and the gates, step by step, from h[0] and c[0].

    σ(z) = ½ + ½·tanh(z/2), which never overflows, so that one tanh does for all four gates. Where
    there are several steps, the halves of z come from halved weights, and the columns of W_hh are
    cut in blocks, which BLAS multiplies faster: neither changes a bit.
    """
    n_steps, n_rows, n_in = xs.shape
    n = len(w_hh)
    scale = np.repeat(np.array([0.5, 0.5, 1, 0.5], xs.dtype), n)  # i, f, g, o
    shift = 1 - scale
    several = n_steps > 1
    if several:
        w_ih, w_hh, bias = w_ih * scale, w_hh * scale, bias * scale
    width = _block_width(n_rows, n) if several else 4 * n
    w_blocks = np.ascontiguousarray(w_hh.reshape(n, -1, width).swapaxes(0, 1))  # (4·n/w, n, w)
    product = np.empty((len(w_blocks), n_rows, width), xs.dtype)
    scratch = np.empty((n_rows, n), xs.dtype)
    for first, last in _chunks(n_steps, n_rows, n):
        here = gates[first:last] if len(gates) == n_steps else gates[: last - first]
        np.matmul(xs[first:last].reshape(-1, n_in), w_ih, out=here.reshape(-1, 4 * n))
        here += bias
        for t in range(first, last):
            z, h_before, h_now = here[t - first], h[t], h[t + 1]
            c_before, c_now = c[t % len(c)], c[(t + 1) % len(c)]
            np.matmul(h_before, w_blocks, out=product)  # (B, n) @ (4·n/w, n, w) -> (4·n/w, B, w)
            z.reshape(n_rows, -1, width)[...] += product.swapaxes(0, 1)
            if not several:
                z *= scale
            np.tanh(z, out=z)
            z *= scale
            z += shift
            i, f, g, o = z[:, :n], z[:, n : 2 * n], z[:, 2 * n : 3 * n], z[:, 3 * n :]
            np.multiply(f, c_before, out=c_now)
            c_now += np.multiply(i, g, out=scratch)
            np.multiply(o, np.tanh(c_now, out=scratch), out=h_now)
            if padding is not None:
                np.copyto(c_now, c_before, where=padding[t])
                np.copyto(h_now, h_before, where=padding[t])
    h[n_steps + 1] = c[n_steps % len(c)]


def _backward(
    g_states: Array, w_hh: Array, c: Array, gates: Array, padding: Array | None
) -> tuple[Array, Array]:
    """Put ∂L/∂z in the place of the gates, and return ∂L/∂h_0 and ∂L/∂c_0.

    With G_h = ∂L/∂h_t and G_c = ∂L/∂c_t, from the last step to the first:

        G_c ← G_c + G_h∘o∘(1 − tanh²(c_t))
        ∂L/∂z_i = G_c∘g∘i(1 − i),   ∂L/∂z_f = G_c∘c_{t−1}∘f(1 − f),
        ∂L/∂z_g = G_c∘i∘(1 − g²),   ∂L/∂z_o = G_h∘tanh(c_t)∘o(1 − o)
        G_h ← ∂L/∂z W_hhᵀ + what h_{t−1} gets elsewhere,   G_c ← G_c∘f

    The factors of G_h and G_c do not wait for them: they are computed for many steps at once.
    """
    n_steps, n_rows, _ = gates.shape
    n = len(w_hh)
    is_sigmoid = np.repeat(np.array([1, 1, 0, 1], gates.dtype), n)  # i, f, g, o
    is_tanh = 1 - is_sigmoid
    transposed = w_hh.T
    if n_rows * w_hh.size > SMALL_PRODUCT:
        transposed = np.ascontiguousarray(transposed)  # else BLAS would do it again at each step
    gc = g_states[n_steps].copy()
    gh, gh_before, gc_before = (np.zeros((n_rows, n), gates.dtype) for _ in range(3))
    for first, last in reversed(_chunks(n_steps, n_rows, n)):
        here = gates[first:last]
        i, f, g, o = (here[..., k * n : (k + 1) * n] for k in range(4))
        tanh_c = np.tanh(c[first + 1 : last + 1])
        dh_dc = tanh_c * tanh_c
        np.subtract(1, dh_dc, out=dh_dc)
        dh_dc *= o
        slope = is_sigmoid - here  # y(1 − y) of a sigmoid, 1 − y² of tanh
        slope *= here
        slope += is_tanh
        factor = slope.reshape(*slope.shape[:2], 4, n)
        for k, other in enumerate((g, c[first:last], i, tanh_c)):
            factor[:, :, k] *= other
        if padding is not None:  # there h and c pass by the gates
            hidden = padding[first:last, :, 0]
            dh_dc[hidden], factor[hidden], f[hidden] = 0, 0, 1
        for t in range(last - 1, first - 1, -1):
            at = t - first
            gh += g_states[t]
            gc += np.multiply(gh, dh_dc[at], out=gc_before)
            np.multiply(gc, f[at], out=gc_before)
            gz = here[at].reshape(n_rows, 4, n)
            np.multiply(factor[at, :, :3], gc[:, None], out=gz[:, :3])
            np.multiply(factor[at, :, 3], gh, out=gz[:, 3])
            np.matmul(here[at], transposed, out=gh_before)  # (B, 4·n) @ (4·n, n)
            if padding is not None:
                np.add(gh_before, gh, out=gh_before, where=padding[t])
            gh, gh_before, gc, gc_before = gh_before, gh, gc_before, gc
    return gh, gc


def _block_width(n_rows: int, n: int) -> int:
    """How many columns of W_hh to multiply at a time: as many as BLAS takes without packing them.

    A product of some rows with a large matrix begins with copying the matrix in an order that the
    processor likes, at each step again.
    """
    for blocks in range(1, n // 8 + 1):  # of 32 columns at least
        width, rest = divmod(4 * n, blocks)
        if rest == 0 and n_rows * n * width <= UNPACKED:
            return width
    return 4 * n


def _at_once(n_rows: int, n: int) -> int:
    return max(1, AT_ONCE // (n_rows * 4 * n))


def _chunks(n_steps: int, n_rows: int, n: int) -> list[tuple[int, int]]:
    """(first, last) of the steps that are worked on together."""
    length = _at_once(n_rows, n)
    return [(first, min(first + length, n_steps)) for first in range(0, n_steps, length)]


def _check(
    x: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    mask: Array | None,
) -> Array | None:
    """The mask as :func:`_forward` takes it: (T, B, 1), True for padding, or None."""
    named = {"x": x, "weight_ih": weight_ih, "weight_hh": weight_hh, "bias": bias}
    named |= {name: s for name, s in (("h0", h0), ("c0", c0)) if s is not None}
    checks.tensors("lstm", **named)
    if x.ndim != 3 or 0 in x.shape:
        raise checks.wrong_value("lstm: x", "of shape (B, T, n_in), none of them 0", x)
    if weight_hh.ndim != 2 or weight_hh.shape[1] != 4 * weight_hh.shape[0]:
        expected = "of shape (H, 4·H), the four gates side by side"
        raise checks.wrong_value("lstm: weight_hh", expected, weight_hh)
    (n_rows, n_steps, n_in), n = x.shape, weight_hh.shape[0]
    expected_shapes = {
        "weight_ih": (n_in, 4 * n), "bias": (4 * n,), "h0": (n_rows, n), "c0": (n_rows, n),
    }  # fmt: skip
    why = f", as x is {x.shape} and weight_hh {weight_hh.shape}"
    for name, shape in expected_shapes.items():
        if name in named:
            checks.same_shape(f"lstm: {name}", named[name], shape, why)
    checks.same_dtype("lstm", **named)
    if mask is None:
        return None
    mask = checks.booleans("mask", mask)
    checks.same_shape("lstm: mask", mask, (n_rows, n_steps), f", as x is {x.shape}")
    return None if mask.all() else ~mask.T[:, :, None]
