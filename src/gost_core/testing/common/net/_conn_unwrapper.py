"""The contract of wrappers of connections."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import field
from functools import partial
from typing import Final

from typing_extensions import Buffer

from gost_core import keys
from gost_core.common.net import (
    Aborter,
    Addr,
    ClosedError,
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
from gost_core.testing._families.closers import Closers, closes_cut_short
from gost_core.testing._families.readers import expect_none_lost
from gost_core.testing._families.whole import LONG, expect_carried, expect_ways_apart
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    expect,
    expect_cancelled,
    need,
    owned,
    raises,
    settle,
    within,
)
from gost_core.testing._stage.fakes.connections import CarryingConn, LayeredConn, Scene, Wrapper
from gost_core.testing._stage.memory import Address, MemoryConn, MemoryMetadata, connected_pair
from gost_core.testing._stage.streams import ALL, FLOOD, begin, carry, packets, read, write

__all__ = ("ConnUnwrapperContract",)

# More than a factory may put on.
_MANY_LAYERS: Final[int] = 10
_PASTS: Final[tuple[str, ...]] = ("nothing", "the end", "a break", "close_write()", "abort()")
"""What a wrapper may have behind it when it is closed."""

_PEER: Final[Addr] = Address("udp", "192.0.2.53:53")
_DATAGRAM: Final[bytes] = bytes(range(250)) * 240


class _Slow(LayeredConn):
    """A connection whose close takes longer than what is ready to happen."""

    async def close(self) -> None:
        try:
            await asyncio.sleep(0 if self.closed else 0.05)
        finally:
            await super().close()


class _Described(LayeredConn, Metadatable):
    """A connection with metadata."""

    def metadata(self) -> MemoryMetadata:
        return MemoryMetadata(weight=2)


class _Packets(LayeredConn, PacketConn):
    """A connection that carries datagrams, all from one peer, and notes to whom."""

    connected_to: Addr = _PEER
    sent_to = ""
    sent = 0

    def remote_addr(self) -> Addr:
        return self.connected_to

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        return await self.inner.read(n), _PEER

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        self.sent_to = str(addr)
        await self.write(data)

    async def write(self, data: Buffer, /) -> None:
        self.sent += 1
        await super().write(data)


class _Unconnected(_Packets):
    """One that has to be told to whom."""

    connected_to = Address("udp", "")


class _Abortable(LayeredConn, Aborter, HalfCloser):
    """A connection that can be aborted, and half-closed."""

    aborted = False

    def abort(self) -> None:
        self.aborted = True

    async def close_write(self) -> None:
        """Do nothing more."""


class ConnUnwrapperContract(Closers, interface=ConnUnwrapper):
    """What a wrapper of connections promises that leaves their bytes as they are.

    How it carries data is the affair of :class:`~gost_core.testing.common.net.ConnContract`.
    """

    wrap: Callable[[Conn], Conn] = field(kw_only=False)
    """Wraps a stream."""
    wrap_datagrams: Callable[[Conn], Conn] | None = None
    """Wraps a connection that is a PacketConn."""

    async def _to_close(self) -> Conn:
        wrapper, *_ = self._wrapped(_Slow)
        return wrapper

    def _wrapped(
        self, kind: type[LayeredConn] = LayeredConn, wrap: Callable[[Conn], Conn] | None = None
    ) -> tuple[Conn, MemoryConn, LayeredConn]:
        """Return a wrapper, the far end, and what is wrapped, a connection of some kind."""
        near, far = connected_pair()
        inner = kind(Scene(), "what is wrapped", near)
        return owned((wrap or self.wrap)(inner)), owned(far), inner

    @clause("unwrap_conn() shows the connection directly beneath, the same each time.", "D10")
    async def shows_inner(self) -> None:
        middle = Wrapper(Scene(), "a wrapper", connected_pair()[0])
        wrapper = owned(self.wrap(middle))
        layers: list[object] = [wrapper]
        while (
            isinstance(layer := layers[-1], ConnUnwrapper)
            and layer is not middle
            # It may unwrap to itself.
            and len(layers) < _MANY_LAYERS
        ):
            layers.append(layer.unwrap_conn())
        names = " > ".join(type(one).__qualname__ for one in layers)
        expect(layers[-1] is middle, f"what was wrapped is not found; the layers are {names}")
        same = isinstance(wrapper, ConnUnwrapper) and wrapper.unwrap_conn() is wrapper.unwrap_conn()
        expect(same, "unwrap_conn() returned something else the second time")

    @clause("The wrapper leaves the bytes as they are, both ways.", "D10")
    async def bytes_unchanged(self) -> None:
        data = bytes(range(256)) * 4
        for n in (ALL, 7):
            wrapper, far, _ = self._wrapped()
            await carry(wrapper, far, data)
            await carry(far, wrapper, data, n)
            # What a cancelled one had asked for makes no difference.
            await expect_cancelled(await begin(wrapper.read(ALL)), "read()")
            await write(far, data)
            piece = await read(wrapper, 7)
            expect(
                data[:7].startswith(piece), f"read(7), after a cancelled one, returned {piece!r}"
            )

    @clause(
        "What is read through the wrapper does not change what is written through it meanwhile.",
        "D6, D10, D22",
        after=("bytes_unchanged", "packets_unchanged"),
    )
    async def ways_apart(self) -> None:
        for reads_late in (False, True):
            wrapper, far, _ = self._wrapped()
            await expect_carried(wrapper, far, reads_late=reads_late)
        for is_told in (False, True) if self.wrap_datagrams else ():
            wrapper, far, _ = self._wrapped(_Packets, self.wrap_datagrams)
            await _expect_ways_apart(wrapper, far, is_told=is_told)

    @clause("A cancelled read() of it loses nothing.", "D7", after=("bytes_unchanged",))
    async def cancelled_read_loses_nothing(self) -> None:
        wrapper, far, _ = self._wrapped()
        await expect_none_lost(wrapper.read, far.write, "read")

    @clause(
        "Closing the wrapper closes what it wraps, whatever came before.",
        "D3, D72",
        after=("close_twice",),
    )
    async def close_closes_inner(self) -> None:
        for wrap, kind in ((self.wrap, _Abortable), (self.wrap_datagrams, _Packets)):
            for past in _PASTS if wrap else ():
                wrapper, far, inner = self._wrapped(kind, wrap)
                await _undergo(wrapper, far, past)
                await within(wrapper.close(), "close()")
                left = f"after {past} and close() of the wrapper, what it wraps is open"
                expect(inner.closed, left)

    @clause(
        "Closing the wrapper ends waiting calls, which raise ClosedError.",
        "D1, D14",
        after=("close_closes_inner",),
    )
    async def close_wakes_waiting(self) -> None:
        wrapper, *_ = self._wrapped()
        reading = await begin(wrapper.read(ALL))
        writing = await begin(wrapper.write(bytes(FLOOD)))
        await within(wrapper.close(), "close() beside waiting calls")
        await raises(reading, "the waiting read()", ClosedError)
        await raises(writing, "the waiting write()", ClosedError)

    @clause(
        "A cancelled close() of the wrapper ends as cancelled, and closes what it wraps, at once.",
        "D1, D14",
        after=("close_closes_inner",),
    )
    async def close_cancelled(self) -> None:
        async def wrapped() -> tuple[Conn, Callable[[], Awaitable[None]]]:
            wrapper, _, inner = self._wrapped(_Slow)

            async def expect_closed() -> None:
                await settle()
                expect(inner.closed, "after a cancelled close() of the wrapper, its inner is open")

            return wrapper, expect_closed

        await closes_cut_short(wrapped)

    @clause(
        "Over a connection that can half-close, the wrapper can.", "D10", after=("bytes_unchanged",)
    )
    async def keeps_half_close(self) -> None:
        near, far = map(owned, connected_pair())
        wrapper = owned(self.wrap(near))
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
        wrapper, *_ = self._wrapped()
        if isinstance(wrapper, HalfCloser):
            what = "close_write() over a connection that cannot"
            await raises(wrapper.close_write(), what, UnsupportedError)

    @clause("Over a connection that can be aborted, abort() is handed on.", "D10, D72")
    async def keeps_abort(self) -> None:
        inner = _Abortable(Scene(), "what is wrapped", connected_pair()[0])
        wrapper = owned(self.wrap(inner))
        if not isinstance(wrapper, Aborter):
            raise Broken("the wrapper has no abort(), and what it wraps has")
        wrapper.abort()
        expect(inner.aborted, "after abort() of the wrapper, what it wraps was not aborted")

    @clause(
        "What is beneath is found through the wrapper: the context, the metadata.",
        "D10",
        after=("shows_inner",),
    )
    async def shows_capabilities(self) -> None:
        carried = Context().with_value(keys.CLIENT_ID, "a client")
        wrapper = owned(self.wrap(CarryingConn(Scene(), connected_pair()[0], carried)))
        carrier = find_capability(wrapper, ContextCarrier)
        context = None if carrier is None else carrier.context()
        expect(
            context is not None and context.value(keys.CLIENT_ID) == "a client",
            f"the context of what is wrapped was looked for, {context} was found",
        )
        wrapper, *_ = self._wrapped(_Described)
        described = find_capability(wrapper, Metadatable)
        metadata = None if described is None else described.metadata()
        expect(
            metadata is not None and metadata.get("weight") == 2,
            "the metadata of what is wrapped was looked for, and not found",
        )

    @clause("Over a connection that carries datagrams, the wrapper is a PacketConn.", "D10")
    async def keeps_packets(self) -> None:
        packets(self._wrapped(_Packets, need(self.wrap_datagrams, "wrap_datagrams"))[0])

    @clause(
        "Datagrams go through the wrapper whole, to whom and from whom they are.",
        "D8, D9, D10",
        after=("keeps_packets",),
    )
    async def packets_unchanged(self) -> None:
        outer, far, inner = self._wrapped(_Unconnected, need(self.wrap_datagrams, "wrap_datagrams"))
        wrapper = packets(outer)
        await within(wrapper.write_to(_DATAGRAM, _PEER), "write_to()")
        to, received = getattr(inner, "sent_to", ""), await read(far)
        expect(to == str(_PEER), f"what was sent to {_PEER} through the wrapper was sent to {to!r}")
        expect(received == _DATAGRAM, f"of {len(_DATAGRAM)} bytes sent, {len(received)} came")
        for n in (ALL, 2):
            await write(far, _DATAGRAM)
            data, sender = await within(wrapper.read_from(n), f"read_from({n})")
            expect(data == _DATAGRAM[:n], f"read_from({n}) returned {len(data)} bytes, or others")
            expect(str(sender) == str(_PEER), f"what came from {_PEER} came from {sender}")

    @clause(
        "What is written through the wrapper at once is one datagram.",
        "D8",
        after=("packets_unchanged",),
    )
    async def datagram_written(self) -> None:
        outer, far, inner = self._wrapped(_Packets, need(self.wrap_datagrams, "wrap_datagrams"))
        await within(outer.write(_DATAGRAM), "write()")
        received, sent = await read(far), getattr(inner, "sent", 0)
        what = f"of one datagram with {len(_DATAGRAM)} bytes, {len(received)} came, in {sent}"
        expect(received == _DATAGRAM and sent == 1, what)

    @clause("A cancelled read_from() of it loses nothing.", "D7", after=("packets_unchanged",))
    async def cancelled_read_from_loses_nothing(self) -> None:
        wrapper, far, _ = self._wrapped(_Packets, need(self.wrap_datagrams, "wrap_datagrams"))

        async def read_from(n: int) -> bytes:
            return (await packets(wrapper).read_from(n))[0]

        await expect_none_lost(read_from, far.write, "read_from")

    @clause("Over a stream, the wrapper is no PacketConn.", "D10")
    async def invents_no_packets(self) -> None:
        wrapper, *_ = self._wrapped()
        expect(not isinstance(wrapper, PacketConn), "around a stream, the wrapper is a PacketConn")


async def _expect_ways_apart(wrapper: Conn, far: MemoryConn, *, is_told: bool) -> None:
    """Break the clause unless datagrams are left alone, with their peer told or without."""

    async def read_from(n: int) -> bytes:
        return (await packets(wrapper).read_from(n))[0]

    def write(data: bytes) -> Awaitable[None]:
        return packets(wrapper).write_to(data, _PEER) if is_told else wrapper.write(data)

    writes = [partial(write, data) for data in (LONG[:50_000], LONG[50_000:])]
    await expect_ways_apart(read_from if is_told else wrapper.read, writes, far)


async def _undergo(wrapper: Conn, far: MemoryConn, past: str) -> None:
    """Have a wrapper go through what it may have behind it."""
    if past == "the end" and not isinstance(wrapper, PacketConn):
        await far.close()
        await read(wrapper)
    elif past == "a break":
        far.break_off()
        await raises(wrapper.read(ALL), "read() of what broke off", ConnectionResetError)
    elif past == "close_write()" and isinstance(wrapper, HalfCloser):
        with suppress(UnsupportedError):
            await within(wrapper.close_write(), past)
    elif past == "abort()" and isinstance(wrapper, Aborter):
        wrapper.abort()
