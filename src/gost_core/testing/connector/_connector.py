"""The contract of connectors."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

from typing_extensions import Buffer

from gost_core.common.net import Conn, PacketConn, UnsupportedError
from gost_core.connector import ConnectOption, ConnectOptions, Connector, dialer_connect_option
from gost_core.testing._families.life import LifeCycle
from gost_core.testing._families.options import AnyOption, TakesOptions
from gost_core.testing._families.steps import (
    BENEATH,
    Secretive,
    Streamed,
    bare,
    expect_no_task_left,
    greeted,
    succeeds,
)
from gost_core.testing._run.attempt import Broken, current
from gost_core.testing._run.contract import clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    applies,
    expect,
    failure_of,
    need,
    owned,
    raises,
    returned,
    settle,
    start,
    until,
    within,
)
from gost_core.testing._stage.memory import Address, ForwardingConn
from gost_core.testing._stage.network import (
    GREETING,
    BareConn,
    Network,
    Node,
    Outside,
    Peer,
    cut_short,
    echo,
    silent,
    stammering,
)
from gost_core.testing._stage.streams import ALL, begin
from gost_core.testing.connector._node import TARGET, ConnectorT, ThroughNode

__all__ = ("ConnectorContract",)

_TARGET_4: Final[str] = "192.0.2.80:80"
_TARGET_6: Final[str] = "[2001:db8::80]:80"
# Some differ in the host alone, and some in the port.
_PEERS: Final = [Address("udp", f"192.0.2.{peer}") for peer in ("53:53", "54:53", "53:5353")]
_CALLS: Final[int] = 5


class ConnectorContract(
    LifeCycle[ConnectorT],
    TakesOptions,
    ThroughNode[ConnectorT, Conn],
    Secretive[ConnectorT, Node, Conn],
    Streamed[ConnectorT, Node],
    interface=Connector,
    first=("connects",),
):
    """What a connector promises.

    The contract is the client, the connection to the node, and the targets, which send back what
    they get; ``node`` is what is between. If the connector has a handshake, the contract does it
    first, and the node waits for it. A silent node and one that dies, and a target that refuses or
    that speaks first, need no hook.

    The connections that it gives have a contract of their own, ``common.net.ConnContract``.
    """

    node: Node
    """Plays the proxy node at its end of a connection: reads what the connector asks for, reaches
    it by the router's ``dial()``, and tells how that went; then carries the data both ways until
    one of them ends. The contract closes its end. A handler of the same protocol, built over that
    router, will do."""
    networks: list[str] | tuple[str, ...] = ("tcp",)
    """By what it reaches targets: "tcp", "udp" or both."""
    associates: bool = False
    """Whether it offers ``udp`` with "" for its address."""

    _called = "connect()"
    _options = ConnectOptions

    async def _first_use(self, component: ConnectorT, /) -> object:
        conn = (await self._reach()).top
        return await component.connect(current().ctx, conn, self.networks[0], TARGET)

    def _asking(
        self, connector: ConnectorT, conn: Conn, network: str, address: str, /
    ) -> Awaitable[object]:
        return connector.connect(current().ctx, conn, network, address)

    async def _begin(
        self, component: ConnectorT, conn: BareConn, aside: Network | None = None, /
    ) -> Conn:
        opts = () if aside is None else (dialer_connect_option(aside),)
        return await self._connecting(component, conn, TARGET, None, *opts)

    async def _use(self, component: ConnectorT, result: Conn, peer: Peer, what: str, /) -> None:
        await self._works(result, what)

    async def _use_at_once(self, result: Conn, /) -> None:
        await result.write(b"x")
        await result.read(1)

    async def _deaths(self) -> tuple[Peer, ...]:
        cut = cut_short(self._right()) if self.dial is None else stammering
        return *await super()._deaths(), cut

    async def _expect_death_shown(self, call: Awaitable[Conn], /) -> None:
        async def read() -> None:
            result = await call
            with suppress(OSError):
                await result.write(b"x")
            # An end in place of an answer is no end of the target's stream.
            if not await result.read(1):
                raise Broken("the node went away, and the connection gave an end of stream")

        await raises(read(), "connect() with a node that goes away, and a read,", OSError)

    async def _call_with(self, *opts: AnyOption) -> Callable[[], Awaitable[None]]:
        connector, conns = await self._ready(), [await self._reach() for _ in range(2)]
        made = [await self._connecting(connector, conn, TARGET, None, *opts) for conn in conns]
        return partial(self._works, made[-1], "the connection")

    async def _connecting(
        self,
        connector: ConnectorT,
        conn: BareConn,
        address: str = TARGET,
        network: str | None = None,
        *opts: ConnectOption,
    ) -> Conn:
        """Connect, after the connector's handshake if it has one."""
        shaken = await self._shaken(connector, conn)
        network = network or self.networks[0]
        result = await connector.connect(current().ctx, shaken, network, address, *opts)
        return owned(returned(result, "connect()"))

    async def _connect(
        self,
        outside: Outside | None = None,
        address: str = TARGET,
        network: str | None = None,
        *,
        late: bool = False,
    ) -> Conn:
        """Connect a connector of its own."""
        connector, conn = await self._ready(), await self._reach(outside, late=late)
        return await succeeds(self._connecting(connector, conn, address, network), "connect()")

    @clause(
        "connect() gives a connection to the target, and it carries data. A connector of one "
        "dialer raises ValueError for the connection of another.",
        "D5, D31",
    )
    async def connects(self) -> None:
        connector, conn = await self._ready(), await self._reach()

        async def use() -> None:
            await self._works(await self._connecting(connector, conn), "the connection")

        await within(use(), "connect()")
        if self.dial is not None:
            other = self._asking(connector, bare(Network(echo)), self.networks[0], TARGET)
            await raises(other, "connect() over the connection of another dialer", ValueError)

    # ---- The target

    @clause(
        "A name goes to the node as it is; nobody resolves it here.",
        "D12",
        after=("outlives_call",),
    )
    async def name_to_node(self) -> None:
        for target in (TARGET, "4th.target.example:80", f"{'long.' * 40}example:80"):
            await self._expect_asked(target)

    @clause(
        "An address goes to the node as it is, IPv6 in brackets.", "D12", after=("name_to_node",)
    )
    async def address_to_node(self) -> None:
        await self._expect_asked(_TARGET_4)
        await self._expect_asked(_TARGET_6)

    async def _expect_asked(self, address: str) -> None:
        outside = Outside()
        await self._works(await self._connect(outside, address), f"the connection to {address}")
        asked = [asked for _, asked in outside.network.dials]
        expect(asked == [address], f"connect() to {address} had the node reach {asked}")

    @clause(
        "tcp4 and tcp6 are tcp: networks are told by how they begin.",
        "D11",
        after=("address_to_node",),
    )
    async def tcp_versions(self) -> None:
        for version in ("4", "6"):
            conn = await self._connect_by(await self._offered("tcp"), version)
            await self._works(conn, f"the connection by tcp{version}")

    async def _connect_by(self, network: str, version: str) -> Conn:
        outside, address = Outside(), _TARGET_4 if version == "4" else _TARGET_6
        conn = await self._connect(outside, address, network + version)
        for asked, _ in outside.network.dials:
            expect(
                asked.startswith(network),
                f"connect() by {network}{version} had the node reach by {asked!r}",
            )
        return conn

    @clause("An address without host raises ValueError, before anything is sent.", "D12, D15")
    async def host_missing(self) -> None:
        await self._expect_nothing_sent(self.networks[0], ":80", ValueError)

    # ---- Datagrams

    @clause("By udp, datagrams stay apart.", "D8", after=("outlives_call",))
    async def datagrams(self) -> None:
        conn = await self._connect(network=await self._offered("udp"))
        await self._expect_datagrams(conn, "the connection by udp")

    @clause(
        "udp4 and udp6 are udp: networks are told by how they begin.",
        "D11",
        after=("address_to_node", "datagrams"),
    )
    async def udp_versions(self) -> None:
        for version in ("4", "6"):
            conn = await self._connect_by(await self._offered("udp"), version)
            await self._expect_datagrams(conn, f"the connection by udp{version}")

    async def _expect_datagrams(self, conn: Conn, what: str) -> None:
        sent = [b"a", b"bc" * 4000, b"d"]
        for data in sent:
            await within(conn.write(data), f"write() to {what}")
        received = [await within(conn.read(ALL), f"read() of a datagram from {what}") for _ in sent]
        expect(
            sorted(received) == sorted(sent),
            f"on {what}, datagrams of {[*map(len, sent)]} bytes came back as "
            f"{[*map(len, received)]}",
        )
        for data in (b"abc", b"x"):
            await within(conn.write(data), f"write() to {what}")
            cut = await within(conn.read(2), f"read(2) from {what}")
            expect(cut == data[:2], f"on {what}, read(2) of {data!r} returned {cut!r}")

    async def _associate(self, outside: Outside) -> tuple[Conn, PacketConn]:
        if not self.associates:
            await self._expect_not_offered("udp", "")
        need(self.associates or None, "associates")
        conn = await self._connect(outside, "", "udp")
        if not isinstance(conn, PacketConn):
            raise Broken(f"connect() by udp to '' gave a {type(conn).__name__}, no PacketConn")
        return conn, conn

    @clause(
        'By udp to "", datagrams go to any peer, and each that comes tells who sent it.',
        "D9",
        after=("outlives_call",),
    )
    async def association(self) -> None:
        outside = Outside()
        conn, packets = await self._associate(outside)
        expected = {(b"to " + str(peer).encode(), str(peer)) for peer in _PEERS}
        for peer in _PEERS:
            await within(packets.write_to(b"to " + str(peer).encode(), peer), "write_to()")
        received: set[tuple[bytes, str]] = set()
        for _ in _PEERS:
            data, source = await within(packets.read_from(ALL), "read_from()")
            received.add((data, str(source)))
        expect(received == expected, f"{expected} was expected back, {received} came")
        await self._expect_datagrams(_OneOfAll(conn, packets), "the connection by udp to ''")

    @clause(
        'By udp to "", read() and write() raise UnsupportedError.', "D9", after=("association",)
    )
    async def association_unconnected(self) -> None:
        conn, _ = await self._associate(Outside())
        await raises(conn.write(b"x"), "write() without an address", UnsupportedError)
        await raises(conn.read(1), "read() without an address", UnsupportedError)

    @clause(
        "By udp too, a connect that waits for a silent node holds up no other.",
        "D22",
        after=("silent_alone", "datagrams"),
    )
    async def udp_silent_alone(self) -> None:
        network, connector = await self._offered("udp"), await self._ready()
        silence = await self._over(await self._network(silent))
        start(self._connecting(connector, silence, TARGET, network))
        await settle()
        call = self._connecting(connector, await self._reach(), TARGET, network)
        await succeeds(call, "connect() by udp, beside one that waits for a silent node,")

    # ---- Bytes

    @clause(
        "A target that speaks first is heard, though nothing was written to it.",
        "D33",
        after=("outlives_call",),
    )
    async def target_speaks_first(self) -> None:
        outside = Outside()
        outside.greeting = GREETING
        await greeted(await self._connect(outside, TARGET, await self._offered("tcp")))

    @clause(
        "What arrives right behind the node's answer is not lost.",
        "D33",
        after=("target_speaks_first",),
    )
    async def early_bytes(self) -> None:
        outside = Outside()
        outside.greeting = GREETING
        await greeted(await self._connect(outside, TARGET, await self._offered("tcp"), late=True))

    @clause(
        "Connects at once, to several targets, each reach their own.",
        "D33",
        after=("name_to_node",),
    )
    async def concurrent(self) -> None:
        connector, outside = await self._ready(), Outside()
        targets = [f"target-{number}.example:80" for number in range(_CALLS)]
        calls = [
            self._connecting(connector, await self._reach(outside), target) for target in targets
        ]
        conns = await succeeds(asyncio.gather(*calls), f"one of {_CALLS} connects at once")
        # A lazy one says where to go only now.
        for target, conn in reversed([*zip(targets, conns, strict=True)]):
            await within(conn.write(target.encode()), "write()")
        for target in targets:
            received = outside.received
            await until(
                lambda: target.encode() in received.values(),  # noqa: B023
                f"what was written to {target} arrived nowhere",
            )
            got = received.get(target, b"")
            expect(
                got == target.encode(), f"{target.encode()!r} was for {target}, which got {got!r}"
            )

    @clause(
        "A connect by udp changes nothing of what one by tcp sends, beside it or later, and none "
        "goes by the dialer of an earlier one.",
        "D23, D33",
        after=("concurrent", "datagrams"),
    )
    async def calls_apart(self) -> None:
        for network in ("tcp", "udp"):
            await self._offered(network)
        connector, lent = await self._ready(), Network(echo)
        await succeeds(self._begin(connector, await self._reach(), lent), "connect()")
        lent.dials.clear()
        for networks in (("tcp", "udp", "tcp"), ("tcp",)):
            outsides = [Outside() for _ in networks]
            calls = [
                self._connecting(connector, await self._reach(outside), TARGET, network)
                for network, outside in zip(networks, outsides, strict=True)
            ]
            conns = await succeeds(asyncio.gather(*calls), "connects by tcp and udp at once")
            for network, outside, conn in zip(networks, outsides, conns, strict=True):
                # A lazy one says where to go only when it is used.
                using = await begin(self._works(conn, f"the connection by {network}"))
                await until(
                    lambda: bool(outside.network.dials),  # noqa: B023
                    f"of connects by {', '.join(networks)}, one by {network} was never asked for",
                )
                asked = outside.network.dials[0][0]
                expect(
                    asked == network,
                    f"of connects by {', '.join(networks)}, one by {network} asked for {asked}",
                )
                await within(using, "using the connection")
        expect(not lent.dials, f"the dialer of an earlier call was asked for {lent.dials}")

    @clause(
        "What connect() gave is a connection to a next node too: connect() over it asks that one.",
        "D31",
        after=("outlives_call",),
    )
    async def again(self) -> None:
        applies(self.dial is None, "it takes the connections of one dialer")
        network, connector = await self._offered("tcp"), await self._ready()
        conn = await self._reach()
        first = await succeeds(self._connecting(connector, conn, TARGET, network), "connect()")
        sent = list[int]()
        # A lazy one asks only now, and then no more.
        for _ in range(2):
            await within(first.write(b"x"), "write()")
            sent.append(conn.written)

        async def go_on() -> None:
            result = owned(await connector.connect(current().ctx, first, network, _TARGET_4))
            await result.write(b"x")

        # The first target sends back whatever comes, which may be no answer.
        call = await begin(go_on())
        sent.append(conn.written)
        asked = sent[2] - sent[1] > sent[1] - sent[0]
        passed_by = call.done() and failure_of(call) is None and not asked
        expect(not passed_by, "connect() over what connect() gave asked no node anything")

    # ---- Owning, and failures

    @clause(BENEATH, "D3", after=("outlives_call",))
    async def owns_conn(self) -> None:
        connector, conn, aside = await self._ready(), await self._reach(), Network(echo)
        result = await succeeds(self._begin(connector, conn, aside), "connect()")
        await within(result.close(), "close() of the result")
        await until(
            lambda: conn.closed, "the result was closed, and the connection beneath was not"
        )
        await aside.expect_unused("the result was closed")

    @clause(
        "A target that the node cannot reach raises ConnectionRefusedError with its address.",
        "D15",
        after=("outlives_call",),
    )
    async def target_refused(self) -> None:
        outside = Outside()
        outside.network.error = ConnectionRefusedError("nobody listens there")
        connector, conn = await self._ready(), await self._reach(outside)
        what, before = "connect() to a target that the node cannot reach", asyncio.all_tasks()
        try:
            result = await within(self._connecting(connector, conn), what)
        except ConnectionRefusedError as error:
            expect(TARGET in str(error), f"{what} raised {describe(error)}, without {TARGET}")
            await within(conn.top.close(), "close() of the connection to the node")
            await expect_no_task_left(before, f"{what} had failed")
        else:
            await self._expect_refused_later(result)

    @clause("What the node cannot reach is not dialed past it.", "D33", after=("target_refused",))
    async def refused_not_passed(self) -> None:
        for network in self.networks:
            outside, aside = Outside(), Network(echo)
            outside.network.error = ConnectionRefusedError("nobody listens there")
            connector, option = await self._ready(), dialer_connect_option(aside)
            call = self._connecting(connector, await self._reach(outside), TARGET, network, option)
            with suppress(OSError):
                conn = await within(call, f"connect() by {network} to what is out of reach")
                start(conn.read(1))
                await within(conn.write(b"x"), "write()")
            await settle()
            # There may be one to the node besides, for datagrams.
            expect((network, TARGET) not in aside.dials, f"{TARGET} was dialed from here")

    async def _expect_refused_later(self, conn: Conn) -> None:
        """Break the clause if what a lazy connect gave goes on."""
        try:
            await within(conn.write(b"x"), "write() to a target that was refused")
            data = await within(conn.read(1), "read() from a target that was refused")
        except OSError:
            return
        expect(not data, f"from a target that the node cannot reach came {data!r}")


class _OneOfAll(ForwardingConn):
    """An association with one of its peers alone."""

    def __init__(self, conn: Conn, packets: PacketConn) -> None:
        super().__init__(conn)
        self.packets = packets

    async def read(self, n: int, /) -> bytes:
        return (await self.packets.read_from(n))[0]

    async def write(self, data: Buffer, /) -> None:
        await self.packets.write_to(data, _PEERS[0])
