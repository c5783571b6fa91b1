"""What a good call is: a callable, and a fresh set of arguments that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

GoodCall = tuple[Callable[..., Any], dict[str, Any]]
GoodCalls = Mapping[str, Callable[[], GoodCall]]
