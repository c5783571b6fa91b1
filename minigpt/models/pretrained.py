"""What a GPT has to do with published weights: to be made of them, and to become some."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from minigpt.nn import Module

if TYPE_CHECKING:
    from minigpt.models.gpt_config import GPTConfig

ModelType = TypeVar("ModelType", bound="Pretrained")


class Pretrained(Module):
    """A model that can be made of published files, and written into some."""

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
        from minigpt.models.published_weights import read_model

        return read_model(cls, folder_or_name, dropout, block_size, recompute, memory_map, progress)

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
        from minigpt.models.published_weights import write_model

        write_model(self, folder, tokenizer)
