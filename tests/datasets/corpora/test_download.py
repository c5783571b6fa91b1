"""Downloads, from a server in a thread of this process."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from minigpt.datasets import CorpusError, cache_folder
from minigpt.datasets.corpora.download import RemoteFile, fetch

CONTENT = b"Fair is foul, and foul is fair.\n" * 5000


class Handler(BaseHTTPRequestHandler):
    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        bodies = {
            "/good": CONTENT,
            "/altered": CONTENT[:-1] + b"!",
            "/longer": CONTENT * 2,
            "/truncated": CONTENT[:-100],
            "/empty": b"",
        }
        body = bodies.get(self.path, CONTENT)
        self.send_response(200)
        if self.path != "/unsized":
            promised = len(CONTENT) if self.path == "/truncated" else len(body)
            self.send_header("Content-Length", str(promised))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # the client had enough

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "deep" / "cache"
    monkeypatch.setenv("MINIGPT_CACHE", str(folder))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(Handler, "requests", 0)
    return folder


def remote(address: str, page: str) -> RemoteFile:
    digest = hashlib.sha256(CONTENT).hexdigest()
    return RemoteFile("foul.txt", address + page, len(CONTENT), digest)


@pytest.mark.parametrize("page", ["/good", "/unsized", "/moved"])
def test_fetched_once_and_kept(address: str, cache: Path, page: str) -> None:
    path = fetch(remote(address, page))
    assert path == cache / "foul.txt" and path.read_bytes() == CONTENT
    asked = Handler.requests
    assert fetch(remote(address, page)) == path
    assert Handler.requests == asked
    assert os.listdir(cache) == ["foul.txt"]  # nothing half-written beside it


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("/altered", "another checksum"),
        ("/longer", f"more than {len(CONTENT):,} bytes came"),
        ("/truncated", "could not download"),
        ("/empty", "0 bytes came"),
        ("/missing", "404"),
    ],
)
def test_what_is_not_the_file_is_not_kept(
    address: str, cache: Path, page: str, message: str
) -> None:
    with pytest.raises(CorpusError, match=message) as caught:
        fetch(remote(address, page))
    assert "pass the path of a text file" in str(caught.value)
    assert isinstance(caught.value, OSError)
    assert not cache.exists()


@pytest.mark.parametrize("damage", [CONTENT[:-1], CONTENT[:-1] + b"!", b""])
def test_a_damaged_copy_is_fetched_again(address: str, cache: Path, damage: bytes) -> None:
    cache.mkdir(parents=True)
    (cache / "foul.txt").write_bytes(damage)
    assert fetch(remote(address, "/good")).read_bytes() == CONTENT


def test_offline(cache: Path) -> None:
    with socket.socket() as closed:  # bound, not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(CorpusError, match=r"could not download foul\.txt") as caught:
            fetch(remote(url, "/"), timeout=5)
    assert "pass the path of a text file in place of the corpus's name" in str(caught.value)
    assert str(cache / "foul.txt") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_silent_server_is_given_up(cache: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(CorpusError, match="timed out"):
            fetch(remote(url, "/"), timeout=0.05)


def test_a_slow_server_is_given_up(address: str) -> None:
    with pytest.raises(CorpusError, match="took more than"):
        fetch(remote(address, "/good"), total_timeout=-1)


def test_a_cache_that_cannot_be_written(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path / "file"))
    with pytest.raises(CorpusError, match="Set MINIGPT_CACHE to a folder that can be written"):
        fetch(remote(address, "/good"))


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"MINIGPT_CACHE": "/my/cache", "XDG_CACHE_HOME": "/xdg"}, "/my/cache"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/minigpt"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "HOME/.cache/minigpt"),
        ("linux", {}, "HOME/.cache/minigpt"),
        ("darwin", {"XDG_CACHE_HOME": "/xdg"}, "HOME/Library/Caches/minigpt"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/minigpt/cache"),
        ("win32", {}, "HOME/AppData/Local/minigpt/cache"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="writes its paths as POSIX systems do")
def test_where_the_cache_is(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], expected: str
) -> None:
    for name in ("MINIGPT_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path(expected.replace("HOME", str(Path.home())))
