"""Trials of the checks of connectors, of their handshakes and of binding."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Final

from gost_core.testing._doubles import Address
from gost_core.testing._fakes import FakeMetadata
from gost_core.testing._peers import silent
from typing_extensions import Buffer

from gost_core.chain import Router
from gost_core.common.net import (
    Addr,
    ClosedError,
    Conn,
    Listener,
    PacketConn,
    ProtocolError,
    UnsupportedError,
)
from gost_core.connector import (
    Binder,
    BindOption,
    BindOptions,
    BindUnsupportedError,
    ConnectOption,
    ConnectOptions,
    Connector,
    Handshaker,
)
from gost_core.context import Context
from gost_core.options import apply
from gost_core.testing import Report
from gost_core.testing.connector import BinderContract, ConnectorContract, HandshakerContract
from tests.kit.dialers import (
    HANDSHAKE_FAULTS,
    LIFE_FAULTS,
    PASSWORD,
    TIME_LIMIT,
    Limit,
    LoggingIn,
    Session,
    Settings,
    Stream,
    let_in,
    malformed_node,
    mixed,
    read_line,
    refusing_node,
    watch,
)
from tests.kit.trial import Trial

# ---- A protocol: a request and an answer in lines, then bytes, datagrams or streams


class Passing(Conn):
    """Passes everything on."""

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


class Framed(Passing):
    """Datagrams over a stream, each behind its length."""

    buffer = b""

    async def read(self, n: int, /) -> bytes:
        return (await self.frame())[:n]

    async def frame(self) -> bytes:
        while len(self.buffer) < 4 or len(self.buffer) < self.end():
            if not (piece := await self.inner.read(65536)):
                return b""
            self.buffer += piece
        data, self.buffer = self.buffer[4 : self.end()], self.buffer[self.end() :]
        return data

    def end(self) -> int:
        return 4 + int.from_bytes(self.buffer[:4], "big")

    async def write(self, data: Buffer, /) -> None:
        datagram = bytes(data)
        await self.inner.write(len(datagram).to_bytes(4, "big") + datagram)


class Association(Framed, PacketConn):
    """Datagrams over a stream, each with its address."""

    async def read(self, n: int, /) -> bytes:
        raise UnsupportedError("the association has no single peer")

    async def write(self, data: Buffer, /) -> None:
        raise UnsupportedError("the association has no single peer")

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        if not (frame := await self.frame()):
            raise ConnectionResetError("the other end is gone")
        addr, _, data = frame.partition(b"\n")
        return data[:n], Address("udp", addr.decode())

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        await Framed.write(self, f"{addr}\n".encode() + bytes(data))


async def copy(source: Conn, sink: Conn) -> None:
    while data := await source.read(65535):
        await sink.write(data)


async def copy_from(source: PacketConn, sink: PacketConn) -> None:
    while True:
        await sink.write_to(*await source.read_from(65535))


async def until_first_ends(*works: Coroutine[object, object, None]) -> None:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def relay(one: Conn, other: Conn) -> None:
    try:
        await until_first_ends(copy(one, other), copy(other, one))
    finally:
        await other.close()


async def proxy(conn: Conn, router: Router) -> None:
    credentials, command, network, address = (await read_line(conn)).split(" ")
    if credentials != f"alice:{PASSWORD.replace(' ', '+')}":
        await conn.write(b"denied\n")
    elif command == "bind":
        await serve_bind(conn, router, network, address)
    else:
        await serve_connect(conn, router, network, address)


async def serve_connect(conn: Conn, router: Router, network: str, address: str) -> None:
    try:
        target = await router.dial(Context(), network, address)
    except OSError:
        await conn.write(b"unreachable\n")
        return
    await conn.write(b"ok\n")
    if network == "tcp":
        await relay(conn, target)
    elif address:
        await relay(Framed(conn), target)
    else:
        assert isinstance(target, PacketConn)
        packets = Association(conn)
        await until_first_ends(copy_from(packets, target), copy_from(target, packets))
        await target.close()


async def serve_bind(conn: Conn, router: Router, network: str, address: str) -> None:
    listener = await router.bind(Context(), network, address)
    await conn.write(f"bound {listener.addr()}\n".encode())
    tunnel = Tunnel(conn)
    relays: list[asyncio.Task[None]] = []

    async def accept() -> None:
        while True:
            visitor = await listener.accept()
            stream = tunnel.stream()
            await tunnel.send(stream.number, str(visitor.remote_addr()).encode())
            relays.append(asyncio.create_task(relay(stream, visitor)))

    async def ended() -> None:
        await asyncio.wait({tunnel.receiving})

    try:
        await until_first_ends(accept(), ended())
    finally:
        for task in relays:
            task.cancel()
        await listener.close()
        await tunnel.close()


async def refusing_proxy(conn: Conn, router: Router) -> None:
    await read_line(conn)
    await conn.write(b"denied\n")
    await silent(conn)


async def malformed_proxy(conn: Conn, router: Router) -> None:
    await read_line(conn)
    await conn.write(b"HTTP/1.1 400 Bad Request\n")
    await silent(conn)


async def unable_proxy(conn: Conn, router: Router) -> None:
    await read_line(conn)
    await conn.write(b"unable\n")
    await silent(conn)


# ---- connector.Connector


class RightConnector(Settings, Connector):
    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        self.check_ready()
        apply(ConnectOptions(), *opts)
        kind = self.kind(network)
        self.check_address(kind, address)
        await self.ask(conn, "connect", kind, address)
        return self.connection(conn, network, address)

    def kind(self, network: str) -> str:
        for kind in ("tcp", "udp"):
            if network in (kind, f"{kind}4", f"{kind}6"):
                return kind
        raise UnsupportedError(f"the network {network!r} is not offered")

    def check_address(self, kind: str, address: str) -> None:
        if not address.rpartition(":")[0] and (kind != "udp" or address):
            raise ValueError(f"the address {address!r} has no host")

    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        if network.startswith("tcp"):
            return Passing(conn)
        return Framed(conn) if address else Association(conn)

    async def ask(self, conn: Conn, command: str, kind: str, address: str) -> str:
        await self.send(conn, self.request(command, kind, address))
        answer = await self.answer(conn)
        self.judge(answer, address)
        return answer

    def request(self, command: str, kind: str, address: str) -> bytes:
        password = (self.auth.password or "").replace(" ", "+")
        return f"{self.auth.username}:{password} {command} {kind} {address}\n".encode()

    async def send(self, conn: Conn, request: bytes) -> None:
        await conn.write(request)

    async def answer(self, conn: Conn) -> str:
        return await read_line(conn)

    def judge(self, answer: str, address: str) -> None:
        match answer.split(" ")[0]:
            case "ok" | "bound":
                pass
            case "denied":
                raise PermissionError("the node refuses")
            case "unable":
                raise BindUnsupportedError("the node cannot bind")
            case "unreachable":
                raise ConnectionRefusedError(f"the node cannot reach {address}")
            case _:
                raise ProtocolError("the node's answer is malformed")


def run_connector(make: Callable[[], Connector]) -> Coroutine[object, object, Report]:
    return ConnectorContract(
        make,
        proxy,
        networks=("tcp", "udp"),
        association=True,
        metadata=FakeMetadata(timeout=10.0),
        bad_setting=("timeout", "soon"),
        refusing=refusing_proxy,
        malformed=malformed_proxy,
        secret=PASSWORD,
        time_limit=TIME_LIMIT,
    ).run()


connectors = Trial[Callable[[], Connector]](ConnectorContract, run_connector, RightConnector)

for clause, life, history in LIFE_FAULTS:
    connectors.breaks(clause, history=history)(mixed(life, RightConnector))


@connectors.breaks("shape")
class WithoutConnectOptions(RightConnector):
    async def connect(  # type: ignore  # the fault
        self, ctx: Context, conn: Conn, network: str, address: str, /
    ) -> Conn:
        return await super().connect(ctx, conn, network, address)


@connectors.breaks("connects")
class ConnectingToNothing(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        return None  # type: ignore  # the fault


@connectors.breaks("outlives-call", history="b597467 the connection ended with the connect's limit")
class EndingWithTheConnect(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        call = asyncio.current_task()
        assert call is not None
        call.add_done_callback(lambda _: asyncio.ensure_future(conn.close()))
        return super().connection(conn, network, address)


class WithoutRemote(Passing):
    def remote_addr(self) -> Addr:
        return None  # type: ignore  # the fault


@connectors.breaks("addresses", history="x http2: the remote address was resolved here, so nil")
class WithoutRemoteAddress(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        return super().connection(WithoutRemote(conn), network, address)


@connectors.breaks("options")
class ConnectIgnoringOrder(RightConnector):
    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        return await super().connect(ctx, conn, network, address, *reversed(opts))


@connectors.breaks("name-to-node", history="8fd5200 0522ae8 #877 names were resolved here")
class ResolvingNames(RightConnector):
    def request(self, command: str, kind: str, address: str) -> bytes:
        host, _, port = address.rpartition(":")
        if host.endswith(".example"):
            address = f"203.0.113.80:{port}"
        return super().request(command, kind, address)


@connectors.breaks("address-to-node")
class LosingBrackets(RightConnector):
    def request(self, command: str, kind: str, address: str) -> bytes:
        return super().request(command, kind, address.replace("[", "").replace("]", ""))


@connectors.breaks("tcp-versions")
class ExactlyTcp(RightConnector):
    def kind(self, network: str) -> str:
        if network in ("tcp4", "tcp6"):
            raise UnsupportedError(f"the network {network!r} is not offered")
        return super().kind(network)


@connectors.breaks("udp-versions", history="x http: udp4 passed the test, only udp was framed")
class FramingExactlyUdp(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        return Passing(conn) if network == "udp4" else super().connection(conn, network, address)


@connectors.breaks("network-unsupported", history="x relay tunnel: the request went first")
class AskingFirst(RightConnector):
    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        if not network.startswith(("tcp", "udp")):
            await self.ask(conn, "connect", "tcp", address)
        return await super().connect(ctx, conn, network, address, *opts)


@connectors.breaks("host-missing", history="x socks5: no host became 127.0.0.1")
class InventingAHost(RightConnector):
    def check_address(self, kind: str, address: str) -> None:
        pass


class Truncating(Framed):
    async def read(self, n: int, /) -> bytes:
        return await super().read(min(n, 1000))


@connectors.breaks("datagrams")
class TruncatingDatagrams(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        if network.startswith("udp") and address:
            return Truncating(conn)
        return super().connection(conn, network, address)


class FirstTargetOnly(Association):
    target: Addr | None = None

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        self.target = self.target or addr
        await super().write_to(data, self.target)


@connectors.breaks("association", history="746811e an association sent all to its first target")
class MixingTargets(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        if network == "udp" and not address:
            return FirstTargetOnly(conn)
        return super().connection(conn, network, address)


@connectors.breaks("association", history='173de75 an association failed, for "" has no host')
class NeedingATarget(RightConnector):
    def check_address(self, kind: str, address: str) -> None:
        if not address.rpartition(":")[0]:
            raise ValueError(f"the address {address!r} has no host")


class DroppingAssociation(Association):
    async def write(self, data: Buffer, /) -> None:
        pass


@connectors.breaks("association-unconnected")
class DroppingWithoutAddress(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        if network == "udp" and not address:
            return DroppingAssociation(conn)
        return super().connection(conn, network, address)


class Lazy(Passing):
    """Sends the request with the first write, and takes the answer with the first read."""

    def __init__(self, inner: Conn, connector: "WaitingForTheClient", address: str) -> None:
        super().__init__(inner)
        self.connector = connector
        self.address = address
        self.request = connector.request("connect", "tcp", address)
        self.asked = asyncio.Event()
        self.answered = False

    async def write(self, data: Buffer, /) -> None:
        request, self.request = self.request, b""
        await self.inner.write(request + bytes(data))
        self.asked.set()

    async def read(self, n: int, /) -> bytes:
        await self.asked.wait()
        if not self.answered:
            self.connector.judge(await self.connector.answer(self.inner), self.address)
            self.answered = True
        return await self.inner.read(n)


@connectors.breaks("target-speaks-first", history="#125 the request waited for the client's bytes")
class WaitingForTheClient(RightConnector):
    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        self.check_ready()
        if not network.startswith("tcp"):
            return await super().connect(ctx, conn, network, address, *opts)
        apply(ConnectOptions(), *opts)
        self.check_address(self.kind(network), address)
        return Lazy(conn, self, address)


@connectors.breaks("early-bytes", history="x http connector: bytes behind the reply were lost")
class ReadingBeyondTheAnswer(RightConnector):
    async def answer(self, conn: Conn) -> str:
        if not (data := await conn.read(4096)):
            raise ConnectionResetError("the node is gone")
        return data.decode(errors="replace").partition("\n")[0]


@connectors.breaks("concurrent", history="25cd60d #896 a shared buffer sent another one's target")
class SharingABuffer(RightConnector):
    buffer = b""

    async def send(self, conn: Conn, request: bytes) -> None:
        self.buffer = request
        await asyncio.sleep(0)
        await conn.write(self.buffer)


@connectors.breaks("calls-apart", history="x shared header: the one of udp stuck to later requests")
class StickyHeader(RightConnector):
    header = ""

    def request(self, command: str, kind: str, address: str) -> bytes:
        if kind == "udp":
            self.header = kind
        return super().request(command, self.header or kind, address)


class NotOwning(Passing):
    async def close(self) -> None:
        pass


@connectors.breaks("owns-conn", history="x direct: nobody closed the connection to the node")
class NotOwningItsConn(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        return (
            NotOwning(super().connection(conn, network, address)) if address else Association(conn)
        )


@connectors.breaks("target-refused")
class RefusedWithoutAddress(RightConnector):
    def judge(self, answer: str, address: str) -> None:
        super().judge(answer, "the target")


@connectors.breaks("target-refused")
class RefusedAsProtocolError(RightConnector):
    def judge(self, answer: str, address: str) -> None:
        try:
            super().judge(answer, address)
        except ConnectionRefusedError as error:
            raise ProtocolError(str(error)) from None


class ExpectingAWord(RightConnector):
    async def answer(self, conn: Conn) -> str:
        try:
            return await super().answer(conn)
        except ConnectionResetError:
            raise IndexError("list index out of range") from None


connectors.breaks("node-dies")(ExpectingAWord)


class RefusedAsReset(RightConnector):
    def judge(self, answer: str, address: str) -> None:
        try:
            super().judge(answer, address)
        except PermissionError:
            raise ConnectionResetError("status 0x02") from None


connectors.breaks("refused")(RefusedAsReset)


class MalformedAsValue(RightConnector):
    def judge(self, answer: str, address: str) -> None:
        try:
            super().judge(answer, address)
        except ProtocolError:
            raise ValueError(f"no such status: {answer}") from None


connectors.breaks("malformed")(MalformedAsValue)


class WatchingAfterFailure(RightConnector):
    async def answer(self, conn: Conn) -> str:
        watching = asyncio.create_task(watch())
        try:
            answer = await super().answer(conn)
        except asyncio.CancelledError:
            watching.cancel()
            raise
        if answer.startswith(("ok", "bound")):
            watching.cancel()
        return answer


connectors.breaks("failure-frees")(WatchingAfterFailure)


class WatchingAfterCancelling(RightConnector):
    async def answer(self, conn: Conn) -> str:
        watching = asyncio.create_task(watch())
        try:
            answer = await super().answer(conn)
        except OSError:
            watching.cancel()
            raise
        watching.cancel()
        return answer


connectors.breaks("cancel-frees")(WatchingAfterCancelling)


class CancelledAsTimeout(RightConnector):
    async def answer(self, conn: Conn) -> str:
        try:
            return await super().answer(conn)
        except asyncio.CancelledError:
            raise TimeoutError("the node is silent") from None


connectors.breaks("cancellable", history="b92c1b1 #777 a silent node outlasted the caller's limit")(
    CancelledAsTimeout
)


@connectors.breaks("secret-hidden")
class TellingItsRequest(RightConnector):
    def __repr__(self) -> str:
        return f"<TellingItsRequest {self.auth.username}:{self.auth.password}>"


@connectors.breaks("secret-hidden")
class TellingInTheError(RightConnector):
    def judge(self, answer: str, address: str) -> None:
        try:
            super().judge(answer, address)
        except PermissionError:
            raise PermissionError(f"{self.auth.password!r} was refused") from None


# ---- connector.Handshaker


class RightLogin(LoggingIn, RightConnector, Handshaker):
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        return await self.shake(conn)


async def login_proxy(conn: Conn, router: Router) -> None:
    await let_in(conn)
    await proxy(conn, router)


async def refusing_login(conn: Conn, router: Router) -> None:
    await refusing_node(conn)


async def malformed_login(conn: Conn, router: Router) -> None:
    await malformed_node(conn)


def run_login(make: Callable[[], Connector]) -> Coroutine[object, object, Report]:
    return HandshakerContract(
        make,
        login_proxy,
        refusing=refusing_login,
        malformed=malformed_login,
        pass_limit=Limit.run_out,
        secret=PASSWORD,
        time_limit=TIME_LIMIT,
    ).run()


logins = Trial[Callable[[], Connector]](HandshakerContract, run_login, RightLogin)

for clause, shaking, history in HANDSHAKE_FAULTS:
    logins.breaks(clause, history=history)(mixed(shaking, RightLogin))


@logins.breaks("shape")
class SyncLogin(RightLogin):
    def handshake(self, ctx: Context, conn: Conn, /) -> Conn:  # type: ignore  # the fault
        return conn


@logins.breaks("any-connection")
class LoginIntoNothing(RightLogin):
    def secured(self, conn: Conn, limit: Limit) -> Conn:
        return None  # type: ignore  # the fault


# ---- connector.Binder


class Tunnel(Session):
    """A session whose streams the other end begins, each with the visitor's address."""

    def __init__(self, conn: Conn) -> None:
        super().__init__(conn)
        self.arrived: deque[Stream] = deque()
        self.changed = asyncio.Event()

    def arrive(self, number: int, data: bytes) -> None:
        if number in self.streams:
            super().arrive(number, data)
            return
        self.streams[number] = stream = self.visit(number, data.decode())
        self.arrived.append(stream)
        self.changed.set()

    def visit(self, number: int, visitor: str) -> Stream:
        return Visit(self, number, visitor)

    async def leave(self, stream: Stream) -> None:
        self.streams.pop(stream.number, None)

    async def receive(self) -> None:
        try:
            await super().receive()
        finally:
            self.changed.set()


class Visit(Stream):
    def __init__(self, session: Session, number: int, visitor: str) -> None:
        super().__init__(session, number)
        self.visitor = Address("tcp", visitor)

    def remote_addr(self) -> Addr:
        return self.visitor


class TunnelListener(Listener):
    def __init__(self, tunnel: Tunnel, addr: Addr) -> None:
        self.tunnel = tunnel
        self.bound = addr
        self.closed = False

    async def accept(self) -> Conn:
        while not self.closed:
            if self.tunnel.arrived:
                return self.tunnel.arrived.popleft()
            if self.tunnel.ended:
                raise ConnectionResetError("the node is gone")
            self.tunnel.changed.clear()
            await self.tunnel.changed.wait()
        raise ClosedError("the listener was closed")

    async def close(self) -> None:
        self.closed = True
        self.tunnel.changed.set()
        await self.tunnel.close()

    def addr(self) -> Addr:
        return self.bound


class RightBinder(RightConnector, Binder):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        self.check_ready()
        options = apply(BindOptions(), *opts)
        answer = await self.ask(conn, "bind", self.kind(network), self.wish(address))
        bound = Address(network, answer.partition(" ")[2])
        return self.listener(self.tunnel(conn, options), bound, options, address)

    def wish(self, address: str) -> str:
        return address or ":0"

    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return Tunnel(conn)

    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return TunnelListener(tunnel, bound)


def run_binder(make: Callable[[], Connector]) -> Coroutine[object, object, Report]:
    return BinderContract(
        make,
        proxy,
        networks=("tcp", "udp"),
        refusing=refusing_proxy,
        malformed=malformed_proxy,
        unable=unable_proxy,
        time_limit=TIME_LIMIT,
    ).run()


binders = Trial[Callable[[], Connector]](BinderContract, run_binder, RightBinder)

ASKING_FAULTS: Final[tuple[tuple[str, type[RightConnector]], ...]] = (
    ("node-dies", ExpectingAWord),
    ("refused", RefusedAsReset),
    ("malformed", MalformedAsValue),
    ("failure-frees", WatchingAfterFailure),
    ("cancel-frees", WatchingAfterCancelling),
    ("cancellable", CancelledAsTimeout),
)
for clause, asking in ASKING_FAULTS:
    binders.breaks(clause)(mixed(asking, RightBinder))


@binders.breaks("shape")
class WithoutBindOptions(RightBinder):
    async def bind(  # type: ignore  # the fault
        self, ctx: Context, conn: Conn, network: str, address: str, /
    ) -> Listener:
        return await super().bind(ctx, conn, network, address)


@binders.breaks("binds")
class ListeningNowhere(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return None  # type: ignore  # the fault


@binders.breaks("outlives-call", history="221144f the listener depended on the call's limit")
class EndingWithTheBind(RightBinder):
    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        tunnel = super().tunnel(conn, options)
        call = asyncio.current_task()
        assert call is not None
        call.add_done_callback(lambda _: tunnel.receiving.cancel())
        return tunnel


@binders.breaks("address-forms", history="b8d9c79 ca767cc the wildcard was put before all of :port")
class JoiningTheWhole(RightBinder):
    def wish(self, address: str) -> str:
        return (
            f"0.0.0.0:{address}" if address.startswith(":") and address != ":0" else address or ":0"
        )


@binders.breaks("address-forms", history='74a8f7c "" was no address')
class NeedingAPort(RightBinder):
    def wish(self, address: str) -> str:
        _, port = address.split(":", 1) if not address.startswith("[") else ("", "0")
        return address if port else ":0"


@binders.breaks("bound-address", history="4d15ca5 addr() was what had been asked for")
class TellingTheWish(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return TunnelListener(tunnel, Address("tcp", address))


class Anonymous(Tunnel):
    def visit(self, number: int, visitor: str) -> Stream:
        return Stream(self, number)


@binders.breaks("visitor-address")
class HidingTheVisitor(RightBinder):
    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return Anonymous(conn)


class Unbuffered(Tunnel):
    waiting = False

    def arrive(self, number: int, data: bytes) -> None:
        if number in self.streams or self.waiting:
            super().arrive(number, data)


class UnbufferedListener(TunnelListener):
    async def accept(self) -> Conn:
        assert isinstance(self.tunnel, Unbuffered)
        self.tunnel.waiting = True
        try:
            return await super().accept()
        finally:
            self.tunnel.waiting = False


@binders.breaks("visitor-waits", history="x socks5 rudp: a backlog of 0 was a queue of 0")
class WithoutBacklog(RightBinder):
    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return Tunnel(conn) if options.backlog else Unbuffered(conn)

    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return UnbufferedListener(tunnel, bound)


class CutVisit(Visit):
    def feed(self, data: bytes) -> None:
        super().feed(data[:4096])


class Cutting(Tunnel):
    def visit(self, number: int, visitor: str) -> Stream:
        return CutVisit(self, number, visitor)


@binders.breaks("datagrams", history="x socks5 rudp: a buffer of 0 bytes was taken at its word")
class WithoutBuffer(RightBinder):
    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return Tunnel(conn) if options.udp_data_buffer_size else Cutting(conn)


class OnceListener(TunnelListener):
    accepted = False

    async def accept(self) -> Conn:
        if self.accepted:
            raise ClosedError("this listener accepts one connection")
        self.accepted = True
        return await super().accept()


@binders.breaks("many-visitors")
class AcceptingOnce(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return OnceListener(tunnel, bound)


@binders.breaks("early-visitor")
class LosingWhatFollows(RightBinder):
    async def answer(self, conn: Conn) -> str:
        if not (data := await conn.read(4096)):
            raise ConnectionResetError("the node is gone")
        return data.decode(errors="replace").partition("\n")[0]


@binders.breaks("options")
class BindIgnoringOrder(RightBinder):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        return await super().bind(ctx, conn, network, address, *reversed(opts))


class HalfClosing(TunnelListener):
    async def close(self) -> None:
        self.closed = True
        self.tunnel.changed.set()


@binders.breaks("close-ends-tunnel", history="x sshd: only the listener was closed")
class LeavingTheTunnel(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return HalfClosing(tunnel, bound)


class Abrupt(TunnelListener):
    async def accept(self) -> Conn:
        with suppress(ClosedError):
            return await super().accept()
        raise ConnectionResetError("the tunnel is gone")


@binders.breaks("close-wakes-accept")
class ResettingItsAcceptor(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return Abrupt(tunnel, bound)


class Patient(TunnelListener):
    async def accept(self) -> Conn:
        with suppress(ConnectionResetError):
            return await super().accept()
        self.tunnel.changed.clear()
        await self.tunnel.changed.wait()
        raise ClosedError("the listener was closed")


@binders.breaks("node-lost")
class WaitingForTheGone(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return Patient(tunnel, bound)


@binders.breaks("network-unsupported")
class BindingFirst(RightBinder):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        if not network.startswith(("tcp", "udp")):
            await self.ask(conn, "bind", "tcp", address)
        return await super().bind(ctx, conn, network, address, *opts)


@binders.breaks("unable", history="#170 a bind that nobody offers was tried for ever")
class UnableAsRefused(RightBinder):
    def judge(self, answer: str, address: str) -> None:
        try:
            super().judge(answer, address)
        except BindUnsupportedError as error:
            raise ConnectionRefusedError(str(error)) from None


trials = (binders, connectors, logins)
