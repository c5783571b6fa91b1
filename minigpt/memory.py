"""Memory that was freed stays with the process, so that the next array need not ask for it again.

A training step makes and drops the same large arrays over and over. By default the C library hands
each back to the operating system when it is freed, and the next one starts as pages that the system
must find and clear at first touch: a tenth of a small step goes there.
"""

from __future__ import annotations

import ctypes
from functools import cache

# Parameters of mallopt(3), from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


@cache
def keep_freed_memory() -> bool:
    """Tell the C library to keep what is freed, for this process and from now on.

    Large arrays then come from the heap, not from mappings of their own (mmap), the heap's end is
    not given back, and all threads share it. The peak is not higher; after the peak the process
    keeps its size.

    Returns:
        Whether that was possible: with glibc (Linux) it is, elsewhere nothing is changed.
    """
    try:
        libc = ctypes.CDLL(None)
        _ = libc.gnu_get_libc_version
        mallopt = libc.mallopt
    except (OSError, TypeError, AttributeError):  # Windows, macOS, another C library
        return False
    requests = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_ARENA_MAX, 1))
    return all([mallopt(name, value) == 1 for name, value in requests])
