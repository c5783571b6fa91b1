"""masked_names and fine_tune as a user calls them, with few steps and names."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minigpt as mg
from minigpt.models import Encoder
from tests.examples.conftest import figures

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(autouse=True)
def few_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every twentieth name, in code point order: to encode all of them takes most of the time."""
    from task_data import character_names

    names = character_names.all_names()
    few = "\n".join([*names[::20], "GREEK SMALL LETTER ALPHA", "LATIN SMALL LETTER X"]) + "\n"
    monkeypatch.setattr(character_names, "load_text", lambda name: few)


def percentages(out: str, title: str) -> list[list[float]]:
    """The shares of the table's rows that begin so."""
    rows = [line for line in out.splitlines() if line.startswith(title + " ")]
    return [[float(share) for share in re.findall(r"([\d.]+)%", row)] for row in rows]


def test_masked_names(run):
    code, out, err = run("masked_names", "--steps 2 --test 40 --quiet --figures f.json")
    assert (code, err) == (0, "")
    assert (
        "names to train on, 40 to measure on (test); an Encoder of " in out and "2 steps, " in out
    )
    assert re.search(r"right: [\d.]+%; the most frequent character, ' ': [\d.]+%; that is", out)
    assert f"right: {figures('f.json')['hidden characters right']:.1%}; the most" in out
    assert "\nLATIN SMALL LETTER _ → " in out
    model, tokenizer = mg.load_model("runs/masked_names.npz")
    assert isinstance(model, Encoder) and tokenizer.decode(tokenizer.encode("A-1")) == "A-1"

    code, out, err = run("masked_names", "--quiet --ask", "DIGIT _N_", "_")
    assert (code, err) == (0, "")
    assert [line.split(" → ")[0] for line in out.splitlines()] == ["DIGIT _N_", "DIGIT _N_", "_"]
    code, out, err = run("masked_names", "--ask", "DIGIT ONE")
    assert code == 2 and err == "masked_names.py: error: 'DIGIT ONE' has no _ to fill in\n"
    code, out, err = run("masked_names", "--output no.npz --ask _")
    assert code == 2 and "no checkpoint no.npz" in err


def test_fine_tune(run):
    small = "--steps 1 --test 40 --labels 10 30 --quiet"
    code, out, err = run("fine_tune", f"{small} --figures f.json")
    assert (code, err) == (0, "")
    assert re.search(r"always Lo: [\d.]+% of 40 unseen names \(test\)", out)
    assert "Encoder, " in out and "GPT, " in out
    assert re.search(r"masked token: pre-trained ahead of nothing by .* points; LoRA short", out)
    for way in ("from nothing", "pre-trained", "LoRA", "last block"):
        rows = percentages(out, way)
        assert len(rows) == 2 and all(len(row) == 3 for row in rows)  # what is learned, and 2 sizes
    assert all(row[0] <= 5 for row in percentages(out, "LoRA"))
    kept = figures("f.json")
    assert len(kept) == 2 * 2 * 5
    lora, full = (kept[f"masked token, 30 labels: {way}"] for way in ("LoRA", "pre-trained"))
    assert round(100 * lora, 1) == percentages(out, "LoRA")[0][2]
    gap = kept["masked token, 30 labels: LoRA short of full fine-tuning"]
    assert gap == pytest.approx(full - lora)
    assert Path("runs/fine_tune/accuracy.png").exists() or "matplotlib" in out

    code, again, _ = run("fine_tune", small + " --objectives next")
    assert code == 0 and "Encoder, " not in again
    for way in ("pre-trained", "LoRA"):  # the same seed, whatever else was trained
        assert percentages(again, way) == percentages(out, way)[1:]


def test_wrong_arguments(run):
    code, _, err = run("fine_tune", "--labels 0")
    assert code == 2 and "argument --labels: must be an integer of at least 1: got 0" in err
    code, _, err = run("fine_tune", "--labels 4000 --quiet")
    assert code == 2 and err.count("\n") == 1 and "ask for fewer" in err


def test_what_is_pre_trained_on_holds_nothing_of_the_test():
    args = SimpleNamespace(test=200, report="validation", seed=1)
    names = runpy.run_path(str(EXAMPLES / "name_models.py"))["Names"].read(300, args)
    from task_data import character_names

    train, validation, test = character_names.make_cases(300, 200, 200, seed=1)
    assert (names.train, names.unseen) == (train, validation)
    families = {character_names.family(case.name) for case in validation + test}
    assert not families & {character_names.family(name) for name in names.unlabelled}
    assert {case.name for case in names.train} <= set(names.unlabelled)
    batches = names.masked([case.name for case in names.unseen], seed=0)
    for ids, targets, mask in batches:
        assert (ids[:, 0] == names.end_id).all() and (targets[:, 0] == -1).all()
        assert not np.isin(targets[~mask], range(names.end_id + 1)).any()


def test_learning_rates_follow_from_the_width():
    script = runpy.run_path(str(EXAMPLES / "fine_tune.py"))
    rate, ways, width = script["fine_tuning_rate"], script["WAYS"], script["SIZES"]["n_embd"]
    assert rate(2000) == pytest.approx(5e-4)  # Schulman et al. 2025: ten times 5e-5 at 2,000 wide
    assert rate(1000) / rate(4000) == pytest.approx(4**0.781)
    full, lora = ways["pre-trained"], ways["LoRA"]
    assert full.learning_rate == lora.learning_rate == rate(width)
    assert full.scales == {"backbone.": 0.1} and lora.scales is None


def test_weight_decay_follows_from_the_number_of_labels():
    """What is learned is a mean over the last 1/(ηλ) steps: of 40 epochs, however long they are."""
    script = runpy.run_path(str(EXAMPLES / "fine_tune.py"))
    for way in (script["WAYS"][name] for name in ("pre-trained", "LoRA")):
        for n in (100, 1000, 5000):
            steps = 1 / (way.learning_rate * way.weight_decay(n))
            assert steps * script["BATCH_SIZE"] / n == pytest.approx(40)


def test_the_dropout_of_adapters_follows_from_the_number_of_labels():
    """p / (1 − p) falls as the labels become more; nothing else of the model drops out."""
    script = runpy.run_path(str(EXAMPLES / "fine_tune.py"))
    for n in (100, 1000):
        encoder = mg.models.Encoder(mg.models.EncoderConfig(9, 8, 1, 2, 16))
        classifier = mg.models.TextClassifier.from_model(encoder, n_classes=2)
        script["WAYS"]["LoRA"].prepare(classifier, n)
        found = {p for _, m in classifier.backbone.named_modules() if (p := getattr(m, "p", 0))}
        assert [p / (1 - p) for p in found] == pytest.approx([40 / n])


def test_full_fine_tuning_and_lora_differ_in_nothing_else(monkeypatch: pytest.MonkeyPatch):
    """The same labels in the same batches, as many steps, and the same head at first."""
    script = runpy.run_path(str(EXAMPLES / "fine_tune.py"))
    args = SimpleNamespace(test=40, report="validation", seed=3, steps=2, quiet=True)
    names = script["Names"].read(30, args)
    seen: list[tuple[Any, ...]] = []

    def train(trainer: mg.Trainer) -> None:
        head = [p.data.copy() for n, p in trainer.model.named_parameters() if "backbone" not in n]
        seen.append((trainer.config.max_steps, head, trainer.batches.next_batch()))

    monkeypatch.setitem(script["fine_tune"].__globals__, "train_to_the_end", train)
    trained = script["new_gpt"](names, 0)
    for way in ("pre-trained", "LoRA"):
        script["fine_tune"](trained, way, 30, names, args)
    full, lora = seen
    assert full[0] == lora[0] == 2
    for ours, others in zip([*full[1], *full[2]], [*lora[1], *lora[2]], strict=True):
        np.testing.assert_array_equal(ours, others)
