"""The parameters of a minigpt.GPT under the names, and in the shapes, that files have them in.

    minigpt                            Transformers' Llama, Mistral, Qwen     GGUF
    token_embedding                    model.embed_tokens                     token_embd
    blocks.0.attention_norm            model.layers.0.input_layernorm         blk.0.attn_norm
    blocks.0.attention.qkv_proj        ….self_attn.q_proj, .k_proj, .v_proj   blk.0.attn_q, _k, _v
    blocks.0.attention.query_norm      ….self_attn.q_norm                     blk.0.attn_q_norm
    …

Two things differ beside the names. A linear layer of PyTorch, and of GGUF, holds its weight as
(out, in), where W here is (in, out), so that y = x W. And W_Q, W_K and W_V, three matrices in those
files, stand here side by side in one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from minigpt.autograd import Array

# What parallel training, torch.compile and training frameworks put before every name.
WRAPPERS = ("module.", "_orig_mod.", "model.")


class Stored(NamedTuple):
    """How a file holds a parameter, or the part of one that stands beside others."""

    name: str  # without the prefix
    shape: tuple[int, ...]  # in the file
    transposed: bool = False  # (out, in) there, (in, out) here
    paired_heads: int = 0  # of a Q or K whose rotary pairs are neighbours there, and halves here


Table = dict[str, tuple[Stored, ...]]  # minigpt's name of each parameter -> its parts in the file


@dataclass(frozen=True)
class Names:
    """How the files of one family name what a GPT is made of.

    Attributes:
        token_embedding, position_embedding, final_norm, head: modules beside the blocks.
        block: what stands before the names of a block's modules, with {} for its number.
        qkv: the modules that stand side by side in ``attention.qkv_proj``.
        modules: minigpt's name of each other module of a block -> theirs.
        prefix: before all names but the head's; the files of a model without a head leave it out.
        transposed: whether weights are (out, in). The head's always are.
        neighbours: whether rotary pairs are the rows (2i, 2i + 1) of a head, not (i, i + d/2).
        ignored: names, without the prefix, of tables that older files hold beside the parameters.
    """

    token_embedding: str
    position_embedding: str
    block: str
    qkv: tuple[str, ...]
    modules: Mapping[str, str]
    final_norm: str
    head: str
    prefix: str = ""
    transposed: bool = True
    neighbours: bool = False
    ignored: str = "(?!)"  # nothing

    def full(self, name: str) -> str:
        """A parameter's name in the file of a language model."""
        return name if name == f"{self.head}.weight" else self.prefix + name

    def is_ignored(self, name: str) -> bool:
        """Whether a tensor, named without the prefix, is not a parameter."""
        return re.fullmatch(self.ignored, name) is not None


GPT2 = Names(
    token_embedding="wte",
    position_embedding="wpe",
    block="h.{}.",
    qkv=("attn.c_attn",),
    modules={
        "attention_norm": "ln_1",
        "attention.out_proj": "attn.c_proj",
        "mlp_norm": "ln_2",
        "mlp.up_proj": "mlp.c_fc",
        "mlp.down_proj": "mlp.c_proj",
    },
    final_norm="ln_f",
    head="lm_head",
    prefix="transformer.",
    transposed=False,  # GPT-2's "Conv1D"
    ignored=r"h\.\d+\.attn\.(bias|masked_bias)",  # causal masks
)
LLAMA = Names(  # and Mistral, Qwen 2, Qwen 3
    token_embedding="embed_tokens",
    position_embedding="",
    block="layers.{}.",
    qkv=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    modules={
        "attention_norm": "input_layernorm",
        "attention.query_norm": "self_attn.q_norm",
        "attention.key_norm": "self_attn.k_norm",
        "attention.out_proj": "self_attn.o_proj",
        "mlp_norm": "post_attention_layernorm",
        "mlp.gate_proj": "mlp.gate_proj",
        "mlp.up_proj": "mlp.up_proj",
        "mlp.down_proj": "mlp.down_proj",
    },
    final_norm="norm",
    head="lm_head",
    prefix="model.",
    ignored=r"layers\.\d+\.self_attn\.rotary_emb\.inv_freq",
)
_OF_GGUF = {
    "attention_norm": "attn_norm",
    "attention.query_norm": "attn_q_norm",
    "attention.key_norm": "attn_k_norm",
    "attention.out_proj": "attn_output",
    "mlp_norm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
GGUF = Names(
    token_embedding="token_embd",
    position_embedding="position_embd",
    block="blk.{}.",
    qkv=("attn_q", "attn_k", "attn_v"),
    modules=_OF_GGUF,
    final_norm="output_norm",
    head="output",
)
GGUF_BY_ARCHITECTURE = {
    "gpt2": replace(GGUF, qkv=("attn_qkv",)),
    "llama": replace(GGUF, neighbours=True),
    "qwen2": GGUF,
    "qwen3": GGUF,
}


def parameter_table(fields: Mapping[str, Any], names: Names) -> Table:
    """minigpt's name of each parameter of a GPT -> its parts in a file of that family.

    Args:
        fields: of a GPTConfig, all of them.
        names: the family's.

    Example:
        >>> from dataclasses import asdict
        >>> import minigpt as mg
        >>> table = parameter_table(asdict(mg.GPTConfig.preset("gpt2")), GPT2)
        >>> table["blocks.0.attention.qkv_proj.weight"][0][:2]
        ('h.0.attn.c_attn.weight', (768, 2304))
    """
    c = fields["n_embd"]
    vocabulary = fields["vocab_size"], c
    table: Table = {"token_embedding.weight": _one(names.token_embedding, vocabulary)}
    if fields["positions"] == "learned":
        places = fields["block_size"], c
        table["position_embedding.weight"] = _one(names.position_embedding, places)
    block = _block_table(fields, names)
    for i in range(fields["n_layer"]):
        for ours, parts in block.items():
            table[f"blocks.{i}.{ours}"] = tuple(
                part._replace(name=names.block.format(i) + part.name) for part in parts
            )
    table |= _norm("final_norm", names.final_norm, c, fields)
    if not fields["tie_head"]:
        table["head.weight"] = _one(names.head, vocabulary, transposed=True)
    return table


def _block_table(fields: Mapping[str, Any], names: Names) -> Table:
    """The table of one block, without what stands before the names in it."""
    c, h, bias = fields["n_embd"], fields["n_head"], fields["bias"]
    g, d = fields["n_kv_head"] or h, fields["head_width"] or c // h
    inner = fields["n_inner"] or 4 * c
    qkv_bias = bias if fields["qkv_bias"] is None else fields["qkv_bias"]
    three, heads = (h * d, g * d, g * d), (h, g, 0)
    table: Table = {}

    def norm(module: str, width: int) -> None:
        table.update(_norm(module, names.modules[module], width, fields))

    def linear(module: str, n_in: int, n_out: int, has_bias: bool = bias) -> None:
        table.update(_linear(module, [names.modules[module]], n_in, [n_out], has_bias, names))

    norm("attention_norm", c)
    widths = three if len(names.qkv) == 3 else [sum(three)]
    qkv = _linear("attention.qkv_proj", names.qkv, c, widths, qkv_bias, names)
    if names.neighbours:
        qkv = {
            ours: tuple(part._replace(paired_heads=n) for part, n in zip(parts, heads, strict=True))
            for ours, parts in qkv.items()
        }
    table |= qkv
    if fields["qk_norm"]:
        norm("attention.query_norm", d)
        norm("attention.key_norm", d)
    linear("attention.out_proj", h * d, c)
    norm("mlp_norm", c)
    if fields["mlp"] == "gated":
        linear("mlp.gate_proj", c, inner)
    linear("mlp.up_proj", c, inner)
    linear("mlp.down_proj", inner, c)
    return table


def _one(theirs: str, shape: tuple[int, ...], transposed: bool = False) -> tuple[Stored, ...]:
    return (Stored(f"{theirs}.weight", shape, transposed),)


def _norm(ours: str, theirs: str, width: int, fields: Mapping[str, Any]) -> Table:
    table = {f"{ours}.weight": _one(theirs, (width,))}
    if fields["bias"] and fields["normalization"] == "layer":
        table[f"{ours}.bias"] = (Stored(f"{theirs}.bias", (width,)),)
    return table


def _linear(
    ours: str, theirs: Sequence[str], n_in: int, n_out: Sequence[int], bias: bool, names: Names
) -> Table:
    """One of our linear layers, made of one or several of theirs."""
    parts = list(zip(theirs, n_out, strict=True))
    shapes = [(n, n_in) if names.transposed else (n_in, n) for n in n_out]
    weights = [
        Stored(f"{name}.weight", shape, names.transposed)
        for (name, _), shape in zip(parts, shapes, strict=True)
    ]
    table = {f"{ours}.weight": tuple(weights)}
    if bias:
        table[f"{ours}.bias"] = tuple(Stored(f"{name}.bias", (n,)) for name, n in parts)
    return table


# ── between the two ───────────────────────────────────────────────────────────────────────────


def shape_of(parts: Sequence[Stored]) -> tuple[int, ...]:
    """A parameter's shape, its parts side by side.

    Example:
        >>> shape_of([Stored("q", (6, 4), transposed=True), Stored("k", (2, 4), transposed=True)])
        (4, 8)
    """
    shapes = [part.shape[::-1] if part.transposed else part.shape for part in parts]
    return *shapes[0][:-1], sum(shape[-1] for shape in shapes)


def views(parts: Iterable[Stored], parameter: Array) -> Iterator[tuple[Stored, Array]]:
    """Each part, and what of the parameter it is: a view that has the part's shape in the file."""
    start = 0
    for part in parts:
        stop = start + part.shape[0 if part.transposed else -1]
        columns = parameter[..., start:stop]
        yield part, columns.T if part.transposed else columns
        start = stop


def halves_of_neighbours(w: Array, n_head: int) -> Array:
    """The rows of each head in another order: all first ones of the pairs, then all second ones.

    Rotary positions turn the two numbers of a pair, and any pairing will do as long as W_Q and W_K
    agree: rows 2i and 2i + 1 of a head, as in Su et al. 2021 and the ``llama`` files of GGUF, or i
    and i + d/2, as here. The scores q·k are sums over all rows, in whatever order they stand.

    Shapes:
        w: (n_head · d, n_in) or (n_head · d,) -> the same

    Example:
        >>> import numpy as np
        >>> halves_of_neighbours(np.arange(8), n_head=2)  # d = 4
        array([0, 2, 1, 3, 4, 6, 5, 7])
    """
    pairs = w.reshape(n_head, w.shape[0] // n_head // 2, 2, -1)  # (h, d/2, 2, n_in)
    return pairs.swapaxes(1, 2).reshape(w.shape)  # (h, 2, d/2, n_in) -> (h·d, n_in)


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
