"""A table of exact matches: methods and baselines one below the other, groups of cases beside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from minigpt import checks
from minigpt.metrics.pairs import References, each
from minigpt.metrics.right_answers import check_normalize, exact_match

ALL = "all"


class MatchTable:
    """The share of cases that each method gets exactly right, by group and in all.

    Args:
        references: what is right in each of N cases, as in :func:`exact_match`.
        groups: the group of each case, shown in the order in which they first occur; None for no
            groups.
        normalize: as in :func:`exact_match`.

    Attributes:
        rows: title -> group -> share, from 0 to 1; "all" is a group too.

    Raises:
        ValueError: there is no case, or the numbers of cases and groups differ.

    Example:
        >>> table = MatchTable(["十", "二十", "五月"], groups=["number", "number", "date"])
        >>> table.add("guess", ["十", "十", "十"])
        >>> table.add("model", ["十", "二十", "五月"])
        >>> print(table)
                number     date      all
        guess   50.0 %    0.0 %   33.3 %
        model  100.0 %  100.0 %  100.0 %
    """

    def __init__(
        self,
        references: References,
        groups: Iterable[str] | None = None,
        normalize: Callable[[str], str] | None = None,
    ) -> None:
        self._references = list(each("references", references))
        if not self._references:
            raise ValueError("references is empty: a share is counted over at least one case")
        if groups is not None:
            groups = [checks.text(f"groups[{i}]", g) for i, g in enumerate(each("groups", groups))]
        self._group_of = groups
        if self._group_of is not None and len(self._group_of) != len(self._references):
            raise ValueError(
                f"there are {len(self._references):,} references and {len(self._group_of):,} "
                "groups: give each case its group, in the same order"
            )
        self._normalize = check_normalize(normalize)
        self._cases = {group: self._of(group) for group in dict.fromkeys(self._group_of or ())}
        self._cases[ALL] = list(range(len(self._references)))
        self.rows: dict[str, dict[str, float]] = {}

    def _of(self, group: str) -> list[int]:
        return [i for i, own in enumerate(self._group_of or ()) if own == group]

    def add(self, title: str, predictions: Sequence[str]) -> None:
        """A row with a ``title``: what a method says to each case, its ``predictions``.

        Raises:
            TypeError: a prediction is not a str.
            ValueError: the numbers of predictions and cases differ.
        """
        checks.text("title", title)
        exact_match(predictions, self._references)  # refuses another number of them, or no list
        self.rows[title] = {
            group: exact_match(
                [predictions[i] for i in cases],
                [self._references[i] for i in cases],
                self._normalize,
            )
            for group, cases in self._cases.items()
        }

    def add_shares(self, title: str, shares: Mapping[str, float]) -> None:
        """A row with a ``title``, of ``shares`` counted elsewhere; groups that it lacks stay empty.

        Raises:
            ValueError: the table has no such group.
        """
        checks.text("title", title)
        self.rows[title] = _checked_shares(shares, self._cases)

    def __str__(self) -> str:
        groups = list(self._cases)
        lines = {"": groups}
        for title, shares in self.rows.items():
            lines[title] = [f"{100 * shares[g]:.1f} %" if g in shares else "" for g in groups]
        first = max(map(len, lines))
        widths = [max(len("100.0 %"), len(group)) for group in groups]
        return "\n".join(
            "  ".join([title.ljust(first), *map(str.rjust, cells, widths)])
            for title, cells in lines.items()
        )


def _checked_shares(shares: object, groups: Iterable[str]) -> dict[str, float]:
    """A share for each of some groups."""
    if not isinstance(shares, Mapping):
        raise checks.wrong_type("shares", "a dict of shares by group", shares)
    known = list(groups)
    for group in shares:
        checks.one_of("a group of shares", group, known)
    return {g: checks.number(f"shares[{g!r}]", x, least=0, most=1) for g, x in shares.items()}
