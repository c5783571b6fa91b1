"""A training step on several ranks against threads, one process, and PyTorch, on one machine.

    python tests/benchmarks/many_ranks.py --size small
    python tests/benchmarks/many_ranks.py --size baby --rounds 5

Each works in turn on the same model and batch: a process with one worker, one with two, two ranks
with one worker each (they share the batch, the optimizer's memory and its work), and PyTorch with
two threads. Needs mpi4py, MPICH, torch and threadpoolctl.
"""

from __future__ import annotations

import argparse
import shutil
import sys

from interleaved import Contender, Work, compare, machine, serve
from training_step import AS_EVER, SIZES, minigpt_step, torch_step

CONTENDERS = {"1 worker": 1, "2 workers": 2, "2 ranks": 1, "torch": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--rounds", type=int, default=10, help="turns that each of them gets")
    parser.add_argument("--each", type=int, default=5, help="steps in a turn")
    parser.add_argument("--without", nargs="*", default=[], choices=CONTENDERS, help="leave out")
    parser.add_argument("--serve", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.set_defaults(threads=2, **AS_EVER)
    args = parser.parse_args()
    if args.serve:
        serve_ranks(args) if args.serve == "2 ranks" else serve(lambda: work_of(args))
        return

    arguments = [__file__, *sys.argv[1:], "--serve"]
    mpiexec = shutil.which("mpiexec")
    if mpiexec is None:
        raise SystemExit('mpiexec is not there: pip install "minigpt[mpi]"')
    contenders = []
    for name in CONTENDERS:
        if name in args.without:
            continue
        if name == "2 ranks":
            command = ["-n", "2", sys.executable, *arguments, name]
            contenders.append(Contender(name, command, python=mpiexec))
        else:
            contenders.append(Contender(name, [*arguments, name]))
    print(machine())
    compare(contenders, args.rounds, args.each)
    print(f"{args.size}: {args.rounds} x {args.each} steps each")
    threads = next(c for c in contenders if c.name == "2 workers")
    for c in contenders:
        print(
            f"{c.name:10} {1000 * c.median:8.1f} ms/step (fastest {1000 * min(c.times):.1f}), "
            f"{threads.median / c.median:.2f} times as fast as 2 workers; peak {c.peak:5.0f} MB a "
            "process"
        )


def work_of(args: argparse.Namespace) -> Work:
    if args.serve == "torch":
        return torch_step(args)
    args.workers = CONTENDERS[args.serve]
    return minigpt_step(args)


def serve_ranks(args: argparse.Namespace) -> None:
    """The first rank is asked for work and tells the times; all of them do it."""
    from minigpt.training.ranks import Ranks

    step = work_of(args)
    ranks = Ranks.of_this_job()
    if not ranks.is_first:
        while count := ranks.gathered(0)[0]:
            for _ in range(count):
                step()
        return

    def one_more() -> object:
        ranks.gathered(1)
        return step()

    serve(lambda: one_more)
    ranks.gathered(0)


if __name__ == "__main__":
    main()
