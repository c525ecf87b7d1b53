"""Trials of the contract of dialers."""

import asyncio
import logging
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar

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
from gost_core.keys import TIME_LIMIT
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing._stage.memory import MemoryMetadata
from gost_core.testing.dialer import DialerContract
from tests.kit._stuck import (
    ClosingBehindReads,
    ClosingBehindWrites,
    Hurried,
    QuietEnd,
    closing_for_all,
    closing_undisturbed,
    ending_at_the_limit,
    giving,
    keeping_the_context,
    timing_reads,
)
from tests.kit.dialer import _protocol
from tests.kit.dialer._protocol import (
    LIFE_FAULTS,
    PASSWORD,
    OwnNetwork,
    Session,
    Settings,
    Stream,
    log_in,
    malformed_node,
    mixed,
    node,
    read_line,
    refusing_node,
)
from tests.kit.trial import Trial


class Opening:
    """A session that is being opened, for all who wait for it."""

    def __init__(self, task: asyncio.Task[Session]) -> None:
        self.task = task
        self.waiting = 0

    async def abandon(self) -> None:
        """Open it for nobody."""
        self.task.cancel()
        await asyncio.wait({self.task})
        if not self.task.cancelled() and self.task.exception() is None:
            session = self.task.result()
            if not session.streams:
                await session.close()


class RightDialer(Settings, Dialer, Multiplexer, Closer):
    """Keeps one session for each address, of which every result is a stream."""

    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.closed = False
        self.closing: asyncio.Future[None] | None = None
        self.sessions: dict[str, Session] = {}
        self.openings: dict[object, Opening] = {}

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        self.check_ready()
        self.check_open()
        options = apply(DialOptions(), *opts)
        key = self.key(addr, options)
        session = self.sessions.get(key)
        if session is None or not self.usable(session):
            session = self.sessions[key] = await self.opened(ctx, addr, options)
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
        key = self.opening_key(addr, options)
        if (opening := self.openings.get(key)) is None:
            # Several may wait for it, so none of their limits counts.
            task = asyncio.create_task(self.open(ctx.without(TIME_LIMIT), addr, options))
            opening = self.openings[key] = Opening(task)
        opening.waiting += 1
        try:
            await asyncio.wait({opening.task})
        except asyncio.CancelledError:
            if opening.waiting == 1:
                await self.abandon_opening(opening)
            raise
        finally:
            opening.waiting -= 1
            if not opening.waiting and self.openings.get(key) is opening:
                del self.openings[key]
        self.check_open()
        return opening.task.result()

    def opening_key(self, addr: str, options: DialOptions) -> object:
        return self.key(addr, options)

    async def abandon_opening(self, opening: Opening) -> None:
        await opening.abandon()

    async def open(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        conn = await self.beneath(ctx, addr, options)
        try:
            await self.log_in(conn)
        except BaseException as error:
            await self.abandon(conn, error)
            raise
        return self.session(conn)

    def session(self, conn: Conn) -> Session:
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
        self.closing = self.closing or asyncio.ensure_future(self.end())
        await asyncio.shield(self.closing)

    async def end(self) -> None:
        await self.end_openings()
        await self.end_sessions()

    async def end_openings(self) -> None:
        tasks = [opening.task for opening in self.openings.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def end_sessions(self) -> None:
        for session in self.sessions.values():
            await session.close()


async def pass_limit() -> None:
    await asyncio.sleep(1.2)


def run_dialer(make: Callable[[], Dialer]) -> Contract:
    return DialerContract(
        make,
        peer=node,
        metadata=MemoryMetadata(timeout=10.0),
        bad_setting=("timeout", "soon"),
        refusing=refusing_node,
        garbling=malformed_node,
        secret=PASSWORD,
        pass_limit=pass_limit,
        time_limit=_protocol.TIME_LIMIT,
    )


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


class Queueing(Stream):
    """Sends from the caller's own buffers, a little later."""

    async def write(self, data: Buffer, /) -> None:
        asyncio.get_running_loop().call_soon(self.send, memoryview(data))

    def send(self, data: memoryview) -> None:
        self.sending = asyncio.ensure_future(super().write(data))


class QueueingSession(Session):
    def stream(self) -> Stream:
        number = next(self.numbers)
        self.streams[number] = Queueing(self, number)
        return self.streams[number]


@dialers.breaks("dials")
class SendingWhatWasLent(RightDialer):
    def session(self, conn: Conn) -> Session:
        return QueueingSession(conn)


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
        conn = await super().dial(ctx, addr, *opts)
        self.dials += 1
        return conn

    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        if self.dials > 3 and apply(HandshakeOptions(), *opts).addr not in self.sessions:
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


@dialers.breaks("own-network")
class GoingByTheLastDialer(RightDialer):
    """Goes by the dialer of an earlier call where it is given none."""

    net_dialer: NetDialer | None = None

    async def beneath(self, ctx: Context, addr: str, options: DialOptions) -> Conn:
        self.net_dialer = options.dialer or self.net_dialer
        return await (self.net_dialer or OwnNetwork()).dial(ctx, "tcp", addr)


dialers.breaks("break-shown")(giving(RightDialer, "dial", QuietEnd))
dialers.breaks("nothing-kept")(keeping_the_context(RightDialer, "dial"))


@dialers.breaks("nothing-kept")
class SessionOfARequest(RightDialer):
    """Keeps the context of the request that opened a session as long as that lives."""

    async def open(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        session = await super().open(ctx, addr, options)
        vars(session)["ctx"] = ctx
        return session


dialers.breaks("writes-whole")(giving(RightDialer, "dial", Hurried))
dialers.breaks("close-wakes")(giving(RightDialer, "dial", ClosingBehindReads))
dialers.breaks("close-wakes")(giving(RightDialer, "dial", ClosingBehindWrites))
dialers.breaks("outlives-limit")(timing_reads(RightDialer, "dial"))


class CutStream(Stream):
    async def read(self, n: int, /) -> bytes:
        return (await super().read(65535))[:n]


@dialers.breaks("reads-whole")
class DroppingTheRest(RightDialer):
    """Drops what is left of a frame that is too long for a read."""

    def handle(self, session: Session) -> Conn:
        stream = session.stream()
        session.streams[stream.number] = cut = CutStream(session, stream.number)
        return cut


@dialers.breaks("options")
class ApplyingInReverse(RightDialer):
    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        return await super().dial(ctx, addr, *reversed(opts))


@dialers.breaks("concurrent", history="x mtls: two first dials replaced each other's session")
class ReplacingTheEntry(RightDialer):
    latest: ClassVar[dict[str, object]] = {}

    async def opened(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        self.latest[addr] = mine = object()
        session = await super().opened(ctx, addr, options)
        if self.latest[addr] is not mine:
            await session.close()
            raise ConnectionResetError("unrecognized connection")
        return session


@dialers.breaks("one-session", history="x mtls: two first dials replaced each other's session")
class OpeningAnother(RightDialer):
    def opening_key(self, addr: str, options: DialOptions) -> object:
        return object()


@dialers.breaks("addresses-apart")
class LastAddress(RightDialer):
    """Keeps on the object what belongs to a call."""

    addr = ""

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        self.check_ready()
        self.addr = addr
        await asyncio.sleep(0)
        return await super().dial(ctx, self.addr, *opts)


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


class _Trusting(Session):
    def arrive(self, number: int, data: bytes) -> None:
        self.streams[number].feed(data)


@dialers.breaks("handles-apart")
class EndedByLateData(RightDialer):
    """Fails when something comes for a stream that was closed here."""

    def session(self, conn: Conn) -> Session:
        return _Trusting(conn)


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


@dialers.breaks("failure-beneath")
class KeepingTheWay(RightDialer):
    """Goes for ever by the dialer that an address was first dialed by."""

    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.ways: dict[str, NetDialer] = {}

    async def beneath(self, ctx: Context, addr: str, options: DialOptions) -> Conn:
        way = self.ways.setdefault(addr, options.dialer or OwnNetwork())
        return await way.dial(ctx, "tcp", addr)


@dialers.breaks("node-dies")
class ExpectingAnAnswer(RightDialer):
    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except ConnectionResetError:
            raise IndexError("index out of range") from None


@dialers.breaks("end-is-no-answer")
class TakingTheEndForAnAnswer(RightDialer):
    async def log_in(self, conn: Conn) -> None:
        with suppress(ConnectionResetError):
            await super().log_in(conn)


@dialers.breaks("limits-cleared", history="221144f x#117 the connection ended with its limit")
class EndingASecondLater(RightDialer):
    async def log_in(self, conn: Conn) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(1.0, lambda: asyncio.ensure_future(conn.close()))
        await super().log_in(conn)


@dialers.breaks("works-after-cancel")
class KeepingPlaces(RightDialer):
    """Logs in a few times at once, and a login that is cancelled keeps its place."""

    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.places = asyncio.Semaphore(5)

    async def log_in(self, conn: Conn) -> None:
        await self.places.acquire()
        try:
            await super().log_in(conn)
        except OSError:
            self.places.release()
            raise
        self.places.release()


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
            if not str(error).isascii():
                raise
            raise ValueError("what is this?") from error


@dialers.breaks("secret-hidden")
class TellingInRepr(RightDialer):
    def __repr__(self) -> str:
        return f"<TellingInRepr {self.auth.username}:{self.auth.password}>"


@dialers.breaks("secret-hidden")
class LoggingTheToken(RightDialer):
    async def log_in(self, conn: Conn) -> None:
        token = urlsafe_b64encode(str(self.auth.password).encode()).decode()
        logging.getLogger(__name__).debug("the token is %s", token)
        await super().log_in(conn)


@dialers.breaks("secret-hidden")
class TellingInErrors(RightDialer):
    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except PermissionError as error:
            error.add_note(f"the password was {self.auth.password}")
            raise


@dialers.breaks("secret-hidden")
class TellingTheURL(RightDialer):
    async def beneath(self, ctx: Context, addr: str, options: DialOptions) -> Conn:
        try:
            return await super().beneath(ctx, addr, options)
        except ConnectionRefusedError as error:
            url = f"mux://{self.auth.username}:{self.auth.password}@{addr}"
            raise ConnectionRefusedError(f"nobody listens at {url}") from error


@dialers.breaks("cancellable", history="b92c1b1 #777 the caller's limit did not end the dial")
class DeafToCancelling(RightDialer):
    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except asyncio.CancelledError:
            await read_line(conn)


@dialers.breaks("cancellable")
class CancelledAsTimeout(RightDialer):
    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        try:
            return await super().dial(ctx, addr, *opts)
        except asyncio.CancelledError:
            raise TimeoutError("the login took too long") from None


@dialers.breaks("cancel-frees")
class LeavingTheCancelledOpen(RightDialer):
    async def abandon(self, conn: Conn, error: BaseException) -> None:
        if not isinstance(error, asyncio.CancelledError):
            await super().abandon(conn, error)


@dialers.breaks("cancel-frees")
class LosingTheSession(RightDialer):
    async def abandon_opening(self, opening: Opening) -> None:
        pass


@dialers.breaks("cancel-frees")
class ClosingLater(RightDialer):
    """Leaves it to a callback to close what a cancelled dial opens."""

    async def beneath(self, ctx: Context, addr: str, options: DialOptions) -> Conn:
        dialing = asyncio.ensure_future(super().beneath(ctx, addr, options))
        try:
            return await asyncio.shield(dialing)
        except asyncio.CancelledError:
            dialing.add_done_callback(self.close_later)
            raise

    def close_later(self, dialing: "asyncio.Future[Conn]") -> None:
        if not dialing.cancelled() and dialing.exception() is None:
            self.closing = asyncio.ensure_future(dialing.result().close())


@dialers.breaks("silent-dial-alone", history="9fab332 #352 one dead node blocked every dial")
class LockedDialer(RightDialer):
    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.lock = asyncio.Lock()

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        async with self.lock:
            return await super().dial(ctx, addr, *opts)


@dialers.breaks("cancel-spares-others")
class SharingTheAttempt(RightDialer):
    async def opened(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        try:
            return await super().opened(ctx, addr, options)
        except asyncio.CancelledError:
            for opening in self.openings.values():
                opening.task.cancel()
            raise


@dialers.breaks("limit-spares-others")
class KeepingTheLimitOfTheFirst(RightDialer):
    async def opened(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        self.limit = ctx.value(TIME_LIMIT)
        return await super().opened(ctx, addr, options)

    async def open(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        async with asyncio.timeout_at(self.limit):
            return await super().open(ctx, addr, options)


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


@dialers.breaks("close-ends-sessions")
class EndingOneByOne(RightDialer):
    async def close(self) -> None:
        self.closed = True
        await self.end()


dialers.breaks("close-ends-sessions")(closing_undisturbed(RightDialer))


@dialers.breaks("address-dialed")
class LosingTheBrackets(RightDialer):
    async def beneath(self, ctx: Context, addr: str, options: DialOptions) -> Conn:
        return await super().beneath(ctx, addr.replace("[", "").replace("]", ""), options)


@dialers.breaks("addresses-apart")
class KeepingTheDialer(RightDialer):
    kept: NetDialer | None = None

    async def beneath(self, ctx: Context, addr: str, options: DialOptions) -> Conn:
        self.kept = self.kept or options.dialer
        return await (self.kept or OwnNetwork()).dial(ctx, "tcp", addr)


@dialers.breaks("node-comes-back")
class JoiningWhatEnds(RightDialer):
    def usable(self, session: Session) -> bool:
        return not session.receiving.done()


@dialers.breaks("failure-beneath")
class GoingPastTheDialer(RightDialer):
    async def beneath(self, ctx: Context, addr: str, options: DialOptions) -> Conn:
        try:
            return await super().beneath(ctx, addr, options)
        except OSError as error:
            with suppress(OSError):
                return await OwnNetwork().dial(ctx, "tcp", addr)
            raise error


@dialers.breaks("close-wakes-dial")
class CancellingItsCallers(RightDialer):
    async def opened(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        try:
            return await super().opened(ctx, addr, options)
        except ClosedError:
            raise asyncio.CancelledError from None


dialers.breaks("outlives-limit")(ending_at_the_limit(RightDialer, "dial"))


@dialers.breaks("cancel-frees")
class CountingTheCancelled(RightDialer):
    """Goes on counting who has been cancelled among those who wait for a session."""

    async def opened(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        try:
            return await super().opened(ctx, addr, options)
        except asyncio.CancelledError:
            if opening := self.openings.get(self.opening_key(addr, options)):
                opening.waiting += 1
            raise


dialers.breaks("close-ends-sessions")(closing_for_all(RightDialer))


@dialers.breaks("limit-spares-others")
class OpeningWithTheLimitOfTheFirst(RightDialer):
    """Opens a session for all with the TIME_LIMIT of the first of them."""

    async def opened(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        key = self.opening_key(addr, options)
        if key not in self.openings:
            task = asyncio.create_task(self.open(ctx, addr, options))
            self.openings[key] = Opening(task)
        return await super().opened(ctx, addr, options)
