"""The modes of a thread: evaluation, and what it leaves alone."""

import threading

import numpy as np

import minigpt as mg
from minigpt.grad_mode import evaluation, is_evaluating, is_grad_enabled
from minigpt.nn import Dropout


def test_evaluation_drops_and_records_nothing_and_ends_with_the_block():
    dropout, x = Dropout(0.5), mg.Tensor(np.ones((4, 4), np.float32), requires_grad=True)
    with evaluation():
        assert is_evaluating() and not is_grad_enabled() and not dropout.training
        assert (dropout(x).data == 1).all() and not (x * 2).requires_grad
    assert not is_evaluating() and is_grad_enabled() and dropout.training
    assert (dropout(x, np.random.default_rng(0)).data == 0).any()


def test_evaluation_inside_evaluation_ends_with_the_outer_one():
    with evaluation():
        with evaluation():
            pass
        assert is_evaluating() and not is_grad_enabled()


def test_a_generator_evaluates_only_while_it_runs():
    @evaluation()
    def modes():
        yield is_evaluating()
        yield is_evaluating()

    for mode in modes():
        assert mode and not is_evaluating()


def test_evaluation_is_of_one_thread_and_flips_no_flag_of_a_shared_model():
    dropout, seen = Dropout(0.5), []
    inside, looked = threading.Event(), threading.Event()

    def evaluate():
        with evaluation():
            seen.append(dropout.training)
            inside.set()
            looked.wait(10)

    thread = threading.Thread(target=evaluate)
    thread.start()
    inside.wait(10)
    assert dropout.training
    looked.set()
    thread.join()
    assert seen == [False]
