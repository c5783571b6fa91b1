"""What Transformers writes beside a vocabulary: added tokens, and what is put around texts.

That is ``tokenizer_config.json`` with its ``added_tokens_decoder``; and in folders of older
versions ``added_tokens.json`` and ``special_tokens_map.json``, which count only where there is no
``added_tokens_decoder``. A chat template stands in the configuration or in a file of its own, which
comes first. What is not done here is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from minigpt import checks
from minigpt.tokenizers.added_tokens import END_OF_TEXT, AddedToken
from minigpt.tokenizers.files.description import Parts
from minigpt.tokenizers.files.reading import TokenizerFileError, read_json, read_text

CONFIG, ADDED, SPECIAL = "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"
# The tokens with a part to play, in the order in which they get ids where they have none.
NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
CONVENTIONAL = NAMED[:2]  # GPT-2's class has names for these where nothing is said
LISTS = ("extra_special_tokens", "additional_special_tokens")
OPTIONS = ("lstrip", "rstrip", "single_word", "normalized")
REFUSED = ("add_prefix_space", "split_special_tokens", "add_eos_token")  # what changes ids
TEMPLATE = "chat_template.jinja"
GPT2_CLASSES = (None, "GPT2Tokenizer", "GPT2TokenizerFast")


class Declared(NamedTuple):
    """What the files of a folder say of added tokens.

    Attributes:
        placed: tokens that have an id.
        named: special tokens that have a part to play, such as that of padding.
        files: whether there is any such file.
        complete: whether the options of ``placed`` are told, and not only their ids.
        bos_token, eos_token: names that the configuration gives.
        add_bos_token: whether a text begins with the former; a tokenizer.json says so itself.
        chat_template: how a conversation is written.
    """

    placed: dict[str, AddedToken]
    named: dict[str, AddedToken]
    files: bool
    complete: bool
    bos_token: str | None = None
    eos_token: str | None = None
    add_bos_token: bool = False
    chat_template: str | None = None


def declared_tokens(folder: Path, has_tokenizer_json: bool) -> Declared:
    """What a folder says of added tokens; nothing without such files.

    Raises:
        TokenizerFileError: a file is damaged, or asks for what is not done here.
    """
    try:
        config = _read_object(folder / CONFIG)
        _check_settings(config, has_tokenizer_json)
        complete = "added_tokens_decoder" in config
        if complete:
            placed = _decoder(config["added_tokens_decoder"])
            named = _named(config)
        else:
            named = _named(config | _read_object(folder / SPECIAL))
            placed = _encoder(_read_object(folder / ADDED), named)
        defaults = {} if has_tokenizer_json else dict.fromkeys(CONVENTIONAL, END_OF_TEXT)
        bos_token, eos_token = (_name(defaults | config, key) for key in CONVENTIONAL)
        add_bos_token = config.get("add_bos_token") is True
        chat_template = _chat_template(folder, config)
    except (TypeError, ValueError) as error:
        if isinstance(error, TokenizerFileError):
            raise
        raise TokenizerFileError(f"{folder}: {error}") from None
    files = any((folder / name).exists() for name in (CONFIG, ADDED, SPECIAL))
    return Declared(
        placed, named, files, complete, bos_token, eos_token, add_bos_token, chat_template
    )


def added_tokens(declared: Declared, vocab: Mapping[str, Any]) -> list[AddedToken]:
    """The added tokens of a folder with ``vocab.json``."""
    return _together(dict(declared.placed), declared.named, vocab)


def more_added_tokens(
    declared: Declared, own: list[AddedToken], vocab: Mapping[str, Any]
) -> list[AddedToken]:
    """The added tokens of a ``tokenizer.json``, and those that only the files beside it have.

    Raises:
        ValueError: they contradict each other.
    """
    tokens = {token.name: token for token in own}
    for name, token in declared.placed.items():
        other = tokens.setdefault(name, token)
        if other.id != token.id:
            raise ValueError(
                f"added token {checks.shown(name)} has id {other.id} in tokenizer.json and "
                f"{token.id} beside it: remove the file that is out of date"
            )
        if declared.complete and other.way_to_be_found != token.way_to_be_found:
            raise ValueError(
                f"added token {checks.shown(name)} has other options in tokenizer.json than in "
                f"{CONFIG}: remove the file that is out of date"
            )
    return _together(tokens, declared.named, vocab)


def with_conventions(parts: Parts, declared: Declared | None, before_text: str | None) -> Parts:
    """The parts with what is put around texts, where anything is.

    Args:
        parts: of a tokenizer.
        declared: what the files of its folder say.
        before_text: the token that goes before a text, if one does.

    Raises:
        ValueError: the files say that it is another one.
    """
    declared = declared or Declared({}, {}, files=False, complete=False)
    bos_token = declared.bos_token or before_text
    if before_text not in (None, bos_token):
        raise ValueError(
            f"tokenizer.json puts {checks.shown(before_text)} before a text, and bos_token of "
            f"{CONFIG} is {checks.shown(bos_token)}: remove the file that is out of date"
        )
    if before_text is None and declared.chat_template is None:
        return parts
    return parts._replace(
        bos_token=bos_token,
        eos_token=declared.eos_token,
        add_bos_token=before_text is not None,
        chat_template=declared.chat_template,
    )


def _together(
    tokens: dict[str, AddedToken], named: dict[str, AddedToken], vocab: Mapping[str, Any]
) -> list[AddedToken]:
    """Those with ids in their order, and the named ones, which are special, after them."""
    tokens = {t.name: t for t in sorted(tokens.values(), key=lambda t: t.id or 0)}
    for name, token in named.items():
        known = tokens.get(name, token)
        tokens[name] = AddedToken(
            name, known.id, True, known.lstrip, known.rstrip, known.single_word, known.normalized
        )
    if END_OF_TEXT in vocab:  # GPT-2's class names it where nothing else is said
        tokens.setdefault(END_OF_TEXT, AddedToken(END_OF_TEXT))
    return list(tokens.values())


def read_added(name: str, entry: Any, special: bool | None = None) -> AddedToken:
    """An added token as Transformers and ``tokenizers`` write it: its name, or an object.

    Args:
        name: of the entry, for errors.
        entry: what is read.
        special: whether it is special; None to ask the object.
    """
    if isinstance(entry, str):
        return AddedToken(entry)
    if not isinstance(entry, dict) or not isinstance(entry.get("content"), str):
        raise checks.wrong_value(name, "a str, or an object with a content", entry)
    if unknown := sorted(set(entry) - {"content", "id", "special", "__type", *OPTIONS}):
        raise ValueError(f"{checks.shown(unknown[0])} of {name} is not known here")
    if special is None:
        special = checks.flag(f"special of {name}", entry.get("special", False))
    options = {"normalized": not special} | {
        option: checks.flag(f"{option} of {name}", entry[option])
        for option in OPTIONS
        if option in entry
    }
    token_id = entry.get("id")
    if token_id is not None:
        token_id = checks.integer(f"the id of {name}", token_id, least=0)
    return AddedToken(entry["content"], token_id, special, **options)


def _decoder(entries: Any) -> dict[str, AddedToken]:
    placed: dict[str, AddedToken] = {}
    for key, entry in _object("added_tokens_decoder", entries).items():
        name = f"added_tokens_decoder[{checks.shown(key)}]"
        if not key.isdecimal() or len(key) > 18:
            raise checks.wrong_value("an id of added_tokens_decoder", "a number", key)
        token = read_added(name, {**_object(name, entry), "id": int(key)})
        if placed.setdefault(token.name, token) is not token:
            raise ValueError(f"added token {checks.shown(token.name)} has two ids")
    return placed


def _encoder(entries: Any, named: Mapping[str, AddedToken]) -> dict[str, AddedToken]:
    placed = {}
    for name, token_id in entries.items():
        token_id = checks.integer(f"the id of {checks.shown(name)}", token_id, least=0)
        special = name in named
        placed[name] = AddedToken(name, token_id, special, normalized=not special)
    return placed


def _named(settings: Mapping[str, Any]) -> dict[str, AddedToken]:
    """The tokens with a part to play: ``pad_token`` and its like, and the lists of others."""
    others = [key for key in settings if key.endswith("_token") and key not in NAMED]
    values: list[tuple[str, Any]] = [(key, settings.get(key)) for key in (*NAMED, *others)]
    for key in LISTS:
        more = settings.get(key) or []
        listed = more.values() if isinstance(more, dict) else more
        if not isinstance(more, (dict, list)):
            raise checks.wrong_value(key, "a list of tokens", more)
        values += [(f"{key}[{i}]", value) for i, value in enumerate(listed)]
    tokens: dict[str, AddedToken] = {}
    for key, value in values:
        if value is None or isinstance(value, bool):  # add_bos_token is no token
            continue
        token = read_added(key, value, special=True)
        tokens.setdefault(token.name, token)
    return tokens


def _name(config: Mapping[str, Any], key: str) -> str | None:
    """The name of a token with a part to play."""
    value = config.get(key)
    return None if value is None else read_added(key, value, special=True).name


def _chat_template(folder: Path, config: Mapping[str, Any]) -> str | None:
    """A folder's chat template; of several, the one called default."""
    if (folder / TEMPLATE).exists():
        return read_text(folder / TEMPLATE)
    template = config.get("chat_template")
    if isinstance(template, list):
        by_name = {
            entry["name"]: entry.get("template")
            for entry in template
            if isinstance(entry, dict) and isinstance(entry.get("name"), str)
        }
        template = by_name.get("default")
    return None if template is None else checks.text("chat_template", template)


def _check_settings(config: Mapping[str, Any], has_tokenizer_json: bool) -> None:
    for key in REFUSED:
        if config.get(key) not in (None, False):
            raise ValueError(
                f"{key} of {CONFIG} is {checks.shown(config[key])}: only a byte-level BPE that "
                "adds nothing to a text, but for one token before it, is read"
            )
    if (add_bos_token := config.get("add_bos_token")) is not None:
        checks.flag("add_bos_token", add_bos_token)
    kind = config.get("tokenizer_class")
    if not has_tokenizer_json and kind not in GPT2_CLASSES:
        raise ValueError(
            f"tokenizer_class of {CONFIG} is {checks.shown(kind)}: vocab.json and merges.txt are "
            "read as GPT2Tokenizer reads them; for another class, a tokenizer.json is needed"
        )


def _read_object(path: Path) -> dict[str, Any]:
    return _object(path.name, read_json(path)) if path.exists() else {}


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise checks.wrong_value(name, "an object", value)
    return value
