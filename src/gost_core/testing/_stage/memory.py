"""What plays the other end of a test, within this process: connections, a listener, metadata."""

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import ClassVar, Final, final

from typing_extensions import Buffer

from gost_core.common.net import Addr, ClosedError, Conn, HalfCloser, Listener
from gost_core.metadata import Metadata

__all__ = (
    "Address",
    "AddressedConn",
    "ForwardingConn",
    "MemoryConn",
    "MemoryListener",
    "MemoryMetadata",
    "WatchedMetadata",
    "connected_pair",
    "unread",
    "words",
    "written",
)

_CAPACITY: Final[int] = 65536


@final
@dataclass(frozen=True, slots=True)
class Address:
    """An address by its two words; equal to another one of the same words."""

    network_name: str
    """What ``network()`` returns, such as "tcp"."""
    text: str
    """What ``str()`` returns, such as "192.0.2.1:80"; "" = no address."""

    def network(self) -> str:
        """Return the network's name."""
        return self.network_name

    def __str__(self) -> str:
        return self.text


def words(addr: Addr, /) -> tuple[str, str]:
    """Return the two words of any address."""
    return addr.network(), str(addr)


class ForwardingConn(Conn):
    """A connection that forwards each call to another one, for subclasses that change a part.

    It has the five methods that every connection has, and no capability of ``inner``: a subclass
    adds those that it keeps. It owns ``inner``: closing it closes that.
    """

    def __init__(self, inner: Conn, /) -> None:
        self.inner = inner

    async def read(self, n: int, /) -> bytes:
        """Read from the other connection."""
        return await self.inner.read(n)

    async def write(self, data: Buffer, /) -> None:
        """Write to the other connection."""
        await self.inner.write(data)

    async def close(self) -> None:
        """Close the other connection."""
        await self.inner.close()

    def local_addr(self) -> Addr:
        """Return this end's address."""
        return self.inner.local_addr()

    def remote_addr(self) -> Addr:
        """Return the other end's address."""
        return self.inner.remote_addr()


class MemoryMetadata(Metadata):
    """Metadata with these values, in which letter case does not matter in keys."""

    def __init__(self, **values: object) -> None:
        self._values = {key.lower(): value for key, value in values.items()}

    def is_exists(self, key: str, /) -> bool:
        """Tell whether there is a value under the key, None included."""
        return key.lower() in self._values

    def set(self, key: str, value: object, /) -> None:
        """Set a value."""
        self._values[key.lower()] = value

    def get(self, key: str, /) -> object:
        """Return the value under the key, or None."""
        return self._values.get(key.lower())


class WatchedMetadata(MemoryMetadata):
    """Metadata that notes whether somebody changes them."""

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self.changes: list[str] = []

    def set(self, key: str, value: object, /) -> None:
        """Note it."""
        self.changes.append(key)
        super().set(key, value)


class AddressedConn(Conn):
    """A connection with these addresses."""

    def __init__(self, local: Address, remote: Address, /) -> None:
        self._local = local
        self._remote = remote

    def local_addr(self) -> Address:
        """Return this end's address."""
        return self._local

    def remote_addr(self) -> Address:
        """Return the other end's address."""
        return self._remote


class _Pipe:
    """One direction of a connection."""

    def __init__(self) -> None:
        self.data: bytearray = bytearray()
        self.ended: bool = False
        self.broken: bool = False
        self.taken: int = 0
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Have those who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self) -> None:
        """Wait for a change."""
        await self._changed.wait()


class MemoryConn(AddressedConn, HalfCloser):
    """One end of a connection within this process, with 64 KiB of buffer each way.

    Made by :func:`connected_pair`; ``closed`` tells whether this end was closed.
    """

    def __init__(
        self, incoming: _Pipe, outgoing: _Pipe, local: Address, remote: Address, /
    ) -> None:
        super().__init__(local, remote)
        self._incoming = incoming
        self._outgoing = outgoing
        self._writing = False
        self.closed: bool = False

    async def read(self, n: int, /) -> bytes:
        """Read what is there, waiting until something is."""
        if n < 1:
            raise ValueError(f"read({n}): at least 1 byte must be asked for")
        self._check_open()
        while not self._incoming.data and not self._incoming.ended:
            await self._incoming.wait()
            self._check_open()
        if self._incoming.broken:
            raise ConnectionResetError("the other end broke the connection off")
        data = bytes(self._incoming.data[:n])
        del self._incoming.data[:n]
        self._incoming.wake()
        return data

    async def write(self, data: Buffer, /) -> None:
        """Write all of ``data``, of which this copies what there is room for, when there is."""
        self._check_open()
        if self._writing:
            raise RuntimeError("another task is writing")
        self._writing = True
        taken = 0
        try:
            with memoryview(data) as view, view.cast("B") as whole:
                while taken < len(whole):
                    if self._outgoing.ended:
                        raise BrokenPipeError("the stream has been ended")
                    room = _CAPACITY - len(self._outgoing.data)
                    piece = bytes(whole[taken : taken + room])
                    self._outgoing.data += piece
                    self._outgoing.taken += len(piece)
                    taken += len(piece)
                    self._outgoing.wake()
                    if taken < len(whole):
                        await self._outgoing.wait()
                        self._check_open()
        finally:
            self._writing = False

    async def close_write(self) -> None:
        """End the outgoing stream."""
        self._check_open()
        self._outgoing.ended = True
        self._outgoing.wake()

    def break_off(self) -> None:
        """Break the connection off for the other end, as a peer does that crashes."""
        self._outgoing.broken = True
        self._outgoing.data.clear()
        for pipe in (self._incoming, self._outgoing):
            pipe.ended = True
            pipe.wake()

    async def close(self) -> None:
        """Close this end; the other reads to its end, and cannot write any more."""
        self.closed = True
        for pipe in (self._incoming, self._outgoing):
            pipe.ended = True
            pipe.wake()
        # A real one tells its peer.
        await asyncio.sleep(0)

    def _check_open(self) -> None:
        if self.closed:
            raise ClosedError("this end was closed")


def unread(conn: MemoryConn, /) -> int:
    """Return how many bytes the other end has still to read."""
    # A method would be part of what others see of the class.
    return len(conn._outgoing.data)  # pyright: ignore[reportPrivateUsage]


def written(conn: MemoryConn, /) -> int:
    """Return how many bytes have been written to this end."""
    # No method either, as for unread().
    return conn._outgoing.taken  # pyright: ignore[reportPrivateUsage]


def connected_pair(
    network: str = "tcp", client: str = "192.0.2.1:1024", server: str = "192.0.2.2:80"
) -> tuple[MemoryConn, MemoryConn]:
    """Return both ends of a connection within this process: the client's and the server's.

    Args:
        network: what both addresses say of their network.
        client: the client's address, as ``host:port``.
        server: the server's.
    """
    here, there = Address(network, client), Address(network, server)
    up, down = _Pipe(), _Pipe()
    return MemoryConn(down, up, here, there), MemoryConn(up, down, there, here)


class MemoryListener(Listener):
    """A listener whose clients come from within this process: a test connects them itself.

    Args:
        addr: what ``addr()`` returns; nothing is bound.
    """

    _source: ClassVar[str] = "192.0.2.1"

    def __init__(self, addr: Address, /) -> None:
        self._addr = addr
        self._waiting: deque[Conn | Exception] = deque()
        self._changed = asyncio.Event()
        self._ports = count(1024)
        self.closed: bool = False

    def connect(self) -> MemoryConn:
        """Connect a client, each from a port of its own, and return its end."""
        source = f"{self._source}:{next(self._ports)}"
        client, server = connected_pair(self._addr.network(), source, str(self._addr))
        self._arrive(server)
        return client

    def fail(self, error: Exception, /) -> None:
        """Have a call of :meth:`accept` raise ``error``: the one that waits, or the next."""
        self._arrive(error)

    async def accept(self) -> Conn:
        """Return the next connection."""
        while not self.closed:
            if self._waiting:
                arrival = self._waiting.popleft()
                if isinstance(arrival, Exception):
                    raise arrival
                return arrival
            self._changed.clear()
            await self._changed.wait()
        raise ClosedError("the listener was closed")

    async def close(self) -> None:
        """Close the listener, and what nobody accepted."""
        self.closed = True
        self._changed.set()
        while self._waiting:
            arrival = self._waiting.popleft()
            if not isinstance(arrival, Exception):
                await arrival.close()

    def addr(self) -> Address:
        """Return the address."""
        return self._addr

    def _arrive(self, arrival: Conn | Exception) -> None:
        self._waiting.append(arrival)
        self._changed.set()
