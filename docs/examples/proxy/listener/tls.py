"""Accepting TLS over TCP."""

from gost_core import listener
from gost_core.common import net
from gost_core.metadata import Metadata
from gost_core.options import apply

from ..net.tls import TLSConn, server_config
from .serving import UpgradingListener
from .tcp import TCPListener


class TLSListener(UpgradingListener):
    """Accepts TLS connections over TCP."""

    def __init__(self, *opts: listener.Option) -> None:
        self._options = apply(listener.Options(), *opts)
        tcp = TCPListener(*opts, listener.tls_config_option(None))
        super().__init__(tcp, self._options.logger)

    async def init(self, metadata: Metadata | None, /) -> None:
        self._config = self._options.tls_config or server_config(metadata)
        await super().init(metadata)

    async def upgrade(self, conn: net.Conn) -> net.Conn:
        upgraded = TLSConn(conn, self._config, None)
        await upgraded.handshake()
        return upgraded
