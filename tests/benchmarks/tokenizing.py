"""How fast text becomes tokens, against tiktoken; how fast they are learned, against tokenizers.

    python tests/benchmarks/tokenizing.py
    python tests/benchmarks/tokenizing.py encode --text my.txt

- ``encode``: GPT-2's tokens of the text as a list. "first" is the first text that a new process
  encodes, "again" the same text in a process that has encoded it before: minigpt keeps the ids of
  words, tiktoken does not. Loading is not counted.
- ``train``: a vocabulary of 8,192 from the text, for ``tokenizers`` in lines, which is its faster
  way: it shares them between all cores.
- ``iterable``: peak memory of encoding a file of 100 MB, above what is resident with the tokenizer
  loaded.

All work in turn, each in its own process. Needs tiktoken and tokenizers.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from interleaved import Contender, Work, compare, serve

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
CONTENDERS = {
    "encode": ("minigpt", "tiktoken"),
    "train": ("minigpt", "tokenizers"),
    "iterable": ("minigpt",),
}
VOCAB_SIZE = 8192
LARGE = 100 * 10**6  # bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", help=f"{', '.join(CONTENDERS)} (default: all)")
    parser.add_argument("--text", type=Path, default=SHARED / "tinyshakespeare.txt")
    parser.add_argument("--vocab", type=Path, default=SHARED / "gpt2" / "vocab.json")
    parser.add_argument("--merges", type=Path, default=SHARED / "gpt2" / "merges.txt")
    parser.add_argument("--rounds", type=int, default=9, help="turns that each of them gets")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(lambda: work_of(args.serve, args))
        return
    if unknown := [what for what in args.what if what not in CONTENDERS]:
        parser.error(f"{unknown[0]!r} is none of {', '.join(CONTENDERS)}")
    for what in args.what or CONTENDERS:
        if what == "iterable":
            print_memory(args)
        else:
            print_speeds(what, args)


def print_speeds(what: str, args: argparse.Namespace) -> None:
    if what == "encode":
        first = contenders_of(what, args)
        for _ in range(args.rounds):
            for contender in first:  # each time in a process of its own
                contender.start()
                contender.run(1)
                contender.stop()
        print_table("encode first", first, args)
    again = contenders_of(what, args)
    compare(again, args.rounds, each=1, warmup=1)
    print_table("encode again" if what == "encode" else what, again, args)


def contenders_of(what: str, args: argparse.Namespace) -> list[Contender]:
    own = ["--vocab", args.vocab, "--merges", args.merges, "--text", args.text]
    return [
        Contender(name, [__file__, *map(str, own), "--serve", f"{what} {name}"])
        for name in CONTENDERS[what]
    ]


def print_table(title: str, contenders: list[Contender], args: argparse.Namespace) -> None:
    megabytes = args.text.stat().st_size / 1e6
    ours, theirs = contenders
    for c in contenders:
        milliseconds, speed = 1000 * c.median, megabytes / c.median
        print(f"{title:12}  {c.name:10} {milliseconds:7.1f} ms  {speed:6.2f} MB/s")
    print(f"{title:12}  {theirs.median / ours.median:.2f} times {theirs.name}'s speed")


def print_memory(args: argparse.Namespace) -> None:
    text = args.text.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.txt")
        with open(path, "wb") as file:
            for _ in range(-(-LARGE // len(text))):
                file.write(text)
        args.text = path
        (contender,) = contenders_of("iterable", args)
        compare([contender], rounds=1, each=1, warmup=0)
        megabytes = path.stat().st_size / 1e6
    print(
        f"encode_iterable of {megabytes:.0f} MB: at most {contender.peak:.1f} MB resident, "
        f"{contender.peak - contender.prepared:.1f} MB above the start, "
        f"{megabytes / contender.median:.1f} MB/s"
    )


def work_of(name: str, args: argparse.Namespace) -> Work:
    if name == "train tokenizers":
        return train_theirs(args)
    import minigpt as mg

    if name == "train minigpt":
        text = read(args.text)
        return lambda: mg.BPETokenizer.train(text, VOCAB_SIZE, progress=False)

    tokenizer = mg.BPETokenizer.from_gpt2(args.vocab, args.merges)
    if name.startswith("iterable"):

        def encode_file() -> None:
            with open(args.text, encoding="utf-8", newline="") as file:
                for _ in tokenizer.encode_iterable(file):
                    pass

        return encode_file

    text = read(args.text)
    if name == "encode tiktoken":
        return encode_theirs(tokenizer, text)
    return lambda: tokenizer.encode(text)


def encode_theirs(tokenizer, text: str) -> Work:
    import tiktoken

    encoding = tiktoken.Encoding(
        "gpt2",
        pat_str=r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++"""
        r"""|\s++$|\s+(?!\S)|\s""",
        mergeable_ranks={
            token: i for i, token in tokenizer.vocab.items() if i != tokenizer.vocab_size - 1
        },
        special_tokens=tokenizer.special_tokens,
    )
    return lambda: encoding.encode(text)


def train_theirs(args: argparse.Namespace) -> Work:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    lines = read(args.text).splitlines(keepends=True)

    def train() -> None:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=VOCAB_SIZE,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(lines, trainer)
        assert tokenizer.get_vocab_size() == VOCAB_SIZE

    return train


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
