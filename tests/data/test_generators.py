"""What holds of every generator of cases: sizes, seeds, parts that never meet, the command line."""

from __future__ import annotations

import dataclasses
import importlib
import io
import json
import os
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

import character_names
import library_functions
import numbers_and_dates
from case_files import FILES, run_command

ROOT = Path(__file__).resolve().parents[2]
# Each with what of a case must not be in two parts.
OF_ONE_PART = {
    "character_names": lambda case: {character_names.family(case.name)},
    "dialogues": lambda case: {text for role, text in case.turns if role == "user"},
    "library_functions": lambda case: {case.source, re.findall(r"def [fg](\d+)", case.source)[0]},
    "match_reports": lambda case: {case.report},
    "numbers_and_dates": lambda case: {case.target, case.figures},
    "place_stories": lambda case: {case.text},
}
LIBRARY = [
    f"def f{i}(x):\n    return x + {i}\n\n\nclass A{i}:\n    def g{i}(self):\n        return {i}\n"
    for i in range(400)
]


@pytest.fixture(autouse=True)
def small_library(monkeypatch):
    """Reading the whole standard library takes seconds: once is enough, in its own test."""

    class Corpus:
        @staticmethod
        def loader():
            return iter(LIBRARY)

    monkeypatch.setattr(library_functions, "get_corpus", lambda name: Corpus)


@pytest.fixture(params=OF_ONE_PART)
def generator(request):
    return importlib.import_module(request.param)


def test_sizes(generator):
    parts = generator.make_cases(50, 10, 20, seed=3)
    assert [len(part) for part in parts] == [50, 10, 20]
    assert all(dataclasses.is_dataclass(case) for part in parts for case in part)


def test_same_seed_same_cases(generator):
    first = generator.make_cases(60, 20, 20, seed=1)
    assert generator.make_cases(60, 20, 20, seed=1) == first
    other = generator.make_cases(60, 20, 20, seed=2)
    assert all(a != b for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("seed", [0, 1, 2, 10])
def test_the_parts_never_meet(generator, seed):
    own = OF_ONE_PART[generator.__name__]
    cases = generator.make_cases(500, 60, 50, seed=seed)
    parts = [set().union(*map(own, part)) for part in cases]
    assert all(len(part) >= 30 for part in parts)
    assert not any(one & other for one, other in combinations(parts, 2))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 5, 5, 0), ValueError, "n_train must be an integer of at least 1: got 0"),
        ((5, 5, -1, 0), ValueError, "n_test must be an integer of at least 1: got -1"),
        ((5, 0, 5, 0), ValueError, "n_validation must be an integer of at least 1: got 0"),
        ((5, 5, 5, -1), ValueError, "seed must be an integer of at least 0: got -1"),
        ((5.0, 5, 5, 0), TypeError, "n_train must be an integer of at least 1: got 5.0"),
        ((5, 5, True, 0), TypeError, "n_test must be an integer of at least 1: got True"),
        ((5, 5, 5, None), TypeError, "seed must be an integer of at least 0: got None"),
    ],
)
def test_wrong_sizes(generator, arguments, error, message):
    with pytest.raises(error, match=message):
        generator.make_cases(*arguments)


def test_files(generator, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"{generator.__name__}.py"])
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            code = run_command(
                generator.__doc__, generator.make_cases, generator.describe, 40, 10, 20, arguments
            )
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    code, out, err = run()
    folder = tmp_path / "prepared" / generator.__name__
    assert (code, err) == (0, "") and "40 training cases, 10 validation cases, 20 test cases" in out
    for name, cases in zip(FILES, generator.make_cases(40, 10, 20, seed=0), strict=True):
        lines = (folder / name).read_bytes().decode("utf-8").split("\n")
        assert lines.pop() == ""
        expected = json.loads(json.dumps([dataclasses.asdict(case) for case in cases]))
        assert [json.loads(line) for line in lines] == expected
    assert sorted(os.listdir(folder)) == sorted(FILES)

    before = (folder / "train.jsonl").read_bytes()
    code, out, err = run("--seed", "1")
    assert (code, out) == (2, "") and "already holds train.jsonl, validation.jsonl, test.j" in err
    assert (folder / "train.jsonl").read_bytes() == before
    assert run("--seed", "1", "--overwrite", "--quiet") == (0, "", "")
    assert (folder / "train.jsonl").read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--train 0", "--train must be an integer of at least 1: got 0"),
        ("--validation 0", "--validation must be an integer of at least 1: got 0"),
        ("--test -3", "--test must be an integer of at least 1: got -3"),
        ("--seed -1", "--seed must be an integer of at least 0: got -1"),
        ("--train many", "argument --train: invalid int value: 'many'"),
        ("--train 900000 --test 1", "and there are 803,534 days and numbers: ask for fewer"),
        ("--output file", "--output file is a file: name a folder"),
        ("--output file/below", "file"),
        ("--tset 3", "unrecognized arguments: --tset 3"),
    ],
)
def test_wrong_commands_get_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["numbers.py"])
    made = numbers_and_dates.make_cases, numbers_and_dates.describe
    try:
        code = run_command("Numbers.", *made, 9, 9, 9, arguments.split())
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert code in (1, 2) and out == ""
    assert err.startswith("numbers.py: error: ") and message in err and err.count("\n") == 1
    assert os.listdir(tmp_path) == ["file"]


def test_as_a_command(tmp_path):
    def command(*arguments):
        return subprocess.run(
            [sys.executable, str(ROOT / "data/place_stories.py"), *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    done = command("--train", "9", "--validation", "3", "--test", "6", "--output", "stories")
    assert (done.returncode, done.stderr) == (0, "")
    assert "9 training cases, 3 validation cases, 6 test cases: stories" in done.stdout
    assert sorted(os.listdir(tmp_path / "stories")) == sorted(FILES)
    wrong = command("--train", "0")
    assert wrong.returncode == 2
    assert (
        wrong.stderr == "place_stories.py: error: --train must be an integer of at least 1: got 0\n"
    )


def test_a_console_without_chinese(tmp_path, monkeypatch):
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", console)
    monkeypatch.setattr(sys, "argv", ["numbers.py"])
    made = numbers_and_dates.make_cases, numbers_and_dates.describe
    assert run_command("Numbers.", *made, 9, 9, 9, ["--output", str(tmp_path)]) == 0
    console.flush()
    assert b"number: " in console.buffer.getvalue() and b"\\u" in console.buffer.getvalue()


def test_ctrl_c(monkeypatch, tmp_path, capsys):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["reports.py"])
    assert run_command("Reports.", stopped, stopped, 1, 1, 1, ["--output", str(tmp_path)]) == 130
    assert capsys.readouterr() == ("", "reports.py: stopped by Ctrl-C\n")
    assert os.listdir(tmp_path) == []


def test_scripts_and_notebooks_find_the_generators_from_any_folder(tmp_path):
    code = "from task_data import place_stories as s; print(len(s.make_cases(3, 2, 2, seed=0)[0]))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "examples"), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")
