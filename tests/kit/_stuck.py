"""Faults of what a call leaves behind, and of when what it gives ends."""

import asyncio
from contextlib import suppress
from dataclasses import fields
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from typing_extensions import Buffer

from gost_core import keys
from gost_core.common.net import Addr, ClosedError, Conn, ConnUnwrapper, Listener, PacketConn
from gost_core.context import Context
from gost_core.options import apply
from gost_core.testing._stage.memory import ForwardingConn


def stuck(right: Any, method: str) -> Any:
    """Return a class whose calls hang once one has failed, as if that had kept a lock."""

    async def call(self: Any, *args: Any, **options: Any) -> Any:
        if self.is_stuck:
            await asyncio.Event().wait()
        try:
            return await getattr(right, method)(self, *args, **options)
        except ConnectionResetError:
            self.is_stuck = True
            raise

    return type("Stuck", (right,), {"is_stuck": False, method: call})


def losing_places(right: Any, method: str, by: type[BaseException]) -> Any:
    """Return a class with twenty places, of which each call that ends by this loses one."""

    async def call(self: Any, *args: Any, **options: Any) -> Any:
        if self.lost >= 20:
            await asyncio.Event().wait()
        try:
            return await getattr(right, method)(self, *args, **options)
        except by:
            self.lost += 1
            raise

    return type("LosingPlaces", (right,), {"lost": 0, method: call})


def few_places(right: Any, method: str) -> Any:
    """Return a class that makes a few calls at a time."""

    async def call(self: Any, *args: Any, **options: Any) -> Any:
        async with self.__dict__.setdefault("places", asyncio.Semaphore(64)):
            return await getattr(right, method)(self, *args, **options)

    return type("FewPlaces", (right,), {method: call})


def keeping_the_context(right: Any, method: str) -> Any:
    """Return a class that keeps the context of the last call."""

    async def call(self: Any, ctx: Context, *args: Any, **options: Any) -> Any:
        self.__dict__["ctx"] = ctx
        return await getattr(right, method)(self, ctx, *args, **options)

    return type("KeepingTheContext", (right,), {method: call})


def keeping_the_conns(right: Any, method: str) -> Any:
    """Return a class that keeps each connection that it is given."""

    async def call(self: Any, ctx: Context, conn: Conn, *args: Any, **options: Any) -> Any:
        self.__dict__.setdefault("conns", set()).add(conn)
        return await getattr(right, method)(self, ctx, conn, *args, **options)

    return type("KeepingTheConns", (right,), {method: call})


def with_one_object(right: Any, method: str, options: type[Any]) -> Any:
    """Return a class that applies the options of each call to the same object."""

    async def call(self: Any, *args: Any) -> Any:
        opts = [one for one in args if callable(one)]
        kept = apply(self.__dict__.setdefault("one_object", options()), *opts)

        def as_kept(target: Any) -> None:
            for one in fields(kept):
                setattr(target, one.name, getattr(kept, one.name))

        return await getattr(right, method)(self, *args[: len(args) - len(opts)], as_kept)

    return type("WithOneObject", (right,), {method: call})


_closing: set[asyncio.Task[None]] = set()


def close_behind(made: Any) -> asyncio.Task[None]:
    """Have a task close something, and return the task."""
    closing = asyncio.get_running_loop().create_task(made.close())
    _closing.add(closing)
    closing.add_done_callback(_closing.discard)
    return closing


def ending_with_the_task(right: Any, method: str) -> Any:
    """Return a class of which what a call gives is closed when the call's task ends."""

    async def call(self: Any, *args: Any, **options: Any) -> Any:
        made = await getattr(right, method)(self, *args, **options)
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: close_behind(made))
        return made

    return type("EndingWithTheTask", (right,), {method: call})


def ending_at_the_limit(right: Any, method: str) -> Any:
    """Return a class of which what a call gives is closed at the call's TIME_LIMIT."""

    async def call(self: Any, ctx: Any, *args: Any, **options: Any) -> Any:
        made = await getattr(right, method)(self, ctx, *args, **options)
        loop, limit = asyncio.get_running_loop(), ctx.value(keys.TIME_LIMIT)
        if limit is not None:
            loop.call_at(limit, close_behind, made)
        return made

    return type("EndingAtTheLimit", (right,), {method: call})


def ending_what_it_accepted(right: Any) -> Any:
    """Return a class of which the limit of a handshake goes on when that is over."""

    async def accept(self: Any) -> Conn:
        conn: Conn = await right.accept(self)
        asyncio.get_running_loop().call_later(10, close_behind, conn)
        return conn

    return type("EndingWhatItAccepted", (right,), {"accept": accept})


def hurrying(right: Any) -> Any:
    """Return a class that takes a listener to which nobody comes for broken."""

    async def accept(self: Any) -> Conn:
        async with asyncio.timeout(30):
            conn: Conn = await right.accept(self)
            return conn

    return type("Hurrying", (right,), {"accept": accept})


def closing_ahead(right: Any) -> Any:
    """Return a class of which a second close() returns while the first is at work."""

    async def close(self: Any) -> None:
        if self.is_closing:
            self.is_contended = True
            return
        self.is_closing = True
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0.5 if self.is_contended else 0)
        finally:
            await right.close(self)

    members = {"is_closing": False, "is_contended": False, "close": close}
    return type("ClosingAhead", (right,), members)


def timing_out(right: Any, method: str) -> Any:
    """Return a class that says of a call cancelled at its limit that it took too long."""

    async def call(self: Any, ctx: Context, *args: Any, **options: Any) -> Any:
        try:
            return await getattr(right, method)(self, ctx, *args, **options)
        except asyncio.CancelledError:
            limit = ctx.value(keys.TIME_LIMIT)
            if limit is not None and asyncio.get_running_loop().time() >= limit:
                raise TimeoutError("it took too long") from None
            raise

    return type("TimingOut", (right,), {method: call})


class EndedByBreaks(ForwardingConn, ConnUnwrapper):
    """A stream that looks complete when it was cut."""

    async def read(self, n: int, /) -> bytes:
        try:
            return await super().read(n)
        except ConnectionResetError:
            return b""

    def unwrap_conn(self) -> Conn:
        return self.inner


def closing_undisturbed(right: Any) -> Any:
    """Return a class whose close() goes on as if nothing were when it is cancelled."""

    async def close(self: Any) -> None:
        with suppress(asyncio.CancelledError):
            for _ in range(3):
                await asyncio.sleep(0)
        await right.close(self)

    return type("ClosingUndisturbed", (right,), {"close": close})


class Hurried(ForwardingConn, ConnUnwrapper):
    """A stream that sends little a moment later, and does not wait for that when it is closed."""

    def __init__(self, inner: Conn) -> None:
        super().__init__(inner)
        self.sending: asyncio.Future[None] | None = None

    async def write(self, data: Buffer, /) -> None:
        before, sent = self.sending, bytes(data)
        self.sending = None
        if len(sent) > 4096:
            await self.send(sent, before)
        else:
            self.sending = asyncio.ensure_future(self.send(sent, before))

    async def send(self, data: bytes, before: "asyncio.Future[None] | None") -> None:
        if before is not None:
            await before
        await self.inner.write(data)

    async def close(self) -> None:
        if self.sending is not None:
            self.sending.cancel()
        await super().close()

    def unwrap_conn(self) -> Conn:
        return self.inner


class Forgetful(ForwardingConn, ConnUnwrapper):
    """A stream that reads as much as there is, and forgets what was not asked for."""

    async def read(self, n: int, /) -> bytes:
        return (await super().read(65536))[:n]

    def unwrap_conn(self) -> Conn:
        return self.inner


class Shortening(ForwardingConn, ConnUnwrapper):
    """A stream that writes as much as is common, and forgets what is longer."""

    async def write(self, data: Buffer, /) -> None:
        await super().write(bytes(data)[:65536])

    def unwrap_conn(self) -> Conn:
        return self.inner


class ReadingOnBeneath(ForwardingConn, ConnUnwrapper):
    """A stream of which a read that was cancelled goes on, and is what the next one gets."""

    reading: asyncio.Future[bytes] | None = None

    async def read(self, n: int, /) -> bytes:
        self.reading = self.reading or asyncio.ensure_future(super().read(n))
        await asyncio.wait({self.reading})
        reading, self.reading = self.reading, None
        return reading.result()

    def unwrap_conn(self) -> Conn:
        return self.inner


class ClosingBehindWrites(ForwardingConn, ConnUnwrapper):
    """A stream that is closed once what is being written is out."""

    def __init__(self, inner: Conn) -> None:
        super().__init__(inner)
        self.writing = asyncio.Lock()

    async def write(self, data: Buffer, /) -> None:
        async with self.writing:
            await super().write(data)

    async def close(self) -> None:
        async with self.writing:
            await super().close()

    def unwrap_conn(self) -> Conn:
        return self.inner


class ClosingBehindReads(ForwardingConn, ConnUnwrapper):
    """A stream that is closed once nobody reads it any more."""

    def __init__(self, inner: Conn) -> None:
        super().__init__(inner)
        self.reading = asyncio.Lock()

    async def read(self, n: int, /) -> bytes:
        async with self.reading:
            return await super().read(n)

    async def close(self) -> None:
        async with self.reading:
            await super().close()

    def unwrap_conn(self) -> Conn:
        return self.inner


class SharingABuffer(ForwardingConn, ConnUnwrapper):
    """A stream that writes, a moment later, from a buffer that all such streams share."""

    buffer = bytearray()

    async def write(self, data: Buffer, /) -> None:
        sent = bytes(data)
        self.buffer[:] = sent
        await asyncio.sleep(0)
        await super().write(bytes(self.buffer) if len(self.buffer) == len(sent) < 100 else sent)

    def unwrap_conn(self) -> Conn:
        return self.inner


class OneBuffer(ForwardingConn, ConnUnwrapper):
    """A stream that reads into the buffer from which a write that waits goes on."""

    size = 65536

    def __init__(self, inner: Conn) -> None:
        super().__init__(inner)
        self.buffer = memoryview(bytearray(self.size))

    async def read(self, n: int, /) -> bytes:
        data = await super().read(n if n < 1 else min(n, self.size))
        self.buffer[: len(data)] = data
        return data

    async def write(self, data: Buffer, /) -> None:
        rest = memoryview(data).cast("B")
        while piece := rest[: self.size]:
            self.buffer[: len(piece)] = piece
            await super().write(self.buffer[: len(piece)])
            rest = rest[self.size :]

    def unwrap_conn(self) -> Conn:
        return self.inner


class TimedByTheCall(ForwardingConn, ConnUnwrapper):
    """A stream whose reads end at the TIME_LIMIT of the call that gave it."""

    limit: float | None = None

    async def read(self, n: int, /) -> bytes:
        async with asyncio.timeout_at(self.limit):
            return await super().read(n)

    def unwrap_conn(self) -> Conn:
        return self.inner


def timing_reads(right: Any, method: str) -> Any:
    """Return a class of which the reads of what a call gives end at the call's TIME_LIMIT."""

    async def call(self: Any, ctx: Any, *args: Any, **options: Any) -> Any:
        made = await getattr(right, method)(self, ctx, *args, **options)
        if isinstance(made, PacketConn):
            return made
        timed = TimedByTheCall(made)
        timed.limit = ctx.value(keys.TIME_LIMIT)
        return timed

    return type("TimingReads", (right,), {method: call})


class InTurn(ForwardingConn, ConnUnwrapper):
    """A stream that writes only while no other one does."""

    turns: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]] = (
        WeakKeyDictionary()
    )

    async def write(self, data: Buffer, /) -> None:
        async with self.turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            await super().write(data)

    def unwrap_conn(self) -> Conn:
        return self.inner


class QuietEnd(ForwardingConn, ConnUnwrapper):
    """A stream that takes a peer that broke off for one that has ended."""

    async def read(self, n: int, /) -> bytes:
        try:
            return await super().read(n)
        except ConnectionResetError:
            return b""

    def unwrap_conn(self) -> Conn:
        return self.inner


def giving(right: Any, method: str, stream: type[ForwardingConn]) -> Any:
    """Return a class of which a call gives such streams."""

    async def call(self: Any, *args: Any, **options: Any) -> Any:
        made = await getattr(right, method)(self, *args, **options)
        return made if isinstance(made, PacketConn) else stream(made)

    return type(f"Giving{stream.__name__}", (right,), {method: call})


class Drowsy(Listener):
    """A listener whose close() wakes no accept() once another one has returned."""

    def __init__(self, inner: Listener) -> None:
        self.inner = inner
        self.accepted: list[Conn] = []

    async def accept(self) -> Conn:
        try:
            conn = await self.inner.accept()
        except ClosedError:
            if self.accepted:
                await asyncio.Event().wait()
            raise
        self.accepted.append(conn)
        return conn

    async def close(self) -> None:
        await self.inner.close()

    def addr(self) -> Addr:
        return self.inner.addr()


class Cutting(Drowsy):
    """A listener that closes what it has accepted with itself."""

    async def accept(self) -> Conn:
        self.accepted.append(conn := await self.inner.accept())
        return conn

    async def close(self) -> None:
        await self.inner.close()
        for conn in self.accepted:
            await conn.close()


def closing_for_all(right: Any) -> Any:
    """Return a class whose calls of close() share a task, which the first that is cancelled ends.

    Its close() frees all even so; the others wait for what was cancelled.
    """

    async def close(self: Any) -> None:
        self.closing_for_all = self.closing_for_all or asyncio.ensure_future(right.close(self))
        await self.closing_for_all

    return type("ClosingForAll", (right,), {"closing_for_all": None, "close": close})
