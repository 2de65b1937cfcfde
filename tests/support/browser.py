"""A real Chromium without a window, driven by its own protocol (DevTools) over a WebSocket; no driver in between."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_S = 30
KEY_CODES = {
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Enter": 13,
    "Escape": 27,
    "Tab": 9,
    " ": 32,
    "Home": 36,
    "End": 35,
}


def required_chromium() -> str:
    """Find the browser; where there is none the test is skipped, and in CI it fails."""
    if CHROMIUM is None:
        reason = "expected chromium on the PATH, found none"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return CHROMIUM


class Page:
    """One tab: what is done to it, and everything it complained of or asked the world for."""

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._socket = socket
        self._session = session
        self._number = 0
        self._seen: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events that come before it are kept."""
        self._number += 1
        number = self._number
        self._socket.send(json.dumps({"id": number, "method": method, "params": params, "sessionId": self._session}))
        while True:
            message = self._receive(PATIENCE_S)
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                result: dict[str, Any] = message["result"]
                return result

    def _receive(self, timeout_s: float) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=timeout_s))
        method, params = message.get("method", ""), message.get("params", {})
        self._seen.append(method)
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])
        elif method == "Audits.issueAdded":
            self.complaints.append(str(params["issue"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        return message

    def open(self, path: Path) -> float:
        """Open a file; return the seconds until it was loaded and had drawn itself."""
        began_s = time.monotonic()
        self._seen.clear()
        self.do("Page.navigate", url=path.resolve().as_uri())
        while "Page.loadEventFired" not in self._seen:
            self._receive(PATIENCE_S)
        self.settle()
        return time.monotonic() - began_s

    def run(self, script: str) -> Any:
        """Evaluate an expression, or what it promises."""
        done = self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def settle(self) -> None:
        """Wait until what was asked for has been drawn: two frames."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def wait_for(self, script: str) -> None:
        """Wait until an expression is true."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not self.run(script):
            assert time.monotonic() < deadline_s, f"expected {script} to become true"
            time.sleep(0.02)

    def show(self, width: int, height: int = 800, *, scheme: str = "light", touch: bool = False) -> None:
        """Choose the size of the window in CSS pixels, and the colours that the user likes."""
        self.do("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
        self.do("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.settle()

    def press(self, *keys: str) -> None:
        """Press keys one after another."""
        for key in keys:
            text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
            code = KEY_CODES.get(key, ord(key.upper()) if len(key) == 1 else 0)
            self.do("Input.dispatchKeyEvent", type="keyDown", key=key, text=text, windowsVirtualKeyCode=code)
            self.do("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)
        self.settle()

    def point(self, x: float, y: float) -> None:
        """Move the mouse to a place of the window."""
        self.do("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.settle()

    def click(self, x: float, y: float) -> None:
        """Click at a place of the window."""
        self.point(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.settle()

    def drag(self, x: float, y: float, to_x: float) -> None:
        """Drag sideways."""
        self.point(x, y)
        self.do("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
        for step in range(1, 9):
            at = x + (to_x - x) * step / 8
            self.do("Input.dispatchMouseEvent", type="mouseMoved", x=at, y=y, button="left", buttons=1)
        self.do("Input.dispatchMouseEvent", type="mouseReleased", x=to_x, y=y, button="left", clickCount=1)
        self.settle()

    def tap(self, x: float, y: float) -> None:
        """Touch a place of the window with one finger."""
        self.do("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.do("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        self.settle()

    def box(self, selector: str) -> dict[str, float]:
        """Where the first such element is in the window: x, y, width, height."""
        found: dict[str, float] = self.run(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            " return { x: box.x, y: box.y, width: box.width, height: box.height }; })()"
        )
        return found

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write what is seen, or the whole page, as a PNG."""
        shot = self.do(
            "Page.captureScreenshot", captureBeyondViewport=whole, **({"clip": self._whole()} if whole else {})
        )
        path.write_bytes(base64.b64decode(shot["data"]))

    def _whole(self) -> dict[str, float]:
        size = self.do("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}


@contextmanager
def open_page(folder: Path) -> Iterator[Page]:
    """Start a browser with a profile of its own in ``folder``, and end it."""
    options = (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio", "--remote-debugging-port=0"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--autoplay-policy=no-user-gesture-required", "--hide-scrollbars", "--disable-dev-shm-usage"),
    )
    profile = folder / "profile"
    command = [required_chromium(), *options, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port, path = _address(profile / "DevToolsActivePort", process)
        with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, compression=None) as socket:
            yield Page(socket, _attach(socket))
    finally:
        process.terminate()
        process.wait(20)


def _address(file: Path, process: subprocess.Popen[bytes]) -> tuple[str, str]:
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s and process.poll() is None:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) == 2:
            return lines[0], lines[1]
        time.sleep(0.05)
    raise AssertionError(f"expected chromium to listen, got exit status {process.poll()}")


def _attach(socket: ClientConnection) -> str:
    def ask(number: int, method: str, **params: Any) -> Any:
        socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(socket.recv(timeout=PATIENCE_S))
            if message.get("id") == number:
                return message["result"]

    # Numbers below zero, so that a late answer is none to a command of the page.
    tabs = ask(-1, "Target.getTargets")["targetInfos"]
    target = next(tab["targetId"] for tab in tabs if tab["type"] == "page")
    session: str = ask(-2, "Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    return session
