"""The contract of admissions."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Generic, TypeVar

from gost_core.admission import Admission, Option, Options
from gost_core.context import Context
from gost_core.testing._contract import Contract, NotTried, checks, clause, expect, run
from gost_core.testing._lookups import (
    OptionWatch,
    answers_when_cancelled,
    out_of_reach,
    respelled,
    upper_case,
    versions,
    with_trailing_dot,
)
from gost_core.testing._report import Report

__all__ = ("check_admission_admission",)

AdmissionT = TypeVar("AdmissionT", bound=Admission)

_CALLS: Final[int] = 20
_SOURCES: Final[tuple[tuple[str, str], ...]] = (
    ("tcp", "192.0.2.1:1024"),
    ("udp", "[2001:db8::1]:1024"),
    ("tcp", "192.0.2.1:0"),
    ("ip", "192.0.2.1"),
    ("ip", "2001:db8::1"),
    ("tcp", "client.example.net:1024"),
    ("unix", "/run/client.sock"),
    ("unix", "@"),
    ("", "192.0.2.1:1024"),
)


class AdmissionContract(Contract, Generic[AdmissionT], interface=Admission):
    # MANUAL fields from the check function
    """Check an admission."""

    make: Callable[[], AdmissionT] = field(kw_only=False)
    """Makes an admission with rules."""
    admitted: str | None = None
    """A source that they admit over tcp."""
    refused: str | None = None
    """A source that they refuse over tcp, of any version. Hosts with letters, and hosts that are
    names, let more clauses be tried."""
    unmatched: bool | None = None
    """What becomes of a source that no rule names: True for a blacklist, False for a whitelist."""
    break_backend: Callable[[AdmissionT], Awaitable[object]] | None = None
    """Puts the rules out of reach of an admission, as when a server of rules has gone."""

    def __init__(
        self,
        make: Callable[[], AdmissionT],
        admitted: str | None,
        refused: str | None,
        unmatched: bool | None,
        break_backend: Callable[[AdmissionT], Awaitable[object]] | None,
    ) -> None:
        super().__init__()
        self._make = make
        self._samples: dict[str, bool] = {}
        if admitted is not None:
            self._samples[admitted] = True
        if refused is not None:
            self._samples[refused] = False
        self._unmatched = unmatched
        self._break_backend = break_backend

    async def _specimen(self) -> Admission:
        return self._build()

    def _build(self) -> AdmissionT:
        return owned(self._make())

    async def _admit(self, admission: Admission, network: str, addr: str, *opts: Option) -> bool:
        answer = admission.admit(Context(), network, addr, *opts)
        return await within(answer, f"admit({network!r}, {addr!r})")

    async def _expect_answers(self, samples: dict[str, bool], network: str = "tcp") -> None:
        admission = self._build()
        for addr, expected in samples.items():
            answer = await self._admit(admission, network, addr)
            expect(
                bool(answer) is expected,
                f"admit({network!r}, {addr!r}) was {answer!r} instead of {expected}",
            )

    @clause("admit() is True for a source that may connect, and False for one that may not.", "D49")
    async def answer(self) -> None:
        if not self._samples:
            raise NotTried("neither `admitted` nor `refused` was given")
        await self._expect_answers(self._samples)

    @clause(
        "A source that is empty or cannot be read matches no rule: a blacklist admits it, a "
        "whitelist refuses it.",
        "D50",
    )
    async def unreadable_source(self) -> None:
        if self._unmatched is None:
            raise NotTried("no `unmatched` was given")
        await self._expect_answers(dict.fromkeys(("", "not an address", ":::"), self._unmatched))

    @clause(
        "Every kind of source has an answer: an IP or a name, with or without port, a path, "
        "whatever the network.",
        "D11, D12, D50",
    )
    async def any_source(self) -> None:
        admission = self._build()
        for network, addr in _SOURCES:
            await self._admit(admission, network, addr)

    @clause("Hosts compare without regard to case.", "D12", after=("answer",))
    async def host_case(self) -> None:
        why_not = "no sample has a small letter in its host"
        await self._expect_answers(respelled(self._samples, upper_case, why_not))

    @clause("A trailing dot of a host makes no difference.", "D12", after=("answer",))
    async def trailing_dot(self) -> None:
        why_not = "the host of no sample is a name"
        await self._expect_answers(respelled(self._samples, with_trailing_dot, why_not))

    @clause("Who is refused over tcp is refused over tcp4 and tcp6.", "D11", after=("answer",))
    async def network_versions(self) -> None:
        samples = {addr: False for addr, expected in self._samples.items() if not expected}
        if not samples:
            raise NotTried("no `refused` was given")
        for addr in samples:
            for network in versions("tcp", addr):
                await self._expect_answers({addr: False}, network)

    @clause("Any callable may be an option, and options are applied once each, in order.", "D23")
    async def options(self) -> None:
        watch = OptionWatch(Options)
        await self._admit(self._build(), "tcp", "192.0.2.1:1024", *watch.opts())
        watch.judge()

    @clause(
        "Calls for several connections at once do not mix.",
        "Go's implementations",
        after=("answer",),
    )
    async def concurrent(self) -> None:
        if len(self._samples) < 2:
            raise NotTried("`admitted` and `refused` are both needed")
        admission = self._build()
        samples = list(self._samples.items()) * _CALLS
        answers = await within(
            asyncio.gather(*(admission.admit(Context(), "tcp", addr) for addr, _ in samples)),
            f"{len(samples)} calls of admit() at once",
        )
        for (addr, expected), answer in zip(samples, answers, strict=True):
            expect(
                bool(answer) is expected,
                f"admit('tcp', {addr!r}) was {answer!r} beside other calls",
            )

    @clause(
        "A call that is cancelled passes the cancellation on, and does not make an answer of it.",
        "D4, D14",
        after=("answer",),
    )
    async def cancelled(self) -> None:
        admission = self._build()
        for addr, expected in self._samples.items():
            for answer in await answers_when_cancelled(partial(admission.admit, Context(), "tcp", addr)
            ):
                expect(bool(answer) is expected, f"a cancelled call of admit() answered {answer!r}")

    @clause(
        "An admission that cannot decide refuses: out of reach of its rules it admits nobody whom "
        "they refuse.",
        "D49",
        after=("answer",),
    )
    async def backend_broken(self) -> None:
        refused = [addr for addr, expected in self._samples.items() if not expected]
        if not refused:
            raise NotTried("no `refused` was given")
        admission = self._build()
        await out_of_reach(admission, self._break_backend)
        for addr in refused:
            try:
                answer = await self._admit(admission, "tcp", addr)
            except OSError:
                # Callers take it for a refusal.
                continue
            expect(not answer, f"admit('tcp', {addr!r}) became {answer!r}")
