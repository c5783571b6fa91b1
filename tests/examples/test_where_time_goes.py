"""The script that divides a step between the parts of a model, and the arrays that keep books."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigpt as mg
from minigpt.blas_threads import one_blas_thread

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
import booked_arrays
import machine_peaks
from booked_arrays import BookedArray, booked, noted_calls

ROW = re.compile(
    r"^(\S[^\d\n]*?) +([\d,]+) +([\d.]+) +([\d.]+)% +([\d.]+) +([\d.]+) ", re.MULTILINE
)
TINY = "--n-layer 2 --n-head 2 --n-embd 8 --vocab-size 11 --block-size 12 --batch-size 3"
CONFIG = mg.GPTConfig(11, 12, n_layer=2, n_head=2, n_embd=8, bias=False)


def trainer_of(model: mg.GPT) -> mg.Trainer:
    for parameter in model.parameters():
        parameter.data = booked(parameter.data)
    config = mg.TrainerConfig(max_steps=9, batch_size=3, workers=1, progress=False)
    return mg.Trainer(model, np.arange(60) % 11, config=config)


@one_blas_thread()
def test_books_change_no_bit_and_miss_no_product():
    plain, noted = trainer_of(mg.GPT(CONFIG, seed=0)), mg.GPT(CONFIG, seed=0)
    losses: list[float] = []

    def begin() -> Any:
        trainer = trainer_of(noted)
        return lambda: losses.append(trainer.train_step())

    books = noted_calls(begin, times=3)
    assert losses == [plain.train_step() for _ in range(3)]
    for name, array in plain.model.state_dict().items():
        np.testing.assert_array_equal(noted.state_dict()[name], array)

    tokens, layers, width = 3 * 12, 2, 8
    flops = {part: entry.flops / 3 for part, entry in books.entries.items()}
    # 2 FLOPs forward and 4 back for each token and weight.
    assert flops["attention's projections"] == 6 * tokens * layers * 4 * width**2
    assert flops["MLP's products"] == 6 * tokens * layers * 8 * width**2
    assert flops["head"] == 6 * tokens * 11 * width
    # Q Kᵀ and P V forward, four products back, each of 12 queries with 12 keys.
    assert flops["attention's scores and sums"] == 6 * layers * 2 * tokens * 12 * width
    assert books.entries["optimizer"].flops > 3 * 8 * sum(p.data.size for p in noted.parameters())
    assert all(entry.seconds >= 0 and entry.calls > 0 for entry in books.entries.values())
    assert "other" not in books.entries


def test_closed_books_note_nothing():
    assert booked_arrays._open is None
    x = np.ones(3).view(BookedArray)
    assert type(x + x) is np.ndarray
    assert type(booked(np.ones(3))) is np.ndarray
    with pytest.raises(ZeroDivisionError):
        noted_calls(lambda: lambda: 1 // 0, times=1)
    assert booked_arrays._open is None and np.empty.__module__ == "numpy"


def test_what_a_call_computes_and_moves():
    def noted(work: Any) -> tuple[int, int]:
        def begin() -> Any:
            x = booked(np.ones((4, 6), np.float32))
            return lambda: work(x)

        (entry,) = noted_calls(begin, times=1).entries.values()
        return entry.flops, entry.moved

    n = 4 * 6 * 4  # bytes of x
    assert noted(lambda x: x @ x.T) == (2 * 4 * 4 * 6, 2 * n + 4 * 4 * 4)
    assert noted(lambda x: x + x) == (24, 2 * n)  # one array that is read, and one written
    assert noted(lambda x: np.exp(x, out=x)) == (24, 2 * n)
    assert noted(lambda x: x.sum(axis=0)) == (24, n + 6 * 4)
    assert noted(lambda x: np.einsum("ij,ij->i", x, x)) == (48, n + 4 * 4)
    assert noted(lambda x: x[np.array([0, 0])]) == (0, 2 * 2 * 6 * 4)
    assert noted(lambda x: x.__setitem__(0, x[1])) == (0, 2 * 6 * 4)
    assert noted(lambda x: np.concatenate([x, x])) == (0, n + 2 * n)
    assert noted(lambda x: x.copy()) == (0, 2 * n)


def test_it_says_how_a_step_and_a_token_divide(run):
    pytest.importorskip("matplotlib")
    script = f"--size small --rounds 1 --fast --tokens 3 --output roof.png {TINY}"
    code, out, complaints = run("where_time_goes", script)
    assert code == 0, complaints
    step, token = re.split(r"\nsmall: one of 3 tokens after 6", out)[0:2]
    for text, whole in ((step, "3 × 12 tokens: "), (token, ": ")):
        rows = {name: [float(n.replace(",", "")) for n in row] for name, *row in ROW.findall(text)}
        assert {"norms", "MLP's products", "activation", "softmax", "head"} <= rows.keys()
        assert ("optimizer" in rows) == ("cross-entropy" in rows) == (text is step)
        (total,) = re.findall(rf"{whole}([\d.]+) ms\n", text)[:1]
        (rest,) = re.findall(r"between the calls +(-?[\d.]+) ", text)
        parts = sum(milliseconds for _, milliseconds, *_ in rows.values())
        assert parts + float(rest) == pytest.approx(float(total), abs=0.02)
    assert Path("roof.png").read_bytes().startswith(b"\x89PNG")


def test_a_trained_model_without_matplotlib(run, folder, monkeypatch):
    def missing(*_: object) -> None:
        raise ImportError("matplotlib is not installed")

    monkeypatch.setattr("minigpt.viz.new_figure", missing)
    model = mg.GPT(CONFIG, seed=0)
    tokenizer = mg.CharTokenizer.train("abcdefghijk")
    trainer = mg.Trainer(
        model, np.arange(60) % 11, config=mg.TrainerConfig(max_steps=1), tokenizer=tokenizer
    )
    trainer.save(folder / "model.npz")
    options = "--what step --rounds 1 --fast --out roof.png"
    code, out, complaints = run("where_time_goes", f"--checkpoint model.npz {options}")
    assert code == 0, complaints
    assert "model.npz: a training step, 1 × 12 tokens: " in out
    assert out.endswith("matplotlib is not installed\n")
    code, _, complaints = run("where_time_goes", "--checkpoint missing.npz")
    assert code == 2 and "missing.npz" in complaints and len(complaints.splitlines()) == 1


def test_peaks_are_those_of_the_fastest():
    peaks = machine_peaks.Peaks(product=100.0, reading={16: 40.0, 64: 50.0, 256: 8.0})
    assert (peaks.cache, peaks.memory) == (50.0, 8.0)
    assert peaks.roof(1.0, peaks.memory) == 8.0
    assert peaks.roof(2.0, peaks.cache) == peaks.roof(99.0, peaks.cache) == 100.0
    products = machine_peaks.Products(threads=2, sizes=(8, 16))
    assert products.flops == 2 * 2 * 16**3
    assert products.rate() > 0 < products.rate()
