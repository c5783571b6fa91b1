"""What generate.py and gpt2.py have in common: options of sampling, and a text as it is written."""

from __future__ import annotations

from typing import Any

import minigpt as mg
from command_line import Parser, at_least


def add_writing(parser: Parser, *, tokens: int, top_k: int | None = None) -> None:
    """How much to write, and how tokens are chosen, with these defaults."""
    add = parser.add_argument
    add("--tokens", type=at_least(0), default=tokens, help="how many to write, at most")
    add("--min-tokens", type=at_least(0), default=0, help="how many to write, at least")
    add("--samples", type=at_least(1), default=1, help="how many texts")
    add("--temperature", type=float, help="0 takes the likeliest (default: 0.8; none with --beams)")
    default = f" (default: {top_k}; all with --beams)" if top_k else ""
    add("--top-k", type=int, help=f"choose among the k likeliest tokens{default}")
    add("--top-p", type=float, help="choose among the likeliest of this mass")
    add("--repetition-penalty", type=float, default=1.0, help="above 1: repeat less")
    add("--no-repeat", type=at_least(0), default=0, metavar="N", help="repeat no N tokens in a row")
    add("--beams", type=at_least(1), default=1, help="above 1: beam search, without chance")
    add("--stop", action="append", help="end before this text; may be repeated")
    add("--seed", type=at_least(0), help="the same seed writes the same text")
    parser.set_defaults(default_top_k=top_k)


def write(sampler: mg.Sampler, prompt: str, args: Any, **more: Any) -> None:
    """Print one text as it is written, several with a line before each."""
    draws = args.beams == 1
    temperature, top_k = (0.8, args.default_top_k) if draws else (0, None)
    options = {
        "max_new_tokens": args.tokens,
        "min_new_tokens": args.min_tokens,
        "temperature": temperature if args.temperature is None else args.temperature,
        "top_k": top_k if args.top_k is None else args.top_k,
        "top_p": args.top_p,
        "repetition_penalty": args.repetition_penalty,
        "no_repeat_ngram_size": args.no_repeat,
        "num_beams": args.beams,
        "stop": args.stop or (),
        "seed": args.seed,
        **more,
    }
    if args.samples > 1 or args.beams > 1:
        texts = sampler.generate(prompt, num_return_sequences=args.samples, **options)
        for number, text in enumerate(texts, 1):
            if args.samples > 1:
                print(f"── sample {number} " + "─" * 60)
            print(text)
        return
    pieces = sampler.stream(prompt, **options)
    try:
        for piece in pieces:
            print(piece, end="", flush=True)
    finally:  # after Ctrl-C too
        print()
