"""A headless Chromium and what it says of a page, by its own protocol over a pair of pipes.

``python -m tests.site.browser SITE FOLDER PAGE...`` saves pictures of pages.
"""

import base64
import json
import os
import shutil
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Final

PROGRAM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
TIME_LIMIT: Final = 30.0

# The sandbox needs rights that root in a container has not; the pages are our own.
ARGUMENTS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)


@dataclass
class Visit:
    """What happened while a page was opened."""

    requests: list[str] = field(default_factory=list[str])
    """The URLs that were asked for."""
    errors: list[str] = field(default_factory=list[str])
    """What stands in the console as an error, and what could not be loaded."""


class Browser:
    """One tab."""

    def __init__(self, commands: BinaryIO, answers: BinaryIO) -> None:
        self._commands = commands
        self._answers = answers
        self._unread = b""
        self._number = 0
        self._visit = Visit()
        self._loaded = False
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session: str | None = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    _session: str | None = None

    def open(self, url: str) -> Visit:
        """Open a page, and return what happened until it was loaded."""
        visit, self._loaded = self.watch(), False
        if failure := self._call("Page.navigate", url=url).get("errorText"):
            visit.errors.append(f"{url}: {failure}")
        while not self._loaded:
            self._take_message()
        return visit

    def watch(self) -> Visit:
        """Note what happens from now on."""
        self._visit = Visit()
        return self._visit

    def hide_scrollbars(self) -> None:
        """Leave all of a window's width to the page, as telephones do."""
        self._call("Emulation.setScrollbarsHidden", hidden=True)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is awaited."""
        answer = self._call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        self.evaluate(
            "(async () => {"
            f"while (!({condition})) await new Promise((done) => setTimeout(done, 10));"
            "})()"
        )

    def resize(self, width: int, height: int) -> None:
        """Be a window, or a telephone, of a size."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def prefer(self, scheme: str) -> None:
        """Ask pages for their ``light`` or their ``dark`` colours."""
        self._call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def picture(self) -> bytes:
        """Return what the window shows, as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot")["data"])

    def _call(self, method: str, **parameters: object) -> Any:
        self._number += 1
        number = self._number
        message: dict[str, object] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while True:
            answer = self._take_message()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _take_message(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            ready, _, _ = select([self._answers], [], [], TIME_LIMIT)
            data = os.read(self._answers.fileno(), 1 << 20) if ready else b""
            if not data:
                raise TimeoutError(f"the browser said nothing in {TIME_LIMIT:g} s")
            self._unread += data
        text, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, details: dict[str, Any]) -> None:
        match event, details:
            case "Page.loadEventFired", _:
                self._loaded = True
            case "Network.requestWillBeSent", {"request": {"url": url}}:
                self._visit.requests.append(url)
            case "Network.responseReceived", {"response": {"status": int(status), "url": url}}:
                if status >= 400:
                    self._visit.errors.append(f"{status} for {url}")
            case "Network.loadingFailed", {"errorText": text}:
                self._visit.errors.append(f"a request failed: {text}")
            case "Runtime.exceptionThrown", {"exceptionDetails": exception}:
                self._visit.errors.append(f"exception: {exception}")
            case "Runtime.consoleAPICalled", {"type": "error" | "warning", "args": arguments}:
                self._visit.errors.append(f"console: {arguments}")
            case "Log.entryAdded", {"entry": {"level": "error", "text": text}}:
                self._visit.errors.append(f"log: {text}")
            case _:
                pass


@contextmanager
def browser() -> Generator[Browser, None, None]:
    """Run a browser with a profile of its own, and end it."""
    assert PROGRAM is not None
    with TemporaryDirectory(prefix="profile-", ignore_cleanup_errors=True) as profile:
        to_browser, commands = os.pipe()
        answers, from_browser = os.pipe()
        process = os.posix_spawn(
            PROGRAM,
            [PROGRAM, *ARGUMENTS, f"--user-data-dir={profile}"],
            os.environ,
            file_actions=[
                *((os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)),
                # It reads commands from descriptor 3 and writes its answers to 4.
                (os.POSIX_SPAWN_DUP2, to_browser, 3),
                (os.POSIX_SPAWN_DUP2, from_browser, 4),
            ],
        )
        os.close(to_browser)
        os.close(from_browser)
        try:
            with open(commands, "wb") as writer, open(answers, "rb") as reader:
                yield Browser(writer, reader)
        finally:
            os.kill(process, signal.SIGTERM)
            os.waitpid(process, 0)


def save_pictures(site: Path, folder: Path, pages: list[str]) -> Iterator[str]:
    """Save pictures of pages, on a desktop and a telephone, light and dark; return what fails."""
    folder.mkdir(parents=True, exist_ok=True)
    with browser() as tab:
        for page in pages:
            visit = tab.open((site.resolve() / page).as_uri())
            if visit.errors:
                yield f"{page}: {'; '.join(visit.errors)}"
                continue
            for width, height in ((1280, 900), (390, 844)):
                tab.resize(width, height)
                for scheme in ("light", "dark"):
                    tab.prefer(scheme)
                    name = f"{page.replace('/', '-').removesuffix('.html')}-{width}-{scheme}.png"
                    (folder / name).write_bytes(tab.picture())


if __name__ == "__main__":
    site, folder, *pages = sys.argv[1:]
    if failures := list(save_pictures(Path(site), Path(folder), pages)):
        sys.exit("\n".join(failures))
