"""Accepting streams of HTTP/2 sessions."""

from gost_core import listener
from gost_core.common import net
from gost_core.metadata import Metadata
from gost_core.options import apply

from ..component import refuse_options
from ..net.h2_session import Session
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

    async def init(self, metadata: Metadata | None, /) -> None:
        refuse_options(self._options, "auther", "auth", "tls_config", "proxy_protocol", "netns")
        self._options.admission = None
        await super().init(metadata)

    async def take(self, conn: net.Conn) -> None:
        session = Session(conn, client=False)
        try:
            while True:
                stream = await accept_within_limits(await session.accept(), self._options)
                if stream is not None:
                    await self.offer(stream)
        except OSError:  # this session's trouble, and nobody else's (D26)
            pass
        finally:
            await session.retire()
