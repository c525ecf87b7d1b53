"""The documentation as its readers meet it: built, searched, opened in a browser, and linked to."""

import html
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urldefrag, urljoin

import pytest

from docs._made import package, surface, translation
from docs._made.go_facts import Symbol, symbols
from tests.site.browser import Browser
from tests.site.built import HOME, ROOT, Page, build

pytestmark = pytest.mark.one_python


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


def test_a_signature_shows_no_object_that_only_this_python_has(site: Path) -> None:
    shown = [
        head
        for path in site.glob("reference/**/*.html")
        for head in re.findall(r"<dt class=\"sig .*?</dt>", path.read_text("utf-8"), re.DOTALL)
    ]
    assert len(shown) > 1000
    assert [head for head in shown if "&lt;function" in head or ">~" in head] == []


def test_only_the_sources_of_this_package_are_shown(site: Path) -> None:
    assert {path.name for path in (site / "_modules").iterdir()} == {"index.html", package.NAME}


def test_a_page_of_the_reference_says_how_its_module_is_imported(site: Path) -> None:
    for name in package.contract_names():
        if name == package.NAME:
            continue
        page = site / "reference" / f"{name.partition('.')[2].replace('.', '/')}.html"
        text = html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))
        parent, _, last = name.rpartition(".")
        assert f"from {parent} import {last}\n" in text
        assert f"\n{name}" in text


def test_a_page_of_the_reference_leads_to_the_namesakes_of_its_names(
    pages: dict[str, Page],
) -> None:
    links = pages["reference/limiter/rate.html"].links
    assert "conn.html#gost_core.limiter.conn.Limiter" in links
    assert "traffic.html#gost_core.limiter.traffic.Limiter" in links
    assert (
        "common/net.html#gost_core.common.net.ClosedError" in pages["reference/listener.html"].links
    )


def test_the_page_of_a_package_leads_to_its_modules(pages: dict[str, Page]) -> None:
    assert {"common/net.html", "common/url.html"} <= set(pages["reference/common.html"].links)


def test_the_clauses_stand_folded_with_their_number_below_the_members_of_an_interface(
    site: Path,
) -> None:
    for contract in package.contracts():
        path, _, interface = contract.clauses[0].id.rpartition(".")[0].rpartition(".")
        page = (site / "reference" / f"{path.replace('.', '/')}.html").read_text(encoding="utf-8")
        heading = f"<summary>{len(contract.clauses)} clauses of {contract.__name__}</summary>"
        before, _, after = page.partition(heading)
        assert after, heading
        opened = re.findall(r'<dt class="[^"]*" id="([\w.]+)"', before)[-1]
        assert opened.startswith(f"{package.NAME}.{path}.{interface}"), contract
        folded = after.partition("</details>")[0]
        assert len(re.findall(r'href="[./]*clauses.html#', folded)) == len(contract.clauses)


def test_the_docstring_of_an_interface_names_its_contract_and_no_clause() -> None:
    ids = {one.id for contract in package.contracts() for one in contract.clauses}
    for contract in package.contracts():
        path, _, interface = contract.clauses[0].id.rpartition(".")[0].rpartition(".")
        said = inspect.getdoc(getattr(import_module(f"{package.NAME}.{path}"), interface)) or ""
        assert f"`{package.NAME}.testing.{path}.{contract.__name__}`" in " ".join(said.split()), (
            interface
        )
        assert [one for one in ids if one in said] == []


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

WIDTHS: Final = (1440, 1320, 1280, 1024, 960, 820, 390)
IN_A_FRAME: Final = """(async () => {
    const frame = document.querySelector("iframe");
    const loaded = new Promise((done) => { frame.onload = done; });
    frame.src = URL;
    await loaded;
    const root = frame.contentDocument.documentElement;
    return WIDTHS.filter((width) => {
        frame.style.width = `${width}px`;
        return root.scrollWidth > width;
    });
})()"""
"""Loads a page once, and tells at which widths it is wider than its window, here the frame."""


def test_every_page_opens_without_an_error_asks_no_other_host_and_fits_its_window(
    pages: dict[str, Page], address: str, tab: Browser
) -> None:
    faults = dict[str, list[object]]()
    tab.open(f"{address}/index.html")
    tab.hide_scrollbars()
    tab.resize(max(WIDTHS), 844)
    # Hidden, it has its sizes, and nobody paints it.
    style = "height: 844px; visibility: hidden"
    tab.evaluate(f"document.documentElement.innerHTML = '<iframe style=\"{style}\"></iframe>'")
    for name in [*pages, "_modules/gost_core/listener.html"]:
        visit = tab.watch()
        url = json.dumps(f"{address}/{name}")
        wide = tab.evaluate(IN_A_FRAME.replace("URL", url).replace("WIDTHS", str([*WIDTHS])))
        elsewhere = [url for url in visit.requests if not url.startswith((address, "data:"))]
        if wide or visit.errors or elsewhere:
            faults[name] = [*(f"too wide at {width}" for width in wide), *visit.errors, *elsewhere]
    assert faults == {}


FAINT: Final = """(() => {
    const light = ([r, g, b]) => [r, g, b]
        .map((part) => part / 255)
        .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const behind = (element) => {
        for (let one = element; one !== null; one = one.parentElement) {
            const [red, green, blue, alpha = 1] = channels(getComputedStyle(one).backgroundColor);
            if (alpha === 1) return [red, green, blue];
        }
        return [255, 255, 255];
    };
    const faint = new Set();
    const walk = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT);
    for (let text = walk.nextNode(); text !== null; text = walk.nextNode()) {
        const element = text.parentElement;
        if (text.data.trim() === "" || element.closest("svg, button, .headerlink")) continue;
        const [one, two] = [channels(getComputedStyle(element).color), behind(element)].map(light);
        const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
        if (contrast < 4.5) faint.add(`${element.className}: ${text.data} ${contrast.toFixed(1)}`);
    }
    return Array.from(faint);
})()"""
"""Tells which text stands out less from what is behind it than WCAG asks for (1.4.3, AA)."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_code_stand_out_in_light_and_in_dark(
    scheme: str, address: str, tab: Browser
) -> None:
    tab.prefer(scheme)
    for name in ("tutorial", "reference/selector", "_modules/gost_core/testing/_run/attempt"):
        tab.open(f"{address}/{name}.html")
        assert tab.evaluate(FAINT) == [], name


def test_on_a_telephone_no_cell_of_three_columns_is_narrow_or_without_its_column(
    address: str, tab: Browser
) -> None:
    tab.resize(390, 844)
    tab.open(f"{address}/from-go.html")
    cells = tab.evaluate(
        "Array.from(document.querySelectorAll('.labelled tbody td'))"
        ".filter((cell) => cell.offsetParent)"
        ".map((cell) => [cell.offsetWidth, getComputedStyle(cell, '::before').content])"
    )
    assert min(width for width, _ in cells) > 300
    assert {'"Key: "', '"What is different: "'} <= {before for _, before in cells}


def test_the_browser_says_that_a_page_is_not_there(
    site: Path, address: str, tab: Browser, tmp_path: Path
) -> None:
    missing = "reference/net.html"
    assert any("FILE_NOT_FOUND" in error for error in tab.open((site / missing).as_uri()).errors)
    result = subprocess.run(
        [sys.executable, "-m", "tests.site.browser", site, tmp_path, missing],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    )
    assert result.returncode == 1
    assert missing in result.stderr
    assert list(tmp_path.iterdir()) == []


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
    hint = "document.querySelector('.search-hint').checkVisibility()"
    tab.wait_for(f"document.querySelector('#search-results li a[href$=\"{row}\"]') !== null")
    assert not tab.evaluate(hint)
    tab.open(f"{address}/search.html")
    assert tab.evaluate(hint)


SHOWN: Final = """(() => {
    const field = document.querySelector(".table-filter");
    field.value = TYPED;
    field.dispatchEvent(new Event("input"));
    const rows = Array.from(document.querySelectorAll("table.filtered tbody tr"));
    return rows.filter((row) => row.offsetParent).map((row) => row.id);
})()"""


def shown(tab: Browser, typed: str) -> list[str]:
    """Type into the field above the tables of a page; return the ids of the rows that are left."""
    rows: list[str] = tab.evaluate(SHOWN.replace("TYPED", json.dumps(typed)))
    return rows


MULTIPLEX: Final = ["go-chain.Transporter", "go-chain.Transporter.Multiplex"]


TYPED: Final = {
    "udp_conn_ttl_bind_option": [
        "go-chain.UDPConnTTLBindOption",
        "go-connector.UDPConnTTLBindOption",
    ],
    "ErrBindUnsupported": ["go-connector.ErrBindUnsupported"],
    "chain.Transporter.Multiplex": MULTIPLEX,
    "Transporter.multiplex": MULTIPLEX,
    "gost_core.chain.Transporter.multiplex": MULTIPLEX,
    "limiter/traffic.Limiter.Wait": [
        "go-limiter-traffic.Limiter",
        "go-limiter-traffic.Limiter.Wait",
    ],
    "Router.Dail": [],
}
"""What a reader types, and the ids of the rows that are left."""


def test_the_field_above_the_translation_finds_a_name_as_it_is_written_in_either_language(
    address: str, tab: Browser
) -> None:
    tab.open(f"{address}/translation.html")
    for typed, rows in TYPED.items():
        assert shown(tab, typed) == rows
        status = tab.evaluate("document.querySelector('[role=status]').textContent")
        if rows:
            assert re.match(r"\d+ of \d{3,}$", status)
        else:
            assert status.startswith("Nothing has that")
            wanted = unquote(tab.evaluate("document.querySelector('[role=status] a').href"))
            assert typed in wanted
        assert len(shown(tab, "")) > 500


def test_the_field_above_the_clauses_finds_ids_interfaces_decisions_and_words(
    address: str, tab: Browser
) -> None:
    tab.open(f"{address}/clauses.html")
    assert shown(tab, "listener.Listener.shape") == ["listener-listener-shape"]
    assert "admission-admission-host-case" in shown(tab, "without regard to case")
    assert "admission-admission-answer" in shown(tab, "D49")
    assert shown(tab, "no such clause") == []


def test_the_field_on_a_page_with_one_table_leaves_its_title(address: str, tab: Browser) -> None:
    tab.open(f"{address}/historical-faults.html")
    assert len(shown(tab, "ed93d60")) > 0
    assert shown(tab, "no such fault") == []
    assert tab.evaluate("document.querySelector('h1').offsetParent !== null")


def test_what_is_not_there_is_answered_by_a_page_that_leads_on(address: str, tab: Browser) -> None:
    missing = f"{address}/reference/deep/net.html"
    visit = tab.open(missing)
    assert [url for url in visit.requests if url.startswith(f"{address}/_static/")]
    assert [error for error in visit.errors if error.startswith("404")] == [f"404 for {missing}"]
    assert tab.evaluate("document.querySelector('h1').textContent").startswith("There is no")
    wanted = tab.evaluate("document.querySelector('[role=main] a[href$=\"how-to.html\"]').href")
    assert tab.open(wanted).errors == []


def test_code_can_be_copied(address: str, tab: Browser) -> None:
    tab.open(f"{address}/how-to.html")
    blocks, buttons = (
        tab.evaluate(f"document.querySelectorAll('{one}').length")
        for one in (".highlight pre", ".highlight button.copybtn")
    )
    assert blocks == buttons > 10


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
