"""A dialer and a connector joined to reach one node."""

from dataclasses import replace

from gost_core import connector, dialer
from gost_core.chain import Transporter, TransportOption, TransportOptions
from gost_core.common import net
from gost_core.connector import BindOption
from gost_core.context import Context
from gost_core.options import apply

from ..component import refuse_options
from ..net.dialer import SystemDialer


class NodeTransporter(Transporter):
    """Finds out what its dialer and connector can do besides, and does it in order (D31)."""

    def __init__(
        self, dialer: dialer.Dialer, connector: connector.Connector, *opts: TransportOption
    ) -> None:
        self._dialer = dialer
        self._connector = connector
        self._options = apply(TransportOptions(), *opts)
        refuse_options(self._options, "ifce_name", "netns", "sock_opts")

    async def dial(self, ctx: Context, addr: str, /) -> net.Conn:
        route = self._options.route
        # A route dials as a net.Dialer does, so to the dialer it is this host's network.
        beneath: net.Dialer = route if route is not None and route.nodes() else SystemDialer()
        return await self._dialer.dial(
            ctx,
            addr,
            dialer.host_dial_option(self._options.addr or addr),
            dialer.net_dialer_dial_option(beneath),
        )

    async def handshake(self, ctx: Context, conn: net.Conn, /) -> net.Conn:
        if isinstance(self._dialer, dialer.Handshaker):
            conn = await self._dialer.handshake(
                ctx, conn, dialer.addr_handshake_option(self._options.addr)
            )
        if isinstance(self._connector, connector.Handshaker):
            try:
                return await self._connector.handshake(ctx, conn)
            except BaseException:
                # What the dialer's handshake made is known to nobody else (D3).
                await conn.close()
                raise
        return conn

    async def connect(
        self, ctx: Context, conn: net.Conn, network: str, address: str, /
    ) -> net.Conn:
        return await self._connector.connect(
            ctx, conn, network, address, connector.dialer_connect_option(SystemDialer())
        )

    async def bind(
        self, ctx: Context, conn: net.Conn, network: str, address: str, /, *opts: BindOption
    ) -> net.Listener:
        if not isinstance(self._connector, connector.Binder):
            name = type(self._connector).__name__
            raise connector.BindUnsupportedError(f"{name} cannot have its proxy listen")
        return await self._connector.bind(ctx, conn, network, address, *opts)

    def multiplex(self) -> bool:
        return isinstance(self._dialer, dialer.Multiplexer) and self._dialer.multiplex()

    def options(self) -> TransportOptions:
        return self._options

    def copy(self) -> "NodeTransporter":
        """Share the dialer, and with it its sessions; own the options (D42)."""
        other = NodeTransporter(self._dialer, self._connector)
        other._options = replace(self._options)
        return other
