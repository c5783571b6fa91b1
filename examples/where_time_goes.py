"""First steps: what each part of a GPT costs in a training step and in a token, and why.

    python examples/where_time_goes.py
    python examples/where_time_goes.py --size baby --what step
    python examples/where_time_goes.py --checkpoint runs/quickstart

One thread trains and writes, and its processor time is divided between the parts of the model: by
arrays that note each of NumPy's calls (booked_arrays.py). What is left of the whole step is Python
between the calls, and memory for new arrays. For each part the table says

  calls       of NumPy, forward and back
  ms, share   the processor time in them
  MFLOP, MB   what they compute, and the arrays that they read and write, each time they do
  GFLOP/s, GB/s, FLOP/byte
              how fast that is, and how much is computed with each byte that comes
  of the roof that as a part of what the machine reaches, measured in the same run at a matrix
              product and at reading (machine_peaks.py): numbers that come from memory, and numbers
              that wait in the cache

A roofline is drawn where matplotlib is installed. where_time_goes.md tells how to read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minigpt as mg
from booked_arrays import Entry, booked, clock, noted_calls, plain, smallest_call
from command_line import Parser, at_least, one_line_errors
from inputs import load_trained
from machine_peaks import PRODUCT_SIZES, READ_SIZES, Peaks, measure_peaks
from minigpt.blas_threads import one_blas_thread
from minigpt.sampling import SamplingConfig
from minigpt.sampling.decoding import Decoder
from minigpt.viz import new_figure

SIZES = {  # of the model, and sequences in a batch
    "small": ({"vocab_size": 65, "block_size": 64, "n_layer": 4, "n_head": 4, "n_embd": 128}, 12),
    "baby": ({"vocab_size": 65, "block_size": 256, "n_layer": 6, "n_head": 6, "n_embd": 384}, 8),
}
PROMPT = 16  # tokens that a text goes on from
CONTEXT = 256  # tokens of a sequence at most, where a trained model could read more
TURN = 0.4  # seconds of work in a turn, at least
BETWEEN = "between the calls"
COLORS = {
    "MLP's products": "#1f4e79",
    "attention's projections": "#2e86c1",
    "attention's scores and sums": "#76b5e0",
    "head": "#5d6d7e",
    "activation": "#c0392b",
    "softmax": "#e67e22",
    "norms": "#b7950b",
    "cross-entropy": "#7d3c98",
    "embeddings": "#a569bd",
    "residual sums": "#1e8449",
    "adding gradients up": "#58b368",
    "gradient clipping": "#111111",
    "optimizer": "#7f7f7f",
}

Begin = Callable[[], Callable[[], object]]  # prepares work, and returns it


@dataclass
class Costs:
    """What one step, or one token, costs.

    Attributes:
        title: what was measured.
        whole: seconds, with nothing noted.
        times: how many of them the entries are of.
        entries: of each part, the dearest first.
    """

    title: str
    whole: float
    times: int
    entries: dict[str, Entry]

    def share(self, entry: Entry) -> float:
        """Of the whole."""
        return entry.seconds / self.times / self.whole

    @property
    def between(self) -> float:
        """Seconds that are in no call of NumPy."""
        return self.whole - sum(entry.seconds for entry in self.entries.values()) / self.times

    @property
    def rest(self) -> float:
        """The share of what is in no call of NumPy."""
        return self.between / self.whole


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--size", nargs="+", choices=SIZES, default=list(SIZES), help="of models with new weights")
    add("--checkpoint", help="a trained model in their place: a run, a file, a folder, a .gguf")
    for flag in ("--n-layer", "--n-head", "--n-embd", "--vocab-size", "--block-size"):
        add(flag, type=at_least(1), help="of a model of your own; else as --size has it")
    add("--batch-size", type=at_least(1), help="sequences in a training step")
    add("--tokens", type=at_least(1), default=32, help="to write in a turn")
    add("--what", nargs="+", choices=("step", "token"), default=["step", "token"])
    add("--rounds", type=at_least(1), default=5, help="turns with books and turns without")
    add("--output", "--out", type=Path, default=Path("where_time_goes.png"), help="the picture")
    add("--fast", action="store_true", help="only a glance: short turns, and rough peaks")
    args = parser.parse_args()

    planned = list(works(args))
    peaks = measure_peaks(clock, *((PRODUCT_SIZES[:1], READ_SIZES[:2]) if args.fast else ()))
    print_peaks(peaks)
    found = []
    with one_blas_thread():
        for title, begin, times in planned:
            found.append(measure(title, begin, times, args))
            print_costs(found[-1], peaks)
    try:
        print(f"\nThe roofline: {draw(found, peaks, args.output)}")
    except ImportError as missing:
        print(missing)


# ── what is measured ──────────────────────────────────────────────────────────────────────────


def works(args: Any) -> Iterator[tuple[str, Begin, int | None]]:
    """What to measure: a title, how to begin, and how often to do it in a turn."""
    for name, model, batch_size in models(args):
        context = min(args.block_size or CONTEXT, model.config.block_size)
        if "step" in args.what:
            shape = f"{batch_size} × {context} tokens"
            yield f"{name}: a training step, {shape}", training(model, batch_size, context), None
        if "token" in args.what:
            prompt = min(PROMPT, model.config.block_size // 2)
            new = min(args.tokens, model.config.block_size - prompt)
            written = f"one of {new} tokens after {prompt}"
            yield f"{name}: {written}", writing(model, prompt, new + 1), new


def models(args: Any) -> Iterator[tuple[str, mg.GPT, int]]:
    """Name, model, and sequences in a batch."""
    if args.checkpoint:
        model, _ = load_trained(args.checkpoint)
        if not isinstance(model, mg.GPT):
            raise ValueError(f"{args.checkpoint} holds a {type(model).__name__}, not a GPT")
        yield Path(args.checkpoint).name, model, args.batch_size or 1
        return
    for name in args.size:
        sizes, batch_size = SIZES[name]
        given: dict[str, Any] = {n: getattr(args, n) or size for n, size in sizes.items()}
        model = mg.GPT(mg.GPTConfig(**given, bias=False), seed=0)
        yield name, model, args.batch_size or batch_size


def training(model: mg.GPT, batch_size: int, context: int) -> Begin:
    vocab_size = model.config.vocab_size
    tokens = np.random.default_rng(0).integers(0, vocab_size, batch_size * context + 1)

    def begin() -> Callable[[], object]:
        open_or_close(model)
        config = mg.TrainerConfig(
            max_steps=10**6, batch_size=batch_size, block_size=context, workers=1, progress=False
        )
        trainer = mg.Trainer(model, tokens, config=config)
        trainer.train_step()
        return trainer.train_step

    return begin


def writing(model: mg.GPT, prompt: int, new: int) -> Begin:
    ids = np.random.default_rng(0).integers(0, model.config.vocab_size, (1, prompt))
    options = SamplingConfig(max_new_tokens=new, temperature=0)

    def begin() -> Callable[[], object]:
        open_or_close(model)
        columns = Decoder(model, ids, None, options).columns()
        next(columns)  # reads the prompt
        return lambda: next(columns)

    return begin


def open_or_close(model: mg.GPT) -> None:
    """Its parameters keep books while these are open, and else do not."""
    for parameter in model.parameters():
        parameter.data = booked(plain(parameter.data))


def measure(title: str, begin: Begin, times: int | None, args: Any) -> Costs:
    """The whole and its parts in turn, and of both the turn that was disturbed least."""
    in_turn = 1 if args.fast else max(1, round(TURN / seconds_of(begin, 1)))
    rounds = args.rounds
    if times is None:
        times = in_turn
    else:  # a short turn is soon disturbed: more of them
        rounds *= max(1, in_turn // times)
    wholes, turns = [], []
    for _ in range(rounds):
        wholes.append(seconds_of(begin, times))
        turns.append(noted_calls(begin, times).entries)
    least = min(turns, key=lambda entries: sum(entry.seconds for entry in entries.values()))
    dearest = sorted(least.items(), key=lambda item: -item[1].seconds)
    return Costs(title, min(wholes), times, dict(dearest))


def seconds_of(begin: Begin, times: int) -> float:
    work = begin()
    start = clock()
    for _ in range(times):
        work()
    return (clock() - start) / times


# ── the table ─────────────────────────────────────────────────────────────────────────────────


def print_peaks(peaks: Peaks) -> None:
    print(f"On one thread: the best matrix product {peaks.product / 1e9:.1f} GFLOP/s; reading")
    sizes = ", ".join(
        f"{size // 1024:,} KB {rate / 1e9:.0f}" for size, rate in sorted(peaks.reading.items())
    )
    print(f"{sizes} GB/s")


def print_costs(costs: Costs, peaks: Peaks) -> None:
    print(f"\n{costs.title}: {1000 * costs.whole:.2f} ms")
    print(
        f"{'':28} {'calls':>6} {'ms':>9} {'share':>6} {'MFLOP':>9} {'MB':>9} {'FLOP/byte':>9} "
        f"{'GFLOP/s':>8} {'GB/s':>6}  of the roof: memory, cache"
    )
    n = costs.times
    for part, entry in costs.entries.items():
        intensity, rate = entry.flops / max(entry.moved, 1), entry.flops / entry.seconds
        print(
            f"{part:28} {entry.calls / n:6.0f} {1000 * entry.seconds / n:9.3f} "
            f"{costs.share(entry):6.1%} {entry.flops / n / 1e6:9.2f} {entry.moved / n / 1e6:9.2f} "
            f"{intensity:9.2f} {rate / 1e9:8.1f} {entry.moved / entry.seconds / 1e9:6.1f}"
            + "".join(
                f" {rate / peaks.roof(intensity, bandwidth):12.0%}" if entry.flops else ""
                for bandwidth in (peaks.memory, peaks.cache)
            )
        )
    print(f"{BETWEEN:28} {'':6} {1000 * costs.between:9.3f} {costs.rest:6.1%}")
    calls = sum(entry.calls for entry in costs.entries.values()) / n
    least = 1000 * calls * smallest_call().seconds
    print(f"{calls:,.0f} calls, each as short as adding two numbers, would take {least:.3f} ms")


# ── the picture ───────────────────────────────────────────────────────────────────────────────


def draw(found: list[Costs], peaks: Peaks, output: Path) -> Path:
    columns = min(2, len(found))
    rows = -(-len(found) // columns)
    figure = new_figure(8 * columns, 4.6 * rows)
    for place, costs in enumerate(found):
        draw_roofline(figure.add_subplot(rows, columns, place + 1), costs, peaks)
    figure.savefig(output, dpi=75)
    return output


def draw_roofline(axes: Any, costs: Costs, peaks: Peaks) -> None:
    """Both axes logarithmic: the roof, and a dot for each part, as large as its share."""
    intensity = np.geomspace(1 / 32, 512, 200)
    memory, cache = f"{peaks.memory / 1e9:.0f} GB/s", f"{peaks.cache / 1e9:.0f} GB/s"
    product = f"{peaks.product / 1e9:.0f} GFLOP/s"
    lines = [
        axes.plot(
            intensity,
            [peaks.roof(x, bandwidth) / 1e9 for x in intensity],
            style,
            color="#444444",
            linewidth=1.2,
            label=label,
            zorder=1,
        )[0]
        for bandwidth, style, label in (
            (peaks.cache, "-", f"the roof: {product}, {cache} from the cache"),
            (peaks.memory, "--", f"with {memory} from memory"),
        )
    ]
    dots = [
        axes.scatter(
            entry.flops / entry.moved,
            entry.flops / entry.seconds / 1e9,
            s=20 + 2000 * costs.share(entry),
            color=COLORS.get(part, "#aaaaaa"),
            alpha=0.85,
            edgecolors="white",
            label=f"{costs.share(entry):.1%} {part}",
            zorder=2,
        )
        for part, entry in costs.entries.items()
        if entry.flops
    ]
    dots.append(axes.scatter([], [], color="none", label=f"{costs.rest:.1%} {BETWEEN}"))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(top=2 * peaks.product / 1e9)  # room for the upper half of a dot at the roof
    ticks = {1 / 16: "1/16", 1 / 4: "1/4", 1: "1", 4: "4", 16: "16", 64: "64", 256: "256"}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.minorticks_off()
    axes.set_xlabel("FLOPs for each byte that is read or written")
    axes.set_ylabel("GFLOP/s")
    milliseconds = 1000 * costs.whole
    whole = f"{milliseconds:,.0f}" if milliseconds >= 10 else f"{milliseconds:.1f}"
    axes.set_title(f"{costs.title}: {whole} ms", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    of_lines = axes.legend(handles=lines, frameon=False, fontsize=9, loc="lower right")
    axes.add_artist(of_lines)  # which the next legend would take the place of
    legend = axes.legend(
        handles=dots, frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0)
    )
    for handle in legend.legend_handles[:-1]:
        handle.set_sizes([60])  # of one size, whatever the dots have


if __name__ == "__main__":
    main()
