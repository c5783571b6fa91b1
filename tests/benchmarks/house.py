"""A training step of every kind of model against the same thing built of PyTorch's modules.

    python tests/benchmarks/house.py
    python tests/benchmarks/house.py --models lstm seq2seq --size baby --rounds 3
    python tests/benchmarks/house.py --models lora --size wide --threads 1

A step is forward, backward, clipping of the gradient norm and the optimizer, on one batch; texts of
the encoders have lengths from half the context to all of it, the rest is padding. LSTMs carry their
state from step to step. Before anything is timed, both sides take three steps from the same
weights: their losses must agree, so that they compute, clip and move the same. PyTorch runs
eagerly. Needs torch, and threadpoolctl for several workers.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks")]

import numpy as np  # noqa: E402
from house_models import KINDS, SIZES, TOLERANCE, Kind, Size, lstm, size_of  # noqa: E402
from interleaved import Contender, Work, compare, machine, serve  # noqa: E402

CHECKED_STEPS, RATE = 3, 1e-3


# ── the steps ─────────────────────────────────────────────────────────────────────────────────


class TheSameBatch:
    """Batches for a Trainer: one, again and again."""

    batches_per_epoch = 1

    def __init__(self, batch: tuple[np.ndarray, ...]) -> None:
        self._batch = batch

    def next_batch(self) -> tuple[np.ndarray, ...]:
        return self._batch

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None:
        pass


def minigpt_step(kind: Kind, size: Size, threads: int, model: Any = None) -> Work:
    import minigpt as mg

    model, batch = model or kind.ours(size), kind.batch(size)
    if kind.ours is lstm:
        batch = (*batch, model.new_state(size.batch_size))  # the loss leaves the next one there
    config = mg.TrainerConfig(
        max_steps=10**6, batch_size=size.batch_size, learning_rate=RATE, schedule="constant",
        warmup_steps=0, optimizer=kind.optimizer, workers=threads, progress=False,
    )  # fmt: skip
    return mg.Trainer(model, TheSameBatch(batch), None, config).train_step


def torch_step(kind: Kind, size: Size, threads: int, ours: Any = None) -> Work:
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = kind.theirs(size, ours)
    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizers = torch_optimizers(kind.optimizer, learned)
    batch, state = [torch.from_numpy(array) for array in kind.batch(size)], None

    def step() -> float:
        nonlocal state
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        if kind.ours is lstm:
            loss, state = model.loss(*batch, state)
        else:
            loss = model.loss(*batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned.values(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        return float(loss.detach())

    return step


def torch_optimizers(name: str, learned: dict[str, Any]) -> list[Any]:
    """With the settings that a Trainer has; Muon moves the matrices of blocks."""
    import torch

    if name == "adam":
        return [torch.optim.Adam(learned.values(), RATE, (0.9, 0.99))]
    hidden = [p for n, p in learned.items() if name == "muon" and "blocks" in n and p.ndim == 2]
    others = [p for p in learned.values() if all(p is not h for h in hidden)]
    groups = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizers: list[Any] = [
        torch.optim.AdamW([g for g in groups if g["params"]], RATE, (0.9, 0.99))
    ]
    if hidden:
        muon = torch.optim.Muon(hidden, RATE, 0.1, adjust_lr_fn="match_rms_adamw")
        optimizers.append(muon)
    return optimizers


def check_the_same(name: str, size: Size, threads: int) -> None:
    """Both sides' losses at each of the first steps, from the same weights.

    Those of a new model are so small that any would have a loss of log V: larger ones are drawn.
    """
    kind, rng = KINDS[name], np.random.default_rng(0)
    model = kind.ours(size)
    for p in model.parameters():
        noise = rng.standard_normal(p.shape)
        p.assign(noise / p.shape[0] ** 0.5 if p.ndim > 1 else p.data + 0.1 * noise)
    theirs = torch_step(kind, size, threads, model)  # takes the weights before they move
    ours = minigpt_step(kind, size, threads, model)
    for step in range(CHECKED_STEPS):
        found, expected = float(ours()), float(theirs())  # type: ignore[arg-type]
        tolerance = kind.tolerance if step else TOLERANCE
        if not abs(found - expected) <= tolerance * abs(expected):
            raise SystemExit(
                f"{name}: at step {step}, minigpt's loss is {found:.6f} and PyTorch's "
                f"{expected:.6f}: they do not compute the same"
            )


# ── the comparison ────────────────────────────────────────────────────────────────────────────


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each side")
    parser.add_argument("--rounds", type=int, default=6, help="turns that each of them gets")
    parser.add_argument("--each", type=int, default=10, help="steps in a turn")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.threads == 1:
        import threadpoolctl

        threadpoolctl.threadpool_limits(1, user_api="blas")
    if args.serve:
        side, name = args.serve
        step = minigpt_step if side == "minigpt" else torch_step
        serve(lambda: step(KINDS[name], size_of(name, args.size), args.threads))
        return

    print(machine())
    print(f"{args.size}, {args.threads} threads each; {args.rounds} x {args.each} steps each")
    print("model       | wall ms: minigpt  torch  ratio | processor ms: minigpt  torch  ratio")
    for name in args.models:
        check_the_same(name, size_of(name, args.size), args.threads)
        contenders = [contender(side, name) for side in ("minigpt", "torch")]
        beside = KINDS[name].beside
        if beside is not None:
            contenders.append(contender("minigpt", beside))
        compare(contenders, args.rounds, args.each)
        ours, theirs = contenders[:2]
        print(
            f"{name:11} | {1000 * ours.median:16.1f} {1000 * theirs.median:6.1f} "
            f"{theirs.median / ours.median:6.2f} | {1000 * ours.median_busy:21.1f} "
            f"{1000 * theirs.median_busy:6.1f} {theirs.median_busy / ours.median_busy:6.2f}"
        )
        for other in contenders[2:]:
            print(
                f"{'':11} | {ours.median / other.median:.2f} of the step of {other.name} "
                f"({1000 * other.median:.1f} ms), {ours.median_busy / other.median_busy:.2f} of "
                "its processor time"
            )


def contender(side: str, name: str) -> Contender:
    return Contender(f"{side}'s {name}", [__file__, *sys.argv[1:], "--serve", side, name])


if __name__ == "__main__":
    main()
