"""One counted limiter of the BLAS threads for the whole process."""

from __future__ import annotations

import os
import threading

import pytest

from minigpt import blas_threads
from minigpt.blas_threads import one_blas_thread

threadpoolctl = pytest.importorskip("threadpoolctl", reason='needs pip install "minigpt[fast]"')


def threads() -> list[int]:
    pools = threadpoolctl.threadpool_info()
    return [pool["num_threads"] for pool in pools if pool["user_api"] == "blas"]


@pytest.fixture(autouse=True)
def two_threads_before_and_after():
    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        assert before and all(n == 2 for n in before)
        yield
        assert threads() == before


def test_one_inside_and_what_it_was_afterwards() -> None:
    with one_blas_thread():
        assert set(threads()) == {1}
        with one_blas_thread():
            assert set(threads()) == {1}
        assert set(threads()) == {1}
    assert set(threads()) == {2}
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    with one_blas_thread(wanted=False):
        assert set(threads()) == {2}

    @one_blas_thread()
    def inside() -> list[int]:
        return threads()

    assert set(inside()) == {1}


def test_threads_that_overlap_end_with_the_number_of_before() -> None:
    """The first to come is the first to go, while the second still holds it."""
    first_in, second_in, first_out = (threading.Event() for _ in range(3))
    seen = []

    def first() -> None:
        with one_blas_thread():
            first_in.set()
            second_in.wait(10)
        first_out.set()

    def second() -> None:
        first_in.wait(10)
        with one_blas_thread():
            second_in.set()
            first_out.wait(10)
            seen.append(threads())

    both = [threading.Thread(target=target) for target in (first, second)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert set(seen[0]) == {1}
    assert set(threads()) == {2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork beside other threads
def test_a_fork_takes_along_what_its_own_thread_holds() -> None:
    held, go = threading.Event(), threading.Event()

    def other() -> None:
        with one_blas_thread():
            held.set()
            go.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    held.wait(10)
    for holding in (False, True):
        with one_blas_thread(holding):
            child = os.fork()
            if child == 0:
                try:
                    expected = blas_threads._holders == (1 if holding else 0)
                    with one_blas_thread():  # the lock is free
                        os._exit(0 if expected else 1)
                finally:
                    os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    go.set()
    thread.join()


def test_without_threadpoolctl_nothing_changes(monkeypatch) -> None:
    monkeypatch.setattr(blas_threads, "_libraries", lambda: [])
    with one_blas_thread():
        assert set(threads()) == {2}
