"""The pictures of the architecture say what the code says, to everybody."""

import re
from dataclasses import fields
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Final, get_args, get_type_hints
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from typing_extensions import is_protocol

from docs._made import canvas, draw, graphs, package, views
from docs._made.canvas import Canvas
from gost_core import handler, listener
from gost_core.recorder import RecorderObject
from tests.contract import test_imports
from tests.site.browser import Browser

pytestmark = pytest.mark.one_python

SVG: Final = "{http://www.w3.org/2000/svg}"
NAMES: Final = sorted(draw.PICTURES)


def read(name: str) -> Element:
    return ElementTree.fromstring((draw.FOLDER / f"{name}.svg").read_bytes())


def titles(name: str) -> list[str]:
    return [element.text or "" for element in read(name).iter(f"{SVG}title")]


def links(name: str) -> list[str]:
    """Return the dotted names, within the package, that a picture leads to."""
    found = [element.attrib["href"] for element in read(name).iter(f"{SVG}a")]
    return [link.partition("#")[2].removeprefix("module-") for link in found]


def test_the_pictures_are_as_they_would_be_drawn_now() -> None:
    outdated = [
        path.name
        for path, svg in draw.drawn()
        if not path.exists() or path.read_text(encoding="utf-8") != svg
    ]
    assert outdated == [], "draw them: python -m docs._made.draw"


# ---- The graphs


def edges(name: str, verb: str) -> set[tuple[str, str]]:
    """Return the edges of a drawn graph, by the titles of its dots."""
    found = (re.fullmatch(rf"(\S+) {verb} (\S+)", title) for title in titles(name))
    return {(match[1], match[2]) for match in found if match}


def test_the_picture_of_the_modules_has_each_import_and_no_other() -> None:
    modules = set(package.contract_names()) - {package.NAME}
    expected = {
        (graphs.short(module), imported)
        for module in modules
        for imported in test_imports.edges(module)
        if not imported.startswith("_")
    }
    assert edges("modules", "imports") == expected
    assert set(links("modules")) == modules


def test_the_picture_of_uses_has_every_interface() -> None:
    interfaces = {
        f"{module_name}.{cls.__name__}"
        for module_name in package.contract_names()
        for cls in package.public_classes(module_name)
        if is_protocol(cls)
    }
    assert set(links("uses")) == interfaces | {"gost_core.chain.Node"}


@pytest.mark.parametrize(
    ("user", "used"),
    [
        pytest.param("common.net.Conn", {"common.net.Addr"}, id="by a method's result"),
        pytest.param("handler.Forwarder", {"hop.Hop"}, id="by a method's parameter"),
        pytest.param("hop.Hop", {"chain.Node"}, id="the node"),
        pytest.param("metrics.Counter", set[str](), id="nobody"),
        pytest.param(
            "chain.Router",
            {
                "chain.Chainer",
                "common.net.Conn",
                "common.net.Listener",
                "hosts.HostMapper",
                "logger.Logger",
                "recorder.Recorder",
                "resolver.Resolver",
            },
            id="by options, and by a struct in them",
        ),
        pytest.param(
            "connector.Connector",
            {"common.net.Conn", "common.net.Dialer", "logger.Logger", "metadata.Metadata"},
            id="by the options of a constructor",
        ),
    ],
)
def test_an_interface_uses_what_its_methods_and_options_and_structs_name(
    user: str, used: set[str]
) -> None:
    drawn = edges("uses", "uses")
    assert {target for source, target in drawn if source == user} == used


def test_in_a_graph_no_two_wires_lie_on_each_other() -> None:
    for graph in (graphs.imports(), graphs.uses()):
        places = {name: float(place) for place, name in enumerate(graphs.order(graph))}
        lanes = graphs.assign(graph, places)
        taken = list[tuple[int, float]]()
        for target, lane in lanes.items():
            ends = [places[target], *(places[one] for one in graph if target in graph[one])]
            taken += [(lane, place) for place in range(int(min(ends)), int(max(ends)) + 1)]
        assert len(taken) == len(set(taken))


# ---- The views


@pytest.mark.parametrize("name", NAMES)
def test_what_a_picture_names_is_public_in_the_package(name: str) -> None:
    assert links(name)
    for dotted in links(name):
        module_name, qualified = split(dotted)
        parts = qualified.split(".") if qualified else []
        found: object = import_module(module_name)
        assert not parts or parts[0] in package.public_names(import_module(module_name)), dotted
        for part in parts:
            found = getattr(found, part)


def split(dotted: str) -> tuple[str, str]:
    """Split a full name into its module and the rest."""
    module_name = max(
        (one for one in package.contract_names() if f"{dotted}.".startswith(f"{one}.")), key=len
    )
    return module_name, dotted.removeprefix(module_name).removeprefix(".")


@pytest.mark.parametrize("name", sorted(views.VIEWS))
def test_every_name_of_the_code_in_a_view_is_a_link(name: str) -> None:
    picture = read(name)
    linked = {id(text) for link in picture.iter(f"{SVG}a") for text in link.iter(f"{SVG}text")}
    loose = [
        text.text
        for text in picture.iter(f"{SVG}text")
        if "code" in text.get("class", "").split() and id(text) not in linked
    ]
    assert loose == []


@pytest.mark.parametrize(
    ("options", "given"),
    [
        pytest.param(listener.Options, [one.to_listener for one in views.GIVEN], id="listener"),
        pytest.param(handler.Options, [one.to_handler for one in views.GIVEN], id="handler"),
    ],
)
def test_the_picture_of_a_service_has_each_interface_that_the_options_name(
    options: type[listener.Options] | type[handler.Options],
    given: list[tuple[tuple[str, str], ...]],
) -> None:
    hints = get_type_hints(options)
    named = {
        part
        for field in fields(options)
        # A listener's chain is there for parity; nothing depends on it (D30).
        if (options, field.name) != (listener.Options, "chain")
        for part in chain.from_iterable(
            (one, *get_args(one)) for one in get_args(hints[field.name])
        )
        if isinstance(part, type) and (is_protocol(part) or part is RecorderObject)
    }
    expected = {f"{graphs.short(part.__module__)}.{part.__name__}" for part in named}
    drawn = {name for parts in given for name, _ in parts}
    assert {name.removesuffix("Object") for name in expected} == drawn


def test_a_name_that_does_not_exist_cannot_be_drawn() -> None:
    for dotted in ("chain.Ruoter", "chain.Router.dail", "chian", "chain.Router.dial.now"):
        with pytest.raises(LookupError, match=dotted.rpartition(".")[2]):
            canvas.find(dotted)


# ---- For whoever looks at them, and for those who do not


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_has_a_title_and_the_text_of_its_page(name: str) -> None:
    picture = read(name)
    title, text = picture.find(f"{SVG}title"), picture.find(f"{SVG}desc")
    assert title is not None
    assert text is not None
    assert title.text
    assert text.text == draw.texts()[name]
    assert picture.attrib["aria-labelledby"] == title.attrib["id"]
    assert picture.attrib["aria-describedby"] == text.attrib["id"]


def test_pictures_on_one_page_share_no_id() -> None:
    ids = [
        element.attrib["id"]
        for name in NAMES
        for element in read(name).iter()
        if "id" in element.attrib
    ]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_fits_a_telephone_and_its_letters_can_be_read_there(name: str) -> None:
    picture = read(name)
    width = float(picture.attrib["viewBox"].split()[2])
    assert width <= 390
    style = picture.find(f"{SVG}style")
    assert style is not None
    sizes = [
        float(size) for size in re.findall(r"(?:font|font-size): ([\d.]+)px", style.text or "")
    ]
    assert min(sizes) * 358 / width >= 10.9  # what a page leaves of 390 pixels
    for element in picture.iter(f"{SVG}rect"):
        assert float(element.attrib["x"]) >= 0
        assert float(element.attrib["x"]) + float(element.attrib["width"]) <= width


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_asks_nobody_for_anything(name: str) -> None:
    text = (draw.FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "@import" not in text
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)\S+", text) == []


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


PAGES: Final = (("#ffffff",), ("#131416", "#0d1117"))
"""The backgrounds of light pages and of dark ones: this site's and GitHub's."""


@pytest.mark.parametrize("scheme", [pytest.param(0, id="light"), pytest.param(1, id="dark")])
def test_words_and_lines_stand_out_from_what_is_behind_them(scheme: int) -> None:
    colours = {name: pair[scheme] for name, pair in canvas.COLOURS.items()}
    behind = [*PAGES[scheme], *(colours[tone] for tone in canvas.TONES)]
    for ground in behind:
        for words in ("ink", "muted"):
            assert contrast(colours[words], ground) >= 4.5, (words, ground)
    for tone in canvas.TONES:
        if tone != "panel":  # its title says what it is
            for ground in PAGES[scheme]:
                assert contrast(colours[f"{tone}-edge"], ground) >= 3, (tone, ground)


def test_both_schemes_can_be_had_by_preference_and_by_the_switch_of_a_page() -> None:
    style = canvas.style()
    dark = canvas.COLOURS["ink"][1]
    light = canvas.COLOURS["ink"][0]
    for selector, ink in (
        (".gost-picture", light),
        ("@media (prefers-color-scheme: dark) { .gost-picture", dark),
        ('[data-theme="light"] .gost-picture', light),
        ('[data-theme="dark"] .gost-picture', dark),
    ):
        assert f"\n{selector} {{ --ink: {ink};" in f"\n{style}"


def test_words_are_escaped() -> None:
    drawing = Canvas("name", "a < b", 'says "c" & d')
    drawing.words(0, 0, "<&>")
    drawing.dot(canvas.Point(0, 0), "route", "e -> f & g")
    picture = ElementTree.fromstring(drawing.svg())
    assert [text.text for text in picture.iter(f"{SVG}text")] == ["<&>"]
    assert [title.text for title in picture.iter(f"{SVG}title")] == ["a < b", "e -> f & g"]


def test_every_picture_is_shown_on_a_page_and_drawn_by_the_command() -> None:
    files = {path.stem for path in draw.FOLDER.glob("*.svg")}
    assert set(draw.texts()) == files
    assert files - set(NAMES) == {"benchmarks"}  # tox -e bench draws that one


# ---- In a browser


@pytest.fixture
def drawn(tab: Browser, tmp_path: Path) -> Browser:
    """A page with all pictures in its text, on a telephone."""
    page = tmp_path / "page.html"
    drawings = [(draw.FOLDER / f"{name}.svg").read_text(encoding="utf-8") for name in NAMES]
    page.write_text(
        "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        "<style>body { margin: 16px } svg { max-width: 100%; height: auto }</style>"
        + "\n".join(drawings),
        encoding="utf-8",
    )
    tab.resize(390, 844)
    visit = tab.open(page.as_uri())
    assert visit.errors == []
    assert visit.requests == [page.as_uri()]
    return tab


@pytest.mark.parametrize("preference", ["light", "dark"])
@pytest.mark.parametrize("switch", ["auto", "light", "dark"])
def test_a_picture_follows_the_reader_and_the_switch_of_the_page(
    drawn: Browser, preference: str, switch: str
) -> None:
    drawn.prefer(preference)
    drawn.evaluate(f"document.body.dataset.theme = '{switch}'")
    colour = drawn.evaluate("getComputedStyle(document.querySelector('svg text.heading')).fill")
    scheme = preference if switch == "auto" else switch
    ink = canvas.COLOURS["ink"][("light", "dark").index(scheme)]
    assert colour == f"rgb({', '.join(str(int(ink[at : at + 2], 16)) for at in (1, 3, 5))})"


def test_no_words_are_small_cut_off_or_on_other_words(drawn: Browser) -> None:
    trouble = drawn.evaluate("""
        [...document.querySelectorAll('svg')].flatMap((svg) => {
            const whole = svg.getBoundingClientRect();
            const scale = whole.width / svg.viewBox.baseVal.width;
            const words = [...svg.querySelectorAll('text')].map((text) => {
                const size = parseFloat(getComputedStyle(text).fontSize) * scale;
                return {says: text.textContent, size, place: text.getBoundingClientRect(),
                        box: text.closest('a')?.querySelector('rect')?.getBoundingClientRect()};
            });
            const leaves = (inner, outer) => outer &&
                (inner.left < outer.left || inner.right > outer.right);
            // Lines of letters may touch; letters may not.
            const meet = (one, other) =>
                one.left < other.right && other.left < one.right &&
                one.top + 3 < other.bottom && other.top + 3 < one.bottom;
            return [
                ...words.filter((one) => one.size < 10.9).map((one) => 'small: ' + one.says),
                ...words.filter((one) => leaves(one.place, whole) || leaves(one.place, one.box))
                    .map((one) => 'cut off: ' + one.says),
                ...words.flatMap((one, at) => words.slice(at + 1)
                    .filter((other) => meet(one.place, other.place))
                    .map((other) => one.says + ' on ' + other.says)),
            ];
        })
    """)
    assert trouble == []
