"""Timing programs in turn, A B A B …, so that a machine whose speed drifts is fair to both.

A contender is a function that prepares its work and returns another that does it once. Each lives
in a process of its own, with its own threads and memory, and works only while the other one waits.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Work = Callable[[], object]


def serve(
    prepare: Callable[[], Work],
    about: Callable[[], str] | None = None,
    beside: Callable[[], float] | None = None,
) -> None:
    """Be a contender: for every line on standard input, do the work so often and tell the times.

    Args:
        prepare: returns the work.
        about: tells which kernels and how many threads do it, once the work is prepared.
        beside: measures something after each turn that counts, on the same cores: what it finds is
            told too. The memory that it takes is not.
    """
    work = prepare()
    ready = {"ready": resident_memory(), "about": about() if about else ""}
    print(json.dumps(ready), flush=True)
    peak, is_peak_ours = 0.0, True
    for line in sys.stdin:
        count, *counted = line.split()
        times: list[float] = []
        busy: list[float] = []
        results: list[object] = []
        for _ in range(int(count)):
            start, start_busy = time.perf_counter(), time.process_time()
            result = work()
            times.append(time.perf_counter() - start)
            busy.append(time.process_time() - start_busy)
            if isinstance(result, (list, float)):
                results.append(result)
        peak = peak_memory() if is_peak_ours else peak
        told: dict = {"times": times, "busy": busy, "peak": peak, "results": results}
        if beside and counted:
            told["beside"], is_peak_ours = beside(), False
        print(json.dumps(told), flush=True)


@dataclass
class Contender:
    """A program under way in its own process, and what it has shown so far."""

    name: str
    arguments: list[str]
    python: str = sys.executable
    times: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)  # of the processor, all threads added up
    prepared: float = 0.0  # MB resident with everything imported and made, before any work
    peak: float = 0.0  # MB resident at most
    about: str = ""  # its kernels and threads
    results: list = field(default_factory=list)  # of every work, where they are lists or floats
    beside: list[float] = field(default_factory=list)  # what it measured after each turn

    def start(self) -> None:
        """Start the process and wait until it is ready to work."""
        self._process = subprocess.Popen(
            [self.python, *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        answer = self._answer()
        self.prepared, self.about = answer["ready"], answer["about"]

    def run(self, count: int, counted: bool = True) -> None:
        """Do the work ``count`` times."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count} counted\n" if counted else f"{count}\n")
        self._process.stdin.flush()
        answer = self._answer()
        self.peak = answer["peak"]
        self.results += answer["results"]
        if counted:
            self.times += answer["times"]
            self.busy += answer["busy"]
            if "beside" in answer:
                self.beside.append(answer["beside"])

    def stop(self) -> None:
        """End the process."""
        self._process.communicate()

    @property
    def median(self) -> float:
        """Seconds that the work takes, in the middle of all runs."""
        return statistics.median(self.times)

    @property
    def median_busy(self) -> float:
        """Seconds of processor time that the work takes, in the middle of all runs."""
        return statistics.median(self.busy)

    def _answer(self) -> dict:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended early, see its message above")
        return json.loads(line)


def compare(
    contenders: list[Contender],
    rounds: int,
    each: int,
    warmup: int = 3,
    check: Callable[[list[Contender]], object] | None = None,
) -> None:
    """Let the contenders work in turn: ``rounds`` times, ``each`` runs at a time.

    ``check`` looks at what they have computed in the runs before, which are not counted.
    """
    for contender in contenders:
        contender.start()
        contender.run(warmup, counted=False)
    if check:
        check(contenders)
    for _ in range(rounds):
        for contender in contenders:
            contender.run(each)
    for contender in contenders:
        contender.stop()


def hold_equal(contenders: list[Contender], within: float = 1e-4) -> None:
    """End the benchmark unless all have had the same losses: they would not do the same work."""
    first, *others = contenders
    for other in others:
        for step, (ours, theirs) in enumerate(zip(first.results, other.results, strict=True)):
            if not abs(ours - theirs) <= within:
                raise SystemExit(
                    f"{first.name} and {other.name} do not compute the same: after {step} steps "
                    f"from the same weights their losses are {ours:.6f} and {theirs:.6f}"
                )


def machine() -> str:
    """What the readings depend on; above all the kernels that NumPy's BLAS has chosen.

    OpenBLAS takes those that fit the processor, unless the environment variable OPENBLAS_CORETYPE
    names others, which may be half as fast.
    """
    import numpy as np

    blas = "BLAS unknown (threadpoolctl is not installed)"
    try:
        import threadpoolctl
    except ImportError:
        pass
    else:
        libraries = [lib for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"]
        blas = ", ".join(
            f"{lib['internal_api']} {lib['version']} with {lib.get('architecture')} kernels"
            for lib in libraries
        )
    forced = os.environ.get("OPENBLAS_CORETYPE")
    chosen = f" (OPENBLAS_CORETYPE={forced})" if forced else ""
    python = platform.python_version()
    return f"{os.cpu_count()} cores, Python {python}, NumPy {np.__version__}, {blas}{chosen}"


def resident_memory() -> float:
    """MB of memory that this process holds now (0 where the system does not tell)."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if "VmRSS" in line)
    except OSError:
        return 0.0


def peak_memory() -> float:
    """MB of memory that this process held at most (0 where the system does not tell)."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if platform.system() == "Darwin" else 1024)
