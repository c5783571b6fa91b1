"""One batch on several cores: each thread takes some rows, and the gradients are added up.

With weights wᵢ (how many terms the mean Lᵢ of shard i runs over) the batch's loss and gradient are

    L = Σᵢ wᵢ Lᵢ / Σᵢ wᵢ        ∂L/∂θ = Σᵢ (wᵢ / Σⱼ wⱼ) ∂Lᵢ/∂θ

which is also how gradient accumulation makes several batches one. The sums are taken in the order
of the shards, so the outcome for a given number of workers is the same to the last bit. NumPy lets
go of the interpreter lock inside its operations; the threads share the model's parameters.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from minigpt import checks
from minigpt.autograd import Array, gradients
from minigpt.blas_threads import available_cores, can_be_controlled, one_blas_thread
from minigpt.functional.row_draws import RowsGenerator
from minigpt.tensor import Tensor
from minigpt.training.ranks import Ranks
from minigpt.training.trainable import Batch, Objective, rows_of

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

T = TypeVar("T")
MAX_AUTO_WORKERS = 8  # more threads than that wait for each other's interpreter lock


class Workers:
    """Threads that work on the rows of one batch, or on one rank's part of them.

    Args:
        count: how many; 1 uses no threads at all.
        rank, ranks: which of how many processes this is, each with as many workers. All know the
            whole batch, and cut it in the same shards.

    Used as a context manager, or closed by :meth:`close`; threads are started when first needed.
    """

    def __init__(self, count: int, rank: int = 0, ranks: int = 1) -> None:
        self.count = checks.integer("workers", count, least=1)
        self.rank, self.ranks = rank, ranks
        self._pool: ThreadPoolExecutor | None = None
        self._pool_of = os.getpid()

    def gradients(
        self,
        objective: Objective,
        batches: Sequence[Batch],
        seed: Sequence[int],
        finished: Callable[[Tensor, Array], object] | None = None,
    ) -> tuple[float, dict[Tensor, Array]]:
        """The loss and its gradient over one or several batches that make one step.

        Where there are several ranks, this one's term of both sums.

        Args:
            objective: of a model, whose parameters are read; their ``.grad`` stays as it is.
            batches: one after another, each shared between the workers.
            seed: with the number of the batch, the seed of what its rows draw for dropout.
            finished: is called with each parameter and its gradient as soon as that is complete
                (with one worker, while the walk back goes on); no gradients are returned then.

        Raises:
            ValueError: no batch has a term that the loss counts.
        """
        shards = [self._shards(batch) for batch in batches]
        weights = [[objective.weight(rows) for rows in batch] for batch in shards]
        total = sum(sum(batch) for batch in weights)
        if not total > 0:
            raise ValueError("the loss of this batch is a mean over nothing: all targets are -1")

        counted = [
            [i for i in self._mine(len(parts)) if weights[number][i] > 0]
            for number, parts in enumerate(shards)
        ]
        value, summed = 0.0, dict[Tensor, Array]()

        def complete(leaf: Tensor, part: Array) -> None:
            assert finished is not None
            before = {leaf: summed.pop(leaf)} if leaf in summed else {}
            _add(before, {leaf: part})
            finished(leaf, before[leaf])

        # What overflows shows in the loss, and is reported there; errstate is per thread.
        @np.errstate(over="ignore", invalid="ignore", divide="ignore")
        def work(number: int, shard: int) -> tuple[float, dict[Tensor, Array]]:
            rng = np.random.default_rng([*seed, number])
            if len(shards[number]) > 1:  # each row's draws are the same in every shard
                first = sum(rows_of(rows) for rows in shards[number][:shard])
                rng = RowsGenerator([*seed, number], first, rows_of(batches[number]))
            loss = objective.loss(shards[number][shard], rng)
            share = np.full(loss.shape, weights[number][shard] / total, dtype=loss.dtype)
            is_last = number == len(batches) - 1 and len(counted[number]) == 1
            take = complete if finished and is_last else None
            return loss.item(), gradients(loss, gradient=share, finished=take)

        for number in range(len(batches)):
            with one_blas_thread(objective.products.are_small(batches[number][0].size)):
                results = self._run([partial(work, number, shard) for shard in counted[number]])
            for shard, (loss, parts) in zip(counted[number], results, strict=True):
                value += loss * (weights[number][shard] / total)
                _add(summed, parts)
        while finished and summed:
            finished(*summed.popitem())
        return value, summed

    def metrics(self, objective: Objective, batch: Batch) -> tuple[float, dict[str, float]]:
        """The weight of a batch, or of this rank's rows, and what ``model.metrics`` measures."""
        shards = self._shards(batch)
        weights = [objective.weight(rows) for rows in shards]
        counted = [i for i in self._mine(len(shards)) if weights[i] > 0]
        measure = np.errstate(over="ignore", invalid="ignore", divide="ignore")(objective.metrics)
        with one_blas_thread(objective.products.are_small(batch[0].size)):
            results = self._run([partial(measure, shards[i]) for i in counted])
        total = sum(weights[i] for i in counted)
        means: dict[str, float] = {}
        for shard, result in zip(counted, results, strict=True):
            for name, metric in result.items():
                means[name] = means.get(name, 0.0) + metric * (weights[shard] / total)
        return total, means

    def apply(self, function: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
        """``function`` of every item, in their order; a thread takes the next item when it can."""
        results: list[Any] = [None] * len(items)
        upcoming = iter(range(len(items)))  # next() of one iterator is safe between threads

        def work() -> None:
            for i in upcoming:
                results[i] = function(items[i])

        self._run([work] * min(self.count, len(items)))
        return results

    def close(self) -> None:
        """End the threads; they are started again when needed."""
        if self._pool is not None and self._pool_of == os.getpid():
            self._pool.shutdown(wait=True)
        self._pool = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def own_rows(self, n_rows: int) -> slice:
        """Which rows of a batch are this rank's."""
        bounds = self._bounds(n_rows)
        mine = self._mine(len(bounds) - 1)
        return slice(bounds[mine.start], bounds[mine.stop])

    def _mine(self, parts: int) -> range:
        """Which parts are this rank's."""
        return range(self.rank * parts // self.ranks, (self.rank + 1) * parts // self.ranks)

    def _bounds(self, n_rows: int) -> list[int]:
        """Where the parts of a batch begin, and the last ends: as many as workers, or rows."""
        parts = max(1, min(self.count * self.ranks, n_rows))
        return np.linspace(0, n_rows, parts + 1).round().astype(int).tolist()

    def _shards(self, batch: Batch) -> list[Batch]:
        """The rows of a batch in as many parts as all ranks have workers, or as it has rows."""
        bounds = self._bounds(rows_of(batch))
        if len(bounds) == 2:
            return [batch]
        if any(len(array) != rows_of(batch) for array in batch):
            lengths = [len(array) for array in batch]
            who = f"workers={self.count}: set workers=1"
            if self.ranks > 1:
                who = f"{self.ranks} ranks: start one process"
            raise ValueError(
                f"the arrays of a batch have {lengths} rows, so that it cannot be shared between "
                f"{who}"
            )
        return [
            tuple(array[first:last] for array in batch)
            for first, last in itertools.pairwise(bounds)
        ]

    def _run(self, calls: list[Callable[[], T]]) -> list[T]:
        """What the calls return, in their order; all of them are over when one has raised."""
        if len(calls) <= 1:
            return [call() for call in calls]
        with one_blas_thread():
            futures = self._started(calls[1:])
            try:
                # The calling thread is one of the workers: it need not be woken up, and no two
                # that are woken at once can land on one core.
                first = calls[0]()
            finally:
                for future in futures:
                    future.exception()  # waits until it is over
        return [first, *(future.result() for future in futures)]

    def _started(self, calls: list[Callable[[], T]]) -> list[Future[T]]:
        """The calls, on threads of the pool.

        Raises:
            RuntimeError: the system starts no more threads.
        """
        if self._pool is None or self._pool_of != os.getpid():  # a fork takes no threads along
            from concurrent.futures import ThreadPoolExecutor  # not before it is needed

            self._pool_of = os.getpid()
            self._pool = ThreadPoolExecutor(self.count - 1, thread_name_prefix="minigpt-worker")
        try:
            return [self._pool.submit(call) for call in calls]
        except RuntimeError as error:
            pool, self._pool = self._pool, None
            pool.shutdown(wait=True, cancel_futures=True)
            raise RuntimeError(
                f"workers={self.count} needs threads, and the system starts no more ({error}): set "
                "workers=1, or end other programs"
            ) from error


def auto_workers(batch_size: int, ranks: Ranks | None = None) -> int:
    """How many workers "auto" stands for on this machine, for each of the ranks.

    One a core, if threadpoolctl can keep each worker's matrix products on one thread. Otherwise
    one in all, whose matrix products use every core.
    """
    if not can_be_controlled():
        return 1
    cores, share = available_cores(), batch_size
    if ranks is not None:
        cores, share = cores // ranks.on_these_cores, batch_size // ranks.count
    return max(1, min(cores, share, MAX_AUTO_WORKERS))


def _add(summed: dict[Tensor, Array], parts: dict[Tensor, Array]) -> None:
    """``summed += parts``, leaf by leaf, in the memory of what came first."""
    for leaf, part in parts.items():
        if leaf in summed:
            np.add(summed[leaf], part, out=summed[leaf])
        else:
            summed[leaf] = part
