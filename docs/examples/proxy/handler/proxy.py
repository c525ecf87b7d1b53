"""What the handlers of all proxy protocols do alike."""

import asyncio
import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from gost_core import handler
from gost_core.auth import with_service
from gost_core.bypass import with_host_option
from gost_core.common.net import Aborter, Conn, DeniedError, HalfCloser
from gost_core.context import Context
from gost_core.keys import CLIENT_ID, SESSION_ID, SOURCE_ADDRESS
from gost_core.limiter import SCOPE_CLIENT
from gost_core.logger import default
from gost_core.metadata import Metadata
from gost_core.options import apply

from ..auth import patience
from ..chain.router import names_of_route
from ..component import Component, refuse_options
from ..limiter.bucket import Bucket, Budgets
from ..limiter.limited import limit_traffic
from ..limiter.rate import take_request
from ..logger import with_notes
from ..metadata import number
from ..net.address import host_of
from ..net.dialer import RULE
from ..net.newcomers import Newcomers
from ..net.relay import SOME, ClientGoneError, Traffic, break_off, of_client, relay, while_active

T = TypeVar("T")
Refusals = Sequence[tuple[type[Exception], bytes]]

GREETING_LIMIT = 30.0  # seconds for a client to say what it wants


class RefusedError(Exception):
    """The client will not be served: ``reply`` tells it so, the message tells the log."""

    def __init__(self, message: str, reply: bytes) -> None:
        super().__init__(message)
        self.reply = reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client wants, and how to go on with it."""

    target: str
    """"" with ``udp``: each datagram has its own."""
    network: str = "tcp"
    client: Conn
    """The client's connection; it still holds what was read too far."""
    client_id: str = ""
    reply: bytes = b""
    """For the client, once the target is reached."""


class ProxyHandler(Component, handler.Handler):
    """Learns from the client where it wants to go, goes there, and copies.

    A protocol adds how it learns that, ``negotiate``, and how it says no, ``refusals``.
    """

    too_often: bytes = b""
    """The reply for a host that has failed to log in too often."""
    refusals: Refusals
    """The replies for targets that were not reached, by why not; the first that fits holds."""

    def __init__(self, *opts: handler.Option) -> None:
        super().__init__()
        self._options = apply(handler.Options(), *opts)
        self._logger = self._options.logger or default()
        self.auther = self._options.auther
        self._newcomers = Newcomers()
        self._patience = Budgets[str, Bucket]()  # with hosts that have failed to log in

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        refuse_options(self._options, "observer", "recorders", "auth", "tls_config")
        refuse_options(self._options, "netns", "cache")
        if self._options.router is None:
            raise ValueError(f"{type(self).__name__} needs the option 'router'")
        self._router = self._options.router
        self._idle = number(metadata, "idleTimeout", 0)

    @abstractmethod
    async def negotiate(self, ctx: Context, conn: Conn, /) -> Request:
        """Let the client say what it wants; a RefusedError holds the reply to what cannot be.

        It counts the request as soon as it can answer, and asks who the client is after that.
        """

    def refusal(self, error: Exception) -> bytes:
        """Return the reply for a target that was not reached."""
        return next(reply for kind, reply in self.refusals if isinstance(error, kind))

    def carry(
        self, ctx: Context, request: Request, client: Conn, target: Conn, traffic: Traffic
    ) -> Awaitable[None]:
        """Give the client its reply, and copy until both are done; a protocol may add a way.

        Like ``serve`` no coroutine itself: each would keep a frame as long as the client stays.
        """
        return _reply_and_relay(request, client, target, traffic)

    async def handle(self, ctx: Context, conn: Conn, /, *opts: handler.HandleOption) -> None:
        try:  # the connection is ours from here on, whatever happens (D28)
            self.check_initialized()
            request = await self.greet(ctx, conn)
            await self.serve(self.known(ctx, request), request)
        except ClientGoneError:
            pass
        except RefusedError as error:
            if error.reply:
                await reply_and_linger(conn, error.reply)
            if isinstance(error.__cause__, DeniedError):
                raise error.__cause__ from None  # bare: a rule's answer is no failure (D15)
            raise
        finally:
            await conn.close()

    async def greet(self, ctx: Context, conn: Conn) -> Request:
        """Let the client say what it wants, in time."""
        saying = of_client(self.negotiate(ctx, conn))
        return await self._newcomers.limited(conn, GREETING_LIMIT, saying)

    def known(self, ctx: Context, request: Request) -> Context:
        """Add who the client is, if that was asked."""
        return ctx if self.auther is None else ctx.with_value(CLIENT_ID, request.client_id)

    def serve(self, ctx: Context, request: Request) -> Awaitable[None]:
        """Go where the client wants, and copy; a protocol may serve some otherwise."""
        return self._connect(ctx, request)

    async def _connect(self, ctx: Context, request: Request) -> None:
        began = time.monotonic()
        client, target = await self.open(ctx, request, self.reach)
        traffic = Traffic()

        def summary() -> str:
            return (
                f"target={request.target or request.network} route={names_of_route(target)} "
                f"sent={traffic.sent} received={traffic.received} "
                f"seconds={time.monotonic() - began:.3f}"
            )

        try:
            carrying = self.carry(ctx, request, client, target, traffic)
            await (while_active(carrying, traffic, self._idle) if self._idle else carrying)
        except ClientGoneError:
            await break_off(target)
        except asyncio.CancelledError:
            if isinstance(client, Aborter):
                client.abort()  # the target had more to say (D72)
            raise
        except Exception as error:
            error.add_note(summary())  # for the service, which logs failures (D28)
            if not isinstance(error, RefusedError):
                await break_off(client)
            raise
        finally:
            await target.close()
        session = ctx.value(SESSION_ID)
        self._logger.with_fields({"session": session}).info(summary())

    async def limit(self, ctx: Context, conn: Conn, request: Request) -> Conn:
        """Hold a connection to the limits of the client that it belongs to."""
        limits, service = self._options.limiter, self._options.service
        return await limit_traffic(
            ctx, conn, limits, SCOPE_CLIENT, request.client_id, service, request.target
        )

    async def check(self, ctx: Context, network: str, addr: str, name: str = "") -> None:
        """Raise a DeniedError for an address that a rule refuses, or for the name that it has."""
        rules = self._options.bypass
        if rules is not None and await rules.contains(ctx, network, addr, with_host_option(name)):
            raise DeniedError(f"{name or addr} is refused by rule")

    def reach(self, ctx: Context, request: Request) -> Awaitable[Conn]:
        """Connect to the target; rules are asked about the address, too, that its name has."""

        def ask(network: str, addr: str, name: str) -> Awaitable[None]:
            return self.check(ctx, network, addr, name or request.target)

        told = ctx if self._options.bypass is None else ctx.with_value(RULE, ask)
        return self._router.dial(told, request.network, request.target)

    async def open(
        self, ctx: Context, request: Request, reach: Callable[[Context, Request], Awaitable[T]]
    ) -> tuple[Conn, T]:
        """Return the client, held to its limits, and what is reached for it; or refuse."""
        target = request.target
        try:
            client = await self.limit(ctx, request.client, request)
            await self.check(ctx, request.network, target)
            return client, await reach(ctx, request)
        except RefusedError:
            raise
        except Exception as error:
            what = f"{target or request.network}: {with_notes(error)}"
            raise RefusedError(what, self.refusal(error)) from error

    def count_request(self, conn: Conn, reply: bytes = b"") -> None:
        """Hold a client to the rate of its host, before its password is looked at (D28)."""
        try:
            take_request(conn, self._options.rate_limiter)
        except Exception as error:
            raise RefusedError(str(error), reply or self.refusal(error)) from error

    async def identify(self, ctx: Context, user: str, password: str) -> str | None:
        """Ask the authenticator, if there is one, for the client's id; None refuses the client.

        A host that has often failed is refused before anybody is asked.
        """
        if self.auther is None:
            return ""
        host = host_of(str(ctx.value(SOURCE_ADDRESS) or ""))
        if host in self._patience and self._patience[host].level() < 1:
            raise RefusedError(f"{host} failed to log in too often", self.too_often)
        client_id = None
        try:
            client_id = await self.auther.authenticate(
                ctx, user, password, with_service(self._options.service)
            )
        except Exception as error:  # whoever cannot decide refuses (D49)
            self._logger.errorf("the authenticator failed: %s", error)
        if client_id is None and (user or password):  # else it only asks who may
            # Also for one more than it may have: it waits the longer.
            self._patience.of(host, patience).spend(1)
        return client_id


async def _reply_and_relay(request: Request, client: Conn, target: Conn, traffic: Traffic) -> None:
    await of_client(client.write(request.reply))
    await relay(client, target, traffic)


async def reply_and_linger(conn: Conn, reply: bytes) -> None:
    """Send a last word, and let the client read it.

    A socket that is closed while bytes wait in it resets the connection, and the client may never
    see the reply; so what the client still sends is thrown away, for a second at most.
    """
    with suppress(OSError):
        async with asyncio.timeout(1):
            await conn.write(reply)
            if isinstance(conn, HalfCloser):
                await conn.close_write()
            while await conn.read(SOME):
                pass
