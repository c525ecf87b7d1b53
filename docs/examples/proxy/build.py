"""From what URLs say to nodes, hops and services."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from socket import gaierror, gethostname

from gost_core import chain, connector, handler, listener
from gost_core.bypass import Bypass
from gost_core.chain import Node, Router
from gost_core.common.net import Closer
from gost_core.common.url import Userinfo
from gost_core.hop import Hop
from gost_core.ingress import Rule
from gost_core.limiter import SCOPE_CONN
from gost_core.logger import default
from gost_core.metrics import Metrics
from gost_core.observer import Observer
from gost_core.observer.stats import Stats
from gost_core.recorder import RecorderObject
from gost_core.sd import SD, Service

from .admission import NetworkAdmission
from .auth import UserTable
from .bypass import PatternBypass
from .chain.probe import Prober
from .chain.router import RetryRouter
from .chain.transporter import NodeTransporter
from .hop import IngressHop, NodeHop
from .ingress import MemoryIngress
from .limiter.conn import HostConnLimiter
from .limiter.rate import HostRateLimiter
from .limiter.traffic import ScopedTrafficLimiter
from .metadata import text, whole
from .metrics.instruments import MeasuredCounts
from .net.hosts import normal_target
from .observer.stats import Counts
from .plugins import connectors, dialers, handlers, listeners
from .sd.memory import registered
from .service import TaskService
from .urls import Address, Settings


@dataclass(slots=True)
class Shared:
    """What all services have in common, beside the router: a directory, and who watches them."""

    sd: SD
    recorders: Sequence[RecorderObject] = ()
    observer: Observer | None = None
    metrics: Metrics | None = None


async def make_node(address: Address, stack: AsyncExitStack) -> Node:
    """Make the node that a URL of -F stands for; what must be closed goes on the stack (D19)."""
    settings = address.settings
    dial = dialers.named(address.transport or "tcp")()
    connect = connectors.named(address.protocol)(connector.auth_option(address.auth))
    await dial.init(settings)
    if isinstance(dial, Closer):
        stack.push_async_callback(dial.close)
    await connect.init(settings)
    transport = NodeTransporter(dial, connect, chain.addr_transport_option(address.addr))
    return Node(
        str(address),
        address.addr,
        chain.transport_node_option(transport),
        chain.priority_node_option(whole(settings, "priority", 0)),
        chain.bypass_node_option(_bypass(settings)),
    )


async def make_hop(addresses: Sequence[Address], stack: AsyncExitStack) -> Hop:
    """Make the hop that one -F stands for."""
    settings = addresses[0].settings
    try:
        nodes = [await make_node(address, stack) for address in addresses]
        interval = settings.limit("probe")
        settings.check_read()
    except ValueError as error:
        raise ValueError(f"argument -F: {addresses[0]}: {error}") from error
    if interval:
        prober = Prober(chain.ProbeConfig(type=chain.ProbeType.TCP, interval=interval))
        stack.push_async_callback(prober.close)
        for node in nodes:
            prober.start(node)
    return NodeHop(*nodes)


async def make_service(
    address: Address, router: Router, shared: Shared, stack: AsyncExitStack
) -> TaskService:
    """Make the service that a URL of -L stands for, bound to its address."""
    settings, name = address.settings, str(address)
    stats: Stats | None = None  # counting costs something for each piece that goes through
    if shared.metrics:
        stats = MeasuredCounts(shared.metrics, name)
    elif shared.observer:
        stats = Counts()
    try:
        # What is bound through the chain brings its clients here, and their targets are here.
        here = RetryRouter() if address.protocol == "rtcp" else router
        handle = _handler(address, here, shared)
        listen = _listener(address, router, stats)
        await handle.init(settings)
        if isinstance(handle, Closer):
            stack.push_async_callback(handle.close)
        await listen.init(settings)
        stack.push_async_callback(listen.close)
        name_there = text(settings, "register")
        settings.check_read()
    except (ValueError, gaierror) as error:
        raise ValueError(f"argument -L: {address}: {error}") from error
    except OSError as error:
        raise OSError(f"cannot listen on {address}: {error}") from error
    if name_there:
        at = str(listen.addr())
        service = Service(id=at, name=name_there, node=gethostname(), network="tcp", address=at)
        await stack.enter_async_context(registered(shared.sd, service))
    default().infof("listening on %s://%s", address.scheme, listen.addr())
    return TaskService(
        listen,
        handle,
        name=name,
        recorders=shared.recorders,
        stats=stats,
        metrics=shared.metrics,
        observer=shared.observer,
    )


def _handler(address: Address, router: Router, shared: Shared) -> handler.Handler:
    settings = address.settings
    for key in ("idleTimeout", "backlog"):  # which the handler and the listener read
        settings.limit(key)
    requests = settings.limit("rlimiter")
    kind = address.protocol if handlers.is_registered(address.protocol) else "forward"
    made = handlers.named(kind)(
        handler.router_option(router),
        handler.auther_option(_users(address.auth)),
        handler.bypass_option(_bypass(settings)),
        handler.rate_limiter_option(HostRateLimiter({}, others=requests) if requests else None),
        handler.service_option(str(address)),
    )
    if isinstance(made, handler.Forwarder):
        made.forward(_targets(address, shared.sd))
    elif address.target:
        raise ValueError("it goes where its clients want, so no target stands behind the address")
    return made


def _users(user: Userinfo | None) -> UserTable | None:
    if user is not None and not (user.password or "").strip():  # as an unset variable leaves it
        raise ValueError("the user in front of the @ has no password")
    return None if user is None else UserTable(user)


def _targets(address: Address, sd: SD) -> Hop:
    rules = [rule.partition("=") for rule in text(address.settings, "ingress").split(",")]
    if rules != [("", "", "")]:
        if not all(host and endpoint.strip() for host, _, endpoint in rules):
            raise ValueError("'ingress' must be HOST=SERVICE, several with commas between them")
        known = [Rule(hostname=host, endpoint=endpoint) for host, _, endpoint in rules]
        return IngressHop(MemoryIngress(*known), sd)
    if not address.target:
        raise ValueError("where to send clients is missing: write host:port/TARGET, or 'ingress'")
    targets = [normal_target(target) for target in address.target.split(";")]
    return NodeHop(*[Node(target, target) for target in targets])


def _listener(address: Address, router: Router, stats: Stats | None) -> listener.Listener:
    settings = address.settings
    # rtcp://, say, is a listener of that name, and a handler that forwards.
    of_protocol = address.protocol if listeners.is_registered(address.protocol) else "tcp"
    networks, whitelist = settings.rules("admission")
    admission = NetworkAdmission(*networks, whitelist=whitelist) if networks else None
    limit, places = settings.whole_limit("limiter"), settings.whole_limit("climiter")
    traffic = ScopedTrafficLimiter({SCOPE_CONN: {"*": limit}}) if limit else None
    return listeners.named(address.transport or of_protocol)(
        listener.addr_option(address.addr),
        listener.admission_option(admission),
        listener.conn_limiter_option(HostConnLimiter({}, others=places) if places else None),
        listener.traffic_limiter_option(traffic),
        listener.stats_option(stats),
        listener.router_option(router),
        listener.service_option(str(address)),
    )


def _bypass(settings: Settings) -> Bypass | None:
    patterns, whitelist = settings.rules("bypass")
    return PatternBypass(*patterns, whitelist=whitelist) if patterns else None
