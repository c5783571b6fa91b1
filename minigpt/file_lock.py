"""Holding an open file, so that other processes see that somebody is at it.

The system lets go of it when the process ends, however it ends: what a killed process held is free.
"""

from __future__ import annotations

import sys
from typing import IO

_FAR = 1 << 30  # on Windows a locked byte cannot be read: one that nobody reads


def hold(file: IO[bytes]) -> bool | None:
    """Try to hold an open file until it is closed.

    Returns:
        True; or False where another process, or another open file of this one, holds it; or None
        where the file system knows no locks.
    """
    if sys.platform == "win32":
        import msvcrt

        place = file.tell()
        file.seek(_FAR)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            file.seek(place)
    else:
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return None
    return True
