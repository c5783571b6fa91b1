"""What a run has seen so far: its recorded steps and its evaluations, in memory and as a file."""

from __future__ import annotations

import heapq
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from minigpt import checks
from minigpt.atomic import replacing
from minigpt.autograd import Array
from minigpt.checkpoints.checkpoint import under
from minigpt.regular_files import open_regular
from minigpt.training.records import Record, Records

if TYPE_CHECKING:
    from minigpt.drawing import ThemeName

Kind = Literal["steps", "evaluations"]
MOST_STEPS = 10_000  # records of steps: more points than a curve shows, half a megabyte
_LONGEST_LINE = 1 << 16  # bytes of a record
_KINDS: tuple[Kind, ...] = ("steps", "evaluations")


class History:
    """The records of a run, each a dict of numbers; see :class:`~minigpt.training.records.Records`.

    Attributes:
        steps: ``step, loss, learning_rate, grad_norm, tokens_per_second, elapsed`` of the steps
            that were recorded; ``loss`` and ``grad_norm`` are those of the step's own batch. A
            run keeps 10,000 of them at most, see ``log_interval`` of ``TrainerConfig``.
        evaluations: ``step, elapsed``, and ``train_loss, train_accuracy, train_perplexity`` and
            the same for ``val_`` on the fixed batches of :meth:`Trainer.evaluate`.

    Example:
        >>> history = History()
        >>> history.steps.append({"step": 1, "loss": 4.2})
        >>> history.evaluations.append({"step": 1, "val_loss": 4.1})
        >>> history.column("loss"), history.column("val_loss")
        ([4.2], [4.1])
    """

    def __init__(self, steps: Iterable[Record] = (), evaluations: Iterable[Record] = ()) -> None:
        self.steps = Records(steps)
        self.evaluations = Records(evaluations)

    def column(self, name: str, records: Kind | None = None) -> list[float]:
        """One value of every record that has it.

        Args:
            name: such as ``"loss"`` or ``"val_loss"``.
            records: which records; by default the steps, or the evaluations where no step has it.

        Raises:
            KeyError: no record has such a value.
        """
        checks.text("name", name)
        if records is not None:
            checks.one_of("records", records, _KINDS)
        for kind in _KINDS if records is None else (records,):
            if found := getattr(self, kind).column(name):
                return found
        known = sorted(self.steps.names | self.evaluations.names)
        raise KeyError(f"no record has {name!r}, they have: {', '.join(known) or 'nothing yet'}")

    def __repr__(self) -> str:
        last = self.evaluations[-1] if self.evaluations else {}
        losses = "".join(f", {name}={last[name]:.4f}" for name in last if name.endswith("_loss"))
        return f"History({len(self.steps)} steps, {len(self.evaluations)} evaluations{losses})"

    def _repr_html_(self) -> str:
        from minigpt.training.plots import history_html

        return history_html(self)

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        ax: Any = None,
        *,
        smoothing: float = 0.9,
        theme: ThemeName | None = None,
    ) -> Any:
        """Draw the losses over the steps; a notebook shows the figure that is returned.

        The arguments are as in :func:`minigpt.viz.losses`, which also draws several runs in one.

        Returns:
            The figure.

        Raises:
            ImportError: matplotlib is missing; says how to install it.
            ValueError: the history is empty.
        """
        from minigpt.training.plots import plot_losses

        return plot_losses(self, smoothing=smoothing, path=path, ax=ax, theme=theme)

    # ── inside a checkpoint ───────────────────────────────────────────────────────────────────

    def to_dict(self) -> dict[str, list[Record]]:
        """Both lists, for JSON."""
        return {"steps": list(self.steps), "evaluations": list(self.evaluations)}

    def to_arrays(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Both lists as arrays, by name, and what JSON says of them."""
        arrays: dict[str, Array] = {}
        names: dict[str, Any] = {}
        for kind in _KINDS:
            columns, names[kind] = getattr(self, kind).to_arrays()
            arrays |= {f"{kind}/{name}": column for name, column in columns.items()}
        return arrays, names

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], names: Mapping[str, Any]) -> History:
        """What :meth:`to_arrays` gave; or :meth:`to_dict`, as in checkpoints of version 1.

        ``arrays`` and ``names`` are the two that it gave.

        Raises:
            ValueError, KeyError, TypeError: it is something else.
        """
        history = cls()
        for kind in _KINDS:
            if isinstance(names[kind], list):
                records = Records(_checked(record, kind) for record in names[kind])
            else:
                records = Records.from_arrays(under(f"{kind}/", arrays), names[kind])
            setattr(history, kind, records)
        return history

    # ── as JSON lines, beside the checkpoints ─────────────────────────────────────────────────

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write every record as one line to the file at ``path``, in the order they came about.

        Raises:
            OSError: the file could not be written.
        """
        with replacing(checks.path("path", path)) as file:
            file.writelines(line(kind, record).encode() for kind, record in self._in_order())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> History:
        """Read the ``history.jsonl`` at ``path``, or that of a run's folder.

        A last line that a killed run did not finish is left out.

        Raises:
            ValueError: it is not a file of such lines.
            OSError: there is no such file, or it may not be read.
        """
        path = checks.path("path", path)
        path = path / "history.jsonl" if path.is_dir() else path
        history = cls()
        with _opened(path) as file:
            for number, text in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
                if not text.endswith(b"\n") and len(text) < _LONGEST_LINE:
                    break
                try:
                    entry = json.loads(text)
                    kind = entry.pop("kind")
                    records = {"step": history.steps, "evaluation": history.evaluations}[kind]
                    records.append(_checked(entry, kind))
                except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
                    raise ValueError(f"{path}, line {number} is not a record of a run") from None
        return history

    def _in_order(self) -> Iterator[tuple[str, Record]]:
        """Step by step; the evaluation after a step follows it. A record is made when it is due."""
        steps = (("step", record) for record in self.steps)
        evaluations = (("evaluation", record) for record in self.evaluations)
        return heapq.merge(steps, evaluations, key=lambda entry: entry[1].get("step", 0))


def _opened(path: Path) -> IO[bytes]:
    try:
        return open_regular(path)
    except FileNotFoundError:
        why = "a run with a checkpoint_dir writes one"
        raise FileNotFoundError(f"there is no history {path}: {why}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def record_interval(log_interval: int, step: int) -> int:
    """Steps between two records at a step: log_interval, doubled as often as the run is long."""
    interval = log_interval
    while step > MOST_STEPS * interval:
        interval *= 2
    return interval


def thin(steps: Records, interval: int) -> bool:
    """If the records are too many, only those of multiples of ``interval`` stay; whether so."""
    if len(steps) < MOST_STEPS:
        return False
    numbers = np.array([record.get("step", 0) for record in steps])
    steps.keep(numbers % interval == 0)
    return True


def line(kind: str, record: Record) -> str:
    """One record as a line of a history file."""
    return json.dumps({"kind": kind, **record}) + "\n"


def _checked(record: Any, kind: str) -> Record:
    if not isinstance(record, dict) or not all(
        isinstance(key, str) and isinstance(value, (int, float)) for key, value in record.items()
    ):
        raise ValueError(f"{kind}: {record!r} is not a record of a history")
    return record
