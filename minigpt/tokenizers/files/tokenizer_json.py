"""The Hugging Face ``tokenizer.json`` of a byte-level BPE, read where it means what we compute.

That is: the text is not normalised, is split by ``ByteLevel`` or by a ``Split`` before it, and
merged by ``BPE`` without any option; nothing is added to the ids. Anything else is refused by name.
"""

from __future__ import annotations

from typing import Any

from minigpt.tokenizers.bpe.plain import Pair
from minigpt.tokenizers.files.byte_alphabet import from_printable
from minigpt.tokenizers.files.description import Parts, read_merge_line
from minigpt.tokenizers.files.gpt2 import split_vocab

# How others write the patterns that have a name here.
PATTERN_NAMES = {
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+": "gpt2",
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+": "gpt2",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": "gpt4",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+": "gpt4",
}
KNOWN_KEYS = {
    "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
    "post_processor", "decoder", "model",
}  # fmt: skip
# What else these parts hold must have the value that does nothing.
MODEL_KEYS = {
    "dropout": (None, 0.0),
    "unk_token": None,
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "fuse_unk": False,
    "byte_fallback": False,
    "ignore_merges": False,
}


def read_tokenizer_json(data: dict[str, Any]) -> Parts:
    """Vocabulary, merges, special tokens and pattern.

    Raises:
        ValueError: something in it is damaged, or nothing in this library does what it asks for.
    """
    if unknown := sorted(set(data) - KNOWN_KEYS):
        raise ValueError(f"{unknown[0]!r:.80} of tokenizer.json is not known")
    for key in ("truncation", "padding", "normalizer"):
        if data.get(key) is not None:
            _refuse(key, data[key])
    for key in ("post_processor", "decoder"):  # of ByteLevel they do what is done here
        part = data.get(key)
        if part is not None and _type(key, part) != "ByteLevel" and not _adds_nothing(part):
            _refuse(key, part)
    pattern = _pattern(data.get("pre_tokenizer"))
    id_of, merges = _model(data.get("model"))
    added = _added_tokens(data.get("added_tokens", []))
    for name, token_id in added.items():
        if id_of.setdefault(name, token_id) != token_id:
            raise ValueError(
                f"added token {name!r:.80} has id {token_id}, and {id_of[name]!r:.80} in the model"
            )
    vocab, special = split_vocab(id_of, merges, added)
    if unnamed := [name for name in special if name not in added]:
        raise ValueError(
            f"token {unnamed[0]!r:.80} of the model is made by no merge and is not in added_tokens"
        )
    return vocab, merges, added, pattern


def _pattern(part: Any) -> str | None:
    """The split pattern of a pre-tokenizer: ByteLevel, or Split and then ByteLevel."""
    name = "pre_tokenizer"
    if _type(name, part) == "Sequence":
        steps = part.get("pretokenizers")
        if not isinstance(steps, list) or [_type(name, s) for s in steps] != ["Split", "ByteLevel"]:
            _refuse(name, part)
        split, byte_level = steps
        regex = split.get("pattern", {})
        regex = regex.get("Regex") if isinstance(regex, dict) else None
        how = split.get("behavior"), split.get("invert", False)
        if not isinstance(regex, str) or how not in [("Isolated", False), ("Removed", True)]:
            _refuse(name, split)
        if byte_level.get("use_regex", True) is not False:
            _refuse(name, byte_level)
        pattern = PATTERN_NAMES.get(regex)
        if pattern is None and how != ("Isolated", False):
            _refuse(name, split)  # what the expression leaves out would be lost
        pattern = pattern or regex
    else:
        byte_level = part
        if _type(name, part) != "ByteLevel":
            _refuse(name, part)
        pattern = "gpt2" if part.get("use_regex", True) is True else None
    if byte_level.get("add_prefix_space", True) is not False:
        _refuse(name, byte_level)
    return pattern


def _adds_nothing(part: dict[str, Any]) -> bool:
    """Whether a post-processor is a template that holds only the text's own ids."""
    steps = part.get("single") if part["type"] == "TemplateProcessing" else None
    return (
        isinstance(steps, list)
        and len(steps) == 1
        and isinstance(steps[0], dict)
        and list(steps[0]) == ["Sequence"]
    )


def _model(model: Any) -> tuple[dict[str, int], list[Pair]]:
    if isinstance(model, dict) and "merges" in model:  # older files do not say so
        model = {"type": "BPE", **model}
    if _type("model", model) != "BPE":
        _refuse("model", model)
    for key, value in model.items():
        if key in ("type", "vocab", "merges"):
            continue
        allowed = MODEL_KEYS.get(key, ())
        if value not in (allowed if isinstance(allowed, tuple) else (allowed,)):
            raise ValueError(f"{key}={value!r:.80} of the model is not known here")
    if not isinstance(model.get("vocab"), dict) or not isinstance(model.get("merges"), list):
        raise ValueError("the model must have a vocab (an object) and merges (a list)")
    merges = []
    for place, merge in enumerate(model["merges"]):
        if isinstance(merge, list) and len(merge) == 2 and all(isinstance(p, str) for p in merge):
            merges.append((from_printable(merge[0]), from_printable(merge[1])))
        elif isinstance(merge, str):
            merges.append(read_merge_line(merge, f"merges[{place}]"))
        else:
            raise ValueError(f"merges[{place}] must be two tokens: got {merge!r:.80}")
    return dict(model["vocab"]), merges


def _added_tokens(entries: Any) -> dict[str, int]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("added_tokens must be a list of objects")
    added: dict[str, int] = {}
    for entry in entries:
        name, token_id = entry.get("content"), entry.get("id")
        if not isinstance(name, str) or isinstance(token_id, bool) or not isinstance(token_id, int):
            raise ValueError(f"an added token must have a content and an id: got {entry!r:.80}")
        if entry.get("special") is not True:
            raise ValueError(f"added token {name!r:.80} is not special, which is not known here")
        for option in ("lstrip", "rstrip", "single_word"):
            if entry.get(option, False) is not False:
                raise ValueError(f"{option} of added token {name!r:.80} is not known here")
        if name in added:
            raise ValueError(f"added token {name!r:.80} is there twice")
        added[name] = token_id
    return added


def _type(name: str, part: Any) -> Any:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise ValueError(
            f"{name} of tokenizer.json must be an object with a type: got {part!r:.80}"
        )
    return part["type"]


def _refuse(name: str, part: Any) -> None:
    raise ValueError(
        f"{name} of tokenizer.json is {part!r:.120}: only a byte-level BPE that neither changes "
        "the text nor adds ids is read"
    )
