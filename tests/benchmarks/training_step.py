"""A training step of minigpt against PyTorch's on the same processor: time and memory.

    python tests/benchmarks/training_step.py --size small
    python tests/benchmarks/training_step.py --size baby --dropout 0.2

A step is forward, backward, clipping of the gradient norm and AdamW, on the same model and batch;
PyTorch runs eagerly, with all cores. Needs torch, and threadpoolctl for several workers.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks"), str(ROOT / "tests" / "parity")]

import numpy as np  # noqa: E402
from interleaved import Contender, Work, compare, machine, serve  # noqa: E402

SIZES = {  # vocab_size, n_layer, n_head, n_embd, block_size, batch_size
    "small": (65, 4, 4, 128, 64, 12),
    "baby": (65, 6, 6, 384, 256, 8),
    "gpt2": (50257, 12, 12, 768, 256, 4),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--context", type=int, help="tokens of a sequence; that of the size else")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--recompute", action="store_true", help="minigpt keeps no activations")
    parser.add_argument("--workers", default="auto", help='minigpt\'s threads: a number or "auto"')
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="PyTorch's threads")
    parser.add_argument("--rounds", type=int, default=10, help="turns that each of the two gets")
    parser.add_argument("--each", type=int, default=5, help="steps in a turn")
    parser.add_argument("--serve", choices=("minigpt", "torch"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve((lambda: minigpt_step(args)) if args.serve == "minigpt" else lambda: torch_step(args))
        return

    contenders = [
        Contender(name, [__file__, *sys.argv[1:], "--serve", name]) for name in ("minigpt", "torch")
    ]
    print(machine())
    compare(contenders, args.rounds, args.each)
    vocab_size, n_layer, n_head, n_embd, block_size, batch_size = shape_of(args)
    print(
        f"{args.size}: {n_layer} layers, {n_head} heads, width {n_embd}, context {block_size}, "
        f"batch {batch_size}, vocabulary {vocab_size}, dropout {args.dropout}; {args.rounds} x "
        f"{args.each} steps each"
    )
    for c in contenders:
        tokens = batch_size * block_size / c.median
        print(
            f"{c.name:8} {1000 * c.median:8.1f} ms/step (fastest {1000 * min(c.times):.1f})  "
            f"{tokens:9,.0f} tokens/s  peak {c.peak:6.0f} MB, {c.peak - c.prepared:6.0f} MB of it "
            "for the steps"
        )
    ours, theirs = contenders
    print(f"speed ratio (torch / minigpt): {theirs.median / ours.median:.2f}")
    print(
        f"peak memory (minigpt / torch): {ours.peak / theirs.peak:.2f} of the process, "
        f"{(ours.peak - ours.prepared) / (theirs.peak - theirs.prepared):.2f} of the steps alone"
    )


def shape_of(args: argparse.Namespace) -> tuple[int, ...]:
    """The numbers of SIZES, with the context that was asked for."""
    *model, block_size, batch_size = SIZES[args.size]
    return (*model, args.context or block_size, batch_size)


def batch(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    vocab_size, _, _, _, block_size, batch_size = shape_of(args)
    tokens = np.random.default_rng(0).integers(0, vocab_size, (batch_size, block_size + 1))
    return tokens[:, :-1], tokens[:, 1:]


def minigpt_step(args: argparse.Namespace) -> Work:
    import minigpt as mg

    vocab_size, n_layer, n_head, n_embd, block_size, batch_size = shape_of(args)
    config = mg.GPTConfig(
        vocab_size,
        block_size,
        n_layer,
        n_head,
        n_embd,
        dropout=args.dropout,
        bias=False,
        recompute=args.recompute,
    )
    workers = args.workers if args.workers == "auto" else int(args.workers)
    trainer = mg.Trainer(
        mg.GPT(config, seed=0),
        np.random.default_rng(0).integers(0, vocab_size, 100_000).astype(np.uint16),
        None,
        mg.TrainerConfig(
            max_steps=10**6, batch_size=batch_size, workers=workers, progress=False, grad_clip=1.0
        ),
    )
    return trainer.train_step


def torch_step(args: argparse.Namespace) -> Work:
    import torch
    from reference_gpt import ReferenceGPT

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    vocab_size, n_layer, n_head, n_embd, block_size, _ = shape_of(args)
    model = ReferenceGPT(
        vocab_size, block_size, n_layer, n_head, n_embd, bias=False, dropout=args.dropout
    )
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=1e-3,
        betas=(0.9, 0.99),
    )
    ids, targets = (torch.from_numpy(x.astype(np.int64)) for x in batch(args))

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = model.loss(ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return float(loss.detach())

    return step


if __name__ == "__main__":
    main()
