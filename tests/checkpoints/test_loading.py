from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minigpt.checkpoints import CheckpointError, load_model, save_checkpoint
from minigpt.models import GPT
from minigpt.tokenizers import CharTokenizer
from minigpt.training import Trainer
from tests.training.tiny import Bigram, config, tiny_gpt, tokens, trainer


def test_a_model_comes_back_with_its_tokenizer(tmp_path: Path) -> None:
    tokenizer = CharTokenizer.train("abcdefghijk")
    model = tiny_gpt(dropout=0.2, bias=False)
    settings = config(max_steps=3, checkpoint_dir=tmp_path)
    Trainer(model, tokens(), tokens(), settings, tokenizer=tokenizer).fit()
    for path in (tmp_path, str(tmp_path), tmp_path / "step-00000003.npz"):
        loaded, loaded_tokenizer = load_model(path)
        assert isinstance(loaded, GPT)
        assert loaded.config == model.config
        assert not loaded.training
        ids = np.array([[1, 2, 3]])
        np.testing.assert_array_equal(loaded(ids).data, model(ids).data)
        assert loaded_tokenizer.decode(loaded_tokenizer.encode("abba")) == "abba"


def test_what_is_loaded_has_names(tmp_path: Path) -> None:
    trainer(tiny_gpt()).save(tmp_path / "a.npz")
    loaded = load_model(tmp_path / "a.npz")
    assert isinstance(loaded.model, GPT)
    assert loaded.tokenizer is None


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "model.q8.gguf"])
def test_a_folder_of_hugging_face_s_names_the_way(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"no checkpoint in .*GPT\.from_pretrained\('"):
        load_model(tmp_path)
    with pytest.raises(CheckpointError, match=r"cut off|not a checkpoint|is empty"):
        load_model(tmp_path / name)


def test_the_best_or_the_newest(tmp_path: Path) -> None:
    trainer(tiny_gpt(), checkpoint_dir=tmp_path, max_steps=4).fit()
    best = (tmp_path / "best.npz").read_bytes()
    other = trainer(tiny_gpt(seed=7), checkpoint_dir=tmp_path, overwrite=True, max_steps=4)
    other.fit()
    (tmp_path / "best.npz").write_bytes(best)
    newest, no_tokenizer = load_model(tmp_path)
    kept, _ = load_model(tmp_path, best=True)
    name = "token_embedding.weight"
    ours = other.model.state_dict()[name]
    np.testing.assert_array_equal(newest.state_dict()[name], ours)
    assert (kept.state_dict()[name] != ours).any()
    assert no_tokenizer is None
    (tmp_path / "best.npz").unlink()
    load_model(tmp_path, best=True)  # the newest, where no best was kept


def test_a_model_of_the_caller_s_own_class(tmp_path: Path) -> None:
    run = trainer(max_steps=3)
    run.fit()
    run.save(tmp_path / "a.npz")
    with pytest.raises(CheckpointError, match=r"got 'Bigram'.*pass model="):
        load_model(tmp_path / "a.npz")
    model = Bigram(seed=5)
    assert load_model(tmp_path / "a.npz", model=model)[0] is model
    np.testing.assert_array_equal(model.table.weight.data, run.model.table.weight.data)


def test_what_is_no_trainer_s_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no checkpoint in"):
        load_model(tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder of that name"):
        load_model(tmp_path / "no")
    save_checkpoint(tmp_path / "a.npz", {"x": np.zeros(2)}, {"step": 1})
    with pytest.raises(CheckpointError, match="not one that a Trainer saved"):
        load_model(tmp_path / "a.npz")
