"""The trial of the transport like QUIC."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from typing_extensions import Buffer

from gost_core.common.net import Addr, Closer, Conn
from gost_core.context import Context
from gost_core.dialer import DialOption, DialOptions, net_dialer_dial_option
from gost_core.listener import Listener, addr_option
from gost_core.testing import Contract
from gost_core.testing._stage.memory import Address, MemoryMetadata
from gost_core.testing._stage.network import Network, echo, packet_pair, silent
from gost_core.testing.common.net import (
    AborterContract,
    CloserContract,
    ConnContract,
    HalfCloserContract,
)
from gost_core.testing.dialer import DialerContract
from gost_core.testing.listener import ListenerContract
from tests.kit import virtual_time
from tests.kit.common.net._sockets import split
from tests.kit.dialer._protocol import PASSWORD
from tests.kit.listener._local import BACKLOG, RightListener
from tests.kit.listener._serving import RightWrapper
from tests.kit.protocols._quic import (
    LOGIN,
    OwnSocket,
    QuicDialer,
    QuicSession,
)
from tests.kit.protocols._quic_listener import Peer as ServerPeer
from tests.kit.protocols._quic_listener import QuicListener
from tests.kit.protocols._sessions import Carrier, Kind, Stream, message, parsed
from tests.kit.protocols._trial import ProtocolTrial

TIME_LIMIT = 1.5


@dataclass(frozen=True)
class Quic:
    dialer: type[QuicDialer] = QuicDialer
    listener: type[QuicListener] = QuicListener
    session: type[QuicSession] = QuicSession


# ---- Nodes


async def let_in(conn: Conn) -> OwnSocket:
    carrier = OwnSocket(conn)
    kind, _, login = parsed(await carrier.receive())
    assert (kind, login) == (Kind.HELLO, LOGIN)
    await carrier.send(message(Kind.WELCOME))
    return carrier


async def serve(conn: Conn, stream_peer: Callable[["Stream"], Awaitable[object]]) -> None:
    tasks: set[asyncio.Task[None]] = set()

    def begun(stream: Stream) -> None:
        async def play() -> None:
            await stream_peer(stream)
            await stream.close()

        tasks.add(asyncio.create_task(play()))

    session = QuicSession(await let_in(conn), begun)
    try:
        await asyncio.wait({session.receiving})
    finally:
        for task in tasks:
            task.cancel()
        await session.close()


async def node(conn: Conn) -> None:
    await serve(conn, echo)


async def leaving_node(conn: Conn) -> None:
    async def answer_once(stream: Stream) -> None:
        await stream.write(await stream.read(65535))
        await asyncio.sleep(0)
        stream.session.end()

    await serve(conn, answer_once)


async def refusing_node(conn: Conn) -> None:
    await conn.read(65535)
    await conn.write(message(Kind.REFUSED))


async def garbling_node(conn: Conn) -> None:
    await conn.read(65535)
    await conn.write(message(Kind.OPENED))
    await silent(conn)


# ---- Pairs, clients


async def break_off(conn: Conn) -> None:
    assert isinstance(conn, Stream)
    conn.abort()


async def cut(conn: Conn) -> None:
    assert isinstance(conn, Stream)
    await conn.session.close()


async def ask(conn: Conn) -> Callable[[], bool]:
    """Have the other end confirm that it is there."""
    assert isinstance(conn, Stream)
    session = conn.session
    session.pongs = 0
    session.post(Kind.PING)
    return lambda: session.pongs == 1


async def dial(addr: Addr, dialer: type[QuicDialer] = QuicDialer) -> Conn:
    client = dialer()
    await client.init(None)
    return await client.dial(Context(), str(addr))


class Garbage(Closer):
    def __init__(self, addr: Addr, data: bytes) -> None:
        self.sock = socket.socket(type=socket.SOCK_DGRAM)
        self.sock.sendto(data, split(str(addr)))

    async def close(self) -> None:
        self.sock.close()


async def send_garbage(addr: Addr) -> Closer:
    return Garbage(addr, bytes(range(255, 0, -1)))


async def stop_at_login(addr: Addr) -> Closer:
    return Garbage(addr, message(Kind.HELLO, 0, b"mallory:"))


async def begin_wrongly(addr: Addr) -> Closer:
    conn = await dial(addr)
    assert isinstance(conn, Stream)
    conn.session.post(Kind.DATA, 2, b"not mine")
    return conn


async def break_rudely(addr: Addr) -> Closer:
    conn = await dial(addr)
    assert isinstance(conn, Stream)
    await conn.write(b"x")
    await conn.session.carrier.close()
    return conn


async def fail(listener: Listener, error: OSError) -> None:
    assert isinstance(listener, RightListener)
    listener.failed(error)


async def pass_limit() -> None:
    await asyncio.sleep(1.0)


def contracts(parts: Quic) -> tuple[Contract, ...]:
    async def make_pair() -> tuple[Conn, Conn]:
        near, far = packet_pair(
            Address("udp", "192.0.2.1:4433"), Address("udp", "[2001:db8::2]:443")
        )
        begun: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()
        parts.session(OwnSocket(far), begun.set_result)
        here = parts.session(OwnSocket(near)).open()
        # The stream is silent: the other side learns of it by the first byte.
        await here.write(b"!")
        there = await begun
        await there.read(1)
        return here, there

    async def at_work() -> QuicDialer:
        dialer = parts.dialer()
        await dialer.init(None)
        await dialer.dial(Context(), "node:1", net_dialer_dial_option(Network(node)))
        return dialer

    async def wait(dialer: QuicDialer) -> object:
        return await dialer.dial(Context(), "node:2", net_dialer_dial_option(Network(silent)))

    async def call_back(dialer: QuicDialer, inside: Callable[[], Awaitable[None]]) -> object:
        class Calling(Network):
            async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
                await inside()
                return await super().dial(ctx, network, addr)

        return await dialer.dial(Context(), "node:3", net_dialer_dial_option(Calling(silent)))

    def is_free(dialer: QuicDialer) -> bool:
        return all(session.over for session in dialer.sessions.values())

    return (
        ConnContract(
            make_pair,
            carries_datagrams=False,
            break_off=break_off,
            cut=cut,
            ask=ask,
            time_limit=TIME_LIMIT,
        ),
        HalfCloserContract(make_pair, wraps=False, time_limit=TIME_LIMIT),
        AborterContract(make_pair, time_limit=TIME_LIMIT),
        CloserContract(
            at_work, wait=wait, call_back=call_back, is_free=is_free, time_limit=TIME_LIMIT
        ),
        DialerContract(
            parts.dialer,
            peer=node,
            metadata=MemoryMetadata(timeout=10.0),
            bad_setting=("timeout", "soon"),
            refusing=refusing_node,
            garbling=garbling_node,
            leaving=leaving_node,
            pass_limit=pass_limit,
            secret=PASSWORD,
            time_limit=TIME_LIMIT,
        ),
        ListenerContract(
            lambda option: parts.listener(addr_option("127.0.0.1:0"), option),
            dial,
            backlog=BACKLOG,
            bad_metadata=MemoryMetadata(backlog="many"),
            bad_clients={
                "one that sent garbage": send_garbage,
                "one that may not": stop_at_login,
                "one that began a wrong stream": begin_wrongly,
                "one that broke off": break_rudely,
            },
            connect_silent=dial,
            fail=fail,
            shares_socket=True,
            speaks_first=True,
            elapse=virtual_time.elapse,
            wrap=RightWrapper,
            time_limit=TIME_LIMIT,
        ),
    )


trial = ProtocolTrial(
    "quic",
    Quic(),
    contracts,
)


# ---- Faults


def of_streams(kind: type[Stream]) -> Quic:
    class Faulty(QuicSession):
        def stream(self, number: int) -> Stream:
            return kind(self, number)

    return Quic(session=Faulty)


class WithoutWindow(Stream):
    async def write(self, data: Buffer, /) -> None:
        self.check_writable()
        for piece in range(0, memoryview(data).nbytes, 1200):
            self.post(Kind.DATA, bytes(data)[piece : piece + 1200])

    def take(self, kind: Kind, data: bytes) -> None:
        if kind is Kind.DATA:
            self.incoming += data
            self.changed.wake()
        else:
            super().take(kind, data)


class TakingBeforeWaiting(Stream):
    async def read(self, n: int, /) -> bytes:
        data = await super().read(n)
        await asyncio.sleep(0)
        return data


class ResetIsTheEnd(Stream):
    def take(self, kind: Kind, data: bytes) -> None:
        super().take(Kind.CLOSE if kind is Kind.RESET else kind, data)


class LeavingSilently(Stream):
    async def close(self) -> None:
        self.closed = True
        self.changed.wake()


class EndingBothWays(Stream):
    async def close_write(self) -> None:
        await super().close_write()
        self.ended = True
        self.changed.wake()


LEFT_OPEN: list[Conn] = []


class OneForAll(QuicSession):
    """Is closed by the first who leaves."""

    def leave(self, user: object) -> None:
        super().leave(user)
        if user is not None:
            self.end()


class OneForAllDialer(QuicDialer):
    def session(self, carrier: Carrier) -> QuicSession:
        return OneForAll(carrier)


class HandingOutTheDead(QuicDialer):
    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        self.check_ready()
        if session := self.sessions.get(addr):
            return session.open()
        return await super().dial(ctx, addr, *opts)


class LeavingTheRefused(QuicDialer):
    async def log_in(self, carrier: Carrier) -> None:
        try:
            await super().log_in(carrier)
        except PermissionError:
            self.keepalive = asyncio.create_task(asyncio.sleep(60))
            raise


class Forgetting(OwnSocket):
    async def close(self) -> None:
        LEFT_OPEN.append(self.conn)


class KeepingTheSocket(QuicDialer):
    def session(self, carrier: Carrier) -> QuicSession:
        assert isinstance(carrier, OwnSocket)
        return super().session(Forgetting(carrier.conn))


class OneAtATime(QuicDialer):
    lock: asyncio.Lock | None = None

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        self.lock = self.lock or asyncio.Lock()
        async with self.lock:
            return await super().dial(ctx, addr, *opts)


class CancellingForAll(QuicDialer):
    async def first(self, addr: str, options: DialOptions) -> Conn:
        try:
            return await super().first(addr, options)
        except asyncio.CancelledError:
            if opening := self.openings.pop(addr, None):
                opening.task.cancel()
            raise


class ClosingAll(QuicListener):
    async def close(self) -> None:
        for peer in () if self.receiving is None else tuple(self.peers.values()):
            if peer.session is not None:
                peer.session.end()
        await super().close()


class NeverFreed(QuicListener):
    def listen(self) -> None:
        super().listen()
        LEFT_OPEN.append(self.socket)

    def gone(self, peer: ServerPeer) -> None:
        self.peers.pop(str(peer.addr), None)


class ParsingBeforehand(QuicListener):
    async def receive(self) -> None:
        with suppress(OSError):
            while True:
                data, addr = await self.socket.read_from(65535)
                kind, _, _ = parsed(data)
                if str(addr) not in self.peers and kind is Kind.HELLO:
                    self.peers[str(addr)] = ServerPeer(self, addr)
                self.peers[str(addr)].inbox.put_nowait(data)


trial.faults |= {
    "the window is not kept": (of_streams(WithoutWindow), "common.net.Conn.write-waits"),
    "a read takes, and then waits": (
        of_streams(TakingBeforeWaiting),
        "common.net.Conn.cancelled-read-loses-nothing",
    ),
    "a reset is read as an end": (of_streams(ResetIsTheEnd), "common.net.Conn.broken-off"),
    "close() tells the peer nothing": (
        of_streams(LeavingSilently),
        "common.net.Conn.close-reaches-peer",
    ),
    "close_write() ends both ways": (
        of_streams(EndingBothWays),
        "common.net.HalfCloser.reading-goes-on",
    ),
    "a handle closes the session of all": (
        Quic(dialer=OneForAllDialer),
        "dialer.Dialer.handles-apart",
    ),
    "a dead session is handed out": (
        Quic(dialer=HandingOutTheDead),
        "dialer.Dialer.node-comes-back",
    ),
    "a refused login leaves a task": (
        Quic(dialer=LeavingTheRefused),
        "dialer.Dialer.failure-frees",
    ),
    "the socket outlives the session": (
        Quic(dialer=KeepingTheSocket),
        "dialer.Dialer.close-frees",
    ),
    "a lock is held during I/O": (Quic(dialer=OneAtATime), "dialer.Dialer.silent-dial-alone"),
    "who cancels cancels for all": (
        Quic(dialer=CancellingForAll),
        "dialer.Dialer.cancel-spares-others",
    ),
    "close() ends what was accepted": (
        Quic(listener=ClosingAll),
        "listener.Listener.accepted-survive",
    ),
    "the last one frees no socket": (Quic(listener=NeverFreed), "listener.Listener.address-freed"),
    "garbage ends the listener": (
        Quic(listener=ParsingBeforehand),
        "listener.Listener.bad-client",
    ),
}
