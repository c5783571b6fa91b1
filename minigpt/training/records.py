"""Records of numbers, kept as columns: a long run's take little memory, and little of a checkpoint.

A dict of six numbers takes some 600 bytes, and as much again in a file of JSON; in columns it takes
48, and as arrays in a checkpoint fewer still.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

from minigpt import checks
from minigpt.autograd import Array

Record = dict[str, float]


class Seen(Record):
    """A record that names what it holds where it is asked for something else.

    Example:
        >>> Seen(step=1, train_loss=2.5)["val_loss"]
        Traceback (most recent call last):
        ...
        KeyError: "no 'val_loss' here: there are step, train_loss (what begins with val_ needs
        val_tokens)"
    """

    def __missing__(self, name: str) -> float:
        why = " (what begins with val_ needs val_tokens)" if name.startswith("val_") else ""
        raise KeyError(f"no {name!r} here: there are {', '.join(self)}{why}")


_INTEGERS, _FLOATS = "q", "d"  # the type codes of the columns


class Records(Sequence[Record]):
    """A list of records that grows at its end; what it gives is a dict made for whoever asks.

    Example:
        >>> records = Records([{"step": 1, "loss": 4.5}, {"step": 2, "loss": 4.25, "extra": 1.0}])
        >>> records[-1], records.column("loss"), records.column("extra")
        ({'step': 2, 'loss': 4.25, 'extra': 1.0}, [4.5, 4.25], [1.0])
    """

    def __init__(self, records: Iterable[Mapping[str, float]] = ()) -> None:
        self._columns: dict[str, array[Any]] = {}  # all of one length; 0 where a record has no such
        self._layouts: dict[tuple[str, ...], int] = {}  # the names that records have, numbered
        self._layout_of: array[int] = array("H")  # of each record
        for i, record in enumerate(checks.items("records", records, "a list of records")):
            if not isinstance(record, Mapping):
                raise checks.wrong_type(f"records[{i}]", "a dict of numbers by name", record)
            self.append(record)

    def append(self, record: Mapping[str, float]) -> None:
        """Add a record at the end.

        Raises:
            TypeError: a value is not a number.
        """
        row = {name: _plain(value) for name, value in record.items()}
        for name in row:
            if name not in self._columns:
                self._columns[name] = array(_INTEGERS, [0]) * len(self)
        for name, column in self._columns.items():
            value = row.get(name, 0)
            if isinstance(value, float) and column.typecode == _INTEGERS:
                column = self._columns[name] = array(_FLOATS, column)
            column.append(value)
        self._layout_of.append(self._layouts.setdefault(tuple(row), len(self._layouts)))

    def keep(self, chosen: Array) -> None:
        """Only the records chosen, by a truth value for each, stay."""
        for name, column in self._columns.items():
            self._columns[name] = array(column.typecode, np.array(column)[chosen].tobytes())
        self._layout_of = array("H", np.array(self._layout_of)[chosen].tobytes())

    def column(self, name: str) -> list[float]:
        """One value of every record that has it."""
        having = {number for names, number in self._layouts.items() if name in names}
        if len(having) == len(self._layouts):
            return self._columns[name].tolist() if name in self._columns else []
        pairs = zip(self._columns.get(name, ()), self._layout_of, strict=False)
        return [value for value, layout in pairs if layout in having]

    @property
    def names(self) -> set[str]:
        """The names of all values."""
        return set(self._columns)

    def __len__(self) -> int:
        return len(self._layout_of)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        names = list(self._layouts)[self._layout_of[index]]
        return {name: self._columns[name][index] for name in names}

    def __iter__(self) -> Iterator[Record]:
        layouts = list(self._layouts)
        for index, layout in enumerate(self._layout_of):
            yield {name: self._columns[name][index] for name in layouts[layout]}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Records, list)):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Records({list(self)!r})"

    # ── in a checkpoint ───────────────────────────────────────────────────────────────────────

    def to_arrays(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """The columns as the smallest arrays that hold them exactly, and their names for JSON."""
        arrays = {str(i): np.array(column) for i, column in enumerate(self._columns.values())}
        arrays["layout"] = np.array(self._layout_of)
        arrays = {name: _smallest(column) for name, column in arrays.items()}
        return arrays, {"columns": list(self._columns), "layouts": [*map(list, self._layouts)]}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], names: Mapping[str, Any]) -> Records:
        """What :meth:`to_arrays` gave.

        Raises:
            ValueError, KeyError, TypeError: it is something else.
        """
        records, columns, layouts = cls(), names["columns"], names["layouts"]
        expected = {"layout", *(str(number) for number in range(len(columns)))}
        if arrays.keys() != expected or len({array.shape for array in arrays.values()}) != 1:
            raise ValueError("the columns of the history are not of one length each")
        layout = arrays["layout"]
        if not np.can_cast(layout.dtype, np.uint16) or layout.ndim != 1:
            raise ValueError("the layouts of the history are not numbers of layouts")
        if layout.size and int(layout.max()) >= len(layouts):
            raise ValueError("the records of the history are of unknown layouts")
        if not all(isinstance(name, str) for name in columns) or not all(
            set(each) <= set(columns) for each in layouts
        ):
            raise ValueError("the columns of the history have other names")
        records._layouts = {tuple(each): number for number, each in enumerate(layouts)}
        records._layout_of = array("H", layout.astype(np.uint16).tobytes())
        for number, name in enumerate(columns):
            column = arrays[str(number)]
            code = _FLOATS if column.dtype.kind == "f" else _INTEGERS
            if not np.can_cast(column.dtype, code):
                raise ValueError(f"column {name!r:.80} of the history is of type {column.dtype}")
            records._columns[name] = array(code, column.astype(code).tobytes())
        return records


def _plain(value: Any) -> float:
    """A Python number: an integer where it is one that a column can hold."""
    if isinstance(value, (int, np.integer)) and -(2**63) <= value < 2**63:
        return int(value)
    return float(value)


def _smallest(column: Array) -> Array:
    """The same numbers in the smallest type that holds them all exactly."""
    if column.size == 0:
        return column
    if column.dtype.kind == "f":
        with np.errstate(over="ignore"):
            narrow = column.astype(np.float32)
        return narrow if np.array_equal(narrow, column, equal_nan=True) else column
    low, high = int(column.min()), int(column.max())
    for dtype in (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32):
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return column.astype(dtype)
    return column
