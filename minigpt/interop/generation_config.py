"""generation_config.json: how a model's publishers would have it write, as options of a Sampler."""

from __future__ import annotations

import os
from typing import Any

from minigpt import checks
from minigpt.interop.errors import PretrainedError, refusing
from minigpt.json_files import read_object

GENERATION_CONFIG = "generation_config.json"
_MAX_BYTES = 1 << 20

# Options that a Sampler has under the same name.
SAME = (
    "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "num_beams", "length_penalty",
    "early_stopping", "num_return_sequences", "max_new_tokens", "min_new_tokens",
    "no_repeat_ngram_size", "use_cache",
)  # fmt: skip
# Options under another name.
RENAMED = {"eos_token_id": "stop_tokens", "pad_token_id": "pad_id"}
# What changes no token: where files come from, how others are to compute, what they return beside;
# and ``max_length``, which counts the prompt too, and gives way to ``max_new_tokens``.
WITHOUT_EFFECT = {
    "max_length",
    "bos_token_id", "decoder_start_token_id", "transformers_version", "return_dict_in_generate",
    "output_scores", "output_logits", "output_attentions", "output_hidden_states", "low_memory",
    "cache_implementation", "cache_config", "return_legacy_cache", "max_cache_len",
    "prefill_chunk_size", "compile_config", "disable_compile", "continuous_batching_config",
    "num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold",
    "assistant_early_exit", "assistant_lookbehind", "assistant_ensemble_weight",
    "target_lookbehind", "max_matching_ngram_size", "is_assistant", "renormalize_logits",
    "remove_invalid_values",
}  # fmt: skip
# Options that no Sampler has, and the value that switches them off.
NEUTRAL: dict[str, Any] = {
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "diversity_penalty": 0.0,
    "encoder_repetition_penalty": 1.0,
    "encoder_no_repeat_ngram_size": 0,
    "num_beam_groups": 1,
    "min_length": 0,
    "token_healing": False,
}
OFF = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}  # where a Sampler has None
DRAWN_BY_DEFAULT = {"top_k": 50}  # in Transformers, where it draws and nothing else is said


def read_generation_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The options of a Sampler that say the same as a ``generation_config.json``.

    A file that does not say ``do_sample`` means greedy decoding, temperature=0; one that does, and
    no ``top_k``, draws from the 50 likeliest tokens, as Transformers does.

    Args:
        path: the file, or the folder that it is in.

    Returns:
        arguments for ``SamplingConfig`` and ``Sampler.generate``.

    Raises:
        FileNotFoundError: there is no such file.
        PretrainedError: it is damaged, or asks for something that a Sampler cannot do: names it.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "generation_config.json")
        ...     _ = path.write_text('{"do_sample": true, "top_p": 0.9, "eos_token_id": 50256}')
        ...     read_generation_config(path)
        {'top_k': 50, 'top_p': 0.9, 'stop_tokens': 50256}
    """
    path = checks.path("path", path)
    if path.is_dir():
        path = path / GENERATION_CONFIG
    with refusing(path):
        keys = read_object(path, _MAX_BYTES)
    drawn = keys.pop("do_sample", None)
    if drawn not in (True, False, None):
        raise PretrainedError(path, f"do_sample={drawn!r:.40} is not true or false")
    options: dict[str, Any] = {}
    for key, value in keys.items():
        if key in WITHOUT_EFFECT or key.startswith("_") or value is None:
            continue
        if key in NEUTRAL:
            if value != NEUTRAL[key]:
                raise PretrainedError(path, f"{key}={value!r:.40} is not supported by a Sampler")
        elif key in SAME or key in RENAMED:
            options[RENAMED.get(key, key)] = value
        else:
            raise PretrainedError(path, f"{key}={value!r:.40} is not known to minigpt")
    if drawn and options.get("num_beams", 1) != 1:
        raise PretrainedError(path, "do_sample=True with num_beams: a Sampler's beams do not draw")
    if drawn:
        options = DRAWN_BY_DEFAULT | options
        return {key: None if value == OFF.get(key) else value for key, value in options.items()}
    for name in ("temperature", "top_k", "top_p", "min_p"):  # of drawing
        options.pop(name, None)
    return options | {"temperature": 0}
