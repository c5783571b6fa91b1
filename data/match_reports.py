"""Reports of football matches, minute by minute, and one line with the result.

    python data/match_reports.py --train 20000 --test 1000 --seed 0 --output prepared/reports

The result stands nowhere in the report: it takes counting the goals of both sides, those into
one's own net for the other, and none that is disallowed, missed or saved. The half-time score is
told, as reports do. The home team comes first, whichever is named first.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from case_files import Parts, check_sizes, pick, run_command, shuffled

TEAMS = (
    "Northfield", "Eastham", "Westbrook", "Southport Town", "Ashford", "Birchwood", "Castleton",
    "Dunmore", "Elmstead", "Fairhaven", "Greenhill", "Harborough", "Ironbridge", "Kingsley",
    "Lakeside", "Marlow Rovers",
)  # fmt: skip
PLAYERS = (
    "Abbot", "Baker", "Carter", "Dawson", "Ellis", "Fisher", "Grant", "Hughes", "Irving", "Jarvis",
    "Keller", "Lowe", "Mason", "Nolan", "Osborne", "Parker", "Quinn", "Reeves", "Shaw", "Turner",
    "Usher", "Vance", "Walsh", "York",
)  # fmt: skip

OPENINGS = (
    "{home} receive {away}.",
    "{home} play {away} at home.",
    "{away} are the guests of {home}.",
    "{away} travel to {home}.",
)
GOALS = (
    "{player} scores for {team}.",
    "Goal for {team}, {player} heads it in.",
    "{team} score through {player}.",
    "{player} of {team} converts a penalty.",
    "{player} of {team} finds the net.",
)
OWN_GOALS = (
    "{player} of {team} puts the ball into his own net.",
    "Own goal by {player} of {team}.",
)
OTHERS = (
    "{player} scores for {team}, but the goal is disallowed.",
    "{player} of {team} is offside, no goal.",
    "{player} of {team} misses a penalty.",
    "The keeper saves a penalty by {player} of {team}.",
    "{player} of {team} hits the post.",
    "Yellow card for {player} of {team}.",
    "Red card for {player} of {team}.",
    "{team} bring on {player} for {other}.",
)
HALF_TIME = "At half-time it is {home_goals}–{away_goals}."
CLOSINGS = (
    "{spectators} people saw it.",
    "The referee ends the match in front of {spectators} people.",
    "It was the last match of the year.",
)
HALF, FULL = 45, 90  # minutes
GOALS_EXPECTED = 1.3  # of a team, Poisson distributed
MOST_GOALS = 5  # of a team: the goals into its own net are the other's
OWN_GOAL = 0.1  # the share of all goals
OTHERS_EXPECTED = 3.0  # of both teams together, Poisson distributed


@dataclass(frozen=True)
class MatchReport:
    """A report, and the one line that sums it up.

    Attributes:
        report: sentences, those of the match with their minute.
        result: "Northfield 2–1 Eastham", with the home team first and an en dash.
        course: how it went, thing by thing, and after a goal how many its side has: "Northfield 0
            Eastham 0. 7' Eastham no goal 21' Northfield goal Northfield 1 30' Northfield own goal
            Eastham 1 …".
    """

    report: str
    result: str
    course: str


def make_cases(n_train: int, n_validation: int, n_test: int, seed: int) -> Parts[MatchReport]:
    """Training, validation and test reports; none is in two parts, or twice in one.

    Raises:
        ValueError: a size below 1, or a negative seed.

    Example:
        >>> train, validation, test = make_cases(10, 1, 1, seed=0)
        >>> for sentence in test[0].report.split(". "):
        ...     print(sentence)
        Castleton travel to Southport Town
        1' Yellow card for Hughes of Southport Town
        43' Yellow card for Usher of Castleton
        At half-time it is 0–0
        52' Usher scores for Castleton
        90' Grant of Southport Town converts a penalty
        It was the last match of the year.
        >>> test[0].result
        'Southport Town 1–1 Castleton'
    """
    rng = check_sizes(n_train, n_validation, n_test, seed)
    seen: dict[str, MatchReport] = {}
    while len(seen) < n_train + n_test + n_validation:
        case = play(rng)
        seen[case.report] = case
    cases = list(seen.values())
    held_out = cases[n_train:]  # the validation part last: its size changes no other
    return cases[:n_train], held_out[n_test:], held_out[:n_test]


def play(rng: np.random.Generator) -> MatchReport:
    """A match, drawn by lot, and the report of it."""
    home, away = shuffled(rng, TEAMS)[:2]
    players = shuffled(rng, PLAYERS)
    squads = {home: players[:11], away: players[11:22]}
    goals = {team: min(int(rng.poisson(GOALS_EXPECTED)), MOST_GOALS) for team in (home, away)}
    scorers = shuffled(rng, [home] * goals[home] + [away] * goals[away])
    happenings: list[str | None] = [*scorers, *[None] * int(rng.poisson(OTHERS_EXPECTED))]
    happenings = shuffled(rng, happenings)
    minutes = np.sort(rng.choice(np.arange(1, FULL + 1), size=len(happenings), replace=False))

    sentences = [pick(rng, OPENINGS).format(home=home, away=away)]
    score = {home: 0, away: 0}
    course = [f"{home} 0 {away} 0."]
    rest = False  # the half-time score was told
    for minute, scorer in zip(minutes, happenings, strict=True):
        if minute > HALF and not rest:
            sentences.append(HALF_TIME.format(home_goals=score[home], away_goals=score[away]))
            rest = True
        if scorer is None:
            team, template, kind = pick(rng, (home, away)), pick(rng, OTHERS), "no goal"
        else:
            score[scorer] += 1
            is_own = rng.random() < OWN_GOAL
            team = scorer if not is_own else away if scorer == home else home
            template = pick(rng, OWN_GOALS if is_own else GOALS)
            kind = "own goal" if is_own else "goal"
        player, other = shuffled(rng, squads[team])[:2]
        sentence = template.format(team=team, player=player, other=other)
        sentences.append(f"{minute}' {sentence}")
        course.append(f"{minute}' {team} {kind}")
        if scorer is not None:
            course.append(f"{scorer} {score[scorer]}")
    if not rest:
        sentences.append(HALF_TIME.format(home_goals=score[home], away_goals=score[away]))
    sentences.append(pick(rng, CLOSINGS).format(spectators=int(rng.integers(200, 9999))))
    result = f"{home} {score[home]}–{score[away]} {away}"
    return MatchReport(" ".join(sentences), result, " ".join(course))


def baselines(train: Sequence[MatchReport], test: Sequence[MatchReport]) -> dict[str, float]:
    """The share of exact results that simple answers reach, all of them with the right teams.

    "most frequent score" is the training part's, "half-time score" the one in the report, and
    "mentions of goals" counts the sentences of each team that have scores, goal, net or penalty.
    """
    scores = Counter(_score(case.result) for case in train)
    right: Counter[str] = Counter()
    for case in test:
        home, away = re.split(r" \d+–\d+ ", case.result)
        told = re.search(r"half-time it is (\d+–\d+)", case.report)
        about_goals = [s for s in case.report.split(". ") if re.search("goal|score|net|penalty", s)]
        counts = [sum(team in sentence for sentence in about_goals) for team in (home, away)]
        guesses = {
            "most frequent score": scores.most_common(1)[0][0],
            "half-time score": told[1] if told else "",
            "mentions of goals": f"{counts[0]}–{counts[1]}",
        }
        for name, guess in guesses.items():
            right[name] += int(guess == _score(case.result))
    return {name: right[name] / len(test) for name in guesses}


def _score(result: str) -> str:
    return "".join(re.findall(r"\d+–\d+", result))


def describe(train: list[MatchReport], test: list[MatchReport]) -> list[str]:
    """A case, and the baselines."""
    shares = baselines(train, test).items()
    return [
        f"{test[0].report} → {test[0].result}",
        ", ".join(f"{name} {share:.1%}" for name, share in shares),
    ]


if __name__ == "__main__":
    sys.exit(run_command(__doc__ or "", make_cases, describe, 20_000, 1000, 1000))
