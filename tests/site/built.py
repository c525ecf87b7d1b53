"""The built site, and what stands in its pages."""

import subprocess
import sys
from html.parser import HTMLParser
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
HOME: Final = "https://docs.invalid/"


def build(source: Path, target: Path) -> None:
    """Build a site as a reader of ours would, with every warning an error."""
    command = [sys.executable, "-m", "sphinx", "--nitpicky", "--fail-on-warning", "--quiet"]
    result = subprocess.run(
        [*command, "--keep-going", "--doctree-dir", target.with_name("doctrees"), source, target],
        capture_output=True,
        encoding="utf-8",
    )
    if result.returncode:
        pytest.fail(result.stdout + result.stderr, pytrace=False)


class Page(HTMLParser):
    """What a page has that can be linked to, and what it links to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.shown: list[tuple[str, str]] = []
        """Each link, with what it shows: its title, when pointed at, and its text."""
        self._inside = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)
        if tag == "a":
            self._inside = True
            self.shown.append((dict(attrs).get("href") or "", dict(attrs).get("title") or ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "a"

    def handle_data(self, data: str) -> None:
        if self._inside:
            link, shown = self.shown[-1]
            self.shown[-1] = link, shown + data


class Files(SimpleHTTPRequestHandler):
    """Serves files as hosts of documentation do, and keeps quiet."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer with the site's own page if there is none at an address."""
        if code != HTTPStatus.NOT_FOUND:
            super().send_error(code, message, explain)
            return
        page = Path(self.directory, "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None: ...
