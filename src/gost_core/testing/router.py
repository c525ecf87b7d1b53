"""The contract of route tables; that of what opens connections is in ``chain``."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from functools import partial

from typing_extensions import TypeVar

from gost_core.context import Context
from gost_core.router import Option, Options, Route, Router, id_option
from gost_core.testing._families.lookups import OptionLookup
from gost_core.testing._run.attempt import current
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import expect, given, need, owned, within

__all__ = ("RouterContract",)

RouterT = TypeVar("RouterT", bound=Router, default=Router)


class RouterContract(
    OptionLookup[RouterT, str, Route | None],
    interface=Router,
    first=("exact",),
    said={
        "backend_broken": (
            "When the table is out of reach, get_route() raises OSError; it does not say that "
            "there is no route.",
            "D14",
        )
    },
):
    """What a route table promises; for what opens connections there is another RouterContract."""

    make: Callable[[Sequence[Route]], RouterT] = field(kw_only=False)
    """Makes a router whose only table, or default table, has these routes."""
    make_tables: Callable[[Mapping[str, Sequence[Route]]], RouterT] | None = None
    """Makes a router of several tables by their ids, if there are such."""

    _options = Options

    def _build(self) -> RouterT:
        return self._with("192.0.2.1", "client one")

    def _with(self, *dsts: str) -> RouterT:
        """Make a router with routes to these destinations, each by the gateway ``to <dst>``."""
        return owned(self.make([_route(dst) for dst in dsts]))

    async def _questions(self) -> Sequence[str]:
        return "192.0.2.1", "client one"

    def _more_questions(self, count: int = 2, /) -> Sequence[str]:
        return ["192.0.2.2", *(f"no client {number}" for number in range(1, count))]

    def _ask(self, component: RouterT, question: str, /, *opts: Option) -> Awaitable[Route | None]:
        return component.get_route(current().ctx, question, *opts)

    def _named(self, question: str) -> str:
        return f"get_route({question!r})"

    def _beside(self, component: RouterT) -> Sequence[Callable[[], Awaitable[object]]]:
        dsts = ("192.0.2.1", "192.0.2.2", "")
        return [partial(self._ask, component, dst, id_option(f"no table {dst}")) for dst in dsts]

    def _expect_right(self, question: str, answer: Route | None, when: str = "") -> None:
        self._expect_leads(question, answer, question, when)

    def _expect_leads(
        self, dst: str, route: Route | None, expected: str | None, when: str = ""
    ) -> None:
        """Break the clause unless this is the route to ``expected``, None = none."""
        gateway = None if route is None else route.gateway
        expect(
            gateway == (None if expected is None else _route(expected).gateway),
            f"{self._named(dst)} returned {route!r}{when}; expected "
            + ("None" if expected is None else f"the route to {expected}"),
        )

    async def _expect_route(
        self, router: Router, dst: str, expected: str | None, *opts: Option
    ) -> None:
        """Break the clause unless ``dst`` gets the route to ``expected``, None = none."""
        route = await within(router.get_route(Context(), dst, *opts), self._named(dst))
        self._expect_leads(dst, route, expected)

    @clause(
        "A route whose destination equals the one asked for is found, be it an address or a name.",
        "D63",
    )
    async def exact(self) -> None:
        dsts = ("192.0.2.1", "2001:db8::1", "client one")
        router = self._with(*dsts)
        for dst in dsts:
            await self._expect_route(router, dst, dst)

    @clause(
        "A route to a network is found for the addresses in it, IPv4 and IPv6, and one to an "
        "address in whatever spelling.",
        "D12, D63",
    )
    async def network(self) -> None:
        networks = {
            "192.0.2.64/26": ("192.0.2.64", "192.0.2.77", "192.0.2.127"),
            "2001:db8::1": ("2001:DB8:0::1",),
            "2001:db8:0::2": ("2001:db8::2",),
            "2001:db8::/32": ("2001:db8:1::1", "2001:DB8:0::3"),
            "::/0": ("::1", "2001:db9::1"),
            "0.0.0.0/0": ("192.0.2.63", "192.0.2.128"),
        }
        router = self._with("client one", *networks)
        for network, dsts in networks.items():
            for dst in dsts:
                await self._expect_route(router, dst, network)

    @clause(
        "A destination without a route gives None; the system's own routes do not count.", "D63"
    )
    async def missing_none(self) -> None:
        await self._expect_route(self._with(), "127.0.0.1", None)
        # A name is in no network, not even in that of all addresses.
        await self._expect_route(self._with("0.0.0.0/0", "::/0"), "client one", None)
        router = self._with("client one", "192.0.2.0/24", "2001:db8::/32", "19.0.0.0/8")
        names = ("client two", "client", "client one.example", "x.client one", "192.example")
        for dst in ("127.0.0.1", "::1", "192.0.3.1", "190.0.0.1", "2001:db9::1", *names):
            await self._expect_route(router, dst, None)

    @clause('The destination "" gives None, also where there is a default route.', "D63")
    async def empty_none(self) -> None:
        await self._expect_route(self._with("0.0.0.0/0", "::/0", "client one"), "", None)

    @clause(
        "An equal destination comes before a network, wherever it stands in the table.",
        "D63",
        after=("exact", "network"),
    )
    async def exact_first(self) -> None:
        networks = ("192.0.2.0/24", "192.0.0.0/16", "0.0.0.0/0")
        for order in ((*networks, "192.0.2.1"), ("192.0.2.1", *networks)):
            await self._expect_route(self._with(*order), "192.0.2.1", "192.0.2.1")

    @clause(
        "Of the networks that contain the destination, the first in the table wins, not the "
        "longest.",
        "D63",
        after=("network",),
    )
    async def table_order(self) -> None:
        for order in (("192.0.0.0/16", "192.0.2.0/24"), ("192.0.2.0/24", "192.0.0.0/16")):
            again = Route(dst=order[0], gateway="another")
            router = owned(self.make([*map(_route, order), again]))
            await self._expect_route(router, "192.0.2.1", order[0])

    @clause(
        "A gateway is handed on as it is, be it an address or a name.",
        "D63",
        after=("exact", "network"),
    )
    async def gateway_verbatim(self) -> None:
        names = ("Client One", "gw.example.", " gw.example.:8080 ", "b\u00fcro")
        for gateway in ("192.0.2.254", "2001:DB8:0::1", *names):
            for dst in ("192.0.2.1", "192.0.2.0/24"):
                router = owned(self.make([Route(dst=dst, gateway=gateway)]))
                route = await self._answer(router, "192.0.2.1")
                found = None if route is None else route.gateway
                expect(found == gateway, f"the gateway {gateway!r} became {found!r}")

    @clause("A table that is not known gives None.", "D63", after=("exact",))
    async def unknown_table(self) -> None:
        unknown = id_option("no table of this name")
        await self._expect_route(self._build(), "192.0.2.1", None, unknown)

    @clause("The id says in which table to look.", "D63", after=("concurrent", "exact", "network"))
    async def table_by_id(self) -> None:
        tables = {
            "one": [_route("192.0.2.1")],
            "two": [_route("192.0.2.0/24")],
            "": [_route("192.0.2.2")],
        }
        router = owned(need(self.make_tables, "make_tables")(tables))
        # At once, so that neither is answered for the other.
        await asyncio.gather(
            self._expect_route(router, "192.0.2.1", "192.0.2.1", id_option("one")),
            self._expect_route(router, "192.0.2.1", "192.0.2.0/24", id_option("two")),
        )
        await self._expect_route(router, "192.0.2.2", None, id_option("one"))
        await self._expect_route(router, "192.0.2.1", None, id_option("ONE"))
        await self._expect_route(router, "192.0.2.1", None)

    @clause(
        "No other table stands for one that is out of reach.",
        "D36",
        after=("backend_broken", "table_by_id"),
    )
    async def unreachable_table(self) -> None:
        tables = {"one": [_route("192.0.2.1")], "two": [_route("192.0.2.0/24")], "": []}
        for asked in ((), tables):
            router = owned(need(self.make_tables, "make_tables")(tables))
            for name in asked:
                await given(self._ask(router, "192.0.2.1", id_option(name)), "get_route()")
            await self._break(router)
            for name, expected in (("one", "192.0.2.1"), ("two", "192.0.2.0/24")):
                # From memory, or not at all.
                with suppress(OSError):
                    await self._expect_route(router, "192.0.2.1", expected, id_option(name))


def _route(dst: str) -> Route:
    return Route(dst=dst, gateway=f"to {dst}")
