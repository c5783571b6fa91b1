from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.grad_mode import is_grad_enabled
from minigpt.sampling import Sampler, apply_temperature, sample_from, top_k_filter

prompts = st.lists(st.integers(0, 10), min_size=1, max_size=9)


def padded(rows):
    width = max(map(len, rows))
    ids = np.array([[10] * (width - len(row)) + list(row) for row in rows])
    mask = np.array([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


@given(
    prompt=prompts,
    n_new=st.integers(0, 12),
    shift=st.integers(1, 6),
    block_size=st.sampled_from([None, 6]),
    use_cache=st.booleans(),
)
def test_greedy_equals_the_plain_loop(fakes, prompt, n_new, shift, block_size, use_cache):
    model = fakes.HashModel(block_size=block_size)
    options = {"temperature": 0, "window_shift": shift, "use_cache": use_cache}
    out = Sampler(model).generate_ids([prompt], n_new, **options)
    assert out.dtype == np.int64
    assert out.tolist() == [fakes.write_one_by_one(model, prompt, n_new, shift=shift)]


@given(
    rows=st.lists(prompts, min_size=1, max_size=4),
    shift=st.integers(1, 6),
    temperature=st.sampled_from([0, 0.8]),
    use_cache=st.booleans(),
    stop_token=st.integers(0, 10),
)
def test_a_batch_equals_its_rows_one_by_one(fakes, rows, shift, temperature, use_cache, stop_token):
    """Whatever the others' lengths are, and whenever they stop."""
    ids, mask = padded(rows)
    options = {
        "temperature": temperature, "seed": 5, "stop_tokens": stop_token, "window_shift": shift,
        "use_cache": use_cache, "repetition_penalty": 1.3, "top_p": 0.9,
    }  # fmt: skip
    sampler = Sampler(fakes.HashModel())
    together = sampler.generate_ids(ids, 10, attention_mask=mask, **options)
    np.testing.assert_array_equal(together[:, : ids.shape[1]], ids)
    for i, (row, out) in enumerate(zip(rows, together, strict=True)):
        if row in rows[:i] and temperature:
            continue  # a prompt that occurs twice gets two samples
        alone = sampler.generate_ids([row], 10, **options)[0, len(row) :]
        new = out[ids.shape[1] :]
        np.testing.assert_array_equal(new[: len(alone)], alone)
        assert set(new[len(alone) :]) <= {stop_token}


def test_samples_equal_a_plain_loop_with_their_own_generator(fakes):
    """Not greedy: the filters and one draw per token."""
    model = fakes.HashModel(sharpness=1.0)
    out = Sampler(model).generate_ids([[1, 2]], 15, temperature=0.7, top_k=4, seed=9)
    rng = np.random.default_rng([9, 0, 2, 1, 2])  # the seed, the sample's number, its prompt

    def choose(logits):
        return sample_from(top_k_filter(apply_temperature(logits, 0.7), 4), rng)

    assert out.tolist() == [fakes.write_one_by_one(model, [1, 2], 15, choose)]


def test_a_seed_repeats_and_another_does_not(fakes):
    sampler = Sampler(fakes.HashModel(sharpness=0.5))
    first, again, other = (
        sampler.generate_ids([[3]], 30, seed=seed).tolist() for seed in (1, 1, 2)
    )
    assert first == again != other
    fresh = [sampler.generate_ids([[3]], 30).tolist() for _ in range(2)]
    assert fresh[0] != fresh[1]


def test_a_generator_as_seed_goes_on(fakes):
    sampler = Sampler(fakes.HashModel(sharpness=0.5))

    def two():
        rng = np.random.default_rng(0)
        return [sampler.generate_ids([[3]], 30, seed=rng).tolist() for _ in range(2)]

    assert two() == two()
    assert two()[0] != two()[1]


def test_samples_of_a_prompt_differ_and_do_not_depend_on_how_many_there_are(fakes):
    sampler = Sampler(fakes.HashModel(sharpness=0.5))
    three = sampler.generate_ids([[1], [2]], 20, num_return_sequences=3, seed=0)
    assert three.shape == (6, 21)
    assert three[:, 0].tolist() == [1, 1, 1, 2, 2, 2]
    assert len({tuple(row) for row in three[:3, 1:]}) == 3
    two = sampler.generate_ids([[1], [2]], 20, num_return_sequences=2, seed=0)
    np.testing.assert_array_equal(two, three[[0, 1, 3, 4]])
    np.testing.assert_array_equal(sampler.generate_ids([[1]] * 3, 20, seed=0), three[:3])


def test_the_prompt_is_read_once_and_then_a_token_at_a_time(fakes):
    model = fakes.HashModel(block_size=20)
    Sampler(model).generate_ids([[1, 2, 3, 4]], 4, num_return_sequences=3, seed=0)
    assert model.calls == [(1, 4), (3, 1), (3, 1), (3, 1)]


def test_past_the_context_a_larger_shift_reads_the_window_less_often(fakes):
    model = fakes.HashModel(block_size=6)
    Sampler(model).generate_ids([[1, 2, 3, 4, 5]], 10, temperature=0, window_shift=3)
    lengths = [n for _, n in model.calls]
    assert lengths == [5, 1, 4, 1, 1, 4, 1, 1, 4, 1]


def test_rows_that_have_stopped_cost_nothing(fakes):
    model = fakes.HashModel()
    out = Sampler(model).generate_ids([[1], [2], [3], [4]], 30, seed=1, stop_tokens=[0, 5])
    stops = [int(np.argmax(np.isin(row[1:], [0, 5]))) for row in out]
    assert len(set(stops)) > 1
    for step, (n_rows, _) in enumerate(model.calls):
        assert n_rows == sum(stop >= step for stop in stops)


def test_stopped_rows_are_filled_and_the_loop_ends_with_the_last(fakes):
    model = fakes.ScriptedModel([3, 7], [4, 5, 7, 3], vocab_size=8, n_prompt=1)
    sampler = Sampler(model)
    out = sampler.generate_ids([[0], [1]], 50, temperature=0, stop_tokens=7)
    assert out.tolist() == [[0, 3, 7, 7], [1, 4, 5, 7]]
    out = sampler.generate_ids([[0], [1]], 50, temperature=0, stop_tokens=(7, 6), pad_id=2)
    assert out.tolist() == [[0, 3, 7, 2], [1, 4, 5, 7]]


def test_a_stop_token_in_the_prompt_stops_nothing(fakes):
    model = fakes.ScriptedModel([3], vocab_size=8, n_prompt=2)
    out = Sampler(model).generate_ids([[7, 7]], 2, temperature=0, stop_tokens=7)
    assert out.tolist() == [[7, 7, 3, 3]]


def test_top_k_of_one_and_a_tiny_top_p_are_greedy(fakes):
    sampler = Sampler(fakes.HashModel())
    greedy = sampler.generate_ids([[1, 2]], 12, temperature=0).tolist()
    assert sampler.generate_ids([[1, 2]], 12, top_k=1).tolist() == greedy
    assert sampler.generate_ids([[1, 2]], 12, top_p=1e-6).tolist() == greedy
    assert sampler.generate_ids([[1, 2]], 12, min_p=1.0).tolist() == greedy


def test_a_strong_penalty_forbids_repeating_the_prompt_and_the_text(fakes):
    model = fakes.HashModel(vocab_size=30, block_size=4)  # the penalty reaches beyond the context
    ids, mask = padded([[1, 2, 3], [4]])
    out = Sampler(model).generate_ids(
        ids, 20, temperature=0, repetition_penalty=1e6, attention_mask=mask
    )
    for row, real in zip(out, mask, strict=True):
        written = row[ids.shape[1] - real.sum() :].tolist()
        assert len(set(written)) == len(written)
    assert 10 in out[1, 3:]  # the id under the padding is no token that was there


def test_the_models_own_arrays_are_not_touched(fakes):
    ids = np.array([[1, 2, 3]])
    before = ids.copy()
    out = Sampler(fakes.HashModel()).generate_ids(ids, 0)
    out[0, 0] = 9
    np.testing.assert_array_equal(ids, before)


# ── the model's mode ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("training", [True, False])
def test_the_model_runs_in_evaluation_mode_and_gets_its_mode_back(fakes, training):
    model = fakes.HashModel()
    model.training = training
    Sampler(model).generate_ids([[1]], 3)
    assert model.training_in_calls == {False}
    assert model.training is training


def test_an_interrupted_run_leaves_the_mode_as_it_was(fakes):
    model = fakes.HashModel()
    model.fail_at_call = 3
    with pytest.raises(KeyboardInterrupt):
        Sampler(model).generate_ids([[1]], 9)
    assert model.training
    assert is_grad_enabled()
    assert Sampler(model).generate_ids([[1]], 9).shape == (1, 10)


def test_the_progress_bar_counts_tokens(fakes, capsys):
    Sampler(fakes.HashModel()).generate_ids([[1]], 7, progress=True)
    assert "7/7" in capsys.readouterr().err
    Sampler(fakes.HashModel()).generate_ids([[1]], 7)
    assert capsys.readouterr().err == ""


# ── refusals ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("ids", "options", "error", "says"),
    [
        ([[]], {}, ValueError, "at least one token"),
        ([[1.0]], {}, TypeError, "ids must be integers: got a float64 array"),
        ([[True]], {}, TypeError, "ids must be integers: got a bool array"),
        ([["a"]], {}, TypeError, "ids must be integers"),
        ("ab", {}, TypeError, "ids must be .*: got 'ab'; encode the text first.*or use generate"),
        ([[[1]]], {}, ValueError, r"\(1, 1, 1\)"),
        ([[1, 2], [3]], {}, ValueError, "pad them at the left"),
        ([[11]], {}, IndexError, "from 0 to 10, as the vocabulary has 11 entries: got 11"),
        ([[-1]], {}, IndexError, "from 0 to 10.*: got -1"),
        ([[1, 2]], {"attention_mask": [[1]]}, ValueError, r"\(1, 1\).*\(1, 2\)"),
        ([[1, 2]], {"attention_mask": [[1, 0]]}, ValueError, "row 0.*left"),
        ([[1, 2, 3]], {"attention_mask": [[1, 0, 1]]}, ValueError, "row 0.*left"),
        ([[1, 2]], {"attention_mask": [[0, 0]]}, ValueError, "row 0"),
        ([[1, 2]], {"attention_mask": [[0, 2]]}, ValueError, "0 and 1"),
        ([[1]], {"max_new_tokens": -1}, ValueError, "max_new_tokens must be .* at least 0: got -1"),
        (
            [[1]],
            {"max_new_tokens": 2.5},
            TypeError,
            "max_new_tokens must be .*: got 2.5",
        ),
        (
            [[1]],
            {"temperature": -0.1},
            ValueError,
            "temperature .* at least 0: got -0.1; 0 is greedy",
        ),
        (
            [[1]],
            {"top_k": 0},
            ValueError,
            "top_k .* at least 1: got 0; None keeps every token",
        ),
        ([[1]], {"top_k": True}, TypeError, "top_k must be an integer .*: got True"),
        (
            [[1]],
            {"top_p": 1.5},
            ValueError,
            "top_p .* above 0 and of at most 1: got 1.5",
        ),
        ([[1]], {"min_p": -1}, ValueError, "min_p must be a number above 0 .*: got -1"),
        (
            [[1]],
            {"repetition_penalty": 0},
            ValueError,
            "repetition_penalty .* above 0: got 0",
        ),
        ([[1]], {"num_return_sequences": 0}, ValueError, "num_return_sequences must be .*: got 0"),
        ([[1]], {"num_return_sequences": 10**9}, ValueError, "from 1 to 1048576: got 1000000000"),
        (
            [[1]],
            {"stop_tokens": "end"},
            TypeError,
            "stop_tokens .* id or several: got 'end'",
        ),
        (
            [[1]],
            {"stop_tokens": [1.5]},
            TypeError,
            r"stop_tokens\[0\] must be .*: got 1.5",
        ),
        ([[1]], {"stop_tokens": 11}, ValueError, "stop_tokens.*11.*0 to 10"),
        ([[1]], {"pad_id": -2}, ValueError, "pad_id must be an integer .*: got -2"),
        ([[1]], {"pad_id": 10**400}, ValueError, "pad_id must be an integer .* of 1329 bits"),
        (
            [[1]],
            {"seed": -3},
            ValueError,
            "seed .* at least 0: got -3; or pass a numpy",
        ),
        ([[1]], {"seed": 1.5}, TypeError, "seed must be an integer .*: got 1.5"),
        ([[1]], {"window_shift": 0}, ValueError, "window_shift must be .*: got 0"),
        ([[1]], {"window_shift": 7}, ValueError, "window_shift=7.*block_size=6"),
        ([[1]], {"use_cache": 1}, TypeError, "use_cache must be True or False: got 1"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_name(fakes, ids, options, error, says):
    with pytest.raises(error, match=says):
        Sampler(fakes.HashModel()).generate_ids(ids, **options)


def test_a_model_that_gives_nan_is_an_error_that_says_so(fakes):
    model = fakes.HashModel(sharpness=np.nan)
    for temperature in (0, 1):
        with pytest.raises(ValueError, match="logits contain NaN"):
            Sampler(model).generate_ids([[1]], 1, temperature=temperature)
