"""Reaching nodes by TLS."""

from gost_core import dialer
from gost_core.common import net
from gost_core.context import Context
from gost_core.metadata import Metadata
from gost_core.options import apply

from ..net.tls import client_config, connect_tls
from .tcp import TCPDialer


class TLSDialer(TCPDialer, dialer.Handshaker):
    """Reaches nodes by TLS over TCP, or over what the hops before them give."""

    unserved = ("auth", "proxy_protocol")

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        self._config = self._options.tls_config or client_config(metadata)

    async def handshake(
        self, ctx: Context, conn: net.Conn, /, *opts: dialer.HandshakeOption
    ) -> net.Conn:
        self.check_initialized()
        addr = apply(dialer.HandshakeOptions(), *opts).addr
        return await connect_tls(conn, self._config, addr)
