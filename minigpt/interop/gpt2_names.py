"""One table: the parameters of a minigpt.GPT under the names that Hugging Face's GPT-2 has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

PREFIX = "transformer."  # of the names in a language model's file; the bare model's have none
HEAD = "lm_head.weight"
TOKEN_EMBEDDING = "wte.weight"
# What parallel training, torch.compile and training frameworks put before every name.
WRAPPERS = ("module.", "_orig_mod.", "model.")
# Tables of causal masks that older files hold, which are not parameters.
_MASKS = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")


class GPT2Parameter(NamedTuple):
    """Where GPT-2 keeps a parameter."""

    name: str  # without the prefix
    shape: tuple[int, ...]  # as GPT-2 stores it
    transposed: bool = False


def gpt2_parameters(fields: Mapping[str, Any]) -> dict[str, GPT2Parameter]:
    """minigpt's name of each parameter -> GPT-2's name and shape, of a GPTConfig's fields.

    GPT-2's linear layers ("Conv1D" there) have weights of (in, out) like a minigpt.nn.Linear. Only
    an output head of its own is a PyTorch Linear, (out, in), and has to be transposed.

    Example:
        >>> from dataclasses import asdict
        >>> import minigpt as mg
        >>> table = gpt2_parameters(asdict(mg.GPTConfig.preset("gpt2")))
        >>> table["blocks.0.attention.qkv_proj.weight"][:2]
        ('h.0.attn.c_attn.weight', (768, 2304))
    """
    v, t, c = fields["vocab_size"], fields["block_size"], fields["n_embd"]
    inner = 4 * c if fields["n_inner"] is None else fields["n_inner"]
    block = {
        "attention_norm.weight": ("ln_1.weight", (c,)),
        "attention_norm.bias": ("ln_1.bias", (c,)),
        "attention.qkv_proj.weight": ("attn.c_attn.weight", (c, 3 * c)),
        "attention.qkv_proj.bias": ("attn.c_attn.bias", (3 * c,)),
        "attention.out_proj.weight": ("attn.c_proj.weight", (c, c)),
        "attention.out_proj.bias": ("attn.c_proj.bias", (c,)),
        "mlp_norm.weight": ("ln_2.weight", (c,)),
        "mlp_norm.bias": ("ln_2.bias", (c,)),
        "mlp.up_proj.weight": ("mlp.c_fc.weight", (c, inner)),
        "mlp.up_proj.bias": ("mlp.c_fc.bias", (inner,)),
        "mlp.down_proj.weight": ("mlp.c_proj.weight", (inner, c)),
        "mlp.down_proj.bias": ("mlp.c_proj.bias", (c,)),
    }
    table = {
        "token_embedding.weight": GPT2Parameter(TOKEN_EMBEDDING, (v, c)),
        "position_embedding.weight": GPT2Parameter("wpe.weight", (t, c)),
    }
    for i in range(fields["n_layer"]):
        for ours, (theirs, shape) in block.items():
            table[f"blocks.{i}.{ours}"] = GPT2Parameter(f"h.{i}.{theirs}", shape)
    table["final_norm.weight"] = GPT2Parameter("ln_f.weight", (c,))
    table["final_norm.bias"] = GPT2Parameter("ln_f.bias", (c,))
    if not fields["tie_head"]:
        table["head.weight"] = GPT2Parameter(HEAD, (v, c), transposed=True)
    return table


def full_name(name: str) -> str:
    """A parameter's name in the file of a language model."""
    return name if name == HEAD else PREFIX + name


def is_mask(name: str) -> bool:
    """Whether a tensor, named without the prefix, is a table that GPT-2 once kept in its files."""
    return _MASKS.fullmatch(name) is not None


def wrapper_prefix(names: Iterable[str]) -> str:
    """What wrappers have put before all of the names, one after the other.

    Example:
        >>> wrapper_prefix(["_orig_mod.module.h.0.ln_1.bias", "_orig_mod.module.wte.weight"])
        '_orig_mod.module.'
    """
    names, prefix = list(names), ""
    while names:
        longer = [
            prefix + wrapper
            for wrapper in WRAPPERS
            if all(name.startswith(prefix + wrapper) for name in names)
        ]
        if not longer:
            break
        prefix = longer[0]
    return prefix
