"""Muon: the momentum of a hidden matrix, made orthogonal; AdamW for everything else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.blas_threads import SMALL_PRODUCT, one_blas_thread
from minigpt.chunks import in_chunks
from minigpt.optim.adam import AdamW, check_betas
from minigpt.optim.optimizer import Slot, zeros_for
from minigpt.optim.parameters import GROUP_KEYS, ParameterLike
from minigpt.optim.plain import NEWTON_SCHULZ, update_scale

SCALES = {
    "original": "√max(1, n_out/n_in): Jordan et al. 2024",
    "match_rms_adamw": "0.2 √max(n_in, n_out): Liu et al. 2025",
}
AT_ONCE = 5  # steps of Newton–Schulz


class Muon(AdamW):
    """Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks").

    For each hidden matrix W (n_in, n_out), with gradient G:

        M ← μ M + (1 − μ) G                      momentum, 0 at first
        N = (1 − μ) G + μ M                      Nesterov's; or N = M
        X = N / max(‖N‖, ε)                      its singular values are at most 1 now
        X ← (a I + b X Xᵀ + c (X Xᵀ)²) X         five times: now all of them are about 1
        W ← W − η λ W − η s X

    A gradient is nearly of low rank: a few directions have most of its length, and Adam's steps
    have them too. Made orthogonal (N = U S Vᵀ becomes about U Vᵀ), the step is as long in all
    directions, so that the rare ones are learned as well. The product with the odd polynomial
    p(σ) = a σ + b σ³ + c σ⁵ changes each singular value σ to p(σ) and leaves U and V as they are
    (Newton–Schulz: Bernstein & Newhouse 2024); a, b and c are steep at 0, and bring what is not
    tiny to between 0.7 and 1.2.

    The scale s has two descriptions. "original" is √max(1, n_out/n_in), of Jordan et al. and the
    default here and of ``torch.optim.Muon``; usual is η = 0.02. "match_rms_adamw" is
    0.2 √max(n_in, n_out) (Liu et al. 2025, "Muon is Scalable for LLM Training", §2.2): a number of
    W then moves about as far as under AdamW, whose η and λ serve for both.

    Hidden matrices are all but those of the embeddings and of the head. These, gains and biases
    take the step of :class:`AdamW`, from the same optimizer. Embeddings are known by their module,
    and others by their names: a matrix is not hidden where a part of its name has "embed" in it or
    ends with "head", as ``head.weight``. A group that says ``"hidden": True`` or ``False`` decides
    for its own parameters.

    Some matrices hold several side by side, as those of Q, K and V: a parameter's ``parts`` says
    how wide each is, and each is made orthogonal by itself. As the paper writes it, it is
    :func:`minigpt.optim.plain.muon`.

    Args:
        params: (name, Parameter) pairs, or groups: see :class:`Optimizer`.
        lr: η of the hidden matrices.
        weight_decay: λ, of AdamW's matrices too.
        momentum: μ in [0, 1).
        nesterov: whether to look ahead.
        ns_coefficients: (a, b, c).
        eps: ε.
        ns_steps: how often X is multiplied.
        adjust_lr_fn: the scale s, "original" or "match_rms_adamw".
        adamw_lr: AdamW's η at the present ``lr``; when ``lr`` changes, it changes by the same
            factor. None: ``lr`` itself with "match_rms_adamw", otherwise 3e-4.
        adamw_betas, adamw_eps: AdamW's.

    Raises:
        ValueError: a value out of its range, a matrix without a name, or no hidden matrix at all.
        TypeError: something that is not a parameter or a number.

    Example:
        >>> from minigpt.nn import Parameter
        >>> p = Parameter(np.zeros((2, 2)))
        >>> p.grad = np.array([[3.0, 0.0], [0.0, 0.1]])  # the second direction is rare …
        >>> Muon([("up_proj.weight", p)], lr=0.1).step()
        >>> p.data.diagonal().round(2)  # … and is learned as fast
        array([-0.07, -0.11])
    """

    _group_keys = (*GROUP_KEYS, "hidden")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.02,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = NEWTON_SCHULZ,
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str = "original",
        adamw_lr: float | None = None,
        adamw_betas: tuple[float, float] = (0.9, 0.95),
        adamw_eps: float = 1e-8,
    ) -> None:
        self.momentum = checks.number("momentum", momentum, least=0, below=1)
        self.nesterov = checks.flag("nesterov", nesterov)
        self.ns_coefficients = _check_coefficients(ns_coefficients)
        self.ns_eps = checks.number("eps", eps, above=0)
        self.ns_steps = checks.integer("ns_steps", ns_steps, least=1, most=99)
        self.adjust_lr_fn = checks.one_of("adjust_lr_fn", adjust_lr_fn, SCALES)
        self._adamw_scale = _check_rates(lr, adamw_lr, adjust_lr_fn)
        adamw_betas = check_betas(adamw_betas, "adamw_betas")
        adamw_eps = checks.number("adamw_eps", adamw_eps, above=0)
        super().__init__(params, lr, adamw_betas, adamw_eps, weight_decay)
        _check_some_are_hidden(self.slots)

    def _slot(self, name: str, parameter: ParameterLike, group: Mapping[str, Any]) -> Slot:
        slot = super()._slot(name, parameter, group)
        if _is_hidden(name, parameter, group):
            slot.arrays = zeros_for(parameter, "momentum")
        elif "lr" not in group:
            slot.lr_scale *= self._adamw_scale
        return slot

    def _update(self, slot: Slot, theta: Array, gradient: Array, lr: float) -> None:
        if "momentum" not in slot.arrays:
            super()._update(slot, theta, gradient, lr)
            return
        shape = slot.parameter.data.shape
        direction = self._look_ahead(slot.arrays["momentum"].reshape(-1), gradient)
        theta *= 1 - lr * slot.weight_decay  # W − η λ W
        for columns in _parts(slot.parameter):
            w = theta.reshape(shape)[:, columns]
            x = orthogonalised(
                direction.reshape(shape)[:, columns],
                self.ns_coefficients,
                self.ns_steps,
                self.ns_eps,
            )
            x *= lr * update_scale(w.shape, self.adjust_lr_fn)
            w -= x  # W − η s X

    def _look_ahead(self, momentum: Array, gradient: Array) -> Array:
        """N, and M as it is after the step."""
        mu = self.momentum
        ahead = np.empty_like(gradient) if self.nesterov else momentum
        scratch = self._scratch(gradient.dtype, 1)
        for g, m, n, s in in_chunks(gradient, momentum, ahead, scratch=scratch):
            np.multiply(g, 1 - mu, out=s)
            m *= mu
            m += s  # μ M + (1 − μ) G
            if self.nesterov:
                np.multiply(m, mu, out=n)
                n += s  # (1 − μ) G + μ M
        return ahead

    def is_divisible(self, slot: Slot) -> bool:
        return "momentum" not in slot.arrays

    def _settings(self) -> dict[str, Any]:
        return {
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "adjust_lr_fn": self.adjust_lr_fn,
            "hidden": sum("momentum" in slot.arrays for slot in self.slots),
            "adamw_lr": self._lr * self._adamw_scale,
        }


def orthogonalised(
    n: Array, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Array:
    """N = U S Vᵀ becomes about U Vᵀ: the fast form of ``plain.newton_schulz``.

    Where one side is much longer, several steps are taken at once. X Xᵀ is a small matrix, and all
    that a step needs to know of X: with P = a I + b X Xᵀ + c (X Xᵀ)² it becomes P X Xᵀ P, and only
    the product of all P is multiplied with X. A singular value is small there as its square, below
    the rounding of the large ones; what that does to it grows by a² a step, and after AT_ONCE steps
    X Xᵀ is computed anew.

    Matrices are taken one at a time: several of one shape in a stack are slower, because together
    they do not fit the cache.

    Shapes:
        n: (n_in, n_out) -> the same, a new array
    """
    is_tall = n.shape[0] > n.shape[1]
    length = max(float(np.linalg.norm(n.astype(np.float64))), eps)
    x = (n.T if is_tall else n) / n.dtype.type(length)  # (r, k), r ≤ k
    r, k = x.shape
    at_once = AT_ONCE if k > 2 * r else 1
    with one_blas_thread(r * x.size <= SMALL_PRODUCT):
        for done in range(0, steps, at_once):
            gram = x @ x.T  # (r, k) @ (k, r) -> (r, r)
            x = _factor(gram, coefficients, min(at_once, steps - done)) @ x  # (r, r) @ (r, k)
    return x.T if is_tall else x


def _factor(gram: Array, coefficients: tuple[float, float, float], steps: int) -> Array:
    """What so many steps multiply X with, from X Xᵀ: all are polynomials of it, and commute.

    Shapes:
        gram: (r, r) -> (r, r)
    """
    a, b, c = coefficients
    factor: Array | None = None
    for step in range(1, steps + 1):
        p = gram @ gram.T  # a matrix and its transpose: BLAS computes one half of the product
        p *= c
        p += b * gram
        p.reshape(-1)[:: len(p) + 1] += a  # a I + b X Xᵀ + c (X Xᵀ)²
        factor = p if factor is None else p @ factor
        if step < steps:
            gram = p @ gram @ p
    assert factor is not None
    return factor


def _is_hidden(name: str, parameter: ParameterLike, group: Mapping[str, Any]) -> bool:
    is_matrix = parameter.data.ndim == 2
    if "hidden" in group:
        hidden = checks.flag("hidden", group["hidden"])
        if hidden and not is_matrix:
            mend = 'a group with "hidden": True holds matrices only'
            expected = "an array of two dimensions"
            raise checks.wrong_value(f"the parameter {name!r}", expected, parameter.data, mend)
        return hidden
    if is_matrix and name.isdecimal():  # what parameters without names are called
        raise ValueError(
            f"params has a matrix without a name, number {name}, so that nothing tells whether it "
            'is hidden: give model.named_parameters(), or groups with "hidden": True or False'
        )
    outside = any("embed" in part or part.endswith("head") for part in name.split("."))
    return is_matrix and not (outside or getattr(parameter, "is_embedding", False))


def _parts(parameter: ParameterLike) -> Iterator[slice]:
    """The columns of each matrix that stands side by side with others in the parameter."""
    end = 0
    for width in getattr(parameter, "parts", ()) or parameter.data.shape[1:]:
        yield slice(end, end + width)
        end += width


# ── checks ────────────────────────────────────────────────────────────────────────────────────


def _check_coefficients(coefficients: object) -> tuple[float, float, float]:
    if not isinstance(coefficients, (tuple, list)) or len(coefficients) != 3:
        mend = f"the usual is {NEWTON_SCHULZ}"
        raise checks.wrong_type("ns_coefficients", "three numbers", coefficients, mend)
    a, b, c = (checks.number(f"ns_coefficients[{i}]", x) for i, x in enumerate(coefficients))
    return a, b, c


def _check_rates(lr: float, adamw_lr: float | None, adjust_lr_fn: str) -> float:
    """AdamW's learning rate as a multiple of ``lr``."""
    if adamw_lr is None and adjust_lr_fn == "match_rms_adamw":
        return 1.0
    lr = checks.number("lr", lr, above=0, mend="AdamW's learning rate is a multiple of it")
    rate = 3e-4 if adamw_lr is None else checks.number("adamw_lr", adamw_lr, least=0, also="None")
    return rate / lr


def _check_some_are_hidden(slots: list[Slot]) -> None:
    if not any("momentum" in slot.arrays for slot in slots):
        names = [slot.name for slot in slots]
        expected = "parameters with a hidden matrix among them"
        raise checks.wrong_value("params", expected, names, "for others, AdamW is the optimizer")
