"""The contract of wrappers of connections."""

from collections.abc import Callable
from dataclasses import field
from typing import Final

from typing_extensions import Buffer

from gost_core import keys
from gost_core.common.net import (
    Addr,
    Conn,
    ConnUnwrapper,
    ContextCarrier,
    HalfCloser,
    PacketConn,
    UnsupportedError,
    find_capability,
)
from gost_core.context import Context
from gost_core.metadata import Metadatable
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.waiting import expect, need, owned, raises, within
from gost_core.testing._stage.fakes import FakeMetadata
from gost_core.testing._stage.memory import MemoryConn, connected_pair
from gost_core.testing._stage.streams import ALL, carry, read, write

__all__ = ("ConnUnwrapperContract",)

# More than a factory may put on.
_MANY_LAYERS: Final[int] = 10


class _Bare(Conn):
    """A connection without any capability, over another one."""

    def __init__(self, inner: MemoryConn) -> None:
        self.inner = inner

    async def read(self, n: int, /) -> bytes:
        return await self.inner.read(n)

    async def write(self, data: Buffer, /) -> None:
        await self.inner.write(data)

    async def close(self) -> None:
        await self.inner.close()

    def local_addr(self) -> Addr:
        return self.inner.local_addr()

    def remote_addr(self) -> Addr:
        return self.inner.remote_addr()


class _Carrying(_Bare, ContextCarrier):
    """A connection that brings a context."""

    def context(self) -> Context:
        return Context().with_value(keys.CLIENT_ID, "a client")


class _Described(_Bare, Metadatable):
    """A connection with metadata."""

    def metadata(self) -> FakeMetadata:
        return FakeMetadata(weight=2)


class _Packets(_Bare, PacketConn):
    """A connection that carries datagrams."""

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        return await self.inner.read(n), self.inner.remote_addr()

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        await self.inner.write(data)


class _Middle(_Bare, ConnUnwrapper):
    """A wrapper of the kit's own."""

    def unwrap_conn(self) -> Conn:
        return self.inner


class ConnUnwrapperContract(Contract, interface=ConnUnwrapper):
    """What a wrapper of connections promises that leaves their bytes as they are.

    How it carries data is the affair of :class:`~gost_core.testing.common.net.ConnContract`.
    """

    wrap: Callable[[Conn], Conn] = field(kw_only=False)
    """Wraps a stream."""
    wrap_datagrams: Callable[[Conn], Conn] | None = None
    """Wraps a connection that is a PacketConn."""

    async def _specimen(self) -> Conn:
        wrapper, _ = self._wrapped(_Bare)
        return wrapper

    def _wrapped(
        self, make: Callable[[MemoryConn], Conn], wrap: Callable[[Conn], Conn] | None = None
    ) -> tuple[Conn, MemoryConn]:
        """Return a wrapper around what ``make`` makes of a connection, and the far end."""
        near, far = map(owned, connected_pair())
        return owned((wrap or self.wrap)(make(near))), far

    @clause("unwrap_conn() shows the connection directly beneath, the same each time.", "D10")
    async def shows_inner(self) -> None:
        near, _ = connected_pair()
        middle = _Middle(near)
        wrapper = owned(self.wrap(middle))
        layers: list[object] = []
        layer: object = wrapper
        while (
            layer is not middle
            and isinstance(layer, ConnUnwrapper)
            # It may unwrap to itself.
            and len(layers) < _MANY_LAYERS
        ):
            layers.append(layer)
            layer = layer.unwrap_conn()
        names = " > ".join(type(one).__qualname__ for one in [*layers, layer])
        expect(layer is middle, f"what was wrapped is not found; the layers are {names}")
        same = isinstance(wrapper, ConnUnwrapper) and wrapper.unwrap_conn() is wrapper.unwrap_conn()
        expect(same, "unwrap_conn() returned something else the second time")

    @clause("The wrapper leaves the bytes as they are, both ways.", "D10")
    async def bytes_unchanged(self) -> None:
        wrapper, far = self._wrapped(_Bare)
        data = bytes(range(256)) * 4
        await carry(wrapper, far, data)
        await carry(far, wrapper, data)

    @clause("Closing the wrapper closes what it wraps.", "D3")
    async def close_closes_inner(self) -> None:
        near, far = connected_pair()
        owned(far)
        wrapper = self.wrap(_Bare(near))
        await within(wrapper.close(), "close()")
        expect(near.closed, "after close() of the wrapper, what it wraps is open")

    @clause(
        "Over a connection that can half-close, the wrapper can.", "D10", after=("bytes_unchanged",)
    )
    async def keeps_half_close(self) -> None:
        wrapper, far = self._wrapped(lambda near: near)
        if not isinstance(wrapper, HalfCloser):
            raise Broken("the wrapper has no close_write(), and what it wraps has")
        await within(wrapper.close_write(), "close_write()")
        data = await read(far)
        expect(data == b"", f"after close_write() of the wrapper, the peer read {data!r}")
        await carry(far, wrapper, b"answer")

    @clause(
        "Over a connection that cannot half-close, close_write() is missing or raises "
        "UnsupportedError.",
        "D10",
    )
    async def invents_no_half_close(self) -> None:
        wrapper, _ = self._wrapped(_Bare)
        if isinstance(wrapper, HalfCloser):
            what = "close_write() over a connection that cannot"
            await raises(wrapper.close_write(), what, UnsupportedError)

    @clause("What is beneath is found through the wrapper: the context, the metadata.", "D10")
    async def shows_capabilities(self) -> None:
        wrapper, _ = self._wrapped(_Carrying)
        carrier = find_capability(wrapper, ContextCarrier)
        context = None if carrier is None else carrier.context()
        expect(
            context is not None and context.value(keys.CLIENT_ID) == "a client",
            f"the context of what is wrapped was looked for, {context} was found",
        )
        wrapper, _ = self._wrapped(_Described)
        described = find_capability(wrapper, Metadatable)
        metadata = None if described is None else described.metadata()
        expect(
            metadata is not None and metadata.get("weight") == 2,
            "the metadata of what is wrapped was looked for, and not found",
        )

    @clause("Over a connection that carries datagrams, the wrapper is a PacketConn.", "D10")
    async def keeps_packets(self) -> None:
        wrapper, far = self._wrapped(_Packets, need(self.wrap_datagrams, "wrap_datagrams"))
        if not isinstance(wrapper, PacketConn):
            raise Broken("the wrapper is no PacketConn, and what it wraps is one")
        await within(wrapper.write_to(b"ping", wrapper.remote_addr()), "write_to()")
        received = await read(far)
        expect(received == b"ping", f"b'ping' was sent through the wrapper, {received!r} received")
        await write(far, b"pong")
        data, _ = await within(wrapper.read_from(ALL), "read_from()")
        expect(data == b"pong", f"b'pong' was received as {data!r}")

    @clause("Over a stream, the wrapper is no PacketConn.", "D10")
    async def invents_no_packets(self) -> None:
        wrapper, _ = self._wrapped(_Bare)
        expect(not isinstance(wrapper, PacketConn), "around a stream, the wrapper is a PacketConn")
