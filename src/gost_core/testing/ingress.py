"""The contract of ingresses."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

from gost_core.context import Context
from gost_core.ingress import Ingress, Option, Options, Rule
from gost_core.testing._contract import Contract, NotTried, checks, clause, expect, run
from gost_core.testing._lookups import OptionWatch, answers_when_cancelled, out_of_reach
from gost_core.testing._report import Report

__all__ = ("check_ingress_ingress",)

IngressT = TypeVar("IngressT", bound=Ingress)

_CALLS: Final[int] = 20


class IngressContract(Contract, Generic[IngressT], interface=Ingress):
    """Check an ingress."""

    make: Callable[[Sequence[Rule]], IngressT] = field(kw_only=False)
    """Makes an ingress with these rules in its store, and no others."""
    break_backend: Callable[[IngressT], Awaitable[object]] | None = None
    """Puts the store out of an ingress's reach."""

    async def _specimen(self) -> Ingress:
        return self._build()

    def _build(self, *hostnames: str) -> IngressT:
        """Make an ingress in which each host name leads to ``to <name>``."""
        return owned(self.make([_rule(hostname) for hostname in hostnames]))

    async def _get(self, ingress: Ingress, host: str, *opts: Option) -> Rule | None:
        answer = ingress.get_rule(Context(), host, *opts)
        return await within(answer, f"get_rule({host!r})")

    async def _set(self, ingress: Ingress, rule: Rule, *opts: Option) -> bool:
        answer = ingress.set_rule(Context(), rule, *opts)
        return await within(answer, f"set_rule({rule!r})")

    async def _expect_rule(self, ingress: Ingress, host: str, hostname: str | None) -> None:
        """Expect that ``host`` is led where the rule of ``hostname`` leads, None = nowhere."""
        rule = await self._get(ingress, host)
        endpoint = None if rule is None else rule.endpoint
        expected = None if hostname is None else _rule(hostname).endpoint
        expect(
            endpoint == expected,
            f"get_rule({host!r}) returned {rule!r}; expected "
            + ("None" if hostname is None else f"the rule of {hostname!r}"),
        )

    @clause("The rule of an exact host name is found.", "D62")
    async def found(self) -> None:
        ingress = self._build("a.example", "b.example")
        for host in ("a.example", "b.example"):
            await self._expect_rule(ingress, host, host)

    @clause("A host that no rule covers gives None.", "D62")
    async def missing_none(self) -> None:
        await self._expect_rule(self._build(), "a.example", None)
        ingress = self._build("a.example", "*.b.example", ".c.example")
        # Neither what is above a rule nor what only ends in the same letters.
        for host in ("d.example", "example", "x.a.example", "xb.example", "xc.example"):
            await self._expect_rule(ingress, host, None)

    @clause("A rule for .d or *.d covers everything below d, at any depth.", "D62")
    async def wildcard_below(self) -> None:
        for hostname in (".example", "*.example"):
            ingress = self._build(hostname)
            for host in ("a.example", "c.b.a.example"):
                await self._expect_rule(ingress, host, hostname)

    @clause("A rule for .d or *.d covers d itself.", "D62")
    async def wildcard_itself(self) -> None:
        for hostname in (".d.example", "*.d.example"):
            await self._expect_rule(self._build(hostname), "d.example", hostname)

    @clause(
        "An exact host name beats one that covers it, in whatever order they were given.",
        "D62",
        after=("found", "wildcard_below", "wildcard_itself"),
    )
    async def exact_first(self) -> None:
        hostnames = ("a.example", ".a.example", "*.example")
        for order in (hostnames, hostnames[::-1]):
            await self._expect_rule(self._build(*order), "a.example", "a.example")

    @clause(
        "Of the host names that cover a host, the longest wins, in whatever order they were given.",
        "D62",
        after=("wildcard_below",),
    )
    async def longest_first(self) -> None:
        hostnames = (".b.a.example", "*.a.example", ".example")
        for order in (hostnames, hostnames[::-1]):
            ingress = self._build(*order)
            await self._expect_rule(ingress, "c.b.a.example", ".b.a.example")
            await self._expect_rule(ingress, "c.a.example", "*.a.example")
            await self._expect_rule(ingress, "c.example", ".example")

    @clause('"." takes what no other rule covers.', "D62", after=("found", "wildcard_below"))
    async def rest(self) -> None:
        for order in ((".", "a.example", "*.b.example"), ("*.b.example", "a.example", ".")):
            ingress = self._build(*order)
            await self._expect_rule(ingress, "c.example", ".")
            await self._expect_rule(ingress, "localhost", ".")
            await self._expect_rule(ingress, "a.example", "a.example")
            await self._expect_rule(ingress, "c.b.example", "*.b.example")

    @clause("The port of the host asked for is ignored.", "D62", after=("found", "wildcard_below"))
    async def port_ignored(self) -> None:
        ingress = self._build("a.example", "*.b.example")
        await self._expect_rule(ingress, "a.example:443", "a.example")
        await self._expect_rule(ingress, "c.b.example:8080", "*.b.example")

    @clause(
        "An IPv6 host is found, bare or in brackets, with or without a port.",
        "D12, D62",
        after=("found",),
    )
    async def ipv6_host(self) -> None:
        ingress = self._build("2001:db8::1")
        for host in ("2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443"):
            await self._expect_rule(ingress, host, "2001:db8::1")

    @clause("Hosts compare without regard to case.", "D12", after=("found", "wildcard_below"))
    async def host_case(self) -> None:
        ingress = self._build("a.example", "*.b.example", "Mixed.example")
        await self._expect_rule(ingress, "A.Example", "a.example")
        await self._expect_rule(ingress, "C.B.EXAMPLE", "*.b.example")
        await self._expect_rule(ingress, "mixed.example", "Mixed.example")

    @clause(
        "A trailing dot of a host makes no difference.", "D12", after=("found", "wildcard_below")
    )
    async def trailing_dot(self) -> None:
        ingress = self._build("a.example", "*.b.example", "rooted.example.")
        await self._expect_rule(ingress, "a.example.", "a.example")
        await self._expect_rule(ingress, "c.b.example.", "*.b.example")
        await self._expect_rule(ingress, "rooted.example", "rooted.example.")

    @clause(
        "The rule that is returned has its own host name, not the one asked for.",
        "D62",
        after=("wildcard_below",),
    )
    async def own_hostname(self) -> None:
        for hostname in (".example", "*.example"):
            rule = await self._get(self._build(hostname), "a.example")
            name = None if rule is None else rule.hostname
            # The two spellings mean the same.
            expect(
                name in (".example", "*.example"),
                f"get_rule('a.example') has the host name {name!r} instead of {hostname!r}",
            )

    @clause("A rule with an empty endpoint is no rule.", "D62", after=("found",))
    async def empty_endpoint(self) -> None:
        ingress = owned(self.make([Rule(hostname="a.example")]))
        await self._expect_rule(ingress, "a.example", None)

    @clause(
        "set_rule() says whether the rule was stored: after True it is found, after False it "
        "is not.",
        "D62",
        after=("found", "missing_none"),
    )
    async def set_answer(self) -> None:
        ingress = self._build("a.example")
        stored = await self._set(ingress, _rule("b.example"))
        await self._expect_rule(ingress, "b.example", "b.example" if stored else None)
        stored = await self._set(ingress, Rule(hostname="a.example", endpoint="elsewhere"))
        rule = await self._get(ingress, "a.example")
        expected = "elsewhere" if stored else _rule("a.example").endpoint
        expect(
            rule is not None and rule.endpoint == expected,
            f"after set_rule() had returned {stored!r}, get_rule() returned {rule!r}",
        )

    @clause(
        "Setting a rule with an empty endpoint deletes the rule of that host name.",
        "D62",
        after=("set_answer",),
    )
    async def set_deletes(self) -> None:
        ingress = self._build("a.example", "b.example")
        if not await self._set(ingress, Rule(hostname="a.example")):
            raise NotTried("it stores nothing: set_rule() returned False")
        await self._expect_rule(ingress, "a.example", None)
        await self._expect_rule(ingress, "b.example", "b.example")

    @clause("Any callable may be an option, and options are applied once each, in order.", "D23")
    async def options(self) -> None:
        ingress = self._build("a.example")
        getting, setting = OptionWatch(Options), OptionWatch(Options)
        await self._get(ingress, "a.example", *getting.opts())
        await self._set(ingress, _rule("b.example"), *setting.opts())
        getting.judge()
        setting.judge()

    @clause(
        "Calls for several requests at once do not mix.", "Go's implementations", after=("found",)
    )
    async def concurrent(self) -> None:
        ingress = self._build("a.example", "b.example")
        hosts = ["a.example", "b.example"] * _CALLS
        rules = await within(
            asyncio.gather(*(ingress.get_rule(Context(), host) for host in hosts)),
            f"{len(hosts)} calls of get_rule() at once",
        )
        for host, rule in zip(hosts, rules, strict=True):
            expect(
                rule is not None and rule.endpoint == _rule(host).endpoint,
                f"get_rule({host!r}) returned {rule!r} beside other calls",
            )

    @clause(
        "A call that is cancelled passes the cancellation on, and does not make an answer of it.",
        "D4, D14",
        after=("found",),
    )
    async def cancelled(self) -> None:
        ingress = self._build("a.example")
        for rule in await answers_when_cancelled(partial(ingress.get_rule, Context(), "a.example")
        ):
            expect(
                rule is not None and rule.endpoint == _rule("a.example").endpoint,
                f"a cancelled call returned {rule!r}",
            )

    @clause(
        "When the store is out of reach, get_rule() raises OSError; it does not say that "
        "there is no rule.",
        "D14",
        after=("found",),
    )
    async def backend_broken(self) -> None:
        ingress = self._build("a.example")
        await out_of_reach(ingress, self.break_backend)
        try:
            rule = await self._get(ingress, "a.example")
        except OSError:
            return
        # It may remember the rules.
        expect(
            rule is not None and rule.endpoint == _rule("a.example").endpoint,
            f"get_rule('a.example') then returned {rule!r}",
        )


def _rule(hostname: str) -> Rule:
    return Rule(hostname=hostname, endpoint=f"to {hostname}")
