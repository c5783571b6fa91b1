"""What attention is given beside queries, keys and values: checked, and as arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

from minigpt import checks
from minigpt.autograd import Array


class AttentionOptions(NamedTuple):
    """Which keys a query may see, and how its scores fall with their distance."""

    mask: Array | None
    slopes: Array | None

    @classmethod
    def checked(
        cls,
        mask: Any,
        slopes: Any,
        q_shape: tuple[int, ...],
        scores: tuple[int, ...],
        causal: bool,
        dropout: float = 0.0,
        rng: Any = None,
    ) -> AttentionOptions:
        """The options, where they fit the shapes of q and of the scores, and one can drop.

        Raises:
            ValueError: a mask or slopes of another shape, or a dropout that is not a probability.
            TypeError: a mask that is not boolean, or dropout without a Generator.
        """
        checks.probability("dropout", dropout)
        if dropout:
            checks.generator(rng)
        return cls(_checked_mask(mask, scores), _checked_slopes(slopes, q_shape, causal))


def _checked_mask(mask: Any, scores: tuple[int, ...]) -> Array | None:
    """The mask as booleans that broadcast to the shape of the scores."""
    if mask is None:
        return None
    mask = checks.booleans("mask", mask)
    if mask.ndim == 0:
        mend = "to hide what comes later, use causal=True"
        raise checks.wrong_type("mask", "an array of booleans", bool(mask), mend)
    last = scores[len(scores) - mask.ndim :]
    if len(last) != mask.ndim or any(
        n not in (1, m) for n, m in zip(mask.shape, last, strict=True)
    ):
        expected = f"of a shape that broadcasts to that of the scores, (..., T, S) = {scores}"
        raise checks.wrong_value("attention: mask", expected, mask)
    return mask


def _checked_slopes(slopes: Any, q_shape: tuple[int, ...], causal: bool) -> Array | None:
    """The slopes as an array, one for each head, of causal attention."""
    if slopes is None:
        return None
    slopes = checks.regular("slopes", slopes, "an array of numbers")
    if len(q_shape) < 3 or slopes.shape != q_shape[-3:-2] or slopes.dtype.kind not in "iuf":
        expected = f"one for each head of q (..., n_head, T, d_k), which has shape {q_shape}"
        raise checks.wrong_value("attention: slopes", expected, slopes)
    if not causal and q_shape[-2] > 1:
        mend = "distances count back in time"
        raise checks.wrong_value("causal", "True with slopes", causal, mend)
    return slopes
