"""Accepting streams of HTTP/2 sessions."""

import asyncio

from gost_core import listener
from gost_core.common import net
from gost_core.metadata import Metadata
from gost_core.options import apply

from ..component import refuse_options
from ..limiter.bucket import Budgets
from ..metadata import number
from ..net.address import host_of
from ..net.h2_budget import Budget
from ..net.h2_session import Session
from ..net.h2_stream import Stream
from .limits import accept_within_limits
from .serving import ServingListener
from .tcp import TCPListener


class MuxListener(ServingListener):
    """Accepts sessions at an address of this host, and hands out their streams.

    The admission decides on sessions; the limits are for streams, for these are the connections.
    """

    def __init__(self, *opts: listener.Option) -> None:
        self._options = apply(listener.Options(), *opts)
        tcp = TCPListener(
            listener.addr_option(self._options.addr),
            listener.admission_option(self._options.admission),
            listener.service_option(self._options.service),
            listener.logger_option(self._options.logger),
        )
        super().__init__(tcp, self._options.logger)
        # A host has one budget for all its sessions: a new session is no new budget.
        self._budgets = Budgets[str, Budget]()

    async def init(self, metadata: Metadata | None, /) -> None:
        refuse_options(self._options, "auther", "auth", "tls_config", "proxy_protocol", "netns")
        self._options.admission = None
        self._idle = number(metadata, "idleTimeout", 0)
        await super().init(metadata)

    async def take(self, conn: net.Conn) -> None:
        host = host_of(str(conn.remote_addr()))
        session = Session(conn, client=False, budget=self._budgets.of(host, Budget), host=host)
        try:
            while True:
                stream = await accept_within_limits(await self._next(session), self._options)
                if stream is not None:
                    await self.offer(stream)
                    await asyncio.sleep(0)  # there may be many: who accepts has to keep pace
        except OSError:  # this session's trouble, and nobody else's (D26)
            pass
        finally:
            await session.retire()

    async def _next(self, session: Session) -> Stream:
        """Return a session's next stream; a TimeoutError says that it has long been without any."""
        while True:
            was_busy = session.has_streams
            try:
                async with asyncio.timeout(self._idle or None):
                    return await session.accept()
            except TimeoutError:
                if not was_busy:
                    raise
