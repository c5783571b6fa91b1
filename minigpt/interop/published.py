"""A published model: opened, whatever files it comes in; and written, as its family's would be."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigpt import checks
from minigpt.atomic_folder import left_by_a_stopped_save
from minigpt.autograd import Array
from minigpt.interop.array_file import TensorFile
from minigpt.interop.config_json import read_keys
from minigpt.interop.errors import PretrainedError
from minigpt.interop.gguf import GGUFFile
from minigpt.interop.gguf_config import ARCHITECTURE, ROTARY_FACTORS, gguf_fields
from minigpt.interop.gpt2_config import gpt2_config, gpt2_fields
from minigpt.interop.hub import CONFIG, pretrained_folder
from minigpt.interop.llama_config import (
    FAMILIES,
    OPTIONS,
    llama_config,
    llama_fields,
    without_repetition,
)
from minigpt.interop.names import GGUF_BY_ARCHITECTURE, GPT2, LLAMA, Names
from minigpt.interop.sharded import open_weights
from minigpt.interop.weights import stored_tensors


@dataclass(frozen=True)
class Published:
    """What a model's files say it is, and where its weights are.

    Attributes:
        path: its folder, or its file.
        described_in: the file that has the configuration: ``config.json``, or the GGUF file itself.
        fields: of the GPTConfig that says the same; those that are left out have their defaults.
        names: what its family calls the parameters.
        files: the name of each tensor -> the file that it is in.
    """

    path: Path
    described_in: Path
    fields: dict[str, Any]
    names: Names
    files: Mapping[str, TensorFile]


def open_published(
    folder_or_file: str | os.PathLike[str],
    dropout: float | None = None,
    block_size: int | None = None,
    memory_map: bool = True,
) -> Published:
    """Open a folder, a GGUF file, or what has a name on the Hub. No weight is read yet.

    Args:
        folder_or_file: as :meth:`minigpt.GPT.from_pretrained` takes it.
        dropout, block_size: in place of what the files say.
        memory_map: as in :class:`~minigpt.interop.array_file.TensorFile`.

    Raises:
        FileNotFoundError, PretrainedError, ImportError, HubError: as ``from_pretrained``.
    """
    path = checks.path("folder_or_name", folder_or_file)
    if path.suffix.lower() == ".gguf" and not path.is_dir():
        return _open_gguf(path, dropout, block_size, memory_map)
    return _open_folder(pretrained_folder(folder_or_file), dropout, block_size, memory_map)


def _open_gguf(
    path: Path, dropout: float | None, block_size: int | None, memory_map: bool
) -> Published:
    file = GGUFFile(path, memory_map)
    fields = gguf_fields(file, dropout, block_size)
    names = GGUF_BY_ARCHITECTURE[file.metadata[ARCHITECTURE]]
    files = {name: file for name in file.tensors if name != ROTARY_FACTORS}
    return Published(path, path, fields, names, files)


def _open_folder(
    folder: Path, dropout: float | None, block_size: int | None, memory_map: bool
) -> Published:
    path = folder / CONFIG
    if not path.exists():
        mend = left_by_a_stopped_save(folder) or "pass a folder as Transformers writes it"
        if any(folder.glob("*.npz")):
            mend = "minigpt's own checkpoints are read by mg.load_model(folder)"
        elif ggufs := sorted(folder.glob("*.gguf")):
            mend = f"pass the file itself, {ggufs[0]}"
        raise PretrainedError(folder, f"it has no {CONFIG}: {mend}")
    keys = read_keys(path)
    family = keys.get("model_type")
    if family == "gpt2":
        fields, names = gpt2_fields(path, keys, dropout, block_size), GPT2
    elif isinstance(family, str) and family in FAMILIES:
        fields, names = llama_fields(path, keys, dropout, block_size), LLAMA
    else:
        came = f"model_type={family!r:.80}" if family is not None else "no model_type"
        known = ", ".join(["gpt2", *FAMILIES])
        raise PretrainedError(path, f"{came}: minigpt reads {known}")
    return Published(folder, path, fields, names, open_weights(folder, memory_map))


def as_published(
    fields: Mapping[str, Any], arrays: Mapping[str, Array], end_of_text: int | None = None
) -> tuple[dict[str, Any], dict[str, Array]]:
    """A GPT as its family's files have it: what goes into ``config.json``, and the tensors by name.

    A GPT-2; or, where most of what tells the two apart is as in Llama, a Llama or one of its kin.

    Args:
        fields: of its GPTConfig, all of them.
        arrays: its parameters by their own names.
        end_of_text: the id of the token that ends a text, where the tokenizer has one.

    Raises:
        ValueError: names an option that the family does not have; or the arrays are not those of
            such a model.
    """
    dtype = arrays["token_embedding.weight"].dtype.name
    fields = without_repetition(fields)
    of_llama = [fields[name] == OPTIONS[name] for name in ("normalization", "positions", "mlp")]
    if sum(of_llama) < 2:
        return gpt2_config(fields, dtype, end_of_text), stored_tensors(arrays, fields, GPT2)
    inner = arrays["blocks.0.mlp.down_proj.weight"].shape[0]
    fields = {**fields, "n_inner": inner}  # which may stand there as None
    return llama_config(fields, dtype, end_of_text), stored_tensors(arrays, fields, LLAMA)
