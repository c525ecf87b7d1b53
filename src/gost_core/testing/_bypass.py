"""The contract of bypasses."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Generic, TypeVar

from gost_core.bypass import Bypass, Option, Options
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

__all__ = ("check_bypass_bypass",)

BypassT = TypeVar("BypassT", bound=Bypass)

_CALLS: Final[int] = 20
_ADDRESSES: Final[tuple[tuple[str, str], ...]] = (
    ("tcp", "example.net:80"),
    ("tcp", "example.net"),
    ("udp", "192.0.2.1:53"),
    ("tcp", "[2001:db8::1]:443"),
    ("ip", "192.0.2.1"),
    ("ip", "2001:db8::1"),
    ("unix", "/run/proxy.sock"),
    ("unix", "@"),
    ("", "example.net:80"),
)


class BypassContract(Contract, Generic[BypassT], interface=Bypass):
    def __init__(
        self,
        make: Callable[[], BypassT],
        bypassed: str | None,
        passed: str | None,
        break_backend: Callable[[BypassT], Awaitable[object]] | None,
    ) -> None:
        super().__init__()
        self._make = make
        self._samples: dict[str, bool] = {}
        if bypassed is not None:
            self._samples[bypassed] = True
        if passed is not None:
            self._samples[passed] = False
        self._break_backend = break_backend

    async def specimen(self) -> Bypass:
        return self._build()

    def _build(self) -> BypassT:
        return self.owned(self._make())

    async def _contains(self, bypass: Bypass, network: str, addr: str, *opts: Option) -> bool:
        answer = bypass.contains(Context(), network, addr, *opts)
        return await self.within(answer, f"contains({network!r}, {addr!r})")

    async def _expect_answers(self, samples: dict[str, bool], network: str = "tcp") -> None:
        bypass = self._build()
        for addr, expected in samples.items():
            answer = await self._contains(bypass, network, addr)
            expect(
                bool(answer) is expected,
                f"contains({network!r}, {addr!r}) was {answer!r} instead of {expected}",
            )

    @clause(
        "contains() is the final answer, in which a whitelist is inverted already: True for what "
        "is bypassed, False for what is not.",
        "D47",
    )
    async def answer(self) -> None:
        if not self._samples:
            raise NotTried("neither `bypassed` nor `passed` was given")
        await self._expect_answers(self._samples)

    @clause("The empty address is never bypassed.", "D47")
    async def empty_address(self) -> None:
        bypass = self._build()
        for network in ("tcp", "udp", ""):
            answer = await self._contains(bypass, network, "")
            expect(not answer, f'contains({network!r}, "") was {answer!r}')

    @clause(
        "Every kind of address has an answer: a name or an IP, with or without port, a path, "
        "whatever the network.",
        "D11, D12",
    )
    async def any_address(self) -> None:
        bypass = self._build()
        for network, addr in _ADDRESSES:
            # To refuse by rule is an answer too.
            with contextlib.suppress(PermissionError):
                await self._contains(bypass, network, addr)

    @clause("Hosts compare without regard to case.", "D12", after=("answer",))
    async def host_case(self) -> None:
        why_not = "no sample has a small letter in its host"
        await self._expect_answers(respelled(self._samples, upper_case, why_not))

    @clause("A trailing dot of a host makes no difference.", "D12", after=("answer",))
    async def trailing_dot(self) -> None:
        why_not = "the host of no sample is a name"
        await self._expect_answers(respelled(self._samples, with_trailing_dot, why_not))

    @clause("What is bypassed over tcp is bypassed over tcp4 and tcp6.", "D11", after=("answer",))
    async def network_versions(self) -> None:
        samples = {addr: True for addr, expected in self._samples.items() if expected}
        if not samples:
            raise NotTried("no `bypassed` was given")
        for addr in samples:
            for network in versions("tcp", addr):
                await self._expect_answers({addr: True}, network)

    @clause("Any callable may be an option, and options are applied once each, in order.", "D23")
    async def options(self) -> None:
        watch = OptionWatch(Options)
        with contextlib.suppress(PermissionError):
            await self._contains(self._build(), "tcp", "example.net:80", *watch.opts())
        watch.judge()

    @clause(
        "Calls for several requests at once do not mix.", "Go's implementations", after=("answer",)
    )
    async def concurrent(self) -> None:
        if len(self._samples) < 2:
            raise NotTried("`bypassed` and `passed` are both needed")
        bypass = self._build()
        samples = list(self._samples.items()) * _CALLS
        answers = await self.within(
            asyncio.gather(*(bypass.contains(Context(), "tcp", addr) for addr, _ in samples)),
            f"{len(samples)} calls of contains() at once",
        )
        for (addr, expected), answer in zip(samples, answers, strict=True):
            expect(
                bool(answer) is expected,
                f"contains('tcp', {addr!r}) was {answer!r} beside other calls",
            )

    @clause(
        "A call that is cancelled passes the cancellation on, and does not make an answer of it.",
        "D4, D14",
        after=("answer",),
    )
    async def cancelled(self) -> None:
        bypass = self._build()
        for addr, expected in self._samples.items():
            for answer in await answers_when_cancelled(
                self, partial(bypass.contains, Context(), "tcp", addr)
            ):
                expect(
                    bool(answer) is expected, f"a cancelled call of contains() answered {answer!r}"
                )

    @clause(
        "When the rules are out of reach, contains() raises OSError and makes no answer up.",
        "D36",
        after=("answer",),
    )
    async def backend_broken(self) -> None:
        bypass = self._build()
        await out_of_reach(self, bypass, self._break_backend)
        for addr, expected in self._samples.items():
            try:
                answer = await self._contains(bypass, "tcp", addr)
            except OSError:
                continue
            # It may remember the rules.
            expect(bool(answer) is expected, f"contains('tcp', {addr!r}) became {answer!r}")


@checks(BypassContract)
async def check_bypass_bypass(
    make: Callable[[], BypassT],
    /,
    *,
    bypassed: str | None = None,
    passed: str | None = None,
    break_backend: Callable[[BypassT], Awaitable[object]] | None = None,
    time_limit: float = 5.0,
) -> Report:
    """Check a bypass.

    Run it twice, on a blacklist and on a whitelist, if there are both.

    Args:
        make: makes a bypass with rules.
        bypassed: a destination that its rules bypass over tcp, of any version. A host that is a
            name, not an address, lets more clauses be tried.
        passed: one that they do not bypass over tcp.
        break_backend: puts the rules out of reach of a bypass, as when a server of rules has gone.
        time_limit: seconds for each wait.

    Returns:
        The report, if no clause is broken.

    Raises:
        ContractError: some are; it lists them all.
    """
    return await run(BypassContract(make, bypassed, passed, break_backend), time_limit)
