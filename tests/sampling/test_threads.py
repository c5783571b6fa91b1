"""Threads that share a model: evaluation is a mode of the thread, and not of the model."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import minigpt as mg
from minigpt.sampling import token_log_probabilities
from minigpt.tasks import complete

TOKENS = np.random.default_rng(0).integers(0, 17, 400)


def gpt(seed=0):
    config = mg.GPTConfig(17, 12, n_layer=2, n_head=2, n_embd=16, dropout=0.4, init_std=0.2)
    return mg.GPT(config, seed=seed)  # left in training mode


def test_samplers_that_share_a_model_left_in_training_mode_write_as_if_alone():
    model = gpt()

    def write(seed):
        sampler = mg.Sampler(model)
        drawn = sampler.generate_ids([[1, 2], [3, 4]], 12, seed=seed, top_k=9)
        found = sampler.generate_ids([[seed % 17]], 6, num_beams=2)
        scored = token_log_probabilities(model, TOKENS[seed : seed + 20])
        said = complete(model, [[1, 2, 3], [4]], end_id=0, max_new_tokens=5)
        return [drawn.tolist(), found.tolist(), scored.tolist(), said]

    alone = [write(seed) for seed in range(24)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(write, range(24)))
    assert together == alone
    assert model.training


def test_streams_of_two_threads_and_training_in_between_do_not_disturb_each_other():
    model, tokenizer = gpt(), mg.CharTokenizer("abcdefghijklmnopq")
    sampler = mg.Sampler(model, tokenizer)
    alone = "".join(sampler.stream("ab", 10, seed=1))
    pieces = []
    for piece in sampler.stream("ab", 10, seed=1):
        pieces.append(piece)
        loss = model.loss(TOKENS[None, :12], TOKENS[None, 1:13])  # with dropout, recorded
        assert loss.requires_grad and model.training
    assert "".join(pieces) == alone


def trained(meanwhile=lambda model: None):
    """Parameters after some steps with dropout, while something else uses the model."""
    model = gpt()
    config = mg.TrainerConfig(12, batch_size=4, workers=1, eval_interval=5, progress=False)
    trainer = mg.Trainer(model, TOKENS[:300], TOKENS[300:], config)
    over = threading.Event()

    def use():
        while not over.is_set():
            meanwhile(model)

    user = threading.Thread(target=use)
    user.start()
    trainer.fit()
    over.set()
    user.join()
    return [parameter.data.copy() for parameter in model.parameters()]


def test_sampling_the_model_that_trains_changes_no_bit_of_its_training():
    n_texts = []

    def write(model):
        ids = mg.Sampler(model).generate_ids([[1, 2, 3]], 8, seed=len(n_texts))
        n_texts.append(ids.shape[1])

    for undisturbed, disturbed in zip(trained(), trained(write), strict=True):
        np.testing.assert_array_equal(undisturbed, disturbed)
    assert n_texts
