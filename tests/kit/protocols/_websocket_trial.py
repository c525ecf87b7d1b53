"""The trial of the transport like WebSocket."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gost_core.common.net import Addr, Conn, ProtocolError
from gost_core.context import Context
from gost_core.dialer import net_dialer_dial_option
from gost_core.listener import Listener, addr_option
from gost_core.testing import Contract
from gost_core.testing._stage.memory import MemoryConn, MemoryMetadata, connected_pair
from gost_core.testing._stage.network import GREETING, Network, echo, silent
from gost_core.testing.common.net import CloserContract, ConnContract
from gost_core.testing.dialer import DialerContract, HandshakerContract
from gost_core.testing.listener import ListenerContract
from tests.kit import virtual_time
from tests.kit.common.net._sockets import SocketConn
from tests.kit.dialer._protocol import PASSWORD
from tests.kit.listener._local import BACKLOG, RightListener
from tests.kit.listener._serving import RightWrapper, ServedConn
from tests.kit.protocols._trial import ProtocolTrial
from tests.kit.protocols._websocket import Opcode, WebSocketConn, frame
from tests.kit.protocols._websocket_upgrade import (
    WebSocketDialer,
    WebSocketListener,
    answer_upgrade,
    line,
)

TIME_LIMIT = 2.0
"""More than a close waits for the other end."""
LIMIT = 1.0
HOST = "proxy.example:443"


@dataclass(frozen=True)
class WebSocket:
    connection: type[WebSocketConn] = WebSocketConn
    dialer: type[WebSocketDialer] = WebSocketDialer
    listener: type[WebSocketListener] = WebSocketListener


# ---- Nodes


async def node(conn: Conn, host: str | None = None) -> None:
    await answer_upgrade(conn, host)
    await conn.write(b"101\n")
    framed = WebSocketConn(conn)
    try:
        await echo(framed)
    finally:
        await framed.close()


async def exact_node(conn: Conn) -> None:
    await node(conn, HOST)


async def leaving_node(conn: Conn) -> None:
    await answer_upgrade(conn)
    await conn.write(b"101\n")
    framed = WebSocketConn(conn)
    await framed.write(await framed.read(65535))
    await framed.close()


async def refusing_node(conn: Conn) -> None:
    await line(conn)
    await conn.write(b"401\n")
    await silent(conn)


async def garbling_node(conn: Conn) -> None:
    await conn.write(b"SSH-2.0-OpenSSH\n")
    await silent(conn)


async def greeting_node(conn: Conn) -> None:
    await answer_upgrade(conn)
    await conn.write(b"101\n" + frame(Opcode.DATA, GREETING))
    await silent(conn)


# ---- Hooks


async def break_off(conn: Conn) -> None:
    assert isinstance(conn, WebSocketConn)
    assert isinstance(conn.inner, MemoryConn)
    conn.inner.break_off()


async def cut(conn: Conn) -> None:
    assert isinstance(conn, WebSocketConn)
    await conn.inner.close()


async def ask(conn: Conn) -> Callable[[], bool]:
    assert isinstance(conn, WebSocketConn)
    conn.pongs.clear()
    await conn.ping(b"who is there?")
    return lambda: [*conn.pongs] == [b"who is there?"]


async def connect(addr: Addr, header: bytes = b"") -> Conn:
    host, _, port = str(addr).rpartition(":")
    conn = SocketConn(socket.create_connection((host, int(port))))
    dialer = WebSocketDialer()
    try:
        await conn.write(header)
        await dialer.init(None)
        return await dialer.handshake(Context(), conn)
    except BaseException:
        await conn.close()
        raise


async def fail(listener: Listener, error: OSError) -> None:
    assert isinstance(listener, RightListener)
    listener.failed(error)


async def pass_limit() -> None:
    await asyncio.sleep(LIMIT)


def contracts(parts: WebSocket) -> tuple[Contract, ...]:
    async def make_pair() -> tuple[Conn, Conn]:
        here, there = connected_pair()
        return parts.connection(here), parts.connection(there)

    def make_dialer() -> WebSocketDialer:
        dialer = parts.dialer()
        dialer.connection = parts.connection
        dialer.limit = LIMIT
        return dialer

    async def at_work() -> WebSocketDialer:
        dialer = make_dialer()
        await dialer.init(None)
        return dialer

    async def wait(dialer: WebSocketDialer) -> object:
        network = Network(silent)
        network.is_silent = True
        return await dialer.dial(Context(), "node:2", net_dialer_dial_option(network))

    async def call_back(dialer: WebSocketDialer, inside: Callable[[], Awaitable[None]]) -> object:
        class Calling(Network):
            async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
                await inside()
                return await super().dial(ctx, network, addr)

        return await dialer.dial(Context(), "node:3", net_dialer_dial_option(Calling(silent)))

    return (
        ConnContract(
            make_pair,
            carries_datagrams=False,
            break_off=break_off,
            cut=cut,
            ask=ask,
            time_limit=TIME_LIMIT,
        ),
        CloserContract(
            at_work,
            wait=wait,
            call_back=call_back,
            is_free=lambda dialer: not dialer.dials,
            time_limit=TIME_LIMIT,
        ),
        DialerContract(
            make_dialer,
            peer=node,
            metadata=MemoryMetadata(timeout=10.0),
            bad_setting=("timeout", "soon"),
            leaving=leaving_node,
            pass_limit=pass_limit,
            secret=PASSWORD,
            refusing=refusing_node,
            garbling=garbling_node,
            time_limit=TIME_LIMIT,
        ),
        HandshakerContract(
            make_dialer,
            peer=node,
            host=HOST,
            refusing=refusing_node,
            garbling=garbling_node,
            greeting=greeting_node,
            exact=exact_node,
            checks_names=False,
            pass_limit=pass_limit,
            secret=PASSWORD,
            time_limit=TIME_LIMIT,
        ),
        ListenerContract(
            lambda option: parts.listener(addr_option("127.0.0.1:0"), option),
            connect,
            backlog=BACKLOG,
            bad_metadata=MemoryMetadata(backlog="many"),
            fail=fail,
            elapse=virtual_time.elapse,
            wrap=RightWrapper,
            connect_proxied=connect,
            time_limit=TIME_LIMIT,
        ),
    )


trial = ProtocolTrial(
    "websocket",
    WebSocket(),
    contracts,
)


# ---- Faults


class AnsweringInRead(WebSocketConn):
    due: bytes | None = None

    async def take(self, opcode: Opcode, data: bytes) -> None:
        if opcode is Opcode.PING:
            self.due = data
            self.changed.wake()
        else:
            await super().take(opcode, data)

    async def read(self, n: int, /) -> bytes:
        reading = asyncio.create_task(super().read(n))
        try:
            while not reading.done():
                if self.due is not None:
                    answer, self.due = frame(Opcode.PONG, self.due), None
                    await self.inner.write(answer[:5])
                    await asyncio.sleep(0)
                    await self.inner.write(answer[5:])
                changing = asyncio.create_task(self.changed.wait())
                await asyncio.wait({reading, changing}, return_when=asyncio.FIRST_COMPLETED)
                changing.cancel()
            return reading.result()
        finally:
            reading.cancel()


class NeverAnswering(WebSocketConn):
    async def take(self, opcode: Opcode, data: bytes) -> None:
        if opcode is not Opcode.PING:
            await super().take(opcode, data)


class AnyEndIsTheEnd(WebSocketConn):
    def fail(self, error: OSError) -> None:
        if "gone" in str(error):
            self.ended = True
        super().fail(error)


class SayingNoGoodbye(WebSocketConn):
    def say_goodbye(self) -> None:
        pass


class WritingOn(WebSocketConn):
    def check_writable(self) -> None:
        self.check_open()


class ReadingAhead(WebSocketConn):
    async def take(self, opcode: Opcode, data: bytes) -> None:
        if opcode is Opcode.DATA:
            self.incoming += data
            self.changed.wake()
        else:
            await super().take(opcode, data)


class WaitingForTheOther(WebSocketConn):
    async def finish(self) -> None:
        await asyncio.wait({self.sending, self.receiving})
        await self.inner.close()


class DroppingTheUnsent(WebSocketConn):
    async def close(self) -> None:
        self.outbox.clear()
        await super().close()


class LosingFrames(WebSocketConn):
    """Takes what there is, and then waits for its turn."""

    async def read(self, n: int, /) -> bytes:
        data = await super().read(n)
        async with asyncio.timeout(1):
            await asyncio.sleep(0)
        return data


class ReadingTheAnswerAtOnce(WebSocketDialer):
    async def upgrade(self, conn: Conn, host: str) -> None:
        await conn.write(self.request(host))
        answer = b""
        while b"\n" not in answer and (piece := await conn.read(4096)):
            answer += piece
        answer = answer.partition(b"\n")[0]
        if answer == b"401":
            raise PermissionError
        if answer != b"101":
            raise ProtocolError


class KeepingTheLimit(WebSocketDialer):
    async def upgrade(self, conn: Conn, host: str) -> None:
        await super().upgrade(conn, host)
        loop = asyncio.get_running_loop()
        loop.call_later(self.limit, lambda: loop.create_task(conn.close()))


class NamingTheAddress(WebSocketDialer):
    async def upgrade(self, conn: Conn, host: str) -> None:
        await super().upgrade(conn, str(conn.remote_addr()))


class AnyRefusalIsMalformed(WebSocketDialer):
    async def upgrade(self, conn: Conn, host: str) -> None:
        try:
            await super().upgrade(conn, host)
        except PermissionError as error:
            raise ProtocolError("the answer is not 101") from error


class OneUpgradeAtATime(WebSocketListener):
    turn: asyncio.Lock | None = None

    async def serve(self, conn: ServedConn) -> None:
        self.turn = self.turn or asyncio.Lock()
        async with self.turn:
            await super().serve(conn)


LEFT_OPEN: list[object] = []


class LeavingTheQueue(WebSocketListener):
    async def close(self) -> None:
        LEFT_OPEN.extend(self.queue)
        self.queue.clear()
        await super().close()


trial.faults |= {
    "a ping is answered within read()": (
        WebSocket(connection=AnsweringInRead),
        "common.net.Conn.answers",
    ),
    "a ping is not answered": (WebSocket(connection=NeverAnswering), "common.net.Conn.answers"),
    "an end beneath is an end": (
        WebSocket(connection=AnyEndIsTheEnd),
        "common.net.Conn.truncated",
    ),
    "close() sends no close frame": (WebSocket(connection=SayingNoGoodbye), "common.net.Conn.end"),
    "one writes after the close frame": (
        WebSocket(connection=WritingOn),
        "common.net.Conn.write-to-gone-peer",
    ),
    "one reads ahead without bound": (
        WebSocket(connection=ReadingAhead),
        "common.net.Conn.write-waits",
    ),
    "close() waits for the other's": (
        WebSocket(connection=WaitingForTheOther),
        "common.net.Conn.close-bounded",
    ),
    "close() drops what is unsent": (
        WebSocket(connection=DroppingTheUnsent),
        "common.net.Conn.last-words",
    ),
    "a cancelled read loses a frame": (
        WebSocket(connection=LosingFrames),
        "common.net.Conn.cancelled-read-loses-nothing",
    ),
    "frames behind the answer are lost": (
        WebSocket(dialer=ReadingTheAnswerAtOnce),
        "dialer.Handshaker.early-bytes",
    ),
    "the handshake's limit stays": (
        WebSocket(dialer=KeepingTheLimit),
        "dialer.Handshaker.limits-cleared",
    ),
    "the address stands for the host": (
        WebSocket(dialer=NamingTheAddress),
        "dialer.Handshaker.tls-settings",
    ),
    "a refusal is called malformed": (
        WebSocket(dialer=AnyRefusalIsMalformed),
        "dialer.Handshaker.refused",
    ),
    "one upgrade waits for another": (
        WebSocket(listener=OneUpgradeAtATime),
        "listener.Listener.silent-client",
    ),
    "what waits is left at close": (
        WebSocket(listener=LeavingTheQueue),
        "listener.Listener.unaccepted-closed",
    ),
}
