"""Reaching nodes by TCP."""

from gost_core import dialer
from gost_core.common import net
from gost_core.context import Context
from gost_core.metadata import Metadata
from gost_core.options import apply

from ..component import Component, refuse_options
from ..net.dialer import SystemDialer


class TCPDialer(Component, dialer.Dialer):
    """Reaches nodes by plain TCP: the transport is the connection."""

    unserved: tuple[str, ...] = ("auth", "tls_config", "proxy_protocol")

    def __init__(self, *opts: dialer.Option) -> None:
        super().__init__()
        self._options = apply(dialer.Options(), *opts)

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        refuse_options(self._options, *self.unserved)

    async def dial(self, ctx: Context, addr: str, /, *opts: dialer.DialOption) -> net.Conn:
        self.check_initialized()
        beneath = apply(dialer.DialOptions(), *opts).dialer or SystemDialer()
        return await beneath.dial(ctx, "tcp", addr)
