"""What a byte-level BPE tokenizer is made from: vocabulary, merges and special tokens, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from minigpt import checks
from minigpt.tokenizers.bpe.plain import Pair
from minigpt.tokenizers.special import check_names


def check_vocab(vocab: object) -> dict[int, bytes]:
    """``vocab`` in the order of its ids, if these are 0 … n − 1 and its tokens all different."""
    if not isinstance(vocab, Mapping):
        raise checks.wrong_type("vocab", "a dict of id to bytes", vocab)
    tokens: dict[int, bytes] = {}
    for key, token in vocab.items():
        token_id = checks.integer("an id of vocab", key)
        if not isinstance(token, bytes):
            raise checks.wrong_type(f"vocab[{token_id}]", "bytes", token)
        if not token:
            raise checks.wrong_value(f"vocab[{token_id}]", "at least one byte", token)
        tokens[token_id] = token
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
            twice = checks.shown(tokens[first])
            raise ValueError(f"ids {first} and {token_id} of vocab are both {twice}")
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
        raise checks.wrong_type("merges", "a list of pairs of bytes", merges)
    checked: dict[Pair, int] = {}
    for place, pair in enumerate(merges):
        is_pair = isinstance(pair, (tuple, list)) and len(pair) == 2
        if not (is_pair and isinstance(pair[0], bytes) and isinstance(pair[1], bytes)):
            raise checks.wrong_type(f"merges[{place}]", "a pair of bytes", pair)
        a, b = pair
        if not (a in id_of and b in id_of and a + b in id_of):
            unknown = next(token for token in (a, b, a + b) if token not in id_of)
            raise ValueError(
                f"merges[{place}] needs the token {checks.shown(unknown)}, which is not in vocab"
            )
        first = checked.setdefault((a, b), place)
        if first != place:
            raise ValueError(f"merges[{first}] and merges[{place}] are both {checks.shown((a, b))}")
    return list(checked)


def check_special(
    special_tokens: object, vocab: Mapping[int, bytes], merges: Iterable[Pair]
) -> dict[str, int]:
    """The special tokens with their ids: as given, as in the vocabulary, or after its last one.

    Raises:
        ValueError: a name is an ordinary token, or an id another token's, or it leaves a gap.
    """
    names = check_names(special_tokens)
    wanted: dict[str, int] = {}
    if isinstance(special_tokens, Mapping):
        for name in names:
            about = f"the id of special token {checks.shown(name)}"
            wanted[name] = checks.integer(about, special_tokens[name])
    id_of = {token: token_id for token_id, token in vocab.items()}
    made = {a + b for a, b in merges}
    after = len(vocab)
    special: dict[str, int] = {}
    for name in names:
        token = name.encode("utf-8")
        shown = checks.shown(name)
        if len(token) == 1 or token in made:
            raise ValueError(
                f"special token {shown} is an ordinary token of the vocabulary: choose a name "
                "that no text has, such as '<|endoftext|>'"
            )
        there = id_of.get(token)
        token_id = wanted.get(name, after if there is None else there)
        if there is not None and token_id != there:
            raise ValueError(f"special token {shown} has id {there} in vocab: got {token_id}")
        if there is None and token_id in vocab:
            taken = checks.shown(vocab[token_id])
            raise ValueError(f"id {token_id} of special token {shown} is {taken} in vocab")
        if token_id in special.values():
            raise ValueError(f"two special tokens have the id {token_id}")
        special[name] = token_id
        after += there is None
    new = sorted(token_id for token_id in special.values() if token_id not in vocab)
    if new and not len(vocab) <= new[0] <= new[-1] < after:
        raise ValueError(
            f"ids of new special tokens must go on from the vocabulary's, {len(vocab):,} to "
            f"{after - 1:,}: got {checks.shown(new)}"
        )
    return special
