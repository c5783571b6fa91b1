"""The model itself in the page, so that the browser runs it; or why it does not."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from minigpt.models import GPT
from minigpt.tokenizers import BPETokenizer, CharTokenizer, Tokenizer
from minigpt.tokenizers.bpe.patterns import NAMED
from minigpt.viz.explorer.packing import byte_string, packed, token_bytes

MOST_PARAMETERS = 2_000_000  # of a model in a page: 10.7 MB of it
# What browser/gpt.js reads of a configuration, and what changes nothing in a forward pass.
COMPUTED = {
    "vocab_size", "block_size", "n_layer", "n_head", "n_embd", "activation", "norm", "positions",
    "layer_norm_eps", "residual", "alibi_scale", "scale_attention", "scale_attention_by_layer",
    "normalization", "mlp", "n_kv_head", "head_width", "qk_norm", "rotary_base", "rotary_scaling",
    "causal",
}  # fmt: skip
# What the weights tell, and what is for training.
NOT_NEEDED = {"bias", "qkv_bias", "tie_head", "n_inner", "dropout", "init_std", "recompute"}


def why_recorded(model: GPT) -> str:
    """Why the page cannot run this model, in words that end a sentence; "" where it can."""
    n, c = model.num_parameters(), model.config
    if n > MOST_PARAMETERS:
        return f"it has {n:,} parameters, and a page carries {MOST_PARAMETERS:,} at most"
    if not c.causal:
        return "with causal=False each token sees the later ones, so that all must be read anew"
    for field in dataclasses.fields(c):
        known = field.name in COMPUTED | NOT_NEEDED
        if not known and getattr(c, field.name) != field.default:
            return f"the page does not compute {field.name}={getattr(c, field.name)!r}"
    plain = GPT(c)
    kinds = {type(module) for _, module in plain.named_modules()}
    for name, module in model.named_modules():
        if type(module) not in kinds:
            return (
                f"its {name or 'class'} is a {type(module).__name__}, which the page does not know"
            )
    described, own = ({n: p.shape for n, p in m.named_parameters()} for m in (plain, model))
    if changed := sorted(set(described.items()) ^ set(own.items())):
        return f"its {changed[0][0]} is not as its configuration describes it"
    return ""


def why_no_typing(tokenizer: Tokenizer) -> str:
    """Why the page cannot cut a text into this tokenizer's tokens; "" where it can."""
    if isinstance(tokenizer, CharTokenizer):
        return ""
    if not isinstance(tokenizer, BPETokenizer):
        return f"the page does not know the tokenizer {type(tokenizer).__name__}"
    if tokenizer.pattern is not None and tokenizer.pattern not in NAMED:
        return (
            "its tokenizer splits words by a pattern of its own, which a browser may read otherwise"
        )
    if extra := [token.name for token in tokenizer.added_tokens if not token.special]:
        return f"its tokenizer has added tokens that are not special, such as {extra[0]!r}"
    return ""


def live_model(model: GPT) -> dict[str, Any]:
    """The configuration, and all weights in float32, one after the other."""
    named = list(model.named_parameters())
    numbers = np.concatenate([p.data.ravel() for _, p in named]).astype(np.float32)
    return {
        "config": dataclasses.asdict(model.config),
        "shapes": [[name, list(p.shape)] for name, p in named],
        "weights": packed(numbers),
    }


def live_tokenizer(tokenizer: Tokenizer) -> dict[str, Any]:
    """What makes ids of a text: characters, or words and merges; the vocabulary comes beside it."""
    if isinstance(tokenizer, CharTokenizer):
        return {
            "type": "char",
            "characters": len(tokenizer.characters),
            "unknown": tokenizer.unknown_id,
            "leading": [],
        }
    assert isinstance(tokenizer, BPETokenizer)  # why_no_typing said so
    return {
        "type": "bpe",
        "pattern": tokenizer.pattern,
        "merges": [[byte_string(left), byte_string(right)] for left, right in tokenizer.merges],
        "special": sorted(tokenizer.special_tokens.values()),
        "ignoreMerges": tokenizer.ignore_merges,
        "normalization": tokenizer.normalization,
        "leading": list(tokenizer.leading_ids),
    }


def vocabulary(tokenizer: Tokenizer, vocab_size: int) -> list[str]:
    """The bytes of every token that the model knows; of ids that the tokenizer lacks, none."""
    known = min(vocab_size, tokenizer.vocab_size)
    return [byte_string(token_bytes(tokenizer, token)) for token in range(known)]
