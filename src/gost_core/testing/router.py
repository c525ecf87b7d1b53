"""The contract of route tables."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

from gost_core.context import Context
from gost_core.router import Option, Options, Route, Router, id_option
from gost_core.testing._contract import Contract, NotTried, checks, clause, expect, run
from gost_core.testing._lookups import OptionWatch, answers_when_cancelled, out_of_reach
from gost_core.testing._report import Report

__all__ = ("check_router_router",)

RouterT = TypeVar("RouterT", bound=Router)

_CALLS: Final[int] = 20


class RouterContract(Contract, Generic[RouterT], interface=Router):
    """Check a route table; for what opens connections there is ``check_chain_router``."""

    make: Callable[[Sequence[Route]], RouterT] = field(kw_only=False)
    """Makes a router whose only table, or default table, has these routes."""
    make_tables: Callable[[Mapping[str, Sequence[Route]]], Router] | None = None
    """Makes a router of several tables by their ids, if there are such."""
    break_backend: Callable[[RouterT], Awaitable[object]] | None = None
    """Puts the table out of a router's reach."""

    async def _specimen(self) -> Router:
        return self._build()

    def _build(self, *dsts: str) -> RouterT:
        """Make a router with routes to these destinations, each by the gateway ``to <dst>``."""
        return owned(self.make([_route(dst) for dst in dsts]))

    async def _get(self, router: Router, dst: str, *opts: Option) -> Route | None:
        return await within(router.get_route(Context(), dst, *opts), f"get_route({dst!r})")

    async def _expect_route(
        self, router: Router, dst: str, expected: str | None, *opts: Option
    ) -> None:
        """Expect the route to ``expected`` for ``dst``, None = no route."""
        route = await self._get(router, dst, *opts)
        gateway = None if route is None else route.gateway
        expect(
            gateway == (None if expected is None else _route(expected).gateway),
            f"get_route({dst!r}) returned {route!r}; expected "
            + ("None" if expected is None else f"the route to {expected}"),
        )

    @clause(
        "A route whose destination equals the one asked for is found, be it an address or a name.",
        "D63",
    )
    async def exact(self) -> None:
        dsts = ("192.0.2.1", "2001:db8::1", "client one")
        router = self._build(*dsts)
        for dst in dsts:
            await self._expect_route(router, dst, dst)

    @clause("A route to a network is found for the addresses in it, IPv4 and IPv6.", "D63")
    async def network(self) -> None:
        router = self._build("client one", "192.0.2.0/24", "2001:db8::/32")
        await self._expect_route(router, "192.0.2.77", "192.0.2.0/24")
        await self._expect_route(router, "2001:db8:1::1", "2001:db8::/32")

    @clause(
        "A destination without a route gives None; the system's own routes do not count.", "D63"
    )
    async def missing_none(self) -> None:
        await self._expect_route(self._build(), "127.0.0.1", None)
        router = self._build("client one", "192.0.2.0/24", "2001:db8::/32")
        for dst in ("127.0.0.1", "::1", "192.0.3.1", "2001:db9::1", "client two", "client"):
            await self._expect_route(router, dst, None)

    @clause('The destination "" gives None, also where there is a default route.', "D63")
    async def empty_none(self) -> None:
        await self._expect_route(self._build("0.0.0.0/0", "::/0", "client one"), "", None)

    @clause(
        "An equal destination comes before a network, wherever it stands in the table.",
        "D63",
        after=("exact", "network"),
    )
    async def exact_first(self) -> None:
        for order in (("192.0.2.0/24", "192.0.2.1"), ("192.0.2.1", "192.0.2.0/24")):
            await self._expect_route(self._build(*order), "192.0.2.1", "192.0.2.1")

    @clause(
        "Of the networks that contain the destination, the first in the table wins, not the "
        "longest.",
        "D63",
        after=("network",),
    )
    async def table_order(self) -> None:
        for order in (("192.0.0.0/16", "192.0.2.0/24"), ("192.0.2.0/24", "192.0.0.0/16")):
            await self._expect_route(self._build(*order), "192.0.2.1", order[0])

    @clause(
        "A gateway is handed on as it is, be it an address or a name.",
        "D63",
        after=("exact", "network"),
    )
    async def gateway_verbatim(self) -> None:
        for gateway in ("192.0.2.254", "Client One", "gw.example.:8080"):
            for dst in ("192.0.2.1", "192.0.2.0/24"):
                router = owned(self.make([Route(dst=dst, gateway=gateway)]))
                route = await self._get(router, "192.0.2.1")
                found = None if route is None else route.gateway
                expect(found == gateway, f"the gateway {gateway!r} became {found!r}")

    @clause("A table that is not known gives None.", "D63", after=("exact",))
    async def unknown_table(self) -> None:
        router = self._build("192.0.2.1")
        await self._expect_route(router, "192.0.2.1", None, id_option("no table of this name"))

    @clause("The id says in which table to look.", "D63", after=("exact", "network"))
    async def table_by_id(self) -> None:
        need(self.make_tables, 'make_tables')  # NEED
        tables = {"one": [_route("192.0.2.1")], "two": [_route("192.0.2.0/24")]}
        router = owned(self.make_tables(tables))
        await self._expect_route(router, "192.0.2.1", "192.0.2.1", id_option("one"))
        await self._expect_route(router, "192.0.2.1", "192.0.2.0/24", id_option("two"))
        await self._expect_route(router, "192.0.2.2", None, id_option("one"))

    @clause("Any callable may be an option, and options are applied once each, in order.", "D23")
    async def options(self) -> None:
        watch = OptionWatch(Options)
        await self._get(self._build("192.0.2.1"), "192.0.2.1", *watch.opts())
        watch.judge()

    @clause(
        "Calls for several packets at once do not mix.", "Go's implementations", after=("exact",)
    )
    async def concurrent(self) -> None:
        dsts = ["192.0.2.1", "client one"]
        router = self._build(*dsts)
        calls = dsts * _CALLS
        routes = await within(
            asyncio.gather(*(router.get_route(Context(), dst) for dst in calls)),
            f"{len(calls)} calls of get_route() at once",
        )
        for dst, route in zip(calls, routes, strict=True):
            expect(
                route is not None and route.gateway == _route(dst).gateway,
                f"get_route({dst!r}) returned {route!r} beside other calls",
            )

    @clause(
        "A call that is cancelled passes the cancellation on, and does not make an answer of it.",
        "D4, D14",
        after=("exact",),
    )
    async def cancelled(self) -> None:
        router = self._build("192.0.2.1")
        for route in await answers_when_cancelled(partial(router.get_route, Context(), "192.0.2.1")
        ):
            expect(
                route is not None and route.gateway == _route("192.0.2.1").gateway,
                f"a cancelled call returned {route!r}",
            )

    @clause(
        "When the table is out of reach, get_route() raises OSError; it does not say that "
        "there is no route.",
        "D14",
        after=("exact",),
    )
    async def backend_broken(self) -> None:
        router = self._build("192.0.2.1")
        await out_of_reach(router, self.break_backend)
        try:
            route = await self._get(router, "192.0.2.1")
        except OSError:
            return
        # It may remember the table.
        expect(
            route is not None and route.gateway == _route("192.0.2.1").gateway,
            f"get_route('192.0.2.1') then returned {route!r}",
        )


def _route(dst: str) -> Route:
    return Route(dst=dst, gateway=f"to {dst}")
