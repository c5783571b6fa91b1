"""Two workers against one, and the share of the machine's matrix-product peak that a step reaches.

    python tests/benchmarks/workers.py
    python tests/benchmarks/workers.py --size small --each 20

Every worker has one BLAS thread, the single one too. The peak is the best of several sizes of
``np.matmul`` in float32, on one thread and on two at once, each with its own matrices. What a step
counts as is step_flops in ``training_step.py``. PyTorch brings a BLAS of its own, which may beat
NumPy's. Needs torch and threadpoolctl.
"""

from __future__ import annotations

import argparse
import sys

import threadpoolctl
from interleaved import Contender, Work, compare, hold_equal, machine, serve
from training_step import AS_EVER, minigpt_step, shape_of, step_flops, torch_step

from machine_peaks import PRODUCT_SIZES, Products

CONTENDERS = {"peak 1": 1, "peak 2": 2, "minigpt 1": 1, "minigpt 2": 2, "torch": 2}  # -> threads
WORDS = {1: "one thread", 2: "two threads"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=("small", "baby"), default="baby")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each of them gets")
    parser.add_argument("--each", type=int, default=3, help="steps, or matrix products, in a turn")
    parser.add_argument("--serve", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.set_defaults(threads=2, **AS_EVER)
    args = parser.parse_args()
    if args.serve:
        serve(lambda: work_of(args.serve, args))
        return

    contenders = {
        name: Contender(name, [__file__, *sys.argv[1:], "--serve", name]) for name in CONTENDERS
    }
    print(machine())
    compare(list(contenders.values()), args.rounds, args.each, len(PRODUCT_SIZES), check)
    work = 2 * max(PRODUCT_SIZES) ** 3  # of each thread, in every run
    peaks = {n: n * work / min(contenders[f"peak {n}"].times) for n in (1, 2)}
    flops = step_flops(shape_of(args))
    print(f"{args.size}: {flops / 1e9:.1f} GFLOP a step; {args.rounds} x {args.each} steps each")
    for threads, peak in peaks.items():
        print(f"peak of np.matmul on {WORDS[threads]:11} {peak / 1e9:6.1f} GFLOP/s")
    for name, c in contenders.items():
        if not name.startswith("peak"):
            reached, threads = flops / c.median, CONTENDERS[name]
            print(
                f"{name:9} {1000 * c.median:8.1f} ms/step  {reached / 1e9:6.1f} GFLOP/s, "
                f"{reached / peaks[threads]:4.0%} of the peak on {WORDS[threads]}"
            )
    one, two = contenders["minigpt 1"], contenders["minigpt 2"]
    print(f"two workers against one: {one.median / two.median:.2f} times as fast")


def check(contenders: list[Contender]) -> None:
    hold_equal([c for c in contenders if not c.name.startswith("peak")])


def work_of(name: str, args: argparse.Namespace) -> Work:
    if name == "torch":
        return torch_step(args)
    if name.startswith("peak"):
        return matrix_products(CONTENDERS[name])
    args.workers = CONTENDERS[name]
    step = minigpt_step(args)
    if args.workers == 1:  # several hold BLAS at one thread themselves
        threadpoolctl.threadpool_limits(1, user_api="blas")
        minigpt_step(args)()
        if any(blas["num_threads"] > 1 for blas in blas_libraries()):
            raise SystemExit("the single worker's BLAS has several threads: no fair comparison")
    return step


def blas_libraries() -> list[dict]:
    found = [lib for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"]
    if not found:
        raise SystemExit("threadpoolctl finds no BLAS in this NumPy that it could hold")
    return found


def matrix_products(threads: int) -> Work:
    """The same number of FLOPs with the next of the sizes, on each of several threads."""
    blas_libraries()
    threadpoolctl.threadpool_limits(1, user_api="blas")
    return Products(threads)


if __name__ == "__main__":
    main()
