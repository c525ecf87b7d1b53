"""The outbound side: dialers, connectors, their handshakes, and binding at the far end."""

import asyncio

from gost_core import connector, dialer
from gost_core.common import net
from gost_core.common.net import Conn, ProtocolError, UnsupportedError
from gost_core.connector import (
    Binder,
    BindOption,
    BindOptions,
    BindUnsupportedError,
    ConnectOption,
    ConnectOptions,
    Connector,
)
from gost_core.context import Context
from gost_core.dialer import (
    Dialer,
    DialOption,
    DialOptions,
    HandshakeOption,
    HandshakeOptions,
    Multiplexer,
)
from gost_core.metadata import Metadata
from gost_core.options import apply


class PlainDialer:
    """A dialer without a session: each dial opens a connection."""

    def __init__(self, *opts: dialer.Option | None) -> None:
        self._options = apply(dialer.Options(), *opts)

    async def init(self, metadata: Metadata | None, /) -> None:
        return

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        options = apply(DialOptions(), *opts)
        if options.dialer is None:
            raise ValueError("this dialer needs the dialer option")
        return await options.dialer.dial(ctx, "tcp", addr)


class InheritingDialer(Dialer):
    __slots__ = ("_timeout",)

    def __init__(self) -> None:
        self._timeout = 10.0

    async def init(self, metadata: Metadata | None, /) -> None:
        timeout = metadata.get("timeout") if metadata is not None else None
        if timeout is None:
            return
        if not isinstance(timeout, float):
            raise ValueError(f"timeout is a number of seconds, not {timeout!r}")
        self._timeout = timeout

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        options = apply(DialOptions(), *opts)
        if options.dialer is None:
            raise ValueError("this dialer needs the dialer option")
        async with asyncio.timeout(self._timeout):
            return await options.dialer.dial(ctx, "tcp", addr)


class MultiplexingDialer(PlainDialer):
    """A class may have several roles: this one is a Dialer, a Handshaker and a Multiplexer."""

    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        options = apply(HandshakeOptions(), *opts)
        await conn.write(options.addr.encode("idna"))
        return conn

    def multiplex(self) -> bool:
        return True


class GreetingConnector:
    """A connector that first greets the proxy: it is a connector.Handshaker as well."""

    def __init__(self, *opts: connector.Option | None) -> None:
        self._options = apply(connector.Options(), *opts)

    async def init(self, metadata: Metadata | None, /) -> None:
        return

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        await conn.write(b"hello\n")
        if await conn.read(6) != b"hello\n":
            raise ProtocolError("the proxy did not greet back")
        return conn

    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        options = apply(ConnectOptions(), *opts)
        if network.startswith("udp") and options.dialer is not None:
            return await options.dialer.dial(ctx, network, address)
        await conn.write(f"connect {address}\n".encode())
        return conn


class InheritingConnector(Connector):
    async def init(self, metadata: Metadata | None, /) -> None:
        return

    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        if not network.startswith("tcp"):
            raise UnsupportedError(f"network {network!r} is not offered")
        return conn


class RefusingBinder:
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: BindOption
    ) -> net.Listener:
        options = apply(BindOptions(), *opts)
        what = "multiplexed binding" if options.mux else "binding"
        raise BindUnsupportedError(f"{what} of {address!r} is not offered")


def prove_dialer(dialer: PlainDialer) -> Dialer:
    return dialer


def prove_inheriting_dialer(dialer: InheritingDialer) -> Dialer:
    return dialer


def prove_dialer_of_sessions(dialer: MultiplexingDialer) -> Dialer:
    return dialer


def prove_dialer_handshaker(handshaker: MultiplexingDialer) -> dialer.Handshaker:
    return handshaker


def prove_multiplexer(multiplexer: MultiplexingDialer) -> Multiplexer:
    return multiplexer


def prove_connector(connector: GreetingConnector) -> Connector:
    return connector


def prove_inheriting_connector(connector: InheritingConnector) -> Connector:
    return connector


def prove_connector_handshaker(handshaker: GreetingConnector) -> connector.Handshaker:
    return handshaker


def prove_binder(binder: RefusingBinder) -> Binder:
    return binder
