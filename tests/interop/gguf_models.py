"""GGUF files of small models, written as llama.cpp's converters would."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt import GPT, GPTConfig
from minigpt.autograd import Array
from minigpt.interop.quantization import FORMATS, quantize
from tests.interop.gguf_files import Tensor, gguf, value

# Without their layers, what our parameters are called there.
NAMES = {
    "token_embedding": "token_embd", "position_embedding": "position_embd",
    "attention_norm": "attn_norm", "attention.query_norm": "attn_q_norm",
    "attention.key_norm": "attn_k_norm", "attention.out_proj": "attn_output",
    "mlp_norm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "final_norm": "output_norm", "head": "output",
}  # fmt: skip


def llama(seed: int = 0, **changes: Any) -> GPT:
    """A small Llama whose every number is drawn."""
    sizes = {"vocab_size": 40, "block_size": 32, "n_layer": 2, "n_head": 4, "n_embd": 32}
    options = {"n_kv_head": 2, "n_inner": 64, "rotary_base": 500.0} | sizes | changes
    return drawn(GPT(GPTConfig.llama(**options)), seed)


def gpt2(seed: int = 0, **changes: Any) -> GPT:
    """A small GPT-2 whose every number is drawn."""
    sizes = {"vocab_size": 40, "block_size": 32, "n_layer": 2, "n_head": 4, "n_embd": 32}
    return drawn(GPT(GPTConfig(**sizes | changes)), seed)


def drawn(model: GPT, seed: int) -> GPT:
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data += rng.normal(0, 0.3, parameter.shape).astype(np.float32)
    return model.eval()


def neighbours(w: Array, n_head: int) -> Array:
    """The rows of halves, (a₀ a₁ … b₀ b₁ …), as pairs of neighbours: (a₀ b₀ a₁ b₁ …)."""
    rows = np.arange(len(w)).reshape(n_head, 2, -1)
    return w[rows.swapaxes(1, 2).reshape(-1)]


def tensors_of(model: GPT, architecture: str) -> dict[str, Array]:
    """A model's parameters as the file of an architecture has them."""
    c = model.config
    g, d = c.n_kv_head or c.n_head, c.head_width or c.n_embd // c.n_head
    found = {}
    for name, parameter in model.named_parameters():
        module, kind = name.rsplit(".", 1)
        block, module = "", module
        if module.startswith("blocks."):
            _, i, module = module.split(".", 2)
            block = f"blk.{i}."
        linear = parameter.data.ndim == 2 and "embedding" not in module
        array = parameter.data.T if linear else parameter.data
        if module != "attention.qkv_proj":
            found[f"{block}{NAMES[module]}.{kind}"] = array
        elif architecture == "gpt2":
            found[f"{block}attn_qkv.{kind}"] = array
        else:
            q, k, v = np.split(array, [c.n_head * d, (c.n_head + g) * d])
            if architecture == "llama":
                q, k = neighbours(q, c.n_head), neighbours(k, g)
            parts = {"q": q, "k": k, "v": v}
            found |= {f"{block}attn_{part}.{kind}": array for part, array in parts.items()}
    return found


def metadata_of(model: GPT, architecture: str) -> dict[str, bytes]:
    """What such a file's header says."""
    c = model.config
    d = c.head_width or c.n_embd // c.n_head
    inner = model.blocks[0].mlp.down_proj.weight.shape[0]
    numbers: dict[str, tuple[str, Any]] = {
        "context_length": ("uint32", c.block_size), "embedding_length": ("uint32", c.n_embd),
        "block_count": ("uint32", c.n_layer), "feed_forward_length": ("uint32", inner),
        "attention.head_count": ("uint32", c.n_head), "vocab_size": ("uint32", c.vocab_size),
    }  # fmt: skip
    if architecture == "gpt2":
        numbers["attention.layer_norm_epsilon"] = "float32", c.layer_norm_eps
    else:
        numbers |= {
            "attention.head_count_kv": ("uint32", c.n_kv_head or c.n_head),
            "attention.key_length": ("uint32", d), "attention.value_length": ("uint32", d),
            "attention.layer_norm_rms_epsilon": ("float32", c.layer_norm_eps),
            "rope.freq_base": ("float32", c.rotary_base), "rope.dimension_count": ("uint32", d),
        }  # fmt: skip
    return {
        "general.architecture": value("string", architecture),
        **{f"{architecture}.{key}": value(*number) for key, number in numbers.items()},
    }


def stored(array: Array, kind: str = "F32") -> Tensor:
    """An array in one of the formats that can be written; vectors are left as they are."""
    if array.ndim == 1 or kind == "F32":
        kind, blocks = "F32", array
    elif FORMATS[kind].quantize:
        blocks = quantize(np.ascontiguousarray(array), kind)
    elif kind == "BF16":
        blocks = np.ascontiguousarray(array).view(np.uint32) >> 16
        blocks = blocks.astype(np.uint16)
    else:
        blocks = array.astype(FORMATS[kind].layout)
    return Tensor(kind, array.shape, np.ascontiguousarray(blocks).tobytes())


def model_file(
    model: GPT,
    architecture: str = "llama",
    kind: str = "F32",
    metadata: dict[str, bytes | None] | None = None,
    tensors: dict[str, Tensor | None] | None = None,
) -> bytes:
    """The content of a model's file; metadata and tensors that differ, or are None to go."""
    lines: dict[str, bytes | None] = {**metadata_of(model, architecture), **(metadata or {})}
    arrays = tensors_of(model, architecture)
    all_tensors: dict[str, Tensor | None] = {n: stored(a, kind) for n, a in arrays.items()}
    all_tensors |= tensors or {}
    return gguf(
        {name: tensor for name, tensor in all_tensors.items() if tensor is not None},
        {key: content for key, content in lines.items() if content is not None},
    )
