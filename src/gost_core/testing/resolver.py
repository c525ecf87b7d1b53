"""The contract of resolvers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Generic, TypeVar

from gost_core.context import Context
from gost_core.resolver import InvalidError, Option, Options, Resolver
from gost_core.testing._contract import Contract, NotTried, checks, clause, expect, run
from gost_core.testing._lookups import (
    OptionWatch,
    answers_when_cancelled,
    is_empty,
    out_of_reach,
    upper_case,
    with_trailing_dot,
)
from gost_core.testing._report import Report

__all__ = ("check_resolver_resolver",)

ResolverT = TypeVar("ResolverT", bound=Resolver)
IP = IPv4Address | IPv6Address

_CALLS: Final[int] = 20
_IPV4: Final[IPv4Address] = IPv4Address("192.0.2.1")
_IPV6: Final[IPv6Address] = IPv6Address("2001:db8::1")


class ResolverContract(Contract, Generic[ResolverT], interface=Resolver):
    """Check a resolver."""

    make: Callable[[], ResolverT] = field(kw_only=False)
    """Makes a resolver."""
    known: str | None = None
    """A name that has IPv4 and IPv6 addresses there."""
    unknown: str | None = None
    """A name that does not exist there."""
    make_missing: Callable[[], Resolver] | None = None
    """Makes a reference to a resolver that is not there, if there are references."""
    break_backend: Callable[[ResolverT], Awaitable[object]] | None = None
    """Puts the servers out of a resolver's reach."""

    async def _specimen(self) -> Resolver:
        return self._build()

    def _build(self) -> ResolverT:
        return owned(self.make())

    def _known_name(self) -> str:
        need(self.known, 'known')  # NEED
        return self.known

    async def _resolve(
        self, resolver: Resolver, network: str, host: str, *opts: Option
    ) -> Sequence[IP]:
        answer = resolver.resolve(Context(), network, host, *opts)
        return await within(answer, f"resolve({network!r}, {host!r})")

    @clause("A literal address comes back as itself.", "D39")
    async def literals(self) -> None:
        resolver = self._build()
        for network, literal in (
            ("ip", _IPV4),
            ("ip4", _IPV4),
            ("ip", _IPV6),
            ("ip6", _IPV6),
        ):
            found = await self._resolve(resolver, network, str(literal))
            expect(
                list(found) == [literal],
                f"resolve({network!r}, '{literal}') returned {found!r}",
            )

    @clause('"ip" gives the addresses of both families.', "D39")
    async def both_families(self) -> None:
        name = self._known_name()
        found = await self._resolve(self._build(), "ip", name)
        versions = {address.version for address in found}
        expect(versions == {4, 6}, f"resolve('ip', {name!r}) returned {found!r}")

    @clause('"ip4" and "ip6" give the addresses of that family, and no others.', "D39")
    async def one_family(self) -> None:
        name, resolver = self._known_name(), self._build()
        for network, family in (("ip4", IPv4Address), ("ip6", IPv6Address)):
            found = await self._resolve(resolver, network, name)
            expect(
                _all_of(family, found),
                f"resolve({network!r}, {name!r}) returned {found!r}",
            )

    @clause("A name that does not exist gives an empty sequence.", "D39")
    async def unknown_empty(self) -> None:
        need(self.unknown, 'unknown')  # NEED
        resolver = self._build()
        for network in ("ip", "ip4", "ip6"):
            # Not None: callers could not tell it from a failure of their own.
            found = await self._resolve(resolver, network, self.unknown)
            expect(
                is_empty(found),
                f"resolve({network!r}, {self.unknown!r}) returned {found!r}",
            )

    @clause(
        "A reference to a resolver that is not there raises InvalidError, and the address is left "
        "as it is.",
        "D39",
    )
    async def missing_invalid(self) -> None:
        need(self.make_missing, 'make_missing')  # NEED
        resolver = owned(self.make_missing())
        answer = resolver.resolve(Context(), "ip", "host.example")
        await raises(answer, "resolve()", InvalidError)

    @clause("Names are resolved without regard to case.", "D12", after=("one_family",))
    async def host_case(self) -> None:
        await self._expect_respelled(upper_case(self._known_name()))

    @clause("A trailing dot of a name makes no difference.", "D12", after=("one_family",))
    async def trailing_dot(self) -> None:
        await self._expect_respelled(with_trailing_dot(self._known_name()))

    async def _expect_respelled(self, name: str | None) -> None:
        if name is None:
            raise NotTried("`known` has no other spelling of this kind")
        found = await self._resolve(self._build(), "ip4", name)
        expect(bool(found), f"resolve('ip4', {name!r}) returned {found!r}")

    @clause(
        "A result is the caller's own: changing it does not change the next one.",
        "Go's implementations",
        after=("one_family",),
    )
    async def result_own(self) -> None:
        name, resolver = self._known_name(), self._build()
        found = await self._resolve(resolver, "ip4", name)
        if isinstance(found, list):
            found.clear()
        again = await self._resolve(resolver, "ip4", name)
        expect(bool(again), "after the first result had been emptied, the second was empty")

    @clause(
        "Of two equal queries at once, cancelling the first leaves the second its answer.",
        "Go's implementations",
        after=("one_family",),
    )
    async def cancelled_twin(self) -> None:
        name, resolver = self._known_name(), self._build()
        first = start(resolver.resolve(Context(), "ip4", name))
        await asyncio.sleep(0)
        second = start(resolver.resolve(Context(), "ip4", name))
        # Enough for the second to join the first, and not so much that both are over.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        answer = await within(second, "the second query, when the first had been cancelled,")
        expect(bool(answer), f"the second query, beside a cancelled one, returned {answer!r}")

    @clause("Any callable may be an option, and options are applied once each, in order.", "D23")
    async def options(self) -> None:
        watch = OptionWatch(Options)
        await self._resolve(self._build(), "ip", str(_IPV4), *watch.opts())
        watch.judge()

    @clause(
        "Queries of several requests at once do not mix.",
        "Go's implementations",
        after=("literals", "one_family"),
    )
    async def concurrent(self) -> None:
        name, resolver = self._known_name(), self._build()
        queries = [("ip4", name), ("ip6", str(_IPV6)), ("ip6", name)] * _CALLS
        answers = await within(
            asyncio.gather(*(resolver.resolve(Context(), *query) for query in queries)),
            f"{len(queries)} calls of resolve() at once",
        )
        for (network, host), found in zip(queries, answers, strict=True):
            family = IPv4Address if network == "ip4" else IPv6Address
            right = _all_of(family, found)
            if host != name:
                right = list(found) == [_IPV6]
            expect(right, f"resolve({network!r}, {host!r}) returned {found!r} beside other calls")

    @clause(
        "A call that is cancelled passes the cancellation on, and does not make an answer of it.",
        "D4, D14",
        after=("one_family",),
    )
    async def cancelled(self) -> None:
        name, resolver = self._known_name(), self._build()
        for found in await answers_when_cancelled(partial(resolver.resolve, Context(), "ip4", name)
        ):
            expect(bool(found), f"a cancelled call returned {found!r}")

    @clause(
        "When no server answers, resolve() raises OSError; it does not say that the name does not "
        "exist, nor that there is no resolver.",
        "D14, D39",
        after=("one_family",),
    )
    async def backend_broken(self) -> None:
        name, resolver = self._known_name(), self._build()
        await out_of_reach(resolver, self.break_backend)
        try:
            found = await self._resolve(resolver, "ip4", name)
        except OSError:
            return
        # It may remember the answer.
        expect(bool(found), f"resolve('ip4', {name!r}) then returned {found!r}")


def _all_of(family: type[IP], found: Sequence[object]) -> bool:
    """Tell whether there is something in ``found``, and only addresses of one family."""
    return bool(found) and all(isinstance(one, family) for one in found)
