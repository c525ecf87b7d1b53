"""Trials of the contract of listeners that bind here."""

import asyncio
import errno
import ipaddress
import logging
import os
import socket
from collections import deque
from contextlib import suppress
from typing import ClassVar, cast

from typing_extensions import Buffer

from gost_core.common.net import Addr, Closer, Conn, ProtocolError
from gost_core.context import Context
from gost_core.limiter.traffic import Limiter as Budget
from gost_core.limiter.traffic import TrafficLimiter
from gost_core.listener import (
    AcceptError,
    ClosedError,
    Listener,
    Option,
    Options,
    addr_option,
)
from gost_core.metadata import Metadata
from gost_core.observer.stats import Kind
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing._stage.memory import Address, MemoryMetadata
from gost_core.testing.listener import ListenerContract
from tests.kit import virtual_time
from tests.kit._stuck import (
    InTurn,
    QuietEnd,
    ReadingOnBeneath,
    SharingABuffer,
    Shortening,
    closing_ahead,
    closing_undisturbed,
    ending_what_it_accepted,
    giving,
    hurrying,
)
from tests.kit.common.net._sockets import SocketConn
from tests.kit.dialer._protocol import read_exactly
from tests.kit.listener._serving import RightWrapper, ServedConn, ServesOptions
from tests.kit.trial import Trial

TIME_LIMIT = 1.0
BACKLOG = 4
GREETING = b"HELO"
TEMPORARY = (
    errno.ECONNABORTED,
    errno.EINTR,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
)


class RightListener(ServesOptions, Listener):
    """Accepts TCP clients that greet, and answers them."""

    served: type[ServedConn] = ServedConn

    def __init__(self, *opts: Option) -> None:
        self.options = apply(Options(), *opts)
        self.address: Addr = Address("tcp", self.options.addr)
        self.initialized = False
        self.closed = False
        self.sock: socket.socket | None = None
        self.queue: deque[Conn | Exception] = deque()
        self.backlog = BACKLOG
        self.arrival: asyncio.Future[None] | None = None
        self.greetings: dict[asyncio.Task[None], ServedConn] = {}

    async def init(self, metadata: Metadata | None, /) -> None:
        if self.initialized:
            raise RuntimeError("this listener was initialized before")
        self.initialized = True
        self.read_settings(metadata)
        self.bind()
        self.listen()

    def read_settings(self, metadata: Metadata | None) -> None:
        backlog = metadata.get("backlog") if metadata is not None else None
        if backlog is not None:
            if not isinstance(backlog, int):
                raise ValueError(f"backlog is {backlog!r}; it must be a number")
            self.backlog = backlog

    def bind(self) -> None:
        host, _, port = self.options.addr.rpartition(":")
        self.sock = socket.socket()
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind((host, int(port)))
        except OSError:
            self.sock.close()
            raise
        self.sock.setblocking(False)
        self.address = Address("tcp", "{}:{}".format(*self.sock.getsockname()))

    def listen(self) -> None:
        assert self.sock is not None
        self.sock.listen()
        asyncio.get_running_loop().add_reader(self.sock, self.arrived, self.sock)

    def arrived(self, sock: socket.socket) -> None:
        try:
            client, _ = sock.accept()
        except BlockingIOError:
            return
        except OSError as error:
            self.failed(error)
            return
        self.take(self.served(SocketConn(client), self.options))

    def take(self, conn: ServedConn) -> None:
        greeting = asyncio.get_running_loop().create_task(self.serve(conn))
        self.greetings[greeting] = conn
        greeting.add_done_callback(self.greetings.pop)

    def failed(self, error: OSError) -> None:
        if error.errno in TEMPORARY:
            self.put(AcceptError(error))
        else:
            self.end()
            self.put(error)

    async def serve(self, conn: ServedConn) -> None:
        try:
            async with asyncio.timeout(10):
                await self.expect_header(conn)
                await self.admit(conn)
                await self.greet(conn)
            if len(self.queue) >= self.backlog:
                raise OSError("the backlog is full")
            await self.welcome(conn)
        except BaseException as error:
            await conn.close()
            if not isinstance(error, Exception):
                raise
            self.refused(error)
        else:
            self.put(conn)

    async def expect_header(self, conn: ServedConn) -> None:
        if self.options.proxy_protocol > 0:
            await self.read_header(conn)

    async def read_header(self, conn: ServedConn) -> None:
        conn.remote = await source_of(conn.inner) or conn.remote

    def refused(self, error: Exception) -> None:
        """Leave it at that: one client's trouble is its own."""

    async def greet(self, conn: Conn) -> None:
        greeting = b""
        while len(greeting) < len(GREETING):
            piece = await conn.read(len(GREETING) - len(greeting))
            if not piece:
                raise ConnectionResetError("the client left")
            greeting += piece
        if greeting != GREETING:
            raise ProtocolError("the client did not greet")

    async def welcome(self, conn: ServedConn) -> None:
        await conn.inner.write(b"+")

    def put(self, item: Conn | Exception) -> None:
        self.queue.append(item)
        self.wake()

    def wake(self) -> None:
        if self.arrival is not None and not self.arrival.done():
            self.arrival.set_result(None)

    async def accept(self) -> Conn:
        if not self.initialized:
            raise RuntimeError("this listener is not initialized")
        while not self.queue:
            if self.closed:
                raise ClosedError("this listener was closed")
            self.arrival = asyncio.get_running_loop().create_future()
            await self.arrival
        item = self.queue.popleft()
        if isinstance(item, Exception):
            raise item
        return item

    def addr(self) -> Addr:
        return self.address

    async def close(self) -> None:
        self.end()
        for greeting, conn in tuple(self.greetings.items()):
            greeting.cancel()
            # A task that is cancelled before its first step closes nothing.
            await conn.close()
        while self.queue:
            item = self.queue.popleft()
            if not isinstance(item, Exception):
                await item.close()
        if self.greetings:
            await asyncio.wait(self.greetings)

    def end(self) -> None:
        self.closed = True
        if self.sock is not None:
            if self.sock.fileno() >= 0:
                asyncio.get_running_loop().remove_reader(self.sock)
            self.sock.close()
        self.wake()


async def source_of(conn: Conn) -> Addr | None:
    """Read a PROXY header, and return the source that it names."""
    begin = await read_exactly(conn, 5)
    if begin == b"PROXY":
        return await source_in_line(conn)
    if begin + await read_exactly(conn, 7) != b"\r\n\r\n\0\r\nQUIT\n":
        raise ProtocolError("that is no PROXY header")
    command, family, high, low = await read_exactly(conn, 4)
    rest = await read_exactly(conn, 256 * high + low)
    if command == 0x20:
        return None
    size = {0x11: 4, 0x21: 16}.get(family, 0)
    if command != 0x21 or not size or len(rest) < 2 * size + 4:
        raise ProtocolError("that is no PROXY header")
    return named(rest[:size], int.from_bytes(rest[2 * size : 2 * size + 2], "big"))


async def source_in_line(conn: Conn) -> Addr | None:
    line = b""
    while not line.endswith(b"\r\n"):
        if len(line) >= 102:
            raise ProtocolError("the PROXY header is too long")
        line += await read_exactly(conn, 1)
    match line.decode("ascii").split():
        case ["UNKNOWN", *_]:
            return None
        case ["TCP4" | "TCP6", source, _, port, _]:
            return named(source, int(port))
        case _:
            raise ProtocolError("that is no PROXY header")


def named(source: str | bytes, port: int) -> Addr:
    host = ipaddress.ip_address(source)
    return Address("tcp", f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}")


async def open_tcp(addr: Addr) -> Conn:
    host, _, port = str(addr).rpartition(":")
    return SocketConn(socket.create_connection((host, int(port))))


async def greet(conn: Conn) -> Conn:
    try:
        await conn.write(GREETING)
        if await conn.read(1) != b"+":
            raise ConnectionRefusedError("the listener closed the connection")
    except BaseException:
        await conn.close()
        raise
    return conn


async def connect(addr: Addr) -> Conn:
    return await greet(await open_tcp(addr))


async def connect_proxied(addr: Addr, header: bytes) -> Conn:
    conn = await open_tcp(addr)
    await conn.write(header)
    return await greet(conn)


async def fail(listener: Listener, error: OSError) -> None:
    assert isinstance(listener, RightListener)
    listener.failed(error)


LEFT_OPEN: list[Conn] = []

AnyListener = type[RightListener] | type[RightWrapper]


def run(kind: AnyListener) -> Contract:
    make = kind if issubclass(kind, RightListener) else RightListener
    return ListenerContract(
        lambda option: make(addr_option("127.0.0.1:0"), option),
        connect,
        backlog=BACKLOG,
        bad_metadata=MemoryMetadata(backlog="many"),
        fail=fail,
        wrap=kind if issubclass(kind, RightWrapper) else RightWrapper,
        connect_proxied=connect_proxied,
        elapse=virtual_time.elapse,
        time_limit=TIME_LIMIT,
    )


local = Trial[AnyListener](ListenerContract, run, RightListener)
local.breaks("reads-whole")(giving(RightListener, "accept", ReadingOnBeneath))
local.breaks("stuck-client")(giving(RightListener, "accept", InTurn))
local.breaks("break-shown")(giving(RightListener, "accept", QuietEnd))
local.breaks("writes-whole")(giving(RightListener, "accept", Shortening))
local.breaks("accepted-apart")(giving(RightListener, "accept", SharingABuffer))
local.breaks("limits-cleared")(ending_what_it_accepted(RightListener))
local.breaks("accept-waits")(hurrying(RightListener))


@local.breaks("shape")
class AsyncAddr(RightListener):
    async def addr(self) -> Addr:  # type: ignore  # the fault
        return self.address


@local.breaks("passwords-hidden")
class LoggingItsSettings(RightListener):
    async def init(self, metadata: Metadata | None, /) -> None:
        if self.options.auth is not None:
            auth = self.options.auth
            logging.getLogger("listener").info("auth: %s:%s", auth.username, auth.password)
        await super().init(metadata)


@local.breaks("passwords-hidden")
class QuotingWhatItRefuses(RightListener):
    async def init(self, metadata: Metadata | None, /) -> None:
        if self.options.auth is not None:
            raise ValueError(f"auth is not served: {self.options.auth.password}")
        await super().init(metadata)


@local.breaks("built-anywhere")
class BoundToALoop(RightListener):
    def __init__(self, *opts: Option) -> None:
        super().__init__(*opts)
        self.loop = asyncio.get_running_loop()


@local.breaks("use-before-init")
class WaitingForNothing(RightListener):
    async def accept(self) -> Conn:
        if not self.initialized:
            await asyncio.Event().wait()
        return await super().accept()


@local.breaks("close-before-init")
class ClosingWhatIsNotThere(RightListener):
    async def close(self) -> None:
        if self.sock is None:
            raise AttributeError("'NoneType' object has no attribute 'close'")
        await super().close()


@local.breaks("accepts", history="#873 b7d807b without statistics the connection is None")
class NoConnWithoutStats(RightListener):
    async def accept(self) -> Conn:
        conn = await super().accept()
        if self.options.stats is not None:
            return conn
        LEFT_OPEN.append(conn)
        return None  # type: ignore  # the fault


class ClosingAfterWrite(ServedConn):
    async def write(self, data: Buffer, /) -> None:
        await super().write(data)
        await self.close()


@local.breaks(
    "accepts", history="22e522e 12ef82e 6c32dda #56 #212 a session ends with its first answer"
)
class OneAnswer(RightListener):
    served = ClosingAfterWrite


class Sniffing(ServedConn):
    first = b""

    async def sniff(self) -> None:
        self.first = await super().read(1)

    async def read(self, n: int, /) -> bytes:
        data, self.first = self.first, b""
        return data + (await super().read(n - len(data)) if n != len(data) else b"")


@local.breaks("silent-accepted")
class WaitingForTheFirstByte(RightListener):
    served = Sniffing

    def put(self, item: Conn | Exception) -> None:
        if not isinstance(item, Sniffing):
            super().put(item)
            return
        sniffing = asyncio.get_running_loop().create_task(self.sniff(item))
        self.greetings[sniffing] = item
        sniffing.add_done_callback(self.greetings.pop)

    async def sniff(self, conn: Sniffing) -> None:
        with suppress(OSError):
            await conn.sniff()
            super().put(conn)


@local.breaks("init-twice")
class InitAgain(RightListener):
    async def init(self, metadata: Metadata | None, /) -> None:
        if not self.initialized:
            await super().init(metadata)


@local.breaks("init-none", history="#372 settings that are not there are read")
class NeedingSettings(RightListener):
    def read_settings(self, metadata: Metadata | None) -> None:
        if metadata is None:
            raise AttributeError("'NoneType' object has no attribute 'get'")
        super().read_settings(metadata)


@local.breaks("settings-unchanged")
class WritingDefaults(RightListener):
    """Writes its defaults into the settings, which another listener may have too."""

    def read_settings(self, metadata: Metadata | None) -> None:
        super().read_settings(metadata)
        if metadata is not None and not metadata.is_exists("backlog"):
            metadata.set("backlog", self.backlog)


class WritingOnePart(ServedConn):
    async def write(self, data: Buffer, /) -> None:
        granted = len(rest := memoryview(data).cast("B"))
        if self.budget is not None and rest:
            granted = await self.budget.wait(Context(), granted)
            if not granted:
                raise OSError("the limit refuses more bytes")
        await self.inner.write(rest[:granted])


@local.breaks("traffic-in-parts")
class AskingOnce(RightListener):
    """Writes what is granted of the bytes, and forgets the rest."""

    served = WritingOnePart


@local.breaks("budgets-apart")
class BudgetsOnTheListener(RightListener):
    """Keeps on itself what it has found for a client, while it looks for more."""

    budget: Budget | None = None

    async def find_budget(self, conn: ServedConn, limits: TrafficLimiter) -> None:
        await super().find_budget(conn, limits)
        self.budget = conn.budget

    async def find_allowance(self, conn: ServedConn, limits: TrafficLimiter) -> None:
        await super().find_allowance(conn, limits)
        conn.budget = self.budget


@local.breaks("budgets-apart")
class LimitingHosts(RightListener):
    async def find_budget(self, conn: ServedConn, limits: TrafficLimiter) -> None:
        key = str(conn.remote_addr())
        key = key if self.options.proxy_protocol > 0 else self.host_of(key)
        conn.budget = await limits.out(Context(), key)


@local.breaks("budgets-apart")
class KeyOnTheListener(RightListener):
    key = ""

    async def find_budget(self, conn: ServedConn, limits: TrafficLimiter) -> None:
        self.key = str(conn.remote_addr())
        conn.budget = await limits.out(Context(), self.key)

    async def find_allowance(self, conn: ServedConn, limits: TrafficLimiter) -> None:
        conn.allowance = await limits.in_(Context(), self.key)


@local.breaks("verdicts-apart")
class VerdictOnTheListener(RightListener):
    """Keeps on itself what the admission says, while it writes that down."""

    refuses = False

    async def ask(self, conn: ServedConn) -> None:
        self.refuses = False
        try:
            await super().ask(conn)
        except Exception:
            self.refuses = True
        await asyncio.sleep(0)
        if self.refuses:
            raise PermissionError("the client is not admitted")


@local.breaks("verdicts-apart")
class ClosingTheLastOne(RightListener):
    """Closes, in place of who is refused, the client that came last."""

    last: ServedConn | None = None

    def take(self, conn: ServedConn) -> None:
        self.last = conn
        super().take(conn)

    async def ask(self, conn: ServedConn) -> None:
        try:
            await super().ask(conn)
        except PermissionError:
            assert self.last is not None
            await self.last.close()
            raise


@local.breaks("proxied-apart")
class SourceOnTheListener(RightListener):
    """Keeps on itself whom a header names, until the client is admitted."""

    source: Addr | None = None

    async def read_header(self, conn: ServedConn) -> None:
        await super().read_header(conn)
        self.source = conn.remote

    async def admit(self, conn: ServedConn) -> None:
        await super().admit(conn)
        conn.remote = self.source or conn.remote


@local.breaks("proxied-apart")
class KeyOfTheLastOne(RightListener):
    """Asks the limiter about who came last, while others were waiting for their admission."""

    key = ""

    async def ask(self, conn: ServedConn) -> None:
        self.key = str(conn.remote_addr())
        await super().ask(conn)

    def host_of(self, addr: str) -> str:
        return super().host_of(self.key)


@local.breaks("failed-init-releases")
class BindingFirst(RightListener):
    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(MemoryMetadata())
        self.read_settings(metadata)


@local.breaks("outlives-its-caller", history="404aaae b597467 the connection ends with its request")
class EndingWithAccept(RightListener):
    async def accept(self) -> Conn:
        conn = await super().accept()
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: asyncio.ensure_future(conn.close()))
        return conn


@local.breaks("address")
class AskingTheSocket(RightListener):
    def addr(self) -> Addr:
        assert self.sock is not None
        return Address("tcp", "{}:{}".format(*self.sock.getsockname()))


@local.breaks("real-address", history="x dns, pht, http3: addr shows the port that was asked for")
class RequestedAddress(RightListener):
    def addr(self) -> Addr:
        return Address("tcp", self.options.addr)


@local.breaks("bound", history="x pht, h3: the server starts some time after Init")
class ListeningLate(RightListener):
    listening = False

    def listen(self) -> None:
        """Put it off."""

    async def accept(self) -> Conn:
        if self.sock is not None and not self.closed and not self.listening:
            self.listening = True
            super().listen()
        return await super().accept()


@local.breaks("address-in-use", history="x h3: the error of the start goes to the log")
class HidingTheBindError(RightListener):
    async def init(self, metadata: Metadata | None, /) -> None:
        with suppress(OSError):
            await super().init(metadata)


@local.breaks("silent-client", history="x PROXY header: one silent client holds up accepting")
class OneGreetingAtATime(RightListener):
    def __init__(self, *opts: Option) -> None:
        super().__init__(*opts)
        self.lock = asyncio.Lock()

    async def greet(self, conn: Conn) -> None:
        async with self.lock:
            await super().greet(conn)


@local.breaks("bad-client", history="#833 #413 #91 one client's error comes out of Accept")
class PassingOnTrouble(RightListener):
    def refused(self, error: Exception) -> None:
        if isinstance(error, ProtocolError):
            self.put(error)


@local.breaks("accept-cancellable")
class CancelledAsRetry(RightListener):
    async def accept(self) -> Conn:
        try:
            return await super().accept()
        except asyncio.CancelledError:
            raise AcceptError(TimeoutError("nobody came")) from None


@local.breaks("cancelled-accept-loses-nothing")
class PreparingInAccept(RightListener):
    async def accept(self) -> Conn:
        conn = await super().accept()
        LEFT_OPEN.append(conn)
        for _ in range(3):
            await asyncio.sleep(0)
        LEFT_OPEN.remove(conn)
        return conn


@local.breaks("backlog-full")
class BoundlessBacklog(RightListener):
    def read_settings(self, metadata: Metadata | None) -> None:
        super().read_settings(metadata)
        self.backlog = 1_000_000


@local.breaks("temporary-error")
class NoRetry(RightListener):
    def failed(self, error: OSError) -> None:
        if error.errno in TEMPORARY:
            self.put(error)
        else:
            super().failed(error)


@local.breaks("failure-shows", history="x http2, h2, http3, wt: a dead server is only logged")
class LoggingFailure(RightListener):
    def failed(self, error: OSError) -> None:
        if error.errno in TEMPORARY:
            super().failed(error)


@local.breaks("closed-by-failure")
class WaitingAfterFailure(RightListener):
    def failed(self, error: OSError) -> None:
        self.put(AcceptError(error) if error.errno in TEMPORARY else error)


@local.breaks("wrapper-passes-errors")
class WrappingErrors(RightWrapper):
    async def accept(self) -> Conn:
        try:
            return await super().accept()
        except AcceptError as error:
            raise AcceptError(error) from error


@local.breaks("close-wakes-accept", history="x wt: close does not wake Accept")
class LeavingAccept(RightListener):
    async def close(self) -> None:
        self.arrival = None
        await super().close()


@local.breaks("close-wakes-accept", history="x http3: Accept gives neither connection nor error")
class NothingAtClose(RightListener):
    async def accept(self) -> Conn:
        closed = self.closed
        try:
            return await super().accept()
        except ClosedError:
            if closed:
                raise
            return None  # type: ignore  # the fault


@local.breaks("close-wakes-accept")
class WakingOnlyBeforeTheFirst(RightListener):
    has_accepted = False

    async def accept(self) -> Conn:
        closed = self.closed
        try:
            conn = await super().accept()
        except ClosedError:
            if self.has_accepted and not closed:
                await asyncio.Event().wait()
            raise
        self.has_accepted = True
        return conn


@local.breaks("accept-after-close")
class BadDescriptor(RightListener):
    async def accept(self) -> Conn:
        if self.closed and not self.queue and self.initialized and not self.has_failed:
            raise OSError(errno.EBADF, "the socket is closed")
        return await super().accept()

    has_failed = False

    def failed(self, error: OSError) -> None:
        self.has_failed = True
        super().failed(error)


@local.breaks("close-twice", history="#779 a65b7a0 a channel is closed twice")
class ClosingOnce(RightListener):
    ended = False

    async def close(self) -> None:
        if self.ended:
            raise OSError(errno.EBADF, "the socket is closed")
        self.ended = True
        await super().close()


@local.breaks("lent-stays-open")
class ClosingItsRouter(RightListener):
    async def close(self) -> None:
        await super().close()
        if isinstance(self.options.router, Closer):
            await self.options.router.close()


local.breaks("close-at-once")(closing_ahead(RightListener))
local.breaks("close-cancelled")(closing_undisturbed(RightListener))


@local.breaks("close-at-once")
class LeavingTheSecondCloseEarly(RightListener):
    closing = False

    async def close(self) -> None:
        if not self.closing:
            self.closing = True
            await super().close()


@local.breaks(
    "address-freed", history="#754 ba3e1cb 82e7e50 the address is still in use after close"
)
class FreeingLater(RightListener):
    async def close(self) -> None:
        if self.sock is not None and self.sock.fileno() >= 0:
            copy = os.dup(self.sock.fileno())
            asyncio.get_running_loop().call_later(0.3, os.close, copy)
        await super().close()


@local.breaks("close-twice-frees-once")
class ClosingWhoeverIsThere(RightListener):
    """Knows what is bound by its address alone."""

    bound: ClassVar[dict[str, RightListener]] = {}

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        self.bound[str(self.addr())] = self

    async def close(self) -> None:
        await super().close()
        if (there := self.bound.get(str(self.addr()))) is not None:
            there.end()


@local.breaks("close-cancelled")
class ClosingInTwoSteps(RightListener):
    async def close(self) -> None:
        await asyncio.sleep(0.001)
        await super().close()


@local.breaks("close-cancelled")
class FreeingLast(RightListener):
    """Lets go of the clients first, and then of the address."""

    async def close(self) -> None:
        self.closed = True
        self.wake()
        greetings = tuple(self.greetings)
        for greeting in greetings:
            greeting.cancel()
        if greetings:
            await asyncio.wait(greetings)
        await super().close()


@local.breaks("unaccepted-closed", history="x ws, mtls, quic: what is queued at close stays open")
class ForgettingTheQueue(RightListener):
    async def close(self) -> None:
        LEFT_OPEN.extend(one for one in self.queue if not isinstance(one, Exception))
        self.queue.clear()
        await super().close()


@local.breaks("accepted-survive")
class ClosingEverything(RightListener):
    def __init__(self, *opts: Option) -> None:
        super().__init__(*opts)
        self.accepted: list[Conn] = []

    async def accept(self) -> Conn:
        self.accepted.append(await super().accept())
        return self.accepted[-1]

    async def close(self) -> None:
        await super().close()
        for conn in self.accepted:
            await conn.close()


@local.breaks("no-task-left", history="3cd4fad 50f4a6b background work outlives close")
class TickingOn(RightListener):
    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        self.ticking = asyncio.create_task(self.tick())

    async def tick(self) -> None:
        await asyncio.Event().wait()


@local.breaks("limit-keeps-serving", history="fa708f4 a client beyond the limit ends the service")
class LimitAsError(RightListener):
    def refused(self, error: Exception) -> None:
        if "beyond the limit" in str(error):
            self.put(error)


class GivingBackPerClose(ServedConn):
    async def close(self) -> None:
        was_open = not self.closed
        await super().close()
        if not was_open and self.place is not None:
            self.place.allow(-1)


@local.breaks("place-given-back-once", history="f9fb5f4 d12663d a place is given back per Close")
class PlacePerClose(RightListener):
    served = GivingBackPerClose


class ClosingByAndBy(ServedConn):
    async def close(self) -> None:
        was_open, self.closed = not self.closed, True
        if was_open:
            self.count(Kind.CURRENT_CONNS, -1)
        if self.place is not None:
            await asyncio.sleep(0)
        await self.inner.close()
        if was_open and self.place is not None:
            self.place.allow(-1)


@local.breaks("place-given-back-once")
class KeepingThePlaceOfACutClose(RightListener):
    served = ClosingByAndBy


class GivingBackAfterwards(ServedConn):
    async def close(self) -> None:
        was_open, self.closed = not self.closed, True
        if was_open:
            self.count(Kind.CURRENT_CONNS, -1)
        await self.inner.close()
        if was_open and self.place is not None:
            self.place.allow(-1)


@local.breaks("place-given-back-once")
class KeepingThePlaceOfAClosingThatWaits(RightListener):
    served = GivingBackAfterwards


class GivingBackOnceClosed(ServedConn):
    async def close(self) -> None:
        was_open, self.closed = not self.closed, True
        if was_open:
            self.count(Kind.CURRENT_CONNS, -1)
        await self.inner.close()
        place, self.place = self.place, None
        if place is not None:
            place.allow(-1)


@local.breaks("place-given-back-once")
class KeepingThePlaceUntilClosedAgain(RightListener):
    served = GivingBackOnceClosed


@local.breaks("place-not-kept")
class TakingThePlaceFirst(RightListener):
    async def ask(self, conn: ServedConn) -> None:
        places = self.options.conn_limiter
        host = self.host_of(str(conn.remote_addr()))
        place = None if places is None else places.limiter(host)
        if place is not None and not place.allow(1):
            raise PermissionError(f"{conn.remote_addr()} is beyond the limit")
        # Who is refused here leaves without the place.
        await super().ask(conn)
        if place is not None:
            place.allow(-1)


@local.breaks("place-not-kept")
class ClosingBeneathTheLate(RightListener):
    """Gives a connection to the call that waits; if that is cancelled, it closes the socket."""

    def put(self, item: Conn | Exception) -> None:
        if self.arrival is None or self.arrival.done():
            super().put(item)
        else:
            # Where the right one only wakes the call.
            cast("asyncio.Future[Conn | Exception]", self.arrival).set_result(item)

    async def accept(self) -> Conn:
        if self.queue or self.closed or not self.initialized:
            return await super().accept()
        waiting = self.arrival = asyncio.get_running_loop().create_future()
        item: Conn | Exception | None = None
        try:
            item = await waiting
        except asyncio.CancelledError:
            if not waiting.cancelled() and isinstance(late := waiting.result(), ServedConn):
                await late.inner.close()
            raise
        if isinstance(item, Exception):
            raise item
        return item or await super().accept()


@local.breaks("place-not-kept")
class LosingThePlaceWithTheLimit(RightListener):
    async def admit(self, conn: ServedConn) -> None:
        try:
            await super().admit(conn)
        except OSError:
            conn.place = None
            raise


@local.breaks("place-not-kept")
class ClosingTheQueuedBeneath(RightListener):
    async def close(self) -> None:
        queued = [one for one in self.queue if isinstance(one, ServedConn)]
        self.queue.clear()
        for conn in queued:
            await conn.inner.close()
        await super().close()


@local.breaks("limit-keeps-serving")
class LimitingItself(RightListener):
    async def admit(self, conn: ServedConn) -> None:
        remote, conn.remote = conn.remote, conn.local_addr()
        try:
            await super().admit(conn)
        finally:
            conn.remote = remote

    async def ask(self, conn: ServedConn) -> None:
        conn.remote = conn.inner.remote_addr()
        await super().ask(conn)
        conn.remote = conn.local_addr()


@local.breaks("admission-told-source")
class TellingItsOwnAddress(RightListener):
    async def ask(self, conn: ServedConn) -> None:
        remote, conn.remote = conn.remote, conn.local_addr()
        try:
            await super().ask(conn)
        finally:
            conn.remote = remote


class AsTheHeaderSays(ServedConn):
    local: Addr | None = None

    def local_addr(self) -> Addr:
        return self.local or super().local_addr()


@local.breaks("proxied-source")
class KnowingTheFirstVersion(RightListener):
    async def read_header(self, conn: ServedConn) -> None:
        if await read_exactly(conn.inner, 5) != b"PROXY":
            raise ProtocolError("that is no PROXY header")
        conn.remote = await source_in_line(conn.inner) or conn.remote


@local.breaks("proxied-source")
class TakingTheDestination(RightListener):
    served = AsTheHeaderSays

    async def read_header(self, conn: ServedConn) -> None:
        await super().read_header(conn)
        assert isinstance(conn, AsTheHeaderSays)
        if conn.remote is not conn.inner.remote_addr():
            conn.local = Address("tcp", "198.51.100.9:443")


@local.breaks("proxied-nobody")
class NeedingAName(RightListener):
    async def read_header(self, conn: ServedConn) -> None:
        source = await source_of(conn.inner)
        conn.remote = source or Address("tcp", "0.0.0.0:0")


@local.breaks("proxied-judged", history="x: the admission sees the header, the limit does not")
class JudgingTheSocket(RightListener):
    async def admit(self, conn: ServedConn) -> None:
        remote, conn.remote = conn.remote, conn.inner.remote_addr()
        try:
            await super().admit(conn)
        finally:
            conn.remote = remote


@local.breaks("proxied-judged")
class LimitingTheBalancer(RightListener):
    async def find_budget(self, conn: ServedConn, limits: TrafficLimiter) -> None:
        conn.budget = await limits.out(Context(), str(conn.inner.remote_addr()))


@local.breaks("proxied-judged")
class CuttingAtTheFirstColon(RightListener):
    def host_of(self, addr: str) -> str:
        return addr.partition(":")[0]


@local.breaks("proxied-invalid")
class DoingWithoutAHeader(RightListener):
    async def read_header(self, conn: ServedConn) -> None:
        with suppress(ValueError, ProtocolError):
            await super().read_header(conn)
            return
        self.skipped = True

    skipped = False

    async def greet(self, conn: Conn) -> None:
        if not self.skipped:
            await super().greet(conn)
        self.skipped = False


@local.breaks("proxied-silent", history="x PROXY header: one silent client holds up accepting")
class OneHeaderAtATime(RightListener):
    def __init__(self, *opts: Option) -> None:
        super().__init__(*opts)
        self.lock = asyncio.Lock()

    async def read_header(self, conn: ServedConn) -> None:
        async with self.lock:
            await super().read_header(conn)


@local.breaks("unproxied")
class AlwaysReadingHeaders(RightListener):
    async def greet(self, conn: Conn) -> None:
        first = await read_exactly(conn, len(GREETING))
        if first == b"PROX":
            assert isinstance(conn, ServedConn)
            await read_exactly(conn, 1)
            conn.remote = await source_in_line(conn) or conn.remote
            first = b""
        await self.greet_behind(conn, first)

    async def greet_behind(self, conn: Conn, first: bytes) -> None:
        greeting = first + await read_exactly(conn, len(GREETING) - len(first))
        if greeting != GREETING:
            raise ProtocolError("the client did not greet")


@local.breaks("lent-stays-open", history="3cd4fad what was only lent is closed")
class ClosingItsAdmission(RightListener):
    async def close(self) -> None:
        await super().close()
        if isinstance(self.options.admission, Closer):
            await self.options.admission.close()


@local.breaks("admission-refuses")
class RefusalAsError(RightListener):
    def refused(self, error: Exception) -> None:
        if "not admitted" in str(error):
            self.put(error)


@local.breaks("admission-fails-closed", history="ed93d60 a plugin that is out of reach admits")
class FailingOpen(RightListener):
    async def ask(self, conn: ServedConn) -> None:
        try:
            await super().ask(conn)
        except PermissionError:
            raise
        except OSError:
            return


@local.breaks("admission-fails-closed")
class EndedByAVisitor(RightListener):
    """Knows that an admission may be out of reach, and no other failure of one."""

    def refused(self, error: Exception) -> None:
        if isinstance(error, LookupError):
            self.put(error)


@local.breaks(
    "admission-told-source", history="ed93d60 the listener's network is given as the client's"
)
class TellingTheListener(RightListener):
    async def admit(self, conn: ServedConn) -> None:
        remote = conn.remote
        conn.remote = Address("ws", str(remote))
        try:
            await super().admit(conn)
        finally:
            conn.remote = remote


class CountingEachClose(ServedConn):
    async def close(self) -> None:
        was_open = not self.closed
        await super().close()
        if not was_open:
            self.count(Kind.CURRENT_CONNS, -1)


@local.breaks("stats-counted", history="x stats: Close is counted each time")
class CountPerClose(RightListener):
    served = CountingEachClose


class CountingBytesOnly(ServedConn):
    def count(self, kind: Kind, n: int) -> None:
        if kind not in (Kind.TOTAL_CONNS, Kind.CURRENT_CONNS):
            super().count(kind, n)


@local.breaks("stats-counted", history="fd17c3e a session counted in bytes, but as no connection")
class CountingNoConnections(RightListener):
    served = CountingBytesOnly


class AskingForEver(ServedConn):
    async def write(self, data: Buffer, /) -> None:
        while self.budget is not None and not await self.budget.wait(Context(), 1):
            pass
        await super().write(data)


@local.breaks("refused-traffic-raises", history="e9372ea an endless loop when nothing is granted")
class LoopingOnNothing(RightListener):
    served = AskingForEver


class ReadingFreely(ServedConn):
    async def read(self, n: int, /) -> bytes:
        self.allowance = None
        return await super().read(n)


@local.breaks("refused-reads-raise")
class LimitingWritesOnly(RightListener):
    served = ReadingFreely


@local.breaks("limit-fails-closed")
class OpenWithoutTheLimits(RightListener):
    def take_place(self, conn: ServedConn) -> None:
        try:
            super().take_place(conn)
        except PermissionError:
            raise
        except OSError:
            return


class Reserving(ServedConn):
    """Asks for as much as could come, and reads as much as is granted."""

    async def read(self, n: int, /) -> bytes:
        allowance, self.allowance = self.allowance, None
        try:
            if allowance is not None and not (n := await allowance.wait(Context(), n)):
                raise OSError("the limit refuses what could come")
            return await super().read(n)
        finally:
            self.allowance = allowance


@local.breaks("traffic-in-hand")
class ReservingAhead(RightListener):
    served = Reserving


@local.breaks("refused-traffic-raises")
class UnlimitedWritesOutOfReach(RightListener):
    async def find_budget(self, conn: ServedConn, limits: TrafficLimiter) -> None:
        with suppress(OSError):
            await super().find_budget(conn, limits)


@local.breaks("refused-reads-raise")
class UnlimitedReadsOutOfReach(RightListener):
    async def find_allowance(self, conn: ServedConn, limits: TrafficLimiter) -> None:
        with suppress(OSError):
            await super().find_allowance(conn, limits)


@local.breaks("close-ends-admission")
class AskingInAccept(RightListener):
    async def ask(self, conn: ServedConn) -> None:
        """Later."""

    async def accept(self) -> Conn:
        while True:
            conn = await super().accept()
            assert isinstance(conn, ServedConn)
            try:
                await super().ask(conn)
            except Exception:
                await conn.close()
            except BaseException:
                await conn.close()
                raise
            else:
                return conn


@local.breaks("lent-stays-open")
class ClosingWhatWasLent(RightListener):
    async def close(self) -> None:
        await super().close()
        for lent in (self.options.conn_limiter, self.options.traffic_limiter, self.options.stats):
            if isinstance(lent, Closer):
                await lent.close()


@local.breaks("close-before-init")
class WaitingOnceItIsClosed(RightListener):
    async def accept(self) -> Conn:
        if self.closed and not self.initialized:
            await asyncio.Event().wait()
        return await super().accept()


@local.breaks("close-ends-admission")
class AskingOn(RightListener):
    async def ask(self, conn: ServedConn) -> None:
        await asyncio.shield(asyncio.ensure_future(super().ask(conn)))


@local.breaks("lent-stays-open")
class ClosingWhatWasLentWhenInitFails(RightListener):
    async def init(self, metadata: Metadata | None, /) -> None:
        try:
            await super().init(metadata)
        except ValueError:
            if isinstance(self.options.admission, Closer):
                await self.options.admission.close()
            raise


@local.breaks("stats-counted")
class ForgettingTheCounts(RightListener):
    async def close(self) -> None:
        await super().close()
        if self.options.stats is not None:
            self.options.stats.reset()


@local.breaks("stats-counted")
class CountingTheRefusedAsOpen(RightListener):
    async def ask(self, conn: ServedConn) -> None:
        try:
            await super().ask(conn)
        except PermissionError:
            # So that nothing is given back when it is closed.
            conn.closed = True
            raise


@local.breaks("place-not-kept")
class KeepingThePlaceOfTheRude(RightListener):
    async def greet(self, conn: Conn) -> None:
        try:
            await super().greet(conn)
        except OSError:
            assert isinstance(conn, ServedConn)
            conn.place = None
            raise


@local.breaks("stats-counted")
class CountingTheRudeAsOpen(RightListener):
    async def greet(self, conn: Conn) -> None:
        try:
            await super().greet(conn)
        except OSError:
            assert isinstance(conn, ServedConn)
            if conn.place is not None:
                conn.place.allow(-1)
            conn.closed = True
            raise


@local.breaks("admission-fails-closed")
class AdmittedByATimeout(RightListener):
    async def ask(self, conn: ServedConn) -> None:
        with suppress(TimeoutError):
            await super().ask(conn)


@local.breaks("close-beside-init")
class BindingAfterClose(RightListener):
    async def init(self, metadata: Metadata | None, /) -> None:
        if self.initialized:
            raise RuntimeError("this listener was initialized before")
        self.initialized = True
        self.read_settings(metadata)
        await asyncio.sleep(0)
        self.bind()
        self.listen()


@local.breaks("failed-bind-frees")
class KeepingWhatCannotBeBound(RightListener):
    def bind(self) -> None:
        host, _, port = self.options.addr.rpartition(":")
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((host, int(port)))
        self.sock.setblocking(False)
        self.address = Address("tcp", "{}:{}".format(*self.sock.getsockname()))
