"""The generators of data/, for the scripts and notebooks beside this file.

    from task_data import numbers_and_dates

    train, validation, test = numbers_and_dates.make_cases(20_000, 1000, 1000, seed=0)

works wherever the script is called from.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))

import character_names
import dialogue_requests
import dialogues
import library_functions
import match_reports
import numbers_and_dates
import place_stories
import story_world
import tang_poems

__all__ = [
    "character_names",
    "dialogue_requests",
    "dialogues",
    "library_functions",
    "match_reports",
    "numbers_and_dates",
    "place_stories",
    "story_world",
    "tang_poems",
]
