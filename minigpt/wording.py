"""How an error about an argument reads, and how it shows what came.

{name} must be {expected}: got {value}; {mend}
"""

from __future__ import annotations

import numpy as np

LONGEST = 80  # characters of a value that an error shows
_SHOWN_AS_THEY_ARE = (type(None), bool, int, float, complex, str, bytes, tuple, list, dict, set)


def wrong_value(name: str, expected: str, value: object, mend: str = "") -> ValueError:
    """The error for a value of the right type that is out of range.

    Example:
        >>> raise wrong_value("n_head", "1 or more", 0, "choose n_head=1")
        Traceback (most recent call last):
        ...
        ValueError: n_head must be 1 or more: got 0; choose n_head=1
    """
    return ValueError(sentence(name, expected, value, mend))


def wrong_type(name: str, expected: str, value: object, mend: str = "") -> TypeError:
    """The error for a value of the wrong type."""
    return TypeError(sentence(name, expected, value, mend))


def sentence(name: str, expected: str, value: object, mend: str = "") -> str:
    """What every error about an argument says."""
    return f"{name} must be {expected}: got {shown(value)}" + (f"; {mend}" if mend else "")


def shown(value: object) -> str:
    """A value as an error shows it: short, however large it is.

    Example:
        >>> shown("x" * 1000), shown(np.zeros((2, 3))), shown(dict), shown(10**5000)
        ("'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…",
        'a float64 array of shape (2, 3)', 'the class dict', 'an integer of 16610 bits')
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and value.bit_length() > 256:  # Python refuses to write long ones
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, _SHOWN_AS_THEY_ARE):
        try:
            text = repr(value)
        except ValueError:  # a list of integers too long to be written
            text = f"a {type(value).__name__} of {len(value)}"  # type: ignore[arg-type]
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if dtype is not None and shape is not None:
        kind = "array" if isinstance(value, np.ndarray) else type(value).__name__
        return f"{article(str(dtype))} {kind} of shape {tuple(shape)}"
    return article(type(value).__name__)


def brief(reason: object) -> str:
    """What is wrong with a file, without the middle where it repeats too much of the file.

    Example:
        >>> brief("not known: " + 1000 * "x")[-30:], len(brief("x" * 10**6))
        ('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 603)
    """
    text = str(reason)
    return text if len(text) <= 600 else f"{text[:300]} … {text[-300:]}"


def article(noun: str) -> str:
    """A noun with its article, as in an int."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
