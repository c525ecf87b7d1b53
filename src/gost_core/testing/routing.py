"""The contract of rules on requests."""

import contextlib
import dataclasses
import gc
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from ipaddress import ip_address
from typing import Any, Final, TypeAlias

from typing_extensions import TypeVar

from gost_core.routing import Matcher, Request
from gost_core.testing._families.lookups import Hosts, Lookup, Respell, with_trailing_dot
from gost_core.testing._run.attempt import NotTried
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import expect, need, within

__all__ = ("MatcherContract",)

MatcherT = TypeVar("MatcherT", bound=Matcher, default=Matcher)

_Values: TypeAlias = Mapping[str, list[str] | tuple[str, ...]]
_Sample: TypeAlias = tuple[Request, bool]


_HOSTS: Final[tuple[str, ...]] = ("2001:db8::1", "[2001:db8::1]:443", "/run/service.sock", ":80")
_NOBODY: Final[Mapping[str, Any]] = {
    "client_ip": ip_address("192.0.2.251"),
    "host": "gost-core-testing.invalid",
    "network": "gost-core-testing",
    "protocol": "gost-core-testing",
    "method": "GOST-CORE-TESTING",
    "path": "/gost-core-testing",
    "query": {"gost-core-testing": ["1"]},
    "header": {"Gost-Core-Testing": ["1"]},
    "body": b"gost-core-testing",
}
"""What no rule asks for."""


class _Headers(dict[str, list[str] | tuple[str, ...]]):
    """Headers that can be weakly referenced, as a dict cannot."""


class MatcherContract(
    Lookup[MatcherT, _Sample, bool],
    Hosts,
    interface=Matcher,
    first=("answer",),
    said={
        "backend_broken": (
            "When what the rule asks is out of reach, match() raises OSError; it neither makes an "
            "answer up nor keeps one from before.",
            "D36",
        )
    },
):
    """What a matcher promises."""

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
    """Puts what the rule asks, such as a bypass, out of a matcher's reach. One of the requests at
    least cannot be judged without. Neither this nor ``stall_backend`` is for an admission: that
    refuses then (D49), and the rule has its answer."""

    async def _questions(self) -> Sequence[_Sample]:
        pairs = ((self.matching, True), (self.other, False))
        return [(request, expected) for request, expected in pairs if request is not None]

    def _many_questions(self, count: int) -> Sequence[_Sample]:
        known = self.matching or Request()
        hosts = (f"host{number}.example" for number in range(count))
        return [(dataclasses.replace(known, host=host), False) for host in hosts]

    def _ask(self, component: MatcherT, question: _Sample) -> Awaitable[bool]:
        return component.match(_copy(question[0]))

    async def _at_once(self) -> Sequence[_Sample]:
        samples = [*await self._questions()]
        known = self.matching or Request()
        for other in (dataclasses.replace(known, **{name: _NOBODY[name]}) for name in _NOBODY):
            # One that has no answer is the affair of another clause.
            with contextlib.suppress(Exception):
                samples.append((other, await self._match(other)))
        return samples

    async def _forget(self) -> bool:
        # A rule keeps no state.
        return True

    # Requests hold what clients sent, so no report shows them (D17).

    def _named(self, question: _Sample) -> str:
        names = {id(self.matching): "`matching`", id(self.other): "`other`"}
        return f"match() of {names.get(id(question[0]), 'a request much like `matching`')}"

    def _expect_right(self, question: _Sample, answer: bool, when: str = "") -> None:
        right = bool(answer) is question[1]
        expect(right, f"{self._named(question)} was {answer!r}{when}")

    async def _match(self, request: Request) -> bool:
        return await within(self._build().match(_copy(request)), "match()")

    async def _expect_match(self, request: Request, why: str) -> None:
        answer = await self._match(request)
        expect(bool(answer), f"match() was {answer!r} {why}")

    async def _expect_respelled(self, respell: Respell) -> None:
        matching = need(self.matching, "matching")
        host = need(matching.host or None, "matching` with a host")
        respelled = dataclasses.replace(matching, host=respell(host))
        await self._expect_match(respelled, "of `matching` with its host spelled otherwise")

    @clause(
        "match() is True for what the rule applies to, and False for anything else, each time.",
        "D48",
    )
    async def answer(self) -> None:
        samples = await self._questions()
        need(samples or None, "matching` or `other")
        matcher = self._build()
        for when in ("", ", asked again"):
            for sample in samples:
                self._expect_right(sample, await self._answer(matcher, sample), when)

    @clause("A request has an answer of which nothing, or one thing, is not known.", "D48")
    async def empty_request(self) -> None:
        requests = [Request()]
        if (known := self.matching) is not None:
            unknown = [
                (one.name, getattr(Request(), one.name)) for one in dataclasses.fields(known)
            ]
            unknown += [("host", host) for host in _HOSTS]
            requests += [dataclasses.replace(known, **{name: value}) for name, value in unknown]
        for request in requests:
            # To refuse by rule is an answer too.
            with contextlib.suppress(PermissionError):
                await self._match(request)

    @clause(
        "A rule that asks for what is not known of a request does not match it.",
        "D48",
        after=("empty_request",),
    )
    async def absent_false(self) -> None:
        need(self.positive or None, "positive")
        answer = await self._match(Request())
        expect(not answer, f"match() of an empty request was {answer!r}")
        if (known := self.matching) is None:
            return
        for name, value in _NOBODY.items():
            # What another value makes a difference to is asked for.
            if not await self._match(dataclasses.replace(known, **{name: value})):
                unknown = {name: getattr(Request(), name)}
                answer = await self._match(dataclasses.replace(known, **unknown))
                expect(not answer, f"match() of `matching` without its {name} was {answer!r}")

    @clause(
        "What matches over tcp matches over tcp4 and tcp6, and likewise udp.",
        "D11",
        after=("answer",),
    )
    async def network_versions(self) -> None:
        need(self.positive or None, "positive")
        matching = need(self.matching, "matching")
        network = matching.network
        need(network if network in ("tcp", "udp") else None, "matching` over tcp or udp")
        for version in ("4", "6"):
            request = dataclasses.replace(matching, network=network + version)
            await self._expect_match(request, f"over {network}{version}; `matching` is {network}")

    @clause(
        "The host of a request may have a port, which makes no difference.",
        "D37",
        after=("answer", "host_case", "trailing_dot"),
    )
    async def host_with_port(self) -> None:
        await self._expect_respelled(_with_port)
        # Another spelling of a name, before the port.
        with contextlib.suppress(NotTried):
            await self._expect_respelled(lambda host: with_trailing_dot(_with_port(host)))

    @clause("The request is read, and not changed.", "D48", after=("answer", "empty_request"))
    async def request_unchanged(self) -> None:
        for request, _ in await self._questions():
            for one in (request, dataclasses.replace(request, query={}, header={})):
                query, header = map(_untidy, (one.query, one.header))
                given = dataclasses.replace(one, query=query, header=header)
                before = _copy(given)
                await within(self._build().match(given), "match()")
                expect(given == before, "match() changed the request")

    @clause("The request is not kept when the call is over.", "D48", after=("answer",))
    async def request_not_kept(self) -> None:
        matcher = self._build()
        references = [
            await self._match_and_forget(matcher, request) for request, _ in await self._questions()
        ]
        gc.collect()
        kept = any(reference() is not None for pair in references for reference in pair)
        expect(not kept, "the query or the header of a request was kept")

    async def _match_and_forget(
        self, matcher: MatcherT, request: Request
    ) -> Sequence["weakref.ref[_Headers]"]:
        query, header = _Headers(request.query), _Headers(request.header)
        given = dataclasses.replace(request, query=query, header=header)
        await within(matcher.match(given), "match()")
        return weakref.ref(query), weakref.ref(header)


def _copy(request: Request) -> Request:
    """Return a request of its own, so that changes of one do not show in the next."""
    return dataclasses.replace(
        request, query=_copy_values(request.query), header=_copy_values(request.header)
    )


def _untidy(values: _Values) -> _Values:
    """Return the same and more, which nobody may put in order."""
    more = {**values, "Gost-Core-Testing": ()}
    return {name: [*some, "b", "a", "B", "", "b"] for name, some in more.items()}


def _copy_values(values: _Values) -> dict[str, list[str] | tuple[str, ...]]:
    return {name: some[:] for name, some in values.items()}


def _with_port(host: str) -> str:
    return need(None if ":" in host else f"{host}:8080", "matching` without a port")
