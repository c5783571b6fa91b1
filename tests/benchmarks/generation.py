"""Generation with minigpt against Transformers on the same processor: tokens a second, and memory.

    python tests/benchmarks/generation.py --new-tokens 128
    python tests/benchmarks/generation.py --batch-size 8
    python tests/benchmarks/generation.py --prompt 512 --new-tokens 1

Both models have GPT-2's architecture (124M parameters by default), random weights, read the same
prompt and write greedily with a key–value cache. Needs torch and transformers.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks")]

import numpy as np  # noqa: E402
from interleaved import Contender, Work, compare, machine, serve  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="gpt2", help="a size that GPTConfig.preset knows")
    parser.add_argument("--prompt", type=int, default=16, help="tokens in the prompt")
    parser.add_argument("--new-tokens", type=int, default=128, help="tokens to write")
    parser.add_argument("--batch-size", type=int, default=1, help="sequences at once")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="PyTorch's threads")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each of the two gets")
    parser.add_argument("--serve", choices=("minigpt", "transformers"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        work = minigpt_work if args.serve == "minigpt" else transformers_work
        serve(lambda: work(args))
        return

    contenders = [
        Contender(name, [__file__, *sys.argv[1:], "--serve", name])
        for name in ("minigpt", "transformers")
    ]
    print(machine())
    compare(contenders, args.rounds, each=1, warmup=1)
    print(
        f"{args.model}, prompt {args.prompt}, {args.new_tokens} new tokens, batch "
        f"{args.batch_size}; {args.rounds} runs each"
    )
    for c in contenders:
        tokens = args.batch_size * args.new_tokens / c.median
        print(
            f"{c.name:12} {c.median:7.3f} s (fastest {min(c.times):.3f})  {tokens:7.2f} tokens/s  "
            f"peak {c.peak:6.0f} MB"
        )
    ours, theirs = contenders
    print(f"speed ratio (transformers / minigpt): {theirs.median / ours.median:.2f}")


def prompt(args: argparse.Namespace, vocab_size: int) -> np.ndarray:
    shape = args.batch_size, args.prompt
    return np.random.default_rng(0).integers(0, vocab_size - 1, shape)


def minigpt_work(args: argparse.Namespace) -> Work:
    import minigpt as mg

    config = mg.GPTConfig.preset(args.model)
    sampler = mg.Sampler(mg.GPT(config, seed=0))
    ids = prompt(args, config.vocab_size)
    return lambda: sampler.generate_ids(ids, args.new_tokens, temperature=0)


def transformers_work(args: argparse.Namespace) -> Work:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    import minigpt as mg

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    c = mg.GPTConfig.preset(args.model)
    config = GPT2Config(
        vocab_size=c.vocab_size,
        n_positions=c.block_size,
        n_embd=c.n_embd,
        n_layer=c.n_layer,
        n_head=c.n_head,
    )
    model = GPT2LMHeadModel(config).eval()
    ids = torch.from_numpy(prompt(args, c.vocab_size))
    options = {
        "max_new_tokens": args.new_tokens,
        "min_new_tokens": args.new_tokens,
        "do_sample": False,
        "pad_token_id": c.vocab_size - 1,
        "attention_mask": torch.ones_like(ids),
    }

    def work() -> object:
        with torch.inference_mode():
            return model.generate(ids, **options)

    return work


if __name__ == "__main__":
    main()
