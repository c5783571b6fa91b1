from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest

from minigpt import blas_threads
from minigpt.grad_mode import is_grad_enabled
from minigpt.training import parallel
from minigpt.training.parallel import Workers, auto_workers
from minigpt.training.trainable import Objective
from tests.training.tiny import VOCAB, Bigram, tiny_gpt


def batch(rng: np.random.Generator, rows: int = 6, ignored: int = 0):
    ids = rng.integers(0, VOCAB, (rows, 8))
    targets = rng.integers(0, VOCAB, (rows, 8))
    targets.reshape(-1)[:ignored] = -1
    return ids, targets


def run(workers: int, model, batches):
    with Workers(workers) as pool:
        loss, gradients = pool.gradients(Objective(model), batches, seed=(0, 0))
    return loss, {name: gradients[p] for name, p in model.named_parameters()}


def assert_close(one, other, rtol=1e-5) -> None:
    assert one[0] == pytest.approx(other[0], rel=rtol)
    for name, gradient in one[1].items():
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(other[1][name], gradient, atol=rtol * scale, err_msg=name)


@pytest.mark.parametrize("workers", [2, 3, 8])
@pytest.mark.parametrize("ignored", [0, 13, 30])
def test_workers_agree_with_the_whole_batch(rng, workers, ignored) -> None:
    """Also where the shards have different numbers of targets, or none at all."""
    model = tiny_gpt()
    batches = [batch(rng, ignored=ignored)]
    loss = model.loss(*batches[0])
    loss.backward()
    whole = loss.item(), {name: p.grad for name, p in model.named_parameters()}
    assert_close(whole, run(workers, model, batches))


def test_several_batches_are_one_large_batch(rng) -> None:
    model = tiny_gpt()
    parts = [batch(rng, ignored=7), batch(rng, rows=2), batch(rng, rows=3, ignored=24)]
    large = tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    for workers in (1, 2):
        assert_close(run(1, model, [large]), run(workers, model, parts))


def test_the_same_to_the_last_bit_every_time(rng) -> None:
    model = tiny_gpt(dropout=0.3)
    batches = [batch(rng), batch(rng)]
    first = run(2, model, batches)
    for _ in range(5):
        again = run(2, model, batches)
        assert again[0] == first[0]
        for name, gradient in first[1].items():
            np.testing.assert_array_equal(again[1][name], gradient, strict=True)


def test_dropout_differs_between_steps_batches_and_shards(rng) -> None:
    model = tiny_gpt(dropout=0.5)
    rows = batch(rng, rows=1)
    doubled = tuple(np.concatenate([array, array]) for array in rows)
    pool = Workers(1)
    losses = {pool.gradients(Objective(model), [rows], seed=(0, step))[0] for step in range(4)}
    losses.add(pool.gradients(Objective(model), [rows], seed=(1, 0))[0])
    losses.add(pool.gradients(Objective(model), [rows, rows], seed=(0, 0))[0])
    with Workers(2) as two:
        losses.add(two.gradients(Objective(model), [doubled], seed=(0, 0))[0])
    assert len(losses) == 7


def test_one_worker_uses_no_threads(rng, monkeypatch) -> None:
    monkeypatch.setattr("concurrent.futures.ThreadPoolExecutor", None)
    run(1, Bigram(), [batch(rng)])
    run(4, Bigram(), [batch(rng, rows=1)])


def test_an_error_in_a_worker_is_the_caller_s(rng) -> None:
    ids, targets = batch(rng)
    ids[-1, 0] = VOCAB
    with Workers(3) as pool:
        with pytest.raises(IndexError):
            pool.gradients(Objective(tiny_gpt()), [(ids, targets)], seed=(0,))
        ids[-1, 0] = 0
        pool.gradients(Objective(tiny_gpt()), [(ids, targets)], seed=(0,))


def test_threads_end_with_the_pool(rng) -> None:
    before = threading.active_count()
    pool = Workers(3)
    pool.gradients(Objective(Bigram()), [batch(rng)], seed=(0,))
    assert threading.active_count() > before
    pool.close()
    pool.close()
    assert threading.active_count() == before
    pool.gradients(Objective(Bigram()), [batch(rng)], seed=(0,))  # and start again
    pool.close()


def test_metrics_are_the_whole_batch_s(rng) -> None:
    model = tiny_gpt().eval()
    rows = batch(rng, ignored=13)
    for workers in (1, 2, 5):
        with Workers(workers) as pool:
            weight, metrics = pool.metrics(Objective(model), rows)
        assert weight == 48 - 13
        assert metrics == pytest.approx(model.metrics(*rows), rel=1e-6)


def test_a_model_without_metrics_is_measured_without_a_graph(rng) -> None:
    seen = []

    class Watched(Bigram):
        def loss(self, ids, targets):
            seen.append(is_grad_enabled())
            return super().loss(ids, targets)

    with Workers(2) as pool:
        weight, metrics = pool.metrics(Objective(Watched()), batch(rng))
    assert (weight, list(metrics), seen) == (6.0, ["loss"], [False, False])


def test_a_batch_of_nothing_is_an_error(rng) -> None:
    with pytest.raises(ValueError, match="all targets are -1"):
        run(2, tiny_gpt(), [batch(rng, ignored=48)])


def test_rows_must_agree_to_be_shared(rng) -> None:
    ids, targets = batch(rng)
    with pytest.raises(ValueError, match=r"\[6, 5\] rows.*workers=1"):
        run(2, tiny_gpt(), [(ids, targets[:5])])


def test_auto(monkeypatch) -> None:
    monkeypatch.setattr(parallel, "can_be_controlled", lambda: True)
    monkeypatch.setattr(parallel, "available_cores", lambda: 4)
    assert [auto_workers(rows) for rows in (1, 3, 12)] == [1, 3, 4]
    monkeypatch.setattr(parallel, "available_cores", lambda: 64)
    assert auto_workers(64) == parallel.MAX_AUTO_WORKERS
    monkeypatch.setattr(parallel, "can_be_controlled", lambda: False)
    assert auto_workers(12) == 1


def test_without_threadpoolctl_several_workers_still_work(rng, monkeypatch) -> None:
    batches = [batch(rng)]
    expected = run(2, tiny_gpt(), batches)
    monkeypatch.setattr(blas_threads, "_libraries", lambda: [])
    assert_close(expected, run(2, tiny_gpt(), batches))


def test_blas_has_its_threads_back_afterwards(rng) -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def threads():
        pools = threadpoolctl.threadpool_info()
        return [pool["num_threads"] for pool in pools if pool["user_api"] == "blas"]

    before, during = threads(), []

    class Watched(Bigram):
        def loss(self, ids, targets):
            during.append(threads())
            return super().loss(ids, targets)

    run(2, Watched(), [batch(rng)])
    assert threads() == before
    assert all(n == 1 for counts in during for n in counts)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_apply_calls_with_every_item_once_and_keeps_their_order(count: int) -> None:
    with Workers(count) as workers:
        assert workers.apply(lambda n: n * n, range(20)) == [n * n for n in range(20)]
        assert workers.apply(lambda n: n, []) == []
        with pytest.raises(ZeroDivisionError):
            workers.apply(lambda n: 1 / n, [1, 0, 2])


def test_an_overflow_in_a_worker_is_told_by_the_loss_alone(rng) -> None:
    model = tiny_gpt()
    model.final_norm.weight.data *= 3e38
    model.token_embedding.weight.data *= 1e3  # the logits are above what float32 can hold
    with warnings.catch_warnings(), Workers(2) as workers:
        warnings.simplefilter("error")
        loss, _ = workers.gradients(Objective(model), [batch(rng)], seed=(0,))
    assert not np.isfinite(loss)


def test_no_worker_is_refused() -> None:
    with pytest.raises(ValueError, match="workers must be an integer of at least 1: got 0"):
        Workers(0)


def test_dropout_does_not_depend_on_the_number_of_workers(rng) -> None:
    model, rows = tiny_gpt(dropout=0.4), batch(rng, rows=5)
    alone = Workers(1).gradients(Objective(model), [rows], seed=(3, 1))
    for count in (2, 3, 5):
        with Workers(count) as workers:
            loss, found = workers.gradients(Objective(model), [rows], seed=(3, 1))
        assert loss == pytest.approx(alone[0], rel=1e-6)
        for leaf, gradient in found.items():
            np.testing.assert_allclose(gradient, alone[1][leaf], rtol=1e-4, atol=1e-7)
