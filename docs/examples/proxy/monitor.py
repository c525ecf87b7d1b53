"""The service that shows the metrics over HTTP: one more handler at a listener."""

import asyncio
from contextlib import suppress
from typing import Final

import prometheus_client as prometheus

from gost_core import handler
from gost_core.common import net
from gost_core.context import Context
from gost_core.listener import addr_option

from .component import Component
from .prometheus import PrometheusMetrics
from .service import TaskService
from .stream import read_head
from .tcp import TCPListener

REQUEST_LIMIT: Final = 10.0  # seconds for whoever asks for the numbers


class MetricsHandler(Component, handler.Handler):
    """Answers a request for the numbers, whatever its path."""

    def __init__(self, measures: PrometheusMetrics) -> None:
        super().__init__()
        self._registry = measures.registry

    async def handle(self, ctx: Context, conn: net.Conn, /, *opts: handler.HandleOption) -> None:
        try:
            self.check_initialized()
            # Who goes away, or takes too long, need not be told.
            with suppress(ConnectionResetError, BrokenPipeError, TimeoutError):
                async with asyncio.timeout(REQUEST_LIMIT):
                    await read_head(conn)
                    body = prometheus.generate_latest(self._registry)
                    await conn.write(
                        f"HTTP/1.1 200 OK\r\nContent-Type: {prometheus.CONTENT_TYPE_LATEST}\r\n"
                        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                        + body
                    )
        finally:
            await conn.close()


async def serve_metrics(addr: str, measures: PrometheusMetrics) -> TaskService:
    """Make a service that shows the numbers over HTTP; it is bound, and to be served and closed."""
    listener = TCPListener(addr_option(addr))
    handler = MetricsHandler(measures)
    await handler.init(None)
    await listener.init(None)
    return TaskService(listener, handler)
