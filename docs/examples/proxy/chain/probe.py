"""Probes: to find out that a node is dead, or alive again, before a client does."""

import asyncio
import time
from typing import Final

from gost_core.chain import Node, ProbeConfig, ProbeResult, ProbeType
from gost_core.common import net
from gost_core.context import Context

from ..net.dialer import SystemDialer
from ..wire.http import read_final_response
from .route import resolve

INTERVAL: Final = 30.0  # seconds, where the settings have 0 (D46)
TIMEOUT: Final = 10.0


class Prober(net.Closer):
    """Probes nodes, each in a task of its own, until the node or the prober is closed (D20)."""

    def __init__(self, config: ProbeConfig) -> None:
        if config.interval < 0 or config.timeout < 0:
            raise ValueError("the interval and the timeout of a probe cannot be negative")
        if config.type is ProbeType.CMD:
            raise ValueError("a probe by command is not offered here; tcp and http are")
        fields = (config.http_path, config.http_host, *config.http_headers.values())
        if not all(field.isprintable() for field in (*fields, *config.http_headers)):
            raise ValueError("no path, host or header of a probe has control characters in it")
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
        limit = asyncio.timeout(seconds)
        error = ""
        try:
            async with limit:
                await self._try(node)
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

    async def _try(self, node: Node) -> None:
        conn = await _reach(node)
        try:
            if self._config.type is ProbeType.HTTP:
                await self._get(node, conn)
        finally:
            await conn.close()

    async def _get(self, node: Node, conn: net.Conn) -> None:
        config = self._config
        header = {"Host": config.http_host or node.addr, **config.http_headers}
        fields = [f"{name}: {value}" for name, value in header.items()]
        lines = [f"GET {config.http_path or '/'} HTTP/1.1", *fields, "Connection: close", "", ""]
        await conn.write("\r\n".join(lines).encode("latin-1"))
        response, _ = await read_final_response(conn, "GET")
        status, expected = response.status_code, config.expected_status or 200
        if status != expected:
            raise net.ProtocolError(f"{node.addr} answers {status} instead of {expected}")


async def _reach(node: Node) -> net.Conn:
    """Connect to a node as a route does, so that a probe finds what a client would find."""
    ctx, options = Context(), node.options()
    addr = await resolve(ctx, node.addr, options.host_mapper, options.resolver)
    transport = options.transport
    if transport is None:  # the target of a forwarder
        return await SystemDialer().dial(ctx, "tcp", addr)
    conn = await transport.dial(ctx, addr)
    try:
        return await transport.handshake(ctx, conn)
    except BaseException:
        await conn.close()
        raise
