"""examples/chat.py: trained and measured, small; and talked to, from a pipe and until Ctrl-C."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.examples.conftest import figures

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SMALL = (
    "--train 60 --test 6 --steps 2 --n-layer 1 --n-head 1 --n-embd 8 --vocab-size 500 "
    "--block-size 256 --output r --quiet"
)


@pytest.fixture
def run(run: Any) -> Any:
    """The script with so many arguments, and what is typed."""
    return lambda arguments, stdin="": run("chat", arguments, stdin=stdin)


def test_it_is_measured_and_saved_and_talked_to(run):
    code, out, err = run(f"{SMALL} --figures figures.json")
    assert (code, err) == (0, "")
    (share, n, untrained) = re.search(
        r"(\S+)% of (\d+) requests in unseen phrasings \(test\) answered rightly \(untrained: "
        r"(\S+)%; always '.+': \d+\.\d%\), after 2 steps, in \d+ s altogether",
        out,
    ).groups()
    assert 0 <= float(share) <= 100 and float(untrained) <= 5
    assert f"{100 * figures()['answered rightly']:.1f}" == share
    kinds = re.findall(r"^  (\w+) +(\d+) of +(\d+) right$", out, re.MULTILINE)
    assert sum(int(total) for _, _, total in kinds) == int(n)
    assert sum(int(right) for _, right, _ in kinds) == round(float(share) / 100 * int(n))
    assert out.endswith("python examples/chat.py --talk --output r\n")
    without_time = re.sub(r"in \d+ s", "", out)
    assert re.sub(r"in \d+ s", "", run(SMALL + " --overwrite")[1]) == without_time

    talk = "Hello!\n\n" + "Good<|end|>bye!\n" + "Hello!\n" * 12
    code, out, err = run("--talk --output r", talk)
    assert (code, err) == (0, "")
    assert out.startswith("you: Hello!\nassistant: ")
    assert "you: \n(a new conversation)\n" in out
    assert re.search(r"you: Good<\|end\|>bye!\n\(text holds the special token '<\|end", out)
    assert out.count("\nassistant: ") == 13 and out.endswith("you: \n")

    code, out, err = run("--talk --output r", "x" * 600 + "\n")
    assert code == 0 and re.search(r"\n\(text takes \d+ tokens .* say it in fewer words\)", out)


def test_words_are_left_out_but_not_what_a_request_is_about():
    from chat import LEFT_OUT, with_words_left_out
    from task_data import dialogues

    rng = np.random.default_rng(0)
    n, n_left, cases = 0, 0, dialogues.make_cases(300, 1, 1, seed=0)[0]
    for case in cases:
        turns = with_words_left_out(case, rng)
        assert turns[1::2] == list(case.turns[1::2])
        for turn, (_, left), request in zip(
            case.turns[::2], turns[::2], case.requests, strict=True
        ):
            whole, words = iter(turn[1].split()), left.split()
            assert words and all(word in whole for word in words)  # in their order
            assert request.intent == "repeat" or request.subject in left
            n, n_left = n + len(turn[1].split()), n_left + len(words)
    assert LEFT_OUT / 2 < 1 - n_left / n < LEFT_OUT


def test_what_is_said_of_the_context_and_of_a_cut(capsys):
    """The user is told when turns are left out, once for each time that more of them are."""
    answer = runpy.run_path(str(EXAMPLES / "talking.py"))["answer"]
    chat = SimpleNamespace(forgotten=0, cut_off=False)

    def stream(text: str) -> Any:
        yield from ("well", ", ", text)
        chat.forgotten, chat.cut_off = {"b": (2, True), "c": (2, False)}.get(text, (0, False))

    chat.stream = stream
    for text in "abc":
        answer(chat, text)
    assert capsys.readouterr().out == (
        "assistant: well, a\n"
        "assistant: well, b…\n(it no longer sees the first 2 turns: its context is full)\n"
        "assistant: well, c\n"
    )


def test_ctrl_c_leaves_the_talk(run, monkeypatch):
    assert run(SMALL)[0] == 0
    calls = iter(["Hello!"])

    def said(prompt: str) -> str:
        try:
            return next(calls)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr("builtins.input", said)
    code, out, err = run("--talk --output r")
    assert (code, err) == (0, "") and "assistant: " in out


def test_whatever_is_wrong_is_one_line(run):
    for arguments, message in (
        ("--talk --output nowhere", "there is no checkpoint nowhere"),
        (SMALL + " --block-size 4", "block_size=4"),
        (SMALL + " --train 0", "--train"),
    ):
        code, out, err = run(arguments)
        assert code == 2 and message in err and err.count("\n") == 1, (arguments, out, err)
