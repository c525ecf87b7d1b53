"""How costs grow with what is configured or open: nodes have a part of their own, in ``routes``."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from functools import partial

from gost_core.common.net import Conn
from gost_core.context import Context
from gost_core.handler import HandleOption, Handler
from gost_core.metadata import Metadata
from gost_core.testing import Address, MemoryListener
from proxy.bypass import PatternBypass
from proxy.registry import MemoryRegistry
from proxy.service import TaskService
from tests.benchmarks.measure import Bound, Figure, interleaved, ratio

SIZES = (10, 1_000, 10_000)
AT_ONCE = 100
"""How many connections come, beside those that are open."""


def figures(quick: bool) -> Iterator[Figure]:
    number, rounds = (200, 2) if quick else (5_000, 15)
    asked = {
        "a bypass asked, {} names": names,
        "a bypass asked, {} networks": networks,
        "a name looked up in a registry of {}": registry,
    }
    for subject, make in asked.items():
        calls = {size: make(size, number) for size in SIZES}
        yield from grown(subject, calls, rounds)
    calls = {size: partial(connection_seconds, size) for size in SIZES[: 2 if quick else 3]}
    yield from grown("a connection handled beside {} open ones", calls, 2 if quick else 9)


def grown(subject: str, calls: Mapping[int, Callable[[], float]], rounds: int) -> Iterator[Figure]:
    """Measure what has a size at each, and compare the largest with the smallest."""
    found = interleaved({str(size): call for size, call in calls.items()}, rounds)
    for size, samples in found.items():
        yield Figure(subject.format(size), samples.times(1e6), "us")
    (smallest, least), *_, (largest, most) = found.items()
    yield ratio(f"{subject.format(largest)}, over {smallest}", most, least, Bound("at most", 2))


def names(size: int, number: int) -> Callable[[], float]:
    return bypass(
        PatternBypass(*[f".d{one}.example" for one in range(size)]), "a.example:80", number
    )


def networks(size: int, number: int) -> Callable[[], float]:
    rules = [f"10.{one // 256}.{one % 256}.0/24" for one in range(size)]
    return bypass(PatternBypass(*rules), "192.0.2.1:80", number)


def bypass(rules: PatternBypass, addr: str, number: int) -> Callable[[], float]:
    ctx = Context()

    async def ask() -> None:
        for _ in range(number):
            await rules.contains(ctx, "tcp", addr)

    return lambda: process_seconds(ask()) / number


def registry(size: int, number: int) -> Callable[[], float]:
    named = MemoryRegistry[int]()
    for one in range(size):
        named.register(f"name-{one}", one)

    async def ask() -> None:
        for _ in range(number):
            named.get("name-7")

    return lambda: process_seconds(ask()) / number


def process_seconds(main: Coroutine[object, object, None]) -> float:
    """Return the processor time of a coroutine, without that of making the event loop."""

    async def measured() -> float:
        began = time.process_time()
        await main
        return time.process_time() - began

    return asyncio.run(measured())


class Holding(Handler):
    """Keeps a connection until its client ends it."""

    async def init(self, md: Metadata | None, /) -> None:
        """Take no settings."""

    async def handle(self, ctx: Context, conn: Conn, /, *opts: HandleOption) -> None:
        await conn.read(1)
        await conn.close()


class Arriving(MemoryListener):
    """A listener that a service can serve."""

    async def init(self, md: Metadata | None, /) -> None:
        """Take no settings."""


def connection_seconds(opened: int) -> float:
    """Return the seconds of a connection from its arrival to its end, beside others in memory."""

    async def main() -> float:
        listener = Arriving(Address("tcp", "127.0.0.1:1080"))
        service = TaskService(listener, Holding())
        serving = asyncio.create_task(service.serve())
        kept = [listener.connect() for _ in range(opened)]
        await asyncio.sleep(0.1)
        began = time.process_time()
        for client in [listener.connect() for _ in range(AT_ONCE)]:
            await client.close()
        for _ in range(10):  # turns of the event loop, in which the service ends its side
            await asyncio.sleep(0)
        took = time.process_time() - began
        await service.close()
        for client in kept:
            await client.close()
        await serving
        return took / AT_ONCE

    return asyncio.run(main())
