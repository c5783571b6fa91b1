"""One batch on several machines: each rank takes some rows, and updates some of the parameters.

With N ranks, and with weights wᵣ (how many terms the mean Lᵣ of rank r's rows runs over),

    g = Σᵣ (wᵣ / Σⱼ wⱼ) ∂Lᵣ/∂θ        as in ``parallel``, where threads take the part of ranks

In the plain form (``plain.train_on_ranks``) each rank gets all of g by one all-reduce, and all do
the same update. An all-reduce is two operations: a *reduce-scatter*, after which rank r has the
piece gᵣ of the sum, and an *all-gather*, after which each has all pieces. Between the two is where
the update belongs (ZeRO, stage 1: Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward
Training Trillion Parameter Models", §5.1):

    gᵣ = piece r of g                      reduce-scatter
    ‖g‖² = Σᵣ ‖gᵣ‖²                         one number more is summed, and clips all pieces alike
    θᵣ, mᵣ, vᵣ ← Adam(θᵣ, gᵣ, mᵣ, vᵣ)       Adam moves number by number: a piece needs no other
    θ = (θ₀, …, θ_N₋₁)                     all-gather

so that a rank keeps 1/N of the moments, for the same traffic: of a flat gradient of P numbers each
rank sends (N − 1)/N · P, and of the parameters as many.

The gradient travels while the walk back still goes on. The last layers' gradients are finished
first; as soon as those of a *bucket* are, it is sent, without waiting for it to arrive. An equation
that needs whole matrices (Muon's) gets whole matrices: the buckets of these are cut between
parameters, so that the ranks have about as many numbers each.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.optim.clipping import clip_gradients
from minigpt.optim.optimizer import Optimizer, Slot
from minigpt.optim.pieces import keep_piece
from minigpt.tensor import Tensor
from minigpt.training.descent import Descent, not_the_trainers
from minigpt.training.ranks import Ranks
from minigpt.training.run import Run
from minigpt.training.trainable import Batch

BUCKET = (
    2**22
)  # about so many numbers: 16 MB, whose latency is small beside its transfer at 10 Gbit/s


class Bucket:
    """Parameters whose numbers travel together: their gradients one way, they themselves back.

    Args:
        slots: those of the optimizer, whose numbers follow each other in this order.
        bounds: where the pieces of the ranks are: that of rank r is bounds[r] to bounds[r + 1].
        rank: whose process this is.

    Attributes:
        numbers: all of it, flat.
        mine: the numbers of this rank in it.
        places: where the numbers of each slot are.
        missing: the slots whose gradient this step has not brought yet.
    """

    def __init__(self, slots: list[Slot], bounds: Sequence[int], rank: int) -> None:
        self.slots = slots
        sizes = [slot.parameter.data.size for slot in slots]
        ends = list(itertools.accumulate(sizes))
        self.places = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        self.numbers = np.empty(ends[-1], slots[0].parameter.data.dtype)
        self.counts, self.starts = np.diff(bounds), np.array(bounds[:-1])
        self.mine = slice(bounds[rank], bounds[rank + 1])
        self.sum = np.empty(self.mine.stop - self.mine.start, self.numbers.dtype)
        self.missing = set(range(len(slots)))

    def piece(self, index: int) -> slice:
        """Which numbers of a slot's parameter are this rank's, counted from its own first."""
        place = self.places[index]
        first, last = max(place.start, self.mine.start), min(place.stop, self.mine.stop)
        return slice(first - place.start, max(first, last) - place.start)

    def put(self, index: int, piece: slice, array: Array) -> None:
        """Write a piece of a slot to where it belongs."""
        start = self.places[index].start
        self.numbers[start + piece.start : start + piece.stop] = array.reshape(-1)

    def summed(self, index: int, piece: slice) -> Array:
        """The gradient's sum of a piece of this rank, after the reduce-scatter."""
        start = self.places[index].start - self.mine.start
        return self.sum[start + piece.start : start + piece.stop]


class ZeRO(Descent):
    """The steps of several ranks, each of which reads all batches and works on some of their rows.

    Args:
        alone: the steps of one process. Its optimizer keeps, from now on, only this rank's pieces.
        ranks: who works together.
        wants_to_stop: whether this rank was asked to end the run; all learn of it with the loss.

    Attributes:
        buckets: in the order in which they travel.
    """

    def __init__(
        self,
        alone: Descent,
        ranks: Ranks,
        wants_to_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(alone.objective, alone.optimizer, alone.workers, alone.max_norm)
        self.ranks, self._wants_to_stop = ranks, wants_to_stop
        for parameter in self.parameters:
            parameter.data = np.ascontiguousarray(parameter.data)  # pieces are views of it
        self._shapes = {slot.name: slot.parameter.data.shape for slot in self.optimizer.slots}
        self.buckets = buckets_of(self.optimizer, ranks, BUCKET)
        self._at: dict[Any, tuple[Bucket, int]] = {}
        self._pieces: dict[str, slice] = {}
        for b in self.buckets:
            for index, slot in enumerate(b.slots):
                self._at[slot.parameter] = b, index
                self._pieces[slot.name] = b.piece(index)
        self._whole = {slot.name: slot.parameter for slot in self.optimizer.slots}
        for slot in self.optimizer.slots:
            keep_piece(slot, self._pieces[slot.name])
        self._on_the_way: list[Any] = []  # requests of MPI
        self._sent = 0  # buckets of this step

    # ── gradients: reduce-scatter ─────────────────────────────────────────────────────────────

    def gradient(self, batches: Sequence[Batch], seed: Sequence[int]) -> tuple[float, float]:
        """Put this rank's pieces of ∂L/∂θ, clipped, in the slots; returns L, and ‖∂L/∂θ‖."""
        self._on_the_way, self._sent = [], 0
        for bucket in self.buckets:
            bucket.missing = set(range(len(bucket.slots)))
        loss, _ = self.workers.gradients(self.objective, batches, seed, self._finished)
        while self._sent < len(self.buckets):  # with what this rank's rows have nothing to do with
            bucket = self.buckets[self._sent]
            for index in bucket.missing:
                bucket.numbers[bucket.places[index]] = 0
            self._send(bucket)

        came = [index not in b.missing for b in self.buckets for index in range(len(b.slots))]
        mine = np.array([loss, self._wants_to_stop(), *came], np.float64)
        everyone = np.empty_like(mine)
        self._on_the_way.append(self.ranks.comm.Iallreduce(mine, everyone))
        self.ranks.wait(self._on_the_way)
        loss, stop, *counts = everyone.tolist()
        self.asked_to_stop = stop > 0

        count = iter(counts)
        found: list[Array] = []
        for bucket in self.buckets:
            for index, slot in enumerate(bucket.slots):
                slot.parameter.grad = None
                if next(count) > 0:  # some rank's rows have brought one
                    gradient = bucket.summed(index, self._pieces[slot.name])
                    slot.parameter.grad = gradient.reshape(slot.parameter.data.shape)
                    found.append(gradient)
        return loss, clip_gradients(found, self.max_norm, self.apply, self.ranks.total)

    def _finished(self, parameter: Tensor, gradient: Array) -> None:
        """In the walk back: a gradient of this rank's rows is complete."""
        if parameter not in self._at:
            raise not_the_trainers(self.objective.model, [parameter])
        bucket, index = self._at[parameter]
        bucket.put(index, slice(0, gradient.size), gradient)
        bucket.missing.discard(index)
        while self._sent < len(self.buckets) and not self.buckets[self._sent].missing:
            self._send(self.buckets[self._sent])
        if self._on_the_way:  # MPI goes on only while it is called
            self.ranks.mpi.Request.Testall(self._on_the_way)

    def _send(self, bucket: Bucket) -> None:
        """Begin its reduce-scatter; all ranks send the buckets in the same order."""
        begun = self.ranks.comm.Ireduce_scatter(bucket.numbers, bucket.sum, bucket.counts)
        self._on_the_way.append(begun)
        self._sent += 1
        self.ranks.bytes_sent += bucket.numbers.nbytes - bucket.sum.nbytes

    # ── parameters: all-gather ────────────────────────────────────────────────────────────────

    def move(self) -> None:
        """Update this rank's pieces, and get the others'."""
        super().move()
        gathered = self._gathered(lambda slot: slot.parameter.data)
        for slot, numbers in gathered:
            whole = self._whole[slot.name]
            whole.data[...] = numbers.reshape(whole.data.shape)

    def _gathered(self, piece_of: Callable[[Slot], Array | None]) -> list[tuple[Slot, Array]]:
        """Each slot with all its numbers, of which every rank has a piece."""
        requests, slots = [], []
        for bucket in self.buckets:
            for index, slot in enumerate(bucket.slots):
                piece = piece_of(slot)
                if piece is not None:
                    bucket.put(index, self._pieces[slot.name], piece)
                    slots.append((slot, bucket.numbers[bucket.places[index]]))
            into = [bucket.numbers, (bucket.counts, bucket.starts)]
            requests.append(self.ranks.comm.Iallgatherv(self.ranks.mpi.IN_PLACE, into))
            self.ranks.bytes_sent += (self.ranks.count - 1) * bucket.sum.nbytes
        self.ranks.wait(requests)
        return slots

    def _sum(self, numbers: Array) -> Array:
        return self.ranks.sum(numbers)

    # ── checkpoints ───────────────────────────────────────────────────────────────────────────

    def optimizer_state(self) -> Mapping[str, Any]:
        """As one process would have it, on rank 0; the others only give their pieces."""
        state = dict(self.optimizer.state_dict())
        most = max(len(slot.arrays) for slot in self.optimizer.slots)
        for number in range(most):

            def array(slot: Slot, number: int = number) -> Array | None:
                return next(itertools.islice(slot.arrays.values(), number, None), None)

            for slot, numbers in self._gathered(array):
                name = f"{list(slot.arrays)[number]}.{slot.name}"
                if self.ranks.is_first:
                    state[name] = numbers.reshape(self._shapes[slot.name]).copy()
        return state

    def batches_state(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """With each row's carried state from the rank that has read the row."""
        whole = dict(state)
        for name, array in state.items():
            if isinstance(array, np.ndarray):
                rows = np.zeros_like(array)
                own = self.workers.own_rows(len(array))
                rows[own] = array[own]
                whole[name] = self.ranks.sum(rows)
        return whole


def what_must_agree(run: Run, model: Any, batches: Any, texts: Mapping[str, Any]) -> dict[str, Any]:
    """All that the ranks of a run must have in common, in few words each."""
    digest = hashlib.sha256()
    for name, array in model.state_dict().items():
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).data)
    place = {n: v for n, v in batches.state_dict().items() if not isinstance(v, np.ndarray)}
    return {
        **{n: v for n, v in run.config.to_dict().items() if n != "progress"},
        "training text": texts["train"],
        "validation text": texts["val"],
        "place in the training text": place,
        "step": run.step,
        "model's parameters (SHA-256)": digest.hexdigest(),
    }


def buckets_of(optimizer: Optimizer, ranks: Ranks, size: int) -> list[Bucket]:
    """The parameters in buckets, in the order in which the walk back finishes them: last first.

    Parameters that may be cut, and parameters that may not, have buckets of their own, and so has
    each type of number.
    """
    groups: list[list[Slot]] = []
    filling: dict[Any, list[Slot]] = {}
    for slot in reversed(optimizer.slots):
        kind = optimizer.is_divisible(slot), slot.parameter.data.dtype
        group = filling.setdefault(kind, [])
        group.append(slot)
        if sum(slot.parameter.data.size for slot in group) >= size:
            groups.append(filling.pop(kind))
    groups += filling.values()

    load = np.zeros(ranks.count, np.int64)  # numbers that each rank updates
    buckets = []
    for slots in groups:
        if optimizer.is_divisible(slots[0]):
            total = sum(slot.parameter.data.size for slot in slots)
            bounds = [total * rank // ranks.count for rank in range(ranks.count + 1)]
        else:
            slots, bounds = _whole(slots, load)
        load += np.diff(bounds)
        buckets.append(Bucket(slots, bounds, ranks.rank))
    return buckets


def _whole(slots: list[Slot], load: Array) -> tuple[list[Slot], list[int]]:
    """Each parameter for one rank: the largest first, to the rank that has the least to do."""
    owned: list[list[Slot]] = [[] for _ in load]
    numbers = load.copy()
    for slot in sorted(slots, key=lambda slot: -slot.parameter.data.size):
        owner = int(numbers.argmin())
        owned[owner].append(slot)
        numbers[owner] += slot.parameter.data.size
    return [slot for own in owned for slot in own], [0, *np.cumsum(numbers - load).tolist()]
