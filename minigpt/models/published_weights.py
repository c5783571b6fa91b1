"""Models out of published files, and into them."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from minigpt import checks
from minigpt.atomic import replacing
from minigpt.atomic_folder import replacing_files
from minigpt.interop.errors import PretrainedError
from minigpt.interop.hub import CONFIG
from minigpt.interop.published import as_published, open_published
from minigpt.interop.safetensors import write_safetensors
from minigpt.interop.sharded import INDEX, SINGLE
from minigpt.interop.weights import read_weights
from minigpt.nn import Module
from minigpt.nn.initial_weights import without_initial_weights
from minigpt.nn.lora import lora_parameters

if TYPE_CHECKING:
    from minigpt.models.gpt_config import GPTConfig
    from minigpt.models.pretrained import Pretrained

ModelType = TypeVar("ModelType", bound="Pretrained")

# What else describes a model, or its tokenizer, in a folder of Transformers.
_OF_A_MODEL = (INDEX, "model-*-of-*.safetensors", "generation_config.json")
_OF_A_TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json",
    "vocab.json", "merges.txt", "chat_template.*", "tokenizer.model",
)  # fmt: skip


def read_model(
    cls: type[ModelType],
    folder_or_name: str | os.PathLike[str],
    dropout: float | None,
    block_size: int | None,
    recompute: bool,
    memory_map: bool,
    progress: bool,
) -> ModelType:
    """What :meth:`Pretrained.from_pretrained` says."""
    _check_arguments(dropout, block_size, progress)
    published = open_published(folder_or_name, dropout, block_size, memory_map)
    try:
        config = cls.CONFIG(**published.fields)
    except (ValueError, TypeError) as error:
        raise PretrainedError(published.described_in, f"by minigpt's names, {error}") from None
    config = dataclasses.replace(config, recompute=recompute)
    fields = dataclasses.asdict(config)
    arrays = read_weights(published.path, published.files, fields, published.names, progress)
    make: Any = cls
    with without_initial_weights():
        model: ModelType = make(config)
    for name, parameter in model.named_parameters():
        parameter.data = arrays[name]
    return model.eval()


def write_model(model: Pretrained, folder: str | os.PathLike[str], tokenizer: Any) -> None:
    """What :meth:`Pretrained.save_pretrained` says."""
    _check_without_adapters(model)
    path, fields = checks.path("folder", folder), dataclasses.asdict(model.config)
    arrays = {name: parameter.data for name, parameter in model.named_parameters()}
    end_of_text = None if tokenizer is None else _end_of_text(tokenizer, model.config)
    description, tensors = as_published(fields, arrays, end_of_text)
    stale = _OF_A_MODEL if tokenizer is None else _OF_A_MODEL + _OF_A_TOKENIZER
    with replacing_files(path, last=CONFIG, stale=stale) as new:
        if tokenizer is not None:
            tokenizer.to_transformers(new)  # first, as it may refuse to
        write_safetensors(new / SINGLE, tensors, {"format": "pt"})
        _write_json(new / CONFIG, description)


def _end_of_text(tokenizer: Any, config: GPTConfig) -> int | None:
    """The id of the token that ends a text, if a tokenizer that fits the model has one."""
    if not hasattr(tokenizer, "to_transformers"):
        mend = "leave another one out, and keep tokenizer.save(path) beside the model"
        expected = "a BPETokenizer, as GPT-2's files hold byte pairs"
        raise checks.wrong_type("tokenizer", expected, tokenizer, mend)
    if tokenizer.vocab_size > config.vocab_size:
        raise ValueError(
            f"tokenizer has vocab_size={tokenizer.vocab_size}, more than the model's "
            f"{config.vocab_size}: pass the one that the model was trained with"
        )
    end_of_text: int | None = tokenizer.end_of_text_id
    return end_of_text


def _write_json(path: Path, data: dict[str, Any]) -> None:
    with replacing(path) as file:
        file.write((json.dumps(data, indent=2) + "\n").encode())


def _check_arguments(dropout: Any, block_size: Any, progress: Any) -> None:
    if dropout is not None:
        checks.probability("dropout", dropout)
    if block_size is not None:
        checks.size("block_size", block_size)
    checks.flag("progress", progress)


def _check_without_adapters(model: Module) -> None:
    if lora_parameters(model):
        raise ValueError(
            "the model has low-rank adapters, which such files cannot hold: fold them into its "
            "matrices first, minigpt.nn.merge_lora(model), or keep lora_state_dict(model)"
        )
