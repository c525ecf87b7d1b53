"""The trial of the connector like SSH's."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from gost_core.chain import Router
from gost_core.common.net import Addr, ClosedError, Conn, Listener, find_capability
from gost_core.common.net import Dialer as NetDialer
from gost_core.connector import BindOption, BindOptions, BindUnsupportedError, ConnectOption
from gost_core.context import Context
from gost_core.dialer import net_dialer_dial_option
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing._stage.memory import Address, MemoryConn, MemoryMetadata, connected_pair
from gost_core.testing._stage.network import Outside, silent
from gost_core.testing.common.net import AborterContract, ConnContract, HalfCloserContract
from gost_core.testing.connector import BinderContract, ConnectorContract
from gost_core.testing.dialer import DialerContract
from tests.kit.dialer._protocol import PASSWORD
from tests.kit.protocols._quic_trial import ask
from tests.kit.protocols._sessions import Kind, Signal, message
from tests.kit.protocols._ssh import (
    BACKLOG,
    PROHIBITED,
    Channel,
    Forwarding,
    LoggedIn,
    Packets,
    SshConnector,
    SshDialer,
    SshSession,
)
from tests.kit.protocols._ssh_node import Node
from tests.kit.protocols._trial import ProtocolTrial

TIME_LIMIT = 1.5
LIMIT = 1.0


@dataclass(frozen=True)
class Ssh:
    connector: type[SshConnector] = SshConnector
    session: type[SshSession] = SshSession

    def dialer(self) -> SshDialer:
        made = SshDialer()
        made.session, made.limit = self.session, LIMIT
        return made

    async def dial(self, beneath: NetDialer) -> Conn:
        dialer = self.dialer()
        await dialer.init(None)
        conn = await dialer.dial(Context(), "node.example:22", net_dialer_dial_option(beneath))
        return await dialer.handshake(Context(), conn)


# ---- Nodes


async def node(conn: Conn, router: Router) -> None:
    await Node(conn, router).serve()


class Unable(Node):
    async def reach(self, channel: Channel) -> None:
        channel.post(Kind.FAILED, PROHIBITED)
        self.session.leave(channel)

    async def forward(self, address: str) -> str:
        raise OSError("nobody listens here")


async def unable_node(conn: Conn, router: Router) -> None:
    await Unable(conn, router).serve()


class Garbling(Node):
    async def reach(self, channel: Channel) -> None:
        await self.carrier.send(b"what")

    async def forward(self, address: str) -> str:
        await self.carrier.send(b"what")
        return await super().forward(address)


async def garbling_node(conn: Conn, router: Router) -> None:
    await Garbling(conn, router).serve()


async def echo_node(conn: Conn) -> None:
    await Node(conn, Outside()).serve()


async def refusing_login(conn: Conn) -> None:
    carrier = Packets(conn)
    await carrier.receive()
    await carrier.send(message(Kind.REFUSED))
    await silent(conn)


async def garbling_login(conn: Conn) -> None:
    await conn.write(b"HTTP/1.1 400 Bad Request\r\n")
    await silent(conn)


# ---- Hooks


async def ping(conn: Conn) -> None:
    """Use a session by a channel, which stays: the session would end with it."""
    connector = SshConnector()
    await connector.init(None)
    channel = await connector.connect(Context(), conn, "tcp", "target.example:80")
    await channel.write(b"ping")
    assert await channel.read(4) == b"ping"


def beneath(conn: Conn) -> MemoryConn:
    assert isinstance(conn, Channel)
    assert isinstance(conn.session.carrier, Packets)
    inner = conn.session.carrier.conn
    assert isinstance(inner, MemoryConn)
    return inner


async def break_off(conn: Conn) -> None:
    beneath(conn).break_off()


async def cut(conn: Conn) -> None:
    await beneath(conn).close()


async def pass_limit() -> None:
    await asyncio.sleep(LIMIT)


def contracts(parts: Ssh) -> tuple[Contract, ...]:
    async def make_pair() -> tuple[Conn, Conn]:
        near, far = connected_pair()
        opened: asyncio.Future[Channel] = asyncio.get_running_loop().create_future()
        parts.session(Packets(far), is_client=False, on_open=opened.set_result)
        here = parts.session(Packets(near)).begin("target.example:80")
        there = await opened
        there.post(Kind.OPENED)
        await here.opened
        return here, there

    def make() -> SshConnector:
        return parts.connector()

    def make_for_one() -> SshConnector:
        connector = make()
        connector.is_single = True
        return connector

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
        ConnectorContract(
            make,
            node=node,
            dial=parts.dial,
            metadata=MemoryMetadata(timeout=10.0),
            bad_setting=("timeout", "soon"),
            secret=PASSWORD,
            refusing=unable_node,
            garbling=garbling_node,
            pass_limit=pass_limit,
            time_limit=TIME_LIMIT,
        ),
        DialerContract(
            parts.dialer,
            peer=echo_node,
            ping=ping,
            metadata=MemoryMetadata(timeout=10.0),
            bad_setting=("timeout", "soon"),
            secret=PASSWORD,
            refusing=refusing_login,
            garbling=garbling_login,
            pass_limit=pass_limit,
            time_limit=TIME_LIMIT,
        ),
        *(
            BinderContract(
                factory,
                node=node,
                dial=parts.dial,
                refusing=unable_node,
                garbling=garbling_node,
                incapable=unable_node,
                gives_reasons=False,
                pass_limit=pass_limit,
                time_limit=TIME_LIMIT,
            )
            for factory in (make, make_for_one)
        ),
    )


trial = ProtocolTrial(
    "ssh",
    Ssh(),
    contracts,
)


# ---- Faults


def of_channels(kind: type[Channel]) -> Ssh:
    class Session(SshSession):
        def channel(self, number: int, peer: str) -> Channel:
            return kind(self, number, peer)

    return Ssh(session=Session)


def of_listeners(kind: type[Forwarding]) -> Ssh:
    class Faulty(SshConnector):
        def listener(self, session: SshSession, options: BindOptions) -> Forwarding:
            return kind(session, is_single=self.is_single, backlog=options.backlog or BACKLOG)

    return Ssh(Faulty)


class EndedByTheSession(Channel):
    def fail(self, error: OSError) -> None:
        self.ended = True
        super().fail(error)


class GoingOnAfterClose(Channel):
    async def close_write(self) -> None:
        with suppress(ClosedError):
            await super().close_write()


class Anonymous(Channel):
    def remote_addr(self) -> Addr:
        return self.session.carrier.remote_addr()


class LeavingTheSession(Forwarding):
    async def close(self) -> None:
        self.closed = True
        self.changed.wake()


class WakingNobody(Forwarding):
    async def accept(self) -> Conn:
        channel = await super().accept()
        if self.session.over:
            await asyncio.Event().wait()
        return channel

    async def close(self) -> None:
        self.changed = Signal()
        await super().close()


class LosingTheEarly(Forwarding):
    accepting = False

    def visited(self, channel: Channel) -> None:
        if self.accepting:
            super().visited(channel)
        else:
            channel.abort()

    async def accept(self) -> Conn:
        self.accepting = True
        try:
            return await super().accept()
        finally:
            self.accepting = False


class WaitingForTheGone(Forwarding):
    async def accept(self) -> Conn:
        try:
            return await super().accept()
        except ConnectionResetError:
            await asyncio.Event().wait()
            raise


class NamingTheWish(Forwarding):
    """Says that it listens where it was asked to."""

    def addr(self) -> Addr:
        return Address("tcp", ":0")


class RefusedForGood(SshConnector):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        try:
            return await super().bind(ctx, conn, network, address, *opts)
        except ConnectionRefusedError as error:
            raise BindUnsupportedError(str(error)) from error


class RefusingMuxLate(SshConnector):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        options = apply(BindOptions(), *opts)
        if options.mux and self.is_single:
            self.checked(conn, network).post(Kind.FORWARD, data=address.encode())
            await asyncio.sleep(0.01)
        return await super().bind(ctx, conn, network, address, *opts)


class ForOneAlways(SshConnector):
    def listener(self, session: SshSession, options: BindOptions) -> Forwarding:
        return Forwarding(session, is_single=True, backlog=BACKLOG)


class Resolving(SshConnector):
    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        address = address.replace("target.example", "192.0.2.80")
        return await super().connect(ctx, conn, network, address, *opts)


class HidingTheTarget(SshConnector):
    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        try:
            return await super().connect(ctx, conn, network, address, *opts)
        except ConnectionRefusedError:
            raise ConnectionRefusedError("administratively prohibited") from None


class AskingForAnything(SshConnector):
    def checked(self, conn: Conn, network: str) -> SshSession:
        return super().checked(conn, "tcp")


class Lingering(SshSession):
    def leave(self, user: object) -> None:
        self.users.discard(user)


class TakingAny(SshConnector):
    """Begins a session of its own where it finds none."""

    def checked(self, conn: Conn, network: str) -> SshSession:
        if find_capability(conn, LoggedIn) is None:
            conn = LoggedIn(SshSession(Packets(conn)))
        return super().checked(conn, network)


class FailingWhenCancelled(SshConnector):
    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        try:
            return await super().connect(ctx, conn, network, address, *opts)
        except asyncio.CancelledError:
            raise TimeoutError("the node was silent") from None


class LastConnection(SshConnector):
    """Keeps on the object what belongs to a call."""

    wanted = ""

    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        self.checked(conn, network)
        self.wanted = address
        await asyncio.sleep(0)
        return await super().connect(ctx, conn, network, self.wanted, *opts)


trial.faults |= {
    "an end of the session ends a channel": (
        of_channels(EndedByTheSession),
        "common.net.Conn.truncated",
    ),
    "close_write() after close() says nothing": (
        of_channels(GoingOnAfterClose),
        "common.net.HalfCloser.after-close",
    ),
    "the visitor is the node": (of_channels(Anonymous), "connector.Binder.visitor-address"),
    "the listener leaves its session": (
        of_listeners(LeavingTheSession),
        "connector.Binder.close-ends-tunnel",
    ),
    "close() wakes nobody": (of_listeners(WakingNobody), "connector.Binder.close-wakes-accept"),
    "nobody waits, and a visitor is lost": (
        of_listeners(LosingTheEarly),
        "connector.Binder.visitor-waits",
    ),
    "accept() waits for who is gone": (
        of_listeners(WaitingForTheGone),
        "connector.Binder.node-lost",
    ),
    "addr() is the wish": (of_listeners(NamingTheWish), "connector.Binder.bound-address"),
    "a bind that is refused is final": (Ssh(RefusedForGood), "connector.Binder.unable"),
    "mux is refused too late": (Ssh(RefusingMuxLate), "connector.Binder.mux-refused"),
    "one visitor comes though many may": (Ssh(ForOneAlways), "connector.Binder.many-visitors"),
    "names are resolved here": (Ssh(Resolving), "connector.Connector.name-to-node"),
    "nobody knows which target": (Ssh(HidingTheTarget), "connector.Connector.target-refused"),
    "any network will do": (Ssh(AskingForAnything), "connector.Connector.network-unsupported"),
    "the session outlives its users": (
        Ssh(session=Lingering),
        "connector.Connector.owns-conn",
    ),
    "any connection will do": (Ssh(TakingAny), "connector.Connector.connects"),
    "a cancellation is a failure": (
        Ssh(FailingWhenCancelled),
        "connector.Connector.cancellable",
    ),
    "a call is kept on the connector": (Ssh(LastConnection), "connector.Connector.concurrent"),
}
