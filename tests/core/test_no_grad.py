"""no_grad: as a context, a decorator, nested, in one thread alone, in generators."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from minigpt import Tensor, no_grad
from minigpt.grad_mode import is_grad_enabled

X = Tensor(np.ones(2), requires_grad=True)


def is_recorded() -> bool:
    recorded = (X * 2).requires_grad
    assert recorded == is_grad_enabled()
    return recorded


def test_as_a_context():
    assert is_recorded()
    with no_grad():
        assert not is_recorded()
    assert is_recorded()


def test_nested():
    mode = no_grad()
    with mode:
        with mode, no_grad():
            assert not is_recorded()
        assert not is_recorded()
    assert is_recorded()


def test_an_error_inside_ends_it():
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert is_recorded()


def test_as_a_decorator():
    @no_grad()
    def inner(a, b=0):
        """Its own docstring."""
        return is_recorded(), a, b

    assert inner(1, b=2) == (False, 1, 2)
    assert inner.__name__ == "inner"
    assert inner.__doc__ == "Its own docstring."
    assert is_recorded()


def test_a_decorated_function_may_call_itself():
    @no_grad()
    def countdown(n):
        assert not is_recorded()
        return n if n == 0 else countdown(n - 1)

    assert countdown(5) == 0
    assert is_recorded()


def test_a_decorated_generator_is_unrecorded_and_its_reader_is_not():
    closed = []

    @no_grad()
    def numbers(n):
        try:
            for _ in range(n):
                yield is_recorded()
            return "the end"
        finally:
            closed.append(is_recorded())

    generator = numbers(2)
    for inside in generator:
        assert not inside
        assert is_recorded()
    assert closed == [False]

    def all_of(n):
        return (yield from numbers(n))

    whole = all_of(1)
    next(whole)
    with pytest.raises(StopIteration) as end:
        next(whole)
    assert end.value.value == "the end"

    unfinished = numbers(5)
    next(unfinished)
    unfinished.close()
    assert closed == [False] * 3
    assert is_recorded()


def test_errors_in_a_decorated_generator_end_it():
    @no_grad()
    def broken():
        yield 1
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        list(broken())
    assert is_recorded()


def test_it_is_per_thread():
    """Another thread records while this one does not, and the other way round."""
    entered, checked = threading.Event(), threading.Event()
    found = {}

    def unrecorded():
        with no_grad():
            entered.set()
            found["finished in time"] = checked.wait(timeout=60)
            found["there"] = is_recorded()

    thread = threading.Thread(target=unrecorded)
    thread.start()
    assert entered.wait(timeout=60)
    assert is_recorded()
    with no_grad():
        assert not is_recorded()
    assert is_recorded()
    checked.set()
    thread.join(timeout=60)
    assert found == {"finished in time": True, "there": False}

    with no_grad():
        other = threading.Thread(target=lambda: found.update(fresh=is_recorded()))
        other.start()
        other.join(timeout=60)
    assert found["fresh"]


def test_without_brackets_it_says_so():
    with pytest.raises(TypeError, match="no_grad"):

        @no_grad
        def function():
            pass
