"""Models out of published files, and into them."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

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

ModelType = TypeVar("ModelType", bound="Pretrained")

# What else describes a model, or its tokenizer, in a folder of Transformers.
_OF_A_MODEL = (INDEX, "model-*-of-*.safetensors", "generation_config.json")
_OF_A_TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json",
    "vocab.json", "merges.txt", "chat_template.*", "tokenizer.model",
)  # fmt: skip


class Pretrained(Module):
    """What a GPT has to do with published weights: to be made of them, and to become some."""

    CONFIG: ClassVar[type[GPTConfig]]

    config: GPTConfig

    @classmethod
    def from_pretrained(
        cls: type[ModelType],
        folder_or_name: str | os.PathLike[str],
        *,
        dropout: float | None = None,
        block_size: int | None = None,
        recompute: bool = False,
        memory_map: bool = True,
        progress: bool = True,
    ) -> ModelType:
        """A published model, in evaluation mode: GPT-2, Llama, Mistral, Qwen 2 or Qwen 3.

        Its files are a folder as Transformers writes it, or one GGUF file, as llama.cpp has them.
        Weights in fewer bits than float32's become float32, which holds all their numbers; those
        in float64 stay so. Whatever does not fit is an error that names it.

        Args:
            folder_or_name: a folder with ``config.json`` and ``model.safetensors`` (or shards with
                their index); or a file ``….gguf``; or "gpt2", "gpt2-medium", "gpt2-large",
                "gpt2-xl", "distilgpt2", or "owner/name", which huggingface_hub fetches once and
                keeps. What is on the disk comes first.
            dropout: in place of what ``config.json`` says, for training on.
            block_size: a shorter context than the model's own. A Mistral whose layers see a window
                of tokens needs one that is no longer than the window.
            recompute: as :class:`GPTConfig` has it.
            memory_map: let the parameters lie in the file, where their type, order and place
                allow, until they are changed: the file must not be overwritten in place meanwhile,
                and on Windows cannot be replaced. Training changes the copy in memory, never the
                file.
            progress: show a bar while a large model is read.

        Raises:
            FileNotFoundError: no such folder or file, nor a name of a model.
            PretrainedError: a file is damaged, or of a model that is not one of these (an OSError
                and a ValueError).
            ImportError: a name needs huggingface_hub, which is missing; says how to install it.
            HubError: a model could not be fetched (an OSError).
            ValueError, TypeError: a dropout that is not a probability, or another argument.

        Warns:
            RuntimeWarning: weights that are NaN or infinite.

        Example:
            >>> import minigpt as mg
            >>> model = mg.GPT.from_pretrained("gpt2")  # doctest: +SKIP
            >>> model = mg.GPT.from_pretrained("SmolLM2-135M-Instruct.gguf")  # doctest: +SKIP
        """
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

    def save_pretrained(self, folder: str | os.PathLike[str], tokenizer: Any = None) -> None:
        """Write a folder that Transformers loads with AutoModelForCausalLM, and minigpt again.

        A GPT-2; or, where the options are Llama's, a Llama, or the one of its kin that has them
        all: Qwen 2 with ``qkv_bias``, Qwen 3 with ``qk_norm``. That is ``config.json`` and
        ``model.safetensors``; with a tokenizer also what AutoTokenizer reads
        (:meth:`BPETokenizer.to_transformers`). All are written, or after an error none: the folder
        is then what it was.

        Args:
            folder: made if it is not there; files of these names in it are replaced, and others
                that describe the model that was there before (with a tokenizer, also its
                tokenizer) are removed.
            tokenizer: a BPETokenizer, or None.

        Raises:
            ValueError: names an option of :class:`GPTConfig` that the family does not have; or the
                model has low-rank adapters, or the tokenizer has more tokens than the model, or a
                name that its files cannot hold.
            TypeError: a tokenizer that is not a byte-level BPE.
            OSError: a file could not be written.

        Example:
            >>> import tempfile
            >>> import minigpt as mg
            >>> config = mg.GPTConfig(vocab_size=9, block_size=8, n_layer=1, n_head=1, n_embd=4)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     mg.GPT(config).save_pretrained(folder)
            ...     mg.GPT.from_pretrained(folder, memory_map=False).config == config
            True
        """
        _check_without_adapters(self)
        path, fields = checks.path("folder", folder), dataclasses.asdict(self.config)
        arrays = {name: parameter.data for name, parameter in self.named_parameters()}
        end_of_text = None if tokenizer is None else _end_of_text(tokenizer, self.config)
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
