"""Shares of exact matches, row by row."""

from __future__ import annotations

import pytest

from minigpt.metrics import MatchTable

REFERENCES, GROUPS = ["a", "b", ["c", "C"], "d"], ["x", "y", "x", "y"]


def test_shares_by_group_and_in_all():
    table = MatchTable(REFERENCES, GROUPS)
    table.add("model", ["a", "b", "C", "c"])
    assert table.rows["model"] == {"x": 1.0, "y": 0.5, "all": 0.75}
    table.add_shares("guess", {"x": 0.125})
    assert str(table).splitlines() == [
        "             x        y      all",
        "model  100.0 %   50.0 %   75.0 %",
        "guess   12.5 %                  ",
    ]


def test_without_groups_and_normalized():
    table = MatchTable(REFERENCES, normalize=str.lower)
    table.add("model", ["A", "b", "C", "c"])
    assert table.rows["model"] == {"all": 0.75}


def test_wrong_arguments():
    with pytest.raises(ValueError, match="references is empty"):
        MatchTable([])
    with pytest.raises(ValueError, match="there are 4 references and 1 groups"):
        MatchTable(REFERENCES, ["x"])
    table = MatchTable(REFERENCES, GROUPS)
    with pytest.raises(ValueError, match="3 predictions and 4 references"):
        table.add("model", ["a"] * 3)
    with pytest.raises(TypeError, match="predictions must be a list"):
        table.add("model", "abcd")
    with pytest.raises(ValueError, match=r"a group of shares must be .*: got 'z'"):
        table.add_shares("guess", {"z": 1.0})
    assert table.rows == {}
