"""generation_config.json: what it says as options of a Sampler, and what is refused by name."""

from __future__ import annotations

import json
import re

import pytest

from minigpt.interop import PretrainedError, read_generation_config
from minigpt.sampling import SamplingConfig


@pytest.fixture
def read(tmp_path):
    """A function that reads a generation_config.json of these keys."""

    def write_and_read(keys):
        (tmp_path / "generation_config.json").write_text(json.dumps(keys))
        return read_generation_config(tmp_path)

    return write_and_read


@pytest.mark.parametrize(
    ("keys", "options"),
    [
        ({}, {"temperature": 0}),
        ({"temperature": 0.7, "top_k": 5}, {"temperature": 0}),  # nothing is drawn
        ({"do_sample": True}, {"top_k": 50}),
        ({"do_sample": True, "temperature": 0.6, "top_p": 0.9, "max_length": 4096},
         {"top_k": 50, "temperature": 0.6, "top_p": 0.9}),
        ({"do_sample": True, "top_k": 0, "top_p": 1.0, "min_p": 0.05},
         {"top_k": None, "top_p": None, "min_p": 0.05}),
        ({"do_sample": False, "num_beams": 4, "early_stopping": True, "length_penalty": 0.8},
         {"temperature": 0, "num_beams": 4, "early_stopping": True, "length_penalty": 0.8}),
        ({"eos_token_id": [1, 2], "pad_token_id": 0, "bos_token_id": 7},
         {"temperature": 0, "stop_tokens": [1, 2], "pad_id": 0}),
        ({"min_new_tokens": 3, "no_repeat_ngram_size": 2, "repetition_penalty": 1.1},
         {"temperature": 0, "min_new_tokens": 3, "no_repeat_ngram_size": 2,
          "repetition_penalty": 1.1}),
        ({"_from_model_config": True, "transformers_version": "4.26", "typical_p": 1.0,
          "top_k": None}, {"temperature": 0}),
    ],
)  # fmt: skip
def test_options(read, keys, options):
    assert read(keys) == options


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"typical_p": 0.9}, r"typical_p=0\.9 is not supported"),
        ({"bad_words_ids": [[1]]}, r"bad_words_ids=\[\[1\]\] is not known"),
        ({"someone's own": 1}, "someone's own=1 is not known"),
        ({"do_sample": "yes"}, "do_sample='yes' is not true or false"),
        ({"do_sample": True, "num_beams": 2}, "do_sample=True with num_beams"),
    ],
)
def test_what_is_refused(read, keys, message):
    with pytest.raises(PretrainedError, match=f"generation_config.json: {message}"):
        read(keys)


def test_a_file_that_is_damaged_or_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_generation_config(tmp_path)
    (tmp_path / "generation_config.json").write_text("[")
    with pytest.raises(PretrainedError, match="it is not JSON"):
        read_generation_config(tmp_path / "generation_config.json")


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"max_new_tokens": False}, "max_new_tokens must be an integer"),
        ({"do_sample": True, "temperature": -1}, "temperature must be a number of at least 0"),
        ({"eos_token_id": [2, True]}, r"stop_tokens\[1\] must be an integer"),
    ],
)
def test_a_value_that_no_sampler_takes_is_an_error_of_the_file(tmp_path, keys, complaint):
    path = tmp_path / "generation_config.json"
    path.write_text(json.dumps(keys))
    with pytest.raises(PretrainedError, match=f"^{re.escape(str(path))}: {complaint}"):
        SamplingConfig.from_generation_config(path)


def test_a_value_that_is_to_differ_may_be_anything_in_the_file(tmp_path):
    (tmp_path / "generation_config.json").write_text('{"max_new_tokens": false}')
    config = SamplingConfig.from_generation_config(tmp_path, max_new_tokens=3)
    assert config.max_new_tokens == 3
    with pytest.raises(ValueError, match=r"^max_new_tokens must be") as error:
        SamplingConfig.from_generation_config(tmp_path, max_new_tokens=-3)
    assert not isinstance(error.value, PretrainedError)  # it is the caller's
