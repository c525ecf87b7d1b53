"""Probes: to find out that a node is dead, or alive again, before a client does."""

import asyncio
import time
from typing import Final

from gost_core.chain import Node, ProbeConfig, ProbeResult, ProbeType
from gost_core.common import net
from gost_core.context import Context
from gost_core.keys import TIME_LIMIT

from .route import resolve, transport_of

INTERVAL: Final = 30.0  # seconds, where the settings have 0 (D46)
TIMEOUT: Final = 10.0


class Prober(net.Closer):
    """Probes nodes, each in a task of its own, until the node or the prober is closed (D20)."""

    def __init__(self, config: ProbeConfig) -> None:
        if config.interval < 0 or config.timeout < 0:
            raise ValueError("the interval and the timeout of a probe cannot be negative")
        if config.type is not ProbeType.TCP:
            raise ValueError(f"a probe by {config.type.value} is not offered here, but tcp")
        self._config = config
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def start(self, node: Node) -> None:
        """Probe a node from now on, in place of the probe that it had."""
        if self._closed:
            raise net.ClosedError("this prober was closed")
        task = asyncio.create_task(self._keep_probing(node), name=f"probe of {node.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Cancelling stops a probe in the middle as well as between two of them (D46).
        node.set_probe_cancel(task.cancel)

    async def close(self) -> None:
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def probe(self, node: Node) -> None:
        """Probe a node once."""
        began = time.monotonic()
        seconds = self._config.timeout or TIMEOUT
        end = asyncio.get_running_loop().time() + seconds
        limit = asyncio.timeout_at(end)
        error = ""
        try:
            async with limit:
                await self._try(Context().with_value(TIME_LIMIT, end), node)
        except Exception as fault:  # whatever it is, the node does not work
            own = isinstance(fault, TimeoutError) and limit.expired()
            error = f"no answer in {seconds:g} s" if own else str(fault) or type(fault).__name__
        latency = time.monotonic() - began
        # No await from here on: a probe that is stopped leaves either nothing or all of this.
        node.set_probe_result(
            ProbeResult(success=not error, latency=latency, error=error, timestamp=time.time())
        )
        if error:
            node.marker().mark()
        else:
            node.marker().reset()

    async def _keep_probing(self, node: Node) -> None:
        while True:
            await self.probe(node)
            await asyncio.sleep(self._config.interval or INTERVAL)

    async def _try(self, ctx: Context, node: Node) -> None:
        """Reach a node as a route does, so that a probe finds what a client would find."""
        options, transport = node.options(), transport_of(node)
        addr = await resolve(ctx, node.addr, options.host_mapper, options.resolver)
        conn = await transport.dial(ctx, addr)
        try:
            conn = await transport.handshake(ctx, conn)
        finally:
            await conn.close()
