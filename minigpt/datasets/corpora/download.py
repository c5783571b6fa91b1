"""A file from the network, fetched once, checked, and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from minigpt.atomic import replacing
from minigpt.datasets.errors import CorpusError

READ_BYTES = 1 << 16


@dataclass(frozen=True)
class RemoteFile:
    """A file whose content is known: what comes is used only if size and checksum agree."""

    name: str
    url: str
    size: int
    sha256: str


def cache_folder() -> Path:
    """Where downloads are kept: ``MINIGPT_CACHE``, or a folder where the system has its caches.

    Example:
        >>> os.environ["MINIGPT_CACHE"] = "my-downloads"
        >>> str(cache_folder())
        'my-downloads'
        >>> del os.environ["MINIGPT_CACHE"]
    """
    chosen = os.environ.get("MINIGPT_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "minigpt" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "minigpt"
    # The XDG rules ignore a relative path.
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "minigpt"


def fetch(remote: RemoteFile, timeout: float = 20.0, total_timeout: float = 300.0) -> Path:
    """The path of the file in the cache folder, downloaded if it is not there, or not whole.

    ``timeout`` is the longest silence of the network and ``total_timeout`` the longest download, in
    seconds.

    Raises:
        CorpusError: there is no network, what came is not the file, or the cache cannot be written.
    """
    path = cache_folder() / remote.name
    if _is_kept(path, remote):
        return path
    import http.client  # here and not above: importing the library need not wait for it

    try:
        content = _download(remote, timeout, total_timeout)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise CorpusError(
            f"could not download {remote.name} from {remote.url}: {str(error) or repr(error)}. "
            "Without a network, pass the path of a text file in place of the corpus's name, "
            f"or put {remote.name} at {path}"
        ) from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        if _is_kept(path, remote):  # another process was quicker
            return path
        raise CorpusError(
            f"could not keep {remote.name} at {path}: {error.strerror or error}. "
            "Set MINIGPT_CACHE to a folder that can be written"
        ) from None
    return path


def _download(remote: RemoteFile, timeout: float, total_timeout: float) -> bytes:
    import urllib.request

    request = urllib.request.Request(remote.url, headers={"User-Agent": "minigpt"})
    deadline = time.monotonic() + total_timeout
    content = bytearray()
    with urllib.request.urlopen(request, timeout=timeout) as response:
        # One byte more than expected is enough to know that it is another file.
        while len(content) <= remote.size:
            chunk = response.read1(min(READ_BYTES, remote.size + 1 - len(content)))
            if not chunk:
                break
            content += chunk
            if time.monotonic() > deadline:
                raise TimeoutError(f"it took more than {total_timeout:.0f} s")
    if len(content) != remote.size:
        came = f"{len(content):,}" if len(content) < remote.size else f"more than {remote.size:,}"
        raise ValueError(f"{came} bytes came, {remote.size:,} were expected")
    if not _is_right(content, remote):
        raise ValueError("what came has another checksum (sha256) than expected")
    return bytes(content)


def _is_kept(path: Path, remote: RemoteFile) -> bool:
    try:
        return path.stat().st_size == remote.size and _is_right(path.read_bytes(), remote)
    except OSError:
        return False


def _is_right(content: bytes | bytearray, remote: RemoteFile) -> bool:
    return len(content) == remote.size and hashlib.sha256(content).hexdigest() == remote.sha256
