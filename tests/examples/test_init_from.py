"""train.py --init-from: a trained model goes on, wholly or in part; what does not go together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigpt as mg
from minigpt.checkpoints import load_lora
from minigpt.nn import lora_parameters, merge_lora, trainable, unfreeze
from tests.examples.conftest import press_ctrl_c

TEXT = "to be or not to be, that is the question\n" * 30
QUIET = "--data text.txt --workers 1 --quiet"


@pytest.fixture(autouse=True)
def trained(folder: Path, run: Any) -> None:
    """A run in ``r``."""
    Path("text.txt").write_text(TEXT, encoding="utf-8")
    sizes = "--n-layer 2 --n-head 2 --n-embd 8 --block-size 16"
    assert run("train", f"{QUIET} {sizes} --steps 4 --output r")[0] == 0


@pytest.fixture
def published() -> None:
    """A model of Transformers' in ``published``."""
    tokenizer = mg.BPETokenizer.train(TEXT, 270, ["<|endoftext|>"], progress=False)
    config = mg.GPTConfig(tokenizer.vocab_size, block_size=16, n_layer=1, n_head=1, n_embd=8)
    mg.GPT(config, seed=0).save_pretrained("published", tokenizer)


def state(folder: str) -> dict[str, Any]:
    return mg.load_model(folder)[0].state_dict()


def moved(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name in before if (before[name] != after[name]).any()}


def texts(tokenizer: mg.Tokenizer) -> tuple[Any, Any]:
    tokens = tokenizer.encode_array(TEXT)
    return tokens[: len(tokens) * 9 // 10], tokens[len(tokens) * 9 // 10 :]


def first_loss(model: Any, tokenizer: mg.Tokenizer) -> float:
    """What a run of the defaults that begins with this model sees first."""
    config = mg.TrainerConfig(max_steps=1, batch_size=12, progress=False, workers=1)
    return mg.Trainer(model, *texts(tokenizer), config=config).train_step()


def test_every_part_goes_on(run):
    code, out, err = run("train", f"{QUIET} --init-from r --steps 3 --output more")
    assert (code, err) == (0, "")
    assert re.search(r"a GPT of [\d,]+ parameters\n", out)
    before, after = state("r"), state("more")
    assert moved(before, after) == before.keys()
    assert mg.load_model("more").tokenizer.to_dict() == mg.load_model("r").tokenizer.to_dict()
    assert mg.History.read("more").column("loss")[0] == first_loss(*mg.load_model("r"))


def test_a_published_model_on_a_shorter_context(run, published):
    arguments = "--init-from published --block-size 8 --steps 3 --output mine"
    code, out, err = run("train", f"{QUIET} {arguments}")
    assert (code, err) == (0, "")
    model, tokenizer = mg.load_model("mine")
    assert model.config == mg.GPT.from_pretrained("published").config  # its context is as it was
    assert tokenizer.to_dict() == mg.load_tokenizer("published").to_dict()
    resumed = mg.Trainer.resume("mine", *texts(tokenizer), max_steps=4, progress=False)
    assert resumed.config.block_size == 8
    learned = moved(mg.GPT.from_pretrained("published").state_dict(), model.state_dict())
    assert learned == model.state_dict().keys()
    code, out, _ = run("evaluate", "--checkpoint mine --data text.txt --block-size 8 --quiet")
    assert code == 0
    loss = mg.History.read("mine").evaluations[-1]["val_loss"]
    assert float(re.search(r"loss +([\d.]+) nats", out)[1]) == pytest.approx(loss, abs=0.05)
    assert run("generate", "--checkpoint mine --prompt to --tokens 5 --seed 0")[0] == 0


def test_lora_goes_on_after_ctrl_c_as_if_nothing_had_happened(run, monkeypatch):
    options = (
        "--init-from r --lora 2 --lora-alpha 6 --lora-dropout 0.2 --lora-targets qkv_proj up_proj "
        "--steps 6"
    )
    code, out, err = run("train", f"{QUIET} {options} --output whole")
    assert (code, err) == (0, "") and re.search(r"parameters, 288 of which learn\n", out)
    with monkeypatch.context() as patch:
        press_ctrl_c(patch, step=4)
        code, _, err = run("train", f"{QUIET} {options} --output stopped")
    assert code == 130
    command = re.search(r"go on with: python examples/train.py (.*)$", err, re.MULTILINE)[1]
    assert run("train", f"{command} --quiet")[0] == 0
    whole, stopped = state("whole"), state("stopped")
    assert whole.keys() == stopped.keys()
    for name in whole:
        np.testing.assert_array_equal(whole[name], stopped[name])
    for folder in ("whole", "stopped"):
        assert load_lora(f"{folder}/adapter.npz", mg.load_model("r").model)
    assert re.search(r"adapter\.npz: the adapters only, 0\.\d\d MB; the checkpoints beside it", out)
    model, _ = mg.load_model("stopped")
    layer = model.blocks[1].mlp.up_proj
    assert (layer.rank, layer.alpha, layer.dropout.p) == (2, 6.0, 0.2)
    assert trainable(model) == [*lora_parameters(model)] and len(trainable(model)) == 8
    assert moved(state("r"), whole) == set()
    for script in ("generate", "evaluate"):
        more = "--tokens 5" if script == "generate" else "--data text.txt --quiet"
        assert run(script, f"--checkpoint stopped {more}")[0] == 0


def test_a_new_run_folds_adapters_in_and_lets_everything_learn(run):
    assert run("train", f"{QUIET} --init-from r --lora 2 --steps 3 --output l")[0] == 0
    code, out, _ = run("train", f"{QUIET} --init-from l --steps 1 --output full")
    assert code == 0 and "of which learn" not in out
    merged, _ = mg.load_model("l")
    merge_lora(merged)
    unfreeze(merged)
    before, after = merged.state_dict(), state("full")
    assert before.keys() == after.keys() == moved(before, after)
    assert mg.History.read("full").column("loss") == [
        first_loss(merged, mg.load_model("l").tokenizer)
    ]


@pytest.mark.parametrize(
    ("options", "stays"),
    [
        ("--freeze token_embedding blocks.0", r"token_embedding\.|blocks\.0\."),
        ("--freeze attention", r".*\.attention\."),
        ("--last-blocks 1", r"token_embedding|position_embedding|blocks\.0\."),
    ],
)
def test_what_is_frozen_stays(run, options, stays):
    arguments = f"{QUIET} --init-from r {options} --steps 2 --output f"
    assert run("train", arguments)[0] == 0
    before, after = state("r"), state("f")
    assert moved(before, after) == {name for name in before if not re.match(stays, name)}


def test_dropout_is_the_model_s_own_unless_it_is_said(run):
    small = "--n-layer 1 --n-head 1 --n-embd 4 --block-size 8 --steps 1"
    assert run("train", f"{QUIET} {small} --dropout 0.25 --output d")[0] == 0
    for options, expected in (("", 0.25), ("--dropout 0.5", 0.5), ("--dropout 0", 0.0)):
        arguments = f"{QUIET} --init-from d --steps 1 {options} --overwrite --output e"
        assert run("train", arguments)[0] == 0
        assert mg.load_model("e").model.config.dropout == expected


def test_special_tokens_in_the_text(run, published, monkeypatch):
    Path("text.txt").write_text(f"<|endoftext|>{TEXT}" * 2, encoding="utf-8")
    arguments = f"{QUIET} --init-from published --steps 2 --output s"
    code, _, err = run("train", arguments)
    assert code == 2 and "'<|endoftext|>'" in err
    press_ctrl_c(monkeypatch, step=1)
    code, _, err = run("train", f"{arguments} --special token")
    assert code == 130 and "--special token" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--lora 2", "--lora is for a trained model: add --init-from"),
        ("--freeze mlp", "--freeze is for a trained model: add --init-from"),
        ("--last-blocks 1", "--last-blocks is for a trained model: add --init-from"),
        ("--init-from r --n-embd 8", "--n-embd is for a new model: leave it out with --init-from"),
        ("--init-from r --tokenizer bpe", "--tokenizer is for a new model: leave it out with"),
        ("--init-from r --lora-alpha 4", "--lora-alpha is of adapters: add --lora RANK"),
        ("--init-from r --lora-dropout 0.1", "--lora-dropout is of adapters: add --lora RANK"),
        ("--init-from r --lora 2 --lora-dropout 1", "dropout must be a probability"),
        ("--init-from r --lora-targets x", "--lora-targets is of adapters: add --lora RANK"),
        ("--init-from r --lora 2 --freeze mlp", "--freeze and --lora both say what learns"),
        ("--init-from r --last-blocks 1 --lora 2", "--last-blocks and --lora both say what"),
        ("--init-from r --freeze x", "names must be names of parts of this GPT: attention, "),
        ("--init-from r --freeze weight bias", "nothing to train"),
        ("--init-from r --lora 2 --lora-targets x", "which has down_proj, out_proj, qkv_proj"),
        ("--init-from r --lora 9", "rank must be an integer from 1 to 8: got 9"),
        ("--init-from r --last-blocks 3", "n_blocks must be an integer from 0 to 2: got 3"),
        ("--init-from r --block-size 17", "--block-size 17 is longer than the model's, 16"),
        ("--init-from r --dropout 1", "dropout must be a probability"),
        ("--init-from r --learning-rate 0", "learning_rate must be a number above 0: got 0.0"),
        ("--init-from none", "there is no folder 'none'"),
        ("--init-from text.txt", "is not a checkpoint"),
        ("--init-from .", "no checkpoint"),
        ("--resume --init-from r", "--init-from belongs to the run: leave it out with --resume"),
        ("--resume --lora 2", "--lora belongs to the run: leave it out with --resume"),
    ],
)
def test_what_does_not_go_together_gets_one_line(run, options, message):
    code, out, err = run("train", f"{QUIET} {options} --output new")
    assert (code, out) == (2, "") and message in err
    assert err.startswith("train.py: error: ") and err.count("\n") == 1
    assert not Path("new").exists()


def test_what_is_not_a_model_of_the_next_token(run):
    from minigpt.models import Encoder, EncoderConfig

    _, tokenizer = mg.load_model("r")
    encoder = Encoder(EncoderConfig(tokenizer.vocab_size, 8, n_layer=1, n_head=1, n_embd=4))
    rows = [tokenizer.encode("to be or")] * 9
    n = tokenizer.vocab_size
    batches = mg.datasets.MaskedBatches(rows, 2, 0, mask_id=0, vocab_size=n)
    config = mg.TrainerConfig(max_steps=1, progress=False)
    mg.Trainer(encoder, batches, config=config, tokenizer=tokenizer).save("e.npz")
    code, _, err = run("train", f"{QUIET} --init-from e.npz")
    assert code == 2 and "--init-from: expected a GPT or an LSTM, found Encoder" in err


def test_what_train_and_explore_take_generate_takes_too(run, published):
    assert run("generate", "--checkpoint published --prompt to --tokens 5 --seed 0")[0] == 0
