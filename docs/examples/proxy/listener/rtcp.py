"""Listening at a far proxy."""

from gost_core import chain, listener
from gost_core.common import net
from gost_core.context import Context
from gost_core.logger import default
from gost_core.metadata import Metadata
from gost_core.options import apply

from ..component import Component, refuse_options
from ..metadata import whole
from ..net.address import TCPAddr, split_host_port
from ..net.wrapper import Waits
from .limits import accept_within_limits


class ReverseListener(Component, listener.Listener):
    """Listens where its router binds, and binds again when that has failed (D25, D26)."""

    def __init__(self, *opts: listener.Option) -> None:
        super().__init__()
        self._options = apply(listener.Options(), *opts)
        self._bound: net.Listener | None = None
        self._waits = Waits("listener", listener.ClosedError)
        self._addr: net.Addr = TCPAddr("", 0)

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        refuse_options(self._options, "auther", "auth", "tls_config", "proxy_protocol", "netns")
        if self._options.router is None:
            raise ValueError("a reverse listener needs the option 'router', to bind through")
        self._router = self._options.router
        self._addr = TCPAddr(*split_host_port(self._options.addr))
        self._backlog = whole(metadata, "backlog", 0)

    async def accept(self) -> net.Conn:
        self.check_initialized()
        if self._waits.ended:
            raise listener.ClosedError("this listener was closed")
        try:
            return await self._waits.until_closed(self._accept())
        finally:
            if self._waits.ended:
                await self.close()

    def addr(self) -> net.Addr:
        return self._addr

    async def close(self) -> None:
        self._waits.end()
        if self._bound is not None:
            await self._bound.close()

    async def _bind(self) -> net.Listener:
        try:
            self._bound = await self._router.bind(
                Context(),
                "tcp",
                self._options.addr,
                chain.mux_bind_option(True),
                chain.backlog_bind_option(self._backlog),
            )
        except (OSError, ValueError) as error:
            final = isinstance(error, net.UnsupportedError | net.DeniedError)
            if isinstance(error, OSError) and not final:  # a wrong certificate is both
                raise listener.BindError(error) from error
            self._waits.end()  # no other try will do better (D16)
            raise
        self._addr = self._bound.addr()
        logger = self._options.logger or default()
        logger.infof("%s is bound at %s", self._options.service, self._addr)
        return self._bound

    async def _accept(self) -> net.Conn:
        while True:
            visitor = await self._next(self._bound or await self._bind())
            served = await accept_within_limits(visitor, self._options)
            if served is not None:
                return served

    async def _next(self, bound: net.Listener) -> net.Conn:
        try:
            return await bound.accept()
        except Exception as error:
            self._bound = None
            await bound.close()
            raise listener.AcceptError(error) from error
