"""Trials of the checks of dialers and of their handshakes."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from itertools import count
from types import new_class
from typing import ClassVar, Final, TypeVar, cast

from gost_core.testing._fakes import FakeMetadata
from gost_core.testing._peers import GREETING, StreamConn, echo, silent
from typing_extensions import Buffer

from gost_core.common.net import Addr, ClosedError, Closer, Conn, ProtocolError
from gost_core.common.net import Dialer as NetDialer
from gost_core.common.url import Userinfo
from gost_core.context import Context
from gost_core.dialer import (
    Dialer,
    DialOption,
    DialOptions,
    HandshakeOption,
    HandshakeOptions,
    Handshaker,
    Multiplexer,
)
from gost_core.metadata import Metadata
from gost_core.options import apply
from gost_core.testing import Report
from gost_core.testing.dialer import DialerContract, HandshakerContract
from tests.kit.trial import Trial

PASSWORD: Final = "correct horse"
TIME_LIMIT: Final = 1.5


# ---- A protocol: a login in lines, then frames of several streams


async def read_exactly(conn: Conn, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (piece := await conn.read(size - len(data))):
            raise ConnectionResetError("the other end is gone")
        data += piece
    return data


async def read_line(conn: Conn) -> str:
    line = b""
    while not line.endswith(b"\n"):
        line += await read_exactly(conn, 1)
    return line.decode().rstrip("\n")


async def log_in(conn: Conn, auth: Userinfo, settings: str = "") -> None:
    await conn.write(f"{settings}\t{auth.username}:{auth.password}\n".encode())
    answer = await read_line(conn)
    if answer == "refused":
        raise PermissionError(f"the node refuses {auth.username!r}")
    if answer != "welcome":
        raise ProtocolError("the node's answer to the login is malformed")


async def let_in(conn: Conn, expected: str | None = None) -> None:
    settings, _, credentials = (await read_line(conn)).partition("\t")
    if credentials != f"alice:{PASSWORD}" or expected not in (None, settings):
        await conn.write(b"refused\n")
        raise PermissionError
    await conn.write(b"welcome\n")


async def node(conn: Conn) -> None:
    await let_in(conn)
    await echo(conn)


async def exact_node(conn: Conn) -> None:
    await let_in(conn, "h2 http/1.1")
    await echo(conn)


async def refusing_node(conn: Conn) -> None:
    await read_line(conn)
    await conn.write(b"refused\n")
    await silent(conn)


async def malformed_node(conn: Conn) -> None:
    await conn.write(b"HTTP/1.1 400 Bad Request\n")
    await silent(conn)


async def greeting_node(conn: Conn) -> None:
    await read_line(conn)
    await conn.write(b"welcome\n" + GREETING)
    await silent(conn)


class Stream(Conn):
    """A stream of a session; each read returns no more than one write."""

    def __init__(self, session: "Session", number: int) -> None:
        self.session = session
        self.number = number
        self.pieces: deque[bytes] = deque()
        self.ended = False
        self.closed = False
        self.changed = asyncio.Event()

    def feed(self, data: bytes) -> None:
        if data:
            self.pieces.append(data)
        else:
            self.ended = True
        self.changed.set()

    async def read(self, n: int, /) -> bytes:
        while not (self.closed or self.pieces or self.ended):
            self.changed.clear()
            await self.changed.wait()
        if self.closed:
            raise ClosedError("this end was closed")
        if not self.pieces:
            return b""
        data = self.pieces.popleft()
        if data[n:]:
            self.pieces.appendleft(data[n:])
        return data[:n]

    async def write(self, data: Buffer, /) -> None:
        if self.closed:
            raise ClosedError("this end was closed")
        await self.session.send(self.number, bytes(data))

    async def close(self) -> None:
        self.closed = True
        self.changed.set()
        await self.session.leave(self)

    def local_addr(self) -> Addr:
        return self.session.conn.local_addr()

    def remote_addr(self) -> Addr:
        return self.session.conn.remote_addr()


class Session:
    """Streams on one connection, each until it is closed; the last one closes the connection."""

    def __init__(self, conn: Conn) -> None:
        self.conn = conn
        self.ended = False
        self.numbers = count(1)
        self.streams: dict[int, Stream] = {}
        self.sending = asyncio.Lock()
        self.receiving = asyncio.create_task(self.receive())

    def stream(self) -> Stream:
        number = next(self.numbers)
        self.streams[number] = Stream(self, number)
        return self.streams[number]

    async def send(self, number: int, data: bytes) -> None:
        async with self.sending:
            await self.conn.write(number.to_bytes(4, "big") + len(data).to_bytes(4, "big") + data)

    async def receive(self) -> None:
        try:
            while True:
                number = int.from_bytes(await read_exactly(self.conn, 4), "big")
                data = await read_exactly(
                    self.conn, int.from_bytes(await read_exactly(self.conn, 4), "big")
                )
                self.arrive(number, data)
        except OSError:
            pass
        finally:
            self.ended = True
            for stream in self.streams.values():
                stream.feed(b"")

    def arrive(self, number: int, data: bytes) -> None:
        if number in self.streams:
            self.streams[number].feed(data)

    async def leave(self, stream: Stream) -> None:
        self.streams.pop(stream.number, None)
        if not self.streams:
            await self.close()

    async def close(self) -> None:
        self.ended = True
        self.receiving.cancel()
        await self.conn.close()
        await asyncio.wait({self.receiving})


class OwnNetwork(NetDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        host, _, port = addr.rpartition(":")
        return StreamConn(*await asyncio.open_connection(host, int(port)))


class Settings:
    """The life of a component up to its first use."""

    def __init__(self, auth: Userinfo | None = None) -> None:
        self.auth = auth or Userinfo("alice", PASSWORD)
        self.initialised = False

    async def init(self, metadata: Metadata | None, /) -> None:
        if self.initialised:
            raise RuntimeError("init() was called before")
        timeout = None if metadata is None else metadata.get("timeout")
        if not isinstance(timeout, float | None):
            raise ValueError(f"timeout must be a number of seconds, not {timeout!r}")
        self.initialised = True

    def check_ready(self) -> None:
        if not self.initialised:
            raise RuntimeError("init() was not called")


class LoopInConstructor(Settings):
    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.loop = asyncio.get_running_loop()


class InsistingOnMetadata(Settings):
    async def init(self, metadata: Metadata | None, /) -> None:
        if metadata is None:
            raise TypeError("'NoneType' object is not subscriptable")
        await super().init(metadata)


class InitialisingAgain(Settings):
    async def init(self, metadata: Metadata | None, /) -> None:
        self.initialised = False
        await super().init(metadata)


class NeedingNoInit(Settings):
    def check_ready(self) -> None:
        pass


class IgnoringSettings(Settings):
    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(None)


class NamingNoKey(Settings):
    async def init(self, metadata: Metadata | None, /) -> None:
        try:
            await super().init(metadata)
        except ValueError:
            raise ValueError("invalid configuration") from None


LIFE_FAULTS: Final[tuple[tuple[str, type[Settings], str], ...]] = (
    ("made-without-loop", LoopInConstructor, ""),
    ("init-without-metadata", InsistingOnMetadata, "#372 init() crashed without metadata"),
    ("init-once", InitialisingAgain, ""),
    ("use-before-init", NeedingNoInit, ""),
    ("bad-setting-named", IgnoringSettings, ""),
    ("bad-setting-named", NamingNoKey, ""),
)


RightT = TypeVar("RightT")


def mixed(fault: type[object], right: type[RightT]) -> type[RightT]:
    """Return what is right but for one fault."""
    # No checker knows the class of two bases that are arguments.
    return cast("type[RightT]", new_class(fault.__name__, (fault, right)))


# ---- dialer.Dialer


class RightDialer(Settings, Dialer, Multiplexer, Closer):
    """Keeps one session for each address, of which every result is a stream."""

    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.closed = False
        self.sessions: dict[str, Session] = {}
        self.openings: set[asyncio.Task[Session]] = set()

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        self.check_ready()
        self.check_open()
        options = apply(DialOptions(), *opts)
        session = self.sessions.get(self.key(addr, options))
        if session is None or not self.usable(session):
            session = await self.opened(ctx, addr, options)
            self.sessions[self.key(addr, options)] = session
        return self.handle(session)

    def key(self, addr: str, options: DialOptions) -> str:
        return addr

    def usable(self, session: Session) -> bool:
        return not session.ended

    def handle(self, session: Session) -> Conn:
        return session.stream()

    def check_open(self) -> None:
        if self.closed:
            raise ClosedError("the dialer was closed")

    async def opened(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        opening = asyncio.create_task(self.open(ctx, addr, options), name=addr)
        self.openings.add(opening)
        try:
            return await opening
        except asyncio.CancelledError:
            if opening.done() and not opening.cancelled() and opening.exception() is None:
                await opening.result().close()
            self.check_open()
            raise
        finally:
            self.openings.discard(opening)

    async def open(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        conn = await self.beneath(ctx, addr, options)
        try:
            await self.log_in(conn)
        except BaseException as error:
            await self.abandon(conn, error)
            raise
        return Session(conn)

    async def beneath(self, ctx: Context, addr: str, options: DialOptions) -> Conn:
        return await (options.dialer or OwnNetwork()).dial(ctx, "tcp", addr)

    async def log_in(self, conn: Conn) -> None:
        await log_in(conn, self.auth)

    async def abandon(self, conn: Conn, error: BaseException) -> None:
        await conn.close()

    def multiplex(self) -> bool:
        return True

    async def close(self) -> None:
        self.closed = True
        await self.end_openings()
        await self.end_sessions()

    async def end_openings(self) -> None:
        for opening in self.openings:
            opening.cancel()
        if self.openings:
            await asyncio.wait(self.openings)

    async def end_sessions(self) -> None:
        for session in self.sessions.values():
            await session.close()


def run_dialer(make: Callable[[], Dialer]) -> Coroutine[object, object, Report]:
    return DialerContract(
        make,
        node,
        metadata=FakeMetadata(timeout=10.0),
        bad_setting=("timeout", "soon"),
        refusing=refusing_node,
        malformed=malformed_node,
        secret=PASSWORD,
        time_limit=TIME_LIMIT,
    ).run()


dialers = Trial[Callable[[], Dialer]](DialerContract, run_dialer, RightDialer)


@dialers.breaks("shape")
class AddressWithoutOptions(RightDialer):
    async def dial(self, ctx: Context, addr: str, /) -> Conn:  # type: ignore  # the fault
        return await super().dial(ctx, addr)


for clause, fault, history in LIFE_FAULTS:
    dialers.breaks(clause, history=history)(mixed(fault, RightDialer))


@dialers.breaks("close-any-time")
class ClosableOnceReady(RightDialer):
    async def close(self) -> None:
        self.check_ready()
        await super().close()


@dialers.breaks("dials", history="82fff49 x#8 the direct dialer returned no connection")
class NoConnection(RightDialer):
    def handle(self, session: Session) -> Conn:
        return None  # type: ignore  # the fault


@dialers.breaks("outlives-call", history="221144f x#117 the connection ended with the dial's limit")
class EndingWithTheCall(RightDialer):
    def handle(self, session: Session) -> Conn:
        call = asyncio.current_task()
        assert call is not None
        call.add_done_callback(lambda _: session.receiving.cancel())
        return super().handle(session)


@dialers.breaks("outlives-call", history="404aaae h2 and http2 streams ended when their dial did")
class StreamEndingWithTheCall(RightDialer):
    def handle(self, session: Session) -> Conn:
        stream = session.stream()
        call = asyncio.current_task()
        assert call is not None
        call.add_done_callback(lambda _: stream.feed(b""))
        return stream


@dialers.breaks(
    "known-by-address", history="x mtls mws: dial() keys by the ip, handshake() by name"
)
class KeyedByBoth(RightDialer, Handshaker):
    dials = 0

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        self.dials += 1
        return await super().dial(ctx, addr, *opts)

    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        if self.dials > 1 and apply(HandshakeOptions(), *opts).addr not in self.sessions:
            raise ConnectionResetError("unrecognized connection")
        return conn


class Nowhere(Stream):
    def remote_addr(self) -> Addr:
        return None  # type: ignore  # the fault


@dialers.breaks("addresses", history="x#8 a connection without a socket had no addresses")
class WithoutAddresses(RightDialer):
    def handle(self, session: Session) -> Conn:
        stream = session.stream()
        session.streams[stream.number] = nowhere = Nowhere(session, stream.number)
        return nowhere


@dialers.breaks("options-dialer-used", history="x unix ftcp icmp: the dialer given is ignored")
class GoingItsOwnWay(RightDialer):
    async def beneath(self, ctx: Context, addr: str, options: DialOptions) -> Conn:
        return await OwnNetwork().dial(ctx, "tcp", addr)


@dialers.breaks("address-dialed")
class DialingTheName(RightDialer):
    async def beneath(self, ctx: Context, addr: str, options: DialOptions) -> Conn:
        return await super().beneath(ctx, options.host or addr, options)


@dialers.breaks("own-network", history="4efb4b9 a missing dialer was called all the same")
class NeedingADialer(RightDialer):
    async def beneath(self, ctx: Context, addr: str, options: DialOptions) -> Conn:
        assert options.dialer is not None
        return await options.dialer.dial(ctx, "tcp", addr)


@dialers.breaks("options")
class ApplyingInReverse(RightDialer):
    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        return await super().dial(ctx, addr, *reversed(opts))


@dialers.breaks("concurrent", history="x mtls: two first dials replaced each other's session")
class ReplacingTheEntry(RightDialer):
    latest: object = None

    async def opened(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        self.latest = mine = object()
        session = await super().opened(ctx, addr, options)
        if self.latest is not mine:
            await session.close()
            raise ConnectionResetError("unrecognized connection")
        return session


@dialers.breaks("addresses-apart")
class KeyedByHost(RightDialer):
    def key(self, addr: str, options: DialOptions) -> str:
        return options.host


class SharedStream(Stream):
    async def close(self) -> None:
        await super().close()
        await self.session.close()


@dialers.breaks("handles-apart", history="x mtls mtcp mws sshd: dial() gave the session itself")
class GivingTheSession(RightDialer):
    def handle(self, session: Session) -> Conn:
        stream = session.stream()
        session.streams[stream.number] = shared = SharedStream(session, stream.number)
        return shared


class StayingStream(Stream):
    async def close(self) -> None:
        self.closed = True
        self.changed.set()


@dialers.breaks("close-frees", history="x dialers: sessions outlived all their users")
class KeepingSessions(RightDialer):
    def handle(self, session: Session) -> Conn:
        stream = session.stream()
        session.streams[stream.number] = staying = StayingStream(session, stream.number)
        return staying


@dialers.breaks("failure-beneath")
class HidingTheFailure(RightDialer):
    async def beneath(self, ctx: Context, addr: str, options: DialOptions) -> Conn:
        try:
            return await super().beneath(ctx, addr, options)
        except Exception as error:
            raise OSError(f"cannot dial {addr}") from error


@dialers.breaks("node-dies")
class ExpectingAnAnswer(RightDialer):
    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except ConnectionResetError:
            raise IndexError("index out of range") from None


@dialers.breaks("failure-frees", history="569572d connections leaked when a later step failed")
class LeavingTheFailedOpen(RightDialer):
    async def abandon(self, conn: Conn, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            await super().abandon(conn, error)


@dialers.breaks("refused")
class RefusedAsReset(RightDialer):
    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except PermissionError:
            raise ConnectionResetError("the login failed") from None


@dialers.breaks("malformed")
class MalformedAsValue(RightDialer):
    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except ProtocolError as error:
            raise ValueError("what is this?") from error


@dialers.breaks("secret-hidden")
class TellingInRepr(RightDialer):
    def __repr__(self) -> str:
        return f"<TellingInRepr {self.auth.username}:{self.auth.password}>"


@dialers.breaks("secret-hidden")
class TellingInErrors(RightDialer):
    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except PermissionError as error:
            error.add_note(f"the password was {self.auth.password}")
            raise


@dialers.breaks("cancellable", history="b92c1b1 #777 the caller's limit did not end the dial")
class DeafToCancelling(RightDialer):
    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except asyncio.CancelledError:
            await read_line(conn)


@dialers.breaks("cancellable")
class CancelledAsTimeout(RightDialer):
    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except asyncio.CancelledError:
            raise TimeoutError("the login took too long") from None


@dialers.breaks("cancel-frees")
class LeavingTheCancelledOpen(RightDialer):
    async def abandon(self, conn: Conn, error: BaseException) -> None:
        if not isinstance(error, asyncio.CancelledError):
            await super().abandon(conn, error)


@dialers.breaks("cancel-frees")
class LosingTheSession(RightDialer):
    async def opened(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        opening = asyncio.create_task(self.open(ctx, addr, options), name=addr)
        self.openings.add(opening)
        try:
            return await opening
        except asyncio.CancelledError:
            self.check_open()
            raise
        finally:
            self.openings.discard(opening)


@dialers.breaks("silent-dial-alone", history="9fab332 #352 one dead node blocked every dial")
class LockedDialer(RightDialer):
    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.lock = asyncio.Lock()

    async def opened(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        async with self.lock:
            return await super().opened(ctx, addr, options)


@dialers.breaks("cancel-spares-others")
class SharingTheAttempt(RightDialer):
    async def opened(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        for opening in self.openings:
            if opening.get_name() == addr:
                return await opening
        return await super().opened(ctx, addr, options)


@dialers.breaks("node-comes-back", history="18c1d60 #792 a dead session was handed out for ever")
class HandingOutTheDead(RightDialer):
    def usable(self, session: Session) -> bool:
        return True


@dialers.breaks("node-comes-back", history="5484717 the dial after a session's death failed")
class FailingOnce(RightDialer):
    def usable(self, session: Session) -> bool:
        if session.ended:
            self.sessions.clear()
            raise ConnectionResetError("the session is dead")
        return True


@dialers.breaks("multiplex-constant")
class MultiplexingOnceOpen(RightDialer):
    def multiplex(self) -> bool:
        return bool(self.sessions)


@dialers.breaks("close-ends-sessions", history="x dialers: no close(), sessions outlive a reload")
class LeavingSessions(RightDialer):
    async def end_sessions(self) -> None:
        pass


@dialers.breaks("close-wakes-dial")
class CancellingItsCallers(RightDialer):
    async def opened(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        try:
            return await super().opened(ctx, addr, options)
        except ClosedError:
            raise asyncio.CancelledError from None


# ---- dialer.Handshaker


class Limit:
    """A time limit, which runs out when the trial says so."""

    pending: ClassVar[set["Limit"]] = set()

    def __init__(self) -> None:
        self.expired = False
        self.pending.add(self)

    def clear(self) -> None:
        self.pending.discard(self)

    def expire(self) -> None:
        self.expired = True

    @classmethod
    async def run_out(cls) -> None:
        while cls.pending:
            cls.pending.pop().expire()


class Secured(Conn):
    """A connection after a handshake."""

    def __init__(self, inner: Conn, limit: Limit) -> None:
        self.inner = inner
        self.limit = limit

    async def read(self, n: int, /) -> bytes:
        if self.limit.expired:
            raise TimeoutError("the handshake took too long")
        return await self.inner.read(n)

    async def write(self, data: Buffer, /) -> None:
        await self.inner.write(data)

    async def close(self) -> None:
        await self.inner.close()

    def local_addr(self) -> Addr:
        return self.inner.local_addr()

    def remote_addr(self) -> Addr:
        return self.inner.remote_addr()


class LoggingIn(Settings):
    """A handshake, within a time limit of its own."""

    async def shake(self, conn: Conn) -> Conn:
        self.check_ready()
        limit = Limit()
        try:
            await self.log_in(conn)
        finally:
            self.clear(limit)
        return self.secured(conn, limit)

    async def log_in(self, conn: Conn) -> None:
        await log_in(conn, self.auth)

    def clear(self, limit: Limit) -> None:
        limit.clear()

    def secured(self, conn: Conn, limit: Limit) -> Conn:
        return Secured(conn, limit)


class WithoutAddress(Secured):
    def local_addr(self) -> Addr:
        return None  # type: ignore  # the fault


class ForgettingAddresses(LoggingIn):
    def secured(self, conn: Conn, limit: Limit) -> Conn:
        return WithoutAddress(conn, limit)


class OneHandshakeAtATime(LoggingIn):
    busy = False

    async def log_in(self, conn: Conn) -> None:
        if self.busy:
            raise ConnectionResetError("a handshake is going on")
        self.busy = True
        try:
            await super().log_in(conn)
        finally:
            self.busy = False


class Borrowing(Secured):
    async def close(self) -> None:
        pass


class LeavingTheInputOpen(LoggingIn):
    def secured(self, conn: Conn, limit: Limit) -> Conn:
        return Borrowing(conn, limit)


class EndingWithTheHandshake(LoggingIn):
    def secured(self, conn: Conn, limit: Limit) -> Conn:
        call = asyncio.current_task()
        assert call is not None
        call.add_done_callback(lambda _: limit.expire())
        return super().secured(conn, limit)


class KeepingTheLimit(LoggingIn):
    def clear(self, limit: Limit) -> None:
        pass


class ExpectingAGreeting(LoggingIn):
    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except ConnectionResetError:
            raise AttributeError("'NoneType' object has no attribute 'status'") from None


class HandshakeRefusedAsReset(LoggingIn):
    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except PermissionError:
            raise ConnectionResetError("the login failed") from None


class HandshakeMalformedAsReset(LoggingIn):
    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except ProtocolError:
            raise ConnectionResetError("the login failed") from None


async def watch() -> None:
    await asyncio.sleep(3600.0)


class WatchingAfterFailure(LoggingIn):
    async def log_in(self, conn: Conn) -> None:
        self.watching = asyncio.create_task(watch())
        try:
            await super().log_in(conn)
        except OSError:
            raise
        except BaseException:
            self.watching.cancel()
            raise
        self.watching.cancel()


class WatchingAfterCancelling(LoggingIn):
    async def log_in(self, conn: Conn) -> None:
        self.watching = asyncio.create_task(watch())
        try:
            await super().log_in(conn)
        except OSError:
            self.watching.cancel()
            raise
        self.watching.cancel()


class TellingThePassword(LoggingIn):
    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except PermissionError as error:
            raise PermissionError(f"{self.auth.password!r} is wrong") from error


class CancelledHandshakeAsTimeout(LoggingIn):
    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except asyncio.CancelledError:
            raise TimeoutError("the handshake took too long") from None


HANDSHAKE_FAULTS: Final[tuple[tuple[str, type[LoggingIn], str], ...]] = (
    ("addresses", ForgettingAddresses, ""),
    ("concurrent", OneHandshakeAtATime, ""),
    ("owns-input", LeavingTheInputOpen, ""),
    ("outlives-call", EndingWithTheHandshake, "221144f x#117 ended with the limit of the call"),
    ("limits-cleared", KeepingTheLimit, "x tls: the handshake's deadline stayed set"),
    ("node-dies", ExpectingAGreeting, ""),
    ("refused", HandshakeRefusedAsReset, ""),
    ("malformed", HandshakeMalformedAsReset, ""),
    ("failure-frees", WatchingAfterFailure, ""),
    ("cancel-frees", WatchingAfterCancelling, ""),
    ("secret-hidden", TellingThePassword, ""),
    ("cancellable", CancelledHandshakeAsTimeout, "x ssh socks5: the caller's limit was not heard"),
)


class RightHandshaker(LoggingIn, Dialer, Handshaker):
    settings = "h2 http/1.1"

    async def log_in(self, conn: Conn) -> None:
        await log_in(conn, self.auth, self.settings)

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        self.check_ready()
        options = apply(DialOptions(), *opts)
        return await (options.dialer or OwnNetwork()).dial(ctx, "tcp", addr)

    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        apply(HandshakeOptions(), *opts)
        return await self.shake(conn)


def run_handshaker(make: Callable[[], Dialer]) -> Coroutine[object, object, Report]:
    return HandshakerContract(
        make,
        node,
        refusing=refusing_node,
        malformed=malformed_node,
        greeting=greeting_node,
        exact=exact_node,
        pass_limit=Limit.run_out,
        secret=PASSWORD,
        time_limit=TIME_LIMIT,
    ).run()


handshakers = Trial[Callable[[], Dialer]](HandshakerContract, run_handshaker, RightHandshaker)


for clause, shaking, history in HANDSHAKE_FAULTS:
    handshakers.breaks(clause, history=history)(mixed(shaking, RightHandshaker))


@handshakers.breaks("shape")
class HandshakeWithoutOptions(RightHandshaker):
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:  # type: ignore  # the fault
        return await super().handshake(ctx, conn)


@handshakers.breaks("any-connection", history="x mtls mws: only what dial() gave was recognised")
class KnowingItsOwnOnly(RightHandshaker):
    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.dialed: set[Conn] = set()

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        conn = await super().dial(ctx, addr, *opts)
        self.dialed.add(conn)
        return conn

    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        if conn not in self.dialed:
            raise ConnectionResetError("unrecognized connection")
        return await super().handshake(ctx, conn, *opts)


@handshakers.breaks("own-connection", history="x mtls mws: the second connection is unrecognized")
class RecognisingOne(RightHandshaker):
    dials = 0

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        self.dials += 1
        return await super().dial(ctx, addr, *opts)

    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        if self.dials > 1:
            raise ConnectionResetError("unrecognized connection")
        return await super().handshake(ctx, conn, *opts)


@handshakers.breaks("options")
class HandshakeIgnoringOrder(RightHandshaker):
    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        return await super().handshake(ctx, conn, *reversed(opts))


@handshakers.breaks("early-bytes")
class ReadingAhead(RightHandshaker):
    async def log_in(self, conn: Conn) -> None:
        await conn.write(f"{self.settings}\t{self.auth.username}:{self.auth.password}\n".encode())
        answer = await conn.read(4096)
        if answer.startswith(b"refused"):
            raise PermissionError("refused")
        if not answer:
            raise ConnectionResetError("the other end is gone")
        if not answer.startswith(b"welcome"):
            raise ProtocolError("malformed")


@handshakers.breaks("tls-settings", history="5810404 10f63f8 a copy of the settings lost some")
class LosingSettings(RightHandshaker):
    settings = "h2"


trials = (dialers, handshakers)
