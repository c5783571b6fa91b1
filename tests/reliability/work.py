"""Work to be killed: ``python -m tests.reliability.work WHAT FOLDER`` prints a line a piece.

WHAT is a save of the table, done over and over; or "BPETokenizer.train"; or "Sampler.stream", which
writes to a log.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import minigpt as mg
from tests.reliability.saves import SAVES, TEXT, model

LOG = "log.txt"


def stream(folder: Path) -> None:
    """Write a text that has no end to a log, in whole characters."""
    tokenizer = mg.BPETokenizer.train(TEXT * 9, 280, progress=False)
    with open(folder / LOG, "w", encoding="utf-8", newline="\n") as log:
        for piece in mg.Sampler(model(1), tokenizer).stream("to be", 100_000, seed=0):
            log.write(piece)
            log.flush()
            print(".", flush=True)


def learn(folder: Path) -> None:
    """Learn byte pairs from ever longer texts, and keep each tokenizer."""
    for length in itertools.count(1):
        tokenizer = mg.BPETokenizer.train(TEXT * 50 * length, 270, progress=False)
        tokenizer.save(folder / "tokenizer.json")
        print(length, flush=True)


def save(what: str, folder: Path) -> None:
    for generation in itertools.cycle((1, 2)):
        SAVES[what].save(folder, generation)
        print(generation, flush=True)


if __name__ == "__main__":
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "Sampler.stream":
        stream(folder)
    elif what == "BPETokenizer.train":
        learn(folder)
    else:
        save(what, folder)
