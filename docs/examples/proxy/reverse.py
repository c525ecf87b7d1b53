"""The reverse path: a far proxy listens, and hands its visitors on to a service here."""

import asyncio
from contextlib import suppress
from typing import Final

from gost_core import chain, listener
from gost_core.common import net
from gost_core.context import Context
from gost_core.logger import default
from gost_core.metadata import Metadata
from gost_core.options import apply

from .address import TCPAddr, split_host_port
from .component import Component, refuse_options
from .limited import accept_within_limits
from .metadata import number
from .relay import ClientGoneError, Traffic, relay
from .session import Session, Stream
from .tcp import DECISION_LIMIT
from .upgrade import ClosedOnce
from .wrapper import Wrapper

FAREWELL: Final = 5.0  # seconds for the far end to free its address
PAUSE: Final = 1.0  # seconds after which it is tried again to accept


class Visitor(Wrapper):
    """A stream whose other end is the visitor, by the address that it came with (D35)."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self._addr = TCPAddr(*split_host_port(stream.name))

    def remote_addr(self) -> net.Addr:
        return self._addr


class TunnelListener(ClosedOnce, net.Listener):
    """What a far proxy has bound: its visitors come by the streams of a session.

    A first stream carries no bytes: its end asks for the end of the listening, and the answer tells
    that the address is free. The tunnel ends with the last visitor that was accepted (D27, D35).
    """

    def __init__(self, session: Session, control: Stream, addr: net.Addr) -> None:
        self._session = session
        self._control = control
        self._addr = addr

    @classmethod
    async def over(cls, conn: net.Conn, addr: str, backlog: int) -> "TunnelListener":
        """Begin the session on a connection whose far end has bound an address."""
        session = Session(conn, client=False, backlog=backlog)
        try:
            return cls(session, await session.accept(), TCPAddr(*split_host_port(addr)))
        except BaseException:
            await session.close()
            raise

    async def accept(self) -> net.Conn:
        return Visitor(await self._session.accept())

    def addr(self) -> net.Addr:
        return self._addr

    async def _end(self) -> None:
        await self._session.retire()
        with suppress(OSError):
            async with asyncio.timeout(FAREWELL):
                await self._control.close_write()
                await self._control.read(1)
        await self._control.close()


async def serve_visitors(client: net.Conn, bound: net.Listener) -> None:
    """Be the far end of a tunnel: send each visitor of a listener through it, while it is there."""
    session = Session(client, client=True)
    try:
        control = await session.open("control")
        async with asyncio.TaskGroup() as visits:
            accepting = visits.create_task(_accept_visitors(session, bound, visits))
            with suppress(OSError):  # the tunnel broke off, and all its streams
                await control.read(1)
            accepting.cancel()
            await bound.close()
            await control.close()
    finally:
        await session.close()


async def _accept_visitors(
    session: Session, bound: net.Listener, visits: asyncio.TaskGroup
) -> None:
    while True:
        try:
            visits.create_task(_visit(session, await bound.accept()))
        except listener.AcceptError:
            await asyncio.sleep(PAUSE)
        except OSError:  # nobody comes any more, and the near end will want to know
            return await session.close()


async def _visit(session: Session, visitor: net.Conn) -> None:
    try:
        stream = await session.open(str(visitor.remote_addr()))
        try:
            await relay(visitor, stream, Traffic())
        finally:
            await stream.close()
    except (OSError, ClientGoneError):  # this visitor's trouble, and nobody else's
        pass
    finally:
        await visitor.close()


class ReverseListener(Component, listener.Listener):
    """Listens where its router binds, and binds again when that has failed (D25, D26)."""

    def __init__(self, *opts: listener.Option) -> None:
        super().__init__()
        self._options = apply(listener.Options(), *opts)
        self._bound: net.Listener | None = None
        self._accepting: asyncio.Timeout | None = None
        self._closed = False
        self._addr: net.Addr = TCPAddr("", 0)

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        refuse_options(self._options, "auther", "auth", "tls_config", "proxy_protocol", "netns")
        if self._options.router is None:
            raise ValueError("a reverse listener needs the option 'router', to bind through")
        self._router = self._options.router
        self._addr = TCPAddr(*split_host_port(self._options.addr))
        self._backlog = int(number(metadata, "backlog", 0))

    async def accept(self) -> net.Conn:
        self.check_initialized()
        try:
            async with asyncio.timeout(None) as self._accepting:
                while not self._closed:
                    served = await self._next(self._bound or await self._bind())
                    if served is not None:
                        return served
        except (TimeoutError, listener.AcceptError, listener.BindError):
            if not self._closed:
                raise
        finally:
            self._accepting = None
            if self._closed:
                await self.close()
        raise listener.ClosedError("this listener was closed")

    def addr(self) -> net.Addr:
        return self._addr

    async def close(self) -> None:
        self._closed = True
        if self._accepting is not None and not self._accepting.expired():
            self._accepting.reschedule(0)
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
        except (net.UnsupportedError, ValueError):  # no other try will do better (D16)
            self._closed = True
            raise
        except OSError as error:
            raise listener.BindError(error) from error
        self._addr = self._bound.addr()
        logger = self._options.logger or default()
        logger.infof("%s is bound at %s", self._options.service, self._addr)
        return self._bound

    async def _next(self, bound: net.Listener) -> net.Conn | None:
        """Return the next visitor, unless it is refused."""
        try:
            visitor = await bound.accept()
        except Exception as error:
            self._bound = None
            await bound.close()
            raise listener.AcceptError(error) from error
        try:
            async with asyncio.timeout(DECISION_LIMIT):
                return await accept_within_limits(visitor, self._options)
        except TimeoutError:
            return None
