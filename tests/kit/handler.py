"""Trials of the contract of handlers, by a protocol of one line each way."""

import asyncio
import logging
import sys
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from ipaddress import ip_address
from typing import Any

from typing_extensions import Buffer

from gost_core.common.net import (
    Aborter,
    Addr,
    ClosedError,
    Closer,
    Conn,
    DeniedError,
    HalfCloser,
    ProtocolError,
)
from gost_core.context import Context
from gost_core.handler import Forwarder, HandleOption, Handler, Option, Options
from gost_core.hop import Hop
from gost_core.keys import CLIENT_ID
from gost_core.limiter import Option as LimiterOption
from gost_core.limiter.traffic import Limiter, TrafficLimiter
from gost_core.metadata import Metadata
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing.handler import HandlerContract
from tests.kit.trial import Trial

TIME_LIMIT = 1.5


class ClientGoneError(Exception):
    """The client went away, or broke off."""


class Client(Conn, HalfCloser):
    """A client's connection, whose failures are not the handler's."""

    def __init__(self, inner: Conn) -> None:
        self.inner = inner

    async def read(self, n: int, /) -> bytes:
        try:
            return await self.inner.read(n)
        except ConnectionError as error:
            raise ClientGoneError from error

    async def write(self, data: Buffer, /) -> None:
        try:
            await self.inner.write(data)
        except ConnectionError as error:
            raise ClientGoneError from error

    async def close_write(self) -> None:
        if isinstance(self.inner, HalfCloser):
            with suppress(ConnectionError):
                await self.inner.close_write()

    async def close(self) -> None:
        await self.inner.close()

    def local_addr(self) -> Addr:
        return self.inner.local_addr()

    def remote_addr(self) -> Addr:
        return self.inner.remote_addr()


class Hearing(Client):
    """Keeps what its client said first."""

    def __init__(self, inner: Conn) -> None:
        super().__init__(inner)
        self.data = bytearray()

    async def read(self, n: int, /) -> bytes:
        data = await super().read(n)
        self.data += data[: 100 - len(self.data)]
        return data


class Clock:
    """The clock of handlers that end what is idle."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ticked = asyncio.Event()

    async def elapse(self, seconds: float) -> None:
        self.now += seconds
        self.ticked.set()
        self.ticked = asyncio.Event()
        for _ in range(10):
            await asyncio.sleep(0)

    async def tick(self, work: "asyncio.Future[Any]") -> None:
        """Wait until time has passed, or ``work`` is done."""
        ticking = asyncio.ensure_future(self.ticked.wait())
        await asyncio.wait({work, ticking}, return_when=asyncio.FIRST_COMPLETED)
        ticking.cancel()


CLOCK = Clock()


class RightHandler(Handler, Forwarder, Closer):
    def __init__(self, *opts: Option | None) -> None:
        self.options = apply(Options(), *opts)
        self.hop: Hop | None = None
        self.ready = False
        self.closed = False

    def forward(self, hop: Hop | None, /) -> None:
        if self.ready:
            raise RuntimeError("it is initialized: forward() comes before")
        self.hop = hop

    async def init(self, metadata: Metadata | None, /) -> None:
        if self.ready:
            raise RuntimeError("it is initialized")
        if self.options.router is None:
            raise ValueError("router: this handler needs one")
        self.ready = True

    async def close(self) -> None:
        self.closed = True

    async def handle(self, ctx: Context, conn: Conn, /, *opts: HandleOption) -> None:
        try:
            if not self.ready:
                raise RuntimeError("init() comes first")
            await self.serve(ctx, Client(conn))
        except ClientGoneError:
            return
        except BaseException:
            self.break_off(conn)
            raise
        finally:
            await self.release(conn)

    def break_off(self, conn: Conn) -> None:
        """Tell the client that its stream has not ended in order."""
        if isinstance(conn, Aborter):
            conn.abort()

    async def release(self, conn: Conn) -> None:
        """Close the client's connection."""
        await conn.close()

    async def serve(self, ctx: Context, client: Conn) -> None:
        request = await read_line(client)
        if not request:
            return
        address, _, credentials = request.partition(" ")
        address = self.one_form(address)
        user, _, password = credentials.partition(" ")
        self.limit_requests(client)
        ctx = await self.authenticate(ctx, user, password)
        await self.check(ctx, address)
        target = await self.dial(ctx, await self.target(ctx, address))
        try:
            await client.write(b"OK\n")
            await self.exchange(ctx, client, target)
        finally:
            await self.release_target(target)

    def one_form(self, address: str) -> str:
        host, _, port = address.rpartition(":")
        host = host.lower().removesuffix(".")
        last = host.rpartition(".")[2]
        if last.isdigit() or last.startswith("0x"):
            ip_address(host)
        return f"{host}:{port}"

    def limit_requests(self, client: Conn) -> None:
        if self.options.rate_limiter is None:
            return
        host = self.host_of(str(client.remote_addr()))
        limiter = self.options.rate_limiter.limiter(host)
        if limiter is not None and not limiter.allow(1):
            raise DeniedError(f"{host} asks too often")

    def host_of(self, addr: str) -> str:
        return addr.rpartition(":")[0].strip("[]")

    async def authenticate(self, ctx: Context, user: str, password: str) -> Context:
        if self.options.auther is None:
            return ctx
        client_id = await self.options.auther.authenticate(ctx, user, password)
        if client_id is None:
            raise PermissionError("the credentials are wrong")
        return ctx.with_value(CLIENT_ID, client_id)

    async def check(self, ctx: Context, address: str) -> None:
        bypass = self.options.bypass
        if bypass is not None and await bypass.contains(ctx, "tcp", address):
            raise DeniedError(f"{address} is refused by rule")

    async def target(self, ctx: Context, address: str) -> str:
        if self.hop is None:
            return address
        node = await self.hop.select(ctx)
        if node is None:
            raise ConnectionRefusedError("there is no target")
        return node.addr

    async def dial(self, ctx: Context, address: str) -> Conn:
        assert self.options.router is not None
        return await self.options.router.dial(ctx, "tcp", address)

    async def release_target(self, target: Conn) -> None:
        await target.close()

    async def exchange(self, ctx: Context, client: Conn, target: Conn) -> None:
        limiter = self.options.limiter
        key = self.budget(client)
        up = None if limiter is None else await limiter.in_(ctx, key)
        down = None if limiter is None else await limiter.out(ctx, key)
        ways = [
            asyncio.ensure_future(self.copy(ctx, client, target, up)),
            asyncio.ensure_future(self.copy(ctx, target, client, down)),
        ]
        try:
            # The first failure ends the other direction too.
            await asyncio.gather(*ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)

    def budget(self, client: Conn) -> str:
        return str(client.remote_addr())

    async def copy(self, ctx: Context, source: Conn, sink: Conn, limiter: Limiter | None) -> None:
        while data := await source.read(65536):
            while data:
                n = len(data) if limiter is None else await limiter.wait(ctx, len(data))
                self.granted(n)
                await sink.write(data[:n])
                data = data[n:]
        await self.end(sink)

    def granted(self, n: int) -> None:
        if n == 0:
            raise PermissionError("the limit refuses the rest")

    async def end(self, sink: Conn) -> None:
        """End one direction."""
        if isinstance(sink, HalfCloser):
            await sink.close_write()
        else:
            await sink.close()
            raise ClientGoneError


async def read_line(conn: Conn) -> str:
    """Read up to the end of a line; "" if the stream ends before."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = await conn.read(1)
        if not byte:
            return ""
        line += byte
    return line.decode("latin-1").strip()


async def connect(conn: Conn, address: str) -> Conn:
    return await ask(conn, address)


async def login(conn: Conn, address: str, user: str, password: str) -> Conn:
    return await ask(conn, f"{address} {user} {password}")


async def ask(conn: Conn, request: str) -> Conn:
    await conn.write(f"{request}\n".encode())
    if await read_line(conn) != "OK":
        raise PermissionError("the handler refuses")
    return conn


MakeHandler = Callable[[*tuple[Option, ...]], Handler]


def run(make: MakeHandler) -> Contract:
    return HandlerContract(
        make, connect=connect, login=login, elapse=CLOCK.elapse, time_limit=TIME_LIMIT
    )


trial = Trial[MakeHandler](HandlerContract, run, RightHandler)


@trial.breaks("shape")
class WithoutHandleOptions(RightHandler):
    async def handle(self, ctx: Context, conn: Conn, /) -> None:  # type: ignore  # the fault
        await super().handle(ctx, conn)


@trial.breaks("constructed-without-loop")
class NeedingALoop(RightHandler):
    def __init__(self, *opts: Option | None) -> None:
        super().__init__(*opts)
        self.loop = asyncio.get_running_loop()


@trial.breaks("init-without-metadata", history="#372 a9d94e7 init() fails without metadata")
class NeedingMetadata(RightHandler):
    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        if metadata is not None and metadata.get("timeout") is None:
            raise ValueError("timeout: it is missing")


@trial.breaks("settings-unchanged")
class WritingDefaults(RightHandler):
    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        if metadata is not None and not metadata.is_exists("timeout"):
            metadata.set("timeout", 10)


@trial.breaks("init-without-options", history="#866 91920aa x#33 a missing option crashes")
class TrustingItsOptions(RightHandler):
    async def init(self, metadata: Metadata | None, /) -> None:
        self.options.router.options()  # type: ignore  # the fault
        await super().init(metadata)


@trial.breaks("init-once")
class InitAgain(RightHandler):
    async def init(self, metadata: Metadata | None, /) -> None:
        self.ready = False
        await super().init(metadata)


@trial.breaks("handle-before-init")
class HandlingUninitialized(RightHandler):
    async def handle(self, ctx: Context, conn: Conn, /, *opts: HandleOption) -> None:
        if self.ready:
            await super().handle(ctx, conn, *opts)
        else:
            await conn.close()


@trial.breaks("close-any-time", history="#779 007ff0b a65b7a0 a second close fails")
class ClosingOnce(RightHandler):
    async def close(self) -> None:
        if self.closed:
            raise RuntimeError("it is closed")
        await super().close()


@trial.breaks("router-stays-open")
class ClosingTheRouter(RightHandler):
    async def close(self) -> None:
        await super().close()
        if isinstance(self.options.router, Closer):
            await self.options.router.close()


@trial.breaks("client-gone", history="0ab5363 a vanished client is a failure")
class EndAsFailure(RightHandler):
    async def serve(self, ctx: Context, client: Conn) -> None:
        if self.closed:
            await super().serve(ctx, client)
            return
        watched = Watched(client)
        await super().serve(ctx, watched)
        if not watched.asked:
            raise EOFError("the client went away")


class Watched(Client):
    """Tells whether something came."""

    asked = False

    async def read(self, n: int, /) -> bytes:
        data = await self.inner.read(n)
        self.asked = self.asked or bool(data)
        return data

    async def write(self, data: Buffer, /) -> None:
        await self.inner.write(data)


@trial.breaks("client-reset", history="0ab5363 a client's reset is a failure")
class ResetAsFailure(RightHandler):
    async def serve(self, ctx: Context, client: Conn) -> None:
        try:
            await super().serve(ctx, client)
        except ClientGoneError as error:
            if isinstance(error.__cause__, ConnectionResetError):
                raise error.__cause__ from None
            raise


@trial.breaks("garbage")
class LeakingOnGarbage(RightHandler):
    garbage = False

    async def release(self, conn: Conn) -> None:
        if not self.garbage:
            await super().release(conn)

    async def serve(self, ctx: Context, client: Conn) -> None:
        self.garbage = False
        first = await client.read(1)
        self.garbage = first > b"\x7f"
        if first:
            await super().serve(ctx, Ahead(client, first))


class Ahead(Watched):
    """Has something that was read already."""

    def __init__(self, inner: Conn, first: bytes) -> None:
        super().__init__(inner)
        self.first = first

    async def read(self, n: int, /) -> bytes:
        first, self.first = self.first, b""
        return first or await super().read(n)


@trial.breaks("cancel-closes")
class ClosingUnlessCancelled(RightHandler):
    async def release(self, conn: Conn) -> None:
        task = asyncio.current_task()
        if task is None or not task.cancelling():
            await super().release(conn)


@trial.breaks("handle-after-close", history="7e31834 a handler that was closed keeps the client")
class LeakingAfterClose(RightHandler):
    async def release(self, conn: Conn) -> None:
        if not self.closed:
            await super().release(conn)


@trial.breaks("concurrent")
class OneAfterTheOther(RightHandler):
    def __init__(self, *opts: Option | None) -> None:
        super().__init__(*opts)
        self.lock = asyncio.Lock()

    async def serve(self, ctx: Context, client: Conn) -> None:
        async with self.lock:
            await super().serve(ctx, client)


@trial.breaks("dials-target", history="8fd5200 #877 the name is resolved too early")
class ResolvingEarly(RightHandler):
    async def dial(self, ctx: Context, address: str) -> Conn:
        return await super().dial(ctx, address.replace("target.example", "192.0.2.3"))


@trial.breaks("context-handed-on")
class ForgettingTheContext(RightHandler):
    async def dial(self, ctx: Context, address: str) -> Conn:
        client_id = ctx.value(CLIENT_ID)
        own = Context()
        return await super().dial(
            own if client_id is None else own.with_value(CLIENT_ID, client_id), address
        )


@trial.breaks("context-handed-on")
class DialingForTheFirst(RightHandler):
    first: Context | None = None

    async def dial(self, ctx: Context, address: str) -> Conn:
        self.first = self.first or ctx
        return await super().dial(self.first, address)


@trial.breaks("context-handed-on")
class JudgingWithoutTheValues(RightHandler):
    async def check(self, ctx: Context, address: str) -> None:
        await super().check(Context(), address)


@trial.breaks("context-handed-on")
class AuthenticatingWithoutTheValues(RightHandler):
    async def authenticate(self, ctx: Context, user: str, password: str) -> Context:
        client_id = (await super().authenticate(Context(), user, password)).value(CLIENT_ID)
        return ctx if client_id is None else ctx.with_value(CLIENT_ID, client_id)


@trial.breaks("carries", history="25cd60d #896 a buffer is used again too early")
class CuttingTheRest(RightHandler):
    async def copy(self, ctx: Context, source: Conn, sink: Conn, limiter: Limiter | None) -> None:
        await super().copy(ctx, Capped(source, 100_000), sink, limiter)


class Capped(Watched):
    """Ends after so many bytes."""

    def __init__(self, inner: Conn, most: int) -> None:
        super().__init__(inner)
        self.left = most

    async def read(self, n: int, /) -> bytes:
        data = await super().read(min(n, self.left)) if self.left else b""
        self.left -= len(data)
        return data


@trial.breaks("carries")
class OneBuffer(RightHandler):
    """Copies both ways through one buffer."""

    async def exchange(self, ctx: Context, client: Conn, target: Conn) -> None:
        buffer = memoryview(bytearray(65536))
        ends = Buffered(client, buffer), Buffered(target, buffer)
        await super().exchange(ctx, *ends)


class Buffered(Client):
    """Reads into a buffer, and writes from there."""

    def __init__(self, inner: Conn, buffer: memoryview) -> None:
        super().__init__(inner)
        self.buffer = buffer

    async def read(self, n: int, /) -> bytes:
        data = await self.inner.read(n)
        self.buffer[: len(data)] = data
        return data

    async def write(self, data: Buffer, /) -> None:
        await self.inner.write(self.buffer[: memoryview(data).nbytes])


class ClosingEarly(RightHandler):
    """Closes a connection when one direction has ended."""

    async def exchange(self, ctx: Context, client: Conn, target: Conn) -> None:
        with suppress(ClosedError):
            await super().exchange(ctx, client, target)


@trial.breaks("client-half-closes", history="d189dc7 db21de8 the answer is cut")
class ClosingAtTheRequestsEnd(ClosingEarly):
    async def end(self, sink: Conn) -> None:
        if isinstance(sink, Client):
            await super().end(sink)
        else:
            await sink.close()


@trial.breaks("target-half-closes", history="db21de8 the request is cut")
class ClosingAtTheAnswersEnd(ClosingEarly):
    async def end(self, sink: Conn) -> None:
        if isinstance(sink, Client):
            await sink.close()
        else:
            await super().end(sink)


@trial.breaks("one-way", history="722dde5 1801451 a silent side ends a one-way transfer")
class EndingTheIdle(RightHandler):
    async def copy(self, ctx: Context, source: Conn, sink: Conn, limiter: Limiter | None) -> None:
        await super().copy(ctx, EndingWhenIdle(source), sink, limiter)


@trial.breaks("one-way")
class HastyOnceOneHasEnded(RightHandler):
    """Ends the exchange 30 s after the end of one direction."""

    async def exchange(self, ctx: Context, client: Conn, target: Conn) -> None:
        if self.options.limiter is not None:
            await super().exchange(ctx, client, target)
            return
        up = asyncio.ensure_future(self.copy(ctx, client, target, None))
        down = asyncio.ensure_future(self.copy(ctx, target, client, None))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            both, ended = asyncio.gather(up, down), CLOCK.now
            while not both.done() and CLOCK.now < ended + 30:
                await CLOCK.tick(both)
            if both.done():
                both.result()
        finally:
            up.cancel()
            down.cancel()
            await asyncio.wait({up, down})


class EndingWhenIdle(Watched):
    """Ends the stream when nothing comes for 15 s."""

    async def read(self, n: int, /) -> bytes:
        began = CLOCK.now
        reading = asyncio.ensure_future(super().read(n))
        try:
            while not reading.done():
                await CLOCK.tick(reading)
                if not reading.done() and CLOCK.now - began >= 15:
                    raise TimeoutError("nothing came for 15 s")
            return reading.result()
        finally:
            reading.cancel()


@trial.breaks("exchange-ends")
class FailingAtTheEnd(RightHandler):
    async def exchange(self, ctx: Context, client: Conn, target: Conn) -> None:
        await super().exchange(ctx, client, target)
        raise EOFError("the exchange is over")


@trial.breaks("client-gone-later", history="0ab5363 a vanished client is a failure")
class BrokenPipeAsFailure(RightHandler):
    async def exchange(self, ctx: Context, client: Conn, target: Conn) -> None:
        try:
            await super().exchange(ctx, client, target)
        except ClientGoneError as error:
            raise BrokenPipeError("the client takes no more") from error


@trial.breaks("cancel-closes-target")
class LeavingTheTargetWhenCancelled(RightHandler):
    async def release_target(self, target: Conn) -> None:
        task = asyncio.current_task()
        if task is None or not task.cancelling():
            await super().release_target(target)


@trial.breaks("target-unreachable", history="569572d leak after a failed dial")
class LeakingWhenRefused(RightHandler):
    refused = False

    async def dial(self, ctx: Context, address: str) -> Conn:
        try:
            return await super().dial(ctx, address)
        except ConnectionRefusedError:
            self.refused = True
            raise

    async def release(self, conn: Conn) -> None:
        if not self.refused:
            await super().release(conn)


@trial.breaks("traffic-limited", history="x#73 #658 d610e2d a handler's limiter has no effect")
class LimitingOneDirection(RightHandler):
    async def copy(self, ctx: Context, source: Conn, sink: Conn, limiter: Limiter | None) -> None:
        await super().copy(ctx, source, sink, limiter if isinstance(sink, Client) else None)


@trial.breaks("traffic-limited")
class LimitingOneAtATime(RightHandler):
    """Asks for the bytes of one direction at a time."""

    lock: asyncio.Lock | None = None

    async def copy(self, ctx: Context, source: Conn, sink: Conn, limiter: Limiter | None) -> None:
        self.lock = self.lock or asyncio.Lock()
        while data := await source.read(65536):
            while data:
                async with self.lock:
                    n = len(data) if limiter is None else await limiter.wait(ctx, len(data))
                self.granted(n)
                await sink.write(data[:n])
                data = data[n:]
        await self.end(sink)


class _Unlimited(Limiter):
    async def wait(self, ctx: Context, n: int, /) -> int:
        return n

    def limit(self) -> int:
        return 0

    def set(self, n: int, /) -> None: ...


class _FailingOpen(TrafficLimiter):
    def __init__(self, inner: TrafficLimiter) -> None:
        self.inner = inner

    async def in_(self, ctx: Context, key: str, /, *opts: LimiterOption) -> Limiter | None:
        with suppress(OSError):
            return await self.inner.in_(ctx, key, *opts)
        return _Unlimited()

    async def out(self, ctx: Context, key: str, /, *opts: LimiterOption) -> Limiter | None:
        with suppress(OSError):
            return await self.inner.out(ctx, key, *opts)
        return _Unlimited()


@trial.breaks("traffic-refused")
class UnlimitedWhenItCannotAsk(RightHandler):
    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        if self.options.limiter is not None:
            self.options.limiter = _FailingOpen(self.options.limiter)


@trial.breaks("traffic-refused", history="e9372ea an endless loop where the limiter grants 0")
class AskingAgain(RightHandler):
    def granted(self, n: int) -> None:
        pass


@trial.breaks("rate-limited")
class CountingNoRequests(RightHandler):
    def limit_requests(self, client: Conn) -> None:
        with suppress(PermissionError):
            super().limit_requests(client)


@trial.breaks("rate-limiter-broken")
class RateLimiterFailsOpen(RightHandler):
    def limit_requests(self, client: Conn) -> None:
        try:
            super().limit_requests(client)
        except PermissionError:
            raise
        except OSError:
            return


@trial.breaks("bypass-refuses", history="fe394a8 #899 a32ffd5 #874 what the bypass is asked")
class AskingByNumbers(RightHandler):
    async def check(self, ctx: Context, address: str) -> None:
        await super().check(ctx, address.replace("target.example", "192.0.2.3"))


@trial.breaks("bypass-broken", history="54ca916 a bypass that is out of reach lets through")
class BypassFailsOpen(RightHandler):
    async def check(self, ctx: Context, address: str) -> None:
        try:
            await super().check(ctx, address)
        except PermissionError:
            raise
        except OSError:
            return


@trial.breaks("auther-decides")
class LettingEverybodyIn(RightHandler):
    async def authenticate(self, ctx: Context, user: str, password: str) -> Context:
        with suppress(PermissionError):
            return await super().authenticate(ctx, user, password)
        return ctx


@trial.breaks("passwords-hidden")
class TellingWhatWasTried(RightHandler):
    async def authenticate(self, ctx: Context, user: str, password: str) -> Context:
        try:
            return await super().authenticate(ctx, user, password)
        except PermissionError as error:
            raise PermissionError(f"the credentials {user}:{password} are wrong") from error


@trial.breaks("passwords-hidden")
class LoggingWhoComes(RightHandler):
    async def authenticate(self, ctx: Context, user: str, password: str) -> Context:
        if password:
            basic = b64encode(f"{user}:{password}".encode()).decode()
            logging.getLogger("handler").debug("Proxy-Authorization: Basic %s", basic)
        return await super().authenticate(ctx, user, password)


@trial.breaks("passwords-hidden")
class QuotingHalfARequest(RightHandler):
    async def serve(self, ctx: Context, client: Conn) -> None:
        heard = Hearing(client)
        await super().serve(ctx, heard)
        if heard.data and not heard.data.endswith(b"\n"):
            raise ProtocolError(f"the request ended in the middle: {bytes(heard.data)!r}")


@trial.breaks("auther-empty-id")
class EmptyIdIsNone(RightHandler):
    async def authenticate(self, ctx: Context, user: str, password: str) -> Context:
        ctx = await super().authenticate(ctx, user, password)
        if ctx.value(CLIENT_ID) == "":
            raise PermissionError("the credentials are wrong")
        return ctx


@trial.breaks("auther-broken", history="x registry: auth is open while it is registered again")
class AutherFailsOpen(RightHandler):
    async def authenticate(self, ctx: Context, user: str, password: str) -> Context:
        try:
            return await super().authenticate(ctx, user, password)
        except PermissionError:
            raise
        except OSError:
            return ctx


@trial.breaks("client-id")
class UserAsId(RightHandler):
    async def authenticate(self, ctx: Context, user: str, password: str) -> Context:
        ctx = await super().authenticate(ctx, user, password)
        return ctx if self.options.auther is None else ctx.with_value(CLIENT_ID, user)


@trial.breaks("forward-none")
class NeedingAHop(RightHandler):
    told = False

    def forward(self, hop: Hop | None, /) -> None:
        super().forward(hop)
        self.told = True

    async def init(self, metadata: Metadata | None, /) -> None:
        if self.told and self.hop is None:
            raise ValueError("there is no hop to forward to")
        await super().init(metadata)


@trial.breaks("forward-late")
class ForwardingLater(RightHandler):
    def forward(self, hop: Hop | None, /) -> None:
        self.hop = hop


@trial.breaks("forward-target")
class IgnoringTheHop(RightHandler):
    async def target(self, ctx: Context, address: str) -> str:
        return address


@trial.breaks("forward-no-target", history="x local forward: dials :0 where there is no node")
class DialingNothing(RightHandler):
    async def target(self, ctx: Context, address: str) -> str:
        try:
            return await super().target(ctx, address)
        except ConnectionRefusedError:
            return ":0"


@trial.breaks("forward-broken-hop", history="x hop plugin: an error of the hop goes direct")
class HopFailsOpen(RightHandler):
    async def target(self, ctx: Context, address: str) -> str:
        try:
            return await super().target(ctx, address)
        except PermissionError:
            return address


@trial.breaks("hop-stays-open", history="3cd4fad a hop that is only lent is closed")
class ClosingTheHop(RightHandler):
    async def close(self) -> None:
        await super().close()
        if isinstance(self.hop, Closer):
            await self.hop.close()


@trial.breaks("auther-needed")
class AskingOnlyWhoLogsIn(RightHandler):
    async def authenticate(self, ctx: Context, user: str, password: str) -> Context:
        return await super().authenticate(ctx, user, password) if user else ctx


@trial.breaks("auther-needed", history="ea3ca94 rules are asked before the credentials")
class JudgingFirst(RightHandler):
    async def authenticate(self, ctx: Context, user: str, password: str) -> Context:
        if not user:
            await self.check(ctx, "target.example:80")
        return await super().authenticate(ctx, user, password)


@trial.breaks("rate-first")
class LoginFirst(RightHandler):
    def limit_requests(self, client: Conn) -> None:
        if self.options.auther is None:
            super().limit_requests(client)


@trial.breaks("rate-first")
class LimitingByAddress(RightHandler):
    def limit_requests(self, client: Conn) -> None:
        if self.options.rate_limiter is not None and self.options.auther is not None:
            self.options.rate_limiter.limiter(str(client.remote_addr()))
        super().limit_requests(client)


@trial.breaks("denied")
class SwallowingRefusals(RightHandler):
    async def handle(self, ctx: Context, conn: Conn, /, *opts: HandleOption) -> None:
        with suppress(DeniedError):
            await super().handle(ctx, conn, *opts)


@trial.breaks("denied")
class RefusingWithinAGroup(RightHandler):
    async def handle(self, ctx: Context, conn: Conn, /, *opts: HandleOption) -> None:
        try:
            await super().handle(ctx, conn, *opts)
        except DeniedError as error:
            raise ExceptionGroup("refused", [error]) from error


@trial.breaks("told-truly", history="1d34d45 39580f0 success is told before the target is reached")
class TellingEarly(RightHandler):
    async def dial(self, ctx: Context, address: str) -> Conn:
        dialing = asyncio.ensure_future(super().dial(ctx, address))
        await asyncio.sleep(0)
        return Dialing(dialing)


class Dialing(Conn, HalfCloser):
    """A connection that is still being made."""

    def __init__(self, dialing: "asyncio.Future[Conn]") -> None:
        self.dialing = dialing

    async def read(self, n: int, /) -> bytes:
        return await (await self.dialing).read(n)

    async def write(self, data: Buffer, /) -> None:
        await (await self.dialing).write(data)

    async def close_write(self) -> None:
        inner = await self.dialing
        if isinstance(inner, HalfCloser):
            await inner.close_write()
        else:
            await inner.close()
            raise ClientGoneError

    async def close(self) -> None:
        self.dialing.cancel()
        with suppress(asyncio.CancelledError, OSError):
            await (await self.dialing).close()

    def local_addr(self) -> Addr:
        return self.dialing.result().local_addr()

    def remote_addr(self) -> Addr:
        return self.dialing.result().remote_addr()


@trial.breaks("names-one-form")
class NamesAsWritten(RightHandler):
    def one_form(self, address: str) -> str:
        super().one_form(address)
        return address


@trial.breaks("names-one-form")
class NumbersAsNames(RightHandler):
    def one_form(self, address: str) -> str:
        return address.lower().replace(".:", ":")


@trial.breaks("cut-shown", history="x relay: a reset becomes an end")
class ClosingAfterABreak(RightHandler):
    def break_off(self, conn: Conn) -> None:
        pass


@trial.breaks("closed-whole")
class DoingNothing(RightHandler):
    async def end(self, sink: Conn) -> None:
        if isinstance(sink, HalfCloser):
            await sink.close_write()


@trial.breaks("clients-apart")
class KeepingTheTarget(RightHandler):
    async def target(self, ctx: Context, address: str) -> str:
        self.address = await super().target(ctx, address)
        await asyncio.sleep(0)
        return self.address


@trial.breaks("bypass-refuses")
class VerdictOnTheHandler(RightHandler):
    refused = False

    async def check(self, ctx: Context, address: str) -> None:
        self.refused = False
        try:
            await super().check(ctx, address)
        except DeniedError:
            self.refused = True
        # Whatever comes next, such as a line of a log.
        await asyncio.sleep(0)
        if self.refused:
            raise DeniedError(f"{address} is refused by rule")


@trial.breaks("logins-apart")
class UserOnTheHandler(RightHandler):
    is_known = False

    async def authenticate(self, ctx: Context, user: str, password: str) -> Context:
        known = ctx
        try:
            known = await super().authenticate(ctx, user, password)
            self.is_known = True
        except PermissionError:
            self.is_known = False
        await asyncio.sleep(0)
        if not self.is_known:
            raise PermissionError("the credentials are wrong")
        return known


@trial.breaks("context-handed-on")
class ContextOnTheHandler(RightHandler):
    async def serve(self, ctx: Context, client: Conn) -> None:
        self.ctx = ctx
        await super().serve(ctx, client)

    async def dial(self, ctx: Context, address: str) -> Conn:
        return await super().dial(ctx if self.options.auther else self.ctx, address)


@trial.breaks("traffic-limited")
class LimitingByHost(RightHandler):
    async def exchange(self, ctx: Context, client: Conn, target: Conn) -> None:
        if self.options.limiter is not None:
            await self.options.limiter.in_(ctx, str(client.remote_addr()).rpartition(":")[0])
        await super().exchange(ctx, client, target)


@trial.breaks("traffic-limited")
class DroppingTheRest(RightHandler):
    """Passes on what is granted of each read."""

    async def copy(self, ctx: Context, source: Conn, sink: Conn, limiter: Limiter | None) -> None:
        while data := await source.read(65536):
            n = len(data) if limiter is None else await limiter.wait(ctx, len(data))
            self.granted(n)
            await sink.write(data[:n])
        await self.end(sink)


@trial.breaks("cancel-closes-target")
class ShieldingTheDial(RightHandler):
    async def dial(self, ctx: Context, address: str) -> Conn:
        return await asyncio.shield(asyncio.ensure_future(super().dial(ctx, address)))


@trial.breaks("auther-decides")
class OneLoginAtATime(RightHandler):
    lock: asyncio.Lock | None = None

    async def authenticate(self, ctx: Context, user: str, password: str) -> Context:
        self.lock = self.lock or asyncio.Lock()
        async with self.lock:
            return await super().authenticate(ctx, user, password)


@trial.breaks("bypass-broken")
class BypassFailsOpenForSome(RightHandler):
    async def check(self, ctx: Context, address: str) -> None:
        with suppress(ConnectionError, TimeoutError):
            await super().check(ctx, address)


@trial.breaks("auther-broken")
class AutherFailsOpenForSome(RightHandler):
    async def authenticate(self, ctx: Context, user: str, password: str) -> Context:
        try:
            return await super().authenticate(ctx, user, password)
        except (LookupError, TimeoutError):
            return ctx


@trial.breaks("forward-broken-hop")
class HopFailsOpenForSome(RightHandler):
    async def target(self, ctx: Context, address: str) -> str:
        try:
            return await super().target(ctx, address)
        except TimeoutError:
            return address


@trial.breaks("rate-limiter-broken")
class RateLimiterFailsOpenForSome(RightHandler):
    def limit_requests(self, client: Conn) -> None:
        with suppress(ConnectionResetError):
            super().limit_requests(client)


@trial.breaks("bypass-refuses")
class JudgingANameOnce(RightHandler):
    def __init__(self, *opts: Option | None) -> None:
        super().__init__(*opts)
        self.passed = set[str]()

    async def check(self, ctx: Context, address: str) -> None:
        if address not in self.passed:
            await super().check(ctx, address)
        self.passed.add(address)


@trial.breaks("rate-limited")
class CountingAClientOnce(RightHandler):
    def __init__(self, *opts: Option | None) -> None:
        super().__init__(*opts)
        self.passed = set[str]()

    def limit_requests(self, client: Conn) -> None:
        host = str(client.remote_addr()).rpartition(":")[0]
        if host not in self.passed:
            super().limit_requests(client)
        self.passed.add(host)


@trial.breaks("rate-limited")
class SpendingTwice(RightHandler):
    def limit_requests(self, client: Conn) -> None:
        super().limit_requests(client)
        super().limit_requests(client)


@trial.breaks("forward-target")
class ChoosingOnce(RightHandler):
    chosen = ""

    async def target(self, ctx: Context, address: str) -> str:
        if self.hop is None:
            return address
        self.chosen = self.chosen or await super().target(ctx, address)
        return self.chosen


@trial.breaks("clients-apart")
class LimitingTheLatest(RightHandler):
    """Has the traffic of all drawn from the budget of the client that came last."""

    latest = ""

    async def serve(self, ctx: Context, client: Conn) -> None:
        self.latest = super().budget(client)
        await super().serve(ctx, client)

    def budget(self, client: Conn) -> str:
        return self.latest


@trial.breaks("clients-apart")
class DialingForAFew(RightHandler):
    """Dials for a few clients at a time."""

    dialing: asyncio.Semaphore | None = None

    async def dial(self, ctx: Context, address: str) -> Conn:
        self.dialing = self.dialing or asyncio.Semaphore(64)
        async with self.dialing:
            return await super().dial(ctx, address)


@trial.breaks("clients-apart")
class DialingOnePort(RightHandler):
    async def dial(self, ctx: Context, address: str) -> Conn:
        host, _, _ = address.rpartition(":")
        return await super().dial(ctx, address if self.hop else f"{host}:80")


@trial.breaks("denied")
class LeavingTheRefused(RightHandler):
    async def handle(self, ctx: Context, conn: Conn, /, *opts: HandleOption) -> None:
        self.denies = False
        await super().handle(ctx, conn, *opts)

    async def check(self, ctx: Context, address: str) -> None:
        try:
            await super().check(ctx, address)
        except DeniedError:
            self.denies = True
            raise

    def break_off(self, conn: Conn) -> None:
        if not self.denies:
            super().break_off(conn)

    async def release(self, conn: Conn) -> None:
        if not self.denies:
            await super().release(conn)


@trial.breaks("target-unreachable")
class LeavingTheSlow(RightHandler):
    async def release(self, conn: Conn) -> None:
        if not isinstance(sys.exc_info()[1], TimeoutError):
            await super().release(conn)


@trial.breaks("client-gone-later")
class LeavingTheTargetOfTheGone(RightHandler):
    async def exchange(self, ctx: Context, client: Conn, target: Conn) -> None:
        self.reached = True
        await super().exchange(ctx, client, target)

    async def release_target(self, target: Conn) -> None:
        if self.reached:
            await super().release_target(target)

    async def dial(self, ctx: Context, address: str) -> Conn:
        self.reached = False
        return await super().dial(ctx, address)


@trial.breaks("handle-after-close")
class KeepingTheSecondAfterClose(RightHandler):
    late = 0

    async def release(self, conn: Conn) -> None:
        self.late += self.closed
        if self.late < 2:
            await super().release(conn)


@trial.breaks("close-any-time")
class EndingItsWorkTwice(RightHandler):
    work: asyncio.Task[object] | None = None

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        self.work = asyncio.create_task(asyncio.Event().wait())

    async def close(self) -> None:
        await super().close()
        if self.work is not None:
            self.work.cancel()
            await asyncio.wait({self.work})
            del self.work


@trial.breaks("init-without-options")
class UnclosableWhereInitFailed(RightHandler):
    failed = False

    async def init(self, metadata: Metadata | None, /) -> None:
        self.failed = True
        await super().init(metadata)
        self.failed = False

    async def close(self) -> None:
        if self.failed:
            raise RuntimeError("init() has failed")
        await super().close()


@trial.breaks("close-inside-handle", history="7e31834 a handler that is closed locks itself up")
class ClosingAfterItsClients(RightHandler):
    def __init__(self, *opts: Option | None) -> None:
        super().__init__(*opts)
        self.handling = set[asyncio.Future[None]]()

    async def handle(self, ctx: Context, conn: Conn, /, *opts: HandleOption) -> None:
        done = asyncio.get_running_loop().create_future()
        self.handling.add(done)
        try:
            await super().handle(ctx, conn, *opts)
        finally:
            self.handling.discard(done)
            done.set_result(None)

    async def close(self) -> None:
        await super().close()
        await asyncio.gather(*self.handling)


@trial.breaks("nothing-left")
class KeepingTheLastClient(RightHandler):
    """Keeps the connection of the last client, for a status page."""

    last: Conn | None = None

    async def handle(self, ctx: Context, conn: Conn, /, *opts: HandleOption) -> None:
        self.last = conn
        await super().handle(ctx, conn, *opts)


@trial.breaks("nothing-left")
class KeepingContexts(RightHandler):
    """Keeps who came, for a status page."""

    def __init__(self, *opts: Option | None) -> None:
        super().__init__(*opts)
        self.seen: list[Context] = []

    async def dial(self, ctx: Context, address: str) -> Conn:
        self.seen.append(ctx)
        return await super().dial(ctx, address)


@trial.breaks("nothing-left")
class WatchingOn(RightHandler):
    def __init__(self, *opts: Option | None) -> None:
        super().__init__(*opts)
        self.watching = set[asyncio.Task[object]]()

    async def dial(self, ctx: Context, address: str) -> Conn:
        watching = asyncio.create_task(asyncio.Event().wait())
        self.watching.add(watching)
        target = await super().dial(ctx, address)
        watching.cancel()
        return target


@trial.breaks("nothing-left")
class KeepingPlacesOfTheFailed(RightHandler):
    places = 10

    async def serve(self, ctx: Context, client: Conn) -> None:
        if not self.places:
            raise ConnectionRefusedError("there is no place")
        self.places -= 1
        await super().serve(ctx, client)
        self.places += 1


@trial.breaks("both-ended")
class LeavingTheOtherDirection(RightHandler):
    async def exchange(self, ctx: Context, client: Conn, target: Conn) -> None:
        limiter = self.options.limiter
        if limiter is None:
            return await super().exchange(ctx, client, target)
        key = str(client.remote_addr())
        up, down = await limiter.in_(ctx, key), await limiter.out(ctx, key)
        await asyncio.gather(
            self.copy(ctx, client, target, up), self.copy(ctx, target, client, down)
        )


@trial.breaks("auther-decides")
class AuthenticatingOnce(RightHandler):
    known: str | None = None

    async def authenticate(self, ctx: Context, user: str, password: str) -> Context:
        if user and self.known is None:
            self.known = (await super().authenticate(ctx, user, password)).value(CLIENT_ID)
        if self.known is None:
            return await super().authenticate(ctx, user, password)
        return ctx.with_value(CLIENT_ID, self.known)


@trial.breaks("addresses-dialed")
class LosingBrackets(RightHandler):
    def one_form(self, address: str) -> str:
        return super().one_form(address).replace("[", "").replace("]", "")


@trial.breaks("addresses-dialed")
class CuttingAtTheFirstColon(RightHandler):
    def one_form(self, address: str) -> str:
        host, port = super().one_form(address).split(":")
        return f"{host}:{port}"


@trial.breaks("half-request")
class TakingWhatCame(RightHandler):
    """Takes the end of the stream for the end of the request."""

    async def serve(self, ctx: Context, client: Conn) -> None:
        await super().serve(ctx, EndingLines(client))


class EndingLines(Watched):
    """Ends a line that was begun, up to the answer."""

    answered = False

    async def read(self, n: int, /) -> bytes:
        return await super().read(n) or b"\n" * (self.asked and not self.answered)

    async def write(self, data: Buffer, /) -> None:
        self.answered = True
        await super().write(data)


@trial.breaks("traffic-in-hand")
class ReservingAhead(RightHandler):
    """Asks for a whole buffer, and reads as much as is granted."""

    async def copy(self, ctx: Context, source: Conn, sink: Conn, limiter: Limiter | None) -> None:
        while True:
            n = 65536 if limiter is None else await limiter.wait(ctx, 65536)
            self.granted(n)
            if not (data := await source.read(n)):
                break
            await sink.write(data)
        await self.end(sink)


@trial.breaks("cut-shown")
class GatheringWrites(RightHandler):
    """Writes what came within a while, and forgets it if the source breaks off."""

    async def copy(self, ctx: Context, source: Conn, sink: Conn, limiter: Limiter | None) -> None:
        if limiter is None and isinstance(sink, Client):
            source = Gathering(source)
        await super().copy(ctx, source, sink, limiter)


class Gathering(Watched):
    """Reads until nothing comes for a while."""

    ended = False

    async def read(self, n: int, /) -> bytes:
        gathered = b"" if self.ended else await super().read(n)
        while gathered and not self.ended and len(gathered) < n:
            reading = asyncio.ensure_future(super().read(n - len(gathered)))
            try:
                await asyncio.wait({reading}, timeout=1.0)
                if not reading.done():
                    break
                piece = reading.result()
                gathered, self.ended = gathered + piece, not piece
            finally:
                reading.cancel()
        return gathered


@trial.breaks("close-inside-handle")
class WaitingForOtherClients(RightHandler):
    def __init__(self, *opts: Option | None) -> None:
        super().__init__(*opts)
        self.handling = set["asyncio.Task[Any]"]()

    async def handle(self, ctx: Context, conn: Conn, /, *opts: HandleOption) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.handling.add(task)
        try:
            await super().handle(ctx, conn, *opts)
        finally:
            self.handling.discard(task)

    async def close(self) -> None:
        await super().close()
        if others := self.handling - {asyncio.current_task()}:
            await asyncio.wait(others)


ASKED: ContextVar[str] = ContextVar("ASKED")


@trial.breaks("forward-no-other")
class FallingBackToTheRequest(RightHandler):
    async def target(self, ctx: Context, address: str) -> str:
        ASKED.set(address)
        return await super().target(ctx, address)

    async def dial(self, ctx: Context, address: str) -> Conn:
        try:
            return await super().dial(ctx, address)
        except ConnectionRefusedError:
            if self.hop is None:
                raise
            return await super().dial(ctx, ASKED.get())


trials = (trial,)


@trial.breaks("traffic-refused")
class AskingBetweenDialAndRelay(RightHandler):
    """Asks the traffic limiter where no failure closes the target yet."""

    has_failed = False

    async def exchange(self, ctx: Context, client: Conn, target: Conn) -> None:
        if self.options.limiter is not None:
            try:
                await self.options.limiter.in_(ctx, str(client.remote_addr()))
            except OSError:
                self.has_failed = True
                raise
        await super().exchange(ctx, client, target)

    async def release_target(self, target: Conn) -> None:
        if not self.has_failed:
            await super().release_target(target)


@trial.breaks("traffic-refused")
class LeavingTheTargetOfTheRefused(RightHandler):
    is_refused = False

    def granted(self, n: int) -> None:
        self.is_refused = n == 0
        super().granted(n)

    async def release_target(self, target: Conn) -> None:
        if not self.is_refused:
            await super().release_target(target)


@trial.breaks("cancel-closes-target")
class ClosingOnlyAfterFailures(RightHandler):
    """Forgets that a lookup between the dial and the relay can be cancelled too."""

    is_asking = False

    async def exchange(self, ctx: Context, client: Conn, target: Conn) -> None:
        if self.options.limiter is not None:
            self.is_asking = True
            with suppress(OSError):
                await self.options.limiter.in_(ctx, str(client.remote_addr()))
            self.is_asking = False
        await super().exchange(ctx, client, target)

    async def release_target(self, target: Conn) -> None:
        if not self.is_asking:
            await super().release_target(target)


@trial.breaks("rate-first")
class LeavingTheBrackets(RightHandler):
    def host_of(self, addr: str) -> str:
        return addr.rpartition(":")[0]


@trial.breaks("rate-first")
class LimitingIPv6AsOne(RightHandler):
    """Has one limit for most clients with an IPv6 address."""

    def host_of(self, addr: str) -> str:
        return addr.partition(":")[0]


@trial.breaks("bypass-broken")
class PassingTheMalformed(RightHandler):
    async def check(self, ctx: Context, address: str) -> None:
        with suppress(ValueError):
            await super().check(ctx, address)


@trial.breaks("forward-broken-hop")
class DirectWhereMalformed(RightHandler):
    async def target(self, ctx: Context, address: str) -> str:
        try:
            return await super().target(ctx, address)
        except ValueError:
            return address
