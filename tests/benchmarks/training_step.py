"""A training step of minigpt against others on the same processor: time and memory.

    python tests/benchmarks/training_step.py --size small
    python tests/benchmarks/training_step.py --size small --against torch torch.compile jax
    python tests/benchmarks/training_step.py --size baby --dropout 0.2

A step is forward, backward, clipping of the gradient norm and AdamW, on the same model and batch.
All begin with the same weights, and the benchmark ends with an error unless the losses of their
first steps, with nothing dropped, are the same. The others:

  torch           PyTorch's modules, run eagerly, with all cores
  torch.compile   the same, with loss and derivative compiled (which takes a C++ compiler), and
                  AdamW as one kernel
  jax             the same model in plain JAX (jax_gpt.py), the whole step compiled; optax's AdamW

What compiling takes is not counted. "of the peak" is the step's matrix products, as step_flops has
them, against the best that NumPy's own reached after each turn, in the same process and threads.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = "", "examples", "tests/benchmarks", "tests/parity"
sys.path[:0] = [str(ROOT / folder) for folder in FOLDERS]

import numpy as np  # noqa: E402
from interleaved import Contender, Work, compare, hold_equal, machine, serve  # noqa: E402

SIZES = {  # vocab_size, n_layer, n_head, n_embd, block_size, batch_size
    "small": (65, 4, 4, 128, 64, 12),
    "baby": (65, 6, 6, 384, 256, 8),
    "gpt2": (50257, 12, 12, 768, 256, 4),
}
AS_EVER = {"context": None, "dropout": 0.0, "recompute": False, "activation": "gelu_tanh"}
LEARNING_RATE, BETAS, WEIGHT_DECAY, MAX_NORM = 1e-3, (0.9, 0.99), 0.1, 1.0
NEEDS = {
    "torch": ["torch", "pytest"],
    "torch.compile": ["torch", "pytest"],
    "jax": ["jax", "optax"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", nargs="+", choices=NEEDS, default=["torch"], help="the others")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--context", type=int, help="tokens of a sequence; that of the size else")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--activation", choices=("gelu_tanh", "gelu_erf"), default="gelu_tanh")
    parser.add_argument("--recompute", action="store_true", help="minigpt keeps no activations")
    parser.add_argument("--workers", default="auto", help='minigpt\'s threads: a number or "auto"')
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="PyTorch's threads")
    parser.add_argument("--rounds", type=int, default=10, help="turns that each of them gets")
    parser.add_argument("--each", type=int, default=5, help="steps in a turn")
    parser.add_argument("--serve", choices=STEPS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        step, about = STEPS[args.serve]
        beside = product_rate(args) if args.serve == "minigpt" else None
        serve(lambda: step(args), lambda: about(args), beside)
        return

    for name in args.against:
        say_what_is_missing(name)

    def contenders(*more: str) -> list[Contender]:
        names = "minigpt", *dict.fromkeys(args.against)
        every = [*sys.argv[1:], *more, "--serve"]
        return [Contender(name, [__file__, *every, name]) for name in names]

    print(machine())
    if args.dropout:  # what each of them drops is another's loss
        compare(contenders("--dropout", "0"), rounds=0, each=0, check=hold_equal)
    found = contenders()
    compare(found, args.rounds, args.each, check=None if args.dropout else hold_equal)
    print_comparison(found, args)


def print_comparison(contenders: list[Contender], args: argparse.Namespace) -> None:
    vocab_size, n_layer, n_head, n_embd, block_size, batch_size = shape_of(args)
    print(
        f"{args.size}: {n_layer} layers, {n_head} heads, width {n_embd}, context {block_size}, "
        f"batch {batch_size}, vocabulary {vocab_size}, {args.activation}, dropout {args.dropout}; "
        f"{args.rounds} x {args.each} steps each"
    )
    for c in contenders:
        print(f"{c.name:13} {c.about}")
    for c in contenders:
        tokens = batch_size * block_size / c.median
        print(
            f"{c.name:13} {1000 * c.median:8.1f} ms/step (fastest {1000 * min(c.times):.1f})  "
            f"{tokens:9,.0f} tokens/s  peak {c.peak:6.0f} MB, {c.peak - c.prepared:6.0f} MB of it "
            "for the steps"
        )
    ours, *others = contenders
    for c in others:
        print(
            f"speed ratio ({c.name} / minigpt): {c.median / ours.median:.2f}; peak memory (minigpt "
            f"/ {c.name}): {ours.peak / c.peak:.2f} of the process, "
            f"{(ours.peak - ours.prepared) / (c.peak - c.prepared):.2f} of the steps only"
        )
    flops, peak = step_flops(shape_of(args)), max(ours.beside)
    print(
        f"minigpt's products: {flops / 1e9:.2f} GFLOP a step, {flops / ours.median / 1e9:.1f} "
        f"GFLOP/s, {flops / ours.median / peak:.0%} of the peak, {peak / 1e9:.1f} GFLOP/s"
    )


def say_what_is_missing(name: str) -> None:
    """End with one line where a contender cannot be had."""
    missing = [package for package in NEEDS[name] if not importlib.util.find_spec(package)]
    if missing:
        raise SystemExit(
            f'--against {name} needs {" and ".join(missing)}: pip install -e ".[bench]"'
        )
    if name == "torch.compile" and not shutil.which(os.environ.get("CXX", "g++")):
        raise SystemExit("--against torch.compile needs a C++ compiler: apt-get install g++")


def shape_of(args: argparse.Namespace) -> tuple[int, ...]:
    """The numbers of SIZES, with the context that was asked for."""
    *model, block_size, batch_size = SIZES[args.size]
    return (*model, args.context or block_size, batch_size)


def step_flops(shape: tuple[int, ...]) -> int:
    """The matrix products of a training step of L layers of width C on contexts of T tokens.

        FLOPs = tokens · (6·N + 6·L·T·C),  N = 12·L·C² + V·C

    N is the parameters that are factors of matrix products (V·C is the head): 2 FLOPs each forward,
    4 backward. Attention adds 12·L·T·C a token, of which a causal mask leaves half. All else counts
    as nothing.
    """
    vocab_size, n_layer, _, n_embd, block_size, batch_size = shape
    parameters = 12 * n_layer * n_embd**2 + vocab_size * n_embd
    return batch_size * block_size * (6 * parameters + 6 * n_layer * block_size * n_embd)


# ── what all begin with ───────────────────────────────────────────────────────────────────────


def batch(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    vocab_size, _, _, _, block_size, batch_size = shape_of(args)
    tokens = np.random.default_rng(0).integers(0, vocab_size, (batch_size, block_size + 1))
    return tokens[:, :-1], tokens[:, 1:]


def initial_weights(args: argparse.Namespace) -> dict[str, np.ndarray]:
    """By minigpt's names, without biases: matrices of normal numbers, and gains of 1."""
    vocab_size, n_layer, _, c, block_size, _ = shape_of(args)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embedding": (vocab_size, c),
        "position_embedding": (block_size, c),
        "final_norm": (c,),
    }
    for i in range(n_layer):
        shapes |= {
            f"blocks.{i}.attention_norm": (c,),
            f"blocks.{i}.attention.qkv_proj": (c, 3 * c),
            f"blocks.{i}.attention.out_proj": (c, c),
            f"blocks.{i}.mlp_norm": (c,),
            f"blocks.{i}.mlp.up_proj": (c, 4 * c),
            f"blocks.{i}.mlp.down_proj": (4 * c, c),
        }
    rng, std = np.random.default_rng(0), np.float32(0.02)
    return {
        f"{name}.weight": np.ones(shape, np.float32)
        if len(shape) == 1
        else std * rng.standard_normal(shape, np.float32)
        for name, shape in shapes.items()
    }


# ── minigpt ───────────────────────────────────────────────────────────────────────────────────


class OneBatch:
    """The same batch again and again, as the other contenders have it."""

    batches_per_epoch = 1

    def __init__(self, args: argparse.Namespace) -> None:
        self._batch = batch(args)

    def next_batch(self) -> tuple[np.ndarray, np.ndarray]:
        return self._batch

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: object) -> None:
        """There is nothing to go on from."""


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
        activation=args.activation,
        recompute=args.recompute,
    )
    model = mg.GPT(config, seed=0)
    model.load_state_dict(initial_weights(args))
    training = mg.TrainerConfig(
        max_steps=10**6,
        batch_size=batch_size,
        workers=args.workers if args.workers == "auto" else int(args.workers),
        learning_rate=LEARNING_RATE,
        schedule="constant",
        betas=BETAS,
        weight_decay=WEIGHT_DECAY,
        grad_clip=MAX_NORM,
        progress=False,
    )
    return mg.Trainer(model, OneBatch(args), None, training).train_step


def product_rate(args: argparse.Namespace) -> Callable[[], float]:
    """FLOP/s of NumPy's best product, on as many threads as a step has; for after each turn."""
    from machine_peaks import Products

    sizes = 256, 512, 1024
    made: list[Products] = []  # after the first turn: its matrices are not the step's memory

    def rate() -> float:
        if not made:
            made.append(Products(workers_of(args), sizes))
        return max(made[0].rate() for _ in sizes)

    return rate


def workers_of(args: argparse.Namespace) -> int:
    from minigpt.training.parallel import auto_workers

    return auto_workers(shape_of(args)[-1]) if args.workers == "auto" else int(args.workers)


def about_minigpt(args: argparse.Namespace) -> str:
    workers = workers_of(args)
    one_each = "with one thread each" if workers > 1 else "(BLAS has as many threads as it likes)"
    return f"{workers} workers {one_each}, NumPy's kernels as above"


# ── PyTorch ───────────────────────────────────────────────────────────────────────────────────


def torch_step(args: argparse.Namespace, compiled: bool = False) -> Work:
    import torch
    from reference_gpt import ReferenceGPT

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    vocab_size, n_layer, n_head, n_embd, block_size, _ = shape_of(args)
    model = ReferenceGPT(
        vocab_size,
        block_size,
        n_layer,
        n_head,
        n_embd,
        bias=False,
        activation=args.activation,
        dropout=args.dropout,
    ).load(initial_weights(args))
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": WEIGHT_DECAY},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=LEARNING_RATE,
        betas=BETAS,
        fused=compiled or None,
    )
    ids, targets = (torch.from_numpy(x.astype(np.int64)) for x in batch(args))
    loss_of = torch.compile(model.loss) if compiled else model.loss

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
        optimizer.step()
        return float(loss.detach())

    return step


def compiled_torch_step(args: argparse.Namespace) -> Work:
    return torch_step(args, compiled=True)


def about_torch(_: argparse.Namespace) -> str:
    import torch

    build = torch.__config__.show().splitlines()
    kernels = [line.strip(" -") for line in build if "oneAPI" in line or "MKL-DNN" in line]
    kernels = [name.split(" Product")[0].split(" (Git")[0] for name in kernels]
    return (
        f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, capability "
        f"{torch.backends.cpu.get_cpu_capability()}, {', '.join(kernels)}"
    )


# ── JAX ───────────────────────────────────────────────────────────────────────────────────────


def jax_step(args: argparse.Namespace) -> Work:
    import jax_gpt

    _, n_layer, n_head, *_ = shape_of(args)
    return jax_gpt.training_step(
        initial_weights(args),
        *batch(args),
        n_layer=n_layer,
        n_head=n_head,
        dropout=args.dropout,
        activation=args.activation,
        learning_rate=LEARNING_RATE,
        betas=BETAS,
        weight_decay=WEIGHT_DECAY,
        max_norm=MAX_NORM,
    )


def about_jax(_: argparse.Namespace) -> str:
    import jax_gpt

    return jax_gpt.about()


Arguments = argparse.Namespace
STEPS: dict[str, tuple[Callable[[Arguments], Work], Callable[[Arguments], str]]] = {
    "minigpt": (minigpt_step, about_minigpt),
    "torch": (torch_step, about_torch),
    "torch.compile": (compiled_torch_step, about_torch),
    "jax": (jax_step, about_jax),
}


if __name__ == "__main__":
    main()
