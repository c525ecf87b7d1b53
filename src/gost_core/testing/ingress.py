"""The contract of ingresses."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import field
from functools import partial

from typing_extensions import TypeVar

from gost_core.context import Context
from gost_core.ingress import Ingress, Option, Options, Rule, with_service
from gost_core.testing._families.calls import Methods
from gost_core.testing._families.lookups import Changes, OptionLookup, Respell, WholeHosts
from gost_core.testing._families.options import AnyOption
from gost_core.testing._run.attempt import current
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import applies, ended, expect, owned, start, turns, within

__all__ = ("IngressContract",)

IngressT = TypeVar("IngressT", bound=Ingress, default=Ingress)


class IngressContract(
    Changes[IngressT, str, Rule | None],
    OptionLookup[IngressT, str, Rule | None],
    WholeHosts,
    interface=Ingress,
    first=("found", "wildcard_below"),
    said={
        "backend_broken": (
            "When the store is out of reach, get_rule() raises OSError; it does not say that "
            "there is no rule.",
            "D14",
        )
    },
):
    """What an ingress promises."""

    make: Callable[[Sequence[Rule]], IngressT] = field(kw_only=False)
    """Makes an ingress with these rules in its store, and no others."""

    _options = Options

    def _build(self) -> IngressT:
        return self._with("a.example", "b.example")

    def _with(self, *hostnames: str) -> IngressT:
        """Make an ingress in which each host name leads to ``to <name>``."""
        return owned(self.make([_rule(hostname) for hostname in hostnames]))

    async def _questions(self) -> Sequence[str]:
        return "a.example", "b.example"

    def _more_questions(self, count: int = 1, /) -> Sequence[str]:
        return [f"{number * 'x'}c.example" for number in range(count)]

    def _ask(self, component: IngressT, question: str, /, *opts: Option) -> Awaitable[Rule | None]:
        return component.get_rule(current().ctx, question, *opts)

    async def _tell(self, component: IngressT, question: str, /, *opts: Option) -> None:
        await self._ask(component, question, *opts)
        await component.set_rule(current().ctx, _rule(question), *opts)

    def _named(self, question: str) -> str:
        return f"get_rule({question!r})"

    async def _call_with(self, *opts: AnyOption) -> None:
        ingress = self._build()
        for _ in range(2):
            await self._ask(ingress, "a.example", *opts)
            await ingress.set_rule(Context(), _rule("c.example"), *opts)

    def _changes(self, component: IngressT) -> Methods:
        rules = {"set_rule()": _rule("a.example"), "a deletion": Rule(hostname="a.test")}
        return {what: partial(component.set_rule, Context(), one) for what, one in rules.items()}

    def _elsewhere(self, component: IngressT) -> Methods:
        return {"set_rule()": lambda: component.set_rule(Context(), _rule("c.example"))}

    def _beside(self, component: IngressT) -> Sequence[Callable[[], Awaitable[object]]]:
        hosts = ("c.example", "d.example:443")
        setting = [partial(component.set_rule, Context(), _rule(host)) for host in hosts]
        asking = [partial(self._ask, component, host, with_service(host)) for host in hosts]
        return [*setting, *asking]

    async def _set(self, ingress: IngressT, rule: Rule) -> bool:
        return await within(ingress.set_rule(Context(), rule), f"set_rule({rule!r})")

    def _expect_right(self, question: str, answer: Rule | None, when: str = "") -> None:
        self._expect_leads(question, answer, question, when)

    def _expect_leads(
        self, host: str, rule: Rule | None, hostname: str | None, when: str = ""
    ) -> None:
        """Break the clause unless a rule leads where that of ``hostname`` does, None = nowhere."""
        endpoint = None if rule is None else rule.endpoint
        expect(
            endpoint == (None if hostname is None else _rule(hostname).endpoint),
            f"{self._named(host)} returned {rule!r}{when}; expected "
            + ("None" if hostname is None else f"the rule of {hostname!r}"),
        )

    async def _expect_rule(self, ingress: IngressT, host: str, hostname: str | None) -> None:
        """Break the clause unless ``host`` gets the rule of ``hostname``, None = none."""
        self._expect_leads(host, await self._answer(ingress, host), hostname)

    async def _expect_respelled(self, respell: Respell) -> None:
        ingress = self._with("a.example", "*.b.example", respell("d.example"))
        await self._expect_rule(ingress, respell("a.example"), "a.example")
        await self._expect_rule(ingress, respell("c.b.example"), "*.b.example")
        await self._expect_rule(ingress, "d.example", respell("d.example"))

    async def _expect_unknown(self, *hosts: str) -> None:
        ingress = self._with("host.example")
        for host in hosts:
            # What is no host may be refused.
            with suppress(ValueError):
                await self._expect_rule(ingress, host, None)

    @clause("The rule of an exact host name is found.", "D62")
    async def found(self) -> None:
        ingress = self._with("a.example", "b.example")
        for host in ("a.example", "b.example"):
            await self._expect_rule(ingress, host, host)

    @clause("A host that no rule covers gives None.", "D62")
    async def missing_none(self) -> None:
        await self._expect_rule(self._with(), "a.example", None)
        ingress = self._with("a.example", "*.b.example", ".c.example")
        # Neither what is above a rule nor what only ends in the same letters.
        for host in ("d.example", "example", "x.a.example", "xb.example", "xc.example"):
            await self._expect_rule(ingress, host, None)

    @clause("A rule for .d or *.d covers everything below d, at any depth.", "D62")
    async def wildcard_below(self) -> None:
        for hostname in (".example", "*.example"):
            ingress = self._with(hostname)
            for host in ("a.example", "c.b.a.example"):
                await self._expect_rule(ingress, host, hostname)

    @clause("A rule for .d or *.d covers d itself.", "D62")
    async def wildcard_itself(self) -> None:
        for hostname in (".d.example", "*.d.example"):
            await self._expect_rule(self._with(hostname), "d.example", hostname)

    @clause(
        "An exact host name beats one that covers it, in whatever order they were given.",
        "D62",
        after=("found", "wildcard_below", "wildcard_itself"),
    )
    async def exact_first(self) -> None:
        hostnames = ("a.example", ".a.example", "*.example")
        for order in (hostnames, hostnames[::-1]):
            await self._expect_rule(self._with(*order), "a.example", "a.example")

    @clause(
        "Of the host names that cover a host, the longest wins, in whatever order they were given.",
        "D62",
        after=("wildcard_below", "wildcard_itself"),
    )
    async def longest_first(self) -> None:
        hostnames = (".b.a.example", "*.a.example", ".example")
        for order in (hostnames, hostnames[::-1]):
            ingress = self._with(*order)
            for below in ("", "c."):
                await self._expect_rule(ingress, f"{below}b.a.example", ".b.a.example")
                await self._expect_rule(ingress, f"{below}a.example", "*.a.example")
            await self._expect_rule(ingress, "c.example", ".example")

    @clause('"." takes what no other rule covers.', "D62", after=("found", "wildcard_below"))
    async def rest(self) -> None:
        for order in ((".", "a.example", "*.b.example"), ("*.b.example", "a.example", ".")):
            ingress = self._with(*order)
            for host in ("c.example", "localhost", "192.0.2.1", "[2001:db8::1]:443"):
                await self._expect_rule(ingress, host, ".")
            await self._expect_rule(ingress, "a.example", "a.example")
            await self._expect_rule(ingress, "c.b.example", "*.b.example")

    @clause("The port of the host asked for is ignored.", "D62", after=("trailing_dot",))
    async def port_ignored(self) -> None:
        ingress = self._with("a.example", "*.b.example")
        for host in ("a.example:443", "a.example:65535", "a.example.:1"):
            await self._expect_rule(ingress, host, "a.example")
        await self._expect_rule(ingress, "c.b.example:8080", "*.b.example")

    @clause(
        "An IPv6 host is found in each spelling, bare or in brackets, with or without a port.",
        "D12, D62",
        after=("found",),
    )
    async def ipv6_host(self) -> None:
        for hostname in ("2001:db8::1", "2001:db8:0::1"):
            ingress = self._with(hostname)
            for host in ("2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443", "2001:db8:0:0::0001"):
                await self._expect_rule(ingress, host, hostname)
        ingress = self._with("192.0.2.1")
        await self._expect_rule(ingress, "[::ffff:192.0.2.1]:443", "192.0.2.1")

    @clause(
        "The rule that is returned has its own host name, not the one asked for.",
        "D62",
        after=("rest",),
    )
    async def own_hostname(self) -> None:
        for hostname in (".example", "*.example", "."):
            rule = await self._answer(self._with(hostname), "a.example")
            name = "" if rule is None else rule.hostname
            # The two spellings mean the same.
            own = name.removeprefix("*") == hostname.removeprefix("*")
            what = f"get_rule('a.example') has the host name {name!r} instead of {hostname!r}"
            expect(own, what)

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
        ingress = self._with("a.example")
        await self._expect_rule(ingress, "b.example", None)
        stored = await self._set(ingress, _rule("b.example"))
        await self._expect_rule(ingress, "b.example", "b.example" if stored else None)
        # Nor stays what was found meanwhile.
        for number in range(5):
            host = f"{number}.example"
            asked = start(self._answer(ingress, host))
            await turns(number)
            stored = await self._set(ingress, _rule(host))
            await ended(asked)
            await self._expect_rule(ingress, host, host if stored else None)
        stored = await self._set(ingress, Rule(hostname="a.example", endpoint="elsewhere"))
        rule = await self._answer(ingress, "a.example")
        expected = "elsewhere" if stored else _rule("a.example").endpoint
        expect(
            rule is not None and rule.endpoint == expected,
            f"after set_rule() had returned {stored!r}, get_rule() returned {rule!r}",
        )

    @clause(
        "A rule that is stored later wins where it would have won from the beginning.",
        "D62",
        after=("exact_first", "longest_first", "rest", "set_answer"),
    )
    async def later_in_order(self) -> None:
        hosts = {"c.a.example": "c.a.example", "a.example": "*.a.example", "b.example": ".example"}
        names = (*hosts.values(), ".")
        for order in (names, names[::-1]):
            ingress = self._with(order[0])
            stored = [await self._set(ingress, _rule(name)) for name in order[1:]]
            applies(all(stored), "it stores nothing: set_rule() returned False")
            for host, hostname in hosts.items():
                await self._expect_rule(ingress, host, hostname)

    @clause(
        "A rule is replaced by one of its endpoint, and of no other until it was deleted.",
        "D62",
        after=("set_deletes",),
    )
    async def others_kept(self) -> None:
        ingress, again = self._with("a.example", "*.b.example"), list[bool]()
        elsewhere = [Rule(hostname=one, endpoint="else") for one in ("a.example", ".b.example")]
        for rule, hostname in zip(elsewhere, ("a.example", "*.b.example"), strict=True):
            stored = await self._set(ingress, rule)
            expect(not stored, f"{rule!r} was stored though {hostname!r} led elsewhere")
            await self._expect_rule(ingress, hostname.replace("*", "c"), hostname)
            again.append(await self._set(ingress, _rule(hostname)))
        deleted = await self._set(ingress, Rule(hostname="a.example"))
        applies(deleted, "it stores nothing: set_rule() returned False")
        expect(all(again), "a rule of the same endpoint was not replaced")
        stored = await self._set(ingress, elsewhere[0])
        found = await self._answer(ingress, "a.example")
        free = stored and found is not None and found.endpoint == "else"
        expect(free, f"when the rule of a.example had been deleted, get_rule() returned {found!r}")

    @clause(
        "Of several endpoints that want one host at once, exactly one gets it.",
        "D62",
        after=("others_kept",),
    )
    async def set_once(self) -> None:
        ingress, ends = self._with("a.example"), [f"end {number}" for number in range(5)]
        # The two spellings mean the same.
        names = (".b.example", "*.b.example") * 3
        rules = (Rule(hostname=name, endpoint=end) for name, end in zip(names, ends, strict=False))
        setting = (self._set(ingress, rule) for rule in rules)
        done = await asyncio.gather(*setting)
        applies(any(done), "it stores nothing: set_rule() returned False")
        stored = [end for end, one in zip(ends, done, strict=True) if one]
        rule = await self._answer(ingress, "x.b.example")
        right = rule is not None and stored == [rule.endpoint]
        expect(right, f"set_rule() was True for {stored}, and get_rule() returned {rule!r}")

    @clause(
        "One whose set_rule() is cancelled leaves the host to the next, or its own rule there.",
        "D20, D62",
        after=("others_kept",),
    )
    async def claim_freed(self) -> None:
        ingress = self._with("a.example")
        stored = await self._set(ingress, _rule("b.example"))
        applies(stored, "it stores nothing: set_rule() returned False")
        for number in range(1, 4):
            name = f"c{number}.example"
            first, second = (Rule(hostname=name, endpoint=end) for end in ("one", "other"))
            claim = start(self._set(ingress, first))
            await turns(number)
            claim.cancel()
            await ended(claim)
            got = await self._set(ingress, second)
            rule = await self._answer(ingress, second.hostname)
            right = rule is not None and got is (rule.endpoint == second.endpoint)
            expect(right, f"after a call that was cancelled, set_rule({second!r}) was {got}")
            # To look and to store are one step: a rule that is replaced is never away.
            again = start(self._set(ingress, _rule("a.example")))
            await turns(number)
            again.cancel()
            await ended(again)
            await self._expect_rule(ingress, "a.example", "a.example")

    @clause(
        "set_rule() compares host names as get_rule() does hosts.",
        "D12, D62",
        after=("host_idna", "set_deletes"),
    )
    async def set_spelling(self) -> None:
        ingress = self._with("a.example")
        stored = await self._set(ingress, Rule(hostname="B.Example.", endpoint="to b.example"))
        applies(stored, "it stores nothing: set_rule() returned False")
        await self._expect_rule(ingress, "b.example", "b.example")
        await self._set(ingress, _rule("b\u00fccher.example"))
        await self._expect_rule(ingress, "xn--bcher-kva.example", "b\u00fccher.example")
        await self._set(ingress, Rule(hostname="A.EXAMPLE."))
        await self._expect_rule(ingress, "a.example", None)

    @clause(
        "A host with letters outside ASCII and its ASCII form are the same host.",
        "D12",
        after=("host_case", "trailing_dot"),
    )
    async def host_idna(self) -> None:
        ingress = self._with("b\u00fccher.example", "xn--bcher-kva.test", "*.b\u00fccher.d")
        await self._expect_rule(ingress, "a.xn--bcher-kva.d", "*.b\u00fccher.d")
        await self._expect_rule(ingress, "xn--bcher-kva.example", "b\u00fccher.example")
        await self._expect_rule(ingress, "b\u00fccher.test", "xn--bcher-kva.test")

    @clause(
        "Setting a rule with an empty endpoint deletes the rule of that host name.",
        "D62",
        after=("later_in_order",),
    )
    async def set_deletes(self) -> None:
        hosts = ("b.example", "x.a.example")
        below = "x.d.c.example"
        ingress = self._with("a.example", *hosts, "y.c.example", "*.c.example", ".d.example", below)
        stored = await self._set(ingress, Rule(hostname="a.example"))
        applies(stored, "it stores nothing: set_rule() returned False")
        await self._expect_rule(ingress, "a.example", None)
        for host in hosts:
            await self._expect_rule(ingress, host, host)
        await self._set(ingress, Rule(hostname="y.c.example"))
        await self._expect_rule(ingress, "y.c.example", "*.c.example")
        # The two spellings mean the same; what was found before does not stay.
        for other, hostname in ((".c.example", "*.c.example"), ("*.d.example", ".d.example")):
            host = f"x{other.removeprefix('*')}"
            await self._expect_rule(ingress, host, hostname)
            await self._set(ingress, Rule(hostname=other))
            await self._expect_rule(ingress, host, None)
            await self._set(ingress, _rule(hostname))
            await self._expect_rule(ingress, host, hostname)
        await self._expect_rule(ingress, below, below)


def _rule(hostname: str) -> Rule:
    return Rule(hostname=hostname, endpoint=f"to {hostname}")
