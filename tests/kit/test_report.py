"""What a report says, and how."""

import asyncio
import io
from dataclasses import field

import pytest

from gost_core.testing import Clause, ContractError, Outcome, Report, Result, clause
from gost_core.testing._run.attempt import Broken
from tests.kit.test_contract import NAME, BellContract, MixedContract


def mixed() -> Report:
    return asyncio.run(MixedContract().run(known={}))


def test_a_report_begins_with_what_is_broken_and_ends_with_the_summary() -> None:
    assert str(mixed()).splitlines() == [
        f"  BROKEN     {NAME}.loud",
        "             It is loud. (D2, D3)",
        "             observed: it whispered",
        "             twice",
        f"  not tried  it needs {NAME}.loud: echoes",
        "  not tried  no `thief` was given: stolen",
        "  held       shape, rings",
        f"tests.kit.test_contract.RightBell as {NAME}: 2 held, 1 broken, 2 not tried",
    ]


def test_verbose_says_every_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    mixed().print(verbose=True)
    lines = capsys.readouterr().out.splitlines()
    for one in MixedContract.clauses:
        assert any(one.sentence in line for line in lines)
    assert lines[-1].endswith("2 held, 1 broken, 2 not tried")
    assert "             because: no `thief` was given" in lines


def test_what_is_known_to_be_broken_stands_with_its_reason() -> None:
    report = asyncio.run(MixedContract().run(known={f"{NAME}.loud": "the clapper is of wood"}))
    assert "             the clapper is of wood" in str(report).splitlines()
    assert str(report).endswith("2 held, 0 broken, 1 known to be broken, 2 not tried")


def test_what_was_not_tried_stands_together_by_reason() -> None:
    results = [
        Result(Clause(f"bell.Bell.{name}", "It does.", ""), Outcome.NOT_TRIED, reason)
        for name, reason in (("one", "no `hook`"), ("two", "no `rope`"), ("three", "no `hook`"))
    ]
    assert str(Report("Bell", "bell.Bell", tuple(results))).splitlines()[:2] == [
        "  not tried  no `hook`: one, three",
        "  not tried  no `rope`: two",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "no_color", "coloured"),
    [
        (Terminal(), None, True),
        (Terminal(), "", True),
        (Terminal(), "1", False),
        (io.StringIO(), None, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, no_color: str | None, coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    report = mixed()
    report.print(stream)
    text = stream.getvalue()
    assert ("\x1b[" in text) == coloured
    plain = text
    for colour in ("\x1b[32m", "\x1b[1;31m", "\x1b[33m", "\x1b[0m"):
        plain = plain.replace(colour, "")
    assert plain == f"{report}\n"


def test_the_error_says_first_what_was_observed() -> None:
    with pytest.raises(ContractError) as raised:
        mixed().raise_if_broken()
    assert str(raised.value).splitlines() == [
        "it whispered",
        "twice",
        f"    {NAME}.loud: It is loud. (D2, D3)",
        f"tests.kit.test_contract.RightBell breaks 1 clause of {NAME}",
    ]
    assert len(raised.value.report.results) == 5


def test_a_secret_that_was_given_as_such_is_never_told() -> None:
    class Telling(BellContract):
        secret: str = field(repr=False)

        @clause("a", "")
        async def tells(self) -> None:
            raise Broken(f"it sang {self.secret}")

    contract = Telling(secret="hunter2")
    report = asyncio.run(contract.run())
    assert report.broken[0].detail == "it sang (a secret)"
    assert "hunter2" not in f"{report}{report!r}{contract!r}"
