"""Tool: learn a byte-pair vocabulary from text, and see how it splits sentences.

    python examples/train_tokenizer.py --data python-docs --vocab-size 4096
    python examples/train_tokenizer.py --data my-texts/ --pattern gpt4 --sentence "Hello, 世界"

The tokens of a small vocabulary are the first ones of a large one: it is learned once, and cut off
to compare sizes. How far each compresses is measured on the last tenth, from which nothing was
learned. examples/train.py --tokenizer bpe trains a model with such tokens.
"""

from __future__ import annotations

import time
from pathlib import Path

import minigpt as mg
from command_line import Parser, at_least, count, one_line_errors
from inputs import VAL_FRACTION
from minigpt.datasets import corpora, load_text, split_point

SENTENCES = [
    "The class statement's body isn't executed 1024 times.",
    "类的语句。",
]


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument(
        "--data", default="python-docs", help=f"{', '.join(corpora())}, a file, or a folder of text"
    )
    parser.add_argument("--vocab-size", type=at_least(256), default=4096, help="tokens altogether")
    parser.add_argument(
        "--pattern", default="gpt2", help="gpt2, gpt4, or a regular expression that matches words"
    )
    parser.add_argument(
        "--special", action="append", default=[], metavar="NAME", help="add a special token"
    )
    parser.add_argument("--sentence", action="append", help="what to split; may be repeated")
    parser.add_argument("--output", type=Path, default=Path("tokenizer.json"), help="the file")
    parser.add_argument("--quiet", action="store_true", help="no bar")
    args = parser.parse_args()
    if args.output.is_dir():
        parser.error(f"--output {args.output} is a folder: name a file")

    text = load_text(args.data)
    cut = split_point(len(text), VAL_FRACTION)
    learned_from, held_out = text[:cut], text[cut:]
    start = time.perf_counter()
    tokenizer = mg.BPETokenizer.train(
        learned_from, args.vocab_size, args.special, args.pattern, progress=not args.quiet
    )
    seconds = time.perf_counter() - start
    print(f"{args.data}: {count(tokenizer.vocab_size, 'token')} learned in {seconds:.1f} s")
    made = [a + b for a, b in tokenizer.merges]
    print(f"the first merges make  {show(made[:12])}")
    print(f"the last ones          {show(made[-8:])}")

    n_bytes = len(held_out.encode())
    print(f"\n{'vocabulary':>10}  bytes a token")
    for size in sizes(tokenizer.vocab_size):
        n_tokens = len(smaller(tokenizer, size).encode(held_out, allowed_special="all"))
        print(f"{size:10,}  {n_bytes / n_tokens:.2f}")

    for sentence in args.sentence or SENTENCES:
        print(f"\n{sentence}")
        for size in sorted({min(512, tokenizer.vocab_size), tokenizer.vocab_size}):
            ids = smaller(tokenizer, size).encode(sentence, allowed_special="all")
            print(f"{size:6,}: {show([tokenizer.vocab[i] for i in ids])}")

    tokenizer.save(args.output)
    print(f"\n{args.output}")


def sizes(vocab_size: int) -> list[int]:
    """256, 512, 1024, … and ``vocab_size``."""
    doubled = [256 << n for n in range(vocab_size.bit_length()) if 256 << n < vocab_size]
    return [*doubled, vocab_size]


def smaller(tokenizer: mg.BPETokenizer, size: int) -> mg.BPETokenizer:
    """The tokenizer that stops at ``size`` tokens: the same merges, fewer of them."""
    if size == tokenizer.vocab_size:
        return tokenizer
    merges = tokenizer.merges[: size - 256]
    vocab = {i: tokenizer.vocab[i] for i in range(256 + len(merges))}
    return mg.BPETokenizer(vocab, merges, pattern=tokenizer.pattern)


def show(tokens: list[bytes]) -> str:
    """Tokens with bars between; bytes that are not a whole character in hexadecimal digits."""
    shown = []
    for token in tokens:
        try:
            shown.append(token.decode("utf-8").replace("\n", "⏎"))
        except UnicodeDecodeError:
            shown.append("⟨" + token.hex(" ") + "⟩")
    return "|".join(shown)


if __name__ == "__main__":
    main()
