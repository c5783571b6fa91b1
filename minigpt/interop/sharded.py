"""A folder's weights: one safetensors file, or several shards and an index of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigpt.interop.errors import PretrainedError, refusing
from minigpt.interop.safetensors import MAX_BYTES, SafetensorsFile
from minigpt.json_files import read_object

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_PICKLES = ("*.bin", "*.bin.index.json", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")


def open_weights(folder: Path, memory_map: bool = True) -> dict[str, SafetensorsFile]:
    """The name of every tensor in a folder -> the open file that holds it.

    Raises:
        PretrainedError: there are no weights that can be read, a shard is missing or damaged, or
            the index and the shards do not agree.
    """
    if (folder / SINGLE).exists():
        file = SafetensorsFile(folder / SINGLE, memory_map)
        return dict.fromkeys(file.tensors, file)
    if not (folder / INDEX).exists():
        raise PretrainedError(folder, _without_safetensors(folder))
    weight_map = read_index(folder / INDEX)
    shards = {
        name: SafetensorsFile(_shard(folder, name), memory_map)
        for name in sorted(set(weight_map.values()))
    }
    _check_agreement(folder / INDEX, weight_map, shards)
    return {tensor: shards[name] for tensor, name in weight_map.items()}


def read_index(path: Path) -> dict[str, str]:
    """The name of every tensor -> the file beside the index that holds it.

    Raises:
        PretrainedError: the index is damaged, or names a file that is not beside it.
    """
    with refusing(path):
        weight_map: Any = read_object(path, MAX_BYTES).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise PretrainedError(path, "it has no weight_map, which names each tensor's file")
    for tensor, name in weight_map.items():
        if not isinstance(name, str) or not _is_plain(name):
            raise PretrainedError(
                path, f"it puts tensor {tensor!r:.80} into {name!r:.80}: expected a *.safetensors "
                "file beside the index"
            )  # fmt: skip
    return weight_map


def _is_plain(name: str) -> bool:
    """Whether a name is that of a file in the same folder, on every system."""
    short = len(name.encode("utf-8", "surrogatepass")) <= 255  # the most that file systems hold
    plain = not set(name) & set('/\\:*?"<>|\0') and name[:1] != "."
    return short and plain and name.endswith(".safetensors")


def _shard(folder: Path, name: str) -> Path:
    if not (folder / name).exists():
        raise PretrainedError(folder / INDEX, f"the shard {name} is not beside it")
    return folder / name


def _check_agreement(
    path: Path, weight_map: Mapping[str, str], shards: Mapping[str, SafetensorsFile]
) -> None:
    """Every tensor is in the one shard that the index names, and in no other."""
    for tensor, name in weight_map.items():
        if tensor not in shards[name].tensors:
            raise PretrainedError(path, f"tensor {tensor!r:.80} is not in its shard {name}")
    for name, shard in shards.items():
        for tensor in shard.tensors:
            if weight_map.get(tensor) != name:
                elsewhere = weight_map.get(tensor, "nowhere")
                raise PretrainedError(
                    path, f"tensor {tensor!r:.80} is in {name}, and by the index in {elsewhere}"
                )


def _without_safetensors(folder: Path) -> str:
    others = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    reason = f"it has no {SINGLE} and no {INDEX}"
    if others:
        reason += (
            f"; minigpt does not read {others[0]}, a format of programs that can run what they "
            "read. Transformers writes the other one: "
            "AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder)"
        )
    return reason
