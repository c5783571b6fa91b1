"""The Hugging Face ``tokenizer.json`` of a byte-level BPE, read where it means what we compute.

That is: the text is brought to normal form C, or left as it is; it is split by ``ByteLevel``, or by
a ``Split`` before it, and merged by ``BPE``; and a begin-of-text token stands before it, or nothing
is added to the ids. Anything else is refused by name.
"""

from __future__ import annotations

from typing import Any, NoReturn

from minigpt import checks
from minigpt.tokenizers.added_tokens import AddedToken
from minigpt.tokenizers.bpe.plain import Pair
from minigpt.tokenizers.files.byte_alphabet import from_printable
from minigpt.tokenizers.files.description import Parts, read_merge_line
from minigpt.tokenizers.files.gpt2 import assemble, check_ids, tokens_without_merges
from minigpt.tokenizers.files.transformers_folder import (
    Declared,
    more_added_tokens,
    read_added,
    with_conventions,
)

# How others write the patterns that have a name here.
PATTERN_NAMES = {
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+": "gpt2",
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+": "gpt2",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": "gpt4",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+": "gpt4",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": "gpt4-single-digits",
}
KNOWN_KEYS = {
    "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
    "post_processor", "decoder", "model",
}  # fmt: skip
# What else the model holds must have a value that does nothing, or that is done.
MODEL_KEYS = {
    "dropout": (None, 0.0),
    "unk_token": None,
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "fuse_unk": False,
    "byte_fallback": False,
    "ignore_merges": (False, True),
}


def read_tokenizer_json(data: dict[str, Any], declared: Declared | None = None) -> Parts:
    """What a ``tokenizer.json`` describes, with what the files beside it declare.

    Raises:
        ValueError: something in it is damaged, or nothing in this library does what it asks for.
    """
    if unknown := sorted(set(data) - KNOWN_KEYS):
        raise ValueError(f"{unknown[0]!r:.80} of tokenizer.json is not known")
    for key in ("truncation", "padding"):
        if data.get(key) is not None:
            _refuse(key, data[key])
    decoder = data.get("decoder")
    if decoder is not None and _type("decoder", decoder) != "ByteLevel":
        _refuse("decoder", decoder)
    normalization = _normalization(data.get("normalizer"))
    bos_token = _bos_token(data.get("post_processor"))
    pattern = _pattern(data.get("pre_tokenizer"))
    id_of, merges, ignore_merges = _model(data.get("model"))
    added = _added_tokens(data.get("added_tokens", []))
    if declared is not None:
        added = more_added_tokens(declared, added, id_of)
    tokens_without_merges(id_of, merges, added)
    parts = assemble(id_of, merges, added, pattern, ignore_merges)
    parts = parts._replace(normalization=normalization)
    return with_conventions(parts, declared, bos_token)


def _normalization(part: Any) -> str | None:
    """The normal form that the text is brought to, if it is to any."""
    name = "normalizer"
    steps = [part] * (part is not None)
    if steps and _type(name, part) == "Sequence":
        steps = part.get("normalizers")
        if not isinstance(steps, list):
            _refuse(name, part)
    kinds = [_type(name, step) for step in steps]
    if kinds not in ([], ["NFC"]):
        _refuse(name, part)
    return kinds[0] if kinds else None


def _bos_token(part: Any) -> str | None:
    """The token that a post-processor puts before a text, if it puts one there."""
    name = "post_processor"
    steps = [part] * (part is not None)
    if steps and _type(name, part) == "Sequence":
        steps = part.get("processors")
        if not isinstance(steps, list):
            _refuse(name, part)
    templates = [step for step in steps if _type(name, step) != "ByteLevel"]  # which changes no id
    if not templates:
        return None
    if len(templates) > 1 or templates[0]["type"] != "TemplateProcessing":
        _refuse(name, part)
    single = templates[0].get("single")
    if not isinstance(single, list) or not all(isinstance(step, dict) for step in single):
        _refuse(name, part)
    kinds = [kind for step in single for kind in step]
    if kinds == ["Sequence"]:
        return None
    token = single[0].get("SpecialToken")
    if kinds != ["SpecialToken", "Sequence"] or not isinstance(token, dict):
        _refuse(name, part)
    token_name = token.get("id")
    if not isinstance(token_name, str):
        _refuse(name, part)
    return token_name


def _pattern(part: Any) -> str | None:
    """The split pattern of a pre-tokenizer: ByteLevel, or Split or Digits and then ByteLevel."""
    name = "pre_tokenizer"
    steps = [part]
    if _type(name, part) == "Sequence":
        steps = part.get("pretokenizers")
        if not isinstance(steps, list):
            _refuse(name, part)
    kinds = [_type(name, step) for step in steps]
    if kinds not in (["ByteLevel"], ["Split", "ByteLevel"], ["Digits", "ByteLevel"]):
        _refuse(name, part)
    byte_level = steps[-1]
    if byte_level.get("add_prefix_space", True) is not False:
        _refuse(name, byte_level)
    splits = byte_level.get("use_regex", True)
    if kinds[0] == "Split":
        if splits is not False:
            _refuse(name, byte_level)
        return _split_pattern(name, steps[0])
    if not isinstance(splits, bool):
        _refuse(name, byte_level)
    if kinds[0] == "Digits":
        if steps[0].get("individual_digits", False) is not True or not splits:
            _refuse(name, part)
        return "gpt2-single-digits"
    return "gpt2" if splits else None


def _split_pattern(name: str, split: Any) -> str:
    regex = split.get("pattern", {})
    regex = regex.get("Regex") if isinstance(regex, dict) else None
    how = split.get("behavior"), split.get("invert", False)
    if not isinstance(regex, str) or how not in [("Isolated", False), ("Removed", True)]:
        _refuse(name, split)
    pattern = PATTERN_NAMES.get(regex)
    if pattern is None and how != ("Isolated", False):
        _refuse(name, split)  # what the expression leaves out would be lost
    return pattern or regex


def _model(model: Any) -> tuple[dict[str, int], list[Pair], bool]:
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
            raise checks.wrong_value(f"merges[{place}]", "two tokens", merge)
    return check_ids(model["vocab"]), merges, model.get("ignore_merges", False) is True


def _added_tokens(entries: Any) -> list[AddedToken]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("added_tokens must be a list of objects")
    added: dict[str, AddedToken] = {}
    for place, entry in enumerate(entries):
        token = read_added(f"added_tokens[{place}]", entry)
        if token.id is None:
            raise checks.wrong_value(f"added_tokens[{place}]", "an object with an id", entry)
        if added.setdefault(token.name, token) is not token:
            raise ValueError(f"added token {checks.shown(token.name)} is there twice")
    return list(added.values())


def _type(name: str, part: Any) -> Any:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise ValueError(
            f"{name} of tokenizer.json must be an object with a type: got {part!r:.80}"
        )
    return part["type"]


def _refuse(name: str, part: Any) -> NoReturn:
    raise ValueError(
        f"{name} of tokenizer.json is {part!r:.120}: only a byte-level BPE that changes a text to "
        "NFC or not at all, and adds nothing to it but one token before it, is read"
    )
