"""Trials of the contract of what opens connections from this host."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from typing_extensions import Buffer

from gost_core import keys
from gost_core.common.net import (
    Conn,
    Dialer,
    UnsupportedError,
)
from gost_core.context import Context
from gost_core.testing import Contract
from gost_core.testing.common.net import (
    DialerContract,
)
from tests.kit._stuck import ending_at_the_limit, keeping_the_context
from tests.kit.common.net._conn import DyingWithItsMaker, Nowhere
from tests.kit.common.net._packet_conn import AlwaysToThePeer, TakingAnybodys
from tests.kit.common.net._sockets import DatagramConn, SocketConn, split
from tests.kit.trial import Trial

TIME_LIMIT = 1.0


class RightDialer(Dialer):
    tcp: type[SocketConn] = SocketConn
    udp: type[SocketConn] = DatagramConn
    networks: ClassVar[tuple[str, ...]] = ("tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix")

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        self.check_limit(ctx)
        if network not in self.networks:
            raise UnsupportedError(f"network {network!r} is not offered")
        if network == "unix":
            return await self.connect(socket.AF_UNIX, socket.SOCK_STREAM, addr)
        kind = socket.SOCK_STREAM if network.startswith("tcp") else socket.SOCK_DGRAM
        if kind == socket.SOCK_DGRAM and not addr:
            return self.open()
        host, port = self.split(addr)
        family = {"4": socket.AF_INET, "6": socket.AF_INET6}.get(network[-1], socket.AF_UNSPEC)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=kind)
        for family, _, _, _, name in found[:-1]:
            with suppress(OSError):
                return await self.connect(family, kind, name)
        return await self.connect(found[-1][0], kind, found[-1][4])

    def check_limit(self, ctx: Context) -> None:
        limit = ctx.value(keys.TIME_LIMIT)
        if limit is not None and asyncio.get_running_loop().time() >= limit:
            raise TimeoutError("the time limit has passed")

    def split(self, addr: str) -> tuple[str, int]:
        return split(addr)

    def open(self) -> Conn:
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(("0.0.0.0", 0))
        return self.udp(sock)

    async def connect(
        self, family: socket.AddressFamily, kind: socket.SocketKind, name: tuple[object, ...] | str
    ) -> Conn:
        sock = socket.socket(family, kind)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, name)
        except BaseException as error:
            self.give_up(sock, error)
            raise
        return self.tcp(sock) if kind == socket.SOCK_STREAM else self.udp(sock)

    def give_up(self, sock: socket.socket, error: BaseException) -> None:
        sock.close()


def run_dialer(make: Callable[[], Dialer]) -> Contract:
    # Too long for a query, so the resolver knows without asking the network.
    unresolvable_addr = "a." * 130 + "invalid:80"
    return DialerContract(make, unresolvable_addr=unresolvable_addr, time_limit=TIME_LIMIT)


dialer = Trial[Callable[[], Dialer]](DialerContract, run_dialer, RightDialer)


@dialer.breaks("shape")
class DialWithOptions(RightDialer):
    async def dial(  # type: ignore  # the fault
        self, ctx: Context, network: str, addr: str, options: object, /
    ) -> Conn:
        return await super().dial(ctx, network, addr)


@dialer.breaks("reaches")
class NoConn(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        conn = await super().dial(ctx, network, addr)
        if network != "tcp":
            return conn
        await conn.close()
        return None  # type: ignore  # the fault


dialer.breaks("outlives-its-caller")(ending_at_the_limit(RightDialer, "dial"))
dialer.breaks("nothing-kept")(keeping_the_context(RightDialer, "dial"))


@dialer.breaks("nothing-kept")
class KeepingWhoDialed(RightDialer):
    """Keeps for a status page for whom each connection is."""

    def __init__(self) -> None:
        self.dialed: dict[Conn, Context] = {}

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        conn = await super().dial(ctx, network, addr)
        self.dialed[conn] = ctx
        return conn


@dialer.breaks("addresses")
class NoRemoteAddr(RightDialer):
    tcp = Nowhere


@dialer.breaks("networks", history="x http: only the exact name of a network counts")
class ExactNetworks(RightDialer):
    networks = ("tcp", "udp", "unix")


@dialer.breaks("resolves-names")
class NumbersOnly(RightDialer):
    def split(self, addr: str) -> tuple[str, int]:
        host, port = super().split(addr)
        if host == "localhost":
            raise ValueError(f"{host!r} is no IP address")
        return host, port


@dialer.breaks("resolves-names")
class TryingTheFirst(RightDialer):
    fault: OSError | None = None

    async def connect(
        self, family: socket.AddressFamily, kind: socket.SocketKind, name: tuple[object, ...] | str
    ) -> Conn:
        try:
            return await super().connect(family, kind, name)
        except ConnectionRefusedError as error:
            self.fault = error
            raise

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        self.fault = None
        conn = await super().dial(ctx, network, addr)
        if self.fault is not None:
            await conn.close()
            raise self.fault
        return conn


@dialer.breaks("unresolvable")
class UnresolvableAsConnectionError(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        try:
            return await super().dial(ctx, network, addr)
        except socket.gaierror as error:
            raise ConnectionError("cannot resolve") from error


@dialer.breaks("refused")
class RefusedAsOSError(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        try:
            return await super().dial(ctx, network, addr)
        except ConnectionRefusedError as error:
            raise OSError("cannot connect") from error


@dialer.breaks("unsupported")
class UnsupportedAsValueError(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        if network == "gopher":
            raise ValueError(f"network {network!r} is not known")
        return await super().dial(ctx, network, addr)


@dialer.breaks("unsupported", history="x tunnel, router: the request is sent, then refused")
class RefusingLate(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        if network != "gopher":
            return await super().dial(ctx, network, addr)
        conn = await super().dial(ctx, "tcp", addr)
        await conn.close()
        raise UnsupportedError(f"network {network!r} is not offered")


@dialer.breaks("malformed")
class GuessingThePort(RightDialer):
    def split(self, addr: str) -> tuple[str, int]:
        return (addr, 1) if ":" not in addr else super().split(addr)


@dialer.breaks("malformed")
class TakingAnySpelling(RightDialer):
    def split(self, addr: str) -> tuple[str, int]:
        host, _, port = addr.rpartition(":")
        if host in ("127.1", "2130706433", "0x7f000001", "0177.0.0.1"):
            return socket.inet_ntoa(socket.inet_aton(host)), int(port)
        return super().split(addr)


@dialer.breaks("no-host", history="x socks5: an empty host becomes 127.0.0.1")
class GuessingTheHost(RightDialer):
    def split(self, addr: str) -> tuple[str, int]:
        return super().split(f"127.0.0.1{addr}" if addr.startswith(":") else addr)


@dialer.breaks("outlives-its-caller", history="221144f x#117 the connection ends with its dial")
class EndingWithTheDial(RightDialer):
    tcp = DyingWithItsMaker

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        return await super().dial(ctx, network, addr)


@dialer.breaks("connections-apart", history="x mtls, mtcp, mws: Dial gives the shared connection")
class OneSession(RightDialer):
    def __init__(self) -> None:
        self.sessions: dict[tuple[str, str], Conn] = {}

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        if (network, addr) not in self.sessions:
            self.sessions[network, addr] = await super().dial(ctx, network, addr)
        return self.sessions[network, addr]


@dialer.breaks("at-once")
class OneDialForAll(RightDialer):
    def __init__(self) -> None:
        self.dialing: dict[str, asyncio.Future[Conn]] = {}

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        if addr in self.dialing:
            return await asyncio.shield(self.dialing[addr])
        self.dialing[addr] = asyncio.get_running_loop().create_future()
        try:
            conn = await super().dial(ctx, network, addr)
            self.dialing[addr].set_result(conn)
            return conn
        finally:
            self.dialing.pop(addr).cancel()


@dialer.breaks("at-once")
class LastAddress(RightDialer):
    """Keeps on the object what belongs to a call."""

    addr = ""

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        self.addr = addr
        if network == "tcp":
            await asyncio.sleep(0)
        return await super().dial(ctx, network, self.addr)


@dialer.breaks("limit-passed")
class DialingAfterTheLimit(RightDialer):
    def check_limit(self, ctx: Context) -> None:
        """Hope for the best."""


@dialer.breaks("limit-passed-udp")
class OpeningAfterTheLimit(RightDialer):
    """Has no limit where it need not wait."""

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        ctx = ctx.without(keys.TIME_LIMIT) if network == "udp" and not addr else ctx
        return await super().dial(ctx, network, addr)


@dialer.breaks("cancellable", history="b92c1b1 #777 a hop that says nothing is waited for for ever")
class CancelledDialAsTimeout(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        try:
            return await super().dial(ctx, network, addr)
        except asyncio.CancelledError:
            raise TimeoutError("the dial timed out") from None


@dialer.breaks(
    "silence-apart", history="18c1d60 c45d271 a lock is held while a dead peer is dialed"
)
class LockedWhileDialing(RightDialer):
    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        async with self.lock:
            return await super().dial(ctx, network, addr)


LEFT_CONNECTED: list[asyncio.Future[Any]] = []


@dialer.breaks("cancelled-frees")
class DialingOn(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        dialing = asyncio.ensure_future(super().dial(ctx, network, addr))
        try:
            return await asyncio.shield(dialing)
        except asyncio.CancelledError:
            LEFT_CONNECTED.append(dialing)
            raise


@dialer.breaks("cancelled-frees")
class ClosingLater(RightDialer):
    """Leaves it to a task to close what a cancelled dial opens."""

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        dialing = asyncio.ensure_future(super().dial(ctx, network, addr))
        try:
            return await asyncio.shield(dialing)
        except asyncio.CancelledError:
            dialing.add_done_callback(self.close_later)
            raise

    def close_later(self, dialing: "asyncio.Future[Conn]") -> None:
        if not dialing.cancelled() and dialing.exception() is None:
            LEFT_CONNECTED.append(asyncio.ensure_future(dialing.result().close()))


@dialer.breaks("cancelled-frees")
class KeepingPlaces(RightDialer):
    """Dials a few at once, and a dial that is cancelled keeps its place."""

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(8)

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        await self.places.acquire()
        try:
            conn = await super().dial(ctx, network, addr)
        except (OSError, ValueError):
            self.places.release()
            raise
        self.places.release()
        return conn


@dialer.breaks("udp")
class PlainDatagrams(RightDialer):
    udp = SocketConn

    def open(self) -> Conn:
        return RightDialer().open()


@dialer.breaks("udp")
class NeverConnected(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        return self.open() if network == "udp" else await super().dial(ctx, network, addr)


@dialer.breaks("udp-elsewhere")
class SendingToThePeer(RightDialer):
    udp = AlwaysToThePeer


@dialer.breaks("udp-elsewhere")
class SendingToOne(RightDialer):
    udp = TakingAnybodys


class EndingByARefusal(DatagramConn):
    async def read(self, n: int, /) -> bytes:
        try:
            return await super().read(n)
        except ConnectionRefusedError:
            await self.close()
            raise

    async def write(self, data: Buffer, /) -> None:
        try:
            await super().write(data)
        except ConnectionRefusedError:
            await self.close()
            raise


@dialer.breaks("udp-unreachable")
class EndingAtNobody(RightDialer):
    udp = EndingByARefusal


@dialer.breaks("udp-unconnected", history="x http3, masque: the socket is no PacketConn")
class NoPackets(RightDialer):
    def open(self) -> Conn:
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        return SocketConn(sock)


class Short(DatagramConn):
    async def read(self, n: int, /) -> bytes:
        return await super().read(min(n, 2048))


@dialer.breaks("udp")
class CuttingDatagrams(RightDialer):
    udp = Short


@dialer.breaks("one-family")
class TakingTheOtherFamily(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        try:
            return await super().dial(ctx, network, addr)
        except socket.gaierror:
            if network != "tcp6":
                raise
            return await super().dial(ctx, "tcp", addr)


@dialer.breaks("one-family")
class AnyFamilyForDatagrams(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        return await super().dial(ctx, network[:3] if "udp" in network else network, addr)


@dialer.breaks("unresolvable")
class UnresolvableAsUnconnected(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        try:
            return await super().dial(ctx, network, addr)
        except socket.gaierror:
            if network != "udp":
                raise
            return self.open()


@dialer.breaks("unix")
class PathAsHost(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        return await super().dial(ctx, "tcp" if network == "unix" else network, addr)


LEFT_OPEN: list[socket.socket] = []


@dialer.breaks("failure-frees")
class LeavingTheRefused(RightDialer):
    """Leaves a socket open whose connecting fails so."""

    left: type[BaseException] = OSError

    def give_up(self, sock: socket.socket, error: BaseException) -> None:
        if isinstance(error, self.left):
            LEFT_OPEN.append(sock)
        else:
            super().give_up(sock, error)


class Plain(SocketConn):
    async def linger(self) -> None:
        """Close at once, as the system does."""


@dialer.breaks("last-words")
class ClosingPlainly(RightDialer):
    tcp = Plain


class Discarding(SocketConn):
    async def linger(self) -> None:
        """Discard what is there, but nothing that comes later."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            while self.sock.recv(65536):
                pass


@dialer.breaks("last-words")
class DiscardingOnce(RightDialer):
    tcp = Discarding


@dialer.breaks("cancelled-frees")
class LeavingTheCancelled(LeavingTheRefused):
    left = asyncio.CancelledError


@dialer.breaks("failure-frees")
class WatchingAfterFailure(RightDialer):
    """Leaves a task behind that was to end a connecting which takes too long."""

    async def connect(
        self, family: socket.AddressFamily, kind: socket.SocketKind, name: tuple[object, ...] | str
    ) -> Conn:
        watching = asyncio.create_task(asyncio.sleep(3600.0))
        try:
            conn = await super().connect(family, kind, name)
        except asyncio.CancelledError:
            watching.cancel()
            raise
        watching.cancel()
        return conn
