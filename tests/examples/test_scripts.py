"""The example scripts as a user calls them: their results, and one line for whatever is wrong."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigpt as mg
from minigpt import datasets
from minigpt.checkpoints import load_checkpoint, save_checkpoint
from minigpt.sampling import token_log_probabilities
from minigpt.training import TrainingDiverged, evaluate
from tests.examples.conftest import press_ctrl_c

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
SCRIPTS = [
    path.stem for path in sorted(EXAMPLES.glob("*.py")) if "Parser(__" in path.read_text("utf-8")
]
TEXT = "to be or not to be, that is the question\n" * 50
SMALL = "--data text.txt --n-layer 1 --n-head 2 --n-embd 8 --block-size 8 --workers 1 --quiet"


@pytest.fixture(autouse=True)
def text(folder: Path) -> None:
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")


@pytest.fixture
def trained(run: Any) -> Any:
    """A run of 6 steps in ``r``."""
    code, out, err = run("train", f"{SMALL} --steps 6 --output r")
    assert (code, err) == (0, "")
    return out


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts that have sizes and a text of their own take small ones, and write little."""
    config, generate = mg.GPTConfig, mg.Sampler.generate
    sizes = {"block_size": 8, "n_layer": 1, "n_head": 2, "n_embd": 8}
    monkeypatch.setattr(mg, "GPTConfig", lambda **fields: config(**fields | sizes))
    few = {"max_new_tokens": 20}
    monkeypatch.setattr(mg.Sampler, "generate", lambda *a, **k: generate(*a, **k | few))
    original = datasets.load_text
    letters = np.random.default_rng(0).choice(list("acehmnost  ."), size=4800)
    text = "".join(letters)  # with enough pairs for any vocabulary
    monkeypatch.setattr(
        datasets, "load_text", lambda name: text if name == "python-docs" else original(name)
    )


def raises(error: BaseException) -> Any:
    def function(*_: Any, **__: Any) -> Any:
        raise error

    return function


def files(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}


# ── the scripts one after the other ───────────────────────────────────────────────────────────────


def test_train_evaluate_generate(run, trained):
    assert "text.txt: 1,845 tokens to train on, 205 held out" in trained
    assert re.search(r"a GPT of [\d,]+ parameters", trained)
    loss = float(re.search(r"step 6: validation loss (\d\.\d{4})", trained)[1])
    assert "python examples/generate.py --checkpoint r\n" in trained

    model, tokenizer = mg.load_model("r")
    expected = evaluate(model, tokenizer.encode_array(TEXT)[1845:])["loss"]
    code, out, _ = run("evaluate", "--checkpoint r --data text.txt --quiet")
    assert code == 0 and "204 predicted" in out
    assert f"loss            {expected:.4f} nats" in out and expected == pytest.approx(
        loss, abs=0.1
    )
    assert f"bits per byte   {expected / np.log(2):.4f}" in out  # a character is a byte here

    code, out, _ = run("generate", "--checkpoint r --tokens 30 --seed 1", "--prompt", "to be")
    expected = mg.Sampler(model, tokenizer).generate("to be", 30, temperature=0.8, seed=1)[0]
    assert (code, out) == (0, expected + "\n")
    code, out, _ = run("generate", "--checkpoint r --best --samples 2 --tokens 5 --seed 1")
    assert code == 0 and "── sample 1 ─" in out and "── sample 2 ─" in out


def test_generate_with_beams(run, trained):
    sampler = mg.Sampler(*mg.load_model("r"))
    expected = sampler.generate("to be", 12, num_beams=3, num_return_sequences=2)
    command = "--checkpoint r --tokens 12 --beams 3"
    code, out, _ = run("generate", command, "--prompt", "to be")
    assert (code, out) == (0, expected[0] + "\n")
    code, out, _ = run("generate", f"{command} --samples 2", "--prompt", "to be")
    assert code == 0 and re.fullmatch("── sample 1 ─+\n(.*)── sample 2 ─+\n(.*)", out, re.DOTALL)
    assert expected[0] + "\n──" in out and out.endswith("\n" + expected[1] + "\n")


def test_generate_with_its_other_options(run, trained):
    sampler = mg.Sampler(*mg.load_model("r"))
    expected = sampler.generate("to be", 30, num_beams=2, stop="e", no_repeat_ngram_size=3)
    command = "--checkpoint r --tokens 30 --beams 2 --stop e --no-repeat 3"
    assert run("generate", command, "--prompt", "to be") == (0, expected[0] + "\n", "")
    expected = sampler.generate("\n", 5, temperature=0)
    for nothing in ((), ("--prompt", "")):  # a text of its own
        code, out, _ = run("generate", "--checkpoint r --tokens 5 --temperature 0", *nothing)
        assert (code, out) == (0, expected[0] + "\n")


def test_evaluate_with_a_stride(run, trained):
    model, tokenizer = mg.load_model("r")
    scores = token_log_probabilities(model, tokenizer.encode_array(TEXT)[1845:], stride=2)
    code, out, err = run("evaluate", "--checkpoint r --data text.txt --stride 2")
    assert code == 0 and "204 predicted" in out and "204/204" in err
    assert f"loss            {-scores.mean():.4f} nats" in out
    assert f"perplexity      {np.exp(-scores.mean()):.3f}\n" in out and "accuracy" not in out
    code, out, err = run("evaluate", "--checkpoint r --data text.txt --stride 2 --quiet")
    assert (code, err) == (0, "") and f"{-scores.mean():.4f}" in out


def test_evaluate_a_gpt2(run):
    tokenizer = mg.BPETokenizer.train(TEXT, 270, progress=False)
    model = mg.GPT(mg.GPTConfig(270, block_size=8, n_layer=1, n_head=1, n_embd=8), seed=0)
    model.save_pretrained("published")
    tokenizer.to_gpt2("published")
    ids = tokenizer.encode_array(TEXT)
    nll = -token_log_probabilities(model, ids).sum()
    code, out, _ = run("evaluate", "--gpt2 published --data text.txt --quiet")
    assert code == 0 and f"{len(ids) - 1:,} predicted" in out
    assert f"loss            {nll / (len(ids) - 1):.4f} nats" in out
    n_bytes = len(tokenizer.decode(ids[1:]))
    assert f"bits per byte   {nll / n_bytes / np.log(2):.4f}" in out
    code, out, _ = run("evaluate", "--gpt2 published --data text.txt --part val --quiet")
    assert code == 0 and f"{len(ids) - len(ids) * 9 // 10 - 1:,} predicted" in out


def test_evaluate_other_parts(run, trained):
    for part, predicted in (("train", 1844), ("all", 2049)):
        code, out, _ = run("evaluate", f"--checkpoint r --data text.txt --part {part} --quiet")
        assert code == 0 and f"{predicted:,} predicted" in out


def test_token_files_and_their_text_are_the_same(run, trained):
    assert run("prepare", "text.txt --output prepared --quiet")[0] == 0
    from_text = run("evaluate", "--checkpoint r --data text.txt --quiet")
    assert from_text[0] == 0
    assert run("evaluate", "--checkpoint r --data prepared --quiet") == from_text
    code, out, _ = run("train", "--resume --steps 7 --data prepared --output r --quiet")
    assert code == 0 and "step 7: validation loss" in out


def test_quickstart(run, tiny):
    code, out, _ = run("quickstart", "--steps 5")
    assert code == 0
    assert re.search(r"4,800 characters of text are [\d,]+ tokens, ([\d,]+) different ones", out)
    assert "Before training it wrote:\nWhen" in out and "After training it writes:\nWhen" in out
    n = int(re.search(r"tokens, ([\d,]+) different", out)[1].replace(",", ""))
    assert f"guessing would cost ln {n} = {np.log(n):.2f} a token" in out
    assert "\n  after 5 steps: When a function is" in out
    assert "generate.py --checkpoint runs/quickstart" in out.replace(os.sep, "/")
    assert mg.History.read("runs/quickstart").column("step") == [1, 2, 3, 4, 5]

    assert run("quickstart", "--steps 3")[0] == 0  # its own folder: the new run replaces the old
    assert not Path("runs/quickstart/previous-1").exists()
    assert len(mg.History.read("runs/quickstart").steps) == 3


def test_look_inside(run, trained):
    pytest.importorskip("matplotlib")
    code, out, _ = run("look_inside", "--checkpoint r --output p.png", "--text", "to be")
    assert (code, out) == (0, "p.png: 1 layer of 2 heads\n")
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")


def test_explore(run, trained):
    code, out, err = run("explore", "--checkpoint r --text", "to be", "or not")
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith("explorer.html: Explorer(5, 6 tokens, 1 layer of 2 heads, computed in")
    assert second == f"Open it in a browser: {Path('explorer.html').resolve().as_uri()}"
    assert Path("explorer.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_look_inside_shows_half_characters_and_what_no_font_has(run, monkeypatch):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    Path("text.txt").write_text("类语句 is $x$ here.\n" * 80, encoding="utf-8")
    small = f"{SMALL} --tokenizer bpe --vocab-size 262 --steps 1 --output r"
    assert run("train", small)[0] == 0
    figures = []
    savefig = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda f, *a, **k: [figures.append(f), savefig(f, *a, **k)]
    )
    monkeypatch.setattr("minigpt.drawing.fonts._installed", list)  # none has Chinese
    code, out, err = run("look_inside", "--checkpoint r", "--text", "类句 $x")
    assert (code, out, err) == (0, "inside.png: 1 layer of 2 heads\n", "")
    _, right = figures[0].subfigs
    tokenizer = mg.load_model("r").tokenizer
    labels = [label.get_text() for label in right.axes[0].get_yticklabels()]
    assert len(labels) == len(tokenizer.encode("类句 $x"))
    assert all(part in " ".join(labels) for part in (r"\u7c7b", r"\u53e5 1", "3/3"))
    assert labels[-3:] == ["␣", "$", "x"]


def test_attention_by_hand(run):
    code, out, _ = run("attention_by_hand")
    assert code == 0 and "the same, from minigpt.functional.scaled_dot_product_attention" in out


def test_shakespeare_char(run, tiny):
    command = "--data text.txt --seed 3 --seeds 2 --quiet --output s --steps"
    code, out, err = run("shakespeare_char", f"{command} 1")
    assert (code, err) == (0, "")
    losses = [float(x) for x in re.findall(r"seed [34]: .* (\d\.\d{4}), after 1 step in", out)]
    mean = float(re.search(r"mean of 2 seeds: (\d\.\d{4})", out)[1])
    assert len(losses) == 2 and mean == pytest.approx(sum(losses) / 2, abs=1e-4)

    assert run("shakespeare_char", f"{command} 2 --overwrite")[0] == 0
    assert not Path("s/nanogpt-3/previous-1").exists()
    code, _, err = run("shakespeare_char", f"{command} 1")
    assert code == 0 and Path("s/nanogpt-3/previous-1/step-00000002.npz").exists()
    assert err.startswith("shakespeare_char.py: ") and err.count("\n") == 2  # one for each seed


def test_a_text_without_new_lines_has_another_first_prompt(run, tiny):
    Path("text.txt").write_text("abcba" * 100, encoding="utf-8")
    assert run("train", f"{SMALL} --steps 1 --output r")[0] == 0
    code, out, _ = run("generate", "--checkpoint r --tokens 4 --seed 0")
    assert code == 0 and re.fullmatch("a[abc]{4}\n", out)
    code, out, _ = run("shakespeare_char", "--data text.txt --steps 1 --quiet")
    assert code == 0 and re.search("\na[abc]{20}\n", out)


# ── stopping, going on, and other people's runs ───────────────────────────────────────────────────


def test_resume_with_more_steps(run, trained):
    code, out, _ = run("train", "--resume --steps 9 --data text.txt --output r --quiet")
    assert code == 0 and "step 9: validation loss" in out and "finished" not in out
    assert mg.History.read("r").column("step") == list(range(1, 10))


def test_resume_with_other_settings_on_purpose(run, trained):
    changes = "--steps 9 --learning-rate 0.5 --batch-size 3 --eval-interval 2"
    code, _, err = run("train", f"--resume --data text.txt --output r --quiet {changes}")
    assert (code, err) == (0, "")
    config = load_checkpoint("r/step-00000009.npz").metadata["config"]
    assert (config["max_steps"], config["learning_rate"], config["batch_size"]) == (9, 0.5, 3)
    history = mg.History.read("r")
    assert history.column("step", "evaluations")[-2:] == [8, 9]
    assert history.column("learning_rate")[6] > 0.01


def test_resume_of_a_finished_run_says_so(run, trained):
    code, out, _ = run("train", "--resume --data text.txt --output r --quiet")
    assert code == 0
    assert out.startswith("the run is finished after 6 steps: --steps N goes further\n")


def test_resume_of_a_run_that_stopped_early_says_so(run):
    small = f"{SMALL} --steps 9 --eval-interval 1 --patience 1 --learning-rate 3 --output r"
    code, out, _ = run("train", small)
    assert code == 0 and "step 9" not in out
    code, out, _ = run("train", "--resume --data text.txt --output r --quiet")
    assert code == 0 and re.match(r"the run stopped early, after \d steps?, as --patience", out)


@pytest.mark.parametrize(
    "option",
    ["--overwrite", "--seed 0", "--n-layer 4", "--dropout 0", "--tokenizer char"],
)
def test_resume_refuses_what_belongs_to_the_run(run, trained, option):
    before = files("r")
    code, out, err = run("train", f"--resume --data text.txt --output r --quiet {option}")
    name = option.split()[0]
    line = f"train.py: error: {name} belongs to the run: leave it out with --resume\n"
    assert (code, out, err) == (2, "", line)
    assert files("r") == before


def test_a_run_with_muon_goes_on_with_muon(run):
    assert run("train", f"{SMALL} --steps 4 --optimizer muon --output r")[0] == 0
    assert run("train", "--resume --data text.txt --steps 6 --output r --quiet")[0] == 0
    metadata = load_checkpoint("r/step-00000006.npz").metadata
    assert metadata["config"]["optimizer"] == "muon"
    assert metadata["optimizer"]["updates.blocks.0.mlp.up_proj.weight"] == 6


def test_ctrl_c_prints_the_command_that_goes_on(run, monkeypatch):
    assert run("train", f"{SMALL} --steps 6 --val-fraction 0.2 --output whole")[0] == 0
    with monkeypatch.context() as patch:
        press_ctrl_c(patch, step=4)
        command = f"{SMALL} --steps 6 --val-fraction 0.2 --output"
        code, _, err = run("train", command, "a run")
    assert code == 130
    found = re.search(r"^train.py: go on with: python examples/train.py (.*)$", err, re.MULTILINE)
    assert found[1] == "--resume --data text.txt --output 'a run' --val-fraction 0.2"
    arguments = "--resume --data text.txt --val-fraction 0.2 --quiet --output"
    assert run("train", arguments, "a run")[0] == 0
    whole, resumed = (mg.load_model(name)[0].state_dict() for name in ("whole", "a run"))
    for name in whole:
        np.testing.assert_array_equal(whole[name], resumed[name])


@pytest.mark.parametrize(
    ("script", "arguments", "output"),
    [
        ("quickstart", "--steps 4 --output q", "q"),
        ("shakespeare_char", "--data text.txt --steps 4 --quiet --output q", "q/nanogpt-0"),
    ],
)
def test_ctrl_c_while_the_others_train(run, tiny, monkeypatch, script, arguments, output):
    press_ctrl_c(monkeypatch, step=2)
    code, _, err = run(script, arguments)
    assert code == 130 and "After training" not in err
    last = err.splitlines()[-1].replace(os.sep, "/")
    assert last.startswith(f"{script}.py: go on with: python examples/train.py --resume --data ")
    assert last.endswith(f"--output {output}")


def test_a_request_of_the_system_prints_it_too(run, trained, monkeypatch):
    press_ctrl_c(monkeypatch, step=2, number=signal.SIGTERM)
    code, out, err = run("train", f"{SMALL} --steps 6 --output stopped")
    assert code == 128 + signal.SIGTERM and "validation loss" not in out
    assert "stopped by SIGTERM after step 2 of 6" in err
    assert err.splitlines()[-1] == (
        "train.py: go on with: python examples/train.py --resume --data text.txt --output stopped"
    )


@pytest.mark.parametrize("script", ["train", "quickstart"])
def test_the_run_of_somebody_else_is_kept(run, trained, tiny, script):
    before = files("r")
    code, _, err = run(script, "--steps 2 --output r" + f" {SMALL}" * (script == "train"))
    assert code == 0 and files("r/previous-1") == before
    assert err.startswith(f"{script}.py: ") and f"{os.sep}r: what was there" in err


# ── whatever goes wrong ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("attention_by_hand", "--frobnicate", "unrecognized arguments: --frobnicate"),
        ("evaluate", "", "one of the arguments --checkpoint --gpt2 is required"),
        ("evaluate", "--checkpoint r --gpt2 r", "--gpt2: not allowed with argument --checkpoint"),
        (
            "evaluate",
            "--checkpoint r --data text.txt --stride 9",
            "from 1 to 8: got 9; beyond block_size=8",
        ),
        ("evaluate", "--checkpoint r --stride 0", "--stride: must be an integer of at least 1"),
        ("evaluate", "--checkpoint r --stride 4 --batch-size 2", "--batch-size is for blocks"),
        ("evaluate", "--gpt2 r --best", "--best is for a run's folder"),
        ("evaluate", "--gpt2 none", "there is no folder 'none'"),
        ("evaluate", "--checkpoint none", "there is no checkpoint none"),
        ("evaluate", "--checkpoint r --data none", "'none' is n"),
        ("evaluate", "--checkpoint r --data prepared --val-fraction 0.1", "is split already"),
        ("evaluate", "--checkpoint r --data foreign", "made with another tokenizer"),
        ("evaluate", "--checkpoint r --data half", "half lacks val.npy: run data/prepare.py"),
        ("evaluate", "--checkpoint r --part some", "invalid choice: 'some'"),
        ("evaluate", "--checkpoint mute", "mute holds no tokenizer"),
        ("explore", "--checkpoint r --text tobeornotto", "tokens, and the context holds 8"),
        ("explore", "--checkpoint r --text Ä", "characters that the tokenizer does not know"),
        ("explore", "--checkpoint mute", "mute holds no tokenizer"),
        ("generate", "--checkpoint r --prompt Ä", "characters that the tokenizer does not know"),
        ("generate", "--checkpoint r --samples 0", "--samples: must be an integer of at least 1"),
        (
            "generate",
            "--checkpoint r --temperature -1",
            "temperature must be a number of at least 0: got -1.0",
        ),
        ("generate", "--checkpoint r --beams 0", "--beams: must be an integer of at least 1"),
        ("generate", "--checkpoint r --beams 2 --samples 3", "pass num_beams=3"),
        ("generate", "--checkpoint r --beams 2 --top-k 3", "top_k=3 belongs to sampling"),
        ("generate", "--checkpoint r --tokens 2 --min-tokens 3", "min_new_tokens must be at most"),
        ("generate", "--checkpoint mute", "mute holds no tokenizer"),
        ("look_inside", "--checkpoint r/best.npz", "is a file: name the run's folder"),
        ("look_inside", "--checkpoint mute", "mute holds no tokenizer"),
        ("quickstart", "--steps 0", "argument --steps: must be an integer of at least 1: got 0"),
        ("quickstart", "--seed -1", "argument --seed: must be an integer of at least 0: got -1"),
        ("shakespeare_char", "--seeds 0", "--seeds: must be an integer of at least 1: got 0"),
        ("shakespeare_char", "--steps 0", "--steps: must be an integer of at least 1: got 0"),
        ("shakespeare_char", "--data none", "'none' is n"),
        ("train", "--steps two", "--steps: must be an integer of at least 1: got two"),
        ("train", "--workers two", "argument --workers: must be a number or auto: got two"),
        ("train", "--step 2", "unrecognized arguments: --step 2"),
        ("train", f"{SMALL} --n-embd 9", "n_embd=9 is not divisible by n_head=2"),
        ("train", f"{SMALL} --block-size 500", "use more text or a smaller block_size"),
        (
            "train",
            f"{SMALL} --val-fraction 0",
            "val_fraction must be a number above 0 and below 1: got 0.0",
        ),
        ("train", "--data half", "half lacks val.npy: run data/prepare.py again"),
        ("train", "--resume --output none", "none"),
        ("train", "--resume --output r --data other.txt", "characters that the tokenizer does not"),
    ],
)
def test_wrong_arguments_get_one_line(run, trained, script, arguments, message):
    for name, text in (("other", "ÄÖÜ" * 100), ("text", TEXT)):
        Path(f"{name}.txt").write_text(text, encoding="utf-8")
    for source, folder in (("text", "prepared"), ("text", "half"), ("other", "foreign")):
        assert run("prepare", f"{source}.txt --output {folder} --quiet")[0] == 0
    Path("half/val.npy").unlink()
    checkpoint = load_checkpoint("r/best.npz")
    Path("mute").mkdir()
    metadata = checkpoint.metadata | {"tokenizer": None}
    save_checkpoint("mute/step-00000006.npz", checkpoint.arrays, metadata)
    code, out, err = run(script, arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"{script}.py: error: ") and message in err
    assert err.count("\n") == 1 and err.endswith("\n")


@pytest.mark.parametrize("script", ["quickstart", "train", "shakespeare_char"])
def test_an_output_that_is_a_file(run, tiny, script):
    arguments = {"quickstart": "", "train": SMALL, "shakespeare_char": "--data text.txt"}[script]
    code, _, err = run(script, f"{arguments} --steps 1 --output text.txt")
    assert code == 1 and err.count("\n") == 1 and err.startswith(f"{script}.py: error: ")
    assert "text.txt" in err


@pytest.mark.parametrize("script", ["quickstart", "train", "shakespeare_char"])
def test_a_run_that_diverges(run, tiny, monkeypatch, script):
    monkeypatch.setattr(mg.Trainer, "fit", raises(TrainingDiverged("the loss is nan.\nTry less.")))
    arguments = {"quickstart": "", "train": SMALL, "shakespeare_char": "--data text.txt"}[script]
    code, _, err = run(script, f"{arguments} --steps 1")
    assert (code, err) == (1, f"{script}.py: error: the loss is nan. Try less.\n")


@pytest.mark.parametrize(
    ("script", "arguments", "where"),
    [
        ("evaluate", "--checkpoint r --data text.txt", "minigpt.training.evaluate"),
        (
            "evaluate",
            "--checkpoint r --data text.txt --stride 2",
            "minigpt.sampling.token_log_probabilities",
        ),
        ("explore", "--checkpoint r --text to", "minigpt.load_model"),
        ("generate", "--checkpoint r", "minigpt.Sampler.stream"),
        ("generate", "--checkpoint r --samples 2", "minigpt.Sampler.generate"),
        ("look_inside", "--checkpoint r", "minigpt.load_model"),
        ("quickstart", "", "minigpt.datasets.load_text"),
        ("shakespeare_char", "--data text.txt", "minigpt.datasets.load_text"),
        ("train", f"{SMALL} --output new", "minigpt.GPT"),
    ],
)
def test_ctrl_c_is_one_line(run, trained, monkeypatch, script, arguments, where):
    monkeypatch.setattr(where, raises(KeyboardInterrupt()))
    code, out, err = run(script, arguments)
    assert (code, out, err) == (130, "", f"{script}.py: stopped by Ctrl-C\n")


def test_ctrl_c_ends_the_line_that_is_being_written(run, trained, monkeypatch):
    def stream(*_: Any, **__: Any) -> Any:
        yield "to be or"
        raise KeyboardInterrupt

    monkeypatch.setattr(mg.Sampler, "stream", stream)
    code, out, err = run("generate", "--checkpoint r")
    assert (code, out, err) == (130, "to be or\n", "generate.py: stopped by Ctrl-C\n")


@pytest.mark.parametrize("script", [*SCRIPTS, "prepare"])
def test_help(run, script):
    code, out, err = run(script, "--help")
    assert (code, err) == (0, "") and out.startswith(f"usage: {script}.py")
    assert "None" not in out and "False" not in out


def test_help_shows_the_defaults(run):
    out = " ".join(run("train", "--help")[1].split())
    for shown in ("optimizer steps (default: 2000)", "held out at the end (default: 0.1;",
                  "dropout (default: 0)", "(default: auto)"):  # fmt: skip
        assert shown in out


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGPIPE, and says EINVAL")
@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("examples/generate.py", "--checkpoint r --tokens 500"),
        ("examples/attention_by_hand.py", ""),
        ("data/prepare.py", "text.txt --output prepared"),
    ],
)
def test_as_a_command_whose_reader_goes_away(trained, script, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(
            [sys.executable, str(ROOT / script), *arguments.split()],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "PYTHONUNBUFFERED": ""},
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert not re.search("error|exception|traceback", done.stderr, re.IGNORECASE)


@pytest.mark.skipif(os.name != "posix", reason="redirections of a POSIX shell")
@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        ("2>&-", 0),
        ("2>/dev/full", 0),
        ("2>&1 >out | head -c 30", 0),
        (">&-", 0),
        (">&- 2>&-", 0),
        ("<&- >&- 2>&-", 0),
        (">/dev/full", 1),
        (">/dev/full 2>&1", 1),
        ("| head -c 5", 1),
    ],
)
def test_what_cannot_be_shown_ends_no_training(folder, redirection, code):
    small = SMALL.replace(" --quiet", "")
    command = f"{sys.executable} {EXAMPLES / 'train.py'} {small} --steps 40 --eval-interval 10"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "PYTHONUNBUFFERED": ""}
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} --output r {redirection}"],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert mg.History.read("r").column("step")[-1] == 40
    assert Path("r/step-00000040.npz").exists()
    if redirection == ">/dev/full":
        assert done.stderr.endswith("train.py: error: [Errno 28] No space left on device\n")


@pytest.mark.parametrize(
    "module", ["bigrams", "equations_by_hand", "poem_measures", "runs", "word_tasks"]
)
def test_the_examples_in_docstrings(module):
    results = doctest.testmod(importlib.import_module(module))
    assert results.attempted and not results.failed


def test_explore_without_a_text_shows_one_that_the_tokenizer_knows(run):
    Path("digits.txt").write_text("0123456789\n" * 80, encoding="utf-8")
    options = SMALL.replace("text.txt", "digits.txt")
    assert run("train", f"{options} --steps 1 --output digits")[0] == 0
    code, out, err = run("explore", "--checkpoint digits")
    assert (code, err) == (0, "") and "Explorer(5 tokens, 1 layer of 2 heads" in out
