"""The contract of admissions."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Final

from typing_extensions import TypeVar

from gost_core.admission import Admission, Option, Options
from gost_core.testing._families.lookups import Question, versions
from gost_core.testing._families.refuses import Refuses
from gost_core.testing._families.verdicts import UNREADABLE, Verdicts
from gost_core.testing._run.attempt import current
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import expect, need

__all__ = ("AdmissionContract",)

AdmissionT = TypeVar("AdmissionT", bound=Admission, default=Admission)

_QUESTIONS: Final[tuple[Question, ...]] = (
    ("tcp", "192.0.2.1:1024"),
    ("udp", "[2001:db8::1]:1024"),
    ("tcp", "192.0.2.1:0"),
    ("ip", "192.0.2.1"),
    ("ip", "2001:db8::1"),
    ("tcp", "client.example.net:1024"),
    ("unix", "/run/client.sock"),
    ("unix", "@"),
    ("unix", "/run/client:name"),
    ("", "192.0.2.1:1024"),
)


class AdmissionContract(
    Verdicts[AdmissionT],
    Refuses[AdmissionT, Question, bool],
    interface=Admission,
    first=("answer",),
    said={
        "backend_broken": (
            "An admission that cannot decide refuses: out of reach of its rules it admits nobody "
            "whom they refuse.",
            "D49",
        )
    },
):
    """What an admission promises.

    Run it twice, on a blacklist and on a whitelist, if there are both.
    """

    make: Callable[[], AdmissionT] = field(kw_only=False)
    """Makes an admission with rules."""
    admitted: str | None = None
    """A source that they admit over tcp."""
    refused: str | None = None
    """A source that they refuse over tcp, of any version. Hosts with letters, and hosts that are
    names, let more clauses be tried."""
    unmatched: bool | None = None
    """What becomes of a source that no rule names: True for a blacklist, False for a whitelist."""

    _of_named = False
    _options = Options

    def _ask(self, component: AdmissionT, question: Question, /, *opts: Option) -> Awaitable[bool]:
        return component.admit(current().ctx, *question, *opts)

    def _named(self, question: Question) -> str:
        return f"admit{question}"

    def _samples(self) -> Mapping[str, bool]:
        pairs = ((self.admitted, True), (self.refused, False))
        return {addr: verdict for addr, verdict in pairs if addr is not None}

    def _expect_safe(self, question: Question, answer: bool) -> None:
        refused = need(self.refused, "refused")
        safe = not answer or question[1] != refused
        expect(safe, f"{self._named(question)} became {answer!r} out of reach of the rules")

    @clause("admit() is True for a source that may connect, and False for one that may not.", "D49")
    async def answer(self) -> None:
        await self._expect_verdicts(need(self._samples() or None, "admitted` or `refused"))

    @clause(
        "A source that is empty or cannot be read matches no rule: a blacklist admits it, a "
        "whitelist refuses it.",
        "D50",
    )
    async def unreadable_source(self) -> None:
        unmatched = need(self.unmatched, "unmatched")
        await self._expect_verdicts(dict.fromkeys(("", *UNREADABLE), unmatched))

    @clause(
        "Every kind of source has an answer: an IP or a name, with or without port, a path, "
        "whatever the network.",
        "D11, D12, D50",
    )
    async def any_source(self) -> None:
        admission = self._build()
        for question in _QUESTIONS:
            await self._answer(admission, question)

    @clause("Who is refused over tcp is refused over tcp4 and tcp6.", "D11", after=("answer",))
    async def network_versions(self) -> None:
        refused = need(self.refused, "refused")
        for network in versions("tcp", refused):
            await self._expect_verdicts({refused: False}, network)
