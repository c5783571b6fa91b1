"""A bound on what a program from a file may do: how many steps, how much text, how long."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

MOST_STEPS = 100_000  # turns of loops, calls, and items of lists
MOST_CHARACTERS = 20_000_000  # of all texts that are made on the way
MOST_SECONDS = 5.0
LARGEST_NUMBER = 2**63


class ChatTemplateError(ValueError):
    """A template that cannot be read, does what it may not, or refuses the conversation."""


class Meter:
    """Counts what is done, and stops it where it is too much."""

    def start(self) -> None:
        """Begin anew."""
        self._steps = self._characters = 0
        self._until = time.monotonic() + MOST_SECONDS
        self._weights: dict[int, tuple[int, Any]] = {}

    def step(self, n: int = 1) -> None:
        """``n`` more things are done."""
        self._steps += n
        if self._steps > MOST_STEPS:
            raise ChatTemplateError(f"it takes more than {MOST_STEPS:,} steps")
        if time.monotonic() > self._until:
            raise ChatTemplateError(f"it takes more than {MOST_SECONDS:g} seconds")

    def write(self, n_characters: int) -> None:
        """So many more characters are about to be made."""
        self._characters += n_characters
        if self._characters > MOST_CHARACTERS:
            raise ChatTemplateError(f"it makes more than {MOST_CHARACTERS:,} characters")

    def made(self, value: Any) -> Any:
        """``value``, which was just made, if it is not too much."""
        if isinstance(value, str):
            self.write(len(value))
        elif isinstance(value, (list, tuple, dict)):
            self.step(len(value))
        elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise ChatTemplateError("it makes a number of more than 64 bits")
        return value

    def built(self, value: Any) -> Any:
        """A list, tuple or dict that the template has built.

        A list may hold the same list twice, and that one another twice: what it weighs, written
        out, is what comparing it costs.
        """
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        weight = 1 + sum(self._weights.get(id(part), (1, None))[0] for part in parts)
        if weight > MOST_STEPS:
            raise ChatTemplateError(f"it builds a list of more than {MOST_STEPS:,} items")
        self._weights[id(value)] = weight, value  # kept, so that no other has its id
        return self.made(value)

    def each(self, values: Any) -> Iterator[Any]:
        """The values, each a step."""
        for value in values:
            self.step()
            yield value

    def joined(self, texts: Iterable[Any]) -> str:
        """The texts, one after the other."""
        parts = []
        for text in texts:
            self.step()
            self.write(len(text))
            parts.append(text)
        return "".join(parts)

    def joined_values(self, values: Iterable[Any], between: str = "", attribute: Any = None) -> str:
        """The values as texts, with ``between`` between them."""
        if attribute is not None:
            raise ChatTemplateError("it joins by an attribute: map(attribute=…) does so first")
        texts: list[str] = []
        for value in values:
            texts += [between] * bool(texts) + [self.written(value)]
        return self.joined(texts)

    def replaced(self, text: str, old: str, new: str, count: int = -1) -> str:
        """``text`` with one string in the place of another."""
        n = text.count(old)
        self.write(len(text) + (n if count is None or count < 0 else min(n, count)) * len(new))
        return text.replace(old, new, -1 if count is None else count)

    def as_json(self, value: Any, indent: int | None = None) -> str:
        """``value`` in JSON, as Transformers writes it."""
        if indent is not None and not 0 <= indent <= 8:
            raise ChatTemplateError(f"it indents JSON by {indent}, 8 are the most")
        return self.joined(json.JSONEncoder(ensure_ascii=False, indent=indent).iterencode(value))

    def written(self, value: Any) -> str:
        """``value`` as text, where it stands between ``{{`` and ``}}``; the undefined is empty."""
        if isinstance(value, (str, int, float)) or value is None:
            return str(self.made(str(value)))
        if type(value).__name__ == "Undefined":
            return ""
        raise ChatTemplateError(f"it writes a {type(value).__name__} without |tojson or |join")
