"""Connectors: what is spoken to a proxy node to reach a target through it."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from typing_extensions import Protocol, runtime_checkable

from gost_core.common.net import Conn, Listener, UnsupportedError
from gost_core.common.net import Dialer as NetDialer
from gost_core.common.tls import TLSConfig
from gost_core.common.url import Userinfo
from gost_core.context import Context
from gost_core.logger import Logger
from gost_core.metadata import Metadata
from gost_core.options import FieldOption

__all__ = (
    "BindOption",
    "BindOptions",
    "BindUnsupportedError",
    "Binder",
    "ConnectOption",
    "ConnectOptions",
    "Connector",
    "Handshaker",
    "Option",
    "Options",
    "auth_option",
    "backlog_bind_option",
    "dialer_connect_option",
    "logger_option",
    "mux_bind_option",
    "tls_config_option",
    "udp_conn_ttl_bind_option",
    "udp_data_buffer_size_bind_option",
    "udp_data_queue_size_bind_option",
)


class BindUnsupportedError(UnsupportedError):
    """The connector cannot bind (D15). Final: a reverse listener ends with it (D16)."""


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Options:
    """What a connector may be constructed with."""

    auth: Userinfo | None = None
    """Credentials for the proxy; None = anonymous."""
    tls_config: TLSConfig | None = None
    """How to speak TLS within the proxy's protocol; None = verify with the library's defaults
    (D24)."""
    logger: Logger | None = None
    """Where to log; None = the default logger (D24)."""


Option: TypeAlias = Callable[[Options], object]


def auth_option(auth: Userinfo | None, /) -> Option:
    """Set ``Options.auth``.

    Credentials for the proxy; None = anonymous.
    """
    return FieldOption(Options, "auth", auth)


def tls_config_option(tls_config: TLSConfig | None, /) -> Option:
    """Set ``Options.tls_config``.

    How to speak TLS within the proxy's protocol; None = verify with the library's defaults
    (D24).
    """
    return FieldOption(Options, "tls_config", tls_config)


def logger_option(logger: Logger | None, /) -> Option:
    """Set ``Options.logger``.

    Where to log; None = the default logger (D24).
    """
    return FieldOption(Options, "logger", logger)


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class ConnectOptions:
    """Options for one call of :meth:`Connector.connect`."""

    dialer: NetDialer | None = None
    """Dials from this host, past the chain, for a protocol that opens a second connection (D33).
    It may be kept for the life of the connection (D23). None = this host's own network."""


ConnectOption: TypeAlias = Callable[[ConnectOptions], object]


def dialer_connect_option(dialer: NetDialer | None, /) -> ConnectOption:
    """Set ``ConnectOptions.dialer``.

    Dials from this host, past the chain, for a protocol that opens a second connection (D33).
    It may be kept for the life of the connection (D23). None = this host's own network.
    """
    return FieldOption(ConnectOptions, "dialer", dialer)


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class BindOptions:
    """Options for one call of :meth:`Binder.bind`."""

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


class Connector(Protocol):
    """Reaches targets through a proxy node, over a connection to that node.

    Life: construct with options, without I/O; ``init()`` once; then use (D18). A connector that
    works with one dialer only finds that dialer's connection by a capability that the two share,
    through ``find_capability``, and raises a ValueError if there is none (D31).

    Concurrency: one connector serves all requests of its node at once; after ``init()`` it is read
    only, so that one call never changes what another sends (D33). Nothing that belongs to one call
    is kept on the object while it waits, and a call that fails or is cancelled leaves neither a
    lock held nor a task behind (D20, D22).

    Checked by :class:`gost_core.testing.connector.ConnectorContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def init(self, metadata: Metadata | None, /) -> None:
        """Read the settings; no network I/O.

        Every option is served or refused here (D24).

        Args:
            metadata: the connector's own settings; None = none (D18).

        Raises:
            ValueError: a setting or an option is wrong, missing, or not served here; the message
                names it (D24, D64).
            RuntimeError: called a second time.

        When it raises, everything is released (D18).
        """
        ...

    @abstractmethod
    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        """Reach a target through the node.

        Args:
            ctx: the request's values.
            conn: the connection to the node, after the handshakes.
            network: ``tcp`` between two hops; at the last one what the request asks for (D11).
            address: the target, perhaps a name, which goes to the node as a name if the protocol
                can carry one (D12). "" with ``udp`` = no single target: the result is not connected
                (D9).
            opts: see :class:`ConnectOptions`.

        Returns:
            The connection to the target, which owns ``conn`` and may be ``conn`` (D3). For ``udp``
            it is a PacketConn (D11). Bytes that arrived behind the node's answer are read first. An
            answer may be left to the first read, but a target that speaks first still gets through
            (D33).

        Raises:
            UnsupportedError, ValueError: before the first byte is sent; final (D15, D16).
            PermissionError: the node refuses the credentials, or refuses by its own rules. Another
                node may allow it, so it is tried again (D15, D16).
            ConnectionRefusedError: the node could not reach the target, which the message names
                (D15).
            ProtocolError: the node's answer is malformed, or chooses what was not offered (D15).
            OSError: the connection to the node failed. In all cases ``conn`` may be closed
                already; the caller closes it and does nothing else with it (D3).

        The connection outlives the timeout and the task of this call (D4). After cancelling,
        ``conn`` is only good for closing (D7).
        """
        ...


@runtime_checkable
class Handshaker(Protocol):
    """A connector that begins with a separate step, such as logging in.

    It comes after the dialer's handshake and before ``connect`` or ``bind`` (D31), once a
    connection, also when a probe connects nowhere. Only for an object that is known to be a
    connector: a dialer's Handshaker has a method of the same name.

    Checked by :class:`gost_core.testing.connector.HandshakerContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        """Do the protocol's handshake.

        Args:
            ctx: the request's values.
            conn: the connection to the node, after the dialer's handshake.

        Returns:
            The connection for this connector's ``connect`` or ``bind``, which owns ``conn`` and may
            be ``conn`` (D3). Limits set for the handshake are cleared (D31).

        Raises:
            PermissionError: the credentials are refused.
            ssl.SSLError, ProtocolError, ConnectionResetError: the handshake failed. ``conn`` may be
                closed already; the caller closes it and does nothing else with it (D3).

        After cancelling, ``conn`` is only good for closing (D7).
        """
        ...


@runtime_checkable
class Binder(Protocol):
    """A connector that can also have the node listen, for connections the other way round.

    Checked by :class:`gost_core.testing.connector.BinderContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        """Have the node listen.

        Args:
            ctx: the request's values.
            conn: the connection to the node, after the handshakes.
            network: ``tcp``, ``udp`` or ``unix`` (D11).
            address: where the node is to listen. "", ":0", ":port", "0.0.0.0:port", "[::]:port"
                and "host:port" are all legal (D35); port 0 = any free one.
            opts: see :class:`BindOptions`.

        Returns:
            The listener, which owns ``conn``. Closing it ends the tunnel. If connections that it
            accepted are still open, the tunnel goes on for them and ends with the last one; a
            listener whose only connection to the node is the tunnel may keep the address until then
            (D27). Its ``addr()`` is what the node bound: IPv4 for an IPv4 literal, IPv6 for an IPv6
            literal. The connections that it accepts report the visitor's address; how many visitors
            may wait is limited by the backlog (D35). It outlives the timeout and the task of this
            call (D4).

        Raises:
            BindUnsupportedError: the node or the protocol cannot, or cannot carry many connections
                and ``mux`` asks for them; final (D16, D35).
            ConnectionRefusedError: the protocol refuses without a reason, as SSH does; it may be
                tried again (D15).
            UnsupportedError, ValueError: before the first byte is sent; final (D15, D16).
            PermissionError, ProtocolError, OSError: as from :meth:`Connector.connect`. In all
                cases ``conn`` may be closed already; the caller closes it (D3).

        After cancelling, ``conn`` is only good for closing (D7).
        """
        ...
