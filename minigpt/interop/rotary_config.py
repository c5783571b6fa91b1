"""The keys of config.json that speak of rotary positions, to and from a GPTConfig's fields.

Transformers 4 writes ``rope_theta``, the base of the frequencies, and ``rope_scaling``, an object
or null; Transformers 5 writes one object with both, ``rope_parameters``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigpt.functional.rotary import RotaryScaling
from minigpt.interop.config_json import refuse_other
from minigpt.interop.errors import PretrainedError, refusing

ROTARY_BASE = 10_000.0  # where a file says nothing
ORIGINAL = "original_max_position_embeddings"
# What scales the frequencies -> the fields of a RotaryScaling, by their keys.
KINDS: dict[str, dict[str, str]] = {
    "default": {},
    "linear": {"factor": "factor"},
    "llama3": {
        "factor": "factor",
        "low_frequency_factor": "low_freq_factor",
        "high_frequency_factor": "high_freq_factor",
        "original_context": ORIGINAL,
    },
}


def rotary_fields(path: Path, keys: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """``rotary_base`` and ``rotary_scaling``, from the keys of Transformers 4 or 5.

    Args:
        path: the file, for errors.
        keys: what it says.
        context: its ``max_position_embeddings``.

    Raises:
        PretrainedError: they cannot be a GPTConfig's, or contradict each other; names the key.
    """
    said = _said(path, keys)
    kind = said.pop("rope_type", "default")
    if not isinstance(kind, str) or kind not in KINDS:
        known = ", ".join(KINDS)
        raise PretrainedError(path, f"rope_type={kind!r:.40} is not supported: known are {known}")
    refuse_other(path, said, "partial_rotary_factor", 1.0)
    base = said.pop("rope_theta", ROTARY_BASE)
    said.setdefault(ORIGINAL, context)
    options = {field: said.pop(key, None) for field, key in KINDS[kind].items()}
    for key in said.keys() - {ORIGINAL, "partial_rotary_factor"}:
        raise PretrainedError(
            path, f"rotary positions with {key:.40}={said[key]!r:.40} are not supported"
        )
    with refusing(path, "of its rotary positions, by minigpt's names, "):
        scaling = RotaryScaling(kind, **options) if options else None
    return {"rotary_base": base, "rotary_scaling": scaling}


def rotary_keys(fields: Mapping[str, Any]) -> dict[str, Any]:
    """``rope_theta`` and ``rope_scaling``, which every version of Transformers reads."""
    scaling = fields["rotary_scaling"]
    if scaling is not None:
        kind = scaling["kind"]
        options = {key: scaling[field] for field, key in KINDS[kind].items()}
        scaling = {"rope_type": kind, **options}
    return {"rope_theta": fields["rotary_base"], "rope_scaling": scaling}


def _said(path: Path, keys: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is said of rotary positions in one place; ``type`` is old for rope_type."""
    beside = ("rope_theta", "partial_rotary_factor", ORIGINAL)
    sources = [{key: keys.get(key) for key in beside}]
    for name in ("rope_scaling", "rope_parameters"):
        source = keys.get(name) or {}
        if not isinstance(source, dict):
            raise PretrainedError(path, f"{name}={source!r:.80} is not an object")
        sources.append(source)
    said: dict[str, Any] = {}
    for source in sources:
        for key, value in source.items():
            key = "rope_type" if key == "type" else key
            if value is not None and said.setdefault(key, value) != value:
                raise PretrainedError(
                    path, f"it says both {key:.40}={said[key]!r:.40} and {key:.40}={value!r:.40}"
                )
    return said
