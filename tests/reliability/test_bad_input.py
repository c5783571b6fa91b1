"""Every public callable, each of its arguments, and four dozen values that nobody should pass.

Each bad call works as it is documented, or raises a ValueError, a TypeError, an IndexError, an
OSError about a path, or what the docstring lists under ``Raises:``, in words of the library that
name the argument. Never NumPy's words, no warning, no value that the annotation rules out, no
change of an array that was passed, no endless loop, no memory that the computer does not have.

The plain run draws a dozen values for each argument, by a fixed seed: ``MINIGPT_RELIABILITY=48``
tries them all.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import itertools
import linecache
import os
import random
import re
import signal
import traceback
import warnings
from collections.abc import Iterator, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigpt
from minigpt import Tensor
from tests.reliability.amount import amount
from tests.reliability.bad_values import BAD_VALUES, must_be_refused
from tests.reliability.good_call import GoodCalls
from tests.reliability.good_mathematics import FUNCTIONAL, GROUND, LAYERS, OPTIMIZERS
from tests.reliability.good_models import (
    MODELS,
    PICTURES,
    SAMPLING,
    TASKS,
    TEMPLATES,
    TRAINING,
)
from tests.reliability.good_texts import DATASETS, FILES, METRICS, TOKENIZERS
from tests.reliability.lenient import ALSO, LENIENT, UNCHECKED, WARNINGS
from tests.reliability.public import ROOMS, callables, parameters, rooms_of_the_library

CALLS: GoodCalls = {
    **GROUND, **FUNCTIONAL, **LAYERS, **OPTIMIZERS, **TOKENIZERS, **DATASETS, **FILES, **METRICS,
    **MODELS, **SAMPLING, **TRAINING, **TASKS, **TEMPLATES, **PICTURES,
}  # fmt: skip
PUBLIC = callables()
NEEDS = {**dict.fromkeys(TEMPLATES, "jinja2"), **dict.fromkeys(PICTURES, "matplotlib")}
SECONDS = 30  # that a call may take, on a machine that has other things to do
HERE = str(Path(minigpt.__file__).parent)


def test_no_public_callable_is_forgotten():
    missing = PUBLIC.keys() - CALLS.keys() - UNCHECKED.keys()
    assert not missing, (
        f"give each of these a call that works, in a table of tests/reliability/good_*.py: "
        f"{', '.join(sorted(missing))}"
    )
    gone = (CALLS.keys() | UNCHECKED.keys()) - PUBLIC.keys()
    assert not gone, f"no longer public, take them out of the tables: {', '.join(sorted(gone))}"
    assert rooms_of_the_library() == set(ROOMS)


def test_no_argument_is_forgotten():
    for name, function in PUBLIC.items():
        if name in CALLS and _installed(name):
            kinds = {p.name: p.kind for p in parameters(function).values()}
            every = {n for n, kind in kinds.items() if kind is not inspect.Parameter.VAR_KEYWORD}
            given = set(CALLS[name]()[1])
            left_out = every - given - LENIENT.get(name, {}).keys()
            assert not left_out, f"the good call of {name} leaves out {', '.join(sorted(left_out))}"


@pytest.mark.parametrize("name", CALLS)
def test_a_bad_argument_works_or_is_refused_in_our_own_words(name, in_a_folder):
    pytest.importorskip(NEEDS.get(name, "minigpt"))
    call(name)
    found = [
        f"{argument}={kind}: {problem}"
        for argument in CALLS[name]()[1].keys() - LENIENT.get(name, {}).keys()
        for kind in drawn(name, argument)
        if (problem := problem_of(name, argument, BAD_VALUES[kind]))
    ]
    assert not found, f"{name}\n" + "\n".join(found)


@pytest.mark.parametrize("name", CALLS)
def test_any_layout_of_an_array_is_as_good(name, in_a_folder):
    pytest.importorskip(NEEDS.get(name, "minigpt"))
    for argument, value in CALLS[name]()[1].items():
        if isinstance(value, np.ndarray) and value.ndim and (name, argument) not in WRITTEN_TO:
            expected = call(name)
            for other in other_layouts(value):
                assert _equal(call(name, {argument: other}), expected), argument


# ── calls ─────────────────────────────────────────────────────────────────────────────────────

WRITTEN_TO = {
    ("interop.GGUFFile.read_into", "x"),
    *(
        (f"models.LSTMLanguageModel.{m}", "state")
        for m in ("forward", "loss", "logits_and_targets")
    ),
}
FUNCTION = re.compile("Callable|Tokenize|LogitsProcessor|Schedule")


def drawn(name: str, argument: str) -> list[str]:
    """The bad values that an argument is tried with, the same ones in every run."""
    count = min(amount(plain=12), len(BAD_VALUES))
    return random.Random(f"{name} {argument}").sample(list(BAD_VALUES), count)


def call(name: str, changes: Mapping[str, Any] | None = None) -> Any:
    """The good call with some arguments changed; what it gives bit by bit is fetched."""
    function, arguments = CALLS[name]()
    result = function(**{**arguments, **(changes or {})})
    return list(itertools.islice(result, 100)) if isinstance(result, Iterator) else result


def problem_of(name: str, argument: str, value: Any) -> str:
    """What is wrong with how a bad value was met; nothing, where nothing is."""
    function, arguments = CALLS[name]()
    changed = {**arguments, argument: value}
    before = {n: _fingerprint(v) for n, v in changed.items()}
    with warnings.catch_warnings(), within(SECONDS):
        warnings.simplefilter("error")
        try:
            result = function(**changed)
            if isinstance(result, Iterator):
                list(itertools.islice(result, 100))
        except Exception as error:
            problem = _problem_of_error(name, argument, set(changed), value, error)
        else:
            refused = must_be_refused(_annotation(name, argument), value)
            problem = "taken, against its annotation" if refused else ""
    for n, v in changed.items():
        if (name, n) not in WRITTEN_TO and _fingerprint(v) != before[n]:
            problem += f"; {n} was changed"
    return problem


def _annotation(name: str, argument: str) -> str:
    return str(parameters(PUBLIC[name])[argument].annotation)


def _problem_of_error(
    name: str, argument: str, arguments: set[str], value: Any, error: Exception
) -> str:
    text = str(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    said = f"{type(error).__name__}: {text[:150]} at {last.filename}:{last.lineno}"
    if callable(value) and FUNCTION.search(_annotation(name, argument)):
        return ""  # what a function of one's own raises is one's own
    if isinstance(error, OSError) and isinstance(value, (str, os.PathLike)):
        told = str(value)[:50] in text or argument in text
        return "" if told else f"the path is not told: {said}"
    if isinstance(error, Warning) and WARNINGS.get(name, "-") in text:
        return ""
    line = linecache.getline(last.filename, last.lineno or 0)
    ours = last.filename.startswith(HERE) and ("raise" in line or "warn(" in line)
    documented = re.findall(r"\b(\w+(?:Error|Diverged))\b", PUBLIC[name].__doc__ or "")
    allowed = (ValueError, TypeError, IndexError, UserWarning)
    if not ours or not (isinstance(error, allowed) or type(error).__name__ in documented):
        return f"not in our words: {said}"
    # What does not fit another argument may name that one, or the function that both were given to.
    between = isinstance(value, (np.ndarray, Tensor, list, tuple, Mapping, Real))
    named = {argument, "tensor's gradient", "a tensor", *(arguments if between else ())}
    named |= {name.split(".")[-1]} if between else set()
    for key in (argument, name, name.split(".")[0]):
        named |= {*ALSO.get(key, ())}
    if isinstance(value, (str, os.PathLike)) and str(value)[:50] in text:
        return ""  # the path, the name or the text itself is told
    if not any(re.search(rf"(?<!\w){re.escape(n)}(?!\w)", text) for n in named):
        return f"the argument is not named: {said}"
    return "" if len(text) < 700 else f"{len(text)} characters long: {said}"


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """An error where a call works longer; without SIGPROF (Windows) a hang stays a hang."""
    if not hasattr(signal, "SIGPROF"):
        yield
        return

    def late(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    earlier = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)  # of the processor: others may be at work
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, earlier)


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    """A folder to write to, with a folder in it; and no more memory than 2 GB beyond now."""
    (tmp_path / "a_folder").mkdir()
    monkeypatch.chdir(tmp_path)
    try:
        import resource
    except ImportError:  # Windows
        yield
        return
    limits = resource.getrlimit(resource.RLIMIT_AS)
    statm = Path("/proc/self/statm")
    if statm.exists():
        now = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + 2**31, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


def _installed(name: str) -> bool:
    with contextlib.suppress(ImportError):
        __import__(NEEDS.get(name, "minigpt"))
        return True
    return False


def other_layouts(array: np.ndarray) -> Iterator[np.ndarray]:
    """The same numbers with gaps between them, in the other order, and write-protected."""
    yield np.repeat(array, 2, axis=-1)[..., ::2]
    yield np.asfortranarray(array)
    protected = array.copy()
    protected.setflags(write=False)
    yield protected


def _fingerprint(value: Any) -> Any:
    """What tells whether the arrays in a value have changed."""
    if isinstance(value, Tensor):
        value = value.data
    if isinstance(value, np.ndarray):
        kept = repr(value.tolist()).encode() if value.dtype.hasobject else value.tobytes()
        return hashlib.sha256(kept).digest(), value.shape, value.dtype
    if isinstance(value, (list, tuple)):
        return [_fingerprint(item) for item in value]
    return {k: _fingerprint(v) for k, v in value.items()} if isinstance(value, dict) else None


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        a, b = a.data, b.data
    if isinstance(a, np.ndarray) and a.dtype.names is None:
        return bool(np.allclose(a, b, equal_nan=True))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_equal, a, b))
    return type(a) is type(b)
