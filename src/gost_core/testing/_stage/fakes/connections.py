"""Connections and listeners that know whether they were closed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from typing_extensions import Buffer

from gost_core.common.net import Addr, Conn, ConnUnwrapper, ContextCarrier, PacketConn
from gost_core.context import Context
from gost_core.testing._run.waiting import keep, turns
from gost_core.testing._stage.memory import (
    Address,
    ForwardingConn,
    MemoryConn,
    MemoryListener,
    connected_pair,
)

__all__ = (
    "CarryingConn",
    "FakeNetListener",
    "LayeredConn",
    "LayeredPackets",
    "Scene",
    "Wrapper",
    "layer",
)

# For how many turns of the event loop a layer says goodbye.
_GOODBYE: Final[int] = 3


class Scene:
    """What happened in a scenario, in order, and what was opened; closed when that is over.

    ``goodbye`` is how many seconds the close of each layer takes at least.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.opened: list[LayeredConn | FakeNetListener] = []
        self.bottoms: list[MemoryConn] = []
        self.far_ends: list[MemoryConn] = []
        self.goodbye = 0.0
        self.over = False
        keep(self.close)

    def still_open(self) -> list[str]:
        """Name what was opened and is not closed."""
        return [one.name for one in self.opened if not one.closed]

    def connection(self, name: str, network: str = "tcp") -> "LayeredConn":
        """Open a connection; the other end goes to :attr:`far_ends`."""
        near, far = connected_pair()
        self.bottoms.append(near)
        self.far_ends.append(far)
        return layer(self, name, near, network)

    async def close(self) -> None:
        """Close both ends of each connection, whose layers keep nothing open themselves."""
        self.over = True
        for end in (*self.bottoms, *self.far_ends):
            await end.close()


class LayeredConn(ForwardingConn):
    """A connection that one step made over the one before, and that owns it."""

    def __init__(self, scene: Scene, name: str, inner: Conn) -> None:
        super().__init__(inner)
        self.name = name
        self.closed = False
        self._scene = scene
        scene.opened.append(self)

    async def close(self) -> None:
        """Close this layer and those below; as in real ones, that takes a moment."""
        try:
            if not self._scene.over:
                await turns(_GOODBYE)
                await asyncio.sleep(self._scene.goodbye)
        finally:
            self.closed = True
            await super().close()


class LayeredPackets(LayeredConn, PacketConn):
    """One that carries datagrams, all with one peer."""

    def __init__(self, scene: Scene, name: str, inner: Conn) -> None:
        super().__init__(scene, name, inner)
        self.lengths: list[int] = []

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        """Read."""
        return await self.read(n), self.remote_addr()

    async def write(self, data: Buffer, /) -> None:
        """Write, and keep the length."""
        self.lengths.append(memoryview(data).nbytes)
        await super().write(data)

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        """Write."""
        await self.write(data)


def layer(scene: Scene, name: str, inner: Conn, network: str) -> LayeredConn:
    """Put a layer on a connection that carries what the network does."""
    made = LayeredPackets if network.startswith("udp") else Wrapper
    return made(scene, name, inner)


class Wrapper(LayeredConn, ConnUnwrapper):
    """A wrapper that shows what it wraps."""

    def unwrap_conn(self) -> Conn:
        """Return what is wrapped."""
        return self.inner


class CarryingConn(Wrapper, ContextCarrier):
    """A wrapper that brings a context."""

    def __init__(self, scene: Scene, inner: Conn, carried: Context | None) -> None:
        super().__init__(scene, "the connection", inner)
        self._carried = carried

    def context(self) -> Context | None:
        """Return the context."""
        return self._carried


class FakeNetListener(MemoryListener):
    """A listener somewhere, over a connection if there is one below, which it owns.

    That ends with the listener and the last connection that it has accepted.
    """

    def __init__(self, scene: Scene, name: str, inner: Conn | None, address: str) -> None:
        super().__init__(Address("tcp", address))
        self.name = name
        self._inner = inner
        self._accepted = set[Conn]()
        scene.opened.append(self)

    async def accept(self) -> Conn:
        """Return the next connection."""
        conn = _Accepted(await super().accept(), self.leave)
        self._accepted.add(conn)
        return conn

    async def leave(self, conn: Conn, /) -> None:
        """Know that a connection is closed."""
        self._accepted.discard(conn)
        await self._end()

    async def close(self) -> None:
        """Close the listener, and what is below if nobody uses it."""
        await super().close()
        await self._end()

    async def _end(self) -> None:
        if self._inner is not None and self.closed and not self._accepted:
            await self._inner.close()


class _Accepted(ForwardingConn):
    """A connection that tells when it is closed."""

    def __init__(self, inner: Conn, leave: Callable[[Conn], Awaitable[None]]) -> None:
        super().__init__(inner)
        self._leave = leave

    async def close(self) -> None:
        """Close."""
        await super().close()
        await self._leave(self)
