"""What right listeners are made of, for the trials of both contracts."""

from typing_extensions import Buffer

from gost_core.common.net import Addr, Conn
from gost_core.context import Context
from gost_core.limiter.conn import Limiter as ConnPlaces
from gost_core.limiter.traffic import Limiter as Budget
from gost_core.limiter.traffic import TrafficLimiter
from gost_core.listener import (
    Listener,
    Options,
)
from gost_core.metadata import Metadata
from gost_core.observer.stats import Kind


class ServedConn(Conn):
    """An accepted connection, with what the options want of it."""

    place: ConnPlaces | None = None
    budget: Budget | None = None
    allowance: Budget | None = None

    def __init__(self, inner: Conn, options: Options) -> None:
        self.inner = inner
        self.options = options
        self.remote = inner.remote_addr()
        self.closed = False
        self.count(Kind.TOTAL_CONNS, 1)
        self.count(Kind.CURRENT_CONNS, 1)

    def count(self, kind: Kind, n: int) -> None:
        if self.options.stats is not None:
            self.options.stats.add(kind, n)

    async def read(self, n: int, /) -> bytes:
        data = await self.inner.read(n)
        self.count(Kind.INPUT_BYTES, len(data))
        rest = len(data)
        while self.allowance is not None and rest:
            granted = await self.allowance.wait(Context(), rest)
            if not granted:
                raise OSError("the limit refuses what was read")
            rest -= granted
        return data

    async def write(self, data: Buffer, /) -> None:
        rest = memoryview(data).cast("B")
        while self.budget is not None and rest:
            granted = await self.budget.wait(Context(), len(rest))
            if not granted:
                raise OSError("the limit refuses more bytes")
            await self.inner.write(rest[:granted])
            rest = rest[granted:]
        await self.inner.write(rest)

    async def close(self) -> None:
        was_open, self.closed = not self.closed, True
        try:
            await self.inner.close()
        finally:
            if was_open:
                self.give_back()

    def give_back(self) -> None:
        self.count(Kind.CURRENT_CONNS, -1)
        if self.place is not None:
            self.place.allow(-1)

    def local_addr(self) -> Addr:
        return self.inner.local_addr()

    def remote_addr(self) -> Addr:
        return self.remote


class ServesOptions:
    """A listener with admission, limits and statistics."""

    options: Options

    async def admit(self, conn: ServedConn) -> None:
        await self.ask(conn)
        self.take_place(conn)
        if self.options.traffic_limiter is not None:
            await self.find_budget(conn, self.options.traffic_limiter)
            await self.find_allowance(conn, self.options.traffic_limiter)

    def take_place(self, conn: ServedConn) -> None:
        if self.options.conn_limiter is not None:
            place = self.options.conn_limiter.limiter(self.host_of(str(conn.remote_addr())))
            if place is not None and not place.allow(1):
                raise PermissionError(f"{conn.remote_addr()} is beyond the limit")
            conn.place = place

    def host_of(self, addr: str) -> str:
        return addr.rpartition(":")[0].strip("[]")

    async def find_budget(self, conn: ServedConn, limits: TrafficLimiter) -> None:
        conn.budget = await limits.out(Context(), str(conn.remote_addr()))

    async def find_allowance(self, conn: ServedConn, limits: TrafficLimiter) -> None:
        conn.allowance = await limits.in_(Context(), str(conn.remote_addr()))

    async def ask(self, conn: ServedConn) -> None:
        remote, admission = conn.remote_addr(), self.options.admission
        if admission is not None and not await admission.admit(
            Context(), remote.network(), str(remote)
        ):
            raise PermissionError(f"{remote} is not admitted")


class RightWrapper(Listener):
    def __init__(self, inner: Listener) -> None:
        self.inner = inner

    async def init(self, metadata: Metadata | None, /) -> None:
        await self.inner.init(metadata)

    async def accept(self) -> Conn:
        return await self.inner.accept()

    def addr(self) -> Addr:
        return self.inner.addr()

    async def close(self) -> None:
        await self.inner.close()
