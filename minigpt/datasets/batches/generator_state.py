"""The state of a random generator as JSON-able values, and back, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np


def generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """The whole state of ``generator``, of only ints, strings, lists and dicts.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> saved = generator_state(generator)
        >>> drawn = generator.integers(1000)
        >>> restore_generator(generator, saved)
        >>> bool(generator.integers(1000) == drawn)
        True
    """
    state: dict[str, Any] = _plain(generator.bit_generator.state)
    return state


def restore_generator(generator: np.random.Generator, state: object) -> None:
    """Put ``generator`` into a state of :func:`generator_state`; on an error it stays as it was.

    Raises:
        ValueError: the state is not one of this kind of generator.
    """
    current = generator.bit_generator
    _check_like(_plain(current.state), state, "generator")
    words = state["state"] if isinstance(state, dict) else {}
    if "pos" in words and words["pos"] > len(words["key"]):
        # MT19937 reads its key at this place without checking that it is there.
        raise ValueError(f"pos={words['pos']} of the state is past its {len(words['key'])} numbers")
    trial = type(current)()  # a hostile state is tried on a generator that nobody uses
    try:
        trial.state = _arrays_like(current.state, state)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ValueError(f"the state of the generator cannot be restored: {error}") from None
    if _plain(trial.state) != state:
        raise ValueError(
            "the state of the generator cannot be restored: a number in it is out of range"
        )
    current.state = trial.state


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return value


def _arrays_like(template: Any, state: Any) -> Any:
    """Lists of ``state`` back as arrays where the generator's own state has arrays."""
    if isinstance(template, dict):
        return {key: _arrays_like(template[key], state[key]) for key in template}
    if isinstance(template, np.ndarray):
        # By way of uint64, the same in all versions of NumPy; what does not fit is found later.
        return np.array(state, dtype=np.uint64).astype(template.dtype)
    return state


def _check_like(template: Any, state: object, place: str) -> None:
    """Check that ``state`` has the keys, types and lengths of ``template``, nothing negative."""
    if type(state) is not type(template):
        raise ValueError(
            f"{place} of the state must be {type(template).__name__}: got {type(state).__name__}"
        )
    if isinstance(template, dict):
        assert isinstance(state, dict)
        if set(state) != set(template):
            raise ValueError(f"{place} of the state must have the keys {sorted(template)}")
        for key, inner in template.items():
            _check_like(inner, state[key], f"{place}[{key!r}]")
    elif isinstance(template, list):
        assert isinstance(state, list)
        if len(state) != len(template):
            raise ValueError(
                f"{place} of the state must have {len(template)} numbers: got {len(state)}"
            )
        for inner, got in zip(template, state, strict=True):
            _check_like(inner, got, place)
    elif isinstance(template, str) and state != template:
        raise ValueError(
            f"{place} of the state is {state!r}, but the generator here is {template!r}"
        )
    elif isinstance(template, int) and isinstance(state, int) and state < 0:
        raise ValueError(f"{place} of the state must not be negative: got {state}")
