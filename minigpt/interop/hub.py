"""A model's folder: one on the disk, or one fetched from the Hugging Face Hub.

Fetching is huggingface_hub's work, whose settings hold here too: ``HF_HOME`` (where its cache is),
``HF_ENDPOINT`` (a mirror), ``HF_TOKEN``, and ``HF_HUB_OFFLINE=1`` (only the cache). What is not in
the cache is fetched, and a connection that breaks is taken up again.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from minigpt import checks
from minigpt.interop.errors import HubError, PretrainedError
from minigpt.interop.sharded import INDEX, SINGLE, read_index

CONFIG = "config.json"
# Of a tokenizer, whichever there are: each of them may change what the others mean.
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "added_tokens.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)
PUBLISHED = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "distilgpt2")
_OWNER_AND_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def pretrained_folder(folder_or_name: str | os.PathLike[str], weights: bool = True) -> Path:
    """The folder with a model's files, fetched from the Hub if it is not on the disk.

    Args:
        folder_or_name: a folder, which comes first wherever there is one of that name; or one of
            OpenAI's models, "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", or "distilgpt2"; or any
            other repository as "owner/name". A ``Path`` is always a folder.
        weights: False fetches only the tokenizer.

    Raises:
        FileNotFoundError: there is no such folder, and it is not a name either.
        ImportError: huggingface_hub is missing; says how to install it.
        HubError: it could not be fetched.
        PretrainedError: what was fetched is not a model's.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:  # what is on the disk comes first
        ...     print(pretrained_folder(folder) == Path(folder))
        True
    """
    path = checks.path("folder_or_name", folder_or_name)
    checks.flag("weights", weights)
    if path.is_dir():
        return path
    if path.exists():
        checkpoint = "; minigpt's own checkpoints are read by mg.load_model(path)"
        own = checkpoint if path.suffix == ".npz" else ""
        raise PretrainedError(path, f"it is a file: pass the folder that it is in{own}")
    name = folder_or_name
    if isinstance(name, str) and (name in PUBLISHED or _OWNER_AND_NAME.fullmatch(name)):
        return fetch(name, weights)
    raise FileNotFoundError(
        f"there is no folder {os.fspath(folder_or_name)!r:.200}, and no model has that name: known "
        f"are {', '.join(PUBLISHED)}, or owner/name of a repository"
    )


def fetch(name: str, weights: bool = True) -> Path:
    """The folder of a repository's model in huggingface_hub's cache, with what it takes to use it.

    Raises:
        ImportError: huggingface_hub is missing; says how to install it.
        HubError: it could not be fetched.
        PretrainedError: what was fetched is not a model's.
    """
    try:
        import huggingface_hub
        from huggingface_hub import constants
        from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError
    except ImportError:
        raise ImportError(
            f"{name!r} is not a folder here, and is not fetched without huggingface_hub: "
            'pip install "minigpt[hf]"'
        ) from None

    def download(file: str, revision: str | None = None) -> Path:
        return Path(huggingface_hub.hf_hub_download(name, file, revision=revision))

    try:
        folder = download(CONFIG).parent
        commit = folder.name  # all files are of the same one, whatever is published meanwhile
        if weights:
            try:
                download(SINGLE, commit)
            except EntryNotFoundError:
                for shard in sorted(set(read_index(download(INDEX, commit)).values())):
                    download(shard, commit)
        for file in TOKENIZER:
            try:
                download(file, commit)
            except LocalEntryNotFoundError:
                if not constants.HF_HUB_OFFLINE:  # it may be there, only the connection is not
                    raise
            except EntryNotFoundError:  # weights by themselves are a model too
                pass
    except (PretrainedError, MemoryError):
        raise
    except Exception as error:  # which ones there are depends on what the client fetches with
        raise HubError(_reason(name, error)) from error
    return folder


def _reason(name: str, error: Exception) -> str:
    """What went wrong, and what can be done about it, in one line."""
    from huggingface_hub import constants, utils

    endpoint = constants.ENDPOINT
    if isinstance(error, utils.GatedRepoError):
        return (
            f"{name} is given only to those who accept its terms at {endpoint}/{name}: set HF_TOKEN"
        )
    if isinstance(error, utils.RepositoryNotFoundError):
        return (
            f"there is no folder {name}, and no repository of that name at {endpoint} (for a "
            "private one, set HF_TOKEN)"
        )
    if isinstance(error, utils.LocalEntryNotFoundError):
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{endpoint} is out of reach"
        return (
            f"{name} is not in the cache {constants.HF_HUB_CACHE}, and {why}. Without a network, "
            "pass a folder with config.json and model.safetensors, and tokenizer.json, or "
            "vocab.json and merges.txt, for its tokenizer"
        )
    if isinstance(error, utils.EntryNotFoundError):
        return (
            f"{name} at {endpoint} lacks {CONFIG}, or {SINGLE}: minigpt does not read such a model"
        )
    first_line = (str(error) or repr(error)).splitlines()[0]
    return f"could not fetch {name} from {endpoint} ({first_line}): try again"
