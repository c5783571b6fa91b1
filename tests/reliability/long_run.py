"""A long training, and a long text: memory, speed, saves and the disk, measured while it goes on.

    OPENBLAS_NUM_THREADS=1 python -m tests.reliability.long_run     20,000 steps, 5,000 tokens
    OPENBLAS_NUM_THREADS=1 python -m tests.reliability.long_run --steps 2000 --tokens 500

Times are those of the processor, and a speed is the median over a stretch. A processor that others
share is now slow, now fast: so a loss and its gradient of a model that does not change are timed in
between, and the speed is also given in units of that. In one step or token of each stretch, and in
a save, the calls of functions are counted, which no clock has a part in. The first fifth warms up.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

import minigpt as mg
from minigpt.training import Callback, history

STRETCHES = 20  # of a run: each has its memory, its speed, its save
SIZES: dict[str, Any] = {
    "vocab_size": 32,
    "block_size": 16,
    "n_layer": 1,
    "n_head": 2,
    "n_embd": 16,
}


class Look(NamedTuple):
    """How things stand after a stretch."""

    step: int
    memory: int  # bytes that are resident
    seconds: float  # of the processor, a step or a token: the median
    units: float  # the same in units of the work that stays the same
    save: float  # seconds of the processor that a checkpoint took
    disk: int  # bytes of the run's folder
    calls: int  # of functions, Python's and C's, in one step or token
    save_calls: int  # of functions, in one save
    save_bytes: int  # of its file


def resident() -> int:
    """Bytes that the process holds now; the C library has given back what it can."""
    gc.collect()
    if hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Unit:
    """Work that is the same at any time."""

    def __init__(self) -> None:
        self.model = mg.GPT(mg.GPTConfig(**SIZES), seed=1)
        self.ids = np.random.default_rng(1).integers(0, SIZES["vocab_size"], (4, 17))
        self.times: list[float] = []

    def take(self) -> None:
        before = time.process_time()
        self.model.loss(self.ids[:, :-1], self.ids[:, 1:]).backward()
        self.times.append(time.process_time() - before)

    def median(self) -> float:
        times, self.times = self.times, []
        return median(times)


class Calls:
    """How many calls there are between begin and end."""

    def begin(self) -> None:
        self.count = 0
        sys.setprofile(self._event)

    def _event(self, frame: FrameType, event: str, argument: object) -> None:
        self.count += event in {"call", "c_call"}

    def end(self) -> int:
        sys.setprofile(None)
        return self.count


class Watch(Callback):
    """Looks at the process and the folder after each stretch."""

    def __init__(self, folder: Path, steps: int) -> None:
        self.folder, self.every = folder, steps // STRETCHES
        self.looks: list[Look] = []
        self.times: list[float] = []
        self.unit = Unit()
        self.calls = Calls()
        self.last = time.process_time()

    def on_step(self, trainer: mg.Trainer, record: dict[str, float]) -> None:
        now = time.process_time()
        self.times.append(now - self.last)
        if trainer.step % 5 == 0:
            self.unit.take()
        if trainer.step % self.every == 0:
            calls = self.calls.end()
            path = self.folder / "elsewhere.npz"
            before = time.process_time()
            trainer.save(path)
            save = time.process_time() - before
            self.calls.begin()
            trainer.save(path)
            save_calls = self.calls.end()
            save_bytes = path.stat().st_size
            path.unlink()
            disk = sum(each.stat().st_size for each in self.folder.rglob("*") if each.is_file())
            each, unit = median(self.times), self.unit.median()
            self.looks.append(
                Look(
                    trainer.step, resident(), each, each / unit, save, disk, calls, save_calls,
                    save_bytes,
                )
            )  # fmt: skip
            self.times = []
        elif trainer.step % self.every == self.every - 1:
            self.calls.begin()  # of the next step
        self.last = time.process_time()


def train(steps: int, folder: Path, log_interval: int = 1) -> list[Look]:
    """A run of so many steps with everything that a run leaves behind."""
    tokens = np.random.default_rng(0).integers(0, SIZES["vocab_size"], 20_000)
    watch = Watch(folder, steps)
    config = mg.TrainerConfig(
        max_steps=steps, batch_size=4, learning_rate=1e-3, workers=1, progress=False,
        eval_interval=max(1, steps // 40), eval_batches=2, checkpoint_dir=folder,
        checkpoint_interval=max(1, steps // 40), log_interval=log_interval,
    )  # fmt: skip
    mg.Trainer(
        mg.GPT(mg.GPTConfig(**SIZES), seed=0), tokens, tokens[:500], config, callbacks=[watch]
    ).fit()
    return watch.looks


def write(tokens: int) -> list[Look]:
    """A text of so many tokens past the context, as a stream."""
    characters = mg.CharTokenizer("".join(map(chr, range(64, 96))))
    sampler = mg.Sampler(mg.GPT(mg.GPTConfig(**SIZES), seed=0), characters)
    every, looks, times, unit = max(5, tokens // STRETCHES), [], [], Unit()
    calls = Calls()
    last = time.process_time()
    for count, _ in enumerate(sampler.stream("AB", tokens + SIZES["block_size"], seed=0), start=1):
        now = time.process_time()
        times.append(now - last)
        if count % 5 == 0:
            unit.take()
        if count % every == 0:
            called = calls.end()
            each = median(times)
            looks.append(Look(count, resident(), each, each / unit.median(), 0.0, 0, called, 0, 0))
            times = []
        elif count % every == every - 1:
            calls.begin()
        last = time.process_time()
    return looks


class Growth(NamedTuple):
    """The last fifth of the looks beside the second, the first being the warm-up; 0.01 is 1 %."""

    memory: float
    units: float
    save: float
    disk: float
    calls: float
    save_calls: float
    save_bytes: float


def growth(looks: list[Look]) -> Growth:
    fifth = len(looks) // 5
    early, late = looks[fifth : 2 * fifth], looks[-fifth:]

    def change(name: str) -> float:
        first, last = (median(getattr(look, name) for look in part) for part in (early, late))
        return last / first - 1 if first else 0.0

    return Growth(*(change(name) for name in Growth._fields))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--tokens", type=int, default=5_000)
    parser.add_argument("--log-interval", type=int, default=1, help="steps that make a record")
    parser.add_argument("--records", type=int, default=history.MOST_STEPS, help="kept at most")
    args = parser.parse_args()
    history.MOST_STEPS = args.records
    with tempfile.TemporaryDirectory() as folder:
        show("training", train(args.steps, Path(folder), args.log_interval))
        print("left:", ", ".join(sorted(path.name for path in Path(folder).iterdir())))
    show("writing", write(args.tokens))


def show(name: str, looks: list[Look]) -> None:
    heads = "after", "memory MB", "each ms", "units", "save ms", "disk KB", "calls", "save's"
    print(name, "{:>8} {:>10} {:>8} {:>6} {:>8} {:>8} {:>6} {:>6}".format(*heads), sep="\n")
    for look in looks:
        print(
            f"{look.step:8,} {look.memory / 1e6:10.2f} {1e3 * look.seconds:8.3f} {look.units:6.3f} "
            f"{1e3 * look.save:8.2f} {look.disk / 1e3:8.1f} {look.calls:6,} {look.save_calls:6,}"
        )
    grown = growth(looks)._asdict().items()
    print(", ".join(f"{what} {value:+.2%}" for what, value in grown), flush=True)


if __name__ == "__main__":
    main()
