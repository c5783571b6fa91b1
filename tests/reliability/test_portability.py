"""What Windows and macOS would break, looked for in the source: no such machine is at hand.

A finding is mended, or stands in ALLOWED with the reason for which it is right.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("minigpt", "examples", "data")
    for path in (ROOT / folder).rglob("*.py")
)

# Modules and names of the standard library that some systems lack.
MODULES = {"fcntl", "grp", "msvcrt", "posix", "pty", "pwd", "resource", "termios", "tty", "winreg"}
NAMES = {
    "os.fork", "os.forkpty", "os.getuid", "os.geteuid", "os.getpgid", "os.killpg", "os.mkfifo",
    "os.nice", "os.pwrite", "os.pread", "os.sched_getaffinity", "os.setsid", "os.statvfs",
    "os.uname", "os.wait", "os.waitpid", "signal.SIGALRM", "signal.SIGHUP", "signal.SIGKILL",
    "signal.SIGPIPE", "signal.SIGQUIT", "signal.SIGUSR1", "signal.SIGUSR2", "signal.alarm",
    "signal.setitimer", "signal.pthread_sigmask", "time.tzset",
}  # fmt: skip
ROOTED = re.compile(r"/(dev|etc|home|proc|tmp|usr|var)(/|$)")
TEXT_CALLS = {"open", "read_text", "write_text", "NamedTemporaryFile", "TemporaryFile"}

# (file, what was found): why it is right there.
ALLOWED = {
    ("minigpt/file_lock.py", "import msvcrt"): "the branch of Windows",
    ("minigpt/file_lock.py", "import fcntl"): "the branch of all other systems",
}


def findings(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """What only some systems have or take, and the line that it stands in."""
    guarded = {id(node) for body in _guarded(tree) for node in ast.walk(body)}
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            for name in [module] if module else [alias.name for alias in node.names]:
                if name in MODULES:
                    yield f"import {name}", node.lineno
        elif isinstance(node, ast.Attribute) and id(node) not in guarded:
            if (name := ast.unparse(node)) in NAMES:
                yield name, node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings and ROOTED.match(node.value):
                yield f"path {node.value[:40]!r}", node.lineno
        elif isinstance(node, ast.Call) and _is_text_without_encoding(node):
            yield f"{ast.unparse(node.func)} of text without an encoding", node.lineno


def _guarded(tree: ast.Module) -> Iterator[ast.AST]:
    """What runs only where ``hasattr``, or an exception, has made sure that a name is there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "hasattr" in ast.unparse(node.test):
            yield from node.body
        elif isinstance(node, ast.IfExp) and "hasattr" in ast.unparse(node.test):
            yield node.body
        elif isinstance(node, ast.Try):
            caught = " ".join(ast.unparse(h.type) for h in node.handlers if h.type)
            if "AttributeError" in caught or "ImportError" in caught:
                yield from node.body


def _is_text_without_encoding(call: ast.Call) -> bool:
    """A file of text whose bytes would depend on the system's settings."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    if name not in TEXT_CALLS or any(k.arg in ("encoding", None) for k in call.keywords):
        return False
    if name in ("read_text", "write_text"):
        return len(call.args) < (1 if name == "read_text" else 2)
    at = 1 if isinstance(call.func, ast.Name) and name == "open" else 0  # the mode's place
    modes = [k.value for k in call.keywords if k.arg == "mode"] or call.args[at : at + 1]
    if not modes:  # of text, where it is the built-in open; other objects have an open too
        return at == 1
    mode = modes[0].value if isinstance(modes[0], ast.Constant) else "b"
    return mode in {letters + more for letters in "rwxa" for more in ("", "t", "+", "+t", "t+")}


def test_no_source_takes_what_only_some_systems_have():
    complaints, met = [], set()
    for path in SOURCES:
        for what, line in findings(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            met.add((path, what))
            if (path, what) not in ALLOWED:
                complaints.append(f"{path}:{line}: {what}")
    assert not complaints, "guard it, or allow it with a reason:\n" + "\n".join(complaints)
    assert met >= ALLOWED.keys(), f"no longer there: {ALLOWED.keys() - met}"


def test_the_search_finds_what_it_is_for():
    source = """
import fcntl, os, signal
os.fork(); os.killpg(1, signal.SIGKILL)
open("a"); open("a", "w"); path.read_text(); path.write_text("x"); path.open("w")
open("a", "rb"); path.read_text("utf-8"); os.open("name", 1); zip.open("a.txt")
log = "/tmp/log"
n = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else 1
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, f)
"""
    found = [what for what, _ in findings(ast.parse(source))]
    assert sorted(found) == sorted([
        "import fcntl", "os.fork", "os.killpg", "signal.SIGKILL", "path '/tmp/log'",
        *["open of text without an encoding"] * 2, "path.read_text of text without an encoding",
        "path.write_text of text without an encoding", "path.open of text without an encoding",
    ])  # fmt: skip
