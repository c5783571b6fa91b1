"""A bar that may fail."""

from __future__ import annotations

import io
import sys

import pytest

from minigpt.progress_bar import ProgressBar, say


class Broken(io.StringIO):
    """A stream on which everything fails."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise OSError

    def isatty(self) -> bool:
        raise ValueError("I/O operation on closed file")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("make", [lambda: None, Broken, closed], ids=["none", "broken", "closed"])
def test_work_goes_on_where_nothing_can_be_shown(monkeypatch, make) -> None:
    monkeypatch.setattr(sys, "stderr", make())
    monkeypatch.setattr(sys, "stdout", make())
    for _ in range(2):  # the second bar would wait for a lock that the first one kept
        with ProgressBar(3, "counting") as bar:
            assert list(bar.over([1, 2, 3])) == [1, 2, 3]
            bar.note("a line")
            say("another")
            say("and another", to_stdout=True)
            bar.refresh()


def test_a_bar_that_breaks_later_is_silent_from_then_on(monkeypatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with ProgressBar(3) as bar:
        bar.refresh()
        stream.close()
        for _ in range(3):
            bar.update()
            bar.refresh()


def test_every_unit_is_counted(capsys) -> None:
    with ProgressBar(1000, "counting", "sheep") as bar:
        assert sum(bar.over(range(1000))) == 499_500
        bar.note("half asleep")
    err = capsys.readouterr().err
    assert "counting: 100%" in err
    assert "1000/1000" in err
    assert "half asleep\n" in err


def test_without_an_end(capsys) -> None:
    with ProgressBar(None, "reading", "char", large=True) as bar:
        bar.update(12_345)
    assert "reading: 12.3kchar" in capsys.readouterr().err


def test_what_is_not_shown_is_quiet(capsys) -> None:
    with ProgressBar(2, shown=False) as bar:
        bar.update()
        bar.note("nothing")
        bar.say("nothing")
    assert capsys.readouterr() == ("", "")


def test_a_long_note_is_folded_at_the_width_of_the_terminal(monkeypatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("COLUMNS", "40")
    words = (
        'threadpoolctl is not installed: with it, training is faster (pip install "minigpt[fast]")'
    )
    with ProgressBar(3, "counting") as bar:
        bar.note(words)
    lines = shown.getvalue().replace("\r", "\n").split("\n")
    assert max(map(len, lines)) <= 40
    assert words in " ".join(line.strip() for line in lines if line.strip())
