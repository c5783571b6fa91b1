"""Train a small GPT on real text and let it write, in about a minute, with nothing downloaded.

    python examples/quickstart.py

The text is the prose of Python's language reference, which Python brings along. The model reads it
character by character: it starts without knowing what a letter is, and ends with words, sentences
and bits of code that look like the reference. Everything is kept in --output: checkpoints, the
history of the losses, and a picture of them where matplotlib is installed.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import minigpt as mg
from command_line import Parser, at_least, count, one_line_errors, resume_command
from minigpt.datasets import load_text, train_val_split

DATA = "python-docs"
OUTPUT = Path("runs/quickstart")


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--steps", type=at_least(1), default=1000, help="optimizer steps to take")
    parser.add_argument(
        "--seed", type=at_least(0), default=0, help="of weights, batches and samples"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=OUTPUT,
        help="folder; in any other, an earlier run is moved to previous-N",
    )
    args = parser.parse_args()

    # 1. The text, as a stream of token ids: here a token is a character.
    text = load_text(DATA)
    tokenizer = mg.CharTokenizer.train(text)
    tokens = tokenizer.encode_array(text)
    train_tokens, val_tokens = train_val_split(tokens, val_fraction=0.1)
    print(f"{count(len(text), 'character')} of text, {tokenizer.vocab_size} different ones")

    # 2. The model: GPT-2's architecture, small.
    config = mg.GPTConfig(
        vocab_size=tokenizer.vocab_size, block_size=64, n_layer=4, n_head=4, n_embd=128
    )
    model = mg.GPT(config, seed=args.seed)
    sampler = mg.Sampler(model, tokenizer)
    print(f"a GPT of {count(model.num_parameters(), 'parameter')}\n")
    print(f"Before training it writes:\n{sample(sampler, args.seed)}\n")

    # 3. Training: predict the next character, everywhere at once.
    trainer = mg.Trainer(
        model,
        train_tokens,
        val_tokens,
        mg.TrainerConfig(
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
    )
    history = trainer.fit()
    if not trainer.finished:  # Ctrl-C
        raise KeyboardInterrupt(f"go on with: {resume_command(DATA, args.output)}")

    # 4. What it learned.
    print("\nstep   train loss   validation loss   accuracy of the next character")
    for record in history.evaluations:
        print(
            f"{record['step']:4d}   {record['train_loss']:10.3f}   {record['val_loss']:15.3f}"
            f"   {record['val_accuracy']:8.1%}"
        )
    print(f"\nAfter training it writes:\n{sample(sampler, args.seed)}\n")
    print(f"Kept in {args.output}: go on with")
    folder = shlex.quote(str(args.output))
    print(f'  python examples/generate.py --checkpoint {folder} --prompt "The class"')
    try:
        history.plot(args.output / "loss.png")
        print(f"The losses as a picture: {args.output / 'loss.png'}")
    except ImportError as error:
        print(error)


def sample(sampler: mg.Sampler, seed: int) -> str:
    return sampler.generate("The ", max_new_tokens=300, temperature=0.8, seed=seed)[0]


if __name__ == "__main__":
    main()
