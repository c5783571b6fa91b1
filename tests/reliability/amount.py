"""How much is tried: little in a plain run of the tests, and as much as one likes on purpose.

MINIGPT_RELIABILITY=N python -m pytest tests/reliability
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def amount(plain: int) -> int:
    """How many of something to try: MINIGPT_RELIABILITY where it is set, else ``plain``."""
    return int(os.environ.get("MINIGPT_RELIABILITY") or plain)


def some(items: Sequence[T], plain: int) -> list[T]:
    """The first, the last and others drawn between them, as many as ``amount(plain)``; or all."""
    count = amount(plain)
    if len(items) <= count:
        return list(items)
    ends = [0, len(items) - 1][:count]
    rng = np.random.default_rng(len(items))
    rest = rng.choice(np.arange(1, len(items) - 1), max(0, count - len(ends)), replace=False)
    return [items[i] for i in sorted({*ends, *rest.tolist()})]
