"""Translation, question answering and summaries as a user calls them, with few steps and cases."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

import minigpt as mg
from minigpt.models import EncoderDecoder

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
REPORT = "Ashford play Dunmore at home. 9' Lowe scores for Dunmore. At half-time it is 0–1."
STORY = "Nora went to the attic. Nora took the map. Where is the map?"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a script in this process: its exit code, what it printed, and its complaints."""

    def run(script: str, arguments: str = "", *more: str) -> tuple[Any, str, str]:
        path = str(EXAMPLES / f"{script}.py")
        monkeypatch.setattr(sys, "argv", [path, *arguments.split(), *more])
        code: Any = 0
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as stop:
            code = stop.code or 0
        return code, *capsys.readouterr()

    return run


def rows(out: str, *titles: str) -> list[list[float]]:
    """The shares of the table's rows that begin so."""
    lines = [line for title in titles for line in out.splitlines() if line.startswith(title)]
    return [[float(share) for share in re.findall(r"([\d.]+) %", line)] for line in lines]


def test_translate(run):
    small = "--train 40 --test 10 --steps 2 --beams 2 --quiet"
    code, out, err = run("translate", small)
    assert (code, err) == (0, "")
    assert "exactly right, of 10 unseen cases:" in out and "2 steps each, " in out
    found = rows(out, "baseline: word by word", "encoder–decoder, ", "decoder alone, ")
    assert len(found) == 5 and all(len(row) == 3 for row in found)
    assert Path("runs/translate/attention.png").exists() or "matplotlib" in out
    model, tokenizer = mg.load_model("runs/translate/seq2seq.npz")
    assert isinstance(model, EncoderDecoder)
    assert tokenizer.decode(tokenizer.encode(" May 二〇")) == " May 二〇"

    code, again, _ = run("translate", small + " --model decoder --output again")
    assert code == 0 and not Path("again/seq2seq.npz").exists()
    title = "decoder alone, greedy"
    assert rows(again, title) == rows(out, title)  # the same seed, whatever else was trained
    code, out, err = run("translate", "--quiet --ask", "seven", "May the third, nineteen oh six")
    assert (code, err) == (0, "") and len(out.splitlines()) == 4
    assert out.startswith("encoder–decoder: ") and "\ndecoder alone: " in out


def test_the_baseline_of_translation(monkeypatch):
    module = runpy.run_path(str(EXAMPLES / "translate.py"))
    said = module["word_by_word"]
    assert said("three hundred and twenty-one") == "三百二十一"
    assert said("nineteen hundred") == "十九百"
    assert said("May the third, twenty oh six") == "五月三二十〇六"
    assert said("the twelfth of June") == "十二六月" and said("the fourth") == "四"


def test_answer_questions(run):
    code, out, err = run("answer_questions", "--train 40 --test 9 --steps 2 --quiet")
    assert (code, err) == (0, "")
    assert "exactly right, of 9 unseen stories:" in out and "2 steps, " in out
    found = rows(out, "baseline: ", "GPT")
    assert len(found) == 6 and all(len(row) == 4 for row in found)
    code, out, err = run("answer_questions", "--ask", STORY)
    assert (code, err) == (0, "") and len(out.splitlines()) == 1


def test_lessons_hold_every_question_with_its_answer():
    module = runpy.run_path(str(EXAMPLES / "answer_questions.py"))
    from task_data import place_stories

    train, _ = place_stories.make_cases(300, 1, 0)
    texts = (f" {s.text} {s.question} {s.answer}" for s in train)
    tokenizer = module["word_tokenizer"](texts, module["SPECIAL_TOKENS"])
    lessons = module["make_lessons"](20, 0, tokenizer, set())
    story, *turns = (
        re.split(r"(?<=\.) (?=Wh)|<\|end\|>", tokenizer.decode(lessons[0].ids)) if lessons else []
    )
    assert story.endswith(".") and all(
        re.fullmatch(r" ?Wh.*\?<\|answer\|> \w+", turn) for turn in turns[:-1]
    )
    said = [i for i, s in zip(lessons[0].ids, lessons[0].said, strict=True) if s]
    assert len(said) == 2 * (len(turns) - 1)  # a word and its end
    held_out = {re.split(r"(?<=\.) (?=Wh)", tokenizer.decode(c.ids))[0].strip() for c in lessons}
    others = module["make_lessons"](20, 0, tokenizer, held_out)
    assert not held_out & {
        re.split(r"(?<=\.) (?=Wh)", tokenizer.decode(c.ids))[0].strip() for c in others
    }


def test_summarise(run):
    code, out, err = run("summarise", "--train 40 --test 5 --steps 2 --quiet")
    assert (code, err) == (0, "")
    assert "exactly right, of 5 unseen reports:" in out and "ROUGE-L of the GPT's lines: 0." in out
    found = rows(out, "baseline: ", "GPT ")
    assert len(found) == 4 and all(len(row) == 1 for row in found)
    code, out, err = run("summarise", "--ask", REPORT, REPORT)
    assert (code, err) == (0, "") and len(set(out.splitlines())) == 1


@pytest.mark.parametrize("script", ["translate", "answer_questions", "summarise"])
def test_failures_are_one_line(run, script):
    code, _, err = run(script, "--ask", "something")
    assert code == 2 and len(err.splitlines()) == 1 and "there is no checkpoint runs" in err
    code, _, err = run(script, "--test 0")
    assert code == 2 and len(err.splitlines()) == 1 and "must be an integer of at least" in err


@pytest.mark.parametrize("script", ["translate", "answer_questions", "summarise"])
def test_ctrl_c(run, script, monkeypatch):
    original = mg.Trainer.train_step

    def train_step(self: mg.Trainer) -> float:
        self.stop()
        return original(self)

    monkeypatch.setattr(mg.Trainer, "train_step", train_step)
    code, _, err = run(script, "--train 30 --test 3 --steps 2 --quiet")
    assert code == 130 and "stopped by Ctrl-C" in err
    assert not Path("runs").exists()
