"""What a byte-level BPE tokenizer is made from, checked: vocabulary, merges, added tokens.

And what the publishers of a model say of its texts beyond these.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

from minigpt import checks
from minigpt.tokenizers.added_tokens import AddedToken, check_names
from minigpt.tokenizers.bpe.plain import Pair

# Published vocabularies may lack bytes that their training text did not have; not these.
PRINTABLE_ASCII = range(0x20, 0x7F)
LONGEST_TEMPLATE = 200_000  # characters


def check_vocab(vocab: object) -> dict[int, bytes]:
    """``vocab`` in the order of its ids, if these are 0 … n − 1 and its tokens all different.

    With the bytes of printable ASCII among them.
    """
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
    missing = [byte for byte in PRINTABLE_ASCII if bytes([byte]) not in first_id]
    if missing:
        named = ", ".join(f"0x{byte:02x}" for byte in missing[:5])
        raise ValueError(
            f"vocab lacks {len(missing)} of the {len(PRINTABLE_ASCII)} printable bytes of ASCII "
            f"({named}{', …' * (len(missing) > 5)}): without them most texts have no tokens"
        )
    return {token_id: tokens[token_id] for token_id in range(len(tokens))}


def check_merges(merges: object, id_of: Mapping[bytes, int]) -> list[Pair]:
    """``merges`` if they are different pairs of tokens of the vocabulary that make another one."""
    if isinstance(merges, (str, bytes)) or not checks.iterates(merges):
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


def check_added(
    special_tokens: object,
    added_tokens: object,
    vocab: Mapping[int, bytes],
    merges: Iterable[Pair],
) -> tuple[AddedToken, ...]:
    """The added tokens with their ids: as given, as in the vocabulary, or after its last one.

    Args:
        special_tokens: names of special tokens, or names with their ids.
        added_tokens: tokens with options, or that are not special.
        vocab: the bytes of each id.
        merges: the pairs that are merged.

    Raises:
        ValueError: a special token is an ordinary one, or an id another token's, or it leaves a
            gap.
    """
    tokens = [*_plain(special_tokens), *_with_options(added_tokens)]
    check_names([token.name for token in tokens], "added tokens")
    id_of = {token: token_id for token_id, token in vocab.items()}
    made = {a + b for a, b in merges}
    placed: dict[int, AddedToken] = {}
    new: list[AddedToken] = []
    for token in tokens:
        data = token.name.encode("utf-8")
        shown = checks.shown(token.name)
        if token.special and (len(data) == 1 or data in made):
            raise ValueError(
                f"special token {shown} is an ordinary token of the vocabulary: choose a name "
                "that no text has, such as '<|endoftext|>'"
            )
        there = id_of.get(data)
        if there is None and token.id is not None and token.id in vocab:
            taken = checks.shown(vocab[token.id])
            raise ValueError(f"id {token.id} of added token {shown} is {taken} in vocab")
        if there is not None and token.id not in (None, there):
            raise ValueError(f"added token {shown} has id {there} in vocab: got {token.id}")
        token_id = token.id if there is None else there
        if token_id in placed:
            raise ValueError(f"two added tokens have the id {token_id}")
        if token_id is None:
            new.append(token)
        else:
            placed[token_id] = replace(token, id=token_id)
    first = max([len(vocab) - 1, *placed]) + 1
    placed |= {first + i: replace(token, id=first + i) for i, token in enumerate(new)}
    outside = sorted(token_id for token_id in placed if token_id not in vocab)
    if outside != list(range(len(vocab), len(vocab) + len(outside))):
        raise ValueError(
            f"ids of new added tokens must go on from the vocabulary's, {len(vocab):,} to "
            f"{len(vocab) + len(outside) - 1:,}: got {checks.shown(outside)}"
        )
    order = {token.name: i for i, token in enumerate(tokens)}
    return tuple(sorted(placed.values(), key=lambda token: order[token.name]))


def _plain(special_tokens: object) -> list[AddedToken]:
    names = check_names(special_tokens)
    if not isinstance(special_tokens, Mapping):
        return [AddedToken(name) for name in names]
    tokens = []
    for name in names:
        about = f"the id of special token {checks.shown(name)}"
        tokens.append(AddedToken(name, checks.integer(about, special_tokens[name])))
    return tokens


def _with_options(added_tokens: object) -> list[AddedToken]:
    if isinstance(added_tokens, (str, bytes)) or not checks.iterates(added_tokens):
        raise checks.wrong_type("added_tokens", "a list of AddedToken", added_tokens)
    tokens = []
    for token in added_tokens:
        checks.instance("added_tokens: each", token, AddedToken, "AddedToken(name, …)")
        if token.id is not None:
            checks.integer(f"the id of added token {checks.shown(token.name)}", token.id)
        tokens.append(token)
    return tokens


# ── what the publishers of a model say beyond these ──────────────────────────────────────────


def check_normalization(form: object) -> str | None:
    """``form`` if it is None or a normal form that is done here."""
    return None if form is None else checks.one_of("normalization", form, ["NFC"])


def check_named(argument: str, name: object, special_tokens: Container[str]) -> str | None:
    """``name`` if it is None or a special token's."""
    if name is None:
        return None
    if checks.text(argument, name) not in special_tokens:
        raise checks.wrong_value(argument, "one of the special tokens", name)
    return str(name)


def check_add_bos_token(value: object, bos_token: str | None) -> bool:
    """``value`` as a bool; True only where there is such a token."""
    if checks.flag("add_bos_token", value) and bos_token is None:
        raise ValueError("add_bos_token=True needs a token to add: pass bos_token")
    return bool(value)


def check_chat_template(template: object) -> str | None:
    """``template`` if it is None or the text of a template; it is read only when it is used."""
    if template is None:
        return None
    text = checks.text("chat_template", template)
    if len(text) > LONGEST_TEMPLATE:
        expected = f"at most {LONGEST_TEMPLATE:,} characters long"
        raise checks.wrong_value("chat_template", expected, text, f"it has {len(text):,}")
    return text
