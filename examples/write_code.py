"""Task: write Python, learned from functions of the standard library, judged by the compiler.

    python examples/write_code.py
    python examples/write_code.py --steps 4000 --temperature 0.5

The texts are functions and methods of at most 800 characters, each a text of its own, between
<|end|> tokens; a tenth of the library's modules is kept to choose settings by, and a tenth for the
test. The model begins after an <|end|> with
nothing given, and what it writes up to the next one is a sample. It is compiled and never run.
Three shares of the samples are stated:

  compile      Python's compiler accepts it, and there is a statement in it: nothing but white space
               and comments would be accepted too, and does not count
  substantial  of these, a function with at least two statements inside, docstring and "pass" not
               counted: "def f(self): pass" is right too easily
  new          of these, what is not a copy of a function that was trained on

The lower the temperature, the more of the samples compile, and the more alike they are.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Collection, Sequence
from typing import Any

import minigpt as mg
from command_line import Parser, at_least, count, keep_figures, one_line_errors, reported
from minigpt.sampling import bits_per_byte
from minigpt.training import evaluate
from runs import new_gpt, train_as_asked
from task_data import library_functions

END = library_functions.END
AT_ONCE = 50  # samples that are written together


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--train", type=at_least(1), default=9000, help="functions to learn from")
    parser.add_argument("--test", type=at_least(1), default=500, help="functions held out")
    parser.add_argument("--vocab-size", type=at_least(257), default=1500, help="tokens")
    parser.add_gpt(n_layer=4, n_head=6, n_embd=192, block_size=192)
    parser.add_training(steps=1500, batch_size=8, learning_rate=3e-3)
    parser.add_argument("--samples", type=at_least(1), default=200, help="how many to judge")
    parser.add_argument("--show", type=at_least(0), default=3, help="how many of them to print")
    parser.add_argument("--tokens", type=at_least(1), default=300, help="at most, of a sample")
    parser.add_argument("--temperature", type=float, default=0.7, help="0 takes the likeliest")
    parser.add_report()
    parser.add_seed()
    parser.add_output("runs/code")
    args = parser.parse_args()

    started = time.perf_counter()
    train, *others = library_functions.make_cases(args.train, args.test, args.test, args.seed)
    unseen = reported(args, *others)
    tokenizer = mg.BPETokenizer.train(
        (case.source for case in train), args.vocab_size, [END], progress=not args.quiet
    )
    train_tokens, unseen_tokens = (
        tokenizer.encode_array("".join(END + case.source for case in part), allowed_special=[END])
        for part in (train, unseen)
    )
    model = new_gpt(args, tokenizer.vocab_size)
    print(
        f"{count(len(train), 'function')} of {count(len(train_tokens), 'token')}, "
        f"a GPT of {count(model.num_parameters(), 'parameter')}"
    )
    sources = {case.source for case in train}
    before = judged(write(model, tokenizer, args), sources)

    trainer = train_as_asked(model, train_tokens, unseen_tokens, tokenizer, args)

    samples = write(model, tokenizer, args)
    after = judged(samples, sources)
    best = [sample for sample in samples if is_substantial(sample) and sample not in sources]
    for number, sample in enumerate(best[: args.show], 1):
        print(f"── {number} " + "─" * 60 + f"\n{sample}")
    loss = evaluate(model, unseen_tokens, progress=not args.quiet)["loss"]
    n_bytes = len(tokenizer.decode(unseen_tokens[1:]).encode())
    bits = bits_per_byte(loss * (len(unseen_tokens) - 1), n_bytes)
    print(f"\nof {count(args.samples, 'sample')}   compile   substantial   new")
    for name, shares in (("untrained", before), ("trained", after)):
        compiled, substantial, new = shares
        print(f"  {name:12} {compiled:8.1%}   {substantial:11.1%}   {new:.1%}")
    print(
        f"temperature {args.temperature:g}; {bits:.3f} bits per byte of unseen modules "
        f"({args.report}); "
        f"{count(trainer.step, 'step')}, {time.perf_counter() - started:.0f} s altogether"
    )
    figures = dict(zip(("compile", "substantial", "new"), after, strict=True))
    keep_figures(args, {**figures, "bits per byte": bits})


def write(model: mg.GPT, tokenizer: mg.BPETokenizer, args: Any) -> list[str]:
    """Samples, each from <|end|> to <|end|>, or to where there are no more tokens."""
    sampler = mg.Sampler(model, tokenizer, allowed_special=[END])
    samples: list[str] = []
    while len(samples) < args.samples:
        samples += sampler.generate(
            END,
            args.tokens,
            temperature=args.temperature,
            num_return_sequences=min(AT_ONCE, args.samples - len(samples)),
            stop_tokens=tokenizer.special_tokens[END],
            include_prompt=False,
            window_shift=max(1, args.block_size // 4),
            seed=args.seed + len(samples),
        )
    return samples


def judged(samples: Sequence[str], sources: Collection[str]) -> list[float]:
    """The shares that compile, are substantial, and new."""
    compiled = [sample for sample in samples if library_functions.compiles(sample)]
    substantial = [sample for sample in compiled if is_substantial(sample)]
    new = [sample for sample in substantial if sample not in sources]
    return [len(part) / len(samples) for part in (compiled, substantial, new)]


def is_substantial(source: str) -> bool:
    """Whether it compiles, and a function in it has two statements at least."""
    tree = library_functions.parse(source)
    return any(
        isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and n_statements(node) >= 2
        for node in (tree.body if tree else [])
    )


def n_statements(function: ast.AST) -> int:
    """Statements at any depth, but for docstrings, ``...`` and ``pass``."""
    return sum(
        isinstance(node, ast.stmt)
        and not isinstance(node, ast.Pass)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in ast.walk(function)
        if node is not function
    )


if __name__ == "__main__":
    main()
