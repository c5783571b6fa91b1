"""What a picture says of a model reading a text: its ids, and a label for each of its tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.sampling.context import Context
from minigpt.sampling.prompts import encode_prompt
from minigpt.sampling.protocols import check_model, check_tokenizer

LONGEST = 14  # characters of a label
VISIBLE = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"})


def token_labels(tokenizer: Any, ids: Iterable[int], longest: int = LONGEST) -> list[str]:
    r"""A label for each token of a text, to be read by itself.

    White space is made visible, and long tokens are cut. Of a tokenizer that works on bytes, a
    token may be a part of a character: where the tokens beside it make the character whole, its
    label says which of the character's bytes it is; else the bytes are written as escapes.

    Args:
        tokenizer: gives the text of ids; with ``decode_bytes`` their bytes.
        ids: of the whole text.
        longest: the most characters of a label.

    Raises:
        ValueError: ``longest`` is too small for a label.

    Example:
        >>> import minigpt as mg
        >>> bytes_only = mg.BPETokenizer.train("类", 256, progress=False)
        >>> token_labels(bytes_only, bytes_only.encode("a 类"))
        ['a', '␣', '类 1/3', '类 2/3', '类 3/3']
        >>> token_labels(bytes_only, bytes_only.encode("类")[:2])
        ['\\xe7', '\\xb1']
    """
    longest = _check(tokenizer, longest)
    pieces = [_bytes_of(tokenizer, token) for token in ids_of(ids)]
    whole = b"".join(pieces)
    characters = _characters(whole)
    labels, start = [], 0
    for piece in pieces:
        label = _label(piece, start, characters)
        labels.append(label if len(label) <= longest else label[: longest - 1] + "…")
        start += len(piece)
    return labels


def read(model: Any, tokenizer: Any, text: object) -> tuple[Array, list[str]]:
    """The ids (1, T) of a text, as the model reads it, and a label for each.

    Raises:
        TypeError: the model, the tokenizer or the text is something else.
        ValueError: the text is empty, longer than the model's context, or of another tokenizer.
    """
    check_model(model, tokenizer)
    check_tokenizer(tokenizer)
    checks.text("text", text)
    ids = encode_prompt(tokenizer, text, model.config.vocab_size)
    if (longest := model.config.block_size) is not None and len(ids) > longest:
        raise ValueError(
            f"text has {len(ids)} tokens, and the model's context holds {longest}: shorten it"
        )
    return np.array([ids]), token_labels(tokenizer, ids)


def next_logits(model: Any, tokenizer: Any, prompt: object) -> tuple[Array, Array]:
    """The ids (1, T) of a prompt, and the logits (1, V) of the token that follows it.

    Raises:
        TypeError: the model, the tokenizer or the prompt is something else.
        ValueError: the prompt is empty, or of another tokenizer.
    """
    check_model(model, tokenizer)
    check_tokenizer(tokenizer)
    ids = np.array([encode_prompt(tokenizer, prompt, model.config.vocab_size)])
    n_tokens = min(model.config.vocab_size, tokenizer.vocab_size)
    logits = Context(model, ids, None, n_new=1, use_cache=False).next_logits()
    return ids, logits[:, :n_tokens]


def as_labels(name: str, tokens: object, size: int) -> list[str]:
    """Labels that were given, one for each row or column of a picture."""
    if isinstance(tokens, str) or not isinstance(tokens, Sequence):
        mend = f"token_labels(tokenizer, ids) makes {name}"
        raise checks.wrong_type(name, "a list of str", tokens, mend)
    labels = [checks.text(f"{name}[{i}]", token) for i, token in enumerate(tokens)]
    if len(labels) != size:
        mend = "one for each of its tokens"
        raise checks.wrong_value(name, f"{size} labels", f"{len(labels)} labels", mend)
    return [_printable(label) for label in labels]


def ids_of(ids: object) -> list[int]:
    """Ids as integers, wherever they came from."""
    listed = checks.items("ids", ids, "a list of ids")
    return [checks.integer(f"ids[{i}]", token) for i, token in enumerate(listed)]


def _check(tokenizer: object, longest: object) -> int:
    """The most characters of a label."""
    gives_text = hasattr(tokenizer, "decode") and not isinstance(tokenizer, (bytes, bytearray))
    if not (gives_text or hasattr(tokenizer, "decode_bytes")):
        check_tokenizer(tokenizer)
    return checks.integer("longest", longest, least=1)


def _bytes_of(tokenizer: Any, token: int) -> bytes:
    if hasattr(tokenizer, "decode_bytes"):
        found: bytes = tokenizer.decode_bytes([int(token)])
        return found
    text: str = tokenizer.decode([int(token)])
    return text.encode("utf-8", "surrogatepass")


def _characters(whole: bytes) -> list[tuple[str, int, int]]:
    """For every byte of a text: its character, and which byte of how many it is there.

    A byte that belongs to no character has "" for one.
    """
    places: list[tuple[str, int, int]] = []
    for character in whole.decode("utf-8", "surrogateescape"):
        if "\udc80" <= character <= "\udcff":
            places.append(("", 0, 1))
        else:
            size = len(character.encode("utf-8"))
            places += [(character, i, size) for i in range(size)]
    return places


def _label(piece: bytes, start: int, characters: list[tuple[str, int, int]]) -> str:
    """A token's own text; or which part of a character it is, where it is nothing else."""
    if not piece:
        return "(empty)"
    (character, first, size), (other, last, _) = (
        characters[start],
        characters[start + len(piece) - 1],
    )
    if character and character == other and last - first == len(piece) - 1 < size - 1:
        part = f"{first + 1}" if first == last else f"{first + 1}–{last + 1}"
        return f"{_visible(character)} {part}/{size}"
    return _visible(piece.decode("utf-8", "backslashreplace"))


def _visible(text: str) -> str:
    """White space as signs, other characters that cannot be seen as escapes."""
    return _printable(text.translate(VISIBLE))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
