"""How long ``import minigpt`` takes, against NumPy, which is part of it, and PyTorch.

    python tests/benchmarks/import_time.py
    python tests/benchmarks/import_time.py --packages numpy minigpt

Each import runs in a fresh process, in turn, with its files in the system's cache already; the
interpreter's own start is not counted. What is put off until it is asked for must be paid then: so
the time from nothing to the first training step stands beside. Processor time, of all threads,
hardly changes where other programs run too.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import time
start, busy = time.perf_counter(), time.process_time()
{code}
print(time.perf_counter() - start, time.process_time() - busy)
"""
FIRST_STEP = """
import numpy as np
import minigpt as mg
model = mg.GPT(mg.GPTConfig(vocab_size=65, block_size=16, n_layer=1, n_head=2, n_embd=32))
config = mg.TrainerConfig(max_steps=2, batch_size=4, progress=False)
mg.Trainer(model, np.arange(400) % 65, config=config).train_step()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", nargs="+", default=["numpy", "minigpt", "torch"])
    parser.add_argument("--rounds", type=int, default=20, help="processes of each")
    args = parser.parse_args()
    programs = {package: f"import {package}" for package in args.packages}
    programs["first step"] = FIRST_STEP
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for code in programs.values():
        seconds(code)  # fills the caches
    for _ in range(args.rounds):
        for name, code in programs.items():
            times[name].append(seconds(code))

    medians = {}
    for name, pairs in times.items():
        passed, busy = ([1000 * x for x in column] for column in zip(*pairs, strict=True))
        medians[name] = statistics.median(passed)
        print(
            f"{name:10} {medians[name]:7.1f} ms (fastest {min(passed):.1f}), "
            f"{statistics.median(busy):7.1f} ms of processor time (least {min(busy):.1f})"
        )
    for package in args.packages:
        if "minigpt" in medians and package != "minigpt":
            print(f"ratio ({package} / minigpt): {medians[package] / medians['minigpt']:.2f}")


def seconds(code: str) -> tuple[float, float]:
    """Measured by a new process, which finds minigpt in this repository: passed, and busy."""
    run = [sys.executable, "-c", CODE.format(code=code)]
    output = subprocess.run(run, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    passed, busy = map(float, output.split())
    return passed, busy


if __name__ == "__main__":
    main()
