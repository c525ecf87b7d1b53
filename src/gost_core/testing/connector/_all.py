"""The contracts of connectors: connecting, their handshakes, and binding."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from gost_core.common.net import (
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
    dialer_connect_option,
    mux_bind_option,
)
from gost_core.context import Context
from gost_core.metadata import Metadata
from gost_core.testing._contract import Broken, NotTried, checks, clause, describe, expect, run
from gost_core.testing._doubles import Address
from gost_core.testing._handshake import HandshakeContract
from gost_core.testing._lookups import OptionWatch
from gost_core.testing._peers import (
    GREETING,
    BareConn,
    ComponentT,
    LifeCycle,
    Made,
    Node,
    Outside,
    Peer,
    Ping,
    Setup,
    echo,
    ending,
    expect_addresses,
    expect_found,
    resetting,
    silent,
    ssl_errors,
)
from gost_core.testing._report import Report

__all__ = ("check_connector_binder", "check_connector_connector", "check_connector_handshaker")

_NODE: Final[str] = "192.0.2.10:1080"
_TARGET: Final[str] = "target.example:80"
_TARGET_4: Final[str] = "192.0.2.80:80"
_TARGET_6: Final[str] = "[2001:db8::80]:80"
_PEERS: Final[tuple[Address, Address]] = (
    Address("udp", "192.0.2.53:53"),
    Address("udp", "192.0.2.54:53"),
)
_CALLS: Final[int] = 5
_ALL: Final[int] = 65535
_TCP: Final[tuple[str, ...]] = ("tcp",)


class _NodeContract(Made[ComponentT], interface=Connector):
    """Scenarios with a proxy node that the hooks play."""

    def __init__(
        self,
        setup: Setup[ComponentT],
        node: Node,
        networks: list[str] | tuple[str, ...],
        refusing: Node | None,
        malformed: Node | None,
    ) -> None:
        super().__init__(setup)
        self._node = node
        self._networks_offered = networks
        self._refusing = refusing
        self._malformed = malformed

    def _reach(self, node: Node, outside: Outside | None = None, *, late: bool = False) -> BareConn:
        """Return a connection to the node; what that reaches is ``outside``."""
        reached = outside or Outside(self)
        network = self.network(lambda far: node(far, reached))
        conn = BareConn(network.connect("tcp", _NODE), late=late)
        keep(conn.close)
        return conn

    def _offers(self, network: str) -> str:
        if network not in self._networks_offered:
            raise NotTried(f"`networks` does not name {network}")
        return network

    async def _shake(self, connector: Connector, conn: Conn) -> Conn:
        """Do the connector's handshake if it has one."""
        if isinstance(connector, Handshaker):
            conn = await connector.handshake(Context(), conn)
            expect_found(conn, "handshake()")
        return conn

    def _failing(self) -> list[Node]:
        nodes = (_alone(ending), _alone(resetting), self._refusing, self._malformed)
        return [node for node in nodes if node is not None]


def _alone(peer: Peer) -> Node:
    """Return a node that reaches nobody."""
    return lambda conn, _: peer(conn)


class ConnectorContract(LifeCycle[Connector], _NodeContract[Connector], interface=Connector):
    # MANUAL fields from the check function
    """Check a connector.

    The check is the client, the connection to the node, and the targets, which send back what
    they get; ``node`` is what is between. If the connector has a handshake, the check does it
    first, and the node waits for it. A silent node and one that dies, and a target that refuses or
    that speaks first, need no hook.

    The connections that it gives are the affair of :func:`check_common_net_conn`.
    """

    make: Callable[[], Connector] = field(kw_only=False)
    """Makes a connector with no more options than it needs, not yet initialised."""
    node: Node = field(kw_only=False)
    """Plays the proxy node at its end of a connection: reads what the connector asks for, reaches
    it by the router's ``dial()``, and tells how that went; then carries the data both ways until
    one of them ends. The check closes its end. A handler of the same protocol, built over that
    router, will do."""
    networks: list[str] | tuple[str, ...] = _TCP
    """By what it reaches targets: "tcp", "udp" or both."""
    association_node: bool = False
    """Whether it offers ``udp`` with "" for its address."""
    metadata: Metadata | None = None
    """The settings that it needs; None = none."""
    bad_setting: tuple[str, object] | None = None
    """A key of its settings, and a value of a wrong type for it."""
    ping: Ping | None = None
    """Uses a connection, and raises unless it works; None = what is written comes back."""
    refusing_node: Node | None = None
    """A node that refuses the credentials, or refuses by rule."""
    malformed_node: Node | None = None
    """A node that sends what the protocol does not allow, then waits for the end."""
    secret: str | None = None
    """The password that ``make`` gives, or whatever else is never to be told."""

    def __init__(
        self,
        setup: Setup[Connector],
        node: Node,
        networks: list[str] | tuple[str, ...],
        association: bool,
        refusing: Node | None,
        malformed: Node | None,
    ) -> None:
        super().__init__(setup, node, networks, refusing, malformed)
        self._association = association
        self._network = networks[0]

    def first_use(self, component: Connector) -> Awaitable[object]:
        return component.connect(Context(), self._reach(self._node), self._network, _TARGET)

    async def _connecting(
        self,
        connector: Connector,
        conn: Conn,
        address: str = _TARGET,
        network: str | None = None,
        *opts: ConnectOption,
    ) -> Conn:
        """Connect, after the connector's handshake if it has one."""
        conn = await self._shake(connector, conn)
        result = await connector.connect(Context(), conn, network or self._network, address, *opts)
        expect_found(result, "connect()")
        keep(result.close)
        return result

    async def _connect(
        self,
        outside: Outside | None = None,
        address: str = _TARGET,
        network: str | None = None,
        *,
        late: bool = False,
    ) -> Conn:
        """Connect a connector of its own."""
        connector = await self.ready()
        conn = self._reach(self._node, outside, late=late)
        return await self.succeeds(self._connecting(connector, conn, address, network), "connect()")

    @clause("connect() gives a connection to the target, and it carries data.", "D5, D31")
    async def connects(self) -> None:
        connector, conn = await self.ready(), self._reach(self._node)

        async def use() -> None:
            await self.works(await self._connecting(connector, conn), "the connection")

        await within(use(), "connect()")

    @clause(
        "The result outlives the time limit and the task of the call.", "D4", after=("connects",)
    )
    async def outlives_call(self) -> None:
        connector, conn = await self.ready(), self._reach(self._node)
        result = await self.outlived(self._connecting(connector, conn), "connect()")
        await self.works(result, "the connection, after the task of connect() had ended,")

    @clause("The result has both addresses.", "D2, D5", after=("outlives_call",))
    async def addresses(self) -> None:
        expect_addresses(await self._connect(), "the result of connect()")

    @clause(
        "Any callable may be an option, and options are applied once each, in order.",
        "D23",
        after=("connects",),
    )
    async def options(self) -> None:
        connector = await self.ready()
        watch = OptionWatch(ConnectOptions)
        opts = watch.opts()
        conn = self._reach(self._node)
        await within(self._connecting(connector, conn, _TARGET, None, *opts), "connect()")
        watch.judge()

    # ---- The target

    @clause(
        "A name goes to the node as it is; nobody resolves it here.",
        "D12",
        after=("outlives_call",),
    )
    async def name_to_node(self) -> None:
        await self._expect_asked(_TARGET)

    @clause(
        "An address goes to the node as it is, IPv6 in brackets.", "D12", after=("name_to_node",)
    )
    async def address_to_node(self) -> None:
        await self._expect_asked(_TARGET_4)
        await self._expect_asked(_TARGET_6)

    async def _expect_asked(self, address: str) -> None:
        outside = Outside(self)
        await self.works(await self._connect(outside, address), f"the connection to {address}")
        asked = [asked for _, asked in outside.network.dials]
        expect(asked == [address], f"connect() to {address} had the node reach {asked}")

    @clause(
        "tcp4 and tcp6 are tcp: networks are told by how they begin.",
        "D11",
        after=("address_to_node",),
    )
    async def tcp_versions(self) -> None:
        for version in ("4", "6"):
            conn = await self._connect_by(self._offers("tcp"), version)
            await self.works(conn, f"the connection by tcp{version}")

    async def _connect_by(self, network: str, version: str) -> Conn:
        outside, address = Outside(self), _TARGET_4 if version == "4" else _TARGET_6
        conn = await self._connect(outside, address, network + version)
        for asked, _ in outside.network.dials:
            expect(
                asked.startswith(network),
                f"connect() by {network}{version} had the node reach by {asked!r}",
            )
        return conn

    @clause(
        "A network that is not offered raises UnsupportedError, before anything is sent.", "D15"
    )
    async def network_unsupported(self) -> None:
        await self._expect_nothing_sent("sctp", _TARGET, UnsupportedError)

    @clause("An address without host raises ValueError, before anything is sent.", "D12, D15")
    async def host_missing(self) -> None:
        await self._expect_nothing_sent(self._network, ":80", ValueError)

    async def _expect_nothing_sent(
        self, network: str, address: str, expected: type[Exception]
    ) -> None:
        connector, conn = await self.ready(), self._reach(self._node)
        shaken = await given(self._shake(connector, conn), "handshake()")
        before = conn.written
        call = connector.connect(Context(), shaken, network, address)
        await raises(call, f"connect() by {network!r} to {address!r}", expected)
        sent = conn.written - before
        expect(not sent, f"{sent} bytes were sent before connect() raised {expected.__name__}")

    # ---- Datagrams

    @clause("By udp, datagrams stay apart.", "D8", after=("outlives_call",))
    async def datagrams(self) -> None:
        conn = await self._connect(network=self._offers("udp"))
        await self._expect_datagrams(conn, "the connection by udp")

    @clause(
        "udp4 and udp6 are udp: networks are told by how they begin.",
        "D11",
        after=("address_to_node", "datagrams"),
    )
    async def udp_versions(self) -> None:
        for version in ("4", "6"):
            conn = await self._connect_by(self._offers("udp"), version)
            await self._expect_datagrams(conn, f"the connection by udp{version}")

    async def _expect_datagrams(self, conn: Conn, what: str) -> None:
        sent = [b"a", b"bc" * 600, b"d"]
        for data in sent:
            await within(conn.write(data), f"write() to {what}")
        received = [
            await within(conn.read(_ALL), f"read() of a datagram from {what}") for _ in sent
        ]
        expect(
            sorted(received) == sorted(sent),
            f"on {what}, datagrams of {[*map(len, sent)]} bytes came back as "
            f"{[*map(len, received)]}",
        )

    async def _associate(self, outside: Outside) -> tuple[Conn, PacketConn]:
        if not self._association:
            raise NotTried("`association` is False")
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
        outside = Outside(self)
        _, packets = await self._associate(outside)
        expected = {(b"to " + str(peer).encode(), str(peer)) for peer in _PEERS}
        for peer in _PEERS:
            await within(packets.write_to(b"to " + str(peer).encode(), peer), "write_to()")
        received: set[tuple[bytes, str]] = set()
        for _ in _PEERS:
            data, source = await within(packets.read_from(_ALL), "read_from()")
            received.add((data, str(source)))
        expect(received == expected, f"{expected} was expected back, {received} came")

    @clause(
        'By udp to "", read() and write() raise UnsupportedError.', "D9", after=("association",)
    )
    async def association_unconnected(self) -> None:
        conn, _ = await self._associate(Outside(self))
        await raises(conn.write(b"x"), "write() without an address", UnsupportedError)
        await raises(conn.read(1), "read() without an address", UnsupportedError)

    # ---- Bytes

    @clause(
        "A target that speaks first is heard, though nothing was written to it.",
        "D33",
        after=("outlives_call",),
    )
    async def target_speaks_first(self) -> None:
        outside = Outside(self)
        outside.greeting = GREETING
        await self.greeted(await self._connect(outside, _TARGET, self._offers("tcp")))

    @clause(
        "What arrives right behind the node's answer is not lost.",
        "D33",
        after=("target_speaks_first",),
    )
    async def early_bytes(self) -> None:
        outside = Outside(self)
        outside.greeting = GREETING
        await self.greeted(await self._connect(outside, _TARGET, self._offers("tcp"), late=True))

    @clause(
        "Connects at once, to several targets, each reach their own.",
        "D33",
        after=("name_to_node",),
    )
    async def concurrent(self) -> None:
        connector, outside = await self.ready(), Outside(self)
        targets = [f"target-{number}.example:80" for number in range(_CALLS)]
        conns = await self.succeeds(
            asyncio.gather(
                *(
                    self._connecting(connector, self._reach(self._node, outside), target)
                    for target in targets
                )
            ),
            f"one of {_CALLS} connects at once",
        )
        # A lazy one says where to go only now.
        for target, conn in reversed([*zip(targets, conns, strict=True)]):
            await within(conn.write(target.encode()), "write()")
        for target in targets:
            received = outside.received
            await self.eventually(
                lambda: target.encode() in received.values(),  # noqa: B023
                f"what was written to {target} arrived nowhere",
            )
            got = received.get(target, b"")
            expect(
                got == target.encode(), f"{target.encode()!r} was for {target}, which got {got!r}"
            )

    @clause(
        "A connect by udp changes nothing of what one by tcp sends, beside it or later.",
        "D33",
        after=("concurrent", "datagrams"),
    )
    async def calls_apart(self) -> None:
        for network in ("tcp", "udp"):
            self._offers(network)
        connector = await self.ready()
        for networks in (("tcp", "udp", "tcp"), ("tcp",)):
            outsides = [Outside(self) for _ in networks]
            calls = [
                self._connecting(connector, self._reach(self._node, outside), _TARGET, network)
                for network, outside in zip(networks, outsides, strict=True)
            ]
            conns = await self.succeeds(asyncio.gather(*calls), "connects by tcp and udp at once")
            for network, outside, conn in zip(networks, outsides, conns, strict=True):
                # A lazy one says where to go only when it is used.
                using = start(self.works(conn, f"the connection by {network}"))
                await self.eventually(
                    lambda: bool(outside.network.dials),  # noqa: B023
                    f"of connects by {', '.join(networks)}, one by {network} was never asked for",
                )
                asked = outside.network.dials[0][0]
                expect(
                    asked == network,
                    f"of connects by {', '.join(networks)}, one by {network} asked for {asked}",
                )
                await within(using, "using the connection")

    # ---- Owning

    @clause("Closing the result closes the connection beneath.", "D3", after=("outlives_call",))
    async def owns_conn(self) -> None:
        connector, conn = await self.ready(), self._reach(self._node)
        side = self.network(echo)
        call = self._connecting(connector, conn, _TARGET, None, dialer_connect_option(side))
        result = await self.succeeds(call, "connect()")
        await within(result.close(), "close() of the result")
        await self.eventually(
            lambda: conn.closed, "the result was closed, and the connection beneath was not"
        )
        await self.eventually(
            lambda: not side.is_used(),
            "the result was closed, and what the dialer in the options opened was not",
        )

    # ---- Failures

    @clause(
        "A target that the node cannot reach raises ConnectionRefusedError with its address.",
        "D15",
        after=("outlives_call",),
    )
    async def target_refused(self) -> None:
        outside = Outside(self)
        outside.network.error = ConnectionRefusedError("nobody listens there")
        connector, conn = await self.ready(), self._reach(self._node, outside)
        what = "connect() to a target that the node cannot reach"
        try:
            result = await within(self._connecting(connector, conn), what)
        except ConnectionRefusedError as error:
            expect(_TARGET in str(error), f"{what} raised {describe(error)}, without {_TARGET}")
        except Broken:
            raise
        except Exception as error:
            raise Broken(
                f"{what} raised {describe(error)} instead of ConnectionRefusedError"
            ) from error
        else:
            await self._expect_refused_later(result)

    async def _expect_refused_later(self, conn: Conn) -> None:
        """Break the clause if what a lazy connect gave goes on."""
        try:
            await within(conn.write(b"x"), "write() to a target that was refused")
            data = await within(conn.read(1), "read() from a target that was refused")
        except OSError:
            return
        expect(not data, f"from a target that the node cannot reach came {data!r}")

    @clause(
        "If the node ends or breaks off the connection, that is an OSError.",
        "D14",
        after=("outlives_call",),
    )
    async def node_dies(self) -> None:
        for peer in (ending, resetting):
            connector, conn = await self.ready(), self._reach(_alone(peer))
            what = "connect() by a node that goes away"
            try:
                # It may be left to the first use to notice.
                await within(self._connecting(connector, conn), what)
            except (OSError, Broken) as error:
                if isinstance(error, Broken):
                    raise
            except Exception as error:
                raise Broken(f"{what} raised {describe(error)} instead of OSError") from error

    @clause("A refusal by the node raises PermissionError.", "D15", after=("outlives_call",))
    async def refused(self) -> None:
        if self._refusing is None:
            raise NotTried("no `refusing` was given")
        await self._expect_failure(self._refusing, "that the node refuses", PermissionError)

    @clause("A malformed answer raises ProtocolError.", "D15", after=("outlives_call",))
    async def malformed(self) -> None:
        if self._malformed is None:
            raise NotTried("no `malformed` was given")
        await self._expect_failure(
            self._malformed, "with a malformed answer", ProtocolError, *ssl_errors()
        )

    async def _expect_failure(self, node: Node, what: str, *expected: type[Exception]) -> None:
        """Break the clause unless connect(), or the first use if it is lazy, raises."""
        connector, conn = await self.ready(), self._reach(node)

        async def use() -> None:
            result = await self._connecting(connector, conn)
            await result.write(b"x")
            await result.read(1)

        await raises(use(), f"connect() {what}", *expected)

    @clause(
        "When it raises, and the caller has closed the connection, nothing goes on and nothing "
        "is left open.",
        "D3, D20",
        after=("node_dies", "owns_conn"),
    )
    async def failure_frees(self) -> None:
        for node in self._failing():
            before = asyncio.all_tasks()
            connector, conn = await self.ready(), self._reach(node)
            side = self.network(echo)
            connecting = start(
                self._connecting(connector, conn, _TARGET, None, dialer_connect_option(side))
            )
            await within(asyncio.wait({connecting}), "connect()")
            if connecting.exception() is None:
                await given(connecting.result().close(), "close()")
            await within(conn.close(), "close() of the connection to the node")
            await self.eventually(
                lambda: not side.is_used(),  # noqa: B023
                "connect() had failed, and what the dialer in the options opened was open",
            )
            await self.no_task_left(before, "connect() had failed")

    @clause(
        "No credential is in the repr of the connector or in an error.",
        "D17",
        after=("outlives_call",),
    )
    async def secret_hidden(self) -> None:
        self.secret()
        for node in self._failing():
            connector, conn = await self.ready(), self._reach(node)
            await self.hidden_in_error(self._connecting(connector, conn), "connect()")
            self.hidden(repr(connector), "the repr")

    # ---- Silence

    @clause(
        "Cancelled while the node is silent, connect() ends promptly, as cancelled.",
        "D7, D14",
        after=("outlives_call",),
    )
    async def cancellable(self) -> None:
        connector, conn = await self.ready(), self._reach(_alone(silent))
        await self.cut_short(
            self._connecting(connector, conn), lambda: bool(conn.written), "connect()"
        )

    @clause(
        "Cancelled anywhere, and the connection closed by the caller, nothing goes on.",
        "D4, D20",
        after=("cancellable",),
    )
    async def cancel_frees(self) -> None:
        before = asyncio.all_tasks()
        connector, side = await self.ready(), self.network(echo)
        conns: list[BareConn] = []

        def begin() -> Awaitable[Conn]:
            conns.append(self._reach(_alone(silent)))
            option = dialer_connect_option(side)
            return self._connecting(connector, conns[-1], _TARGET, None, option)

        await self.cut_anywhere(begin)
        for conn in conns:
            await within(conn.close(), "close() of the connection to the node")
        await self.eventually(
            lambda: not side.is_used(),
            "connect() was cancelled, and what the dialer in the options opened was open",
        )
        await self.no_task_left(before, "connect() was cancelled")


# MANUAL @checks(ConnectorContract)
# MANUAL async def check_connector_connector(
# MANUAL     make: Callable[[], Connector],
# MANUAL     node: Node,
# MANUAL     /,
# MANUAL     *,
# MANUAL     networks: list[str] | tuple[str, ...] = _TCP,
# MANUAL     association: bool = False,
# MANUAL     metadata: Metadata | None = None,
# MANUAL     bad_setting: tuple[str, object] | None = None,
# MANUAL     ping: Ping | None = None,
# MANUAL     refusing: Node | None = None,
# MANUAL     malformed: Node | None = None,
# MANUAL     secret: str | None = None,
# MANUAL     time_limit: float = 5.0,
# MANUAL ) -> Report:
# MANUAL     """Check a connector.
# MANUAL 
# MANUAL     The check is the client, the connection to the node, and the targets, which send back what
# MANUAL     they get; ``node`` is what is between. If the connector has a handshake, the check does it
# MANUAL     first, and the node waits for it. A silent node and one that dies, and a target that refuses or
# MANUAL     that speaks first, need no hook.
# MANUAL 
# MANUAL     The connections that it gives are the affair of :func:`check_common_net_conn`.
# MANUAL 
# MANUAL     Args:
# MANUAL         make: makes a connector with no more options than it needs, not yet initialised.
# MANUAL         node: plays the proxy node at its end of a connection: reads what the connector asks for,
# MANUAL             reaches it by the router's ``dial()``, and tells how that went; then carries the data
# MANUAL             both ways until one of them ends. The check closes its end. A handler of the same
# MANUAL             protocol, built over that router, will do.
# MANUAL         networks: by what it reaches targets: "tcp", "udp" or both.
# MANUAL         association: whether it offers ``udp`` with "" for its address.
# MANUAL         metadata: the settings that it needs; None = none.
# MANUAL         bad_setting: a key of its settings, and a value of a wrong type for it.
# MANUAL         ping: uses a connection, and raises unless it works; None = what is written comes back.
# MANUAL         refusing: a node that refuses the credentials, or refuses by rule.
# MANUAL         malformed: a node that sends what the protocol does not allow, then waits for the end.
# MANUAL         secret: the password that ``make`` gives, or whatever else is never to be told.
# MANUAL         time_limit: seconds for each wait.
# MANUAL 
# MANUAL     Returns:
# MANUAL         The report, if no clause is broken.
# MANUAL 
# MANUAL     Raises:
# MANUAL         ContractError: some are; it lists them all.
# MANUAL     """
# MANUAL     setup = Setup(make, metadata, bad_setting, ping, secret)
# MANUAL     contract = ConnectorContract(setup, node, networks, association, refusing, malformed)
# MANUAL     return await run(contract, time_limit)


class ConnectorHandshakerContract(HandshakeContract[Connector], interface=Handshaker):
    # MANUAL fields from the check function
    """Check the handshake of a connector.

    The rest of the connector is the affair of :func:`check_connector_connector`, which takes the
    same factories. A silent node and one that dies need no hook.
    """

    make: Callable[[], Connector] = field(kw_only=False)
    """Makes a connector that has a handshake, with no more options than it needs, not yet
    initialised."""
    node: Node = field(kw_only=False)
    """Plays the proxy node at its end of a connection, as for :func:`check_connector_connector`. It
    may come to no more than the handshake."""
    network: str = "tcp"
    """By what the connector reaches the target, after the handshake."""
    metadata: Metadata | None = None
    """The settings that it needs; None = none."""
    ping: Ping | None = None
    """Uses a connection to a target, and raises unless it works; None = what is written comes back.
    """
    refusing_node: Node | None = None
    """A node that refuses the credentials."""
    malformed_node: Node | None = None
    """A node that sends what the protocol does not allow, then waits for the end."""
    pass_limit: Callable[[], Awaitable[object]] | None = None
    """Lets the time pass that the handshake limits itself to."""
    secret: str | None = None
    """The password that ``make`` gives, or whatever else is never to be told."""

    def __init__(
        self,
        setup: Setup[Connector],
        node: Node,
        network: str,
        refusing: Node | None,
        malformed: Node | None,
        pass_limit: Callable[[], Awaitable[object]] | None,
    ) -> None:
        def outside(one: Node) -> Peer:
            return lambda conn: one(conn, Outside(self))

        super().__init__(
            setup,
            outside(node),
            None if refusing is None else outside(refusing),
            None if malformed is None else outside(malformed),
            pass_limit,
        )
        self._network = network

    def shake(self, component: Connector, conn: Conn) -> Awaitable[Conn]:
        if not isinstance(component, Handshaker):
            raise NotTried("it has no handshake()")
        return component.handshake(Context(), conn)

    async def carries(self, component: Connector, conn: Conn, what: str) -> None:
        call = component.connect(Context(), conn, self._network, _TARGET)
        result = await self.succeeds(call, f"connect() over {what}")
        keep(result.close)
        await self.works(result, f"what connect() made of {what}")


# MANUAL @checks(ConnectorHandshakerContract)
# MANUAL async def check_connector_handshaker(
# MANUAL     make: Callable[[], Connector],
# MANUAL     node: Node,
# MANUAL     /,
# MANUAL     *,
# MANUAL     network: str = "tcp",
# MANUAL     metadata: Metadata | None = None,
# MANUAL     ping: Ping | None = None,
# MANUAL     refusing: Node | None = None,
# MANUAL     malformed: Node | None = None,
# MANUAL     pass_limit: Callable[[], Awaitable[object]] | None = None,
# MANUAL     secret: str | None = None,
# MANUAL     time_limit: float = 5.0,
# MANUAL ) -> Report:
# MANUAL     """Check the handshake of a connector.
# MANUAL 
# MANUAL     The rest of the connector is the affair of :func:`check_connector_connector`, which takes the
# MANUAL     same factories. A silent node and one that dies need no hook.
# MANUAL 
# MANUAL     Args:
# MANUAL         make: makes a connector that has a handshake, with no more options than it needs, not yet
# MANUAL             initialised.
# MANUAL         node: plays the proxy node at its end of a connection, as for
# MANUAL             :func:`check_connector_connector`. It may come to no more than the handshake.
# MANUAL         network: by what the connector reaches the target, after the handshake.
# MANUAL         metadata: the settings that it needs; None = none.
# MANUAL         ping: uses a connection to a target, and raises unless it works; None = what is written
# MANUAL             comes back.
# MANUAL         refusing: a node that refuses the credentials.
# MANUAL         malformed: a node that sends what the protocol does not allow, then waits for the end.
# MANUAL         pass_limit: lets the time pass that the handshake limits itself to.
# MANUAL         secret: the password that ``make`` gives, or whatever else is never to be told.
# MANUAL         time_limit: seconds for each wait.
# MANUAL 
# MANUAL     Returns:
# MANUAL         The report, if no clause is broken.
# MANUAL 
# MANUAL     Raises:
# MANUAL         ContractError: some are; it lists them all.
# MANUAL     """
# MANUAL     setup = Setup(make, metadata, None, ping, secret)
# MANUAL     contract = ConnectorHandshakerContract(setup, node, network, refusing, malformed, pass_limit)
# MANUAL     return await run(contract, time_limit)


class BinderContract(_NodeContract[Connector], interface=Binder):
    # MANUAL fields from the check function
    """Check the binding of a connector.

    The check is the client, the connection to the node, and the visitors who come to what the node
    has bound; ``node`` is what is between. The rest of the connector is the affair of
    :func:`check_connector_connector`, which takes the same factories.
    """

    make: Callable[[], Connector] = field(kw_only=False)
    """Makes a connector that can bind, with no more options than it needs, not yet initialised."""
    node: Node = field(kw_only=False)
    """Plays the proxy node at its end of a connection: reads what the connector asks for, binds by
    the router's ``bind()``, tells where, and passes on whoever comes, with the address, until the
    connection ends. The check closes its end."""
    networks: list[str] | tuple[str, ...] = _TCP
    """By what it binds: "tcp", or "tcp" and "udp"."""
    metadata: Metadata | None = None
    """The settings that it needs; None = none."""
    refusing_node: Node | None = None
    """A node that refuses the credentials, or refuses by rule."""
    malformed_node: Node | None = None
    """A node that sends what the protocol does not allow, then waits for the end."""
    unable_node: Node | None = None
    """A node that says that it cannot bind."""

    def __init__(
        self,
        setup: Setup[Connector],
        node: Node,
        networks: list[str] | tuple[str, ...],
        refusing: Node | None,
        malformed: Node | None,
        unable: Node | None,
    ) -> None:
        super().__init__(setup, node, networks, refusing, malformed)
        self._unable = unable

    async def _binding(
        self,
        connector: Connector,
        conn: Conn,
        address: str = ":0",
        network: str = "tcp",
        *opts: BindOption,
    ) -> Listener:
        """Bind, after the connector's handshake if it has one."""
        conn = await self._shake(connector, conn)
        listener = await self._binder(connector).bind(Context(), conn, network, address, *opts)
        expect_found(listener, "bind()")
        keep(listener.close)
        return listener

    @staticmethod
    def _binder(connector: Connector) -> Binder:
        if not isinstance(connector, Binder):
            raise NotTried("it has no bind()")
        return connector

    async def _bind(
        self,
        outside: Outside,
        address: str = ":0",
        network: str = "tcp",
        *opts: BindOption,
        late: bool = False,
    ) -> Listener:
        """Bind by a connector of its own."""
        connector = await self.ready()
        conn = self._reach(self._node, outside, late=late)
        return await self.succeeds(
            self._binding(connector, conn, address, network, *opts), "bind()"
        )

    async def _accept(self, listener: Listener) -> Conn:
        conn = await self.succeeds(listener.accept(), "accept()")
        keep(conn.close)
        return conn

    async def _expect_carries(self, visitor: Conn, conn: Conn) -> None:
        """Break the clause unless bytes go both ways."""
        for source, sink, word, way in (
            (visitor, conn, b"from the visitor", "from the visitor"),
            (conn, visitor, b"to the visitor", "to the visitor"),
        ):
            await within(source.write(word), f"write() {way}")
            received = b""
            while len(received) < len(word):
                if not (data := await within(sink.read(_ALL), f"read() of what went {way}")):
                    break
                received += data
            expect(received == word, f"{word!r} went {way}, and {received!r} arrived")

    @clause("The node listens, and what comes to it is accepted here, and carries data.", "D35")
    async def binds(self) -> None:
        connector, outside = await self.ready(), Outside(self)
        conn = self._reach(self._node, outside)

        async def use() -> None:
            listener = await self._binding(connector, conn)
            await self._expect_visit(outside, listener)

        await within(use(), "bind()")

    async def _expect_visit(self, outside: Outside, listener: Listener) -> None:
        await self._expect_carries(*await self._visit(outside, listener))

    async def _visit(self, outside: Outside, listener: Listener) -> tuple[Conn, Conn]:
        """Have a visitor come while accept() waits; return the visitor's end, and what came."""
        expect(bool(outside.listeners), "bind() returned, and the node did not listen")
        accepting = start(self._accept(listener))
        await settle()
        visitor = outside.listeners[0].visit()
        return visitor, await accepting

    @clause(
        "The listener outlives the time limit and the task of the call.", "D4", after=("binds",)
    )
    async def outlives_call(self) -> None:
        connector, outside = await self.ready(), Outside(self)
        conn = self._reach(self._node, outside)
        listener = await self.outlived(self._binding(connector, conn), "bind()")
        await self._expect_visit(outside, listener)

    @clause(
        'The node is asked for "", ":0", ":port", "0.0.0.0:port", "[::]:port" and "host:port" '
        "alike: the port as it is, no host as everywhere.",
        "D35",
        after=("outlives_call",),
    )
    async def address_forms(self) -> None:
        for address in _ADDRESSES:
            outside = Outside(self)
            try:
                await self._bind(outside, address)
            except (OSError, ValueError) as error:
                raise Broken(f"bind() to {address!r} raised {describe(error)}") from error
            asked = outside.binds[0][1]
            expect(
                _split(asked) == _split(address),
                f"bind() to {address!r} had the node listen on {asked!r}",
            )

    @clause("addr() is what the node bound, with its real port.", "D2, D25, D35", after=("binds",))
    async def bound_address(self) -> None:
        outside = Outside(self)
        listener = await self._bind(outside, ":0")
        addr, bound = listener.addr(), outside.listeners[0].addr()
        expect_found(addr, "addr()")
        expect(
            _split(str(addr))[1] == _split(str(bound))[1],
            f"the node listens on {bound}, and addr() is {addr}",
        )

    @clause(
        "What is accepted has the visitor's address as its remote one.",
        "D35",
        after=("outlives_call",),
    )
    async def visitor_address(self) -> None:
        outside = Outside(self)
        listener = await self._bind(outside)
        visitor, conn = await self._visit(outside, listener)
        expect_addresses(conn, "the accepted connection")
        remote = str(conn.remote_addr())
        expect(
            remote == str(visitor.local_addr()),
            f"{visitor.local_addr()} came, and the accepted connection is with {remote}",
        )

    @clause(
        "Options that say nothing leave room: a visitor who comes and writes before accept() is "
        "not lost.",
        "D24",
        after=("outlives_call",),
    )
    async def visitor_waits(self) -> None:
        outside = Outside(self)
        listener = await self._bind(outside)
        visitor = outside.listeners[0].visit()
        await given(visitor.write(b"early "), "the visitor's write()")
        await settle()
        conn = await self._accept(listener)
        received = b""
        while len(received) < 6:
            if not (data := await within(conn.read(_ALL), "read() from the visitor")):
                break
            received += data
        expect(received == b"early ", f"b'early ' was written, and {received!r} arrived")

    @clause(
        "Options that say nothing leave datagrams of 8000 bytes whole.",
        "D24",
        after=("visitor_waits",),
    )
    async def datagrams(self) -> None:
        network, outside = self._offers("udp"), Outside(self)
        listener = await self._bind(outside, ":0", network)
        visitor = outside.listeners[0].visit()
        sent = [b"a" * 8000, b"b"]
        for data in sent:
            await given(visitor.write(data), "the visitor's write()")
        conn = await self._accept(listener)
        received = [await within(conn.read(_ALL), "read() of a datagram") for _ in sent]
        expect(
            received == sent,
            f"datagrams of {[*map(len, sent)]} bytes were read as {[*map(len, received)]}",
        )

    @clause(
        "With the option mux many visitors may come, and they do not mix.",
        "Go's implementations",
        after=("visitor_address",),
    )
    async def many_visitors(self) -> None:
        outside = Outside(self)
        listener = await self._bind(outside, ":0", "tcp", mux_bind_option(True))
        visitors = {
            str(visitor.local_addr()): visitor
            for visitor in (outside.listeners[0].visit() for _ in range(_CALLS))
        }
        for _ in range(_CALLS):
            conn = await self._accept(listener)
            remote = str(conn.remote_addr())
            expect(remote in visitors, f"{remote} was accepted twice, or never came")
            await self._expect_carries(visitors.pop(remote), conn)

    @clause(
        "A visitor who comes right behind the node's answer is not lost.",
        "D33",
        after=("visitor_waits",),
    )
    async def early_visitor(self) -> None:
        outside = Outside(self)
        outside.expects_early_visitor = True
        listener = await self._bind(outside, late=True)
        await self._expect_carries(outside.visitors[0], await self._accept(listener))

    @clause(
        "Any callable may be an option, and options are applied once each, in order.",
        "D23",
        after=("binds",),
    )
    async def options(self) -> None:
        watch = OptionWatch(BindOptions)
        opts = watch.opts()
        await self._bind(Outside(self), ":0", "tcp", *opts)
        watch.judge()

    # ---- Closing

    @clause("Closing the listener ends the tunnel.", "D3, D35", after=("outlives_call",))
    async def close_ends_tunnel(self) -> None:
        connector, outside = await self.ready(), Outside(self)
        conn = self._reach(self._node, outside)
        listener = await self.succeeds(self._binding(connector, conn), "bind()")
        await within(listener.close(), "close()")
        await within(listener.close(), "a second close()")
        await self.eventually(
            lambda: conn.closed, "the listener was closed, and the connection beneath was not"
        )

    @clause(
        "Closing the listener wakes a waiting accept(), which raises ClosedError, and so does one "
        "after it.",
        "D1, D14",
        after=("close_ends_tunnel",),
    )
    async def close_wakes_accept(self) -> None:
        listener = await self._bind(Outside(self))
        accepting = start(listener.accept())
        await settle()
        await within(listener.close(), "close()")
        await raises(accepting, "the waiting accept()", ClosedError)
        await raises(listener.accept(), "accept() after close()", ClosedError)

    @clause(
        "When the node is gone, accept() raises an OSError.", "D14, D26", after=("outlives_call",)
    )
    async def node_lost(self) -> None:
        connector, outside = await self.ready(), Outside(self)
        conn = self._reach(self._node, outside)
        listener = await self.succeeds(self._binding(connector, conn), "bind()")
        accepting = start(listener.accept())
        await settle()
        await self.lose_peers()
        await raises(accepting, "accept(), when the node was gone,", OSError)

    # ---- Failures

    @clause(
        "A network that is not offered raises UnsupportedError, before anything is sent.", "D15"
    )
    async def network_unsupported(self) -> None:
        connector, conn = await self.ready(), self._reach(self._node)
        shaken = await given(self._shake(connector, conn), "handshake()")
        before = conn.written
        call = self._binder(connector).bind(Context(), shaken, "sctp", ":0")
        await raises(call, "bind() by 'sctp'", UnsupportedError)
        sent = conn.written - before
        expect(not sent, f"{sent} bytes were sent before bind() raised UnsupportedError")

    @clause(
        "If the node cannot bind, that is a BindUnsupportedError.", "D15, D16", after=("binds",)
    )
    async def unable(self) -> None:
        if self._unable is None:
            raise NotTried("no `unable` was given")
        connector, conn = await self.ready(), self._reach(self._unable)
        call = self._binding(connector, conn)
        await raises(call, "bind() at a node that cannot", BindUnsupportedError)

    @clause(
        "If the node ends or breaks off the connection, that is an OSError.",
        "D14",
        after=("binds",),
    )
    async def node_dies(self) -> None:
        for peer in (ending, resetting):
            connector, conn = await self.ready(), self._reach(_alone(peer))
            call = self._binding(connector, conn)
            await raises(call, "bind() at a node that goes away", OSError)

    @clause("A refusal by the node raises PermissionError.", "D15", after=("binds",))
    async def refused(self) -> None:
        if self._refusing is None:
            raise NotTried("no `refusing` was given")
        connector, conn = await self.ready(), self._reach(self._refusing)
        call = self._binding(connector, conn)
        await raises(call, "bind() that the node refuses", PermissionError)

    @clause("A malformed answer raises ProtocolError.", "D15", after=("binds",))
    async def malformed(self) -> None:
        if self._malformed is None:
            raise NotTried("no `malformed` was given")
        connector, conn = await self.ready(), self._reach(self._malformed)
        call = self._binding(connector, conn)
        await raises(call, "bind() with a malformed answer", ProtocolError, *ssl_errors())

    @clause(
        "When it raises, and the caller has closed the connection, nothing goes on.",
        "D3, D20",
        after=("node_dies",),
    )
    async def failure_frees(self) -> None:
        for node in self._failing():
            before = asyncio.all_tasks()
            connector, conn = await self.ready(), self._reach(node)
            binding = start(self._binding(connector, conn))
            await within(asyncio.wait({binding}), "bind()")
            if binding.exception() is None:
                raise NotTried("bind() did not fail")
            await within(conn.close(), "close() of the connection to the node")
            await self.no_task_left(before, "bind() had failed")

    @clause(
        "Cancelled while the node is silent, bind() ends promptly, as cancelled.",
        "D7, D14",
        after=("binds",),
    )
    async def cancellable(self) -> None:
        connector, conn = await self.ready(), self._reach(_alone(silent))
        await self.cut_short(self._binding(connector, conn), lambda: bool(conn.written), "bind()")

    @clause(
        "Cancelled anywhere, and the connection closed by the caller, nothing goes on.",
        "D4, D20",
        after=("cancellable",),
    )
    async def cancel_frees(self) -> None:
        before = asyncio.all_tasks()
        connector = await self.ready()
        conns: list[BareConn] = []

        def begin() -> Awaitable[Listener]:
            conns.append(self._reach(_alone(silent)))
            return self._binding(connector, conns[-1])

        await self.cut_anywhere(begin)
        for conn in conns:
            await within(conn.close(), "close() of the connection to the node")
        await self.no_task_left(before, "bind() was cancelled")


_ADDRESSES: Final[tuple[str, ...]] = (
    "",
    ":0",
    ":8080",
    "0.0.0.0:8080",
    "[::]:8080",
    "bind.example:8080",
)
_EVERYWHERE: Final[tuple[str, ...]] = ("", "0.0.0.0", "[::]", "::")


def _split(address: str) -> tuple[str, str]:
    """Return host and port; any host that means everywhere is "", and so is port 0."""
    host, _, port = address.rpartition(":")
    return "" if host in _EVERYWHERE else host, port.lstrip("0")


# MANUAL @checks(BinderContract)
# MANUAL async def check_connector_binder(
# MANUAL     make: Callable[[], Connector],
# MANUAL     node: Node,
# MANUAL     /,
# MANUAL     *,
# MANUAL     networks: list[str] | tuple[str, ...] = _TCP,
# MANUAL     metadata: Metadata | None = None,
# MANUAL     refusing: Node | None = None,
# MANUAL     malformed: Node | None = None,
# MANUAL     unable: Node | None = None,
# MANUAL     time_limit: float = 5.0,
# MANUAL ) -> Report:
# MANUAL     """Check the binding of a connector.
# MANUAL 
# MANUAL     The check is the client, the connection to the node, and the visitors who come to what the node
# MANUAL     has bound; ``node`` is what is between. The rest of the connector is the affair of
# MANUAL     :func:`check_connector_connector`, which takes the same factories.
# MANUAL 
# MANUAL     Args:
# MANUAL         make: makes a connector that can bind, with no more options than it needs, not yet
# MANUAL             initialised.
# MANUAL         node: plays the proxy node at its end of a connection: reads what the connector asks for,
# MANUAL             binds by the router's ``bind()``, tells where, and passes on whoever comes, with the
# MANUAL             address, until the connection ends. The check closes its end.
# MANUAL         networks: by what it binds: "tcp", or "tcp" and "udp".
# MANUAL         metadata: the settings that it needs; None = none.
# MANUAL         refusing: a node that refuses the credentials, or refuses by rule.
# MANUAL         malformed: a node that sends what the protocol does not allow, then waits for the end.
# MANUAL         unable: a node that says that it cannot bind.
# MANUAL         time_limit: seconds for each wait.
# MANUAL 
# MANUAL     Returns:
# MANUAL         The report, if no clause is broken.
# MANUAL 
# MANUAL     Raises:
# MANUAL         ContractError: some are; it lists them all.
# MANUAL     """
# MANUAL     setup = Setup(make, metadata, None, None, None)
# MANUAL     contract = BinderContract(setup, node, networks, refusing, malformed, unable)
# MANUAL     return await run(contract, time_limit)
