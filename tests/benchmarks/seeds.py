"""What the uses reach whatever the seed: each script is run with several, as a user runs it.

    python tests/benchmarks/seeds.py summarise masked_names --seeds 10-14
    python tests/benchmarks/seeds.py questions --seeds 0-4 --report validation
    python tests/benchmarks/seeds.py all --trial --output runs/trial.jsonl

Settings are chosen by seeds 0 to 4 and the validation part; a table that is told to others is of
other seeds, and of the test. Each run is a process of its own, whose figures come from the script's
--figures. Every run is kept as a line of JSON in --output, and what is there is not run again: a
long table can be stopped and go on. After a change to a script, name another file: the table says
of which commits its runs are, and whether their settings differ.

--arguments are passed on to the scripts, and with others a run is another run. With --jobs several
runs share the cores: they take more seconds, but hardly more processor seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Run = dict[str, Any]  # a line of the file


@dataclass(frozen=True)
class Use:
    """A script of examples/, and arguments with which it only shows that it works."""

    script: str
    trial: str
    output: str = "run"  # where it may write: a folder, or a file of this name


FEW = "--train 60 --test 12 --steps 10"
USES = {
    "questions": Use("answer_questions.py", FEW),
    "translate": Use("translate.py", FEW),
    "summarise": Use("summarise.py", FEW),
    "masked_names": Use("masked_names.py", "--steps 4 --test 100", "run.npz"),
    "fine_tune": Use("fine_tune.py", "--steps 4 --labels 100 --test 100"),
    "chat": Use("chat.py", "--train 60 --test 5 --steps 4"),
    "write_code": Use(
        "write_code.py", "--train 200 --test 20 --steps 4 --samples 4 --tokens 20 --vocab-size 300"
    ),
    "lstm_and_gpt": Use("lstm_and_gpt.py", f"--data {ROOT / 'README.md'} --steps 20 20"),
}
LESS_IS_BETTER = ("loss", "bits per byte", "short of full fine-tuning", "seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("uses", nargs="+", choices=[*USES, "all"], metavar="USE", help=", ".join([*USES, "all"]))
    add("--seeds", type=seeds_of, default="10-14", help="such as 10-14, or 3,5 (default: 10-14)")
    add("--report", choices=("validation", "test"), default="test", help="which part is measured")
    add("--arguments", type=shlex.split, default=[], help='such as --arguments="--steps 900"')
    add("--trial", action="store_true", help="few steps and cases: does everything work?")
    add("--jobs", type=int, default=1, help="how many runs at once (default: 1)")
    add("--output", type=Path, default=Path("runs/seeds.jsonl"), help="the file of the runs")
    add("--only-table", action="store_true", help="run nothing")
    args = parser.parse_args()
    names = list(USES) if "all" in args.uses else list(dict.fromkeys(args.uses))

    wanted = [
        wish(name, seed, args.report, args.arguments, args.trial)
        for name in names
        for seed in args.seeds
    ]
    missing = [] if args.only_table else not_in(read(args.output), wanted)
    failed = run_all(missing, max(1, args.jobs), args.output) if missing else 0
    done = read(args.output)
    for name in names:
        print(table(name, [run for w in wanted if w["use"] == name for run in matching(done, w)]))
    if failed:
        sys.exit(f"{failed} of {len(missing)} runs failed: the same command runs them again")


def seeds_of(text: str) -> list[int]:
    """The seeds of "10-12,20": 10, 11, 12 and 20."""
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        raise argparse.ArgumentTypeError(f"must be numbers such as 10-14, or 3,5: got {text}")
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    if not seeds or len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(f"must name each seed once, the least first: got {text}")
    return seeds


def wish(name: str, seed: int, report: str, arguments: Sequence[str], trial: bool) -> Run:
    """What makes a run the run that it is: the beginning of its line."""
    given = [*(shlex.split(USES[name].trial) if trial else []), *arguments]
    return {"use": name, "seed": seed, "report": report, "arguments": given}


# ── the file of the runs ──────────────────────────────────────────────────────────────────────


def read(file: Path) -> list[Run]:
    """The runs so far.

    Raises:
        SystemExit: a line is not one that this script has written.
    """
    runs = []
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            run = json.loads(line)
            (
                run["use"],
                run["seed"],
                run["report"],
                run["arguments"],
                run["figures"],
                run["settings"],
            )
        except (ValueError, KeyError, TypeError):
            sys.exit(f"{file}, line {number}, is not a run: remove it")
        runs.append(run)
    return runs


def matching(runs: Iterable[Run], wanted: Run) -> list[Run]:
    """The last of the runs that is the wanted one, if there is one."""
    return [run for run in runs if all(run[key] == wanted[key] for key in wanted)][-1:]


def not_in(runs: Sequence[Run], wanted: Iterable[Run]) -> list[Run]:
    """The wanted runs that are still to be made."""
    return [w for w in wanted if not matching(runs, w)]


def keep(file: Path, run: Run) -> None:
    """Add a line, all at once: one that is cut off by a kill would be half a run."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab", buffering=0) as lines:
        lines.write(json.dumps(run, ensure_ascii=False).encode() + b"\n")


# ── running ───────────────────────────────────────────────────────────────────────────────────


def run_all(wanted: Sequence[Run], jobs: int, file: Path) -> int:
    """Make the runs, so many at once, and keep each as soon as it is done; how many failed."""
    failed = 0
    commit = this_commit()
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(run_once, w): w for w in wanted}
        try:
            for number, done in enumerate(as_completed(running), 1):
                w = running[done]
                what = f"{number} of {len(wanted)}: {w['use']}, seed {w['seed']}"
                try:
                    result = done.result()
                except RuntimeError as error:
                    failed += 1
                    print(f"{what} failed: {error}", file=sys.stderr, flush=True)
                    continue
                keep(file, {**w, **result, "jobs": jobs, "commit": commit})
                print(f"{what}: {result['seconds']:.0f} s", file=sys.stderr, flush=True)
        except BaseException:  # Ctrl-C reaches the running scripts too: no new ones after them
            pool.shutdown(cancel_futures=True)
            raise
    return failed


def run_once(wanted: Run) -> Run:
    """The figures of one run in a folder of its own, the settings it had, and what it took.

    Raises:
        RuntimeError: it failed, with the last line of what it complained of.
    """
    use = USES[wanted["use"]]
    with tempfile.TemporaryDirectory() as folder:
        figures, complaints = Path(folder, "figures.json"), Path(folder, "stderr")
        command = [sys.executable, str(ROOT / "examples" / use.script), *wanted["arguments"]]
        command += ["--seed", str(wanted["seed"]), "--report", wanted["report"], "--quiet"]
        command += ["--figures", str(figures), "--output", str(Path(folder, use.output))]
        started = time.perf_counter()
        with complaints.open("wb") as stderr:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
            code, processor_seconds = wait(process)
        seconds = time.perf_counter() - started
        if code:
            said = complaints.read_text(encoding="utf-8", errors="replace").strip()
            raise RuntimeError(said.splitlines()[-1] if said else f"exit code {code}")
        kept = json.loads(figures.read_text(encoding="utf-8"))
    for argument in ("figures", "output", "quiet", "overwrite", "ask", "talk"):
        kept["settings"].pop(argument, None)  # nothing that a figure could depend on
    kept["seconds"] = round(seconds, 1)
    if processor_seconds is not None:
        kept["processor_seconds"] = round(processor_seconds, 1)
    return kept


def wait(process: subprocess.Popen[bytes]) -> tuple[int, float | None]:
    """The exit code of a process, and what it has taken of all cores, where the system tells."""
    if not hasattr(os, "wait4"):  # Windows
        return process.wait(), None
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
    return process.returncode, used.ru_utime + used.ru_stime


def this_commit() -> str:
    """The commit that runs, with a "+" where files have been changed since; "" outside of git."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


# ── the table ─────────────────────────────────────────────────────────────────────────────────


def table(name: str, runs: Sequence[Run]) -> str:
    """Median, worst and best of every figure, the mean with its standard error, and the time."""
    if not runs:
        return f"\n{name}: no run of these seeds with these arguments"
    commits = sorted({run["commit"] for run in runs})
    seeds = ", ".join(str(run["seed"]) for run in runs)
    rows = [
        f"\n{name}, {runs[0]['report']}, seeds {seeds}, commit {' and '.join(commits)}",
        f"\n| {shlex.join(runs[0]['arguments']) or 'as it is'} | median | worst | best | mean |",
        "|---|---:|---:|---:|---:|",
    ]
    settings = [{**run["settings"], "seed": None} for run in runs]
    if any(other != settings[0] for other in settings):
        rows.insert(1, "The settings of these runs differ: see the file.")
    columns: dict[str, list[float]] = {}
    for run in runs:
        took = {key: run[key] for key in ("seconds", "processor_seconds") if key in run}
        for figure, value in {**run["figures"], **took}.items():
            columns.setdefault(figure.replace("_", " "), []).append(value)
    return "\n".join(rows + [row(figure, values) for figure, values in columns.items()])


def row(figure: str, values: Sequence[float]) -> str:
    """A line of the table.

    The standard error of a mean is the standard deviation over the square root of their number.
    """
    number = number_form(figure)
    worst, best = min(values), max(values)
    if figure.endswith(LESS_IS_BETTER):
        worst, best = best, worst
    cells = [number(value) for value in (statistics.median(values), worst, best)]
    cells.append(number(statistics.fmean(values)))
    if len(values) > 1:
        cells[-1] += f" ± {number(statistics.stdev(values) / len(values) ** 0.5)}"
    return f"| {' | '.join([figure, *cells])} |"


def number_form(figure: str) -> Any:
    """How a figure is written: seconds, a loss, or the share that it is otherwise."""
    if figure.endswith("seconds"):
        return "{:,.0f}".format
    if figure.endswith(("loss", "bits per byte")):
        return "{:.3f}".format
    return lambda share: f"{100 * share:.1f} %"


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped by Ctrl-C: the same command goes on")
