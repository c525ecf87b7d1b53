"""Reaching nodes by streams of shared HTTP/2 sessions."""

import asyncio

from gost_core import dialer
from gost_core.common import net
from gost_core.context import Context
from gost_core.metadata import Metadata
from gost_core.options import apply

from ..component import Component, refuse_options
from ..net.dialer import SystemDialer
from ..net.h2_session import Session
from ..net.wrapper import ClosedOnce, Waits


class MuxDialer(ClosedOnce, Component, dialer.Dialer, dialer.Multiplexer, net.Closer):
    """Reaches nodes by streams; those to one address, as it is dialed, share a session (D32)."""

    def __init__(self, *opts: dialer.Option) -> None:
        super().__init__()
        self._options = apply(dialer.Options(), *opts)
        self._sessions: dict[str, list[Session]] = {}
        self._openings: dict[str, asyncio.Event] = {}
        self._waits = Waits("dialer")

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        refuse_options(self._options, "auth", "tls_config", "proxy_protocol")

    def multiplex(self) -> bool:
        return True

    async def dial(self, ctx: Context, addr: str, /, *opts: dialer.DialOption) -> net.Conn:
        self.check_initialized()
        return await self._waits.until_closed(self._dial(addr, apply(dialer.DialOptions(), *opts)))

    async def _end(self) -> None:
        self._waits.end()
        await asyncio.gather(*(one.close() for some in self._sessions.values() for one in some))

    async def _dial(self, addr: str, options: dialer.DialOptions) -> net.Conn:
        while (session := self._usable(addr)) is None:
            if addr in self._openings:  # to be shared; if that fails, it is the next one's turn
                await self._openings[addr].wait()
                continue
            opened = self._openings[addr] = asyncio.Event()
            try:
                # Others will use it too, so it is not opened in the name of this call's context.
                conn = await (options.dialer or SystemDialer()).dial(Context(), "tcp", addr)
                session = Session(conn, client=True, retiring=True)
                self._sessions.setdefault(addr, []).append(session)
            finally:
                del self._openings[addr]
                opened.set()
        return await session.open(options.host or addr)

    def _usable(self, addr: str) -> Session | None:
        alive = {key: [one for one in some if one.is_alive] for key, some in self._sessions.items()}
        self._sessions = {key: some for key, some in alive.items() if some}
        return next((one for one in self._sessions.get(addr, ()) if one.has_room), None)
