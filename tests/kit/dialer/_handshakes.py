"""Handshakes, right and wrong, for dialers and for connectors."""

import asyncio
from contextlib import suppress
from typing import Any, ClassVar, Final

from typing_extensions import Buffer

from gost_core.common.net import Addr, Conn, ConnUnwrapper, ProtocolError
from tests.kit._stuck import ReadingOnBeneath
from tests.kit.dialer._protocol import Settings, log_in


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
        await asyncio.sleep(1.2)


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


class KeepingTheInput(LoggingIn):
    async def shake(self, conn: Conn) -> Conn:
        self.conn = conn
        await asyncio.sleep(0)
        return await super().shake(self.conn)


class LockedHandshake(LoggingIn):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.lock = asyncio.Lock()

    async def log_in(self, conn: Conn) -> None:
        async with self.lock:
            await super().log_in(conn)


class ReadingOn(LoggingIn):
    """Leaves a read to itself when it is cancelled."""

    async def log_in(self, conn: Conn) -> None:
        await asyncio.shield(self.reading(conn))

    def reading(self, conn: Conn) -> "asyncio.Future[None]":
        reading = asyncio.ensure_future(super().log_in(conn))
        asyncio.get_running_loop().call_later(1.0, reading.cancel)
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        return reading


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


class Hasty(Secured):
    async def read(self, n: int, /) -> bytes:
        async with asyncio.timeout(1.0):
            return await super().read(n)


class KeepingTheLimitOfEachRead(LoggingIn):
    """Waits no longer for the node at any time than in the handshake."""

    def secured(self, conn: Conn, limit: Limit) -> Conn:
        return Hasty(conn, limit)


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


class TakingTheEndForAnAnswer(LoggingIn):
    async def log_in(self, conn: Conn) -> None:
        with suppress(ConnectionResetError):
            await super().log_in(conn)


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


class ResumingUnasked(LoggingIn):
    """Believes that a node which has let it in before does so again."""

    let_in = False

    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except PermissionError:
            if not self.let_in:
                raise
        # Once all that began with this one are over.
        await asyncio.sleep(0)
        self.let_in = True


class MalformedOnce(LoggingIn):
    seen = False

    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except ProtocolError as error:
            if self.seen:
                raise ValueError("malformed again") from error
            self.seen = True
            raise


class KeepingTheAnswer(LoggingIn):
    """Keeps on the object what the node says to one call."""

    failure: OSError | None = None

    async def log_in(self, conn: Conn) -> None:
        self.failure = None
        try:
            await super().log_in(conn)
        except (PermissionError, ProtocolError) as error:
            self.failure = error
        else:
            self.failure = None
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure


class SilenceAsWelcome(LoggingIn):
    async def log_in(self, conn: Conn) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await super().log_in(conn)


class SecuredOnce(LoggingIn):
    """Takes what is secured by a node before this one for secured by this one."""

    async def shake(self, conn: Conn) -> Conn:
        self.check_ready()
        return conn if isinstance(conn, Secured) else await super().shake(conn)


class TakingUpACancelledRead(LoggingIn):
    """Has a cancelled read go on, and gives what that has asked for to the next."""

    def secured(self, conn: Conn, limit: Limit) -> Conn:
        return ReadingOnBeneath(super().secured(conn, limit))


class LoggingInBeneath(LoggingIn):
    async def log_in(self, conn: Conn) -> None:
        while isinstance(conn, ConnUnwrapper):
            conn = conn.unwrap_conn()
        await super().log_in(conn)


class CancelledSendingAsReset(LoggingIn):
    async def log_in(self, conn: Conn) -> None:
        await super().log_in(_Sending(conn))


class _Sending(Secured):
    def __init__(self, inner: Conn) -> None:
        super().__init__(inner, Limit())

    async def write(self, data: Buffer, /) -> None:
        try:
            await super().write(data)
        except asyncio.CancelledError:
            raise ConnectionResetError("the node takes nothing") from None


HANDSHAKE_FAULTS: Final[tuple[tuple[str, type[LoggingIn], str], ...]] = (
    ("addresses", ForgettingAddresses, ""),
    ("concurrent", KeepingTheInput, "25cd60d one connection is taken for another"),
    ("silent-alone", LockedHandshake, "9fab332 a lock is held while waiting"),
    ("owns-input", LeavingTheInputOpen, ""),
    ("outlives-call", EndingWithTheHandshake, "221144f x#117 ended with the limit of the call"),
    ("limits-cleared", KeepingTheLimit, "x tls: the handshake's deadline stayed set"),
    ("limits-cleared", KeepingTheLimitOfEachRead, ""),
    ("node-dies", ExpectingAGreeting, ""),
    ("refused", HandshakeRefusedAsReset, ""),
    ("malformed", HandshakeMalformedAsReset, ""),
    ("failure-frees", WatchingAfterFailure, ""),
    ("cancel-frees", WatchingAfterCancelling, ""),
    ("end-is-no-answer", TakingTheEndForAnAnswer, ""),
    ("secret-hidden", TellingThePassword, ""),
    ("any-connection", LoggingInBeneath, ""),
    ("again", SecuredOnce, ""),
    ("reads-whole", TakingUpACancelledRead, ""),
    ("refused", ResumingUnasked, ""),
    ("malformed", MalformedOnce, ""),
    ("concurrent", KeepingTheAnswer, ""),
    ("end-is-no-answer", SilenceAsWelcome, ""),
    ("cancel-frees", CancelledSendingAsReset, ""),
    ("cancellable", ReadingOn, ""),
    ("cancellable", CancelledHandshakeAsTimeout, "x ssh socks5: the caller's limit was not heard"),
)
