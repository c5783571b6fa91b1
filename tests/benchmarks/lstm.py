"""The LSTM language model against PyTorch's: milliseconds a step, in turn, each in its own process.

    python tests/benchmarks/lstm.py
    python tests/benchmarks/lstm.py --n-hidden 512 --part layer

A step is forward, backward, clipping of the gradient norm and Adam, with the state carried from
batch to batch; ``--part layer`` is one LSTM layer alone, forward and backward. PyTorch hands its
LSTM to oneDNN, a library of kernels made for each processor; NumPy has matrix products and
elementwise loops. Needs torch, and threadpoolctl for several workers.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks"), str(ROOT / "tests" / "parity")]

import numpy as np  # noqa: E402
from interleaved import Contender, Work, compare, serve  # noqa: E402

VOCAB = 65


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("model", "layer"), default="model")
    parser.add_argument("--n-layer", type=int, default=1)
    parser.add_argument("--n-embd", type=int, default=64)
    parser.add_argument("--n-hidden", type=int, default=256)
    parser.add_argument("--block-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--workers", default="auto", help='minigpt\'s threads: a number or "auto"')
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="PyTorch's threads")
    parser.add_argument("--rounds", type=int, default=10, help="turns that each of the two gets")
    parser.add_argument("--each", type=int, default=5, help="steps in a turn")
    parser.add_argument("--serve", choices=("minigpt", "torch"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        work = {
            ("minigpt", "model"): minigpt_step,
            ("torch", "model"): torch_step,
            ("minigpt", "layer"): minigpt_layer,
            ("torch", "layer"): torch_layer,
        }[args.serve, args.part]
        serve(lambda: work(args))
        return

    contenders = [
        Contender(name, [__file__, *sys.argv[1:], "--serve", name]) for name in ("minigpt", "torch")
    ]
    compare(contenders, args.rounds, args.each)
    print(
        f"{args.part}: {args.n_layer} layers, embedding {args.n_embd}, hidden {args.n_hidden}, "
        f"batch {args.batch_size} x {args.block_size}; {args.rounds} x {args.each} steps each"
    )
    for c in contenders:
        tokens = args.batch_size * args.block_size / c.median
        print(
            f"{c.name:8} {1000 * c.median:8.1f} ms/step (fastest {1000 * min(c.times):.1f})  "
            f"{tokens:9,.0f} tokens/s  peak {c.peak:6.0f} MB"
        )
    ours, theirs = contenders
    print(f"speed ratio (torch / minigpt): {theirs.median / ours.median:.2f}")


def minigpt_step(args: argparse.Namespace) -> Work:
    import minigpt as mg
    from minigpt.models import LSTMConfig, LSTMLanguageModel

    config = LSTMConfig(VOCAB, args.n_embd, args.n_hidden, args.n_layer)
    trainer = mg.Trainer(
        LSTMLanguageModel(config, seed=0),
        np.random.default_rng(0).integers(0, VOCAB, 100_000).astype(np.uint16),
        None,
        mg.TrainerConfig(
            max_steps=10**6,
            batch_size=args.batch_size,
            block_size=args.block_size,
            optimizer="adam",
            carry_state=True,
            workers=args.workers if args.workers == "auto" else int(args.workers),
            progress=False,
        ),
    )
    return trainer.train_step


def torch_step(args: argparse.Namespace) -> Work:
    import torch
    from reference_lstm import ReferenceLSTM

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = ReferenceLSTM(VOCAB, args.n_embd, args.n_hidden, args.n_layer)
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=1e-3, betas=(0.9, 0.99))
    ids, targets = torch.randint(0, VOCAB, (2, args.batch_size, args.block_size))
    state = None

    def step() -> float:
        nonlocal state
        optimizer.zero_grad(set_to_none=True)
        loss, state = model.loss(ids, targets, state)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        return float(loss.detach())

    return step


def minigpt_layer(args: argparse.Namespace) -> Work:
    from minigpt import Tensor
    from minigpt.autograd import gradients
    from minigpt.memory import keep_freed_memory
    from minigpt.nn import LSTM

    keep_freed_memory()
    layer, rng = LSTM(args.n_embd, args.n_hidden, seed=0), np.random.default_rng(0)
    shape = args.batch_size, args.block_size
    x = Tensor(rng.standard_normal((*shape, args.n_embd)).astype(np.float32), requires_grad=True)
    g = rng.standard_normal((*shape, args.n_hidden)).astype(np.float32)
    return lambda: gradients(layer(x)[0], g)


def torch_layer(args: argparse.Namespace) -> Work:
    import torch

    torch.set_num_threads(args.threads)
    layer = torch.nn.LSTM(args.n_embd, args.n_hidden, batch_first=True)
    shape = args.batch_size, args.block_size
    x, g = torch.randn(*shape, args.n_embd, requires_grad=True), torch.randn(*shape, args.n_hidden)
    inputs = [x, *layer.parameters()]
    return lambda: torch.autograd.grad(layer(x)[0], inputs, g)


if __name__ == "__main__":
    main()
