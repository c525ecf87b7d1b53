"""The example against the contract: one test for each clause of what its classes implement.

A clause that needs what the example does not offer is a skipped test.
"""

import asyncio
import io
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest
from typing_extensions import Buffer

from gost_core.auth import Authenticator
from gost_core.chain import Node, ProbeConfig, Router, metadata_node_option
from gost_core.common.net import Addr, Closer, Conn
from gost_core.common.url import Userinfo
from gost_core.connector import Handshaker, auth_option
from gost_core.context import Context
from gost_core.handler import Handler, auther_option, router_option
from gost_core.limiter import SCOPE_CLIENT, SCOPE_CONN, SCOPE_SERVICE
from gost_core.limiter.conn import ConnLimiter, Limiter
from gost_core.listener import Listener, Option, addr_option
from gost_core.logger import LogLevel
from gost_core.metadata import Metadata, Metadatable
from gost_core.routing import Request
from gost_core.selector import FailMarker, Markable, Marker
from gost_core.testing.admission import AdmissionContract
from gost_core.testing.auth import AuthenticatorContract
from gost_core.testing.bypass import BypassContract
from gost_core.testing.cache import CacheContract
from gost_core.testing.chain import (
    ChainerContract,
    ProbeResultReaderContract,
    RouteContract,
    RouterContract,
    TransporterContract,
)
from gost_core.testing.common.net import ConnContract, ConnUnwrapperContract, HalfCloserContract
from gost_core.testing.common.net import DialerContract as NetDialerContract
from gost_core.testing.common.net import ListenerContract as NetListenerContract
from gost_core.testing.connector import ConnectorContract, HandshakerContract
from gost_core.testing.dialer import DialerContract as DialerDialerContract
from gost_core.testing.handler import HandlerContract
from gost_core.testing.hop import HopContract, NodeListContract
from gost_core.testing.hosts import HostMapperContract
from gost_core.testing.limiter.conn import ConnLimiterContract
from gost_core.testing.limiter.conn import LimiterContract as PlacesContract
from gost_core.testing.limiter.rate import LimiterContract as RequestsContract
from gost_core.testing.limiter.rate import RateLimiterContract
from gost_core.testing.limiter.traffic import LimiterContract as BytesContract
from gost_core.testing.limiter.traffic import TrafficLimiterContract
from gost_core.testing.listener import ListenerContract as ListenerListenerContract
from gost_core.testing.logger import LoggerContract
from gost_core.testing.metadata import MetadatableContract, MetadataContract
from gost_core.testing.registry import RegistryContract
from gost_core.testing.resolver import ResolverContract
from gost_core.testing.routing import MatcherContract
from gost_core.testing.selector import (
    FilterContract,
    MarkableContract,
    MarkerContract,
    SelectorContract,
    StrategyContract,
)
from gost_core.testing.service import ServiceContract
from proxy.admission import NetworkAdmission
from proxy.auth import UserTable
from proxy.bypass import PatternBypass
from proxy.cache import MemoryCache
from proxy.chain.probe import Prober
from proxy.chain.route import HopChain, NodeRoute
from proxy.chain.router import RetryRouter
from proxy.chain.transporter import NodeTransporter
from proxy.connector.http import HTTPConnector
from proxy.connector.proxy import ProxyConnector
from proxy.connector.socks5 import SOCKS5Connector
from proxy.dialer.tcp import TCPDialer
from proxy.handler.http import HTTPHandler
from proxy.handler.proxy import ProxyHandler
from proxy.handler.socks5 import SOCKS5Handler
from proxy.hop import NodeHop
from proxy.hosts import TableHostMapper
from proxy.limiter.conn import CountedConn, HostConnLimiter, Places, take_place
from proxy.limiter.limited import LimitedConn
from proxy.limiter.rate import HostRateLimiter, Requests
from proxy.limiter.traffic import Bytes, ScopedTrafficLimiter
from proxy.listener.tcp import TCPListener
from proxy.logger import StandardLogger
from proxy.metadata import MemoryMetadata
from proxy.net.dialer import SystemDialer
from proxy.net.tcp import Readiness, TCPConn
from proxy.net.wrapper import PrefixedConn
from proxy.registry import MemoryRegistry
from proxy.resolver import DNSResolver
from proxy.routing import RequestMatcher
from proxy.selector import BackupFilter, FailFilter, FilteringSelector, PriorityFilter, RoundRobin
from proxy.service import TaskService
from tests.examples.dns_server import DNSServer

# Contracts wait much. The kit's own trials run on each Python, and what the example keeps on one.
pytestmark = pytest.mark.one_python

# ---- component, metadata, registry, logger


class TextLogger(StandardLogger):
    """Writes into a string."""

    def __init__(self, level: LogLevel) -> None:
        # Of a tree of its own, so that nothing else logs into it.
        super().__init__(logging.Manager(logging.RootLogger(logging.NOTSET)).getLogger("check"))
        self.text = io.StringIO()
        self._target.addHandler(logging.StreamHandler(self.text))
        self.set_level(level)

    def set_level(self, level: LogLevel) -> None:
        self._target.setLevel(logging.getLevelNamesMapping().get(level.name, 5))


async def lines(logger: TextLogger) -> Sequence[str]:
    return logger.text.getvalue().splitlines()


async def set_level(logger: TextLogger, level: LogLevel) -> None:
    logger.set_level(level)


TestMemoryMetadata = MetadataContract(MemoryMetadata).as_tests()
TestMemoryRegistry = RegistryContract(
    MemoryRegistry[MemoryMetadata], value=MemoryMetadata
).as_tests()
TestStandardLogger = LoggerContract(TextLogger, lines=lines, set_level=set_level).as_tests()


# ---- tcp, stream


class Breakable(TCPConn):
    """Can end as the connection of a program that crashes."""

    async def break_off(self) -> None:
        self.abort()


async def break_off(conn: Conn) -> None:
    assert isinstance(conn, Breakable)
    await conn.break_off()


async def bound(addr: Addr | str = "127.0.0.1:0") -> TCPListener:
    listener = TCPListener(addr_option(str(addr)))
    await listener.init(None)
    return listener


async def dial(addr: Addr) -> Conn:
    return await SystemDialer().dial(Context(), "tcp", str(addr))


async def accepted() -> tuple[Conn, Conn]:
    """Return a connection that a listener accepted, and its peer."""
    listener = await bound()
    host, _, port = str(listener.addr()).rpartition(":")
    peer = Breakable(socket.create_connection((host, int(port))), (host, int(port)))
    conn = await listener.accept()
    await listener.close()
    return conn, peer


async def dialed() -> tuple[Conn, Conn]:
    """Return a connection that a dialer opened, and its peer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        conn = await SystemDialer().dial(Context(), "tcp", "{}:{}".format(*server.getsockname()))
        peer = Breakable(*server.accept())
    return conn, peer


async def wrapped() -> tuple[Conn, Conn]:
    """Return a wrapped connection whose prefix has been read, and its peer."""
    inner, peer = await accepted()
    conn = PrefixedConn(inner, b"prefix")
    await conn.read(len(b"prefix"))
    return conn, peer


class Whole(Conn):
    """Cannot half-close."""

    def __init__(self, inner: Conn) -> None:
        self._inner = inner

    async def read(self, n: int, /) -> bytes:
        return await self._inner.read(n)

    async def write(self, data: Buffer, /) -> None:
        await self._inner.write(data)

    async def close(self) -> None:
        await self._inner.close()

    def local_addr(self) -> Addr:
        return self._inner.local_addr()

    def remote_addr(self) -> Addr:
        return self._inner.remote_addr()


async def unable() -> Conn:
    inner, peer = await accepted()
    await peer.close()
    return PrefixedConn(Whole(inner), b"")


class FailingSocket(socket.socket):
    """Fails to accept when it is told to."""

    error: OSError | None = None

    def accept(self) -> tuple[socket.socket, object]:
        error, self.error = self.error, None
        if error is not None:
            raise error
        return super().accept()


class FailingListener(TCPListener):
    """Listens at a socket that fails when it is told to."""

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        assert self._socket is not None
        self.socket = FailingSocket(fileno=self._socket.detach())
        self.socket.setblocking(False)
        self._socket = self.socket
        self._arrival = Readiness(self.socket)

    def fail(self, error: OSError) -> None:
        self.socket.error = error
        self._arrival.wake()


def loopback(option: Option) -> Listener:
    return FailingListener(addr_option("127.0.0.1:0"), option)


async def fail(listener: Listener, error: OSError) -> None:
    assert isinstance(listener, FailingListener)
    listener.fail(error)


TestAcceptedConn = ConnContract(accepted, break_off=break_off).as_tests()
TestDialedConn = ConnContract(dialed, break_off=break_off).as_tests()
TestPrefixedConn = ConnContract(wrapped, break_off=break_off).as_tests()
TestTCPConnHalfCloser = HalfCloserContract(accepted).as_tests()
TestPrefixedConnHalfCloser = HalfCloserContract(wrapped, make_unable=unable).as_tests()
TestPrefixedConnUnwrapper = ConnUnwrapperContract(lambda conn: PrefixedConn(conn, b"")).as_tests()
TestTCPListener = ListenerListenerContract(
    loopback,
    dial,
    bad_metadata=MemoryMetadata({"backlog": "many"}),
    fail=fail,
).as_tests()
TestBoundListener = NetListenerContract(bound, dial, make_at=bound).as_tests()
TestSystemDialer = NetDialerContract(SystemDialer, unresolvable_addr="host.invalid:80").as_tests()
TestTCPDialer = DialerDialerContract(TCPDialer).as_tests()


# ---- limits, access


class OneLimiter(ConnLimiter):
    """Has one limiter for all."""

    def __init__(self, places: Limiter) -> None:
        self._places = places

    def limiter(self, key: str, /) -> Limiter:
        return self._places


async def counted() -> tuple[Conn, Conn]:
    """Return a connection that has a place, and its peer."""
    inner, peer = await accepted()
    return take_place(inner, HostConnLimiter({}, others=1)), peer


async def limited() -> tuple[Conn, Conn]:
    """Return a connection whose limits are no hindrance, and its peer."""
    inner, peer = await accepted()
    return LimitedConn(Context(), inner, Bytes(1 << 30), Bytes(1 << 30)), peer


async def limited_unable() -> Conn:
    inner, peer = await accepted()
    await peer.close()
    return LimitedConn(Context(), Whole(inner), None, None)


def per_scope(scope: str) -> Callable[[Mapping[str, int]], ScopedTrafficLimiter]:
    """Return what makes a limiter with rules for one scope alone."""
    return lambda limits: ScopedTrafficLimiter({scope: limits})


TestPlaces = PlacesContract(
    Places,
    wrap=lambda conn, places: take_place(conn, OneLimiter(places)),
).as_tests()
TestHostConnLimiter = ConnLimiterContract(HostConnLimiter).as_tests()
TestRequests = RequestsContract(lambda limit: Requests(limit, burst=5)).as_tests()
TestHostRateLimiter = RateLimiterContract(HostRateLimiter).as_tests()
TestBytes = BytesContract(
    Bytes,
    wrap=lambda conn, budget: LimitedConn(Context(), conn, None, budget),
).as_tests()
TestTrafficOfConn = TrafficLimiterContract(
    per_scope(SCOPE_CONN), unserved_scope=SCOPE_CLIENT
).as_tests()
TestTrafficOfClient = TrafficLimiterContract(
    per_scope(SCOPE_CLIENT),
    scope=SCOPE_CLIENT,
    unserved_scope=SCOPE_SERVICE,
).as_tests()
TestTrafficOfService = TrafficLimiterContract(
    per_scope(SCOPE_SERVICE),
    scope=SCOPE_SERVICE,
    unserved_scope=SCOPE_CONN,
).as_tests()
TestCountedConn = ConnContract(counted, break_off=break_off).as_tests()
TestCountedConnHalfCloser = HalfCloserContract(counted).as_tests()
TestCountedConnUnwrapper = ConnUnwrapperContract(
    lambda conn: CountedConn(conn, Places(1))
).as_tests()
TestLimitedConn = ConnContract(limited, break_off=break_off).as_tests()
TestLimitedConnHalfCloser = HalfCloserContract(limited, make_unable=limited_unable).as_tests()
TestLimitedConnUnwrapper = ConnUnwrapperContract(
    lambda conn: LimitedConn(Context(), conn, Bytes(1 << 30), Bytes(1 << 30)),
).as_tests()
TestNetworkBlacklist = AdmissionContract(
    lambda: NetworkAdmission("192.0.2.0/24", "2001:db8::/32"),
    make_of=lambda rules: NetworkAdmission(*rules),
    admitted="198.51.100.7:1024",
    refused="[2001:db8::a]:1024",
    unmatched=True,
).as_tests()
TestNetworkWhitelist = AdmissionContract(
    lambda: NetworkAdmission("192.0.2.0/24", "2001:db8::/32", whitelist=True),
    admitted="[2001:db8::a]:1024",
    refused="198.51.100.7:1024",
    unmatched=False,
).as_tests()


# ---- handler, connector, socks5, http

USER = Userinfo("user", "open sesame")


def client(protocol: type[ProxyConnector]) -> Callable[[Conn, str], Awaitable[Conn]]:
    """Return what has a handler of the protocol reach a target."""
    return lambda conn, target: reach(protocol(), conn, target)


def user(protocol: type[ProxyConnector]) -> Callable[[Conn, str, str, str], Awaitable[Conn]]:
    """Return the same, for a client that has a password."""
    return lambda conn, target, name, password: reach(
        protocol(auth_option(Userinfo(name, password))), conn, target
    )


async def reach(connector: ProxyConnector, conn: Conn, target: str) -> Conn:
    await connector.init(None)
    try:
        if isinstance(connector, Handshaker):
            conn = await connector.handshake(Context(), conn)
        return await connector.connect(Context(), conn, "tcp", target)
    except BaseException:
        await conn.close()
        raise


def node(
    protocol: type[ProxyHandler], auther: Authenticator
) -> Callable[[Conn, Router], Awaitable[None]]:
    """Return what serves a connection as a proxy of the protocol does."""

    async def serve(conn: Conn, router: Router) -> None:
        handler = protocol(router_option(router), auther_option(auther))
        await handler.init(None)
        await handler.handle(Context(), conn)

    return serve


async def talk_nonsense(conn: Conn, router: Router) -> None:
    await conn.write(b"220 ready\r\n\r\n")
    while await conn.read(65536):
        pass


TestSOCKS5Handler = HandlerContract(
    SOCKS5Handler,
    connect=client(SOCKS5Connector),
    login=user(SOCKS5Connector),
).as_tests()
TestHTTPHandler = HandlerContract(
    HTTPHandler,
    connect=client(HTTPConnector),
    login=user(HTTPConnector),
).as_tests()
TestSOCKS5Connector = ConnectorContract(
    lambda: SOCKS5Connector(auth_option(USER)),
    node=node(SOCKS5Handler, UserTable(USER)),
    refusing=node(SOCKS5Handler, UserTable(Userinfo("user", "other"))),
    garbling=talk_nonsense,
    secret=USER.password,
).as_tests()
TestSOCKS5Handshaker = HandshakerContract(
    lambda: SOCKS5Connector(auth_option(USER)),
    node=node(SOCKS5Handler, UserTable(USER)),
    refusing=node(SOCKS5Handler, UserTable(Userinfo("user", "other"))),
    garbling=talk_nonsense,
    secret=USER.password,
).as_tests()
TestHTTPConnector = ConnectorContract(
    lambda: HTTPConnector(auth_option(USER)),
    node=node(HTTPHandler, UserTable(USER)),
    refusing=node(HTTPHandler, UserTable(Userinfo("user", "other"))),
    garbling=talk_nonsense,
    secret=USER.password,
).as_tests()
TestUserTable = AuthenticatorContract(
    lambda: UserTable(USER, Userinfo("other", "password"), Userinfo("", "nobody")),
    accepted_pair=("user", "open sesame"),
    client_id="user",
    refused_pair=("other", "open sesame"),
    nameless=("", "nobody"),
).as_tests()
TestNamelessUser = AuthenticatorContract(
    lambda: UserTable(Userinfo("", "open sesame")),
    nameless=("", "open sesame"),
    refused_pair=("", "other"),
).as_tests()


# ---- transport, hop, chain


class Item(Markable, Metadatable):
    """What is chosen among; unlike a node, it may be weakly referenced."""

    def __init__(self, metadata: Metadata | None = None) -> None:
        self._metadata = metadata
        self._marker = FailMarker()

    def metadata(self) -> Metadata | None:
        return self._metadata

    def marker(self) -> Marker:
        return self._marker


def node_with_metadata() -> Node:
    return Node("node", "192.0.2.1:80", metadata_node_option(MemoryMetadata({"weight": 2})))


TestFailMarker = MarkerContract(FailMarker).as_tests()
TestNodeMarkable = MarkableContract(node_with_metadata).as_tests()
TestNodeMetadatable = MetadatableContract(node_with_metadata).as_tests()
TestFailFilter = FilterContract(
    FailFilter[Item],
    item=Item,
    item_with=Item,
    honours=("maxFails", "failTimeout"),
).as_tests()
TestBackupFilter = FilterContract(
    BackupFilter[Item], item=Item, item_with=Item, honours=("backup",)
).as_tests()
TestPriorityFilter = FilterContract(
    PriorityFilter, item=lambda: Node("node", "192.0.2.1:80")
).as_tests()
TestRoundRobin = StrategyContract(RoundRobin[Item], item=Item, item_with=Item).as_tests()
TestFilteringSelector = SelectorContract(
    lambda: FilteringSelector(RoundRobin[Item](), FailFilter[Item](), BackupFilter[Item]()),
    item=Item,
    item_with=Item,
    honours=("backup", "maxFails", "failTimeout"),
).as_tests()
TestNodeHop = HopContract(lambda nodes: NodeHop(*nodes)).as_tests()
TestNodeList = NodeListContract(lambda nodes: NodeHop(*nodes)).as_tests()
TestHopChain = ChainerContract(lambda hops: HopChain(*hops)).as_tests()
TestNodeRoute = RouteContract(lambda nodes: NodeRoute(*nodes)).as_tests()
TestRetryRouter = RouterContract(RetryRouter).as_tests()
TestNodeTransporter = TransporterContract(NodeTransporter).as_tests()


# ---- probe, names, rules


class Told(Prober):
    """Tries nothing; it is told what comes of it."""

    def __init__(self, success: bool) -> None:
        super().__init__(ProbeConfig())
        self._success = success

    async def _try(self, ctx: Context, node: Node) -> None:
        if not self._success:
            raise ConnectionRefusedError(f"{node.addr} refuses")


async def probe(node: Node, success: bool) -> None:
    await Told(success).probe(node)


class ServedResolver(DNSResolver, Closer):
    """Comes with the server that it asks."""

    def __init__(self) -> None:
        self.server = DNSServer({"known.example": ["192.0.2.7", "2001:db8::7"]})
        super().__init__(self.server.address)

    async def close(self) -> None:
        self.server.close()


async def break_server(resolver: ServedResolver) -> None:
    resolver.server.broken = True


async def mend_server(resolver: ServedResolver) -> None:
    resolver.server.broken = False


TestProber = ProbeResultReaderContract(lambda: Node("node", "192.0.2.1:80"), probe=probe).as_tests()
TestTableHostMapper = HostMapperContract(TableHostMapper).as_tests()
TestMemoryCache = CacheContract(MemoryCache).as_tests()
TestDNSResolver = ResolverContract(
    ServedResolver,
    known="known.example",
    unknown="unknown.example",
    break_backend=break_server,
    mend_backend=mend_server,
).as_tests()
TestPatternBlacklist = BypassContract(
    lambda: PatternBypass("*.Example.com.", "192.0.2.0/24"),
    make_of=lambda rules: PatternBypass(*rules),
    bypassed="www.example.com:80",
    passed="example.net:80",
    unmatched=False,
).as_tests()
TestPatternWhitelist = BypassContract(
    lambda: PatternBypass("*.example.com", whitelist=True),
    bypassed="example.net:80",
    passed="www.example.com:80",
    unmatched=True,
).as_tests()
TestRequestMatcher = MatcherContract(
    lambda: RequestMatcher(
        host="*.example.com", path="/api", method="get", header={"accept": "text/*"}
    ),
    matching=Request(
        network="tcp",
        host="www.example.com",
        path="/api/users",
        method="GET",
        header={"Accept": ["text/html"]},
    ),
    other=Request(
        network="tcp",
        host="www.example.com",
        path="/apiary",
        method="GET",
        header={"Accept": ["text/html"]},
    ),
    positive=True,
).as_tests()


# ---- service


class ShortPauses(TaskService):
    """Ends its pauses when a function does; they are too long to end by themselves."""

    sleep: Callable[[float], Awaitable[None]]

    async def _pause(self, seconds: float) -> None:
        pausing = asyncio.ensure_future(super()._pause(1000 * seconds))
        sleeping = asyncio.ensure_future(self.sleep(seconds))
        try:
            await asyncio.wait({pausing, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pausing.cancel()
            sleeping.cancel()


def with_sleep(
    listener: Listener, handler: Handler, sleep: Callable[[float], Awaitable[None]]
) -> TaskService:
    service = ShortPauses(listener, handler)
    service.sleep = sleep
    return service


TestTaskService = ServiceContract(TaskService, with_sleep=with_sleep).as_tests()
