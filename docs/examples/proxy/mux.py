"""The transport h2: connections to a node, and from clients, as streams of shared sessions."""

import asyncio
from copy import copy
from dataclasses import dataclass

from gost_core import dialer, listener
from gost_core.common import net
from gost_core.context import Context
from gost_core.metadata import Metadata
from gost_core.options import apply

from .component import Component, refuse_options
from .limited import accept_within_limits
from .session import Session
from .tcp import SystemDialer, TCPListener
from .upgrade import ServingListener


@dataclass(slots=True)
class Opening:
    """A session, or the way to one, and how many dials wait for a stream of it."""

    task: asyncio.Task[Session]
    dials: int = 0

    @property
    def session(self) -> Session | None:
        """The session, if it is there."""
        task = self.task
        failed = not task.done() or task.cancelled() or task.exception() is not None
        return None if failed else task.result()

    @property
    def is_of_use(self) -> bool:
        """Whether it is on its way or alive."""
        session = self.session
        return not self.task.done() if session is None else session.is_alive

    async def end(self) -> None:
        """End the session, or the way to it."""
        self.task.cancel()
        await asyncio.wait({self.task})
        if self.session is not None:
            await self.session.close()


class MuxDialer(Component, dialer.Dialer, dialer.Multiplexer, net.Closer):
    """Reaches nodes by streams; those to one address, as it is dialed, share a session (D32)."""

    def __init__(self, *opts: dialer.Option) -> None:
        super().__init__()
        self._options = apply(dialer.Options(), *opts)
        self._openings: dict[str, Opening] = {}
        self._closed = False

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        refuse_options(self._options, "auth", "tls_config", "proxy_protocol")

    def multiplex(self) -> bool:
        return True

    async def dial(self, ctx: Context, addr: str, /, *opts: dialer.DialOption) -> net.Conn:
        self.check_initialized()
        if self._closed:
            raise net.ClosedError("this dialer was closed")
        options = apply(dialer.DialOptions(), *opts)
        self._openings = {key: one for key, one in self._openings.items() if one.is_of_use}
        opening = self._openings.get(addr)
        if opening is None:
            # A task, since others may wait for it when this call is cancelled (D4). They will
            # share the session, which is therefore not opened in the name of this context.
            task = asyncio.create_task(_open(options.dialer or SystemDialer(), addr))
            opening = self._openings[addr] = Opening(task)
        opening.dials += 1
        try:
            await asyncio.wait({opening.task})
            if self._closed:
                raise net.ClosedError("this dialer was closed")
            if (error := opening.task.exception()) is not None:
                fault = copy(error)  # each call has its own, to add notes to
                fault.__notes__ = [*getattr(error, "__notes__", ())]
                raise fault
            return await opening.task.result().open(options.host or addr)
        finally:
            opening.dials -= 1
            session = opening.session
            if not opening.dials and (session is None or session.is_idle):
                if self._openings.get(addr) is opening:
                    del self._openings[addr]
                await opening.end()

    async def close(self) -> None:
        self._closed = True
        openings, self._openings = self._openings, {}
        await asyncio.gather(*(opening.end() for opening in openings.values()))


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

    def configure(self, metadata: Metadata | None) -> None:
        refuse_options(self._options, "auther", "auth", "tls_config", "proxy_protocol", "netns")
        self._options.admission = None

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


async def _open(beneath: net.Dialer, addr: str) -> Session:
    conn = await beneath.dial(Context(), "tcp", addr)
    return Session(conn, client=True, retiring=True)
