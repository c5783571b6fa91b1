"""The script that watches when skills are learned."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from tests.examples.conftest import EXAMPLES

SMALL = "--steps 2 --every 1 --asked 8 --quiet --output sudden.png"


@pytest.fixture
def script(folder):
    return runpy.run_path(str(EXAMPLES / "sudden_step.py"))


def test_every_recipe_runs_and_is_drawn(run, script):
    pytest.importorskip("matplotlib")
    code, out, err = run("sudden_step", f"{SMALL} --seeds 2")
    assert (code, err) == (0, "")
    found = re.findall(r"^(.{26}) (who|where) +– +– +median –$", out, re.MULTILINE)
    names = [name.strip() for name, _ in found]
    assert names == [word for name in script["RECIPES"] for word in (name, "")]
    assert "8 runs in " in out
    assert Path("sudden.png").read_bytes().startswith(b"\x89PNG")


def test_the_words_that_are_looked_up(script):
    """Each skill is judged by its own word, of stories in which the answer is known."""
    rng = script["np"].random.default_rng(0)
    some, *_ = script["place_stories"].make_cases(50, 1, 1, 0)
    spaced, takers = script["spaced"], script["takers"]
    tokenizer = script["word_tokenizer"](
        (spaced(f"{s.text} {s.question} {s.answer}") for s in some),
        script["SPECIAL_TOKENS"],
        script["PHRASES"],
    )
    lessons = script["make_lessons"](20, takers, rng, tokenizer, set(), True, is_exam=True)
    seen = {skill: set() for skill in script["SKILLS"]}
    for lesson in lessons:
        said = [
            tokenizer.decode([token]).strip()
            for token, is_said in zip(lesson.ids, lesson.said, strict=True)
            if is_said
        ]
        for skill, place in script["SKILLS"].items():
            if place < len(said):
                seen[skill].add(said[place])
    from task_data import story_world

    people, places = story_world.PEOPLE, story_world.PLACES
    assert seen["who"] <= set(people) and len(seen["who"]) > 3
    assert seen["where"] <= set(places) and len(seen["where"]) > 3


def test_a_skill_is_there_from_the_step_on_after_which_it_stays(script):
    curve = script["Curve"]([10, 20, 30], {"who": [0.2, 0.95, 0.97], "where": [0.95, 0.5, 0.6]}, 1)
    assert curve.known_at("who") == 20
    assert curve.known_at("where") is None
    assert script["rows"]("a", [curve, curve])[0].split()[-1] == "20"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            "--steps 2 --every 3",
            "argument --every: must be at most --steps, 2, to look once: got 3",
        ),
        ("--steps 1 --every 1 --asked 1 --seed 0", "needs 'where': more --asked"),
    ],
)
def test_what_could_show_nothing_is_refused(run, arguments, told):
    code, _, err = run("sudden_step", f"{arguments} --seeds 1 --quiet --output sudden.png")
    assert code == 2 and told in err and "Traceback" not in err
