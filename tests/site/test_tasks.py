"""What readers come for is two clicks from the index, and among the first that the search finds."""

import json
from dataclasses import dataclass
from typing import Final

import pytest

from tests.site.browser import Browser

pytestmark = pytest.mark.one_python


@dataclass(frozen=True)
class Task:
    """Something that a reader wants to know."""

    wants: str
    clicks: tuple[str, ...]
    """The texts of the links that lead there from the index."""
    lead_to: str
    """The place to which they lead, as the end of an address."""
    says: str
    """What stands there."""
    queries: tuple[str, ...]
    """What a reader asks the search."""
    found: tuple[str, ...]
    """The places with the answer; one is among the first two that the search finds."""


TASKS: Final = (
    Task(
        "the Python name of UDPConnTTLBindOption",
        ("the translation table",),
        "translation.html",
        "def udp_conn_ttl_bind_option(",
        ("UDPConnTTLBindOption",),
        ("translation#go-connector.UDPConnTTLBindOption",),
    ),
    Task(
        "the Python name of ErrBindUnsupported",
        ("the translation table",),
        "translation.html",
        "class BindUnsupportedError(",
        ("ErrBindUnsupported",),
        ("translation#go-connector.ErrBindUnsupported",),
    ),
    Task(
        "what chain.Transporter.Multiplex means",
        ("API reference", "chain"),
        "reference/chain.html",
        "Tell whether connections through this node share a session.",
        ("chain.Transporter.Multiplex", "Transporter.multiplex"),
        ("reference/chain#gost_core.chain.Transporter.multiplex",),
    ),
    Task(
        "who closes the connection after handle()",
        ("API reference", "handler"),
        "reference/handler.html",
        "The handler owns it whatever happens",
        ("who closes", "closes after handle"),
        ("how-to", "how-to#know-who-closes-what"),
    ),
    Task(
        "what None from route() means",
        ("How do I ...?", "Go direct, or refuse (None from route)"),
        "how-to.html#go-direct-or-refuse-none-from-route",
        "None from",
        ("None from route",),
        ("how-to#go-direct-or-refuse-none-from-route",),
    ),
    Task(
        "how to cancel a call, or to limit its time",
        ("How do I ...?", "Cancel a call, or limit its time (timeout)"),
        "how-to.html#cancel-a-call-or-limit-its-time-timeout",
        "asyncio.timeout",
        ("cancel", "how to cancel", "timeout"),
        ("how-to", "how-to#cancel-a-call-or-limit-its-time-timeout"),
    ),
    Task(
        "how to write an option of my own",
        ("How do I ...?", "Write an option of my own (custom option)"),
        "how-to.html#write-an-option-of-my-own-custom-option",
        "class GreetingOptions(Options)",
        ("custom option", "option of my own"),
        ("how-to#write-an-option-of-my-own-custom-option",),
    ),
    Task(
        "what accept() raises",
        ("API reference", "listener"),
        "reference/listener.html",
        "not this time; call again",
        ("accept raises", "what accept raises"),
        ("how-to", "how-to#know-what-accept-raises"),
    ),
    Task(
        "what D26 says",
        ("the decisions",),
        "decisions.html",
        "D26: ",
        ("D26",),
        ("decisions#d26",),
    ),
)

CLICK: Final = """(() => {
    const links = Array.from(document.querySelectorAll("a[href]"));
    const link = links.find((one) => one.textContent.trim() === TEXT);
    return link ? link.href : null;
})()"""

FIRST_TWO: Final = """QUERIES.map((query) =>
    Search._performSearch(...Search._parseQuery(query)).slice(-2)
        .map(([page, , anchor]) => page + anchor))"""


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.wants)
def test_two_clicks_lead_from_the_index_to_the_answer(
    task: Task, address: str, tab: Browser
) -> None:
    tab.open(f"{address}/index.html")
    assert len(task.clicks) <= 2
    for text in task.clicks:
        link = tab.evaluate(CLICK.replace("TEXT", json.dumps(text)))
        assert link, f"{tab.evaluate('location.href')} has no link {text!r}"
        if "#" in link:
            tab.evaluate(f"location.assign({json.dumps(link)})")
        else:
            tab.open(link)
    assert tab.evaluate("location.href") == f"{address}/{task.lead_to}"
    assert task.says in tab.evaluate("document.querySelector('[role=main]').textContent")


def test_the_search_finds_the_answer_first_or_second(address: str, tab: Browser) -> None:
    tab.open(f"{address}/search.html?q=anything")
    tab.wait_for("Search.hasIndex()")
    queries = [(query, task) for task in TASKS for query in task.queries]
    found = tab.evaluate(FIRST_TWO.replace("QUERIES", json.dumps([one for one, _ in queries])))
    missed = {
        query: results
        for (query, task), results in zip(queries, found, strict=True)
        if not set(results).intersection(task.found)
    }
    assert missed == {}
