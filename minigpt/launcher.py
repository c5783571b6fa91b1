"""Whether this process is one of several that a launcher has started, such as ``mpiexec -n 4``.

A launcher tells each process by environment variables. Nothing of MPI is imported to read them.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from types import TracebackType
from typing import Any, NoReturn, TypeVar

E = TypeVar("E", bound=BaseException)

# MPICH, Intel MPI, MS-MPI and Slurm's PMI-2; Open MPI; Slurm with PMIx.
_COUNTS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
_RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")
# Seconds that a launcher gets to read what was printed last: once it is told to end the job, it
# reads no more.
_UNTIL_READ = 0.5


def launched() -> tuple[int, int]:
    """(rank, count): which of how many processes this is; (0, 1) where nothing has started several.

    Example:
        >>> launched()
        (0, 1)
    """
    rank = next((os.environ[name] for name in _RANKS if name in os.environ), "")
    count = next((os.environ[name] for name in _COUNTS if name in os.environ), "")
    if not rank.isdecimal() or not count.isdecimal() or int(rank) >= int(count):
        return 0, 1
    return int(rank), int(count)


def known_to_all(error: E) -> E:
    """The error, marked as one that every rank raises: the first one tells it."""
    error.__dict__["known_to_all"] = True
    return error


def is_told_elsewhere(error: BaseException) -> bool:
    """Whether every rank raises this error, or what it came from, and this is not the first rank.

    Example:
        >>> is_told_elsewhere(ValueError())
        False
    """
    return launched()[0] > 0 and is_known_to_all(error)


def is_known_to_all(error: BaseException | None) -> bool:
    """Whether every rank raises this error, or what it came from."""
    while error is not None:
        if error.__dict__.get("known_to_all"):
            return True
        error = error.__cause__ or error.__context__
    return False


def end_the_job(code: int) -> None:
    """End all processes of the job at once, those of other machines too; nothing where it is one.

    MPI has a call for it. Before MPI has begun, the others would wait for this process in their own
    beginning; there is no message for that, but a launcher ends all when one is killed.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    if launched()[1] > 1:
        time.sleep(_UNTIL_READ)
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is not None and not mpi.Is_finalized():
        if mpi.COMM_WORLD.size > 1:
            mpi.COMM_WORLD.Abort(code)
            os._exit(code)  # MPICH only asks its launcher to end this process, and comes back
    elif launched()[1] > 1:
        import signal

        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def _tell_and_end(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """``sys.excepthook`` of one of several: an error that nobody catches ends the others too."""
    if is_told_elsewhere(error):
        return
    import socket
    import traceback

    rank, count = launched()
    told = "".join(traceback.format_exception(kind, error, trace))
    if not is_known_to_all(error):
        told = f"rank {rank} of {count}, on {socket.gethostname()}:\n{told}"
    if sys.stderr is not None:
        sys.stderr.write(told)
    if not is_known_to_all(error):
        end_the_job(1)


class _Exit(SystemExit):
    """What ``sys.exit`` of one of several raises: it notes its status where nobody catches it.

    The interpreter then reads ``code`` itself, with no Python function of the script around it.
    """

    of_the_process: object = None

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name == "code" and sys._getframe().f_back is None:
            _Exit.of_the_process = value
        return value


def _exit(status: Any = None, /) -> NoReturn:
    """``sys.exit`` of one of several; in a thread of its own, it ends only that thread."""
    in_main = threading.current_thread() is threading.main_thread()
    raise _Exit(status) if in_main else SystemExit(status)


def _end_unless_well() -> None:
    """At the end of a process: a status other than 0 ends the others, if MPI has not begun.

    They would wait for it in the beginning of MPI. Once they have met, they see that it has left.
    """
    if _Exit.of_the_process not in (None, 0) and "mpi4py.MPI" not in sys.modules:
        end_the_job(1)


def end_together() -> None:
    """Let this process end the others too where it fails and there are others.

    It fails by an error that nobody catches, and by ``sys.exit`` with a status other than 0.
    """
    if launched()[1] > 1:
        sys.excepthook = _tell_and_end
        sys.exit = _exit
        atexit.register(_end_unless_well)
