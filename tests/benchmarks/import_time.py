"""How long ``import minigpt`` takes, against NumPy, which is part of it, and PyTorch.

    python tests/benchmarks/import_time.py
    python tests/benchmarks/import_time.py --packages numpy minigpt

Each import runs in a fresh process, in turn, with its files in the system's cache already; the
interpreter's own start is not counted.
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
start = time.perf_counter()
import {package}
print(time.perf_counter() - start)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", nargs="+", default=["numpy", "minigpt", "torch"])
    parser.add_argument("--rounds", type=int, default=20, help="imports of each")
    args = parser.parse_args()
    times: dict[str, list[float]] = {package: [] for package in args.packages}
    for package in args.packages:
        seconds_to_import(package)  # fills the caches
    for _ in range(args.rounds):
        for package in args.packages:
            times[package].append(seconds_to_import(package))

    medians = {package: statistics.median(seconds) for package, seconds in times.items()}
    for package, median in medians.items():
        print(f"{package:8} {1000 * median:7.1f} ms (fastest {1000 * min(times[package]):.1f})")
    for package in medians:
        if "minigpt" in medians and package != "minigpt":
            print(f"ratio ({package} / minigpt): {medians[package] / medians['minigpt']:.2f}")


def seconds_to_import(package: str) -> float:
    """Measured by a new process, which finds minigpt in this repository."""
    run = [sys.executable, "-c", CODE.format(package=package)]
    return float(subprocess.run(run, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


if __name__ == "__main__":
    main()
