"""Chains: nodes, routes through them, and what opens connections by a route.

A :class:`Chainer` finds a :class:`Route` for each request; the route goes through :class:`Node`
after node, each reached by its :class:`Transporter`; a :class:`Router` does all of this for a
handler or a reverse listener, with name resolution and further attempts.
"""

import copy
import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NoReturn, TypeAlias, final

from typing_extensions import Protocol, runtime_checkable

from gost_core import connector
from gost_core.auth import Authenticator
from gost_core.bypass import Bypass
from gost_core.common.net import Conn, Listener
from gost_core.context import Context
from gost_core.hosts import HostMapper
from gost_core.logger import Logger
from gost_core.metadata import Metadata, Metadatable
from gost_core.options import FieldOption, apply
from gost_core.recorder import RecorderObject
from gost_core.resolver import Resolver
from gost_core.rewriter import Rewriter
from gost_core.routing import Matcher
from gost_core.selector import FailMarker, Markable, Marker

__all__ = (
    "BindOption",
    "BindOptions",
    "Chainer",
    "DialOption",
    "DialOptions",
    "EmptyRouteError",
    "FailCodes",
    "HTTPBodyRewriteSettings",
    "HTTPNodeSettings",
    "HTTPURLRewriteSetting",
    "Node",
    "NodeFilterSettings",
    "NodeOption",
    "NodeOptions",
    "ProbeConfig",
    "ProbeResult",
    "ProbeResultReader",
    "ProbeType",
    "Route",
    "RouteCarrier",
    "RouteOption",
    "RouteOptions",
    "Router",
    "RouterOption",
    "RouterOptions",
    "SockOpts",
    "TLSNodeSettings",
    "TLSOptions",
    "TransportOption",
    "TransportOptions",
    "Transporter",
    "addr_transport_option",
    "backlog_bind_option",
    "bypass_node_option",
    "chain_router_option",
    "host_mapper_node_option",
    "host_mapper_router_option",
    "http_node_option",
    "interface_dial_option",
    "interface_router_option",
    "interface_transport_option",
    "logger_bind_option",
    "logger_dial_option",
    "logger_router_option",
    "matcher_body_size_node_option",
    "matcher_node_option",
    "metadata_node_option",
    "mux_bind_option",
    "netns_dial_option",
    "netns_router_option",
    "netns_transport_option",
    "network_node_option",
    "node_filter_option",
    "priority_node_option",
    "recorders_router_option",
    "resolver_node_option",
    "resolver_router_option",
    "retries_router_option",
    "route_transport_option",
    "sock_opts_dial_option",
    "sock_opts_router_option",
    "sock_opts_transport_option",
    "timeout_router_option",
    "tls_node_option",
    "transport_node_option",
    "udp_conn_ttl_bind_option",
    "udp_data_buffer_size_bind_option",
    "udp_data_queue_size_bind_option",
    "with_host_route_option",
)


class EmptyRouteError(OSError):
    """A chain is configured, but its route has no node to bind at (D36).

    Final for the call of the Router. A reverse listener makes a BindError of it, since the hop may
    be filled later (D16).
    """


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class SockOpts:
    """Settings of a socket."""

    mark: int = 0
    """The socket's mark (``SO_MARK``); 0 = none (D24)."""


# ---- Probes


class ProbeType(StrEnum):
    """How a probe finds out whether a node works."""

    TCP = "tcp"
    """Dial and handshake."""
    HTTP = "http"
    """An HTTP request, whose status must be the expected one."""
    CMD = "cmd"
    """A command, which must exit with status 0."""


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class ProbeConfig:
    """How, and how often, to probe.

    The first probe runs at once. A success resets the marker and a failure marks it; either leaves
    a :class:`ProbeResult` (D46). A probe of type http also finds a proxy that connects and then
    says nothing, which those who use the node cannot tell from a silent target (D43).
    """

    type: ProbeType = ProbeType.TCP
    """What kind of probe."""
    addr: str = ""
    """What a probe of a chain connects to; a probe of a node goes to the node itself."""
    interval: float = 0.0
    """Seconds from one probe to the next; 0 = 30 (D46)."""
    timeout: float = 0.0
    """Seconds for all of one probe; 0 = 10 (D46). The probe tells it as the TIME_LIMIT (D69)."""
    http_path: str = ""
    """The path to request; "" = "/" (D46)."""
    http_host: str = ""
    """The host to name in the request; "" = ``addr`` (D46)."""
    http_headers: Mapping[str, str] = field(default_factory=dict[str, str], hash=False, repr=False)
    """Headers to send. They may hold credentials, so the ``repr`` leaves them out (D17)."""
    expected_status: int = 0
    """The one status that is a success; 0 = 200 (D46)."""
    command: str = field(default="", repr=False)
    """A line for the shell. It comes from the operator and is trusted; no part of it may come from
    a client (D46). It may hold credentials, so the ``repr`` leaves it out (D17)."""


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class ProbeResult:
    """How a probe ended."""

    success: bool = False
    """Whether the node works."""
    latency: float = 0.0
    """How long the probe took, in seconds."""
    error: str = ""
    """What failed, without credentials (D17); "" after a success."""
    timestamp: float = 0.0
    """When the probe ended, in POSIX seconds."""


@runtime_checkable
class ProbeResultReader(Protocol):
    """Something that is probed, such as a node; strategies that choose by latency read it.

    Checked by :class:`gost_core.testing.chain.ProbeResultReaderContract`.
    """

    __slots__ = ()

    @abstractmethod
    def probe_result(self) -> ProbeResult | None:
        """Return the latest result, or None if no probe has ended yet (D43)."""
        ...


# ---- Settings of a node


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class NodeFilterSettings:
    """Which requests a node serves; all that is set must fit, and "" fits everything."""

    protocol: str = ""
    """The application protocol, in lower case, such as ``http`` (D48); "" = any."""
    host: str = ""
    """The host; ``.d`` = everything below d, and not d itself, "" = any. To a host that is set, a
    request without one does not fit. It is brought to the one form of a host where the setting is
    read (D12)."""
    path: str = ""
    """What the path begins with; "" = any path."""


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class HTTPURLRewriteSetting:
    """A replacement in the path of a request (D67)."""

    pattern: re.Pattern[str]
    """What to search for in the percent-decoded path."""
    replacement: str = ""
    """What to put there: a template of :meth:`re.Match.expand`, with ``\\1`` and ``\\g<name>``.
    A "?" begins a query, which takes the place of the client's; without one the client's query
    stays. A result that is empty changes nothing (D67)."""


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class HTTPBodyRewriteSettings:
    """A replacement in the body of a message. All rules that fit apply, in order (D68).

    They see the decoded body: what is encoded is decoded first, or passes unchanged where the
    encoding is not known, and the headers follow (D68).
    """

    type: str = ""
    """Which media types: "" = text/html, or any if there is a rewriter; "*" = any; else a list
    separated by commas. ``json:<path>`` = that field of a JSON document (D68)."""
    pattern: re.Pattern[bytes] | None = None
    """What to search for; None = everything. If there is a rewriter too, the pattern only decides
    whether the rule applies (D68)."""
    replacement: bytes = b""
    """What to put there: a template of :meth:`re.Match.expand`."""
    rewriter: Rewriter | None = None
    """What replaces the whole body, or each event, in place of ``replacement``; None = nothing."""
    max_chunk_size: int = 0
    """The longest body, in bytes, that is rewritten; longer ones pass unchanged. In an event stream
    it holds for each event. The largest of all rules counts; 0 = 1 MiB (D68)."""


@final
class FailCodes(tuple[int, ...]):
    """Status codes of HTTP that mean failure, made as a tuple is: ``FailCodes((404, 5))`` (D76).

    A code below 100 stands for its whole class: 5 for 500 to 599. It is a tuple, so it cannot be
    weakly referenced.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"FailCodes({super().__repr__()})"

    def match(self, status_code: int, /) -> bool:
        """Tell whether ``status_code`` means failure; False where no codes are given."""
        return any(code == (status_code // 100 if code < 100 else status_code) for code in self)


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class HTTPNodeSettings:
    """How HTTP is changed on its way to a target and back; what is empty changes nothing."""

    host: str = ""
    """What the host header becomes; "" = as it is."""
    request_header: Mapping[str, str] = field(
        default_factory=dict[str, str], hash=False, repr=False
    )
    """Headers to set in the request; an empty value deletes (D67). They may hold credentials, so
    the ``repr`` leaves them out (D17)."""
    response_header: Mapping[str, str] = field(
        default_factory=dict[str, str], hash=False, repr=False
    )
    """Headers to set in the response, after everything else (D67). The ``repr`` leaves them out."""
    auther: Authenticator | None = None
    """Who may send requests; None = everybody. An exception refuses (D49)."""
    rewrite_url: Sequence[HTTPURLRewriteSetting] = field(default=(), hash=False)
    """Replacements in the path; the first that fits wins (D67). Empty = none."""
    rewrite_response_body: Sequence[HTTPBodyRewriteSettings] = field(default=(), hash=False)
    """Replacements in the bodies of responses; all that fit apply, in order (D68). Empty = none."""
    rewrite_request_body: Sequence[HTTPBodyRewriteSettings] = field(default=(), hash=False)
    """Replacements in the bodies of requests; all that fit apply, in order (D68). Empty = none."""
    fail_codes: FailCodes = field(default=FailCodes())
    """Which status codes of a response mean that the node has failed; empty = none. The client
    still gets such a response, and the request is not tried again. The node is marked, for later
    choices (D76).
    """


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class TLSOptions:
    """Versions and algorithms.

    What is unknown, or cannot be set, is a ValueError in ``init()`` and never dropped (D66).
    """

    min_version: str = ""
    """The lowest version, by Go's name, in any case, such as "VersionTLS12"; "" = the library's
    (D66)."""
    max_version: str = ""
    """The highest version, by Go's name as the lowest; "" = the library's (D66)."""
    cipher_suites: list[str] | tuple[str, ...] = field(default=(), hash=False)
    """IANA names of cipher suites; empty = the library's (D66)."""
    alpn: list[str] | tuple[str, ...] = field(default=(), hash=False)
    """Application protocols in order of preference; empty = none (D66)."""


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class TLSNodeSettings:
    """How TLS is spoken to a target. That the settings are there means TLS (D66)."""

    server_name: str = ""
    """The name to send and to verify; "" = the host of the node's address. With ``secure`` and
    neither of them there is no name to check, which is a ValueError (D66)."""
    secure: bool = False
    """Whether to verify the target. False = its certificate is not looked at (D66)."""
    options: TLSOptions = field(default_factory=TLSOptions)
    """Versions and algorithms."""


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class NodeOptions:
    """What a node is.

    Once other parts of the program can see a node, its options are not changed any more. To change
    them, make a copy of the node (D41).
    """

    network: str = ""
    """For targets: the network in place of the request's, such as ``tcp`` (D11); "" = the
    request's."""
    transport: "Transporter | None" = None
    """How the node is reached; None for the targets of a forwarder."""
    bypass: Bypass | None = None
    """Destinations for which the node is skipped (D47); None = none."""
    resolver: Resolver | None = None
    """What resolves the node's own address; None = nothing does."""
    host_mapper: HostMapper | None = None
    """What maps the node's own address, before the resolver (D39); None = nothing does."""
    filter: NodeFilterSettings | None = None
    """Which requests the node serves; None = all. Ignored if there is a matcher."""
    http: HTTPNodeSettings | None = None
    """How HTTP is changed; None = not at all."""
    tls: TLSNodeSettings | None = None
    """How TLS is spoken to the target; None = it is not."""
    metadata: Metadata | None = None
    """What selectors read: ``weight`` and ``maxFails`` are whole numbers, ``failTimeout`` is a
    finite number of seconds, ``backup`` a bool. If nodes are built from text, the builder converts
    the values, and refuses what cannot be converted (D45). None = none of it."""
    matcher: Matcher | None = None
    """Which requests the node serves; None = ask the filter."""
    matcher_body_size: int = 0
    """How many bytes of a decoded body the matcher wants to see. The largest of the hop's nodes
    counts, at most 10 MiB; 0 = none (D68)."""
    priority: int = 0
    """A unique highest number above 0 wins over the selector; 0 is neutral, and a negative one
    never wins (D45)."""


NodeOption: TypeAlias = Callable[[NodeOptions], object]


def transport_node_option(transport: "Transporter | None", /) -> NodeOption:
    """Set ``NodeOptions.transport``.

    How the node is reached; None for the targets of a forwarder.
    """
    return FieldOption(NodeOptions, "transport", transport)


def bypass_node_option(bypass: Bypass | None, /) -> NodeOption:
    """Set ``NodeOptions.bypass``.

    Destinations for which the node is skipped (D47); None = none.
    """
    return FieldOption(NodeOptions, "bypass", bypass)


def resolver_node_option(resolver: Resolver | None, /) -> NodeOption:
    """Set ``NodeOptions.resolver``.

    What resolves the node's own address; None = nothing does.
    """
    return FieldOption(NodeOptions, "resolver", resolver)


def host_mapper_node_option(host_mapper: HostMapper | None, /) -> NodeOption:
    """Set ``NodeOptions.host_mapper``.

    What maps the node's own address, before the resolver (D39); None = nothing does.
    """
    return FieldOption(NodeOptions, "host_mapper", host_mapper)


def network_node_option(network: str, /) -> NodeOption:
    """Set ``NodeOptions.network``.

    For targets: the network in place of the request's, such as ``tcp`` (D11); "" = the
    request's.
    """
    return FieldOption(NodeOptions, "network", network)


def node_filter_option(filter: NodeFilterSettings | None, /) -> NodeOption:
    """Set ``NodeOptions.filter``.

    Which requests the node serves; None = all. Ignored if there is a matcher.
    """
    return FieldOption(NodeOptions, "filter", filter)


def http_node_option(http: HTTPNodeSettings | None, /) -> NodeOption:
    """Set ``NodeOptions.http``.

    How HTTP is changed; None = not at all.
    """
    return FieldOption(NodeOptions, "http", http)


def tls_node_option(tls: TLSNodeSettings | None, /) -> NodeOption:
    """Set ``NodeOptions.tls``.

    How TLS is spoken to the target; None = it is not.
    """
    return FieldOption(NodeOptions, "tls", tls)


def metadata_node_option(metadata: Metadata | None, /) -> NodeOption:
    """Set ``NodeOptions.metadata``.

    What selectors read: ``weight`` and ``maxFails`` are whole numbers, ``failTimeout`` is a
    finite number of seconds, ``backup`` a bool. If nodes are built from text, the builder converts
    the values, and refuses what cannot be converted (D45). None = none of it.
    """
    return FieldOption(NodeOptions, "metadata", metadata)


def matcher_node_option(matcher: Matcher | None, /) -> NodeOption:
    """Set ``NodeOptions.matcher``.

    Which requests the node serves; None = ask the filter.
    """
    return FieldOption(NodeOptions, "matcher", matcher)


def matcher_body_size_node_option(size: int, /) -> NodeOption:
    """Set ``NodeOptions.matcher_body_size``.

    How many bytes of a decoded body the matcher wants to see. The largest of the hop's nodes
    counts, at most 10 MiB; 0 = none (D68).
    """
    return FieldOption(NodeOptions, "matcher_body_size", size)


def priority_node_option(priority: int, /) -> NodeOption:
    """Set ``NodeOptions.priority``.

    A unique highest number above 0 wins over the selector; 0 is neutral, and a negative one
    never wins (D45).
    """
    return FieldOption(NodeOptions, "priority", priority)


@final
class Node(Markable, Metadatable, ProbeResultReader):
    """A proxy of a chain, or a target of a forwarder.

    Nodes are compared by identity: two with the same name and address are two nodes (D40). Once
    other parts of the program can see a node, its name, address and options stay as they are; to
    change them, make a :meth:`copy`. It cannot be pickled or copied deeply, since its failures
    would be counted apart (D41).

    Args:
        name: a label, unique in its hop (D40); identifies nothing.
        addr: where it is, mostly as ``host:port`` (D12). The address of a target may lack a port,
            be a path, or be "".
        opts: None is skipped.
    """

    __slots__ = (
        "__weakref__",
        "_marker",
        "_options",
        "_probe_cancel",
        "_probe_result",
        "addr",
        "name",
    )

    name: str
    """Its label; the same for as long as it lives."""
    addr: str
    """Where the node is, mostly as host:port (D12); the same for as long as it lives."""

    def __init__(self, name: str, addr: str, /, *opts: NodeOption | None) -> None:
        self.name = name
        self.addr = addr
        self._options = apply(NodeOptions(), *opts)
        self._marker: Marker = FailMarker()
        self._probe_result: ProbeResult | None = None
        self._probe_cancel: Callable[[], bool | None] | None = None

    def __repr__(self) -> str:
        return f"<Node {self.name!r} at {self.addr!r}>"

    def options(self) -> NodeOptions:
        """Return the options object that the node uses, not a copy of it (D23)."""
        return self._options

    def metadata(self) -> Metadata | None:
        """Return what selectors read, from the options; None = none."""
        return self._options.metadata

    def marker(self) -> Marker:
        """Return the marker of the node's failures, which its copies share (D41)."""
        return self._marker

    def copy(self) -> "Node":
        """Return another node that stands for the same proxy.

        It has its own options, with the same values, and the same marker, so that a failure of
        either counts for both. It has the probe result of this moment, but no probe: closing it
        stops no probe (D41). ``copy.copy(node)`` does the same.
        """
        node = Node(self.name, self.addr)
        node._options = copy.copy(self._options)
        node._marker = self._marker
        node._probe_result = self._probe_result
        return node

    __copy__ = copy

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be pickled or copied deeply: its failures would be counted apart; "
            "copy() makes a node that shares the marker"
        )

    def probe_result(self) -> ProbeResult | None:
        """Return the latest result of the node's probe, or None if none has ended yet (D43)."""
        return self._probe_result

    def set_probe_result(self, result: ProbeResult | None, /) -> None:
        """Store the latest result of the node's probe; only the probe does this."""
        self._probe_result = result

    def set_probe_cancel(self, cancel: Callable[[], bool | None] | None, /) -> None:
        """Say how to stop the node's probe, and also stop the one that ran before, if any.

        Args:
            cancel: a plain function such as ``task.cancel``, which stops a waiting probe and a
                running one (D46). An ``async`` function would never be awaited. None = there is no
                probe any more; nothing is stopped.
        """
        try:
            if cancel is not None and cancel != self._probe_cancel:
                self.close()
        finally:
            # Also where the old one raises, as task.cancel does once its event loop is closed.
            self._probe_cancel = cancel

    def close(self) -> None:
        """Stop the node's probe, a running one too (D46).

        Closes nothing else, so the node is no Closer (D19) and stays usable, with its last probe
        result. It may be called twice.
        """
        cancel, self._probe_cancel = self._probe_cancel, None
        if cancel is not None:
            cancel()


# ---- Routes


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class RouteOptions:
    """Options for one call of :meth:`Chainer.route`."""

    host: str = ""
    """The address as it was asked for, before mapping and resolution, perhaps with its port (D37).
    "" = not given."""


RouteOption: TypeAlias = Callable[[RouteOptions], object]


def with_host_route_option(host: str, /) -> RouteOption:
    """Set ``RouteOptions.host``.

    The address as it was asked for, before mapping and resolution, perhaps with its port (D37).
    "" = not given.
    """
    return FieldOption(RouteOptions, "host", host)


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class DialOptions:
    """Options for one call of :meth:`Route.dial` or :meth:`Router.dial`.

    All but the logger are about sockets of this host, so on a route with nodes they have no effect.
    """

    interface: str = ""
    """Where to dial from: names or addresses of interfaces, separated by commas, tried in order; a
    "!" behind one stops there when it fails. A name binds the socket to that device; an address
    only sets the source address. "auto" is the host of the accepted connection's ``local_addr()``,
    if that is a specified address of the target's family, else any. "" = any (D13)."""
    netns: str = ""
    """The network namespace to dial in: a name or an absolute path; "" = the current one (D13)."""
    sock_opts: SockOpts | None = None
    """Settings of the socket; None = none."""
    logger: Logger | None = None
    """Where to log; None = the default logger (D24)."""


DialOption: TypeAlias = Callable[[DialOptions], object]


def interface_dial_option(interface: str, /) -> DialOption:
    """Set ``DialOptions.interface``.

    Where to dial from: names or addresses of interfaces, separated by commas, tried in order; a
    "!" behind one stops there when it fails. A name binds the socket to that device; an address
    only sets the source address. "auto" is the host of the accepted connection's ``local_addr()``,
    if that is a specified address of the target's family, else any. "" = any (D13).
    """
    return FieldOption(DialOptions, "interface", interface)


def netns_dial_option(netns: str, /) -> DialOption:
    """Set ``DialOptions.netns``.

    The network namespace to dial in: a name or an absolute path; "" = the current one (D13).
    """
    return FieldOption(DialOptions, "netns", netns)


def sock_opts_dial_option(sock_opts: SockOpts | None, /) -> DialOption:
    """Set ``DialOptions.sock_opts``.

    Settings of the socket; None = none.
    """
    return FieldOption(DialOptions, "sock_opts", sock_opts)


def logger_dial_option(logger: Logger | None, /) -> DialOption:
    """Set ``DialOptions.logger``.

    Where to log; None = the default logger (D24).
    """
    return FieldOption(DialOptions, "logger", logger)


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class BindOptions:
    """Options for one call of :meth:`Route.bind` or :meth:`Router.bind`."""

    mux: bool = False
    """Whether many connections may come. False leaves it to the protocol, which may then accept a
    single one. A protocol that can carry only one raises BindUnsupportedError for True, before the
    first byte (D35)."""
    backlog: int = 0
    """How many connections may wait to be accepted; 0 = 128 (D24)."""
    udp_data_queue_size: int = 0
    """How many datagrams may wait to be read, by peer; 0 = 1024 (D24)."""
    udp_data_buffer_size: int = 0
    """The longest datagram, in bytes; 0 = 8192 (D24)."""
    udp_conn_ttl: float = 0.0
    """Seconds without a datagram after which a peer's connection ends; 0 = 5 (D24)."""
    logger: Logger | None = None
    """Where to log; None = the default logger (D24)."""


BindOption: TypeAlias = Callable[[BindOptions], object]


def mux_bind_option(mux: bool, /) -> BindOption:
    """Set ``BindOptions.mux``.

    Whether many connections may come. False leaves it to the protocol, which may then accept a
    single one. A protocol that can carry only one raises BindUnsupportedError for True, before the
    first byte (D35).
    """
    return FieldOption(BindOptions, "mux", mux)


def backlog_bind_option(backlog: int, /) -> BindOption:
    """Set ``BindOptions.backlog``.

    How many connections may wait to be accepted; 0 = 128 (D24).
    """
    return FieldOption(BindOptions, "backlog", backlog)


def udp_data_queue_size_bind_option(size: int, /) -> BindOption:
    """Set ``BindOptions.udp_data_queue_size``.

    How many datagrams may wait to be read, by peer; 0 = 1024 (D24).
    """
    return FieldOption(BindOptions, "udp_data_queue_size", size)


def udp_data_buffer_size_bind_option(size: int, /) -> BindOption:
    """Set ``BindOptions.udp_data_buffer_size``.

    The longest datagram, in bytes; 0 = 8192 (D24).
    """
    return FieldOption(BindOptions, "udp_data_buffer_size", size)


def udp_conn_ttl_bind_option(ttl: float, /) -> BindOption:
    """Set ``BindOptions.udp_conn_ttl``.

    Seconds without a datagram after which a peer's connection ends; 0 = 5 (D24).
    """
    return FieldOption(BindOptions, "udp_conn_ttl", ttl)


def logger_bind_option(logger: Logger | None, /) -> BindOption:
    """Set ``BindOptions.logger``.

    Where to log; None = the default logger (D24).
    """
    return FieldOption(BindOptions, "logger", logger)


class Route(Protocol):
    """A way to targets: through its nodes in order, or direct if it has none.

    It is made for one request, and belongs to the caller that asked the Chainer. It may outlive the
    request: a dialer of a later node that keeps a session may dial through it again.

    Concurrency: it does not change, and may be used by any number of tasks at once (D22).

    Checked by :class:`gost_core.testing.chain.RouteContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        """Open a connection by this route. The caller owns it.

        The first node is dialed, and each further one reached through the one before. When a step
        fails, the node that it was to reach is marked: by its dial, by its handshake, and by the
        connect of the node before it. One that works is reset. If the target refuses, no node is
        marked. If a proxy is silent while it connects to the target, no node is marked either,
        since the target may be the silent one (D43).

        A step that is interrupted at or after the TIME_LIMIT in ``ctx`` has failed, and its node is
        marked. A step that is interrupted before it, or without a limit, was only cancelled, and no
        node is marked (D43, D69). A route whose Chainer is Markable marks the chain as well, and
        resets it after a success (D70).

        Args:
            ctx: the request's values. No step is begun after its TIME_LIMIT: the call raises
                TimeoutError, and no node is marked (D69).
            network: the network of the target, such as ``udp`` or ``tcp4`` (D11); between nodes it
                is ``tcp``.
            address: the target, as ``host:port`` (D12). "" with ``udp`` gives an unconnected
                PacketConn (D9).
            opts: see :class:`DialOptions`.

        Returns:
            A connection that owns all that is below it; closing it closes every layer (D3). For
            ``udp`` it is a PacketConn (D11).

        Raises:
            OSError: what the transport, the handshake or the connector raised, as it was raised
                (D14, D15). A failure names the node in its notes (D74).
            TimeoutError: the time limit had passed before a step began (D69).
            ValueError: the address or the network is malformed; before any I/O (D15).

        The connection outlives the timeout and the task of this call (D4). When a step fails, or
        the call is cancelled, everything that was opened is closed (D3, D4).
        """
        ...

    @abstractmethod
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        """Have the last node listen, or this host if the route has no nodes.

        Args:
            ctx: the request's values.
            network: ``tcp``, ``udp`` or ``unix`` (D11).
            address: where to listen. "", ":0", ":port", "0.0.0.0:port", "[::]:port" and
                "host:port" are all legal (D35).
            opts: see :class:`BindOptions`.

        Returns:
            A listener that owns all that is below it; closing it ends the tunnel (D35).

        Raises:
            BindUnsupportedError: the last node cannot; final (D16).
            OSError, ValueError: as from :meth:`dial`.

        Otherwise as :meth:`dial`.
        """
        ...

    @abstractmethod
    def nodes(self) -> Sequence[Node]:
        """Return the nodes in order, not to be changed; empty = direct.

        They may be copies of a hop's nodes. The nodes before a multiplexing one are not here. They
        are in the route of its transport's options, ``node.options().transport.options().route``:
        look there for the whole way (D34, D74).
        """
        ...


@runtime_checkable
class RouteCarrier(Protocol):
    """The capability of a connection or listener to tell by which route it came (D74).

    What a Router gives has it. Accepted connections need not. On a connection it is found through
    wrappers; on a listener it counts on the outermost object. For implementers: a wrapper without
    ``unwrap_conn`` offers this capability itself, and answers what the inner object answers.
    """

    __slots__ = ()

    @abstractmethod
    def taken_route(self) -> Route | None:
        """Return the route that was taken, the same each time, not to be changed.

        None, and a route without nodes, mean that it came direct.
        """
        ...


class Chainer(Protocol):
    """Finds routes.

    A chainer with work in the background is a :class:`gost_core.common.net.Closer` (D19). If a
    chainer is :class:`gost_core.selector.Markable`, the routes that it gives mark it: a dial or a
    bind that fails at one of their nodes marks the chain, and a success resets it, so that a group
    can pass over a failed chain. A wrapper of a chainer shows the marker and the metadata of the
    inner chain (D70).

    A group of chains chooses among its eligible members by its selector, also if there is only one.
    If all members have failed, it does not return None: it takes the first eligible one, as the
    last resort. None means that the rules leave no member, and so a direct connection; a group that
    must not go direct raises DeniedError. The group returns what ``route()`` of the chosen member
    returns, None included. If it raises an OSError, the member is marked, if it is Markable, and
    the next attempt chooses again; a DeniedError is passed on (D45).

    Concurrency: asked for each attempt of any number of requests at once (D22).

    Checked by :class:`gost_core.testing.chain.ChainerContract`, if it makes its routes of hops, and
    by :class:`gost_core.testing.chain.GroupChainerContract`, if it is a group.
    """

    __slots__ = ()

    @abstractmethod
    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        """Find a route for a request.

        Args:
            ctx: the request's values.
            network: what is asked for, such as ``tcp`` or ``udp4`` (D11).
            address: the target, after mapping and resolution, or where to listen. It may be "" or
                a path (D37).
            opts: see :class:`RouteOptions`.

        Returns:
            A route, made for this request. None, and a route without nodes, mean that a Router
            connects directly when it dials, and raises EmptyRouteError when it binds (D36).

        Raises:
            DeniedError: the request is refused by rule. To refuse, raise: None would let it go
                direct (D36).
            OSError: what the chain asks for its answer cannot be reached. No exception is ever
                turned into a direct connection (D36).
        """
        ...


# ---- Transports


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class TransportOptions:
    """How a transport reaches its node; a hop's own is changed only on a copy (D23, D42)."""

    addr: str = ""
    """The node's address as configured: for host headers and for the name that TLS verifies. It is
    not what is dialed (D32)."""
    ifce_name: str = ""
    """Where to dial from, in the form of ``DialOptions.interface``; "" = any (D13)."""
    netns: str = ""
    """The network namespace to dial in: a name or an absolute path; "" = the current one (D13)."""
    sock_opts: SockOpts | None = None
    """Settings of the socket; None = none."""
    route: Route | None = None
    """The way to the node; None, or without nodes = this host's own network (D34)."""


TransportOption: TypeAlias = Callable[[TransportOptions], object]


def addr_transport_option(addr: str, /) -> TransportOption:
    """Set ``TransportOptions.addr``.

    The node's address as configured: for host headers and for the name that TLS verifies. It is
    not what is dialed (D32).
    """
    return FieldOption(TransportOptions, "addr", addr)


def interface_transport_option(interface: str, /) -> TransportOption:
    """Set ``TransportOptions.ifce_name``.

    Where to dial from, in the form of ``DialOptions.interface``; "" = any (D13).
    """
    return FieldOption(TransportOptions, "ifce_name", interface)


def netns_transport_option(netns: str, /) -> TransportOption:
    """Set ``TransportOptions.netns``.

    The network namespace to dial in: a name or an absolute path; "" = the current one (D13).
    """
    return FieldOption(TransportOptions, "netns", netns)


def sock_opts_transport_option(sock_opts: SockOpts | None, /) -> TransportOption:
    """Set ``TransportOptions.sock_opts``.

    Settings of the socket; None = none.
    """
    return FieldOption(TransportOptions, "sock_opts", sock_opts)


def route_transport_option(route: Route | None, /) -> TransportOption:
    """Set ``TransportOptions.route``.

    The way to the node; None, or without nodes = this host's own network (D34).
    """
    return FieldOption(TransportOptions, "route", route)


class Transporter(Protocol):
    """A dialer and a connector joined: all the steps of one node.

    It finds the optional steps itself, so a caller dials, shakes hands, then connects or binds, and
    need not know which steps exist (D31).

    Concurrency: one transport serves all requests of its node at once, however many (D22).

    Checked by :class:`gost_core.testing.chain.TransporterContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        """Open the transport to the node, through the options' route if that has nodes.

        Args:
            ctx: the request's values.
            addr: the node's address, resolved if it has a resolver or a host mapper (D42).

        Returns:
            The transport, before any handshake; the caller owns it. Of a shared session it is a
            handle, and closing the last handle ends the session (D3).

        Raises:
            OSError: the node cannot be reached (D14).
            PermissionError: the dialer logs in here, and was refused (D15).
            UnsupportedError, ValueError: before any I/O; final (D16).

        The transport outlives the timeout and the task of this call; cancelling frees what was
        opened (D4).
        """
        ...

    @abstractmethod
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        """Do the dialer's handshake, then the connector's; what is missing is skipped (D31).

        Args:
            ctx: the request's values.
            conn: any connection to the node: from :meth:`dial`, or from the node before.

        Returns:
            The connection to use from now on, which owns ``conn`` and may be ``conn`` (D3).

        Raises:
            OSError: a handshake failed. What the first one made is closed; ``conn`` is the
                caller's to close (D3).

        After cancelling, ``conn`` is only good for closing (D7).
        """
        ...

    @abstractmethod
    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        """Reach a target, or the next node, through this node.

        Args:
            ctx: the request's values.
            conn: the connection to this node, after :meth:`handshake`.
            network: ``tcp`` to the next node; to the target what the request asks for (D11).
            address: the next node, or the target, perhaps by name (D12). "" with ``udp`` gives an
                unconnected PacketConn (D9).

        Returns:
            The connection, which owns ``conn`` and may be ``conn`` (D3). For ``udp`` it is a
            PacketConn (D11). The node's answer may still be to come (D33).

        Raises:
            UnsupportedError, ValueError: before the first byte is sent; final (D15, D16).
            PermissionError: the node refuses the credentials, or refuses by its own rules (D15).
            ConnectionRefusedError: the node could not reach the address (D15).
            OSError: anything else that failed. In all cases ``conn`` may be closed already; the
                caller closes it and does nothing else with it (D3).

        The connection outlives the timeout and the task of this call (D4). After cancelling,
        ``conn`` is only good for closing (D7).
        """
        ...

    @abstractmethod
    async def bind(
        self,
        ctx: Context,
        conn: Conn,
        network: str,
        address: str,
        /,
        *opts: connector.BindOption,
    ) -> Listener:
        """Have the node listen.

        Args:
            ctx: the request's values.
            conn: the connection to this node, after :meth:`handshake`.
            network: ``tcp``, ``udp`` or ``unix`` (D11).
            address: where the node is to listen; an empty host = everywhere, port 0 = any free one
                (D35).
            opts: see :class:`gost_core.connector.BindOptions`.

        Returns:
            The listener, which owns ``conn``. Closing it ends the tunnel, unless connections that
            it accepted are still open (D35).

        Raises:
            BindUnsupportedError: the connector is no Binder, or the node cannot; final (D16).
            UnsupportedError, ValueError: before the first byte is sent; final (D15, D16).
            OSError: the node refuses or fails. In all cases ``conn`` may be closed already; the
                caller closes it and does nothing else with it (D3).

        The listener outlives the timeout and the task of this call (D4). After cancelling, ``conn``
        is only good for closing (D7).
        """
        ...

    @abstractmethod
    def multiplex(self) -> bool:
        """Tell whether connections through this node share a session.

        If True, a chain begins the route at this node. The nodes before it only lead to the
        session: the chain puts them into the route of this transport's options, and this node's
        dialer goes through them when it opens the session. The answer never changes (D34).
        """
        ...

    @abstractmethod
    def options(self) -> TransportOptions:
        """Return the options object in use, not a copy: so a chain sets a copy's route (D23).

        Example::

            copied = transport.copy()
            copied.options().route = route
            conn = await copied.dial(ctx, "192.0.2.7:1080")  # by that route
        """
        ...

    @abstractmethod
    def copy(self) -> "Transporter":
        """Return another transport that shares the sessions, but not the options (D42).

        The options of the copy begin with the same values.
        """
        ...


# ---- Routers


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class RouterOptions:
    """How a router opens connections."""

    retries: int = 0
    """How many attempts to make after the first; below 0 = 0 (D24)."""
    timeout: float = 0.0
    """Seconds for one attempt, everything included; 0 = 15, below 0 = no limit (D24). The router
    tells its end as the TIME_LIMIT of the attempt (D69)."""
    ifce_name: str = ""
    """Where to dial from, in the form of ``DialOptions.interface``; "" = any (D13)."""
    netns: str = ""
    """The network namespace to dial in: a name or an absolute path; "" = the current one (D13)."""
    sock_opts: SockOpts | None = None
    """Settings of the socket; None = none."""
    chain: Chainer | None = None
    """What finds routes; None = everything is direct."""
    resolver: Resolver | None = None
    """What resolves targets; None = names stay names (D39)."""
    host_mapper: HostMapper | None = None
    """What maps targets, before the resolver (D39); None = nothing does."""
    recorders: Sequence[RecorderObject] = ()
    """Where to record what is dialed; every object of the router's record points is used (D55).
    Empty = nowhere."""
    logger: Logger | None = None
    """Where to log; None = the default logger (D24)."""


RouterOption: TypeAlias = Callable[[RouterOptions], object]


def interface_router_option(interface: str, /) -> RouterOption:
    """Set ``RouterOptions.ifce_name``.

    Where to dial from, in the form of ``DialOptions.interface``; "" = any (D13).
    """
    return FieldOption(RouterOptions, "ifce_name", interface)


def netns_router_option(netns: str, /) -> RouterOption:
    """Set ``RouterOptions.netns``.

    The network namespace to dial in: a name or an absolute path; "" = the current one (D13).
    """
    return FieldOption(RouterOptions, "netns", netns)


def sock_opts_router_option(sock_opts: SockOpts | None, /) -> RouterOption:
    """Set ``RouterOptions.sock_opts``.

    Settings of the socket; None = none.
    """
    return FieldOption(RouterOptions, "sock_opts", sock_opts)


def timeout_router_option(timeout: float, /) -> RouterOption:
    """Set ``RouterOptions.timeout``.

    Seconds for one attempt, everything included; 0 = 15, below 0 = no limit (D24). The router
    tells its end as the TIME_LIMIT of the attempt (D69).
    """
    return FieldOption(RouterOptions, "timeout", timeout)


def retries_router_option(retries: int, /) -> RouterOption:
    """Set ``RouterOptions.retries``.

    How many attempts to make after the first; below 0 = 0 (D24).
    """
    return FieldOption(RouterOptions, "retries", retries)


def chain_router_option(chain: Chainer | None, /) -> RouterOption:
    """Set ``RouterOptions.chain``.

    What finds routes; None = everything is direct.
    """
    return FieldOption(RouterOptions, "chain", chain)


def resolver_router_option(resolver: Resolver | None, /) -> RouterOption:
    """Set ``RouterOptions.resolver``.

    What resolves targets; None = names stay names (D39).
    """
    return FieldOption(RouterOptions, "resolver", resolver)


def host_mapper_router_option(host_mapper: HostMapper | None, /) -> RouterOption:
    """Set ``RouterOptions.host_mapper``.

    What maps targets, before the resolver (D39); None = nothing does.
    """
    return FieldOption(RouterOptions, "host_mapper", host_mapper)


def recorders_router_option(*recorders: RecorderObject) -> RouterOption:
    """Set ``RouterOptions.recorders``.

    Where to record what is dialed; every object of the router's record points is used (D55).
    Empty = nowhere.
    """
    return FieldOption(RouterOptions, "recorders", recorders)


def logger_router_option(logger: Logger | None, /) -> RouterOption:
    """Set ``RouterOptions.logger``.

    Where to log; None = the default logger (D24).
    """
    return FieldOption(RouterOptions, "logger", logger)


class Router(Protocol):
    """Opens connections for handlers, and binds for reverse listeners.

    A router that has something to close is a :class:`gost_core.common.net.Closer`; its chain is
    only lent to it (D19).

    Concurrency: one router serves all requests of its service at once, however many (D22).

    Checked by :class:`gost_core.testing.chain.RouterContract`.
    """

    __slots__ = ()

    @abstractmethod
    def options(self) -> RouterOptions:
        """Return the options object in use, which nobody changes (D23).

        Example::

            resolver = router.options().resolver
            if resolver is not None:
                addresses = await resolver.resolve(ctx, "ip", "example.net")
        """
        ...

    @abstractmethod
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        """Open a connection to a target. The caller owns it.

        Each attempt maps, resolves, finds a route and dials by it, all of it within the router's
        timeout, and may take another route than the one before (D38). The router tells each attempt
        its end as TIME_LIMIT, and cancels the attempt between 10 and 100 ms after it. If ``ctx``
        has an earlier limit, that one holds, and no attempt begins after it (D69).

        Args:
            ctx: the request's values.
            network: the network of the target, such as ``tcp`` (D11). ``udp`` gives a PacketConn
                (D38). ``tcp4`` and ``udp4`` resolve the name to IPv4 only, ``tcp6`` and ``udp6`` to
                IPv6 (D39).
            address: the target, as it was asked for (D12). An address without a port is neither
                mapped nor resolved. "" with ``udp`` gives an unconnected connection, which maps and
                resolves the names in ``write_to`` as this call does. Those lookups get the values
                of ``ctx`` without TIME_LIMIT (D9, D39).
            opts: for this call, they win over the router's own (D38).

        Returns:
            A connection that owns all that is below it (D3). It is a :class:`RouteCarrier` (D74).

        Raises:
            UnsupportedError, DeniedError, ValueError: final; raised at once. An exception that is
                both a ValueError and an OSError, such as ssl.SSLCertVerificationError and
                io.UnsupportedOperation, is judged as the OSError that it is (D16, D38).
            OSError: the last attempt's failure, with the earlier ones and the node as notes;
                gaierror is a name without address, TimeoutError the router's own limit (D14, D38,
                D39, D74).

        The connection outlives the timeout and the task of this call. Cancelling ends the attempt,
        makes no other, and frees what was opened (D4).
        """
        ...

    @abstractmethod
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        """Listen at the far end of the chain, or on this host without one. The caller owns it.

        Nothing is mapped or resolved. Attempts, time limits and cancelling as in :meth:`dial`; the
        listener is a :class:`RouteCarrier` (D74).

        Args:
            ctx: the call's values.
            network: ``tcp``, ``udp`` or ``unix`` (D11).
            address: where to listen. "", ":0", ":port", "0.0.0.0:port", "[::]:port" and
                "host:port" are all legal (D35).
            opts: see :class:`BindOptions`.

        Raises:
            EmptyRouteError: a chain is configured, and there is no node to bind at; raised at once
                (D16, D36).
            BindUnsupportedError, UnsupportedError, DeniedError, ValueError: final; raised at once
                (D16).
            OSError: the last attempt's failure.
        """
        ...
