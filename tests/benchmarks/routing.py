"""How the cost of finding a route grows with the number of nodes in a hop of the example."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial

from gost_core.chain import Node, transport_node_option
from gost_core.context import Context
from proxy.chain.route import HopChain
from proxy.chain.transporter import NodeTransporter
from proxy.connector.socks5 import SOCKS5Connector
from proxy.dialer.tcp import TCPDialer
from proxy.hop import NodeHop
from tests.benchmarks.measure import Figure, interleaved, ratio

SIZES = (10, 100, 1_000, 10_000)


def figures(quick: bool) -> Iterator[Figure]:
    transport = transport_node_option(NodeTransporter(TCPDialer(), SOCKS5Connector()))
    chains = {
        size: HopChain(
            NodeHop(
                *[Node(f"node-{number}", f"host-{number}:1", transport) for number in range(size)]
            )
        )
        for size in SIZES
    }
    budget, rounds = (20_000, 2) if quick else (100_000, 9)
    found = interleaved(
        {
            f"a route, {size} nodes": partial(route_seconds, chain, max(1, budget // size // 10))
            for size, chain in chains.items()
        },
        rounds,
    )
    for name, samples in found.items():
        yield Figure(name, samples.times(1e6), "us")
    smallest, *_, largest = found.values()
    growth = SIZES[-1] // SIZES[0]
    yield ratio(f"a route, {growth} times the nodes, per node", largest.times(1 / growth), smallest)


def route_seconds(chain: HopChain, number: int) -> float:
    """Return the seconds that it takes to find one route."""

    async def main() -> float:
        ctx = Context()
        began = time.process_time()
        for _ in range(number):
            await chain.route(ctx, "tcp", "example.com:80")
        return (time.process_time() - began) / number

    return asyncio.run(main())
