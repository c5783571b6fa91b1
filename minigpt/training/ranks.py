"""The processes that train together, as ``mpiexec -n 4`` starts them, and how they stay together.

A *rank* is one of them: each runs the same script. MPI's collective operations (all-reduce,
all-gather, …) have an outcome only where all ranks call them, in the same order; so

- what all can foresee, they agree on before work begins (settings, text, parameters);
- an error that all know of is raised by all of them, and told by the first;
- a rank that leaves in any other way (an error of its own, ``sys.exit``, a kill) ends the others,
  which would wait for it for ever.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from minigpt.autograd import Array
from minigpt.blas_threads import one_blas_thread
from minigpt.launcher import end_together, is_known_to_all, known_to_all, launched

__all__ = ["Ranks", "known_to_all"]

T = TypeVar("T")
_LEFT = 1  # the tag of the message that a rank has left
_LONGEST_PAUSE = 1e-3  # seconds between two looks at what is awaited
_LAST_WORDS = 3.0  # seconds that the last messages of a rank that has left may take


class Ranks:
    """This process and those that were started with it; one only, where nothing started several.

    Made by :meth:`of_this_job`; ``mpi4py`` is imported only where there are several.

    Args:
        mpi: the module ``mpi4py.MPI``; None where this process is the only one.

    Attributes:
        rank: which of them this is, from 0.
        count: how many there are.
        on_these_cores: how many of them share the processor cores that this one may use.
        bytes_sent: what this rank has handed to the others, of gradients and parameters.

    Example:
        >>> ranks = Ranks.of_this_job()
        >>> ranks.rank, ranks.count, ranks.is_first
        (0, 1, True)
        >>> ranks.gathered("hello")  # under mpiexec -n 4 they are four
        ['hello']
    """

    _job: Ranks | None = None

    def __init__(self, mpi: Any = None) -> None:
        self.mpi = mpi
        self._comm: Any = None
        self.rank, self.count, self.on_these_cores = 0, 1, 1
        self.bytes_sent = 0
        self._why_not = ""  # why no collective operation can be called now
        if mpi is not None and mpi.COMM_WORLD.size > 1:
            self._comm = comm = mpi.COMM_WORLD.Dup()  # messages of others are not mixed in
            self.rank, self.count = comm.rank, comm.size
            atexit.register(self._leave)
            end_together()
            mine = [mpi.Get_processor_name(), *cores_by_number()]
            self.on_these_cores = self.gathered(mine).count(mine)

    @classmethod
    def of_this_job(cls) -> Ranks:
        """All ranks of the job that this process belongs to.

        Raises:
            ImportError: a launcher has started several, and mpi4py is not installed.
            RuntimeError: the launcher and the MPI library do not belong together.
        """
        if Ranks._job is None:
            Ranks._job = Ranks(_mpi())
        return Ranks._job

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which writes, prints and draws for all."""
        return self.rank == 0

    @property
    def comm(self) -> Any:
        """The communicator, for operations that all ranks call.

        Raises:
            RuntimeError: the others are not here.
        """
        if self._why_not:
            raise RuntimeError(self._why_not)
        return self._comm

    # ── what all do at once ───────────────────────────────────────────────────────────────────

    def wait(self, requests: Sequence[Any]) -> None:
        """Until all ``requests`` are through, with the core left to others in between.

        Raises:
            RuntimeError: another rank has left.
        """
        pause, deadline = 0.0, math.inf
        while not self.mpi.Request.Testall(requests):
            time.sleep(pause)
            pause = min(pause + 1e-5, _LONGEST_PAUSE)
            if pause < _LONGEST_PAUSE or (gone := self._who_has_left()) is None:
                continue
            # It may have done its part, and what it sent be still on its way.
            deadline = min(deadline, time.monotonic() + _LAST_WORDS)
            if time.monotonic() > deadline:
                self._why_not = f"rank {gone} has ended, and rank {self.rank} waits for it"
                raise RuntimeError(self._why_not)

    def sum(self, numbers: Array) -> Array:
        """The sum of ``numbers`` over all ranks, one by one."""
        if self.count == 1:
            return numbers
        total = np.empty_like(numbers)
        self.wait([self.comm.Iallreduce(numbers, total)])
        return total

    def total(self, value: float) -> float:
        """The sum of ``value`` over all ranks."""
        return float(self.sum(np.array([value], np.float64))[0])

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` is set on one rank at least."""
        return self.total(flag) > 0

    def gathered(self, value: T) -> list[T]:
        """The ``value`` of each rank, in their order; anything that JSON can carry."""
        if self.count == 1:
            return [value]
        mine = np.frombuffer(json.dumps(value).encode(), np.uint8)
        sizes = np.empty(self.count, np.int64)
        self.wait([self.comm.Iallgather(np.array([mine.size]), sizes)])
        starts = np.concatenate([[0], np.cumsum(sizes)])
        every = np.empty(starts[-1], np.uint8)
        self.wait([self.comm.Iallgatherv(mine, [every, (sizes, starts[:-1])])])
        words = [every[start : start + size] for start, size in zip(starts, sizes, strict=False)]
        return [json.loads(word.tobytes()) for word in words]

    def on_first(self, function: Callable[[], T]) -> T:
        """What the function returns on the first rank, where it is called, for all of them.

        Raises:
            OSError, MemoryError, TypeError, ValueError: what it raised there, on every rank.
        """
        if self.count == 1:
            return function()
        said: dict[str, Any] = {}
        caught: BaseException | None = None
        if self.is_first:
            try:
                said = {"value": function()}
            except Exception as error:
                caught, said = error, {"kind": type(error).__name__, "text": str(error)}
        said = self.gathered(said)[0]
        if caught is not None:
            raise known_to_all(caught)
        if "kind" in said:
            kinds = {kind.__name__: kind for kind in (MemoryError, TypeError, ValueError)}
            raise known_to_all(kinds.get(said["kind"], OSError)(said["text"]))
        value: T = said["value"]
        return value

    def agree(self, what: dict[str, Any]) -> None:
        """Make sure that ``what``, values by their names, is the same on all ranks.

        Raises:
            ValueError: some have not; it names them, and what differs.
        """
        every = self.gathered(what)
        differing = {
            name: [rank for rank, other in enumerate(every) if other.get(name) != value]
            for name, value in every[0].items()
        }
        for name, ranks in differing.items():
            if ranks:
                who = ", ".join(map(str, ranks))
                theirs, first = every[ranks[0]].get(name), every[0][name]
                raise known_to_all(
                    ValueError(
                        f"rank{'s' * (len(ranks) > 1)} {who} of {self.count} must have the {name} "
                        f"that rank 0 has, {first!r}: got {theirs!r}; every rank runs the same "
                        "script, with the same settings, files and seeds"
                    )
                )

    # ── staying together ──────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Work of all ranks: after an error that only some have, none can be done any more.

        Ranks that share cores keep to one thread of BLAS each, so that no two want the same one.
        """
        if self.count == 1:
            yield
            return
        try:
            with one_blas_thread(self.on_these_cores > 1):
                yield
        except BaseException as error:
            if not is_known_to_all(error):
                name = type(error).__name__
                self._why_not = self._why_not or f"rank {self.rank} left the others with a {name}"
            raise

    @contextlib.contextmanager
    def by_itself(self, doing: str) -> Iterator[None]:
        """Work of this rank only, named by ``doing``: it can call nothing that all must call."""
        before = self._why_not
        if self.count > 1:
            self._why_not = (
                f"{doing} is called on rank 0 only, and cannot do what all ranks must do together: "
                "evaluate, save or train"
            )
        yield
        self._why_not = before

    @property
    def has_lost_others(self) -> bool:
        """Whether an error of this rank only has put it out of step."""
        return bool(self._why_not)

    def _who_has_left(self) -> int | None:
        status = self.mpi.Status()
        left = self._comm.Iprobe(self.mpi.ANY_SOURCE, _LEFT, status)
        return status.source if left else None

    def _leave(self) -> None:
        """At the end of the process: those who still wait for it see that it has left."""
        if self.mpi.Is_finalized():
            return
        others = [rank for rank in range(self.count) if rank != self.rank]
        nothing = np.empty(0, np.uint8)
        begun = [self._comm.Isend(nothing, rank, _LEFT) for rank in others]
        begun += [self._comm.Irecv(nothing, rank, _LEFT) for rank in others]
        while not self.mpi.Request.Testall(begun):
            time.sleep(_LONGEST_PAUSE)


def _mpi() -> Any:
    """mpi4py's module, where there are several ranks; else None."""
    _, count = launched()
    if count == 1:
        return sys.modules.get("mpi4py.MPI")
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise known_to_all(
            ImportError(
                f"a launcher has started {count} processes of this script, and mpi4py cannot be "
                f'used ({reason}): pip install "minigpt[mpi]"'
            )
        ) from None
    if MPI.COMM_WORLD.size != count:
        raise known_to_all(
            RuntimeError(
                f"a launcher has started {count} processes, and MPI sees {MPI.COMM_WORLD.size}: "
                f"mpiexec is another MPI's than mpi4py's ({MPI.Get_library_version().split()[0]}); "
                "use the one that was installed with it"
            )
        )
    return MPI


def cores_by_number() -> list[int]:
    """The processor cores that this process may use: all, or those that a launcher binds it to."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
