"""Freed memory stays where the C library allows it, and asking twice changes nothing."""

import platform

from minigpt.memory import keep_freed_memory


def test_it_says_whether_it_could() -> None:
    is_glibc = platform.libc_ver()[0] == "glibc"
    assert keep_freed_memory() is is_glibc
    assert keep_freed_memory() is is_glibc


def test_other_systems_are_left_alone(monkeypatch) -> None:
    for error in (OSError, TypeError, AttributeError):

        def missing(name: object, error: type[Exception] = error) -> None:
            raise error

        monkeypatch.setattr("ctypes.CDLL", missing)
        assert keep_freed_memory.__wrapped__() is False
