"""Other threads and processes beside a training: none is stopped, and none changes its bits."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

import minigpt as mg
from minigpt.training import Callback
from minigpt.training.parallel import Workers
from minigpt.training.trainable import Objective
from tests.training.tiny import assert_same_run, tiny_gpt, trainer


def dropping(workers: int = 2, callbacks=()):
    return trainer(tiny_gpt(dropout=0.3), callbacks, workers=workers)


def test_two_trainings_in_two_threads_leave_blas_as_it_was() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def blas_threads() -> list[int]:
        pools = threadpoolctl.threadpool_info()
        return [pool["num_threads"] for pool in pools if pool["user_api"] == "blas"]

    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        for _ in range(3):
            runs = [dropping() for _ in range(2)]
            threads = [threading.Thread(target=run.fit) for run in runs]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert all(run.finished for run in runs)
            assert_same_run(*runs)
            assert set(blas_threads()) == {2}


@pytest.mark.parametrize("workers", [1, 2])
def test_sampling_the_model_that_trains_changes_no_bits(workers: int) -> None:
    class Writes(Callback):
        def on_step(self, trainer, record):
            mg.Sampler(trainer.model).generate_ids(np.array([[1, 2, 3]]), 4, seed=0)

    plain, sampled = dropping(workers), dropping(workers, [Writes()])
    plain.fit()
    sampled.fit()
    assert_same_run(plain, sampled)


def test_another_thread_may_sample_it_too() -> None:
    plain, sampled, stop, texts = dropping(), dropping(), threading.Event(), []

    def write() -> None:
        sampler = mg.Sampler(sampled.model)
        while not stop.is_set():
            texts.append(sampler.generate_ids(np.array([[1, 2, 3]]), 4, seed=0))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        sampled.fit()
    finally:
        stop.set()
        thread.join()
    plain.fit()
    assert texts
    assert_same_run(plain, sampled)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork beside other threads
@pytest.mark.parametrize("how", ["goes on training", "ends"])
def test_a_fork_while_the_workers_are_there_does_not_hang(how: str) -> None:
    codes = []

    class Forks(Callback):
        def on_step(self, trainer, record):
            if trainer.step != 3:
                return
            child = os.fork()
            if child == 0:
                signal.alarm(60)  # ends it, if it hangs
                code = 1
                try:
                    if how == "goes on training":
                        Workers.gradients(trainer.workers, *self.arguments(trainer))
                    trainer.workers.close()
                    code = 0
                finally:
                    os._exit(code)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

        def arguments(self, trainer):
            return Objective(trainer.model), [trainer.batches.next_batch()], (0, 0)

    run, plain = dropping(callbacks=[Forks()]), dropping()
    run.fit()
    plain.fit()
    assert codes == [0]
    assert_same_run(run, plain)


def test_a_system_that_starts_no_threads_says_so(monkeypatch) -> None:
    def refuse(self) -> None:
        raise RuntimeError("can't start new thread")

    run = dropping()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        message = (
            "workers=2 needs threads, and the system starts no more .can't start new thread.*wor"
        )
        with pytest.raises(RuntimeError, match=message):
            run.train_step()
    plain = dropping()
    for each in (run, plain):  # nothing is lost
        each.fit()
    assert_same_run(run, plain)
