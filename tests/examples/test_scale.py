"""What a request costs does not depend on how many rules there are, nor on how many hosts came."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import pytest

from gost_core.context import Context
from gost_core.handler import bypass_option, router_option
from gost_core.ingress import Rule
from gost_core.router import Route
from proxy.admission import NetworkAdmission
from proxy.bypass import PatternBypass
from proxy.chain.router import RetryRouter
from proxy.handler.socks5 import SOCKS5Handler
from proxy.hosts import TableHostMapper
from proxy.ingress import MemoryIngress
from proxy.limiter.conn import HostConnLimiter
from proxy.limiter.rate import HostRateLimiter
from proxy.router import TableRouter
from tests.examples.test_patterns import Said

pytestmark = pytest.mark.one_python

FEW, MANY = 300, 30_000
TIMES = 2  # what a request may cost more, with a hundred times as many
Decide = Callable[[], Coroutine[Any, Any, object]]

NAME, ADDRESS = "a.b.c.example.org", "192.0.2.1"
CTX = Context()


def names(number: int) -> list[str]:
    return [f"n{index}.example.com" for index in range(number)]


def networks(number: int) -> list[str]:
    return [f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}/32" for index in range(number)]


def bypass(*patterns: str) -> Decide:
    rules = PatternBypass(*patterns)
    return lambda: rules.contains(CTX, "tcp", f"{NAME}:80")


def bypassed_address(number: int) -> Decide:
    rules = PatternBypass(*networks(number))
    return lambda: rules.contains(CTX, "tcp", f"{ADDRESS}:80")


def admission(number: int) -> Decide:
    rules = NetworkAdmission(*networks(number))
    return lambda: rules.admit(CTX, "tcp", f"{ADDRESS}:1024")


def hosts(number: int) -> Decide:
    table = TableHostMapper({name: [ip_address(ADDRESS)] for name in names(number)})
    return lambda: table.lookup(CTX, "ip", NAME)


def ingress(number: int, dot: str = "") -> Decide:
    rules = MemoryIngress(*[Rule(hostname=dot + name, endpoint="x") for name in names(number)])
    return lambda: rules.get_rule(CTX, NAME)


def route(destinations: list[str], asked: str) -> Decide:
    table = TableRouter({"": [Route(dst=dst, gateway="x") for dst in destinations]})
    return lambda: table.get_route(CTX, asked)


def places(number: int) -> Decide:
    limits = HostConnLimiter(dict.fromkeys(networks(number), 1), others=1)

    async def decide() -> object:
        return limits.limiter(ADDRESS)

    return decide


def newcomers(number: int) -> Decide:
    """Have many hosts make requests; each further one is a new host."""
    limits = HostRateLimiter({}, others=0.001)

    def come(host: str) -> None:
        requests = limits.limiter(host)
        assert requests is not None
        assert requests.allow(1)

    for host in networks(number):
        come(host)
    later = iter(range(1_000_000))

    async def decide() -> None:
        come(str(next(later)))

    return decide


KINDS: dict[str, Callable[[int], Decide]] = {
    "names of a bypass": lambda number: bypass(*names(number)),
    "suffixes of a bypass": lambda number: bypass(*[f".{name}" for name in names(number)]),
    "networks of a bypass": bypassed_address,
    "networks of an admission": admission,
    "names of hosts": hosts,
    "names of an ingress": ingress,
    "suffixes of an ingress": lambda number: ingress(number, "."),
    "names of routes": lambda number: route(names(number), NAME),
    "networks of routes": lambda number: route(networks(number), ADDRESS),
    "places of hosts": places,
    "hosts that made requests": newcomers,
}


async def request(handler: SOCKS5Handler, decide: Decide) -> None:
    """Have a client ask for what is refused, and somebody decide on it."""
    with suppress(Exception):  # that it is refused
        await handler.handle(CTX, Said(b"\5\1\0\5\1\0\1\x7f\0\0\1\0\x50"))
    await decide()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_request_costs_the_same_with_a_hundred_times_as_many(
    kind: Callable[[int], Decide],
) -> None:
    async def main() -> None:
        handler = SOCKS5Handler(
            router_option(RetryRouter()), bypass_option(PatternBypass("127.0.0.1"))
        )
        await handler.init(None)
        few, many = kind(FEW), kind(MANY)

        async def cost(decide: Decide) -> float:
            began = time.thread_time()
            for _ in range(50):
                await request(handler, decide)
            return time.thread_time() - began

        # They take turns, and the least counts: what else the process does is in neither.
        found = [(await cost(few), await cost(many)) for _ in range(5)]
        assert min(later for _, later in found) < TIMES * min(first for first, _ in found)

    asyncio.run(main())
