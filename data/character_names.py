"""Names of Unicode's characters with their general categories, out of Python itself.

    python data/character_names.py --train 5000 --test 2000 --seed 0 --output prepared/names

GREEK SMALL LETTER ALPHA is an Ll, a lower-case letter; PLUS SIGN an Sm, a mathematical symbol. The
labels are the real ones (Unicode Standard, §4.5). The names are those of the corpus
``unicode-names``, which leaves out the hundred thousand that are made by rule.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from case_files import Parts, check_sizes, check_supply, pick, run_command
from minigpt.datasets import load_text

CATEGORIES = {
    "Lu": "upper-case letter", "Ll": "lower-case letter", "Lt": "title-case letter",
    "Lm": "modifier letter", "Lo": "other letter", "Mn": "non-spacing mark",
    "Mc": "spacing mark", "Me": "enclosing mark", "Nd": "decimal digit", "Nl": "letter number",
    "No": "other number", "Pc": "connector", "Pd": "dash", "Ps": "opening punctuation",
    "Pe": "closing punctuation", "Pi": "initial quote", "Pf": "final quote",
    "Po": "other punctuation", "Sm": "mathematical symbol", "Sc": "currency symbol",
    "Sk": "modifier symbol", "So": "other symbol", "Zs": "space", "Zl": "line separator",
    "Zp": "paragraph separator", "Cf": "format character",
}  # fmt: skip


@dataclass(frozen=True)
class CharacterName:
    """The name of a character and its general category, such as "Ll"."""

    name: str
    category: str


def all_names() -> list[str]:
    """Every name of the corpus ``unicode-names``, in the order of the code points.

    Example:
        >>> all_names()[:2]
        ['SPACE', 'EXCLAMATION MARK']
    """
    return load_text("unicode-names").splitlines()


def family(name: str) -> str:
    """What names have in common that differ in their numbers alone: BRAILLE PATTERN DOTS-#.

    Example:
        >>> family("BRAILLE PATTERN DOTS-12") == family("BRAILLE PATTERN DOTS-1357")
        True
    """
    return re.sub("[0-9]+", "#", name)


def make_cases(n_train: int, n_validation: int, n_test: int, seed: int) -> Parts[CharacterName]:
    """Three parts that share no family; of a family there is one name, drawn by lot.

    The training part is in such an order that its beginning, wherever it is cut, has the
    categories in their shares of the whole, to one name: ``train[:100]`` is a stratified sample,
    and part of ``train[:1000]``. The others are plain random samples.

    Raises:
        ValueError: a size below 1, a negative seed, or more cases than there are families.

    Example:
        >>> train, validation, test = make_cases(1000, 10, 10, seed=0)
        >>> {family(case.name) for case in train} & {family(case.name) for case in test}
        set()
    """
    rng = check_sizes(n_train, n_validation, n_test, seed)
    families: dict[str, list[str]] = defaultdict(list)
    for name in all_names():
        families[family(name)].append(name)
    what = "names that differ in more than a number"
    check_supply(n_train, n_validation, n_test, len(families), what)
    members = list(families.values())
    cases = []
    for i in rng.permutation(len(members))[: n_test + n_train + n_validation]:
        name = pick(rng, members[i])
        cases.append(CharacterName(name, unicodedata.category(unicodedata.lookup(name))))
    test, others = cases[:n_test], cases[n_test:]  # validation last, as elsewhere
    return stratified(others[:n_train]), others[n_train:], test


def stratified(cases: list[CharacterName]) -> list[CharacterName]:
    """The cases so ordered that the first k hold k·n/N of a category's n, give or take less than 1.

    To keep within that, the j-th of a category's n must not come before place (j − 1)·N/n nor after
    place j·N/n. Of those whose time has come, the one that must be there first is next: earliest
    deadline first (Baruah et al. 1996, "Proportionate Progress").
    """
    groups: dict[str, list[CharacterName]] = defaultdict(list)
    for case in cases:
        groups[case.category].append(case)
    taken = dict.fromkeys(sorted(groups), 0)
    total = len(cases)

    def deadline(category: str) -> int:
        return -(-(taken[category] + 1) * total // len(groups[category]))  # rounded up

    ordered = []
    for place in range(1, total + 1):
        due = [c for c, j in taken.items() if j * total < place * len(groups[c])]
        category = min(due, key=deadline)
        ordered.append(groups[category][taken[category]])
        taken[category] += 1
    return ordered


def names_without(cases: Iterable[CharacterName]) -> list[str]:
    """All names but those of these families: to pre-train on what is in no part held out."""
    held_out = {family(case.name) for case in cases}
    return [name for name in all_names() if family(name) not in held_out]


def majority(train: Iterable[CharacterName], test: list[CharacterName]) -> tuple[str, float]:
    """The most frequent category of the training part, and its share of the test."""
    category = Counter(case.category for case in train).most_common(1)[0][0]
    return category, sum(case.category == category for case in test) / len(test)


def describe(train: list[CharacterName], test: list[CharacterName]) -> list[str]:
    """A case, and the baseline."""
    category, share = majority(train, test)
    return [
        f"{test[0].name} → {test[0].category}, {CATEGORIES[test[0].category]}",
        f"always {category}: {share:.1%} of the test",
    ]


if __name__ == "__main__":
    sys.exit(run_command(__doc__ or "", make_cases, describe, 5000, 2000, 2000))
