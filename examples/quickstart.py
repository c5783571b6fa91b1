"""First steps: train a small GPT on real text and watch it learn to write, in about a minute.

    python examples/quickstart.py

The text is the prose of Python's language reference, which Python brings along. The model starts
without knowing what a word is; at each evaluation it writes a line, so that one sees it learn.
Everything is kept in --output: checkpoints, the history of the losses, and a picture of them where
matplotlib is installed.
"""

from __future__ import annotations

import math
import shlex
from pathlib import Path

import minigpt as mg
from command_line import Parser, at_least, count, one_line_errors
from minigpt.datasets import load_text, train_val_split
from minigpt.training import Callback
from runs import resume_command, train_to_the_end

DATA = "python-docs"
OUTPUT = Path("runs/quickstart")
VOCAB_SIZE = 1024
PROMPT = "When a function is"


class Lines(Callback):
    """Has the model write a line at each evaluation."""

    def __init__(self, sampler: mg.Sampler, seed: int) -> None:
        self.sampler, self.seed = sampler, seed

    def on_evaluation(self, trainer: mg.Trainer, record: dict[str, float]) -> None:
        line = write(self.sampler, self.seed, n_tokens=30).replace("\n", "⏎")
        trainer.print(f"  after {count(int(record['step']), 'step')}: {line[:70]}")


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--steps", type=at_least(1), default=800, help="optimizer steps to take")
    parser.add_seed("weights, batches and samples")
    parser.add_argument(
        "--output",
        type=Path,
        default=OUTPUT,
        help="folder; in any other, an earlier run is moved to previous-N",
    )
    args = parser.parse_args()

    # 1. The text, as a stream of token ids: here a token is a word, a piece of one, or a sign.
    text = load_text(DATA)
    tokenizer = mg.BPETokenizer.train(text, VOCAB_SIZE, progress=False)
    tokens = tokenizer.encode_array(text)
    train_tokens, val_tokens = train_val_split(tokens, val_fraction=0.1)
    print(
        f"{count(len(text), 'character')} of text are {count(len(tokens), 'token')}, "
        f"{tokenizer.vocab_size:,} different ones"
    )

    # 2. The model: GPT-2's architecture, small. So narrow a one learns faster from larger numbers
    # at the start than GPT-2's 0.02.
    config = mg.GPTConfig(
        vocab_size=tokenizer.vocab_size,
        block_size=64,
        n_layer=2,
        n_head=5,
        n_embd=160,
        init_std=0.05,
    )
    model = mg.GPT(config, seed=args.seed)
    sampler = mg.Sampler(model, tokenizer)
    print(f"a GPT of {count(model.num_parameters(), 'parameter')}\n")
    before = write(sampler, args.seed)

    # 3. Training: predict the next token, everywhere at once.
    v = tokenizer.vocab_size
    print(f"guessing would cost ln {v} = {math.log(v):.2f} a token; now it learns:")
    trainer = mg.Trainer(
        model,
        train_tokens,
        val_tokens,
        config=mg.TrainerConfig(
            max_steps=args.steps,
            batch_size=12,
            learning_rate=4e-3,
            warmup_steps=min(100, args.steps // 10),
            eval_interval=max(1, args.steps // 8),
            seed=args.seed,
            checkpoint_dir=args.output,
            overwrite=args.output == OUTPUT,  # its own: the next quickstart replaces it
        ),
        tokenizer=tokenizer,
        callbacks=[Lines(sampler, args.seed)],
    )
    history = train_to_the_end(trainer, resume=resume_command(DATA, args.output))

    # 4. What it learned.
    print(f"\nBefore training it wrote:\n{before}\n")
    print(f"After training it writes:\n{write(sampler, args.seed)}\n")
    print(f"Kept in {args.output}: go on with")
    folder = shlex.quote(str(args.output))
    print(f'  python examples/generate.py --checkpoint {folder} --prompt "The class"')
    try:
        history.plot(args.output / "loss.png")
        print(f"The losses as a picture: {args.output / 'loss.png'}")
    except ImportError as error:
        print(error)


def write(sampler: mg.Sampler, seed: int, n_tokens: int = 110) -> str:
    return sampler.generate(PROMPT, max_new_tokens=n_tokens, temperature=0.6, seed=seed)[0]


if __name__ == "__main__":
    main()
