"""Task: fill in hidden characters, BERT's objective, on the names of Unicode's characters.

    python examples/masked_names.py
    python examples/masked_names.py --ask "LATIN SMALL LETTER _" "_REEK CAPITAL LETTER OMEGA"

Of the names of Unicode's characters, such as GREEK SMALL LETTER ALPHA, some are held out for the
test and as many to choose settings by (--report validation), and with them all that differ from one
of them only in a number. On the others an Encoder is trained: of each name some characters are
chosen, and of these 80 % hidden, 10 % exchanged and 10 % left as they are (Devlin et al. 2018,
§3.1). It sees what stands before and after a place. BERT chooses 15 %; here it is 30 % in training,
as each name then teaches twice as much, and 15 % where it is measured how often the model is right,
on names held out.

--ask fills in the blanks of texts of your own with the model that was saved, and trains nothing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

import minigpt as mg
from command_line import Parser, at_least, count, keep_figures, one_line_errors
from inputs import load
from minigpt.models import Encoder
from name_models import END, MASK, MASKED_IN_TEST, Names, new_encoder, pretrained

BLANK = "_"
ASKED = ["LATIN SMALL LETTER _", "GREEK _MALL LETTER ALPHA", "DIGIT SEVE_", "BLACK CHESS _NIGHT"]
GUESSES = 5


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--steps", type=at_least(1), default=3000, help="optimizer steps")
    parser.add_argument("--test", type=at_least(1), default=2000, help="names to measure on")
    parser.add_report()
    parser.add_seed()
    parser.add_argument("--ask", nargs="+", metavar="NAME", help=f"fill in each {BLANK}, and end")
    parser.add_argument(
        "--output", type=Path, default=Path("runs/masked_names.npz"), help="where the model goes"
    )
    parser.add_argument("--quiet", action="store_true", help="no bar")
    args = parser.parse_args()
    if args.ask:
        fill_in(*load(args.output), args.ask)
        return

    started = time.perf_counter()
    names = Names.read(n_train=1, args=args)
    held_out = [case.name for case in names.unseen]
    encoder = new_encoder(names, args.seed)
    print(
        f"{count(len(names.unlabelled), 'name')} to train on, {len(held_out):,} to measure on "
        f"({args.report}); an Encoder of {count(encoder.num_parameters(), 'parameter')}"
    )
    hidden = names.masked(held_out, args.seed + 1, MASKED_IN_TEST)
    trainer = pretrained(
        encoder, names.masked(names.unlabelled, args.seed), hidden, args.steps, names, args
    )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    trainer.save(args.output)

    accuracy = trainer.history.evaluations[-1]["val_accuracy"]
    character, share = most_frequent(names, hidden)
    n_hidden = sum(int((batch[1] != -1).sum()) for batch in hidden)
    fill_in(encoder, names.tokenizer, ASKED)
    print(
        f"\nof {count(n_hidden, 'character')} chosen in unseen names, right: {accuracy:.1%}; the "
        f"most frequent character, {character!r}: {share:.1%}; that is {accuracy / share:.1f} "
        "times its share"
    )
    keep_figures(args, {"hidden characters right": accuracy})
    print(
        f"{count(trainer.step, 'step')}, {time.perf_counter() - started:.0f} s altogether; kept in "
        f"{args.output}"
    )


def most_frequent(names: Names, batches: Any) -> tuple[str, float]:
    """The character that is most frequent in what was trained on, and its share of the targets."""
    ids = np.concatenate(names.encode(names.unlabelled))
    likeliest = int(np.bincount(ids[ids != names.end_id]).argmax())
    targets = np.concatenate([batch[1][batch[1] != -1] for batch in batches])
    return names.tokenizer.decode([likeliest]), float((targets == likeliest).mean())


def fill_in(encoder: Encoder, tokenizer: mg.Tokenizer, texts: list[str]) -> None:
    """What the model takes for the likeliest in each blank of each text."""
    mask_id, end_id = (tokenizer.encode(t, allowed_special=[t])[0] for t in (MASK, END))
    for text in texts:
        if BLANK not in text:
            raise ValueError(f"{text!r} has no {BLANK} to fill in")
        ids = [mask_id if c == BLANK else tokenizer.encode(c)[0] for c in text]
        filled = encoder.fill_mask(np.array([[end_id, *ids, end_id]]), mask_id, k=GUESSES)
        for tokens, p in zip(filled.tokens, filled.probabilities, strict=True):
            guesses = [tokenizer.decode([token]) for token in tokens]
            print(f"{text} → " + ", ".join(f"{g} {q:.0%}" for g, q in zip(guesses, p, strict=True)))


if __name__ == "__main__":
    main()
