"""The script that trains an LSTM and a GPT of one size for one time."""

from __future__ import annotations

import re
import runpy
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigpt as mg
import minigpt.functional as F
from minigpt.models import LSTMConfig, LSTMLanguageModel
from tests.examples.conftest import figures

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPT = str(EXAMPLES / "lstm_and_gpt.py")


@pytest.fixture(autouse=True)
def text(folder: Path) -> None:
    Path("text.txt").write_text("to be or not to be, that is the question\n" * 50, "utf-8")


@pytest.fixture
def run(run: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A script on the text, this one with a tiny GPT."""
    config, small = mg.GPTConfig, {"block_size": 8, "n_layer": 1, "n_head": 2, "n_embd": 24}
    monkeypatch.setattr(mg, "GPTConfig", lambda **fields: config(**fields | small))
    return lambda arguments, script="lstm_and_gpt": run(script, f"--data text.txt {arguments}")


def test_it_trains_both_compares_them_and_draws(run):
    pytest.importorskip("matplotlib")
    code, out, err = run("--steps 23 11 --quiet --output r --figures f.json")
    assert (code, err) == (0, "")
    assert "1,640 characters to train on, 205 to validate, 205 to test" in out
    for name, steps in (("LSTM", 23), ("GPT", 11)):
        assert re.search(rf"^{name} +{steps} +\d+\.\d +\d+ +[\d,]+$", out, re.MULTILINE)
        assert f"The {name} writes:" in out
    found = {
        row: [float(x) for x in re.findall(r"\d\.\d{4}", cells)]
        for row, cells in re.findall(r"^((?:LSTM|GPT), [\w ]+\w) +(\d\..*)$", out, re.MULTILINE)
    }
    assert list(found) == [
        "LSTM, reading on", "LSTM, anew every 8", "GPT, anew every 8", "GPT, sliding window"
    ]  # fmt: skip
    assert all(len(losses) == 2 for losses in found.values())
    test_losses = {f"{row}: loss": losses[1] for row, losses in found.items()}
    assert figures("f.json") == pytest.approx(test_losses, abs=1e-4)
    assert re.search(
        r"characters\n +1 +2 +3–4 +5–8\nLSTM( +\d\.\d{3}){4}\nGPT ( +\d\.\d{3}){4}\n", out
    )
    assert Path("r/loss.png").read_bytes().startswith(b"\x89PNG")

    # What was kept can be loaded, and gives the numbers of the table.
    model, tokenizer = mg.load_model("r/lstm")
    assert type(model) is LSTMLanguageModel
    test = tokenizer.encode_array(Path("text.txt").read_text("utf-8"))[1845:]
    loss = mg.training.evaluate(model, test, block_size=8, batch_size=32)["loss"]
    assert found["LSTM, anew every 8"][1] == pytest.approx(loss, abs=1e-4)

    # The same steps are the same run.
    assert run("--steps 23 11 --quiet --output again")[0] == 0
    for name in ("lstm", "gpt"):
        one, other = (mg.load_model(f"{r}/{name}")[0].state_dict() for r in ("r", "again"))
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


@pytest.mark.parametrize(("recipe", "of_the_gpt"), [("first", "adam"), ("today", "muon")])
def test_recipes(run, recipe, of_the_gpt):
    code, out, err = run(f"--recipe {recipe} --steps 2 2 --quiet --output r")
    assert (code, err) == (0, "")
    assert " parameters, adam, batches of 32 x 64 characters\nGPT: " in out
    assert f" parameters, {of_the_gpt}, batches of 256 x 8 characters\n" in out  # as long in all
    gpt, _ = mg.load_model("r/gpt")
    assert (gpt.config.positions == "rotary") == (recipe == "today")
    found = re.findall(r"^(?:LSTM|GPT), .*? (\d\.\d{4}) .*?(\d\.\d{4})", out, re.MULTILINE)
    assert len(found) == 4 and all(0 < float(x) < 5 for pair in found for x in pair)


def test_evaluate_reads_on(run):
    assert run("--steps 3 1 --quiet --output r")[0] == 0
    model, tokenizer = mg.load_model("r/lstm")
    tokens = tokenizer.encode_array(Path("text.txt").read_text("utf-8"))
    metrics = mg.training.evaluate(model, tokens, block_size=8, batch_size=2, carry_state=True)
    code, out, err = run("--checkpoint r/lstm --part all --batch-size 2 --quiet", "evaluate")
    assert (code, err) == (0, "")
    assert f"loss            {metrics['loss']:.4f} nats a token" in out  # whatever the block size
    code, _, err = run("--checkpoint r/lstm --stride 4 --quiet", "evaluate")
    assert code == 2 and "--stride is for models with a context" in err.splitlines()[-1]


def test_the_steps_are_those_that_fit_in_the_time(run):
    code, out, err = run("--minutes 0.004 --output r")
    assert code == 0 and "step" in err  # the bar
    steps = {name: int(n) for name, n in re.findall(r"^(LSTM|GPT) +(\d+) ", out, re.MULTILINE)}
    assert min(steps.values()) >= 1
    for name, n in steps.items():
        assert mg.History.read(f"r/{name.lower()}").column("step") == list(range(1, n + 1))


def test_all_models_are_of_one_size():
    script = runpy.run_path(SCRIPT)
    for recipe in script["RECIPES"]:
        for model in script["make_models"](65, recipe, 0).values():
            assert model.num_parameters() == pytest.approx(636_000, rel=0.005)


def test_the_losses_by_place_are_those_of_the_whole_text():
    script = runpy.run_path(SCRIPT)
    tokens = np.random.default_rng(0).integers(0, 5, 84)  # ten blocks, and three targets
    config = mg.GPTConfig(5, block_size=8, n_layer=1, n_head=2, n_embd=8, init_std=0.5)
    lstm = LSTMLanguageModel(LSTMConfig(5, 8, 8), seed=0)
    for model in (mg.GPT(config, seed=0), lstm):
        losses = script["loss_by_place"](model, tokens, 8)
        n = np.where(np.arange(8) < 3, 11, 10)
        whole = mg.training.evaluate(model, tokens, block_size=8)["loss"]
        assert (losses * n).sum() / 83 == pytest.approx(whole, abs=1e-6)
        first = F.cross_entropy(model(tokens[:-1:8, None]), tokens[1::8, None])
        assert losses[0] == pytest.approx(first.item(), abs=1e-6)
    means = script["by_characters_seen"](np.arange(8.0))
    assert means == {"1": 0, "2": 1, "3–4": 2.5, "5–8": 5.5}


def test_ctrl_c_ends_it(run, monkeypatch):
    original = mg.Trainer.train_step

    def train_step(self: mg.Trainer) -> float:
        if self.step == 4:
            signal.raise_signal(signal.SIGINT)
        return original(self)

    monkeypatch.setattr(mg.Trainer, "train_step", train_step)
    code, out, err = run("--steps 30 30 --quiet")
    assert code == 130 and "writes" not in out
    assert err.endswith("lstm_and_gpt.py: stopped by Ctrl-C\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--minutes 0", "argument --minutes: must be a number above 0: got 0.0"),
        ("--minutes nan", "argument --minutes: must be a number above 0: got nan"),
        ("--steps 3", "argument --steps: expected 2 arguments"),
        ("--steps 3 0", "argument --steps: must be an integer of at least 1: got 0"),
        ("--data none", "'none' is n"),
        ("--data short.txt", "the training part holds 10 tokens"),
    ],
)
def test_wrong_arguments_get_one_line(run, arguments, message):
    Path("short.txt").write_text("to be or not", "utf-8")
    code, out, err = run(arguments)
    assert (code, out) == (2, "")
    assert message in err and err.count("\n") == 1


def test_help(run):
    code, out, _ = run("--help")
    assert code == 0 and "None" not in out and "False" not in out
