"""Task: stories and poems; a GPT learns from a text, and goes on from a beginning in its manner.

    python examples/stories.py --data path/to/tinyshakespeare.txt
    python examples/stories.py --load runs/stories --prompt "Shall I compare thee" --lines 4
    python examples/stories.py --load runs/stories --temperatures 0.2 0.7 1.2 --samples 2

It reads in byte-pair tokens, about two characters each, and so sees more of a text in the same
context than character by character. What it has learned of the text is told in bits per byte, which
compare whatever the tokens are: beside it stands what only the pairs of neighbouring tokens tell (a
bigram model), and what xz needs for the same text when it has the training text before it.

With --load nothing is trained: what was saved writes on, as it does after training. Each beginning
is continued at several temperatures, as often as --samples says.
"""

from __future__ import annotations

import lzma
import time
from pathlib import Path
from typing import Any

import numpy as np

import minigpt as mg
from bigrams import Bigrams
from command_line import Parser, at_least, count, one_line_errors
from inputs import load
from minigpt.datasets import load_text
from minigpt.sampling import bits_per_byte
from minigpt.training import evaluate
from runs import new_gpt, train_as_asked

VAL_FRACTION = 0.1


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--data", default="shakespeare", help="downloaded, or a file you have")
    parser.add_argument("--load", type=Path, metavar="FOLDER", help="a saved run, not trained on")
    parser.add_argument("--vocab-size", type=at_least(256), default=512, help="tokens")
    parser.add_gpt(n_layer=3, n_head=5, n_embd=160, block_size=96)
    parser.add_training(steps=2000, batch_size=12, learning_rate=4e-3)
    parser.add_argument("--prompt", default="O gentle night,\n", help="what a text begins with")
    parser.add_argument(
        "--lines", type=at_least(1), default=8, help="of a text, its first included"
    )
    parser.add_argument("--samples", type=at_least(1), default=1, help="at each temperature")
    parser.add_argument(
        "--temperatures", type=float, nargs="+", default=[0.5, 0.8, 1.1], help="0: the likeliest"
    )
    parser.add_seed()
    parser.add_output("runs/stories")
    args = parser.parse_args()
    if args.load is not None:
        write(*load(args.load), args)
        return

    started = time.perf_counter()
    text = load_text(args.data)
    cut = round(len(text) * (1 - VAL_FRACTION))
    tokenizer = mg.BPETokenizer.train(text[:cut], args.vocab_size, progress=not args.quiet)
    train_tokens, val_tokens = map(tokenizer.encode_array, (text[:cut], text[cut:]))
    model = new_gpt(args, tokenizer.vocab_size)
    quarter = max(1, args.steps // 4)
    trainer = train_as_asked(model, train_tokens, val_tokens, tokenizer, args, quarter)

    write(model, tokenizer, args)
    loss = evaluate(model, val_tokens, progress=not args.quiet)["loss"]
    bigrams = Bigrams(train_tokens, tokenizer.vocab_size)
    pairs = float(bigrams.losses(val_tokens[:-1], val_tokens[1:]).mean())
    n_predicted, n_bytes = len(val_tokens) - 1, len(tokenizer.decode(val_tokens[1:]).encode())
    bits = [bits_per_byte(nats * n_predicted, n_bytes) for nats in (loss, pairs)]
    print(
        f"\n{bits[0]:.3f} bits per byte of {count(n_bytes, 'unseen byte')} (loss {loss:.3f} a "
        f"token); pairs of tokens alone {bits[1]:.3f} (loss {pairs:.3f}), "
        f"xz {xz_bits(text[:cut], text[cut:]):.3f}"
    )
    print(
        f"{count(model.num_parameters(), 'parameter')}, {count(trainer.step, 'step')}, "
        f"{time.perf_counter() - started:.0f} s altogether; kept in {args.output}"
    )


def write(model: Any, tokenizer: mg.Tokenizer, args: Any) -> None:
    """Go on from the prompt, line by line as it is written, at every temperature."""
    sampler = mg.Sampler(model, tokenizer)
    rng = np.random.default_rng(args.seed)
    for temperature in args.temperatures:
        for number in range(1, args.samples + 1):
            title = f"temperature {temperature:g}" + (f", {number}" if args.samples > 1 else "")
            print(f"── {title} " + "─" * 40)
            n_left = args.lines
            for piece in sampler.stream(
                args.prompt, 64 * args.lines, temperature=temperature, seed=rng, window_shift=16
            ):
                lines = piece.split("\n")
                print("\n".join(lines[:n_left]), end="", flush=True)
                n_left -= len(lines) - 1
                if n_left <= 0:
                    break
            print()


def xz_bits(train: str, val: str) -> float:
    """Bits per byte that the second text adds to the first in an xz file."""
    both, first = (len(lzma.compress(t.encode(), preset=9)) for t in (train + val, train))
    return 8 * (both - first) / len(val.encode())


if __name__ == "__main__":
    main()
