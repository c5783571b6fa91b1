"""What the examples read: a trained model, a text as tokens, and what a model may begin with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import minigpt as mg
from minigpt.datasets import corpora, load_text, open_tokens, train_val_split
from minigpt.interop import pretrained_folder
from minigpt.interop.hub import CONFIG
from minigpt.tokenizers.added_tokens import END_OF_TEXT

Tokens = np.ndarray[Any, np.dtype[Any]]
MakeTokenizer = Callable[[str], mg.Tokenizer]
VAL_FRACTION = 0.1  # where the command line does not say
# What the name of a special token in a text is, such as <|endoftext|>: how it is encoded.
SPECIAL: dict[str, dict[str, Any]] = {
    "refuse": {},
    "text": {"disallowed_special": ()},
    "token": {"allowed_special": "all"},
}


def load(checkpoint: Path, best: bool = False) -> tuple[Any, mg.Tokenizer]:
    """The model and the tokenizer of a checkpoint, or of a run's folder."""
    model, tokenizer = mg.load_model(checkpoint, best=best)
    if tokenizer is None:
        raise ValueError(f"{checkpoint} holds no tokenizer: train with Trainer(…, tokenizer=…)")
    return model, tokenizer


def load_trained(
    source: str, progress: bool = True, best: bool = False
) -> tuple[Any, mg.Tokenizer]:
    """A model to go on from, and its tokenizer: a checkpoint, a run, or a published model.

    A published one is a folder of Transformers, a name to fetch it by, or a GGUF file, which is
    read with a bar.
    """
    path = Path(source)
    if path.suffix == ".gguf":
        return mg.GPT.from_pretrained(path, progress=progress), mg.load_tokenizer(path)
    is_run = path.is_dir() and not (path / CONFIG).exists()
    return load(path, best) if path.is_file() or is_run else load_gpt2(source)


def load_gpt2(folder_or_name: str) -> tuple[mg.GPT, mg.BPETokenizer]:
    """A published GPT-2, fetched if it is not a folder, and the tokenizer that lies beside it."""
    folder = pretrained_folder(folder_or_name)
    tokenizer = mg.load_tokenizer(folder)
    if not isinstance(tokenizer, mg.BPETokenizer):
        raise ValueError(f"{folder} holds a {type(tokenizer).__name__}, not GPT-2's tokenizer")
    return mg.GPT.from_pretrained(folder), tokenizer


def read(
    data: str,
    val_fraction: float | None = None,
    tokenizer: mg.Tokenizer | None = None,
    make_tokenizer: MakeTokenizer = mg.CharTokenizer.train,
    special: str = "refuse",
) -> tuple[Tokens, Tokens, mg.Tokenizer]:
    """The training part, the validation part, and the tokenizer.

    Args:
        data: a corpus's name, a file, a folder of text, or one of data/prepare.py's folders.
        val_fraction: how much of a text is held out, at its end.
        tokenizer: of a trained model; by default one is made from the text.
        make_tokenizer: makes it.
        special: what the name of a special token in the text is: one of SPECIAL.
    """
    if has_token_files(data):
        return read_token_files(Path(data), val_fraction, tokenizer)
    text = load_text(data)
    tokenizer = tokenizer or make_tokenizer(text)
    fraction = VAL_FRACTION if val_fraction is None else val_fraction
    tokens = tokenizer.encode_array(text, **SPECIAL[special])
    return *train_val_split(tokens, fraction), tokenizer


def has_token_files(data: str) -> bool:
    """Whether ``data`` is a folder that data/prepare.py has made."""
    files = (Path(data, name) for name in ("train.npy", "val.npy"))
    return data not in corpora() and any(file.exists() for file in files)


def read_token_files(
    folder: Path, val_fraction: float | None, tokenizer: mg.Tokenizer | None
) -> tuple[Tokens, Tokens, mg.Tokenizer]:
    """What data/prepare.py wrote; the tokens stay on the disk, and may exceed the memory."""
    files = [folder / name for name in ("train.npy", "val.npy", "tokenizer.json")]
    if missing := [path.name for path in files if not path.exists()]:
        raise FileNotFoundError(f"{folder} lacks {', '.join(missing)}: run data/prepare.py again")
    if val_fraction is not None:
        raise ValueError(f"{folder} is split already: leave --val-fraction out")
    train, val, stored = open_tokens(files[0]), open_tokens(files[1]), mg.load_tokenizer(files[2])
    if tokenizer is not None and tokenizer.to_dict() != stored.to_dict():
        raise ValueError(f"{folder} was made with another tokenizer than the model's")
    return train, val, stored


def first_prompt(tokenizer: mg.Tokenizer) -> str:
    """What a text of its own goes on from: nothing, a new line, or a token of the vocabulary.

    Nothing is enough where the tokenizer has <|endoftext|>, after which texts begin.
    """
    if END_OF_TEXT in getattr(tokenizer, "special_tokens", ()):
        return ""
    try:
        tokenizer.encode("\n")
    except ValueError:
        return tokenizer.decode([0])
    return "\n"
