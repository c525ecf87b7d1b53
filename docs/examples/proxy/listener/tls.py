"""Accepting TLS over TCP."""

from typing import Final

from gost_core import listener
from gost_core.common import net
from gost_core.metadata import Metadata
from gost_core.options import apply

from ..net.newcomers import Newcomers
from ..net.tls import TLSConn, server_config
from .serving import ServingListener
from .tcp import TCPListener

LIMIT: Final = 10.0  # seconds for a handshake


class TLSListener(ServingListener):
    """Accepts TLS connections over TCP."""

    def __init__(self, *opts: listener.Option) -> None:
        self._options = apply(listener.Options(), *opts)
        tcp = TCPListener(*opts, listener.tls_config_option(None))
        super().__init__(tcp, self._options.logger)
        self._newcomers: Final = Newcomers()

    async def init(self, metadata: Metadata | None, /) -> None:
        self._config = self._options.tls_config or server_config(metadata)
        await super().init(metadata)

    async def take(self, conn: net.Conn) -> None:
        upgraded = TLSConn(conn, self._config, None)
        try:
            await self._newcomers.limited(conn, LIMIT, upgraded.handshake())
        except BaseException as error:
            await conn.close()
            if not isinstance(error, Exception):
                raise
            # This client's trouble, and nobody else's (D26).
            self._logger.warnf("%s from %s: %s", type(error).__name__, conn.remote_addr(), error)
        else:
            await self.offer(upgraded)
