"""Match reports: counted again from their text, every result is right."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain

import pytest

from match_reports import MOST_GOALS, TEAMS, baselines, make_cases

TEAM = "|".join(TEAMS)
NO_GOALS = ("disallowed", "offside", "misses", "saves", "post", "card", "bring on")


def result_of(report):
    """The result, the half-time score and the course of the match, from the words alone."""
    opening, *sentences = re.split(r"(?<=\.) ", report)
    first, second = re.findall(TEAM, opening)
    home, away = (second, first) if "guests" in opening or "travel" in opening else (first, second)
    goals = Counter({home: 0, away: 0})
    half_time = None
    course = f"{home} 0 {away} 0."
    for sentence in sentences[:-1]:
        if found := re.fullmatch(r"At half-time it is (\d)–(\d)\.", sentence):
            assert half_time is None
            half_time = (int(found[1]), int(found[2]))
            assert half_time == (goals[home], goals[away])
            continue
        assert re.match(r"\d+' ", sentence), sentence
        (team,) = re.findall(TEAM, sentence)
        own = "own net" in sentence or "Own goal" in sentence
        minute = sentence.split()[0]
        if any(word in sentence for word in NO_GOALS):
            course += f" {minute} {team} no goal"
            continue
        side = (away if team == home else home) if own else team
        goals[side] += 1
        course += f" {minute} {team} {'own goal' if own else 'goal'} {side} {goals[side]}"
    return f"{home} {goals[home]}–{goals[away]} {away}", half_time, course


@pytest.fixture(scope="module")
def cases():
    return make_cases(2000, 200, 500, seed=0)


def test_every_result_is_right(cases):
    for case in chain(*cases):
        result, half_time, course = result_of(case.report)
        assert result == case.result and half_time is not None, case
        assert course == case.course


def test_the_result_is_not_in_the_report(cases):
    """But for the half-time score, where no goal follows."""
    for case in cases[2]:
        assert case.result not in case.report
        assert len(re.findall(r"\d–\d", case.report)) == 1


def test_minutes(cases):
    for case in cases[2]:
        before, after = case.report.split("At half-time")
        first, second = ([int(m) for m in re.findall(r"(\d+)'", part)] for part in (before, after))
        minutes = first + second
        assert minutes == sorted(set(minutes)) and all(1 <= m <= 90 for m in minutes)
        assert all(m <= 45 for m in first) and all(m > 45 for m in second)


def test_nobody_plays_for_both(cases):
    for case in cases[2]:
        sides: dict[str, set[str]] = {}
        for team, player in re.findall(rf"(?:({TEAM})) score through (\w+)", case.report):
            sides.setdefault(player, set()).add(team)
        for player, team in re.findall(rf"(\w+) (?:of|scores for) ({TEAM})", case.report):
            sides.setdefault(player, set()).add(team)
        assert all(len(teams) == 1 for teams in sides.values())


def test_what_the_reports_are_like(cases):
    train, *_ = cases
    homes = Counter(re.split(r" \d", case.result)[0] for case in train)
    assert set(homes) == set(TEAMS) and max(homes.values()) < 2 * min(homes.values())
    goals = [[int(g) for g in re.findall(r"\d+", case.result)] for case in train]
    assert max(map(max, goals)) == MOST_GOALS
    assert 1.1 < sum(map(sum, goals)) / (2 * len(goals)) < 1.4
    text = " ".join(case.report for case in train)
    for words in (*NO_GOALS, "own net", "Own goal", "converts", "through", "heads it in", "guests"):
        assert words in text, words


def test_no_simple_answer_does(cases):
    shares = baselines(cases[0], cases[2])
    assert set(shares) == {"most frequent score", "half-time score", "mentions of goals"}
    assert all(0.05 < share < 0.35 for share in shares.values()), shares
