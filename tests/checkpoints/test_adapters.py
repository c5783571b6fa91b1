"""Adapters in a file of their own: there and back, and only beside the weights they are for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigpt.checkpoints import (
    CheckpointError,
    load_checkpoint,
    load_lora,
    load_model,
    save_checkpoint,
    save_lora,
)
from minigpt.models import GPT, ClassifierConfig, TextClassifier
from minigpt.nn import add_lora, freeze, lora_parameters, merge_lora, trainable
from tests.training.tiny import tiny_gpt, trainer

TARGETS = ("qkv_proj", "down_proj")
LAYER = "blocks.0.attention.qkv_proj"
IDS = np.array([[1, 2, 3, 4]])


def learned(seed: int = 0, **changes: Any) -> GPT:
    """A model whose adapters have moved."""
    model = tiny_gpt(seed, n_layer=2, **changes)
    add_lora(model, rank=2, alpha=5, targets=TARGETS, seed=3)
    trainer(model, max_steps=3).fit()
    return model


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_lora(tmp_path_factory.mktemp("adapters") / "a.npz", learned())


def unchanged(model: GPT, of: GPT) -> bool:
    state, expected = model.state_dict(), of.state_dict()
    same = state.keys() == expected.keys() and all((state[n] == expected[n]).all() for n in state)
    return same and trainable(model) == trainable(of)


def test_saved_loaded_and_merged(file: Path) -> None:
    model, again = learned(), tiny_gpt(n_layer=2)
    names = load_lora(file, again)
    assert names == [
        f"blocks.{i}.{part}" for i in (0, 1) for part in ("attention.qkv_proj", "mlp.down_proj")
    ]
    layer = again.blocks[1].attention.qkv_proj
    assert (layer.rank, layer.alpha) == (2, 5.0)  # type: ignore[attr-defined]
    assert trainable(again) == [*lora_parameters(again)]
    np.testing.assert_array_equal(again(IDS).data, model(IDS).data)
    merge_lora(again)
    np.testing.assert_allclose(again(IDS).data, model(IDS).data, rtol=0, atol=1e-6)
    assert again.state_dict().keys() == tiny_gpt(n_layer=2).state_dict().keys()


def test_the_file_holds_the_adapters_only(file: Path) -> None:
    stored = load_checkpoint(file)
    assert stored.arrays.keys() == lora_parameters(learned()).keys()
    assert stored.metadata["lora"][LAYER] == {"rank": 2, "alpha": 5.0}


def test_the_dropout_of_adapters_is_kept(tmp_path: Path) -> None:
    model, again = tiny_gpt(), tiny_gpt()
    add_lora(model, rank=2, dropout=0.25)
    path = save_lora(tmp_path / "a.npz", model)
    assert all(each["dropout"] == 0.25 for each in load_checkpoint(path).metadata["lora"].values())
    load_lora(path, again)
    assert again.blocks[0].attention.qkv_proj.dropout.p == 0.25  # type: ignore[attr-defined]


def test_the_exported_model_is_the_merged_one(file: Path, tmp_path: Path) -> None:
    model = tiny_gpt(n_layer=2)
    load_lora(file, model)
    with pytest.raises(ValueError, match="the model has low-rank adapters"):
        model.save_pretrained(tmp_path / "out")
    merge_lora(model)
    model.save_pretrained(tmp_path / "out")
    exported = GPT.from_pretrained(tmp_path / "out", memory_map=False)
    np.testing.assert_array_equal(exported(IDS).data, model(IDS).data)


def test_a_loaded_adapter_goes_on_learning(file: Path) -> None:
    model = tiny_gpt(n_layer=2)
    load_lora(file, model)
    before = model.state_dict()
    trainer(model, max_steps=2).fit()
    moved = {name for name, array in model.state_dict().items() if (array != before[name]).any()}
    assert moved == lora_parameters(model).keys()


def test_a_new_head_that_learned_too_is_in_the_file(tmp_path: Path) -> None:
    def classifier(seed: int) -> TextClassifier:
        made = TextClassifier(ClassifierConfig(tiny_gpt().config, n_classes=3), seed=1)
        made.start_from(tiny_gpt())
        made.head.weight.data[...] = np.random.default_rng(seed).normal(size=made.head.weight.shape)
        return made

    model, again = classifier(seed=2), classifier(seed=3)
    add_lora(model.backbone, rank=1)
    learning = trainable(model)
    assert "head.weight" in learning
    save_lora(tmp_path / "a.npz", model)
    load_lora(tmp_path / "a.npz", again)
    assert trainable(again) == learning
    np.testing.assert_array_equal(again(IDS).data, model(IDS).data)


def test_frozen_adapters_are_saved_too(tmp_path: Path) -> None:
    model = learned()
    freeze(model)
    path = save_lora(tmp_path / "a.npz", model)
    assert load_checkpoint(path).arrays.keys() == lora_parameters(model).keys()


def test_float64(tmp_path: Path) -> None:
    path = save_lora(tmp_path / "a.npz", learned().astype(np.float64))
    again = tiny_gpt(n_layer=2).astype(np.float64)
    load_lora(path, again)
    assert again(IDS).dtype == np.float64
    with pytest.raises(CheckpointError, match=r"lora_a is float64 .* does not fit the float32"):
        load_lora(path, tiny_gpt(n_layer=2))


# ── which model ───────────────────────────────────────────────────────────────────────────────


def test_other_weights_are_refused_unless_asked_for(file: Path) -> None:
    other = tiny_gpt(seed=1, n_layer=2)
    with pytest.raises(CheckpointError, match="learned beside other weights than this model has"):
        load_lora(file, other)
    assert unchanged(other, of=tiny_gpt(seed=1, n_layer=2))
    load_lora(file, other, other_weights=True)
    assert len(lora_parameters(other)) == 8


def test_a_merged_model_is_not_adapted_a_second_time(file: Path) -> None:
    model = tiny_gpt(n_layer=2)
    load_lora(file, model)
    with pytest.raises(ValueError, match="GPT has adapters already, beside"):
        load_lora(file, model)
    merge_lora(model)
    with pytest.raises(CheckpointError, match="other weights"):
        load_lora(file, model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_layer": 1}, r"its 'blocks.1.attention.qkv_proj' is not a linear layer of this GPT"),
        ({"n_embd": 16}, r"lora_a is float32 of shape \(8, 2\), .* of shape \(16, 2\)"),
        ({"n_inner": 9}, r"mlp.down_proj.lora_a is float32 of shape \(32, 2\)"),
    ],
)
def test_a_model_of_other_sizes_is_refused(
    changes: dict[str, Any], message: str, file: Path
) -> None:
    model = tiny_gpt(**{"n_layer": 2} | changes)
    with pytest.raises(CheckpointError, match=message):
        load_lora(file, model, other_weights=True)
    assert unchanged(model, of=tiny_gpt(**{"n_layer": 2} | changes))


# ── which file ────────────────────────────────────────────────────────────────────────────────


def test_other_files(file: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.npz"
    trainer(tiny_gpt()).save(whole)
    with pytest.raises(CheckpointError, match="does not hold low-rank adapters that save_lora"):
        load_lora(whole, tiny_gpt())
    with pytest.raises(CheckpointError, match=r"low-rank adapters and not the model: load_lora"):
        load_model(file)
    with pytest.raises(FileNotFoundError):
        load_lora(tmp_path / "none.npz", tiny_gpt())
    with pytest.raises(ValueError, match=r"must name an .npz file"):
        save_lora(tmp_path / "a.txt", learned())
    with pytest.raises(ValueError, match="GPT has no adapters to save: minigpt"):
        save_lora(tmp_path / "a.npz", tiny_gpt())
    with pytest.raises(TypeError, match="model must be a Module: got None"):
        load_lora(file, None)
    with pytest.raises(TypeError, match="other_weights must be True or False: got 'yes'"):
        load_lora(file, tiny_gpt(), other_weights="yes")


def test_every_damaged_byte_is_noticed(file: Path, tmp_path: Path) -> None:
    content, path = file.read_bytes(), tmp_path / "a.npz"
    for place in range(0, len(content), 97):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(CheckpointError):
            load_lora(path, tiny_gpt(n_layer=2))
    for length in range(0, len(content), 397):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            load_lora(path, tiny_gpt(n_layer=2))


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("format", None, "does not hold low-rank adapters"),
        ("version", 2, "it is of version 2, this minigpt reads 1"),
        ("lora", None, "its adapters are not described"),
        ("lora", [3], "its adapters are not described"),
        ("lora", {LAYER: 3}, "its adapters are not described"),
        ("lora", {LAYER: {"rank": 2}}, "its adapters are not described: KeyError"),
        ("lora", {}, "it describes no adapters"),
        ("weights", 7, "its adapters are not described"),
        ("lora", {"head": {"rank": 2, "alpha": 1}}, "'head' is not a linear layer of this GPT"),
        ("lora", {"": {"rank": 2, "alpha": 1}}, "'' is not a linear layer of this GPT"),
        ("lora", {LAYER: {"rank": 10**12, "alpha": 1}}, r"shape \(8, 2\), which does not fit"),
        ("lora", {LAYER: {"rank": 2.0, "alpha": 1}}, "has no place in this model"),
        ("lora", {LAYER: {"rank": 2, "alpha": 1}}, "has no place in this model"),
        ("alpha", -1, "alpha must be a number above 0: got -1"),
        ("alpha", "5", "alpha must be a number above 0: got '5'"),
        ("dropout", 1, "dropout must be"),
        ("dropout", "0", "dropout must be"),
        ("rank", True, r"does not fit the float32 of shape \(8, True\)"),
        ("rank", 2.0, "rank must be an integer from 1 to 8: got 2.0"),
        ("rank", "2", "which does not fit"),
    ],
)
def test_an_altered_description_is_refused(
    part: str, value: Any, message: str, file: Path, tmp_path: Path
) -> None:
    stored, model = load_checkpoint(file), tiny_gpt(n_layer=2)
    metadata = json.loads(json.dumps(stored.metadata))
    if part in ("rank", "alpha", "dropout"):
        metadata["lora"][LAYER][part] = value
    else:
        metadata[part] = value
    path = tmp_path / "a.npz"
    with pytest.raises(ValueError, match=message):
        save_checkpoint(path, stored.arrays, metadata)
        load_lora(path, model)
    assert unchanged(model, of=tiny_gpt(n_layer=2))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (f"{LAYER}.lora_b", None, f"it lacks {LAYER}.lora_b"),
        ("token_embedding.weight", np.zeros((2, 2), np.float32), "which does not fit the float32"),
        ("elsewhere", np.zeros(3), "its 'elsewhere' has no place in this model"),
        (f"{LAYER}.lora_b", np.zeros((2, 24), np.complex64), "lora_b is complex64"),
        (f"{LAYER}.lora_a", np.zeros((0, 2), np.float32), r"lora_a is float32 of shape \(0, 2\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    name: str, array: Any, message: str, file: Path, tmp_path: Path
) -> None:
    stored, model = load_checkpoint(file), tiny_gpt(n_layer=2)
    arrays = {n: a for n, a in {**stored.arrays, name: array}.items() if a is not None}
    save_checkpoint(tmp_path / "a.npz", arrays, stored.metadata)
    with pytest.raises(CheckpointError, match=message):
        load_lora(tmp_path / "a.npz", model)
    assert unchanged(model, of=tiny_gpt(n_layer=2))


def test_a_path_and_a_model_that_were_swapped() -> None:
    with pytest.raises(TypeError, match=r"the order is save_lora\(path, model\)"):
        save_lora(learned(), "adapters.npz")  # type: ignore[arg-type]
