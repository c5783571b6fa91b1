"""What a byte-level BPE tokenizer is made from, checked: vocabulary, merges, special tokens."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any

from minigpt.tokenizers.bpe_plain import Pair
from minigpt.tokenizers.checks import check_special_names


def check_vocab(vocab: object) -> dict[int, bytes]:
    """``vocab`` in the order of its ids, if these are 0 … n − 1 and its tokens all different."""
    if not isinstance(vocab, Mapping):
        raise TypeError(f"vocab must be a dict of id to bytes: got {type(vocab).__name__}")
    tokens: dict[int, bytes] = {}
    for token_id, token in vocab.items():
        if isinstance(token_id, bool) or not hasattr(token_id, "__index__"):
            raise TypeError(f"an id of vocab must be an int: got {token_id!r:.80}")
        if not isinstance(token, bytes):
            raise TypeError(f"vocab[{token_id}] must be bytes: got {type(token).__name__}")
        if not token:
            raise ValueError(f"vocab[{token_id}] is empty: a token has at least one byte")
        tokens[operator.index(token_id)] = token
    for expected, token_id in enumerate(sorted(tokens)):
        if token_id != expected:
            wrong = f"{token_id} is negative" if token_id < 0 else f"{expected} is missing"
            raise ValueError(
                f"the {len(tokens):,} ids of vocab must be 0 to {len(tokens) - 1:,}: {wrong}"
            )
    first_id: dict[bytes, int] = {}
    for token_id in range(len(tokens)):
        first = first_id.setdefault(tokens[token_id], token_id)
        if first != token_id:
            raise ValueError(f"ids {first} and {token_id} of vocab are both {tokens[first]!r:.80}")
    missing = [byte for byte in range(256) if bytes([byte]) not in first_id]
    if missing:
        named = ", ".join(f"0x{byte:02x}" for byte in missing[:5])
        raise ValueError(
            f"vocab lacks {len(missing)} of the 256 single bytes ({named}"
            f"{', …' * (len(missing) > 5)}): without them some texts have no tokens"
        )
    return {token_id: tokens[token_id] for token_id in range(len(tokens))}


def check_merges(merges: object, id_of: Mapping[bytes, int]) -> list[Pair]:
    """``merges`` if they are different pairs of tokens of the vocabulary that make another one."""
    if isinstance(merges, (str, bytes)) or not isinstance(merges, Iterable):
        raise TypeError(f"merges must be a list of pairs of bytes: got {type(merges).__name__}")
    checked: dict[Pair, int] = {}
    for place, pair in enumerate(merges):
        if not isinstance(pair, (tuple, list)):
            raise TypeError(f"merges[{place}] must be a pair of bytes: got {type(pair).__name__}")
        if not (len(pair) == 2 and isinstance(pair[0], bytes) and isinstance(pair[1], bytes)):
            raise TypeError(f"merges[{place}] must be a pair of bytes: got {pair!r:.80}")
        a, b = pair
        if not (a in id_of and b in id_of and a + b in id_of):
            unknown = next(token for token in (a, b, a + b) if token not in id_of)
            raise ValueError(f"merges[{place}] needs the token {unknown!r:.80}, not in vocab")
        first = checked.setdefault((a, b), place)
        if first != place:
            raise ValueError(f"merges[{first}] and merges[{place}] are both {(a, b)!r:.80}")
    return list(checked)


def check_special(
    special_tokens: object, vocab: Mapping[int, bytes], merges: Iterable[Pair]
) -> dict[str, int]:
    """The special tokens with their ids: as given, as in the vocabulary, or after its last one.

    Raises:
        ValueError: a name is an ordinary token, or an id another token's, or it leaves a gap.
    """
    wanted: dict[str, int] = {}
    if isinstance(special_tokens, Mapping):
        for name, token_id in special_tokens.items():
            if isinstance(token_id, bool) or not hasattr(token_id, "__index__"):
                raise TypeError(
                    f"the id of special token {name!r:.80} must be an int: got {token_id!r:.80}"
                )
            wanted[name] = operator.index(token_id)
        special_tokens = list(special_tokens)
    _, names = check_special_names(None, special_tokens, "")  # type: ignore[arg-type]
    id_of = {token: token_id for token_id, token in vocab.items()}
    made = {a + b for a, b in merges}
    after = len(vocab)
    special: dict[str, int] = {}
    for name in names:
        token = name.encode("utf-8")
        if len(token) == 1 or token in made:
            raise ValueError(
                f"special token {name!r:.80} is an ordinary token of the vocabulary: choose a name "
                "that no text has, such as '<|endoftext|>'"
            )
        there = id_of.get(token)
        token_id = wanted.get(name, after if there is None else there)
        if there is not None and token_id != there:
            raise ValueError(f"special token {name!r:.80} has id {there} in vocab: got {token_id}")
        if there is None and token_id in vocab:
            raise ValueError(
                f"id {token_id} of special token {name!r:.80} is {vocab[token_id]!r:.80} in vocab"
            )
        if token_id in special.values():
            raise ValueError(f"two special tokens have the id {token_id}")
        special[name] = token_id
        after += there is None
    if any(
        token_id not in vocab and not len(vocab) <= token_id < after
        for token_id in special.values()
    ):
        raise ValueError(
            f"ids of new special tokens must go on from the vocabulary's, {len(vocab):,} to "
            f"{after - 1:,}: got {sorted(i for i in special.values() if i not in vocab)}"
        )
    return special


def check_no_surrogates(text: Any, start: int) -> str:
    """``text``, which begins at ``start`` of the whole, if it has an encoding in UTF-8."""
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"text holds U+{ord(text[error.start]):04X} at position {start + error.start:,}: a "
                "lone surrogate is not a character; read the text as strict UTF-8"
            ) from None
    return text


def check_vocab_size(vocab_size: Any, n_special: int) -> int:
    """``vocab_size`` if it has room for the 256 bytes and the special tokens."""
    if isinstance(vocab_size, bool) or not hasattr(vocab_size, "__index__"):
        raise TypeError(
            f"vocab_size must be an int: got {type(vocab_size).__name__} {vocab_size!r}"
        )
    size = operator.index(vocab_size)
    if size < 256 + n_special:
        special = f" and the {n_special} special tokens" if n_special else ""
        raise ValueError(
            f"vocab_size={size} is too small: the 256 bytes{special} need {256 + n_special}"
        )
    return size
