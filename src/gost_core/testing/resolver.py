"""The contract of resolvers."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from typing_extensions import TypeVar

from gost_core.context import Context
from gost_core.resolver import InvalidError, Option, Options, Resolver
from gost_core.testing._families.lookups import (
    Addresses,
    IPs,
    Question,
    Respell,
    expect_sequence,
    is_empty,
)
from gost_core.testing._run.attempt import current
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import expect, given, need, owned, raises, start, turns, within

__all__ = ("ResolverContract",)

ResolverT = TypeVar("ResolverT", bound=Resolver, default=Resolver)

_IPV4: Final[str] = "192.0.2.1"
_IPV6: Final[str] = "2001:db8::1"
_CAPITALS: Final[str] = "2001:DB8::A"
_CHANGES: Final[tuple[IPs, ...]] = (
    [IPv4Address("198.51.100.1")],
    [IPv6Address("2001:db8:1::1")],
    [],
    [IPv4Address("198.51.100.2")],
)
_VERSIONS: Final[Mapping[str, set[int]]] = {"ip": {4, 6}, "ip4": {4}, "ip6": {6}}


class ResolverContract(
    Addresses[ResolverT, IPs],
    interface=Resolver,
    first=("both_families", "literals", "one_family"),
    said={
        "backend_broken": (
            "When no server answers, resolve() raises OSError, once answers are not kept any more; "
            "it does not say that the name does not exist, nor that there is no resolver.",
            "D14, D39",
        )
    },
):
    """What a resolver promises."""

    make: Callable[[], ResolverT] = field(kw_only=False)
    """Makes a resolver."""
    known: str | None = None
    """A name that has IPv4 and IPv6 addresses there."""
    addresses: IPs | None = None
    """All addresses of ``known``, the preferred one first, if their order is known. Let the
    families take turns, so that an order of the resolver's own shows."""
    unknown: str | None = None
    """A name that does not exist there."""
    change_addresses: Callable[[ResolverT, IPs], Awaitable[object]] | None = None
    """Gives ``known`` these addresses, perhaps none, where a resolver asks for them."""
    kept_for: float = 0.0
    """For how many seconds it keeps answers, as it documents, or as the answers of a test say."""
    elapse: Callable[[float], Awaitable[object]] = asyncio.sleep
    """Lets so many seconds pass, at once if its clock can be moved."""
    make_missing: Callable[[], Resolver] | None = None
    """Makes a resolver that has nobody to ask, if there are such."""

    _options = Options

    async def _questions(self) -> Sequence[Question]:
        known = self._both_families()
        return ("ip4", known), ("ip6", _IPV6), ("ip6", known), ("ip", known), ("ip4", _IPV4)

    def _more_questions(self, count: int = 1, /) -> Sequence[Question]:
        unknown = [] if self.unknown is None else [self.unknown]
        return [("ip", number * "x" + name) for name in unknown for number in range(count)]

    async def _forget(self) -> bool:
        await self.elapse(self.kept_for)
        # Without either hook nobody has said for how long.
        return bool(self.kept_for or self.change_addresses)

    async def _any_question(self) -> Question:
        return "ip", _IPV4

    def _ask(self, component: ResolverT, question: Question, /, *opts: Option) -> Awaitable[IPs]:
        return component.resolve(current().ctx, *question, *opts)

    def _named(self, question: Question) -> str:
        return f"resolve{question}"

    def _both_families(self) -> str:
        return need(self.known, "known")

    def _expect_right(self, question: Question, answer: IPs, when: str = "") -> None:
        network, host = question
        expect_sequence(answer, self._named(question))
        versions = _VERSIONS[network]
        if host in (_IPV4, _IPV6, _CAPITALS):
            right = [*answer] == [one for one in [ip_address(host)] if one.version in versions]
        elif self.addresses is None:
            right = {_version(one) for one in answer} == versions
        else:
            right = [*answer] == [one for one in self.addresses if one.version in versions]
        expect(right, f"{self._named(question)} returned {answer!r}{when}")

    async def _expect_respelled(self, respell: Respell) -> None:
        host = respell(self._both_families())
        await self._expect_found(self._build(), "ip4", host)

    @clause("A literal address comes back as itself.", "D39")
    async def literals(self) -> None:
        resolver = self._build()
        for host, version in ((_IPV4, "ip4"), (_IPV6, "ip6"), (_CAPITALS, "ip6")):
            for network in ("ip", version):
                await self._expect_found(resolver, network, host)

    @clause(
        "A literal address of the other family gives an empty sequence, not an address that was "
        "not asked for.",
        "D39",
        after=("literals", "one_family"),
    )
    async def other_family_literal(self) -> None:
        resolver = self._build()
        for question in (("ip6", _IPV4), ("ip4", _IPV6)):
            await self._expect_found(resolver, *question)

    @clause('"ip" gives the addresses of both families.', "D39")
    async def both_families(self) -> None:
        await self._expect_found(self._build(), "ip", self._both_families())

    @clause("A name that does not exist gives an empty sequence; 127.1 is no host.", "D12, D39")
    async def unknown_empty(self) -> None:
        unknown, resolver = need(self.unknown, "unknown"), self._build()
        for network in ("ip", "ip4", "ip6"):
            # Not None: callers could not tell it from a failure of their own.
            found = await self._answer(resolver, (network, unknown))
            expect(is_empty(found), f"resolve({network!r}, {unknown!r}) returned {found!r}")
        for spelling in ("127.1", "2130706433", "0x7f000001", "0177.0.0.1"):
            with contextlib.suppress(OSError, ValueError):
                found = await self._answer(resolver, ("ip", spelling))
                expect(is_empty(found), f"resolve('ip', {spelling!r}) returned {found!r}")

    @clause(
        "A resolver that has nobody to ask raises InvalidError, and the address is left as it is.",
        "D39",
    )
    async def missing_invalid(self) -> None:
        resolver = owned(need(self.make_missing, "make_missing")())
        answer = resolver.resolve(Context(), "ip", "host.example")
        await raises(answer, "resolve()", InvalidError)

    @clause(
        "New addresses of a name are found, when the time is over for which answers are kept.",
        "D39",
        after=("host_case", "one_family"),
    )
    async def change_found(self) -> None:
        change_addresses = need(self.change_addresses, "change_addresses")
        known, resolver = self._both_families(), self._build()
        questions = (("ip", known), ("ip4", known), ("ip6", known), ("ip4", known.upper()))
        for addresses in _CHANGES:
            for question in questions:
                await self._answer(resolver, question)
            await given(change_addresses(resolver, addresses), "change_addresses()")
            await self.elapse(self.kept_for)
            # The other way round: what one found must not stand for the next.
            for question in questions[::-1]:
                found = [*await self._answer(resolver, question)]
                right = [one for one in addresses if one.version in _VERSIONS[question[0]]]
                expect(
                    found == right, f"after a change to {addresses!r}: {question} gave {found!r}"
                )

    @clause(
        "A result is the caller's own: changing it does not change that of another.",
        "D39",
        after=("both_families", "one_family"),
    )
    async def result_own(self) -> None:
        resolver = self._build()
        for network in _VERSIONS:
            question = (network, self._both_families())
            twins = await asyncio.gather(*(self._answer(resolver, question) for _ in range(2)))
            for _ in range(2):
                first, other = twins
                if isinstance(first, list):
                    first.clear()
                expect(bool(other), "after a result had been emptied, another was empty")
                twins = [other, await self._answer(resolver, question)]

    @clause(
        "Of two equal queries at once, cancelling the first leaves the second its answer.",
        "Go's implementations",
        after=("next_after_cancelled", "one_family"),
    )
    async def cancelled_twin(self) -> None:
        question, resolver = ("ip4", self._both_families()), self._build()
        first = start(self._ask(resolver, question))
        await turns(1)
        second = start(self._ask(resolver, question))
        # Enough for the second to join the first, and not so much that both are over.
        await turns(2)
        first.cancel()
        answer = await within(second, "the second query, when the first had been cancelled,")
        expect(bool(answer), f"the second query, beside a cancelled one, returned {answer!r}")


def _version(found: object) -> int:
    """Return the version of an address, 0 if it is none."""
    return found.version if isinstance(found, IPv4Address | IPv6Address) else 0
