"""Task: reports of football matches summed up in a line with the result.

    python examples/summarise.py
    python examples/summarise.py --ask "Ashford play Dunmore at home. 9' Lowe scores for Dunmore. …"

The first command trains a GPT and tests it on reports that it has never seen; the second one asks
what is kept in --output, and trains nothing.

The result stands nowhere in a report: the goals of both sides have to be counted, those into one's
own net for the other side, and none that is disallowed, missed or saved. It has to be exactly
right. The baselines know the teams, and guess at the goals.

Before the line with the result the model keeps the score, minute by minute:

    Westbrook 0 Ironbridge 0. 21' Westbrook goal Westbrook 1 34' Ironbridge own goal Westbrook 2
    72' Ironbridge no goal. Westbrook 2–0 Ironbridge

so that it has to count no further than from one number to the next, and what it has counted so far
is there to be read (Nye et al. 2021, "Show Your Work: Scratchpads for Intermediate Computation with
Language Models"). --result-only has it say only the line.

Reports in which little happens come first. Words and minutes are read whole, other figures one by
one. Attention falls with the distance, and initial weights have the standard deviation 1/√width (as
in answer_questions.py).

What makes learning sure, whatever the seed, is a short convolution beside norms of the root mean
square, and Muon: after each minute the next one has to be looked up in the report, and a token
attends as if it had heard the three before it. Without them one seed of five stayed at 84 %.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import minigpt as mg
from command_line import Parser, at_least, count, keep_figures, one_line_errors, reported
from inputs import load
from minigpt.datasets import CompletionBatches, Curriculum
from minigpt.metrics import MatchTable, rouge_l
from minigpt.tasks import SPECIAL_TOKENS, answer, encode_answer
from runs import LOOKS_UP_SOON, learn_task, muon_settings
from task_data import match_reports
from word_tasks import narrow_gpt, spaced, steps_of, word_tokenizer

N_LAYER, BLOCK_SIZE, BATCH_SIZE = 4, 384, 32
LONGEST = 16  # tokens of a summary without what happens
STAGES = {3: 0.1, 6: 0.2, 100: 0.7}  # what happens at most; for what share of the steps
A_MINUTE = 5  # tokens of the score at a minute
PHRASES = ("no goal", "own goal", *(team for team in match_reports.TEAMS if " " in team))


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--train", type=at_least(1), default=30_000, help="reports to learn from")
    parser.add_argument("--test", type=at_least(1), default=1000, help="reports to measure on")
    parser.add_argument("--steps", type=at_least(10), default=2000, help="of the training")
    parser.add_argument("--result-only", action="store_true", help="learn to say no score before")
    parser.add_argument("--ask", nargs="+", metavar="REPORT", help="sum up, train nothing")
    parser.add_report()
    parser.add_seed()
    parser.add_output("runs/summaries", is_run=False)
    args = parser.parse_args()
    checkpoint = args.output / "gpt.npz"

    if args.ask:
        model, tokenizer = load(checkpoint)
        print(*summarise(model, tokenizer, [" ".join(r.split()) for r in args.ask]), sep="\n")
        return

    started = time.perf_counter()
    cases, *others = match_reports.make_cases(args.train, args.test, args.test, args.seed)
    unseen = reported(args, *others)
    texts = (spaced(text) for case in cases for text in (case.report, case.course))
    tokenizer = word_tokenizer(texts, SPECIAL_TOKENS, PHRASES)
    model = train_model(cases, tokenizer, checkpoint, args)

    written = summarise(model, tokenizer, [case.report for case in unseen])
    said = [text.split(". ")[-1] for text in written]
    right = [case.result for case in unseen]
    print(f"\n{unseen[0].report.replace('. ', '.' + chr(10))}\n→ {written[0]}\n")
    table = MatchTable(right)
    for title, share in match_reports.baselines(cases, unseen).items():
        table.add_shares(f"baseline: {title}", {"all": share})
    table.add("GPT", said)
    print(f"exactly right, of {count(args.test, 'unseen report')} ({args.report}):\n{table}")
    overlap = rouge_l(said, right).f1
    print(f"ROUGE-L of the GPT's lines: {overlap:.4f}")
    keep_figures(args, {"exactly right": table.rows["GPT"]["all"], "ROUGE-L": overlap})
    print(f"{count(args.steps, 'step')}, {time.perf_counter() - started:.0f} s in all")


def train_model(
    cases: Sequence[Any], tokenizer: mg.Tokenizer, checkpoint: Path, args: argparse.Namespace
) -> mg.GPT:
    model = narrow_gpt(tokenizer.vocab_size, BLOCK_SIZE, N_LAYER, args.seed, **LOOKS_UP_SOON)
    batches = curriculum(cases, tokenizer, args)
    print(f"a GPT of {count(model.num_parameters(), 'parameter')}, {count(len(cases), 'report')}")
    settings = muon_settings(args.steps)
    learn_task(model, batches, tokenizer, checkpoint, args, learning_rate=4e-3, **settings)
    return model


def curriculum(
    cases: Sequence[Any], tokenizer: mg.Tokenizer, args: argparse.Namespace
) -> Curriculum:
    """Batches of reports in which more and more happens."""
    lessons = [
        encode_answer(tokenizer, spaced(case.report), spaced(summary(case, args.result_only)))
        for case in cases
    ]
    stages = []
    for most, steps in zip(STAGES, steps_of(STAGES.values(), args.steps), strict=True):
        chosen = [
            lesson
            for lesson, case in zip(lessons, cases, strict=True)
            if minutes(case.report) <= most
        ]
        chosen = chosen or lessons  # among few reports there may be no short one
        batches = CompletionBatches(chosen, BATCH_SIZE, args.seed, block_size=BLOCK_SIZE)
        stages.append((batches, steps))
    return Curriculum(stages)


def minutes(report: str) -> int:
    """How many things happen in it."""
    return report.count("' ")


def summary(case: Any, result_only: bool) -> str:
    """What the model learns to say: how the score went, and the result."""
    return str(case.result) if result_only else f"{case.course}. {case.result}"


def summarise(model: mg.GPT, tokenizer: mg.Tokenizer, reports: Sequence[str]) -> list[str]:
    """What is said to each report."""
    prompts = [spaced(report) for report in reports]
    longest = LONGEST + A_MINUTE * max(map(minutes, reports))
    return [said.strip() for said in answer(model, tokenizer, prompts, max_new_tokens=longest)]


if __name__ == "__main__":
    main()
