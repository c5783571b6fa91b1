"""Reports of football matches summed up in a line with the result, by a GPT.

    python examples/summarise.py
    python examples/summarise.py --ask "Ashford play Dunmore at home. 9' Lowe scores for Dunmore. …"

The first command trains a GPT and tests it on reports that it has never seen; the second one asks
what is kept in --output, and trains nothing.

The result stands nowhere in a report: the goals of both sides have to be counted, those into one's
own net for the other side, and none that is disallowed, missed or saved. It has to be exactly
right. The baselines know the teams, and guess at the goals.

Figures are read one by one, words whole. Sinusoidal positions, and initial weights of standard
deviation 1/√width (as in translate.py).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import minigpt as mg
from command_line import Parser, at_least, count, one_line_errors
from inputs import load
from minigpt.datasets import CompletionBatches
from minigpt.tasks import SPECIAL_TOKENS, MatchTable, answer, encode_answer, rouge_l
from task_data import match_reports
from task_training import train
from word_tokens import spaced, word_tokenizer

WIDTH, BLOCK_SIZE = 128, 256
LONGEST = 12  # tokens of a summary, its end included


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--train", type=at_least(1), default=20_000, help="reports to learn from")
    parser.add_argument("--test", type=at_least(1), default=1000, help="reports to test on")
    parser.add_argument("--steps", type=at_least(1), default=2000, help="of the training")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of everything")
    parser.add_argument("--output", type=Path, default=Path("runs/summaries"), help="folder")
    parser.add_argument("--ask", nargs="+", metavar="REPORT", help="sum up, train nothing")
    parser.add_argument("--quiet", action="store_true", help="no bar")
    args = parser.parse_args()
    checkpoint = args.output / "gpt.npz"

    if args.ask:
        model, tokenizer = load(checkpoint)
        print(*summarise(model, tokenizer, [" ".join(r.split()) for r in args.ask]), sep="\n")
        return

    started = time.perf_counter()
    cases, test = match_reports.make_cases(args.train, args.test, args.seed)
    texts = (spaced(text) for case in cases for text in (case.report, case.result))
    tokenizer = word_tokenizer(texts, SPECIAL_TOKENS)
    model = train_model(cases, tokenizer, checkpoint, args)

    said = summarise(model, tokenizer, [case.report for case in test])
    right = [case.result for case in test]
    print(f"\n{test[0].report.replace('. ', '.' + chr(10))}\n→ {said[0]}\n")
    table = MatchTable(right)
    for title, share in match_reports.baselines(cases, test).items():
        table.add_shares(f"baseline: {title}", {"all": share})
    table.add("GPT", said)
    print(f"exactly right, of {count(args.test, 'unseen report')}:\n{table}")
    print(f"ROUGE-L of the GPT's lines: {rouge_l(said, right).f1:.4f}")
    print(f"{count(args.steps, 'step')}, {time.perf_counter() - started:.0f} s in all")


def train_model(
    cases: Sequence[Any], tokenizer: mg.Tokenizer, checkpoint: Path, args: argparse.Namespace
) -> mg.GPT:
    config = mg.GPTConfig(
        tokenizer.vocab_size,
        BLOCK_SIZE,
        n_layer=3,
        n_head=4,
        n_embd=WIDTH,
        positions="sinusoidal",
        init_std=WIDTH**-0.5,
    )
    model = mg.GPT(config, seed=args.seed)
    completions = [encode_answer(tokenizer, spaced(c.report), spaced(c.result)) for c in cases]
    batches = CompletionBatches(completions, 32, args.seed, block_size=BLOCK_SIZE)
    print(f"a GPT of {count(model.num_parameters(), 'parameter')}, {count(len(cases), 'report')}")
    train(
        model,
        batches,
        tokenizer,
        checkpoint,
        steps=args.steps,
        learning_rate=1.5e-3,
        seed=args.seed,
        quiet=args.quiet,
    )
    return model


def summarise(model: mg.GPT, tokenizer: mg.Tokenizer, reports: Sequence[str]) -> list[str]:
    prompts = [spaced(report) for report in reports]
    return [said.strip() for said in answer(model, tokenizer, prompts, max_new_tokens=LONGEST)]


if __name__ == "__main__":
    main()
