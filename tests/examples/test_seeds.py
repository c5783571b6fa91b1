"""The benchmark that runs a use with several seeds: runs that are kept, and the table of them."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
from command_line import Parser, keep_figures, one_line_errors, reported

@one_line_errors()
def main():
    parser = Parser("A use.")
    parser.add_argument("--worse", type=float, default=0)
    parser.add_report()
    parser.add_seed()
    parser.add_output("runs/use", is_run=False)
    args = parser.parse_args()
    with open("log", "a") as log:
        print(args.seed, args.report, args.output.parent.is_dir(), args.output.exists(), file=log)
    print("what nobody reads")
    if args.seed == 13:
        raise ValueError("an unlucky number")
    keep_figures(args, {"right": args.seed / 20 - args.worse, "a loss": reported(args, 1, 2)})

main()
"""


@pytest.fixture
def seeds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with one use that only writes down that it was run."""
    monkeypatch.syspath_prepend(ROOT / "tests/benchmarks")
    module = importlib.import_module("seeds")
    Path("use.py").write_text(SCRIPT, encoding="utf-8")
    monkeypatch.setattr(module, "USES", {"use": module.Use(f"{folder}/use.py", "--worse 0.25")})
    paths = [str(ROOT / "examples"), str(ROOT)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    return module


@pytest.fixture
def run_seeds(
    seeds: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """The command line: its exit code, the table, and what is said beside it."""

    def run(*arguments: str) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["seeds.py", *arguments, "--output", "kept/runs.jsonl"])
        code: Any = 0
        try:
            seeds.main()
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


def ran() -> list[str]:
    log = Path("log")
    return log.read_text().splitlines() if log.exists() else []


def kept() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("kept/runs.jsonl").read_text("utf-8").splitlines()]


def test_runs_are_kept_and_not_repeated(run_seeds):
    code, out, err = run_seeds("use", "--seeds", "12-14", "--jobs", "2")
    assert code == "1 of 3 runs failed: the same command runs them again"
    assert "seed 13 failed: use.py: error: an unlucky number\n" in err
    assert sorted(ran()) == [f"{seed} test True False" for seed in (12, 13, 14)]
    assert sorted(run["seed"] for run in kept()) == [12, 14]
    for run in kept():
        assert (run["use"], run["report"], run["arguments"]) == ("use", "test", [])
        assert run["figures"] == {"right": run["seed"] / 20, "a loss": 2}
        assert run["settings"] == {"worse": 0, "report": "test", "seed": run["seed"]}
        assert run["seconds"] > 0 and (os.name == "nt" or run["processor_seconds"] > 0)
    assert "use, test, seeds 12, 14, commit " in out
    assert "| right | 65.0 % | 60.0 % | 70.0 % | 65.0 % ± 5.0 % |\n" in out
    assert "| a loss | 2.000 | 2.000 | 2.000 | 2.000 ± 0.000 |\n" in out

    code, again, err = run_seeds("use", "--seeds", "12,14")
    assert (code, err) == (0, "") and again == out and len(ran()) == 3
    # Another part, or other arguments, are another run.
    assert run_seeds("use", "--seeds", "12", "--report", "validation")[0] == 0
    code, out, _ = run_seeds("use", "--seeds", "12", "--trial")
    assert code == 0 and "| right | 35.0 % | 35.0 % | 35.0 % | 35.0 % |\n" in out
    assert run_seeds("all", "--seeds", "12", "--trial")[0] == 0
    assert ran()[3:] == ["12 validation True False", "12 test True False"]
    assert kept()[-2]["figures"]["a loss"] == 1 and kept()[-1]["arguments"] == ["--worse", "0.25"]

    code, out, err = run_seeds("use", "--seeds", "20", "--only-table")
    assert (code, err) == (0, "") and "no run of these seeds" in out and len(ran()) == 5


def test_a_line_that_is_cut_off_is_said(run_seeds):
    assert run_seeds("use", "--seeds", "3")[0] == 0
    with Path("kept/runs.jsonl").open("a") as file:
        file.write('{"use": "use", "se')
    code, out, _ = run_seeds("use", "--seeds", "3")
    assert code == "kept/runs.jsonl, line 2, is not a run: remove it" and out == ""


def test_runs_of_different_settings_are_told(seeds):
    runs = [
        {"seed": seed, "report": "test", "arguments": [], "figures": {"right": 0.5}, "commit": "a",
         "settings": {"seed": seed, "steps": steps}, "seconds": 1.0}
        for seed, steps in ((10, 9), (11, 9), (12, 8))
    ]  # fmt: skip
    assert "settings" not in seeds.table("use", runs[:2])
    assert "The settings of these runs differ" in seeds.table("use", runs)


def test_the_worst_is_the_most_where_less_is_better(seeds):
    assert seeds.row("short of full fine-tuning", [0.01, -0.02, 0.04]).startswith(
        "| short of full fine-tuning | 1.0 % | 4.0 % | -2.0 % | 1.0 % ± 1.7 % |"
    )
    assert seeds.row("processor seconds", [1200, 900]) == (
        "| processor seconds | 1,050 | 1,200 | 900 | 1,050 ± 150 |"
    )


def test_seeds_as_they_are_written(seeds):
    assert seeds.seeds_of("10-12,20") == [10, 11, 12, 20]
    for wrong in ("", "10-", "3,3", "5-4", "a", "-1"):
        with pytest.raises(argparse.ArgumentTypeError):
            seeds.seeds_of(wrong)


def test_every_use_takes_what_it_is_given(run, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tests/benchmarks")
    for use in importlib.import_module("seeds").USES.values():
        code, out, _ = run(use.script.removesuffix(".py"), "--help")
        given = use.trial.split()
        for argument in ("--seed", "--report", "--quiet", "--figures", "--output", *given):
            assert code == 0 and (not argument.startswith("--") or f"{argument} " in out), argument


def test_figures_are_kept_where_there_is_a_place(run):
    for wrong in ("nowhere/figures.json", "."):
        code, _, err = run("summarise", f"--figures {wrong}")
        assert code == 2 and err.count("\n") == 1 and "a folder that is there" in err
