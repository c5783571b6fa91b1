"""The numbers of one text: where every head looks, and what each layer expects to come next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.grad_mode import evaluation
from minigpt.models import GPT
from minigpt.sampling import softmax
from minigpt.tensor import Tensor
from minigpt.viz.explorer.packing import packed

SHOWN = 10  # of the likeliest next tokens, after each layer and for each place
ONE = 10_000  # attention is kept in units of 0.01 %
TOKENS_AT_A_TIME = 32
BYTES_OF_A_WEIGHT = np.dtype(np.uint16).itemsize


@dataclass(frozen=True)
class Recording:
    """What a model does with a text of T tokens.

    Attributes:
        ids: the text.
        attention: in units of 0.01 %, rounded: for each layer its heads, and then their mean. The
            places that a token may see stand one after the other, token by token.
        likeliest, probabilities: the tokens expected to come next after 0, 1, …, n_layer blocks,
            the most probable first.
        true_probability, true_rank: those of the token that does come next, for all but the last.

    Shapes:
        attention: (n_layer, n_head + 1, T·(T + 1)/2), or T² where the model is not causal
        likeliest, probabilities: (n_layer + 1, T, SHOWN), or fewer where the vocabulary is smaller
        true_probability, true_rank: (n_layer + 1, T − 1)
    """

    ids: list[int]
    attention: Array
    likeliest: Array
    probabilities: Array
    true_probability: Array
    true_rank: Array

    def tokens(self) -> set[int]:
        """Every token that the recording names."""
        return {*self.ids, *self.likeliest.ravel().tolist()}

    def to_dict(self) -> dict[str, Any]:
        """The recording as the page has it."""
        return {
            "ids": self.ids,
            "attention": packed(self.attention),
            "likeliest": packed(self.likeliest),
            "shown": self.likeliest.shape[-1],
            "probabilities": packed(self.probabilities),
            "trueProbability": packed(self.true_probability),
            "trueRank": packed(self.true_rank),
        }


@evaluation()
def record(model: GPT, ids: list[int], done: Callable[[], object] = lambda: None) -> Recording:
    """Run the model over a text, and keep what the page shows; ``done`` is called after a layer.

    The next token is expected after a layer as if the layers above were not there: the final norm
    and the head are put right upon it ("logit lens", nostalgebraist 2020).

        pₗ = softmax(unembed(xₗ)),  l = 0, …, n_layer

    Raises:
        ValueError: a number is not finite.
    """
    batch = np.array([ids])  # (1, T)
    attention = [_rounded(maps[0], model.config.causal) for maps in model.attention_weights(batch)]
    expected = []
    for x in model.hidden_states(batch):  # n_layer + 1 times (1, T, C)
        expected.append(_expected(model, x[0], ids))
        done()
    return Recording(ids, np.stack(attention), *map(np.stack, zip(*expected, strict=True)))


def places(n_tokens: int, causal: bool) -> int:
    """How many numbers one head's map has."""
    return n_tokens * (n_tokens + 1) // 2 if causal else n_tokens * n_tokens


def _rounded(maps: Array, causal: bool) -> Array:
    """The maps of a layer's heads, and their mean: (h, T, T) -> (h + 1, places) of uint16."""
    _check_finite(maps)
    maps = maps.astype(np.float64)  # in which 10⁴ times a float32 is exact
    maps = np.concatenate([maps, maps.mean(axis=0, keepdims=True)])
    t = maps.shape[-1]
    seen = np.tri(t, dtype=bool) if causal else np.ones((t, t), dtype=bool)
    return np.rint(maps[:, seen] * ONE).astype(np.uint16)


def _expected(model: GPT, x: Array, ids: list[int]) -> tuple[Array, Array, Array, Array]:
    """The likeliest tokens with their probabilities, and probability and rank of the true one.

    A few tokens at a time: a large vocabulary has many logits.

    Shapes:
        x: (T, C)
        returns: (T, k), (T, k), (T − 1,), (T − 1,)
    """
    following = np.array([*ids[1:], ids[0]])  # of the last token, nobody knows: it is dropped
    parts = []
    for start in range(0, len(x), TOKENS_AT_A_TIME):
        some = slice(start, start + TOKENS_AT_A_TIME)
        logits = model.unembed(Tensor(x[None, some])).data[0]  # (t, C) -> (t, V)
        _check_finite(logits)
        parts.append(_likeliest(softmax(logits), following[some]))
    likeliest, p, true, rank = map(np.concatenate, zip(*parts, strict=True))
    return likeliest, p, true[:-1], rank[:-1]


def _likeliest(p: Array, true: Array) -> tuple[Array, Array, Array, Array]:
    """The k largest of each row, the largest first, and where the true one stands.

    Shapes:
        p: (t, V);  true: (t,)
        returns: (t, k), (t, k), (t,), (t,)
    """
    k = min(SHOWN, p.shape[-1])
    likeliest = np.argpartition(-p, k - 1, axis=-1)[:, :k]  # in no order
    order = np.lexsort((likeliest, -np.take_along_axis(p, likeliest, -1)), axis=-1)
    likeliest = np.take_along_axis(likeliest, order, -1)
    p_true = np.take_along_axis(p, true[:, None], -1)  # (t, 1)
    return (
        likeliest.astype(np.int32),
        np.take_along_axis(p, likeliest, -1).astype(np.float32),
        p_true[:, 0].astype(np.float32),
        1 + (p > p_true).sum(axis=-1, dtype=np.int32),
    )


def _check_finite(array: Array) -> None:
    if not np.isfinite(array).all():
        raise ValueError(
            "the model computes numbers that are not finite: check its parameters (a training run "
            "that diverged leaves NaN in them)"
        )
