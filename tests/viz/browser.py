"""A real browser for the tests of pages: Chromium without a window, by the WebDriver protocol.

That protocol is HTTP with JSON (W3C WebDriver, 2018), which the standard library speaks. Chromium
and its driver are Debian's packages ``chromium`` and ``chromium-driver``.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars",
]  # fmt: skip
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name for an element's key
KEYS = {"left": "\ue012", "up": "\ue013", "right": "\ue014", "down": "\ue015", "tab": "\ue004",
        "enter": "\ue007", "home": "\ue011", "end": "\ue010"}  # fmt: skip


class Browser:
    """A window of Chromium that opens pages, clicks, types and reads."""

    def __init__(self, profile: Path) -> None:
        programs = [shutil.which("chromium"), shutil.which("chromedriver")]
        if not all(programs):
            pytest.skip("needs Chromium: apt-get install chromium chromium-driver")
        command = [str(programs[1]), "--port=0"]
        self.driver = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.driver.stdout is not None
        for line in self.driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                break
        self.url = f"http://127.0.0.1:{found[1]}"
        options = {"binary": programs[0], "args": [*FLAGS, f"--user-data-dir={profile}"]}
        capabilities = {
            "alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        }
        session = self.ask("POST", "/session", {"capabilities": capabilities})
        self.url += f"/session/{session['sessionId']}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def close(self) -> None:
        try:
            self.ask("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(10)

    def open(self, page: Path, fragment: str = "") -> None:
        """Load a page anew, and wait until it has computed what it shows at first."""
        self.ask("POST", "/url", {"url": "about:blank"})
        self.ask("POST", "/url", {"url": page.as_uri() + fragment})
        self.until("return document.body.dataset.ready === 'yes'")

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns: of elements their texts, of numbers numbers."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": arguments})

    def until(self, script: str, seconds: float = 20) -> Any:
        """Wait until a script returns something true."""
        wait = (
            "const [source, ms, done] = arguments, f = new Function(source), end = Date.now() + ms;"
            "(function look() { const x = f(); if (x || Date.now() > end) done(x);"
            " else setTimeout(look, 10); })()"
        )
        body = {"script": wait, "args": [script, seconds * 1000]}
        value = self.ask("POST", "/execute/async", body)
        assert value, f"{script} did not come true in {seconds} s"
        return value

    def find(self, selector: str) -> str:
        body = {"using": "css selector", "value": selector}
        return str(self.ask("POST", "/element", body)[ELEMENT])

    def click(self, selector: str) -> None:
        self.ask("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        self.ask("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def clear(self, selector: str) -> None:
        self.ask("POST", f"/element/{self.find(selector)}/clear", {})

    def press(self, *keys: str) -> None:
        """Keys as a keyboard sends them, to whatever has the focus."""
        presses = [KEYS.get(key, key) for key in keys]
        actions = [{"type": kind, "value": key} for key in presses for kind in ("keyDown", "keyUp")]
        self.ask(
            "POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]}
        )

    def hover(self, selector: str) -> None:
        where = {ELEMENT: self.find(selector)}
        move = {"type": "pointerMove", "duration": 0, "origin": where, "x": 0, "y": 0}
        pointer = {"type": "pointer", "id": "mouse", "actions": [move]}
        self.ask("POST", "/actions", {"actions": [pointer]})

    def devtools(self, command: str, **parameters: Any) -> Any:
        body = {"cmd": command, "params": parameters}
        return self.ask("POST", "/goog/cdp/execute", body)

    def look_like(self, width: int, height: int, *, dark: bool = False) -> None:
        """The size of the window, and whether its user prefers dark pages."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 500,
        )  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[feature])

    def picture(self, path: Path, *, whole: bool = False) -> bytes:
        """A screenshot as PNG, of what is seen or of the whole page."""
        options = {"captureBeyondViewport": whole}
        if whole:
            size = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
            options["clip"] = {**size, "scale": 1}  # type: ignore[assignment]
        content = base64.b64decode(self.devtools("Page.captureScreenshot", **options)["data"])
        path.write_bytes(content)
        return content

    def complaints(self) -> list[str]:
        """What the console holds that is worse than a remark, since it was last asked."""
        entries = self.ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]
