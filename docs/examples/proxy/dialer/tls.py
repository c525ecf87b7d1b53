"""Reaching nodes by TLS."""

from gost_core import dialer
from gost_core.common import net
from gost_core.context import Context
from gost_core.metadata import Metadata
from gost_core.options import apply

from ..component import Component, refuse_options
from ..net.dialer import SystemDialer
from ..net.tls import client_config, connect_tls


class TLSDialer(Component, dialer.Dialer, dialer.Handshaker):
    """Reaches nodes by TLS over TCP, or over what the hops before them give."""

    def __init__(self, *opts: dialer.Option) -> None:
        super().__init__()
        self._options = apply(dialer.Options(), *opts)

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        refuse_options(self._options, "auth", "proxy_protocol")
        self._config = self._options.tls_config or client_config(metadata)

    async def dial(self, ctx: Context, addr: str, /, *opts: dialer.DialOption) -> net.Conn:
        self.check_initialized()
        beneath = apply(dialer.DialOptions(), *opts).dialer or SystemDialer()
        return await beneath.dial(ctx, "tcp", addr)

    async def handshake(
        self, ctx: Context, conn: net.Conn, /, *opts: dialer.HandshakeOption
    ) -> net.Conn:
        self.check_initialized()
        addr = apply(dialer.HandshakeOptions(), *opts).addr
        return await connect_tls(conn, self._config, addr)
