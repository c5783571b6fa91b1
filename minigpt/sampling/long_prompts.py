"""A long prompt on several cores: each thread reads a stretch of it.

A token needs, of the tokens before it, nothing but their keys and values in its own layer. So the
threads can walk through the layers side by side: in each layer a thread waits until the stretch
before its own has put its keys and values into the cache, and never for anything else. The first
thread is a layer ahead, and at the end all are ready at nearly the same time.

Matrix products can be shared among cores without this, as the BLAS does. But between them stand
norms, softmax and activations, which NumPy computes on one core while the others wait; here they
are shared as well.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.blas_threads import (
    SMALL_PRODUCT,
    MatrixProducts,
    available_cores,
    can_be_controlled,
    one_blas_thread,
)
from minigpt.grad_mode import evaluation
from minigpt.nn.cache import KeyValueCache
from minigpt.sampling.protocols import LanguageModel

# What one score costs (two products with d features, its share of a softmax) in multiplications of
# a large matrix product: measured with heads of 64 features.
SCORE = 500


class Stretch(KeyValueCache):
    """The part of a cache from ``start`` on, for a thread that others run ahead of and behind.

    Args:
        whole: the cache; its memory is shared.
        start: how many tokens the stretches before this one hold.
        before: the stretch before; None for the first.
    """

    def __init__(self, whole: KeyValueCache, start: int, before: Stretch | None) -> None:
        self.keys, self.values = whole.keys, whole.values
        self.length = start
        self._before = before
        self._filled = [threading.Event() for _ in whole.keys]  # for each layer

    def extend(self, layer: int, k: Array, v: Array) -> tuple[Array, Array]:
        if self._before is not None:
            self._before._filled[layer].wait()
        both = super().extend(layer, k, v)
        self._filled[layer].set()
        return both

    def let_go(self) -> None:
        """Nobody waits for this stretch any longer; it may have failed."""
        for filled in self._filled:
            filled.set()


def number_of_stretches(products: MatrixProducts, n_tokens: int) -> int:
    """In how many a prompt is best read: one a core, if each has large products to compute."""
    if not can_be_controlled():
        return 1
    return max(1, min(available_cores(), products.size(n_tokens) // SMALL_PRODUCT))


def read_in_stretches(
    model: LanguageModel,
    ids: Array,
    cache: KeyValueCache,
    products: MatrixProducts,
    n_stretches: int,
    **options: Any,
) -> Array:
    """``model(ids, cache=cache, **options)`` in several threads; (R, T, V) of the last stretch.

    The same up to rounding, and for the same number of stretches the same to the last bit.

    Args:
        products: the model's.
        n_stretches: how many at most.
        options: those of the model's that do not depend on the place.

    Shapes:
        ids: (R, T)
    """
    cuts = _cuts(model.config, products, ids.shape[1], cache.length, n_stretches)
    stretches: list[Stretch] = []
    for start in cuts[:-1]:
        stretches.append(Stretch(cache, cache.length + start, stretches[-1] if stretches else None))

    def read(stretch: Stretch, start: int, stop: int) -> Array:
        try:
            with evaluation():
                logits: Array = model(ids[:, start:stop], cache=stretch, **options).data
            return logits
        finally:
            stretch.let_go()

    calls = [
        partial(read, stretch, start, stop)
        for stretch, start, stop in zip(stretches, cuts, cuts[1:], strict=False)
    ]
    with one_blas_thread(), ThreadPoolExecutor(len(calls), "minigpt-prompt") as pool:
        others = [pool.submit(call) for call in calls[:-1]]
        try:
            logits = calls[-1]()
        finally:
            for other in others:  # what failed in an earlier stretch is why a later one failed
                other.result()
    cache.advance(ids.shape[1])
    return logits


def _cuts(
    config: Any, products: MatrixProducts, n_tokens: int, n_before: int, n_stretches: int
) -> list[int]:
    """Where to cut, so that all stretches cost the same: later tokens have more to look at.

    The first t of the tokens cost a·t + b·t²/2: what each has to do with the weights and with the
    tokens before the prompt, and its scores for those before it in the prompt.
    """
    b = SCORE * config.n_head * config.n_layer
    a = products.n_weights + b * n_before
    costs = np.linspace(0, a * n_tokens + b * n_tokens**2 / 2, n_stretches + 1)
    cuts = np.rint((np.sqrt(a * a + 2 * b * costs) - a) / b).astype(int).tolist()
    return sorted(set(cuts))  # no stretch is empty
