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


def some(items: Sequence[T], plain: int, which: str = "") -> list[T]:
    """As many as ``amount(plain)``, drawn by the name ``which``; or all, if there are no more."""
    count = min(amount(plain), len(items))
    drawn = np.random.default_rng([0, *which.encode()]).choice(len(items), count, replace=False)
    return [items[i] for i in sorted(drawn)]
