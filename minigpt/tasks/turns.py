"""A conversation in words: who says what, in turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from minigpt import checks

Role = Literal["system", "user", "assistant"]
Turn = tuple[Role, str]
SPEAKERS: tuple[Role, Role] = ("user", "assistant")  # in the order in which they speak


def checked_turns(turns: Iterable[tuple[str, str]], system: bool = False) -> list[Turn]:
    """The turns as pairs of a role and a text: the user's and the assistant's in alternation.

    Args:
        turns: (role, text).
        system: whether the first one may be the system's, which says how to answer.

    Raises:
        TypeError: a turn is not a pair of strings.
        ValueError: there is none, or a role is not due.

    Example:
        >>> checked_turns([["system", "Be brief."], ["user", "Hi"]], system=True)
        [('system', 'Be brief.'), ('user', 'Hi')]
    """
    if not checks.iterates(turns):
        raise checks.wrong_type("turns", "a list of pairs (role, text)", turns)
    checked: list[Turn] = []
    n_said = 0
    for i, turn in enumerate(turns):
        if not (isinstance(turn, (tuple, list)) and [*map(type, turn)] == [str, str]):
            raise checks.wrong_type(f"turns[{i}]", "a pair (role, text) of strings", turn)
        role, text = turn
        if role == "system" and system and i == 0:
            checked.append(("system", text))
            continue
        due = SPEAKERS[n_said % 2]
        if role != due:
            mend = "the two take turns, the user first"
            if role == "system":
                mend = "a system prompt comes first" if system else "this format has no system's"
            raise ValueError(f"turns[{i}] is of {role!r}, and {due!r} is due: {mend}")
        checked.append((due, text))
        n_said += 1
    if not n_said:
        raise ValueError("turns is empty: a conversation has at least one turn")
    return checked


def checked_question(turns: Iterable[tuple[str, str]], system: bool = False) -> list[Turn]:
    """As :func:`checked_turns`, of which the last is the user's.

    Raises:
        TypeError, ValueError: as there, or the user is not the last to have spoken.
    """
    checked = checked_turns(turns, system)
    if checked[-1][0] != "user":
        raise ValueError("turns end with an answer: pass them with the user's turn to answer")
    return checked
