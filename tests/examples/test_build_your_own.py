"""examples/build_your_own: right solutions pass, and wrong ones are put in words."""

from __future__ import annotations

import doctest
import importlib
import re
import signal
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.examples.usual_mistakes import MISTAKES

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "examples" / "build_your_own"
PLAIN, BY_HAND = HERE / "plain_solution.py", HERE / "numpy_solution.py"
SOURCE = BY_HAND.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def beside_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)


def module_of(source: str, name: str = "a_solution") -> Any:
    module = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def with_mistake(step: str, right: str, wrong: str) -> Any:
    """The solution with something replaced in one function."""
    start = SOURCE.index(f"def {step}(")
    end = SOURCE.find("\n\n\ndef ", start)
    function = SOURCE[start : end if end >= 0 else len(SOURCE)]
    assert right in function, f"{step}: {right!r} is not in the solution"
    return module_of(SOURCE.replace(function, function.replace(right, wrong)))


def complaint(step: str, solution: Any) -> str | None:
    check, steps = importlib.import_module("check"), importlib.import_module("steps")
    (of_name,) = [s for s in steps.STEPS if s.name == step]
    return check.complaint(of_name, solution)


@pytest.mark.parametrize("file", [PLAIN, BY_HAND], ids=lambda file: file.stem)
@pytest.mark.parametrize("step", MISTAKES)
def test_right_solutions_pass(step, file):
    assert complaint(step, module_of(file.read_text(encoding="utf-8"))) is None


@pytest.mark.parametrize("step", MISTAKES)
def test_mistakes_are_put_in_words(step):
    assert len(MISTAKES[step]) >= 3
    unlike = []
    for right, wrong, words in MISTAKES[step]:
        said = complaint(step, with_mistake(step, right, wrong))
        if said is None or not re.search(words, said):
            unlike.append(f"{right!r} -> {wrong!r}\n  is told {said!r}\n  expected {words!r}")
    assert not unlike, "\n".join(unlike)


WAYS = {  # to return the results of a function backward, each as right as a tuple
    "tuple": "return dq, dk, dv",
    "list": "return [dq, dk, dv]",
    "generator": "return (d for d in (dq, dk, dv))",
    "array": "return np.stack([dq, dk, dv])",
}


@pytest.mark.parametrize("way", WAYS)
def test_results_may_come_in_any_sequence(way):
    solution = with_mistake("attention", WAYS["tuple"], WAYS[way])
    assert complaint("attention", solution) is None
    assert complaint("multi_head_attention", solution) is None


@pytest.mark.parametrize(
    ("step", "right", "other"),
    [
        ("linear", "return y, backward", "return [y, backward]"),
        ("linear", "x", "z"),
        ("block", "return dx, dW", "return [dx, dW]"),
        ("adamw", "return theta, m, v", "return [theta, m, v]"),
        ("train_step", "moments[name] = m, v", "moments[name] = [m, v]"),
        ("attention", "-np.inf", "-1e9"),
        ("embedding", "np.zeros_like(W)", "np.empty_like(W); dW[...] = 0"),
    ],
)
def test_other_right_solutions_pass(step, right, other):
    assert complaint(step, with_mistake(step, right, other)) is None


def test_a_loop_that_never_ends_is_stopped(monkeypatch):
    monkeypatch.setattr(importlib.import_module("check"), "SECONDS", 0.3)
    empty, handler = np.empty, signal.getsignal(signal.SIGINT)
    said = complaint(
        "softmax", with_mistake("softmax", "    e = ", "    while True: pass\n    e = ")
    )
    assert re.match(
        r"line \d+ of softmax, .*it has not ended after 0.3 seconds: is there a loop", said
    )
    assert np.empty is empty and signal.getsignal(signal.SIGINT) is handler


def test_what_makes_training_slow_is_named():
    widened_by = importlib.import_module("widening").widened_by
    assert widened_by(module_of(SOURCE)) == []
    for step, right, wide in [
        ("gelu", "math.sqrt(2 / math.pi)", "np.array([math.sqrt(2 / math.pi)])"),
        ("embedding", "np.zeros_like(W)", "np.zeros(W.shape)"),
        ("adamw", "return theta, m, v", "return theta, m, v.astype(float)"),
        ("softmax", "np.exp(x", "np.exp(x.astype(np.float64)"),  # which attention calls
    ]:
        assert widened_by(with_mistake(step, right, wide)) == [step]


def test_empty_functions_are_pointed_to_their_pages(run_check, folder):
    code, out, err = run_check("all")
    assert code == 1 and err == ""
    assert out.count("it is empty: read its page") == 12 and "0 of 12 steps pass" in out
    steps = importlib.import_module("steps").STEPS
    assert [step.name for step in steps] == list(MISTAKES)
    for step in steps:
        page = (FOLDER / "pages" / step.page).read_text(encoding="utf-8")
        assert page.startswith(f"# {step.number}. {step.name}\n") and f"pages/{step.page}" in out
        assert f"check.py {step.number}" in page and "minigpt/" in page


def test_the_examples_of_the_pages():
    solution = module_of(BY_HAND.read_text(encoding="utf-8"))
    for page in sorted((FOLDER / "pages").glob("*.md")):
        found = doctest.testfile(
            str(page),
            module_relative=False,
            globs=dict(vars(solution)),
            optionflags=doctest.NORMALIZE_WHITESPACE,
            encoding="utf-8",
        )
        assert found.attempted and not found.failed, page.name


@pytest.fixture
def run_check(run):
    return lambda arguments="": run("build_your_own/check", arguments)


def test_the_first_step_that_does_not_pass_is_the_next(run_check, folder):
    half = SOURCE.replace("x.var(axis=-1, keepdims=True) + 1e-5", "x.var(axis=-1, keepdims=True)")
    Path("mine.py").write_text(half, encoding="utf-8")
    code, out, err = run_check("--file mine.py")
    assert code == 1 and err == "" and out.count("✓") == 5 and out.count("✗") == 1
    assert "✗  6 layer_norm" in out
    assert out.endswith("5 of 12 steps pass; the next is layer_norm: pages/06_layer_norm.md\n")
    code, out, _ = run_check("9 --file mine.py")
    assert code == 1 and "it is built of 6 layer_norm, not yet right" in out
    assert run_check("softmax --file mine.py")[:2] == (0, "✓  1 softmax\n")
    several = "✓  1 softmax\n✓  2 cross_entropy\n✓  3 linear\n\n3 of 3 steps pass\n"
    for asked in ("1 2 3", "1,2,3", "1, softmax 2"):
        assert run_check(f"--file mine.py {asked}")[0] == 0
    assert run_check("softmax cross-entropy 3 --file mine.py")[:2] == (0, several)


def test_all_pass_and_the_reader_is_sent_to_write(run_check, folder):
    code, out, err = run_check(f"--file {BY_HAND}")
    assert (code, err) == (0, "") and out.count("✓") == 12
    assert "all twelve pass" in out and "check.py write" in out


def test_the_readers_functions_train_a_gpt_and_write(run_check, folder, monkeypatch):
    given = importlib.import_module("writing_gpt")
    monkeypatch.setattr(given, "WIDTH", 32)
    monkeypatch.setattr(given, "CONTEXT", 16)
    Path("text.txt").write_text("to be or not to be, that is the question. " * 30, encoding="utf-8")
    wide = SOURCE.replace("math.sqrt(2 / math.pi)", "np.array([math.sqrt(2 / math.pi)])")
    Path("mine.py").write_text(wide, encoding="utf-8")
    code, out, err = run_check("write --file mine.py --data text.txt --steps 150")
    assert (code, err) == (0, "") and out.count("turns float32 into float64") == 1
    losses = [float(loss) for loss in re.findall(r"loss (\d\.\d\d)", out)]
    assert len(losses) == 10 and losses[0] > 2 > losses[-1] * 2
    assert out.count("to be ") > 5


def test_both_solutions_train_alike(monkeypatch, folder):
    given = importlib.import_module("writing_gpt")
    monkeypatch.setattr(given, "WIDTH", 8)
    monkeypatch.setattr(given, "CONTEXT", 8)
    text = "to be or not to be, that is the question. " * 9
    losses = [
        given.train_and_write(module_of(file.read_text(encoding="utf-8")), text, 5, lambda _: None)
        for file in (PLAIN, BY_HAND)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def softmax(x:\n", "mine.py, line 1: "),
        ("import nothing_like_it\n", "mine.py cannot be read: ModuleNotFoundError"),
        ("x = 1\n", "there is no function softmax in your file"),
    ],
)
def test_files_that_cannot_be_read(run_check, folder, source, words):
    Path("mine.py").write_text(source, encoding="utf-8")
    code, out, err = run_check("--file mine.py")
    assert code and words in out + err and err.count("\n") <= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("13", "13 is not a step"),
        ("nothing", "nothing is not a step: the steps are 1 to 12"),
        ("softmx", "did you mean softmax"),
        ("1 all", "all is not a step"),
        ("--file nowhere.py", "nowhere.py is not there"),
        ("write --steps 0", "--steps"),
    ],
)
def test_what_is_asked_for_wrongly_is_one_line(run_check, folder, arguments, words):
    code, _, err = run_check(arguments)
    assert code == 2 and err.count("\n") == 1 and err.startswith("check.py: error: ")
    assert words in err


def test_odd_results_are_put_in_words():
    comparing = importlib.import_module("comparing")
    right = np.arange(6.0).reshape(2, 3)
    for found, words in [
        ([1.0], "is a list, and must be an array of NumPy"),
        (right.T, r"has shape \(3, 2\), and should have \(2, 3\): two axes are exchanged"),
        (right[None], "the axes before these, the batch, must be summed over"),
        (right[:, 0], "the last axis is gone"),
        (right[:1], r"has shape \(1, 3\), and should have \(2, 3\)$"),
        (np.where(right == 4, np.nan, right), r"x\[1, 1\] is nan, and should be a number"),
        (-right, "the wrong sign everywhere"),
        (3 * right, "is 3 times what it should be, everywhere"),
        (right + (right == 4), r"x\[1, 1\] is 5, and should be 4; 5 of 6 entries are right"),
        (0 * right, "should be"),
    ]:
        with pytest.raises(comparing.Wrong, match=words):
            comparing.compare("x", found, right)
    comparing.compare("x", right, right)
    comparing.compare("x", np.array([]), np.array([]))
