"""Task: English numbers and dates into Chinese, by an encoder–decoder and a decoder on its own.

    python examples/translate.py
    python examples/translate.py --ask "three hundred and four" "May the third, nineteen oh six"

The first command trains both and tests them on numbers and dates that they have never seen, to be
translated without any mistake; the second one asks what is kept in --output, and trains nothing.

    encoder–decoder   the encoder reads the English, all of it at once; the decoder writes the
                      Chinese, and looks at what the encoder made of each word
    decoder alone     a GPT that reads "English <|answer|>" and goes on in Chinese

The baseline puts a Chinese word for each English one, in the same order.

It takes an initial standard deviation of 1/√width, which keeps the size of what goes through a
layer, to learn this quickly. GPT-2's 0.02 is made for larger widths: here queries and keys would be
so small that every token attends to all others alike, and it takes long to get away from there.

A picture of where the decoder looks in the English is drawn where matplotlib is installed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minigpt as mg
from command_line import Parser, at_least, count, keep_figures, one_line_errors, reported
from inputs import load
from minigpt.datasets import CompletionBatches
from minigpt.metrics import MatchTable
from minigpt.models import EncoderDecoder, Seq2SeqConfig
from minigpt.tasks import (
    SPECIAL_TOKENS,
    TRANSLATION_TOKENS,
    answer,
    encode_answer,
    pair_batches,
    translate,
)
from minigpt.viz import attention_weights
from runs import learn_task
from task_data import numbers_and_dates
from word_tasks import spaced, word_tokenizer

NAMES = {"seq2seq": "encoder–decoder", "decoder": "decoder alone"}
WIDTH = 128
SIZES: dict[str, Any] = {"n_head": 4, "n_embd": WIDTH, "init_std": WIDTH**-0.5}
SHOWN = "the twenty-first of October, two thousand and six"
# For a picture, whose fonts may have no Chinese.
GLOSSES = {c: str(n) for n, c in enumerate("〇一二三四五六七八九十")} | {
    "零": "0", "百": "100", "千": "1000", "万": "10000", "年": "year", "月": "month", "日": "day",
}  # fmt: skip

Cases = Sequence[Any]
Translate = Callable[..., list[str]]


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--model", choices=[*NAMES, "both"], default="both", help="which")
    parser.add_argument("--train", type=at_least(1), default=20_000, help="cases to learn from")
    parser.add_argument("--test", type=at_least(1), default=1000, help="cases to measure on")
    parser.add_argument("--steps", type=at_least(1), default=2400, help="of each training")
    parser.add_argument("--beams", type=at_least(2), default=4, help="of the beam search")
    parser.add_argument("--ask", nargs="+", metavar="ENGLISH", help="translate, train nothing")
    parser.add_report()
    parser.add_seed()
    parser.add_output("runs/translate", is_run=False)
    args = parser.parse_args()
    names = list(NAMES) if args.model == "both" else [args.model]

    if args.ask:
        for name in names:
            for text in translator(name, *load(args.output / f"{name}.npz"))(args.ask):
                print(f"{NAMES[name]}: {text}")
        return

    started = time.perf_counter()
    cases, *others = numbers_and_dates.make_cases(args.train, args.test, args.test, args.seed)
    unseen = reported(args, *others)
    texts = (spaced(text) for case in cases for text in (case.source, case.target))
    tokenizer = word_tokenizer(texts, {*SPECIAL_TOKENS, *TRANSLATION_TOKENS})
    table = MatchTable([case.target for case in unseen], [case.kind + "s" for case in unseen])
    sources = [case.source for case in unseen]
    table.add("baseline: word by word", [word_by_word(source) for source in sources])
    for name in names:
        model = train_model(name, tokenizer, cases, args)
        says = translator(name, model, tokenizer)
        table.add(f"{NAMES[name]}, greedy", says(sources))
        table.add(f"{NAMES[name]}, {args.beams} beams", says(sources, num_beams=args.beams))
        for case, said in zip(unseen[:4], says(sources[:4]), strict=True):
            print(f"  {case.source} → {said}" + ("" if said == case.target else "  (wrong)"))
        if name == "seq2seq":
            show(model, tokenizer, args.output)
    print(f"\nexactly right, of {count(args.test, 'unseen case')} ({args.report}):\n{table}")
    own = {title: row["all"] for title, row in table.rows.items() if "baseline" not in title}
    keep_figures(args, own)
    print(f"{count(args.steps, 'step')} each, {time.perf_counter() - started:.0f} s in all")


def train_model(name: str, tokenizer: mg.Tokenizer, cases: Cases, args: argparse.Namespace) -> Any:
    sources = [spaced(case.source) for case in cases]
    targets = [case.target for case in cases]
    v, batch_size = tokenizer.vocab_size, 64
    model: Any
    batches: Any
    if name == "seq2seq":
        config = Seq2SeqConfig(v, v, 32, 24, n_layer=2, **SIZES, share_embeddings=True)
        model = EncoderDecoder(config, seed=args.seed)
        batches = pair_batches(tokenizer, sources, targets, batch_size, args.seed)
    else:
        model = mg.GPT(mg.GPTConfig(v, block_size=48, n_layer=3, **SIZES), seed=args.seed)
        pairs = zip(sources, targets, strict=True)
        completions = [encode_answer(tokenizer, source, target) for source, target in pairs]
        batches = CompletionBatches(completions, batch_size, args.seed, block_size=48)
    print(f"{NAMES[name]}: {count(model.num_parameters(), 'parameter')}")
    learn_task(model, batches, tokenizer, args.output / f"{name}.npz", args, learning_rate=2e-3)
    return model


def translator(name: str, model: Any, tokenizer: mg.Tokenizer) -> Translate:
    """Texts in, translations out; ``num_beams`` may be given."""
    says = translate if name == "seq2seq" else answer

    def run(sources: Sequence[str], **options: Any) -> list[str]:
        return says(model, tokenizer, [spaced(source) for source in sources], **options)

    return run


def word_by_word(source: str) -> str:
    """A word for each word: right wherever Chinese puts the same things in the same order."""
    # Here, as task_data says where it is.
    from number_words import MONTHS, ONES, ORDINALS, TENS, chinese_number

    meaning = {word: chinese_number(n) for n, word in enumerate(ONES)}
    meaning |= {word: chinese_number(10 * n) for n, word in enumerate(TENS)}
    meaning |= {ordinal: meaning[word] for word, ordinal in ORDINALS.items()}
    meaning |= {month: f"{chinese_number(n)}月" for n, month in enumerate(MONTHS, 1)}
    meaning |= {"hundred": "百", "thousand": "千", "million": "百万", "oh": "〇", "year": "年"}
    words = source.replace("-", " ").replace(",", "").split()
    return "".join(meaning.get(word, meaning.get(word.removesuffix("th"), "")) for word in words)


def show(model: EncoderDecoder, tokenizer: mg.Tokenizer, output: Path) -> None:
    """Draw where each token of a translation looks, the mean over the last layer's heads."""
    (said,) = translate(model, tokenizer, [spaced(SHOWN)])
    source = tokenizer.encode(spaced(SHOWN))
    target = tokenizer.encode(TRANSLATION_TOKENS[0] + said, allowed_special="all")
    target = target[: model.config.target_block_size]
    layers = model.cross_attention_weights(np.array([source]), np.array([target]))
    weights = layers[-1][0].mean(axis=0)  # (n_head, T, S) -> (T, S)
    try:
        written = [*(tokenizer.decode([i]) for i in target[1:]), "end"]
        figure = attention_weights(
            weights,
            [GLOSSES.get(token, token) for token in written],
            [tokenizer.decode([i]) for i in source],
        )
    except ImportError as error:
        print(error)
        return
    figure.axes[0].set(xlabel="the English", ylabel="the Chinese that it writes, by its meaning")
    path = output / "attention.png"
    figure.savefig(path, dpi=110)
    print(f"Where it looks as it translates {SHOWN!r}: {path}")


if __name__ == "__main__":
    main()
