"""Writing and training with a small model while another program keeps a core busy.

    python tests/benchmarks/busy_core.py
    python tests/benchmarks/busy_core.py --busy 0     # with all cores free
    python tests/benchmarks/busy_core.py --width 384 --layers 6 --context 256

In turn, A B A B …: with BLAS on all its threads, and as minigpt does it, which holds it on one
where the products are small. Needs threadpoolctl, and a machine on which nothing else runs.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks")]

import numpy as np  # noqa: E402
from interleaved import machine  # noqa: E402

import minigpt as mg  # noqa: E402
from minigpt.blas_threads import MatrixProducts, can_be_controlled  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--busy", type=int, default=1, help="cores that are kept busy")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=200, help="tokens written past the context")
    parser.add_argument("--batch-size", type=int, default=12, help="rows of a training step")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each way gets")
    args = parser.parse_args()
    if not can_be_controlled():
        raise SystemExit('threadpoolctl is not installed: pip install -e ".[fast]"')

    config = mg.GPTConfig(65, args.context, args.layers, n_head=4, n_embd=args.width)
    print(machine())
    print(f"{args.busy} of the cores kept busy; {args.layers} layers of width {args.width}")
    with busy(args.busy):
        report(f"{args.tokens} tokens past the context", writing(config, args.tokens), args.rounds)
        report("a training step, workers=1", training(config, args.batch_size), args.rounds)


def writing(config: mg.GPTConfig, n_tokens: int) -> Callable[[], object]:
    """Text past the context: a pass over the whole window for each token."""
    sampler = mg.Sampler(mg.GPT(config, seed=0))
    prompt = np.random.default_rng(0).integers(0, config.vocab_size, (1, config.block_size))
    return lambda: sampler.generate_ids(prompt, n_tokens, seed=0)


def training(config: mg.GPTConfig, batch_size: int) -> Callable[[], object]:
    """One optimizer step of one worker."""
    tokens = np.random.default_rng(0).integers(0, config.vocab_size, 20_000)
    settings = mg.TrainerConfig(10_000, batch_size=batch_size, workers=1, progress=False)
    trainer = mg.Trainer(mg.GPT(config, seed=0), tokens, None, settings)
    return trainer.train_step


def report(what: str, work: Callable[[], object], rounds: int) -> None:
    """The median time of the work in both ways, taken in turn."""
    never = mock.patch.object(MatrixProducts, "are_small", return_value=False)
    times: dict[str, list[float]] = {"all threads": [], "as it is": []}
    for name, way in (("all threads", never), ("as it is", contextlib.nullcontext())) * (
        rounds + 1
    ):
        with way:
            started = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(taken[1:]) for name, taken in times.items()}
    print(
        f"{what:32}"
        + "  ".join(
            f"{name}: {1000 * medians[name]:8.1f} ms ({1000 * min(times[name]):.1f} to "
            f"{1000 * max(times[name][1:]):.1f})"
            for name in medians
        )
        + f"  ratio {medians['all threads'] / medians['as it is']:.1f}"
    )


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Other programs that never rest."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


if __name__ == "__main__":
    main()
