"""First steps: what machines that train together say to each other, and how far that scales.

    python examples/many_machines.py

Ranks are started on this machine, and train a small GPT on the prose of Python's language
reference: 1, 2 and 4 of them follow the same losses, and each counts the bytes that it hands to the
others in a step, and those of the optimizer's memory that it keeps. Then comes the arithmetic: with
a measured speed of one machine, how long does a step take on 8, 64 and 512 of them, over wires of
1, 10 and 100 Gbit/s?

Needs mpi4py and an mpiexec: pip install "minigpt[mpi]". A picture is drawn where matplotlib is
installed. many_machines.md tells what is to be seen.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import minigpt as mg
from command_line import Parser, at_least, count, one_line_errors
from minigpt.blas_threads import available_cores, one_blas_thread
from minigpt.datasets import load_text
from minigpt.viz import new_figure

SIZES: dict[str, Any] = {"block_size": 64, "n_layer": 4, "n_head": 4, "n_embd": 128}
RANK_LINES = {1: ("-", "#aab7b8", 5), 2: ("-", "#2471a3", 2), 4: (":", "#c0392b", 2)}
NODES = (8, 64, 512)
GBIT = {1: "#c0392b", 10: "#b9770e", 100: "#2471a3"}  # a second, and its colour
MODELS = {  # parameters, and those of the embedding, whose gradient is finished last
    "GPT-2 124M": (124_439_808, 38_597_376),
    "SmolLM2 135M": (134_515_008, 28_311_552),
}
TOKENS = {2**19: "-", 2**15: "--"}  # of a step, and how they are drawn


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--data", default="python-docs", help="a corpus, a file or a folder")
    parser.add_argument("--steps", type=at_least(2), default=30, help="of training")
    parser.add_argument("--output", type=Path, default=Path("many_machines.png"), help="picture")
    parser.add_argument("--one-of-several", type=Path, help="work as a rank, and report here")
    args = parser.parse_args()
    if args.one_of_several:
        report(args)
        return

    found = {ranks: run_on(ranks, args) for ranks in RANK_LINES}
    cores = available_cores()
    speed = cores * flops_of_a_core()
    tell(found, speed, cores)
    try:
        print(f"As a picture: {draw(found, speed, args.output)}")
    except ImportError as problem:
        print(problem)


# ── measured ──────────────────────────────────────────────────────────────────────────────────


def trainer(args: Any) -> mg.Trainer:
    text = load_text(args.data)
    tokenizer = mg.CharTokenizer.train(text)
    model = mg.GPT(mg.GPTConfig(vocab_size=tokenizer.vocab_size, **SIZES), seed=0)
    config = mg.TrainerConfig(
        max_steps=args.steps, batch_size=12, learning_rate=2e-3, workers=1, eval_batches=2,
        eval_interval=args.steps, progress=False,
    )  # fmt: skip
    return mg.Trainer(model, tokenizer.encode_array(text), config=config)


def report(args: Any) -> None:
    """The work of one rank; the first tells what all have found."""
    run = trainer(args)
    losses = [run.train_step()]
    before, started = run.ranks.bytes_sent, time.perf_counter()
    losses += [run.train_step() for _ in range(args.steps - 1)]
    seconds = (time.perf_counter() - started) / (args.steps - 1)
    sent = (run.ranks.bytes_sent - before) // (args.steps - 1)
    kept = sum(array.nbytes for slot in run.optimizer.slots for array in slot.arrays.values())
    every = run.ranks.gathered([sent, kept])
    found = {"losses": losses, "sent": [s for s, _ in every], "kept": [k for _, k in every]}
    if run.ranks.is_first:
        found |= {"seconds": seconds, "parameters": run.model.num_parameters()}
        args.one_of_several.write_text(json.dumps(found), encoding="utf-8")


def run_on(ranks: int, args: Any) -> dict[str, Any]:
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        raise FileNotFoundError('mpiexec is not there: pip install "minigpt[mpi]"')
    told = args.output.with_suffix(".json")
    options = ["--data", args.data, "--steps", str(args.steps), "--one-of-several", str(told)]
    command = [mpiexec, "-n", str(ranks), sys.executable, __file__, *options]
    subprocess.run(command, check=True)
    found: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    told.unlink()
    return found


def flops_of_a_core() -> float:
    """How fast one core trains: 6 N n FLOPs a step, of N parameters and n tokens."""
    config = mg.GPTConfig(vocab_size=256, block_size=128, n_layer=2, n_head=4, n_embd=512)
    model = mg.GPT(config, seed=0)
    ids = np.random.default_rng(0).integers(0, 256, (4, 128))
    times = []
    with one_blas_thread():
        for _ in range(4):
            started = time.process_time()  # of this process: what others do is not counted
            model.loss(ids, np.roll(ids, -1, axis=1)).backward()
            times.append(time.process_time() - started)
    return 6 * model.num_parameters() * ids.size / min(times)


# ── by formula ────────────────────────────────────────────────────────────────────────────────


def sent_by_formula(ranks: int, parameters: int) -> float:
    """Bytes that each rank sends in a step: a reduce-scatter, and an all-gather."""
    return 2 * (ranks - 1) / ranks * 4 * parameters


def kept_by_formula(ranks: int, parameters: int) -> float:
    """Bytes of Adam's two moments in each rank."""
    return 2 * 4 * parameters / ranks


def step_seconds(
    parameters: int, last: int, tokens: int, nodes: int, speed: float, gbit: float
) -> float:
    """The way forward is a third of the work; on the way back all gradients but the last travel."""
    work = 6 * parameters * tokens / (nodes * speed)
    one_way = sent_by_formula(nodes, parameters) / 2 / (gbit * 1e9 / 8)
    late = one_way * last / parameters
    return work / 3 + max(work * 2 / 3, one_way - late) + late + one_way


def efficiency(sizes: tuple[int, int], tokens: int, nodes: int, speed: float, gbit: float) -> float:
    """The part of all machines that is at work."""
    alone = step_seconds(*sizes, tokens, 1, speed, gbit)
    return alone / (nodes * step_seconds(*sizes, tokens, nodes, speed, gbit))


# ── what is shown ─────────────────────────────────────────────────────────────────────────────


def tell(found: dict[int, dict[str, Any]], speed: float, cores: int) -> None:
    one = found[1]
    n = one["parameters"]
    print(f"{count(n, 'parameter')}, {count(len(one['losses']), 'step')}")
    print(
        "ranks  last loss  losses differ by  sent in a step  by formula  "
        "moments of a rank  by formula"
    )
    for ranks, what in found.items():
        apart = np.abs(np.subtract(what["losses"], one["losses"])).max()
        print(
            f"{ranks:5}  {what['losses'][-1]:9.4f}  {apart:16.1e}  {max(what['sent']):14,}  "
            f"{sent_by_formula(ranks, n):10,.0f}  {max(what['kept']):17,}  "
            f"{kept_by_formula(ranks, n):10,.0f}"
        )
    print(f"\nA core trains at {speed / cores / 1e9:.0f} GFLOP/s, and a machine has {cores}.")
    print("Part of all machines that is at work:")
    print("model          tokens a step  Gbit/s  " + "  ".join(f"{n:3} nodes" for n in NODES))
    for name, sizes in MODELS.items():
        for tokens in TOKENS:
            for gbit in GBIT:
                parts = [efficiency(sizes, tokens, nodes, speed, gbit) for nodes in NODES]
                shown = "  ".join(f"{part:9.0%}" for part in parts)
                print(f"{name:13}  {tokens:13,}  {gbit:6}  {shown}")


def draw(found: dict[int, dict[str, Any]], speed: float, output: Path) -> Path:
    figure = new_figure(13, 7.5)
    (losses, apart, sent), (kept, *curves) = figure.subplots(2, 3)
    draw_losses(losses, apart, found)
    n = found[1]["parameters"]
    draw_bars(sent, "sent", {ranks: sent_by_formula(ranks, n) for ranks in found}, found)
    sent.set(ylabel="MB", title="sent by a rank in a step")
    draw_bars(kept, "kept", {ranks: kept_by_formula(ranks, n) for ranks in found}, found)
    kept.set(ylabel="MB", title="Adam's moments in a rank")
    draw_scaling(curves, speed)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(output, dpi=110)
    return output


def draw_losses(losses: Any, apart: Any, found: dict[int, dict[str, Any]]) -> None:
    """The losses of all numbers of ranks lie on each other, so how they differ is drawn too."""
    for ranks, (line, color, width) in RANK_LINES.items():
        name = f"{ranks} ranks" if ranks > 1 else "1 rank"
        steps = range(1, 1 + len(found[ranks]["losses"]))
        losses.plot(steps, found[ranks]["losses"], line, color=color, linewidth=width, label=name)
        if ranks > 1:
            differences = np.abs(np.subtract(found[ranks]["losses"], found[1]["losses"]))
            apart.plot(steps, differences, "o", color=color, markersize=4, label=name)
    losses.set(xlabel="step", ylabel="loss", title="one loss on any number of ranks")
    apart.axhline(1e-5, color="#777777", linestyle="--", linewidth=1, label="the tests' bound")
    apart.set_yscale("log", nonpositive="mask")
    apart.set(xlabel="step", ylim=(3e-8, 2e-4), title="difference from the loss of one rank")
    for axes in (losses, apart):
        axes.legend(frameon=False, fontsize=9)


def draw_bars(
    axes: Any, what: str, formula: dict[int, float], found: dict[int, dict[str, Any]]
) -> None:
    """What was counted in a rank, and a mark where the formula says it is."""
    places = np.arange(len(found))
    counted = np.array([max(f[what]) for f in found.values()]) / 1e6
    axes.bar(places, counted, 0.5, color="#2471a3", label="measured")
    expected = np.array([*formula.values()]) / 1e6
    axes.plot(places, expected, "_", color="black", markersize=40, label="by formula")
    axes.set_xticks(places, [str(ranks) for ranks in found])
    axes.set(xlabel="ranks", ylim=(0, 1.3 * max(expected)))
    axes.legend(frameon=False, fontsize=9, markerscale=0.4)


def draw_scaling(curves: Any, speed: float) -> None:
    nodes = [2**power for power in range(10)]
    for axes, (name, sizes) in zip(curves, MODELS.items(), strict=True):
        for gbit, color in GBIT.items():
            for tokens, line in TOKENS.items():
                at_work = [efficiency(sizes, tokens, r, speed, gbit) for r in nodes]
                name_of_line = f"{gbit} Gbit/s" if line == "-" else None
                axes.plot(nodes, at_work, line, color=color, label=name_of_line)
        axes.set_xscale("log", base=2)
        axes.set_xticks([1, *NODES], [str(x) for x in (1, *NODES)])
        axes.minorticks_off()
        axes.set(xlabel="machines", ylim=(0, 1.05), title=f"{name}, by formula")
    curves[0].set_ylabel("part of all that is at work")
    title = "half a million tokens a step\n(dashed: 32,768)"
    curves[0].legend(frameon=False, fontsize=9, title=title)


if __name__ == "__main__":
    main()
