"""Right routes, choosers and limiters of other kinds."""

import asyncio
import threading
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gost_core.chain import Node, Route, Transporter, TransportOptions
from gost_core.common import net
from gost_core.common.net import Conn, UnsupportedError
from gost_core.context import Context
from gost_core.hop import SelectOption, SelectOptions
from gost_core.keys import HASH_SOURCE, TIME_LIMIT
from gost_core.options import apply
from gost_core.testing import Contract
from tests.kit import hop, selector
from tests.kit.chain import _chainer, _group, _route, _router, _transporter
from tests.kit.lenience import expect_held
from tests.kit.limiter import rate
from tests.kit.selector import Item, RightSelector, RightStrategy

# ---- Routes, chains and what they go by


class EndingSteps(_route.RightRoute):
    """Ends each step at the time limit by itself."""

    async def step(
        self, ctx: Context, last: tuple[Transporter, Conn] | None, node: Node, network: str
    ) -> tuple[Transporter, Conn]:
        async with asyncio.timeout_at(ctx.value(TIME_LIMIT)):
            return await super().step(ctx, last, node, network)


def test_a_route_may_end_its_steps_at_the_limit() -> None:
    expect_held(_route.run(EndingSteps), "chain.Route.limit-passes")


def offering(cls: type[Any], name: str, place: int) -> type[Any]:
    """Return a class whose method takes the networks that have a name, and refuses others."""

    async def call(self: object, *args: object) -> object:
        if args[place] not in ("tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix"):
            raise UnsupportedError(f"the network {args[place]!r} is not offered")
        return await getattr(cls, name)(self, *args)

    return type(cls.__name__, (cls,), {name: call})


class OfferingHop(hop.RightHop):
    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        network = apply(SelectOptions(), *opts).network
        if network not in ("", "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"):
            raise UnsupportedError(f"the network {network!r} is not offered")
        return await super().select(ctx, *opts)


@pytest.mark.parametrize(
    ("contract", "interface"),
    [
        (_route.run(offering(_route.RightRoute, "dial", 1)), "chain.Route"),
        (_router.run(offering(_router.RightRouter, "dial", 1)), "chain.Router"),
        (
            _transporter.run(offering(_transporter.RightTransporter, "connect", 2)),
            "chain.Transporter",
        ),
        (_chainer.run(offering(_chainer.RightChainer, "route", 1)), "chain.Chainer"),
        (_group.run(offering(_group.RightGroup, "route", 1)), "chain.Chainer"),
        (hop.run_hop(OfferingHop), "hop.Hop"),
    ],
)
def test_networks_without_a_name_may_be_refused(contract: Contract, interface: str) -> None:
    expect_held(contract, f"{interface}.calls-apart")


class AddressOrHost(hop.RightHop):
    """Asks the bypass of the host where there is no address."""

    async def fits(self, ctx: Context, node: Node, options: SelectOptions) -> bool:
        return await super().fits(ctx, node, replace(options, addr=options.addr or options.host))


def test_a_hop_may_ask_the_bypass_of_the_host() -> None:
    expect_held(hop.run_hop(AddressOrHost), "hop.Hop.bypass-question")


class AskingForTheRoute(_transporter.RightTransporter):
    """Goes by the route that is in its options when the dialer dials."""

    class LiveDialer(net.Dialer):
        def __init__(self, options: TransportOptions) -> None:
            self.options = options

        async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
            if self.options.route is None:
                raise OSError("there is no route any more")
            return await self.options.route.dial(ctx, network, addr)

    def net_dialer(self) -> net.Dialer | None:
        return None if self.own_options.route is None else self.LiveDialer(self.own_options)


def test_a_transport_may_ask_for_its_route_at_each_dial() -> None:
    expect_held(_transporter.run(AskingForTheRoute), "chain.Transporter.route-dialer-kept")


class TellingNoHost(_router.RightRouter):
    """Tells the host where the address is another one."""

    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        host = "" if host == address else host
        return await super().route(ctx, network, address, host)


def test_a_router_may_leave_out_the_host_that_is_the_address() -> None:
    names = "calls-apart", "resolver-question", "resolved"
    expect_held(_router.run(TellingNoHost), *(f"chain.Router.{name}" for name in names))


# ---- Choosers


def stands_for(item: Item) -> Item:
    """Return an item that a strategy has made itself, as a node is copied."""
    made = Item(item.settings)
    made.failures = item.failures
    return made


class Copying(RightStrategy):
    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        chosen = await super().apply(ctx, *items)
        return None if chosen is None else stands_for(chosen)


class Making(RightStrategy):
    """Gives items of its own, which have nothing of those."""

    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        chosen = await super().apply(ctx, *items)
        return None if chosen is None else Item(chosen.settings)


class BySource(RightStrategy):
    """Chooses by a hash of the source, according to weight."""

    async def apply(self, ctx: Context, /, *items: Item) -> Item | None:
        await self.ask()
        weights = [int(self.weight(item)) for item in items]
        place = zlib.crc32((ctx.value(HASH_SOURCE) or "").encode()) % max(1, sum(weights))
        for item, weight in zip(items, weights, strict=True):
            place -= weight
            if place < 0:
                return item
        return None


class CopyingSelector(RightSelector, Copying): ...


@pytest.mark.parametrize("make", [Copying, Making, BySource])
def test_a_strategy_may_give_its_own_items_and_go_by_the_source(
    make: Callable[[], RightStrategy],
) -> None:
    expect_held(selector.run_strategy(make))


def test_a_selector_may_give_its_own_items() -> None:
    expect_held(selector.run_selector(CopyingSelector))


class CopyingBackups(CopyingSelector):
    """Gives a copy of a backup beside what lives."""

    async def filter(self, ctx: Context, /, *items: Item) -> list[Item]:
        return [*items]


def test_a_copy_of_a_backup_is_a_backup() -> None:
    report = asyncio.run(selector.run_selector(CopyingBackups).run())
    assert "selector.Selector.backup-waits" in [one.clause.id for one in report.broken]


# ---- Limiters


class GreatBucket(rate.RightBucket):
    burst = 3000
    raced_for = 0

    def allow(self, n: int, /) -> bool:
        # A thread that is watched takes long for each.
        GreatBucket.raced_for += threading.current_thread() is not threading.main_thread()
        return super().allow(n)


@pytest.mark.needs("threads")
def test_a_burst_may_be_great() -> None:
    expect_held(rate.run_buckets(GreatBucket), "limiter.rate.Limiter.threads")
    assert 0 < GreatBucket.raced_for < GreatBucket.burst
