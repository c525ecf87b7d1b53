"""Trials of the contract of wrappers of connections."""

import asyncio
from collections.abc import Callable

from typing_extensions import Buffer

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
)
from gost_core.context import Context
from gost_core.testing import Contract
from gost_core.testing.common.net import (
    ConnUnwrapperContract,
)
from tests.kit._stuck import OneBuffer, closing_ahead, closing_undisturbed
from tests.kit.trial import Trial

TIME_LIMIT = 1.0


class PlainWrapper(Conn):
    def __init__(self, inner: Conn) -> None:
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


class HidingAbort(PlainWrapper, HalfCloser, ConnUnwrapper):
    async def close_write(self) -> None:
        if not isinstance(self.inner, HalfCloser):
            raise UnsupportedError("the connection beneath cannot half-close")
        await self.inner.close_write()

    def unwrap_conn(self) -> Conn:
        return self.inner


class RightWrapper(HidingAbort, Aborter):
    def abort(self) -> None:
        if isinstance(self.inner, Aborter):
            self.inner.abort()


class RightPacketWrapper(RightWrapper, PacketConn):
    @property
    def packets(self) -> PacketConn:
        assert isinstance(self.inner, PacketConn)
        return self.inner

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        return await self.packets.read_from(n)

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        await self.packets.write_to(data, addr)


def right_wrap(inner: Conn) -> Conn:
    return RightPacketWrapper(inner) if isinstance(inner, PacketConn) else RightWrapper(inner)


Wrap = Callable[[Conn], Conn]


def run_wrapper(wrap: Wrap) -> Contract:
    return ConnUnwrapperContract(wrap, wrap_datagrams=wrap, time_limit=TIME_LIMIT)


wrapper = Trial[Wrap](ConnUnwrapperContract, run_wrapper, right_wrap)


class PropertyOf(RightWrapper):
    @property
    def unwrap_conn(self) -> Conn:  # type: ignore  # the fault
        return self.inner


@wrapper.breaks("shape")
def unwrapping_property(inner: Conn) -> Conn:
    return PropertyOf(inner)


class ToTheBottom(RightWrapper):
    def unwrap_conn(self) -> Conn:
        inner = self.inner
        while isinstance(inner, ConnUnwrapper):
            inner = inner.unwrap_conn()
        return inner


@wrapper.breaks("shows-inner")
def skipping_layers(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else ToTheBottom(inner)


class Itself(RightWrapper):
    def unwrap_conn(self) -> Conn:
        return self if isinstance(self.inner, ConnUnwrapper) else self.inner


@wrapper.breaks("shows-inner")
def unwrapping_itself(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else Itself(inner)


MASK = bytes(byte ^ 42 for byte in range(256))


class Masking(RightWrapper):
    async def read(self, n: int, /) -> bytes:
        return (await super().read(n)).translate(MASK)

    async def write(self, data: Buffer, /) -> None:
        await super().write(bytes(data).translate(MASK))


@wrapper.breaks("bytes-unchanged")
def masking(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else Masking(inner)


class GoingOnWithTheRead(RightWrapper):
    """Has a read that was cancelled go on, for the next one."""

    reading: asyncio.Future[bytes] | None = None

    async def read(self, n: int, /) -> bytes:
        if self.reading is None:
            self.reading = asyncio.ensure_future(self.inner.read(n))
        try:
            data = await asyncio.shield(self.reading)
        except OSError:
            self.reading = None
            raise
        self.reading = None
        return data


@wrapper.breaks("bytes-unchanged")
def going_on_with_the_read(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else GoingOnWithTheRead(inner)


class Leaky(RightWrapper):
    async def close(self) -> None:
        """Close nothing."""


@wrapper.breaks("close-closes-inner")
def leaking(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else Leaky(inner)


class KeptAfterAbort(RightWrapper):
    aborted = False

    def abort(self) -> None:
        self.aborted = True
        super().abort()

    async def close(self) -> None:
        if not self.aborted:
            await super().close()


@wrapper.breaks("close-closes-inner")
def leaking_what_was_aborted(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else KeptAfterAbort(inner)


class ClosedInTwoSteps(RightWrapper):
    async def close(self) -> None:
        await asyncio.sleep(0)
        await super().close()


@wrapper.breaks("close-cancelled")
def leaking_what_is_cancelled(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else ClosedInTwoSteps(inner)


class ClosingInTurn(RightWrapper):
    """Has one lock for reading and for closing."""

    def __init__(self, inner: Conn) -> None:
        super().__init__(inner)
        self.lock = asyncio.Lock()

    async def read(self, n: int, /) -> bytes:
        async with self.lock:
            return await super().read(n)

    async def close(self) -> None:
        async with self.lock:
            await super().close()


@wrapper.breaks("close-wakes-waiting")
def closing_in_turn(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else ClosingInTurn(inner)


class ClosedOnce(RightWrapper):
    closed = False

    async def close(self) -> None:
        if self.closed:
            raise ClosedError("this wrapper was closed before")
        self.closed = True
        await super().close()


@wrapper.breaks("close-twice")
def closing_once(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else ClosedOnce(inner)


ClosedAhead = closing_ahead(RightWrapper)


@wrapper.breaks("close-at-once")
def closed_ahead(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else ClosedAhead(inner)


class AlreadyClosed(RightWrapper):
    """Returns from a second close() while the first one waits for what is wrapped."""

    closed = False

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            await super().close()


@wrapper.breaks("close-at-once")
def already_closed(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else AlreadyClosed(inner)


ClosedUndisturbed = closing_undisturbed(RightWrapper)


@wrapper.breaks("close-cancelled")
def closed_undisturbed(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else ClosedUndisturbed(inner)


class ClosingBeside(RightWrapper):
    """Leaves a close() that was cancelled to itself."""

    async def close(self) -> None:
        await asyncio.shield(self.inner.close())


@wrapper.breaks("close-cancelled")
def closed_beside(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else ClosingBeside(inner)


class HidingHalfClose(PlainWrapper, Aborter, ConnUnwrapper):
    def unwrap_conn(self) -> Conn:
        return self.inner

    def abort(self) -> None:
        if isinstance(self.inner, Aborter):
            self.inner.abort()


@wrapper.breaks(
    "keeps-half-close", history="#867 x#78 bc44bab 49ceda6 c29517b a wrapper hides capabilities"
)
def hiding_half_close(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else HidingHalfClose(inner)


@wrapper.breaks("keeps-abort")
def hiding_abort(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else HidingAbort(inner)


class Inventing(RightWrapper):
    async def close_write(self) -> None:
        if isinstance(self.inner, HalfCloser):
            await super().close_write()


@wrapper.breaks("invents-no-half-close")
def inventing(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else Inventing(inner)


class NoContext(RightWrapper, ContextCarrier):
    def context(self) -> Context | None:
        return None


@wrapper.breaks("shows-capabilities", history="x obfs, ReadWriteConn: the context is lost")
def losing_context(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else NoContext(inner)


@wrapper.breaks("keeps-packets", history="3b4fd64 wrapping a UDP session makes a stream of it")
def streaming(inner: Conn) -> Conn:
    return RightWrapper(inner)


@wrapper.breaks("invents-no-packets")
def always_packets(inner: Conn) -> Conn:
    return RightPacketWrapper(inner)


class Sniffing(RightWrapper):
    """Looks at what comes first, and loses what the second read leaves of it."""

    head: bytes | None = None

    async def read(self, n: int, /) -> bytes:
        if self.head is None:
            data = await super().read(n if n < 1 else max(n, 512))
            self.head = data[n:]
            return data[:n]
        data, self.head = self.head[:n], b""
        return data or await super().read(n)


@wrapper.breaks("bytes-unchanged")
def sniffing(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else Sniffing(inner)


class Recording(RightWrapper):
    """Keeps what is read waiting for a record of it, and loses it if it is cancelled then."""

    async def read(self, n: int, /) -> bytes:
        data = await super().read(n)
        await asyncio.sleep(0.01)
        return data


class RecordingPackets(RightPacketWrapper):
    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        received = await super().read_from(n)
        await asyncio.sleep(0.01)
        return received


@wrapper.breaks("cancelled-read-loses-nothing")
def recording(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else Recording(inner)


@wrapper.breaks("cancelled-read-from-loses-nothing")
def recording_packets(inner: Conn) -> Conn:
    return RecordingPackets(inner) if isinstance(inner, PacketConn) else right_wrap(inner)


class ShortOfRoom(RightPacketWrapper):
    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        return await super().read_from(min(n, 4096))


@wrapper.breaks("packets-unchanged")
def short_of_room(inner: Conn) -> Conn:
    return ShortOfRoom(inner) if isinstance(inner, PacketConn) else right_wrap(inner)


class ToThePeer(RightPacketWrapper):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        await self.packets.write_to(data, self.remote_addr())


@wrapper.breaks("packets-unchanged")
def to_the_peer(inner: Conn) -> Conn:
    return ToThePeer(inner) if isinstance(inner, PacketConn) else right_wrap(inner)


class InPieces(RightPacketWrapper):
    async def write(self, data: Buffer, /) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            await super().write(rest[:16384])
            rest = rest[16384:]


@wrapper.breaks("datagram-written")
def in_pieces(inner: Conn) -> Conn:
    return InPieces(inner) if isinstance(inner, PacketConn) else right_wrap(inner)


class SharingOneBuffer(OneBuffer, RightWrapper):
    """Looks at what passes in one buffer, for both ways."""


class SharingOneBufferOfPackets(OneBuffer, RightPacketWrapper):
    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        data, addr = await super().read_from(n)
        self.buffer[: len(data)] = data
        return data, addr

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        size = memoryview(data).nbytes
        self.buffer[:size] = memoryview(data).cast("B")
        await super().write_to(self.buffer[:size], addr)


@wrapper.breaks("ways-apart")
def with_one_buffer(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else SharingOneBuffer(inner)


@wrapper.breaks("ways-apart")
def with_one_buffer_for_packets(inner: Conn) -> Conn:
    return SharingOneBufferOfPackets(inner) if isinstance(inner, PacketConn) else right_wrap(inner)
