"""Connections that are held to their limits, from the moment that they are accepted."""

from typing_extensions import Buffer

from gost_core import limiter, listener
from gost_core.common import net
from gost_core.context import Context
from gost_core.limiter import SCOPE_CLIENT, SCOPE_CONN, SCOPE_SERVICE, conn, rate, traffic
from gost_core.logger import default

from .access import is_admitted
from .address import host_of
from .observer import CountingConn
from .udp import DatagramConn
from .wrapper import HoldingWrapper, Wrapper, alone


class CountedConn(Wrapper):
    """Has a place of a limiter, and gives it back when it is closed, once (D51)."""

    def __init__(self, inner: net.Conn, places: conn.Limiter) -> None:
        super().__init__(inner)
        self._places: conn.Limiter | None = places

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            places, self._places = self._places, None
            if places is not None:
                places.allow(-1)


class LimitedConn(HoldingWrapper):
    """Draws what is read from one budget, and what is written from another; None = unlimited."""

    def __init__(
        self,
        ctx: Context,
        inner: net.Conn,
        in_: traffic.Limiter | None,
        out: traffic.Limiter | None,
    ) -> None:
        super().__init__(inner)
        self._ctx = ctx
        self._in = in_
        self._out = out

    async def pass_on(self, data: bytes, /) -> int:
        return await self._draw(self._in, len(data))

    async def write(self, data: Buffer, /) -> None:
        with alone(self._busy, "writing"):
            rest = memoryview(data).cast("B")
            if not rest:  # to hear whether it may be written
                await self._inner.write(rest)
            while rest:
                granted = await self._draw(self._out, len(rest))
                await self._inner.write(rest[:granted])
                rest = rest[granted:]

    async def _draw(self, budget: traffic.Limiter | None, n: int) -> int:
        if budget is None or not n:
            return n
        granted = await self.until_closed(budget.wait(self._ctx, n))
        if granted < 1:  # for good: whoever asks again never ends (D52)
            raise PermissionError("the limit of traffic allows no more bytes")
        return granted


class LimitedPackets(DatagramConn, LimitedConn):
    """The same for datagrams: one that is granted less than its size is dropped (D52)."""

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
                granted = await self._draw(self._in, len(data))
                self._arrived = None
                if granted == len(data):
                    return data[:n], addr

    async def send(self, data: Buffer, addr: net.Addr, /) -> None:
        size = memoryview(data).nbytes
        with alone(self._busy, "writing"):
            if await self._draw(self._out, size) < size:
                raise PermissionError(f"the limit of traffic drops a datagram of {size} bytes")
            await self._packets.write_to(data, addr)


async def accept_within_limits(inner: net.Conn, options: listener.Options) -> net.Conn | None:
    """Do with a new connection what the options of its listener say.

    Returns:
        The connection, perhaps wrapped; None if its client is refused, and the connection closed.
        That is no error of the listener's, which goes on (D26).
    """
    served: net.Conn | None = None
    if options.stats is not None:
        inner = CountingConn(inner, options.stats)
    try:
        if await is_admitted(options.admission, inner, options.service):
            inner = take_place(inner, options.conn_limiter)
            for scope, key in (
                (SCOPE_CONN, str(inner.remote_addr())),
                (SCOPE_SERVICE, options.service),
            ):
                inner = await limit_traffic(
                    Context(), inner, options.traffic_limiter, scope, key, service=options.service
                )
            served = inner
    except Exception as error:  # whoever cannot decide refuses (D49, D53)
        logger = options.logger or default()
        logger.warnf("%s is not served: %s", inner.remote_addr(), error)
    finally:
        if served is None:
            await inner.close()
    return served


def take_place(inner: net.Conn, limits: conn.ConnLimiter | None) -> net.Conn:
    """Take a place for a connection; a PermissionError says that there is none."""
    places = None if limits is None else limits.limiter(host_of(str(inner.remote_addr())))
    if places is None:
        return inner
    if not places.allow(1):
        raise PermissionError(f"all {places.limit()} places for this client are taken")
    return CountedConn(inner, places)


async def limit_traffic(
    ctx: Context,
    inner: net.Conn,
    limits: traffic.TrafficLimiter | None,
    scope: str,
    key: str,
    *,
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


async def limit_client(
    ctx: Context,
    inner: net.Conn,
    limits: traffic.TrafficLimiter | None,
    client: str,
    target: str,
    service: str,
) -> net.Conn:
    """Hold a connection to the limit of its client, on all of the client's connections."""
    return await limit_traffic(
        ctx, inner, limits, SCOPE_CLIENT, client, service=service, target=target
    )


def take_request(inner: net.Conn, limits: rate.RateLimiter | None) -> None:
    """Count a request of a client; a PermissionError says that it is one too many."""
    requests = None if limits is None else limits.limiter(host_of(str(inner.remote_addr())))
    if requests is not None and not requests.allow(1):
        raise PermissionError(f"no more than {requests.limit():g} requests a second for a client")
