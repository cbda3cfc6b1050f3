"""A Chromium without a window, driven through a pipe: it and Python are all that it takes.

What passes through the pipe is JSON, each message ended by a NUL
(https://chromedevtools.github.io/devtools-protocol/).
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--no-first-run", "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
]  # fmt: skip
# Seconds that an answer may take.
_PATIENCE = 60.0

# Of the keys that pages listen to, the numbers by which browsers know them.
_KEYS = {
    "Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36,
    "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
}  # fmt: skip


def find_chromium() -> str | None:
    """$CHROMIUM, or the first by a usual name on the PATH."""
    return next(filter(None, map(shutil.which, (os.environ.get("CHROMIUM") or "", *_NAMES))), None)


class BrowserError(Exception):
    pass


class Browser:
    """One page in one Chromium, which is ended with it."""

    def __init__(self, program: str) -> None:
        self.requests: list[str] = []
        self.messages: list[str] = []
        self._number = 0
        self._buffer = b""
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # The browser reads from file descriptor 3 and writes to 4; copies keep clear of both.
        os.set_blocking(self._read, False)
        command = [program, *_OPTIONS, f"--user-data-dir={self._profile.name}", "about:blank"]
        script = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command], pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        os.close(self._write)
        self._profile.cleanup()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + _PATIENCE
        while b"\0" not in self._buffer:
            try:
                piece = os.read(self._read, 1 << 20)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise BrowserError("the browser does not answer") from None
                time.sleep(0.005)
                continue
            if not piece:
                raise BrowserError("the browser ended")
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def _note(self, event: dict[str, Any]) -> None:
        """Requests, and whatever a page complains of."""
        method, told = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.messages.append(str(told["exceptionDetails"].get("exception", told)))
        elif method == "Log.entryAdded":
            self.messages.append(told["entry"]["text"])
        elif method == "Page.javascriptDialogOpening":
            self.messages.append(f"a dialog: {told['message']}")

    def open(self, path: Path, first: str = "") -> float:
        """Open a page; the seconds until it has settled. first: a script to run before its own."""
        self.requests.clear()
        self.messages.clear()
        script = self.call("Page.addScriptToEvaluateOnNewDocument", source=first)
        begun = time.perf_counter()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while self.run("document.readyState") != "complete":
            time.sleep(0.01)
        self.settle()
        seconds = time.perf_counter() - begun
        self.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])
        return seconds

    def run(self, expression: str) -> Any:
        """The value of an expression of JavaScript, or of its promise."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def settle(self) -> None:
        """Wait until two frames are drawn."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def press(self, key: str, *, control: bool = False) -> None:
        # A button hears Enter by the character that it types.
        typed = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown" if typed else "rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, modifiers=2 * control,
                windowsVirtualKeyCode=_KEYS[key], **typed,
            )  # fmt: skip

    def type(self, text: str) -> None:
        """Text into what has the focus, as a keyboard or an input method gives it."""
        self.call("Input.insertText", text=text)

    def paste(self) -> None:
        self.call("Input.dispatchKeyEvent", type="rawKeyDown", key="v", commands=["paste"])

    def wait(self, condition: str, seconds: float = 60.0) -> bool:
        """Until an expression of JavaScript holds; whether it did in time."""
        until = time.monotonic() + seconds
        while not (holds := bool(self.run(condition))) and time.monotonic() < until:
            time.sleep(0.02)
        return holds

    def point(self, x: float, y: float, *, click: bool = False) -> None:
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def look(self, *, dark: bool = False, width: int = 1200, height: int = 900) -> None:
        """By which light, and in a window of which size."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self.settle()

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
