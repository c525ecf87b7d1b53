"""Connections that are held to a budget of bytes."""

from typing_extensions import Buffer

from gost_core import limiter
from gost_core.common import net
from gost_core.context import Context
from gost_core.limiter import SCOPE_CLIENT
from gost_core.limiter.traffic import Limiter, TrafficLimiter

from ..net.udp import DatagramConn
from ..net.wrapper import Waits, Wrapper, alone


class LimitedConn(Wrapper):
    """Draws what is read from one budget, and what is written from another; None = unlimited.

    What was read is held until it is granted, so a cancelled read loses nothing (D7).
    """

    def __init__(
        self, ctx: Context, inner: net.Conn, in_: Limiter | None, out: Limiter | None
    ) -> None:
        super().__init__(inner)
        self._ctx = ctx
        self._in = in_
        self._out = out
        self._held = b""
        self._busy: set[str] = set()
        self._waits = Waits("connection")

    async def read(self, n: int, /) -> bytes:
        with alone(self._busy, "reading"):
            if n < 1 or not self._held:
                self._held = await super().read(n)
            granted = await self._draw(self._in, len(self._held[:n]))
            data, self._held = self._held[:granted], self._held[granted:]
            return data

    async def write(self, data: Buffer, /) -> None:
        with alone(self._busy, "writing"):
            rest = memoryview(data).cast("B")
            if not rest:  # to hear whether it may be written
                await self._inner.write(rest)
            while rest:
                granted = await self._draw(self._out, len(rest))
                await self._inner.write(rest[:granted])
                rest = rest[granted:]

    async def _draw(self, budget: Limiter | None, n: int) -> int:
        if budget is None or not n:
            return n
        granted = await self._waits.until_closed(budget.wait(self._ctx, n))
        if granted < 1:  # for good: whoever asks again never ends (D52)
            raise PermissionError("the limit of traffic allows no more bytes")
        return granted

    async def close(self) -> None:
        self._waits.end()
        self._held = b""
        await super().close()

    def abort(self) -> None:
        self._waits.end()
        super().abort()


class LimitedPackets(DatagramConn, LimitedConn):
    """The same for datagrams, each of which goes on when all of it is granted (D52)."""

    _arrived: tuple[bytes, net.Addr] | None = None

    @property
    def _packets(self) -> net.PacketConn:
        assert isinstance(self._inner, net.PacketConn)
        return self._inner

    async def read_from(self, n: int, /) -> tuple[bytes, net.Addr]:
        with alone(self._busy, "reading"):
            while True:
                # Kept here before it is drawn, as above.
                data, addr = self._arrived = self._arrived or await self._packets.read_from(n)
                try:
                    await self._draw_all(self._in, len(data))
                except PermissionError:
                    self._arrived = None
                    continue
                self._arrived = None
                return data[:n], addr

    async def send(self, data: Buffer, addr: net.Addr, /) -> None:
        with alone(self._busy, "writing"):
            await self._draw_all(self._out, memoryview(data).nbytes)
            await self._packets.write_to(data, addr)

    async def _draw_all(self, budget: Limiter | None, n: int) -> None:
        while n:
            n -= await self._draw(budget, n)


async def limit_traffic(
    ctx: Context,
    inner: net.Conn,
    limits: TrafficLimiter | None,
    scope: str,
    key: str,
    service: str,
    target: str = "",
) -> net.Conn:
    """Look up what holds for a connection; the limits themselves change live, by ``set``."""
    if limits is None:
        return inner
    source = inner.remote_addr()
    opts = (
        limiter.scope_option(scope),
        limiter.service_option(service),
        limiter.network_option(source.network()),
        limiter.addr_option(target),
        limiter.client_option(key if scope == SCOPE_CLIENT else ""),
        limiter.src_option(str(source)),
    )
    in_, out = await limits.in_(ctx, key, *opts), await limits.out(ctx, key, *opts)
    limited = LimitedPackets if isinstance(inner, net.PacketConn) else LimitedConn
    return inner if in_ is None and out is None else limited(ctx, inner, in_, out)
