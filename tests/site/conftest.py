"""What the tests of the pages share: one built site, and one browser in each process."""

import os
from collections.abc import Iterator
from fcntl import LOCK_EX, flock
from functools import partial
from http.server import ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import pytest

from tests.site import browser
from tests.site.browser import Browser
from tests.site.built import ROOT, Files, Page, build


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site: where SITE says that it stands, or else built here, once for all workers."""
    if "SITE" in os.environ:
        return ROOT / os.environ["SITE"]
    needed = ("sphinx", "myst_parser", "furo", "sphinx_copybutton", "notfound")
    if any(find_spec(name) is None for name in needed):
        pytest.skip("Sphinx is not installed here; the dependency group 'docs' has it")
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "docs" / "site"
    with (shared / "docs.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not (folder / "objects.inv").exists():  # the last file that a build writes
            build(ROOT / "docs", folder)
    return folder


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[str, Page]:
    """The pages by their names, but for the listings of the sources, which nobody wrote."""
    names = (path.relative_to(site).as_posix() for path in sorted(site.rglob("*.html")))
    return {name: Page(site / name) for name in names if not name.startswith("_modules/")}


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(site)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def tab() -> Iterator[Browser]:
    if browser.PROGRAM is None:
        pytest.skip("there is no chromium on PATH; Debian's package of that name has it")
    with browser.browser() as tab:
        yield tab
