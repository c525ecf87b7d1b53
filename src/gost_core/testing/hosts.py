"""The contract of host mappers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from typing_extensions import TypeVar

from gost_core.hosts import HostMapper, Option, Options
from gost_core.testing._families.lookups import (
    Addresses,
    IPs,
    Question,
    Respell,
    WholeHosts,
    expect_sequence,
)
from gost_core.testing._run.attempt import current
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import expect, owned, raises

__all__ = ("HostMapperContract",)

HostMapperT = TypeVar("HostMapperT", bound=HostMapper, default=HostMapper)

# Neither sorted nor reversed, nor by family, so that an order of the mapper's own shows.
_IPV4: Final[IPs] = tuple(map(IPv4Address, ("192.0.2.2", "192.0.2.3", "192.0.2.1")))
_IPV6: Final[IPs] = (IPv6Address("2001:db8::1"),)
_MAPPING: Final[Mapping[str, IPs]] = {
    "both.example": (_IPV4[0], *_IPV6, *_IPV4[1:]),
    "four.example": _IPV4,
    "six.example": _IPV6,
    "short": _IPV4,
}


class HostMapperContract(
    Addresses[HostMapperT, IPs | None],
    WholeHosts,
    interface=HostMapper,
    first=("mapped",),
    said={
        "backend_broken": (
            "When the mapping is out of reach, lookup() raises OSError; it does not say that a "
            "name is not mapped.",
            "D14, D39",
        )
    },
):
    """What a host mapper promises."""

    make: Callable[[Mapping[str, Sequence[IPv4Address | IPv6Address]]], HostMapperT] = field(
        kw_only=False
    )
    """Makes a host mapper of a mapping, the best address of each name first."""

    _holds_last = False
    _options = Options

    def _build(self) -> HostMapperT:
        return owned(self.make(_MAPPING))

    async def _questions(self) -> Sequence[Question]:
        return (
            ("ip4", "four.example"),
            ("ip6", "six.example"),
            ("ip6", "both.example"),
            ("ip", "both.example"),
            ("ip", "four.example"),
        )

    def _more_questions(self, count: int = 1, /) -> Sequence[Question]:
        return [("ip", f"{number * 'x'}missing.example") for number in range(count)]

    def _ask(
        self, component: HostMapperT, question: Question, /, *opts: Option
    ) -> Awaitable[IPs | None]:
        return component.lookup(current().ctx, *question, *opts)

    def _named(self, question: Question) -> str:
        return f"lookup{question}"

    def _both_families(self) -> str:
        return "both.example"

    def _expect_right(self, question: Question, answer: IPs | None, when: str = "") -> None:
        network, host = question
        if answer is not None:
            expect_sequence(answer, self._named(question))
        expected = [one for one in _MAPPING[host] if network in ("ip", f"ip{one.version}")]
        expect(
            answer is not None and set(answer) == set(expected),
            f"{self._named(question)} returned {answer!r} instead of {expected!r}{when}",
        )

    async def _expect_none(self, mapper: HostMapperT, network: str, host: str) -> None:
        found = await self._answer(mapper, (network, host))
        expect(found is None, f"lookup({network!r}, {host!r}) returned {found!r}")

    async def _expect_respelled(self, respell: Respell) -> None:
        asked, mapped = respell("asked.example"), respell("mapped.example")
        mapper = owned(self.make({"asked.example": _IPV4, mapped: _IPV4}))
        for host in (asked, "mapped.example"):
            found = await self._answer(mapper, ("ip4", host))
            right = found is not None and set(found) == set(_IPV4)
            expect(right, f"lookup('ip4', {host!r}) returned {found!r}, not {list(_IPV4)!r}")

    async def _expect_unknown(self, *hosts: str) -> None:
        mapper = owned(self.make({"host.example": _IPV4}))
        for host in hosts:
            # What is no host may be refused.
            with suppress(ValueError):
                found = await self._answer(mapper, ("ip", host))
                expect(not found, f"lookup('ip', {host!r}) returned {found!r}")

    @clause('"ip" gives all addresses of a name, of both families.', "D39")
    async def mapped(self) -> None:
        await self._expect_found(self._build(), "ip", "both.example")

    @clause(
        "The addresses come in the order of the mapping, the best first.",
        "D39",
        after=("mapped", "one_family"),
    )
    async def best_first(self) -> None:
        for network, expected in (("ip4", _IPV4), ("ip", _MAPPING["both.example"])):
            mapper = self._build()
            for _ in range(2):
                found = await self._answer(mapper, (network, "both.example"))
                in_order = found is not None and tuple(found) == expected
                expect(in_order, f"{list(expected)!r} became {found!r}")

    @clause(
        "A name that is mapped, but has no address of the family asked for, gives an empty "
        "sequence and not None.",
        "D39",
        after=("mapped",),
    )
    async def other_family_empty(self) -> None:
        mapper = self._build()
        await self._expect_found(mapper, "ip6", "four.example")
        await self._expect_found(mapper, "ip4", "six.example")

    @clause("A name that is not mapped gives None, and not an empty sequence.", "D39")
    async def missing_none(self) -> None:
        mapper = self._build()
        for network in ("ip", "ip4", "ip6"):
            for host in ("missing.example", "example", "a.four.example", "short.example"):
                await self._expect_none(mapper, network, host)

    @clause("A literal address that is not mapped gives None.", "D39")
    async def literals_none(self) -> None:
        mapper = self._build()
        for literal in ("192.0.2.9", "2001:db8::9"):
            for network in ("ip", "ip4", "ip6"):
                await self._expect_none(mapper, network, literal)

    @clause(
        "A mapped name with letters outside ASCII is found by its ASCII form.",
        "D12",
        after=("mapped",),
    )
    async def host_idna(self) -> None:
        mapper = owned(self.make({"b\u00fccher.example": _IPV4}))
        found = await self._answer(mapper, ("ip4", "xn--bcher-kva.example"))
        expect(found is not None, "a mapping of b\u00fccher.example was not found")

    @clause(
        "A name that is no host is refused with a ValueError: one with a backslash, a space or a "
        "control character.",
        "D12",
        after=("mapped",),
    )
    async def no_host_refused(self) -> None:
        await self._expect_refused("a\\b.example", "a b.example", "a\n.example")

    @clause(
        "A number that is no IPv4 address in four decimal parts is refused with a ValueError.",
        "D12",
        after=("mapped",),
    )
    async def number_refused(self) -> None:
        await self._expect_refused(
            "127.1", "0x7f000001", "0x7f.1", "2130706433", "a.example.0x1", "1."
        )

    async def _expect_refused(self, *names: str) -> None:
        for name in names:
            with suppress(ValueError):
                mapper = owned(self.make({name: _IPV4, "host.example": _IPV4}))
                # A constructor reads no file (D18), and what stands in one is a backend's (D15).
                answer = self._ask(mapper, ("ip", "host.example"))
                await raises(answer, f"a mapping of {name!r}", ValueError, OSError)
