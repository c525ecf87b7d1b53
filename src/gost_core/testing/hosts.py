"""The contract of host mappers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Generic, TypeVar

from gost_core.context import Context
from gost_core.hosts import HostMapper, Option, Options
from gost_core.testing._contract import Contract, checks, clause, expect, run
from gost_core.testing._lookups import OptionWatch, answers_when_cancelled, out_of_reach
from gost_core.testing._report import Report

__all__ = ("check_hosts_host_mapper",)

HostMapperT = TypeVar("HostMapperT", bound=HostMapper)
IP = IPv4Address | IPv6Address

_CALLS: Final[int] = 20
# Neither sorted nor reversed, so that an order of the mapper's own shows.
_IPV4: Final[Sequence[IP]] = tuple(map(IPv4Address, ("192.0.2.2", "192.0.2.3", "192.0.2.1")))
_IPV6: Final[Sequence[IP]] = (IPv6Address("2001:db8::1"),)
_MAPPING: Final[Mapping[str, Sequence[IP]]] = {
    "both.example": (*_IPV4, *_IPV6),
    "four.example": _IPV4,
    "six.example": _IPV6,
    "Mixed-Case.example": _IPV4,
    "rooted.example.": _IPV4,
}


class HostMapperContract(Contract, Generic[HostMapperT], interface=HostMapper):
    """Check a host mapper."""

    make: Callable[[Mapping[str, Sequence[IPv4Address | IPv6Address]]], HostMapperT] = field(kw_only=False)
    """Makes a host mapper of a mapping, the best address of each name first."""
    break_backend: Callable[[HostMapperT], Awaitable[object]] | None = None
    """Puts the mapping out of a host mapper's reach."""

    async def _specimen(self) -> HostMapper:
        return self._build()

    def _build(self) -> HostMapperT:
        return owned(self.make(_MAPPING))

    async def _lookup(
        self, mapper: HostMapper, network: str, host: str, *opts: Option
    ) -> Sequence[IP] | None:
        answer = mapper.lookup(Context(), network, host, *opts)
        return await within(answer, f"lookup({network!r}, {host!r})")

    async def _expect_found(self, network: str, host: str, expected: Sequence[IP]) -> None:
        found = await self._lookup(self._build(), network, host)
        expect(
            found is not None and set(found) == set(expected),
            f"lookup({network!r}, {host!r}) returned {found!r} instead of {list(expected)!r}",
        )

    @clause('"ip" gives all addresses of a name, of both families.', "D39")
    async def mapped(self) -> None:
        await self._expect_found("ip", "both.example", (*_IPV4, *_IPV6))

    @clause(
        '"ip4" and "ip6" give the addresses of that family, and no others.',
        "D39",
        after=("mapped",),
    )
    async def one_family(self) -> None:
        await self._expect_found("ip4", "both.example", _IPV4)
        await self._expect_found("ip6", "both.example", _IPV6)

    @clause(
        "The addresses come in the order of the mapping, the best first.",
        "D39",
        after=("mapped", "one_family"),
    )
    async def best_first(self) -> None:
        found = await self._lookup(self._build(), "ip4", "both.example")
        expect(
            found is not None and tuple(found) == _IPV4,
            f"{list(_IPV4)!r} became {found!r}",
        )

    @clause(
        "A name that is mapped, but has no address of the family asked for, gives an empty "
        "sequence and not None.",
        "D39",
        after=("mapped",),
    )
    async def other_family_empty(self) -> None:
        await self._expect_found("ip6", "four.example", ())
        await self._expect_found("ip4", "six.example", ())

    @clause("A name that is not mapped gives None, and not an empty sequence.", "D39")
    async def missing_none(self) -> None:
        mapper = self._build()
        for network in ("ip", "ip4", "ip6"):
            for host in ("missing.example", "example"):
                found = await self._lookup(mapper, network, host)
                expect(found is None, f"lookup({network!r}, {host!r}) returned {found!r}")

    @clause("A literal address that is not mapped gives None.", "D39")
    async def literals_none(self) -> None:
        mapper = self._build()
        for literal in ("192.0.2.9", "2001:db8::9"):
            found = await self._lookup(mapper, "ip", literal)
            expect(found is None, f"lookup('ip', {literal!r}) returned {found!r}")

    @clause("Names compare without regard to case.", "D12", after=("mapped",))
    async def host_case(self) -> None:
        await self._expect_found("ip4", "FOUR.example", _IPV4)
        await self._expect_found("ip4", "mixed-case.example", _IPV4)

    @clause("A trailing dot of a name makes no difference.", "D12", after=("mapped",))
    async def trailing_dot(self) -> None:
        await self._expect_found("ip4", "four.example.", _IPV4)
        await self._expect_found("ip4", "rooted.example", _IPV4)

    @clause("Any callable may be an option, and options are applied once each, in order.", "D23")
    async def options(self) -> None:
        watch = OptionWatch(Options)
        await self._lookup(self._build(), "ip", "both.example", *watch.opts())
        watch.judge()

    @clause(
        "Lookups of several requests at once do not mix.",
        "Go's implementations",
        after=("mapped", "one_family"),
    )
    async def concurrent(self) -> None:
        mapper = self._build()
        queries = [("ip4", "four.example"), ("ip6", "six.example")] * _CALLS
        answers = await within(
            asyncio.gather(*(mapper.lookup(Context(), *query) for query in queries)),
            f"{len(queries)} calls of lookup() at once",
        )
        for (network, host), found in zip(queries, answers, strict=True):
            expect(
                found is not None and set(found) == set(_MAPPING[host]),
                f"lookup({network!r}, {host!r}) returned {found!r} beside other calls",
            )

    @clause(
        "A call that is cancelled passes the cancellation on, and does not make an answer of it.",
        "D4, D14",
        after=("mapped",),
    )
    async def cancelled(self) -> None:
        mapper = self._build()
        for found in await answers_when_cancelled(partial(mapper.lookup, Context(), "ip4", "four.example")
        ):
            expect(
                found is not None and set(found) == set(_IPV4),
                f"a cancelled call returned {found!r}",
            )

    @clause(
        "When the mapping is out of reach, lookup() raises OSError; it does not say that a "
        "name is not mapped.",
        "D14, D39",
        after=("mapped",),
    )
    async def backend_broken(self) -> None:
        mapper = self._build()
        await out_of_reach(mapper, self.break_backend)
        try:
            found = await self._lookup(mapper, "ip4", "four.example")
        except OSError:
            return
        # It may remember the mapping.
        expect(
            found is not None and set(found) == set(_IPV4),
            f"lookup('ip4', 'four.example') then returned {found!r}",
        )
