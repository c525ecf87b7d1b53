"""Probes: to find out that a node is dead, or alive again, before a client does."""

import asyncio
import os
import re
import signal
import time
from contextlib import suppress
from typing import Final

from gost_core.chain import Node, ProbeConfig, ProbeResult, ProbeType
from gost_core.common import net
from gost_core.context import Context

from .chain import resolve
from .stream import read_head
from .tcp import SystemDialer

INTERVAL: Final = 30.0  # seconds, where the settings have 0 (D46)
TIMEOUT: Final = 10.0


class Prober(net.Closer):
    """Probes nodes, each in a task of its own, until the node or the prober is closed (D20)."""

    def __init__(self, config: ProbeConfig) -> None:
        if config.interval < 0 or config.timeout < 0:
            raise ValueError("the interval and the timeout of a probe cannot be negative")
        if config.type is ProbeType.CMD and not config.command:
            raise ValueError("a probe by command needs the setting 'command'")
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
        if self._config.type is ProbeType.CMD:
            await _succeed(self._config.command)
            return
        conn = await _reach(node)
        try:
            if self._config.type is ProbeType.HTTP:
                await self._get(node, conn)
        finally:
            await conn.close()

    async def _get(self, node: Node, conn: net.Conn) -> None:
        config = self._config
        header = {
            "Host": config.http_host or node.addr,
            "Connection": "close",
            **config.http_headers,
        }
        lines = [f"GET {config.http_path or '/'} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in header.items()]
        await conn.write("\r\n".join([*lines, "", ""]).encode())
        head, _ = await read_head(conn)
        found = re.match(r"HTTP/1\.[01] (\d{3})\b", head)
        if found is None:
            raise net.ProtocolError(f"{node.addr} does not answer as HTTP does")
        expected = config.expected_status or 200
        if int(found[1]) != expected:
            raise net.ProtocolError(f"{node.addr} answers {found[1]} instead of {expected}")


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


async def _succeed(command: str) -> None:
    """Run a line for the shell; its output may hold secrets, and nobody sees it (D17)."""
    nowhere = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_shell(
        command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True
    )
    try:
        status = await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                # The session, since killing the shell alone leaves behind what the shell runs.
                os.killpg(process.pid, signal.SIGKILL)
            ended = asyncio.create_task(process.wait())
            while not ended.done():  # soon, and whoever stops the probe again must not cut it short
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({ended})
    if status != 0:
        raise ChildProcessError(f"the command exits with status {status}")
