"""Translation, question answering and summaries as a user calls them, with few steps and cases."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigpt as mg
from minigpt.models import EncoderDecoder
from tests.examples.conftest import figures

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
REPORT = "Ashford play Dunmore at home. 9' Lowe scores for Dunmore. At half-time it is 0–1."
STORY = "Nora went to the attic. Nora took the map. Where is the map?"


def rows(out: str, *titles: str) -> list[list[float]]:
    """The shares of the table's rows that begin so."""
    lines = [line for title in titles for line in out.splitlines() if line.startswith(title)]
    return [[float(share) for share in re.findall(r"([\d.]+) %", line)] for line in lines]


def test_translate(run):
    small = "--train 40 --test 10 --steps 2 --beams 2 --quiet"
    code, out, err = run("translate", f"{small} --figures figures.json")
    assert (code, err) == (0, "")
    assert "exactly right, of 10 unseen cases (test):" in out and "2 steps each, " in out
    found = rows(out, "baseline: word by word", "encoder–decoder, ", "decoder alone, ")
    assert len(found) == 5 and all(len(row) == 3 for row in found)
    kept = figures()
    assert len(kept) == 4 and [round(100 * x, 1) for x in kept.values()] == [
        x[-1] for x in found[1:]
    ]
    assert Path("runs/translate/attention.png").exists() or "matplotlib" in out
    model, tokenizer = mg.load_model("runs/translate/seq2seq.npz")
    assert isinstance(model, EncoderDecoder)
    assert tokenizer.decode(tokenizer.encode(" May 二〇")) == " May 二〇"

    code, _, err = run("evaluate", "--checkpoint runs/translate/seq2seq.npz")
    assert code == 2 and "expected a GPT or an LSTM, found EncoderDecoder" in err

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
    small = "--train 40 --test 9 --steps 10 --quiet"
    code, out, err = run("answer_questions", f"{small} --figures figures.json")
    assert (code, err) == (0, "")
    assert "exactly right, of 9 unseen stories (test):" in out and "10 steps, " in out
    found = rows(out, "baseline: ", "GPT")
    assert len(found) == 6 and all(len(row) == 4 for row in found)
    assert list(figures()) == ["1 fact", "2 facts", "3 facts"]
    assert [round(100 * share, 1) for share in figures().values()] == found[-1][:3]
    assert re.search(r"^with exactly the sentences that prove it: [\d.]+%$", out, re.MULTILINE)
    code, out, err = run("answer_questions", "--ask", STORY)
    assert (code, err) == (0, "") and len(out.splitlines()) == 1
    code, _, err = run("answer_questions", "--ask", "Nora went to the attic.")
    assert code == 2 and "must end with a question: got 'Nora went" in err
    code, out, err = run("answer_questions", small + " --no-proof")
    assert (code, err) == (0, "") and "prove" not in out


def told(tokenizer: mg.Tokenizer, lesson: Any) -> tuple[str, list[tuple[str, str]]]:
    """The story of a lesson, and its questions with what is said to them."""
    text = tokenizer.decode(lesson.ids)
    story, *turns = re.split(r"(?:(?<=\.)|<\|end\|>) (?=Wh)", text.removesuffix("<|end|>"))
    return story.strip(), [(q, a) for q, a in (turn.split("<|answer|> ") for turn in turns)]


@pytest.mark.parametrize("with_proof", [True, False])
@pytest.mark.parametrize("stage", [0, -1])
def test_lessons_ask_once_about_everything(stage, with_proof):
    module = runpy.run_path(str(EXAMPLES / "answer_questions.py"))
    from task_data import place_stories

    tell = list(module["STAGES"])[stage]
    train, *_ = place_stories.make_cases(300, 1, 1, 0)
    texts = (f" {s.text} {s.question} {s.answer}" for s in train)
    tokenizer = module["word_tokenizer"](texts, module["SPECIAL_TOKENS"], module["PHRASES"])
    assert tokenizer.decode(tokenizer.encode(" Rosa went to the attic.")[1:2]) == " went to the"

    def lessons(held_out: set[str], **how: bool) -> list[tuple[str, list[tuple[str, str]]]]:
        rng = np.random.default_rng(0)
        made = module["make_lessons"](20, tell, rng, tokenizer, held_out, with_proof, **how)
        for lesson in made:
            said = tokenizer.decode([i for i, s in zip(lesson.ids, lesson.said, strict=True) if s])
            assert said == "".join(f" {a}<|end|>" for _, a in told(tokenizer, lesson)[1])
        return [told(tokenizer, lesson) for lesson in made]

    found = lessons(set())
    assert max(len(story.split(". ")) for story, _ in found) >= 8
    for story, turns in found:
        about = [place_stories.asked_about(question) for question, _ in turns]
        assert len(set(about)) == len(about) >= 1
        if tell is module["takers"]:
            assert 2 <= len(about) == story.count(".") / 2 <= 5
        for question, reply in turns:
            if with_proof:
                named, reply = reply.split(" ", 1)
                assert named == place_stories.asked_about(question)
                if question.startswith("Where was"):  # the place is named before its sentence
                    place = question.strip("?").split()[-1]
                    reply, n_named = re.subn(rf"(?<=\. ){place} (?=.* the {place}\.)", "", reply)
                    assert n_named == 1
            *proof, word = reply.split(". ")
            assert re.fullmatch(r"Wh.*\?", question) and word in story
            assert all(f"{sentence}." in story for sentence in proof)
            assert bool(proof) == with_proof
            if with_proof:
                assert word in reply.rsplit(". ", 1)[0] + question
    stories = {story for story, _ in found}
    assert not stories & {story for story, _ in lessons(stories)}
    exam = lessons(held_out := set(), is_exam=True)
    assert all(len(turns) == 1 for _, turns in exam) and {story for story, _ in exam} == held_out


def test_a_proof_is_in_the_order_of_finding():
    from task_data import place_stories

    sentences = ["Rosa went to the attic.", "Otto took the map.", "Otto gave the map to Rosa."]
    assert place_stories.proof(sentences, [0, 2]) == [sentences[2], sentences[0]]
    assert place_stories.proof(sentences, [2]) == [sentences[2]]


def test_a_place_before_another_is_found_from_that_one():
    module = runpy.run_path(str(EXAMPLES / "answer_questions.py"))
    told = ["Rosa went to the attic.", "Rosa took the map.", "Rosa came to the garden."]
    question = "Where was the map before the garden?"
    assert module["reply"](told, question, "attic", [0, 1, 2]) == [
        "map", told[1], "garden", told[2], told[0], "attic",
    ]  # fmt: skip
    assert module["reply"](told, "Where is Rosa?", "garden", [2]) == ["Rosa", told[2], "garden"]


def test_summarise(run):
    small = "--train 40 --test 5 --steps 10 --quiet"
    code, out, err = run("summarise", f"{small} --figures figures.json")
    assert (code, err) == (0, "")
    assert (
        "exactly right, of 5 unseen reports (test):" in out
        and "ROUGE-L of the GPT's lines: 0." in out
    )
    found = rows(out, "baseline: ", "GPT ")
    assert len(found) == 4 and all(len(row) == 1 for row in found)
    assert round(100 * figures()["exactly right"], 1) == found[-1][0] and "ROUGE-L" in figures()
    code, validated, err = run("summarise", f"{small} --report validation")
    assert (code, err) == (0, "") and "of 5 unseen reports (validation):" in validated
    from task_data import match_reports

    for part, printed in zip(
        match_reports.make_cases(40, 5, 5, 0)[1:], (validated, out), strict=True
    ):
        assert f"\n{part[0].report.split('. ')[0]}.\n" in printed
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
    code, _, err = run(script, "--train 30 --test 3 --steps 10 --quiet")
    assert code == 130 and "stopped by Ctrl-C" in err
    assert not Path("runs").exists()
