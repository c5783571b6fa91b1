"""One folder of small files, made once in a process: whatever a public function can read."""

from __future__ import annotations

import json
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

import minigpt as mg
from minigpt import nn
from minigpt.checkpoints import save_checkpoint, save_lora
from minigpt.datasets import write_tokens
from minigpt.interop import write_safetensors
from tests.interop.gguf_files import Tensor, gguf

TEXT = "to be or not to be, that is the question"
TOKENIZER = mg.CharTokenizer.train(TEXT, special_tokens=["<|user|>", "<|assistant|>", "<|end|>"])
IDS = np.arange(60) % TOKENIZER.vocab_size
_KEPT: list[tempfile.TemporaryDirectory[str]] = []  # deleted when the process ends


def gpt(seed: int = 0, **changes: object) -> mg.GPT:
    """A GPT of a few hundred numbers."""
    sizes = dict(
        vocab_size=TOKENIZER.vocab_size, block_size=8, n_layer=1, n_head=2, n_embd=8, dropout=0.1
    )
    return mg.GPT(mg.GPTConfig(**{**sizes, **changes}), seed=seed)  # type: ignore[arg-type]


def gpt_with_lora() -> mg.GPT:
    """The same with adapters."""
    model = gpt()
    nn.add_lora(model, rank=1)
    return model


def trainer(**changes: object) -> mg.Trainer:
    """A trainer about to begin."""
    settings = dict(max_steps=2, batch_size=2, progress=False, eval_batches=1, workers=1)
    config = mg.TrainerConfig(**{**settings, **changes})  # type: ignore[arg-type]
    return mg.Trainer(gpt(), IDS, None, config, tokenizer=TOKENIZER)


@lru_cache
def folder() -> Path:
    """The folder; its files are never written to."""
    _KEPT.append(tempfile.TemporaryDirectory(prefix="minigpt_good_files_"))
    made = Path(_KEPT[-1].name)
    TOKENIZER.save(made / "tokenizer.json")
    pairs = mg.BPETokenizer.train(TEXT, 260, progress=False)
    pairs.to_gpt2(made / "gpt2")
    gpt().save_pretrained(made / "model")
    trainer().save(made / "run.npz")
    save_checkpoint(made / "arrays.npz", {"a": np.ones(2)}, {"b": 1})
    save_lora(made / "lora.npz", gpt_with_lora())
    write_tokens(made / "tokens.npy", IDS, 100)
    numbers = np.arange(6, dtype="<f4")
    (made / "x.gguf").write_bytes(gguf({"x": Tensor("F32", (2, 3), numbers.tobytes())}))
    write_safetensors(made / "x.safetensors", {"x": numbers})
    (made / "texts").mkdir()
    (made / "texts" / "a.txt").write_text(TEXT, encoding="utf-8")
    (made / "generation_config.json").write_text(json.dumps({"top_p": 0.9}), encoding="utf-8")
    mg.History([{"step": 1, "loss": 2.0}]).write(made / "history.jsonl")
    (made / "runs").mkdir()
    (made / "runs" / "step_1.npz").write_bytes((made / "run.npz").read_bytes())
    return made
