"""The documentation as its readers meet it: built, searched, opened in a browser, and linked to."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Final
from urllib.parse import unquote, urldefrag, urljoin

import pytest

from docs._made import package, surface, translation
from docs._made.go_facts import Symbol, symbols
from tests.site import browser
from tests.site.browser import Browser

pytestmark = pytest.mark.one_python

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


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site: where SITE says that it stands, or else built here."""
    if "SITE" in os.environ:
        return ROOT / os.environ["SITE"]
    if any(find_spec(name) is None for name in ("sphinx", "myst_parser", "furo")):
        pytest.skip("Sphinx is not installed here; the dependency group 'docs' has it")
    folder = tmp_path_factory.mktemp("docs") / "site"
    build(ROOT / "docs", folder)
    return folder


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


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[str, Page]:
    return {path.relative_to(site).as_posix(): Page(path) for path in sorted(site.rglob("*.html"))}


def test_no_link_within_the_site_is_broken(site: Path, pages: dict[str, Page]) -> None:
    broken = list[str]()
    for name, page in pages.items():
        for link in page.links:
            target, anchor = urldefrag(urljoin(HOME + name, link))
            if not target.startswith(HOME):
                continue
            path = unquote(target.removeprefix(HOME).partition("?")[0]) or name
            if not (site / path).is_file() or (
                anchor and path in pages and unquote(anchor) not in pages[path].anchors
            ):
                broken.append(f"{name}: {link}")
    assert broken == []


def public_surface() -> Iterator[str]:
    """Return the full names of the modules, their public names, and the members of those."""
    for module_name in package.module_names():
        yield f"module-{module_name}"
        for name in package.public_names(import_module(module_name)):
            yield f"{module_name}.{name}"
            for line in surface.declaration(module_name, name):
                member = re.match(r"    (?:.*def (?!__)(\w+)\(|(\w+)(?=: | = ))", line)
                if member:
                    yield f"{module_name}.{name}.{member[1] or member[2]}"


def test_the_reference_has_every_member_of_the_surface(pages: dict[str, Page]) -> None:
    documented = set[str]().union(*(page.anchors for page in pages.values()))
    assert [name for name in public_surface() if name not in documented] == []


def test_no_class_is_shown_with_the_constructor_of_a_protocol(site: Path) -> None:
    heads = [
        head
        for path in site.glob("reference/**/*.html")
        for head in re.findall(
            r'<dl class="py class">\s*<dt.*?</dt>', path.read_text("utf-8"), re.DOTALL
        )
    ]
    assert len(heads) > len([one for one in symbols().values() if one.kind == "interface"])
    assert [head for head in heads if "kwargs" in head] == []


def titles() -> dict[str, str]:
    """Return the titles of the decisions, by number."""
    text = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^### (D\d+): (.+)$", text, re.MULTILINE))


@pytest.fixture(scope="session")
def cited() -> dict[str, set[str]]:
    """The anchors of what docstrings cite, by page."""
    ids = {clause.id for contract in package.contracts() for clause in contract.clauses}
    return {
        "clauses.html": {re.sub(r"[^a-z0-9]+", "-", name.lower()) for name in ids},
        "decisions.html": {number.lower() for number in titles()},
    }


def test_each_clause_and_each_decision_is_a_target(
    cited: dict[str, set[str]], pages: dict[str, Page]
) -> None:
    assert {name: anchors - pages[name].anchors for name, anchors in cited.items()} == {
        name: set[str]() for name in cited
    }


def test_the_reference_links_to_each_clause_and_each_decision(
    cited: dict[str, set[str]], pages: dict[str, Page]
) -> None:
    links = {
        link.rpartition("../")[2]
        for name, page in pages.items()
        if name.startswith("reference/")
        for link in page.links
    }
    wanted = {f"{name}#{anchor}" for name, anchors in cited.items() for anchor in anchors}
    # The docstrings cite what the second edition adds from when its types are there.
    added = {f"decisions.html#d{number}" for number in range(69, 78)}
    assert wanted - links <= added


def test_a_link_to_a_decision_tells_its_title(pages: dict[str, Page]) -> None:
    expected = {
        f"{HOME}decisions.html#{number.lower()}": f"{number}: {title}"
        for number, title in titles().items()
    }
    links = [
        (expected[target], shown, name)
        for name, page in pages.items()
        for link, shown in page.shown
        if (target := urljoin(HOME + name, link)) in expected
    ]
    assert len(links) > 1000
    # A list of contents shows the title itself; the mark beside a heading leads to where it is.
    assert [
        one for one in links if one[0] not in one[1] and one[1] != "Link to this heading¶"
    ] == []


@pytest.fixture(scope="session")
def decisions(site: Path) -> dict[str, str]:
    """What stands under each decision, by its address."""
    text = (site / "decisions.html").read_text(encoding="utf-8")
    return {
        f"{HOME}decisions.html#{anchor}": under
        for anchor, under in re.findall(r'<section id="(d\d+)">(.*?)</section>', text, re.DOTALL)
    }


def test_each_decision_says_what_checks_it_or_why_nothing_does(decisions: dict[str, str]) -> None:
    assert len(decisions) == len(titles())
    says = re.compile(r"<strong>(Checked by|Not checked yet|Cannot be checked)</strong>: ")
    assert [address for address, under in decisions.items() if not says.search(under)] == []


def test_each_decision_leads_to_the_pages_that_cite_it(
    decisions: dict[str, str], pages: dict[str, Page]
) -> None:
    citing = [
        (name, target)
        for name, page in pages.items()
        if name not in ("decisions.html", "clauses.html")
        for link in page.links
        if (target := urljoin(HOME + name, link)) in decisions
    ]
    assert len(citing) > 500
    assert {(name, at) for name, at in citing if f'href="{name}' not in decisions[at]} == set()


# ---- The search


def found_by_name(site: Path) -> dict[str, set[str]]:
    """Return the pages that the index of the search has for each name of an object."""
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    found: dict[str, set[str]] = {}
    for prefix, objects in index["objects"].items():
        for document, *_, name in objects:
            found.setdefault(f"{prefix}.{name}", set()).add(index["docnames"][document])
    return found


def test_the_search_index_has_each_go_name_and_its_python_name(site: Path) -> None:
    found = found_by_name(site)
    assert len(symbols()) == 282
    missed = [
        name
        for symbol in symbols().values()
        for name, page in expected_results(symbol)
        if page not in found.get(name, ())
    ]
    assert missed == []


def expected_results(symbol: Symbol) -> Iterator[tuple[str, str]]:
    """Return the full names of an exported name in Go and in Python, each with its page."""
    yield str(symbol), "translation"
    module = translation.module_name(symbol.package)
    yield (
        f"{package.NAME}.{module}.{translation.python_name(symbol)}",
        f"reference/{module.replace('.', '/')}",
    )


# ---- The browser


class Files(SimpleHTTPRequestHandler):
    """Serves files and keeps quiet."""

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(site)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def tab(address: str) -> Iterator[Browser]:
    if browser.PROGRAM is None:
        pytest.skip("there is no chromium on PATH; Debian's package of that name has it")
    with browser.browser() as tab:
        yield tab


def test_every_page_opens_without_an_error_and_asks_no_other_host(
    pages: dict[str, Page], address: str, tab: Browser
) -> None:
    faults = dict[str, list[str]]()
    for name in pages:
        visit = tab.open(f"{address}/{name}")
        elsewhere = [url for url in visit.requests if not url.startswith((address, "data:"))]
        if visit.errors or elsewhere:
            faults[name] = visit.errors + elsewhere
    assert faults == {}


def test_no_page_is_wider_than_its_window(
    pages: dict[str, Page], address: str, tab: Browser
) -> None:
    too_wide = list[str]()
    for name in pages:
        tab.open(f"{address}/{name}")
        for width in (390, 820, 1024, 1320, 1440):
            tab.resize(width, 844)
            if tab.evaluate("document.documentElement.scrollWidth") > width:
                too_wide.append(f"{name} at {width}")
    assert too_wide == []


def test_the_search_finds_each_go_name_by_either_name(address: str, tab: Browser) -> None:
    expected = {
        name.removeprefix(f"{package.NAME}."): (name, page)
        for symbol in symbols().values()
        for name, page in expected_results(symbol)
    }
    tab.open(f"{address}/search.html?q=anything")
    tab.wait_for("Search.hasIndex()")
    # What the page does with what is typed, but for the list that it makes of it.
    search = "Search._performSearch(...Search._parseQuery(name.split('.').at(-1)))"
    found = tab.evaluate(
        f"{json.dumps(list(expected))}.map((name) => {search}.map((one) => one.slice(0, 2)))"
    )
    missed = [
        name
        for (name, (full_name, page)), results in zip(expected.items(), found, strict=True)
        if [page, full_name] not in results
    ]
    assert missed == []


def test_the_search_finds_each_decision_by_its_number_and_by_its_title(
    address: str, tab: Browser
) -> None:
    wanted = [
        (query, f"#{number.lower()}")
        for number, title in titles().items()
        for query in (number, title, f"{number}: {title}")
    ]
    tab.open(f"{address}/search.html?q=anything")
    tab.wait_for("Search.hasIndex()")
    # The page shows the last of what is found first.
    search = "Search._performSearch(...Search._parseQuery(query)).slice(-2)"
    found = tab.evaluate(f"{json.dumps([query for query, _ in wanted])}.map((query) => {search})")
    missed = [
        query
        for (query, anchor), results in zip(wanted, found, strict=True)
        if ["decisions", anchor] not in [[page, at] for page, _, at, *_ in results]
    ]
    assert missed == []


def test_the_search_page_leads_from_a_go_name_to_its_row(address: str, tab: Browser) -> None:
    tab.open(f"{address}/search.html?q=UDPConnTTLBindOption")
    row = "translation.html#go-connector.UDPConnTTLBindOption"
    tab.wait_for(f"document.querySelector('#search-results li a[href$=\"{row}\"]') !== null")


def test_the_field_above_the_table_shows_only_the_rows_with_what_is_typed(
    address: str, tab: Browser
) -> None:
    tab.open(f"{address}/translation.html")
    shown = tab.evaluate(
        """(() => {
            const field = document.querySelector(".name-filter");
            field.value = "udp_conn_ttl_bind";
            field.dispatchEvent(new Event("input"));
            const rows = document.querySelectorAll("table.translation tbody tr");
            return Array.from(rows).filter((row) => row.offsetParent).map((row) => row.id);
        })()"""
    )
    assert shown == ["go-chain.UDPConnTTLBindOption", "go-connector.UDPConnTTLBindOption"]


# ---- Another project

CONF = """\
import sys

sys.path.insert(0, {folder!r})
project = "outside"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.intersphinx"]
intersphinx_mapping = {{
    "gost_core": ({home!r}, {inventory!r}),
    "python": ("https://docs.python.org/3", {python!r}),
}}
autodoc_inherit_docstrings = False
"""

MODULE = '''\
"""A package that is not ours."""

from gost_core.common.net import Conn
from gost_core.context import Context
from gost_core.handler import HandleOption, Handler
from gost_core.metadata import Metadata


class DiscardHandler(Handler):
    """Reads what comes, as :class:`gost_core.handler.Handler` says and :ref:`D28` asks."""

    async def init(self, metadata: Metadata | None, /) -> None:
        """Begin; see :ref:`the clause <handler.Handler.handle-before-init>`."""

    async def handle(self, ctx: Context, conn: Conn, /, *opts: HandleOption) -> None:
        """Read until :meth:`gost_core.common.net.Conn.read` has no more."""
'''


def test_another_project_links_to_ours(site: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (tmp_path / "outside.py").write_text(MODULE, encoding="utf-8")
    conf = CONF.format(
        folder=str(tmp_path),
        home=HOME,
        inventory=str(site / "objects.inv"),
        python=str(ROOT / "docs" / "_inventories" / "python.inv"),
    )
    (docs / "conf.py").write_text(conf, encoding="utf-8")
    (docs / "index.rst").write_text(
        "Outside\n=======\n\n.. automodule:: outside\n   :members:\n   :show-inheritance:\n",
        encoding="utf-8",
    )
    build(docs, tmp_path / "html")
    links = set(Page(tmp_path / "html" / "index.html").links)
    assert {
        f"{HOME}reference/handler.html#gost_core.handler.Handler",
        f"{HOME}reference/common/net.html#gost_core.common.net.Conn",
        f"{HOME}reference/common/net.html#gost_core.common.net.Conn.read",
        f"{HOME}reference/context.html#gost_core.context.Context",
        f"{HOME}decisions.html#d28",
        f"{HOME}clauses.html#handler-handler-handle-before-init",
    } <= links
