"""One counted limiter of the BLAS threads for the whole process."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

import minigpt as mg
from minigpt import blas_threads
from minigpt.blas_threads import MatrixProducts, one_blas_thread
from minigpt.models import EncoderDecoder, Seq2SeqConfig
from minigpt.sampling import token_log_probabilities

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


# ── which products are small ──────────────────────────────────────────────────────────────────────


def model(width, n_layer=4, vocab_size=65, block_size=256):
    return mg.GPT(mg.GPTConfig(vocab_size, block_size, n_layer, n_head=4, n_embd=width))


def test_small_are_products_of_a_small_model_with_few_tokens():
    small, medium = MatrixProducts(model(128)), MatrixProducts(model(384, n_layer=6))
    assert [small.are_small(n) for n in (1, 64, 768, 10_000)] == [True, True, True, False]
    assert [medium.are_small(n) for n in (1, 256, 2048)] == [True, True, False]
    large = mg.GPT(mg.GPTConfig(50_000, 8, n_layer=1, n_head=1, n_embd=400))  # 22 M weights
    assert not MatrixProducts(large).are_small(1)  # they come from main memory
    assert not MatrixProducts(object()).are_small(1)  # nobody knows


class Watched:
    """A GPT that notes how many threads BLAS has when it is called."""

    def __init__(self, gpt):
        self._gpt, self.config, self.parameters = gpt, gpt.config, gpt.parameters
        self.seen = set()

    def __call__(self, ids, **options):
        self.seen |= set(threads())
        return self._gpt(ids, **options)


@pytest.mark.parametrize(("small", "n"), [(True, 1), (False, 2)])
def test_writing_and_scoring_hold_one_thread_where_products_are_small(monkeypatch, small, n):
    monkeypatch.setattr(MatrixProducts, "are_small", lambda self, n_tokens: small)
    watched = Watched(model(16, block_size=8))
    sampler = mg.Sampler(watched)
    sampler.generate_ids([[1, 2]], 12)
    sampler.generate_ids([[1, 2]], 4, num_beams=2)
    token_log_probabilities(watched, np.arange(20))
    assert watched.seen == {n}


@pytest.mark.parametrize(("small", "n"), [(True, 1), (False, 2)])
def test_training_with_one_worker_holds_one_thread_where_products_are_small(monkeypatch, small, n):
    monkeypatch.setattr(MatrixProducts, "are_small", lambda self, n_tokens: small)
    seen = set()

    class Noting(mg.GPT):
        def loss(self, *args, **options):
            seen.update(threads())
            return super().loss(*args, **options)

    gpt = Noting(model(16, block_size=8).config)
    config = mg.TrainerConfig(2, batch_size=2, workers=1, progress=False)
    mg.Trainer(gpt, np.arange(60), None, config).fit()
    assert seen == {n}


def test_a_translator_has_the_weights_of_its_decoder():
    config = Seq2SeqConfig(9, 9, 8, 8, n_layer=1, n_head=1, n_embd=8)
    translator = EncoderDecoder(config)
    assert MatrixProducts(translator.given(np.ones((1, 3), int))).are_small(8)


def test_without_threadpoolctl_a_bar_says_once_what_it_would_bring(monkeypatch, capsys):
    monkeypatch.setattr(blas_threads, "can_be_controlled", lambda: False)
    monkeypatch.setattr(blas_threads, "_said", False)
    monkeypatch.setattr(blas_threads.os, "cpu_count", lambda: 2)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    sampler = mg.Sampler(model(16, block_size=8))
    sampler.generate_ids([1], 3)
    assert capsys.readouterr().err == ""  # it is said where something is shown
    for options in ({}, {"num_beams": 2}, {}):
        sampler.generate_ids([1], 3, progress=True, **options)
    said = " ".join(capsys.readouterr().err.split())  # as wide a line as the terminal has room for
    assert said.count('pip install "minigpt[fast]"') == 1
    monkeypatch.setattr(blas_threads, "_said", False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    sampler.generate_ids([1], 3, progress=True)
    assert "threadpoolctl" not in capsys.readouterr().err
