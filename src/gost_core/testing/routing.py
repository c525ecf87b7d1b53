"""The contract of rules on requests."""

import asyncio
import contextlib
import dataclasses
import gc
import weakref
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, Generic, TypeVar

from gost_core.routing import Matcher, Request
from gost_core.testing._contract import Contract, NotTried, checks, clause, expect, run
from gost_core.testing._lookups import (
    answers_when_cancelled,
    out_of_reach,
    upper_case,
    with_trailing_dot,
)
from gost_core.testing._report import Report

__all__ = ("check_routing_matcher",)

MatcherT = TypeVar("MatcherT", bound=Matcher)

_Values = Mapping[str, list[str] | tuple[str, ...]]

_CALLS: Final[int] = 20


class _Headers(dict[str, list[str] | tuple[str, ...]]):
    """Headers that can be weakly referenced, as a dict cannot."""


class MatcherContract(Contract, Generic[MatcherT], interface=Matcher):
    # MANUAL fields from the check function
    """Check a matcher."""

    make: Callable[[], MatcherT] = field(kw_only=False)
    """Makes a matcher with a rule."""
    matching: Request | None = None
    """A request to which the rule applies. A host that is a name and has no port, and the network
    ``tcp`` or ``udp``, let more clauses be tried."""
    other: Request | None = None
    """A request to which it does not apply."""
    positive: bool = False
    """True if the rule asks for something, and does not only exclude something."""
    break_backend: Callable[[MatcherT], Awaitable[object]] | None = None
    """Puts what the rule asks, such as a bypass, out of a matcher's reach."""

    def __init__(
        self,
        make: Callable[[], MatcherT],
        matching: Request | None,
        other: Request | None,
        positive: bool,
        break_backend: Callable[[MatcherT], Awaitable[object]] | None,
    ) -> None:
        super().__init__()
        self._make = make
        self._samples: list[tuple[Request, bool]] = []
        if matching is not None:
            self._samples.append((matching, True))
        if other is not None:
            self._samples.append((other, False))
        self._matching = matching
        self._positive = positive
        self._break_backend = break_backend

    async def _specimen(self) -> Matcher:
        return self._build()

    def _build(self) -> MatcherT:
        return owned(self._make())

    async def _match(self, matcher: Matcher, request: Request) -> bool:
        return await within(matcher.match(_copy(request)), "match()")

    async def _expect_match(self, request: Request, why: str) -> None:
        answer = await self._match(self._build(), request)
        expect(bool(answer), f"match() was {answer!r} {why}")

    # Requests hold what clients sent, so no report shows them (D17).

    @clause(
        "match() is True for what the rule applies to, and False for anything else, each time.",
        "D48",
    )
    async def answer(self) -> None:
        if not self._samples:
            raise NotTried("neither `matching` nor `other` was given")
        matcher = self._build()
        for turn in ("", ", asked again"):
            for request, expected in self._samples:
                answer = await self._match(matcher, request)
                which = "matching" if expected else "other"
                expect(bool(answer) is expected, f"match() of `{which}` was {answer!r}{turn}")

    @clause("A request of which nothing is known has an answer.", "D48")
    async def empty_request(self) -> None:
        # To refuse by rule is an answer too.
        with contextlib.suppress(PermissionError):
            await self._match(self._build(), Request())

    @clause(
        "A rule that asks for what is not known of a request does not match it.",
        "D48",
        after=("empty_request",),
    )
    async def absent_false(self) -> None:
        if not self._positive:
            raise NotTried("`positive` was not given")
        answer = await self._match(self._build(), Request())
        expect(not answer, f"match() of an empty request was {answer!r}")

    @clause(
        "What matches over tcp matches over tcp4 and tcp6, and likewise udp.",
        "D11",
        after=("answer",),
    )
    async def network_versions(self) -> None:
        if not self._positive or self._matching is None:
            raise NotTried("`positive` and `matching` are both needed")
        network = self._matching.network
        if network not in ("tcp", "udp"):
            raise NotTried("the network of `matching` is neither tcp nor udp")
        for version in ("4", "6"):
            request = dataclasses.replace(self._matching, network=network + version)
            await self._expect_match(request, f"over {network}{version}; `matching` is {network}")

    @clause("Hosts compare without regard to case.", "D12", after=("answer",))
    async def host_case(self) -> None:
        await self._expect_respelled(upper_case, "in capitals")

    @clause("A trailing dot of a host makes no difference.", "D12", after=("answer",))
    async def trailing_dot(self) -> None:
        await self._expect_respelled(with_trailing_dot, "with a trailing dot")

    @clause(
        "The host of a request may have a port, which makes no difference.",
        "D37",
        after=("answer",),
    )
    async def host_with_port(self) -> None:
        await self._expect_respelled(_with_port, "with a port")

    async def _expect_respelled(self, respell: Callable[[str], str | None], how: str) -> None:
        if self._matching is None or not self._matching.host:
            raise NotTried("no `matching` with a host was given")
        host = respell(self._matching.host)
        if host is None:
            raise NotTried(f"the host of `matching` cannot be written {how}")
        await self._expect_match(
            dataclasses.replace(self._matching, host=host), f"of `matching` with its host {how}"
        )

    @clause("The request is read, and not changed.", "D48", after=("answer",))
    async def request_unchanged(self) -> None:
        for request, _ in self._samples:
            given = _copy(request)
            await within(self._build().match(given), "match()")
            expect(given == _copy(request), "match() changed the request")

    @clause("The request is not kept when the call is over.", "D48", after=("answer",))
    async def request_not_kept(self) -> None:
        matcher = self._build()
        references = [
            await self._match_and_forget(matcher, request) for request, _ in self._samples
        ]
        gc.collect()
        kept = any(reference() is not None for reference in references)
        expect(not kept, "the header of a request was kept")

    async def _match_and_forget(
        self, matcher: Matcher, request: Request
    ) -> "weakref.ref[_Headers]":
        header = _Headers(request.header)
        given = dataclasses.replace(request, header=header)
        await within(matcher.match(given), "match()")
        return weakref.ref(header)

    @clause(
        "Calls for several requests at once do not mix.", "Go's implementations", after=("answer",)
    )
    async def concurrent(self) -> None:
        if len(self._samples) < 2:
            raise NotTried("`matching` and `other` are both needed")
        matcher = self._build()
        samples = self._samples * _CALLS
        answers = await within(
            asyncio.gather(*(matcher.match(request) for request, _ in samples)),
            f"{len(samples)} calls of match() at once",
        )
        for (_, expected), answer in zip(samples, answers, strict=True):
            which = "matching" if expected else "other"
            expect(
                bool(answer) is expected, f"match() of `{which}` was {answer!r} beside other calls"
            )

    @clause(
        "A call that is cancelled passes the cancellation on, and does not make an answer of it.",
        "D4, D14",
        after=("answer",),
    )
    async def cancelled(self) -> None:
        matcher = self._build()
        for request, expected in self._samples:
            for answer in await answers_when_cancelled(partial(matcher.match, _copy(request))
            ):
                expect(bool(answer) is expected, f"a cancelled call answered {answer!r}")

    @clause(
        "When what the rule asks is out of reach, match() raises OSError and makes no answer up.",
        "D36",
        after=("answer",),
    )
    async def backend_broken(self) -> None:
        matcher = self._build()
        await out_of_reach(matcher, self._break_backend)
        for request, expected in self._samples:
            try:
                answer = await self._match(matcher, request)
            except OSError:
                continue
            # It may remember what it was told.
            which = "matching" if expected else "other"
            expect(bool(answer) is expected, f"match() of `{which}` became {answer!r}")


def _copy(request: Request) -> Request:
    """Return a request of its own, so that changes of one do not show in the next."""
    return dataclasses.replace(
        request, query=_copy_values(request.query), header=_copy_values(request.header)
    )


def _copy_values(values: _Values) -> dict[str, list[str] | tuple[str, ...]]:
    return {name: some[:] for name, some in values.items()}


def _with_port(host: str) -> str | None:
    return None if ":" in host else f"{host}:8080"
