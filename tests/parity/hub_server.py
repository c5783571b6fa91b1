"""A Hugging Face Hub as small as it gets: files of one repository, on the loopback address."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """What the server has, does, and was asked for.

    Attributes:
        files: name -> content, of the repository ``me/tiny`` and of ``gpt2``.
        break_at: name -> after how many bytes the connection breaks, once.
        failing: names at which the server fails.
        announced: name -> a size that is announced in place of the real one.
        requests: every request: method, file's name ("" where it asks for no file), and Range.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.break_at: dict[str, int] = {}
        self.announced: dict[str, int] = {}
        self.failing: set[str] = set()
        self.requests: list[tuple[str, str, str | None]] = []
        self.endpoint = ""

    def fetched(self) -> list[str]:
        """The files whose content was asked for."""
        return [name for method, name, _ in self.requests if method == "GET" and name]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub at ``hub.endpoint``, for as long as the block takes."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(with_content=False)

        def do_GET(self) -> None:
            self.answer(with_content=True)

        def answer(self, with_content: bool) -> None:
            repository, _, rest = self.path.lstrip("/").partition("/resolve/")
            revision, _, name = rest.partition("/")
            hub.requests.append((self.command, name, self.headers.get("Range")))
            if repository not in ("me/tiny", "gpt2") or revision not in ("main", COMMIT):
                self.refuse("RepoNotFound")
            elif name in hub.failing:
                self.refuse("", 500)
            elif name not in hub.files:
                self.refuse("EntryNotFound")
            else:
                self.send(name, with_content)

        def refuse(self, code: str, status: int = 404) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def send(self, name: str, with_content: bool) -> None:
            content = hub.files[name]
            start = int((self.headers.get("Range") or "bytes=0-")[len("bytes=") :].split("-")[0])
            self.send_response(206 if "Range" in self.headers else 200)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("X-Linked-Size", str(hub.announced.get(name, len(content))))
            self.send_header("Accept-Ranges", "bytes")
            if "Range" in self.headers:
                end = len(content) - 1
                self.send_header("Content-Range", f"bytes {start}-{end}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if with_content:
                stop = hub.break_at.pop(name, len(content))
                self.wfile.write(content[start:stop])
                self.close_connection = stop < len(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
