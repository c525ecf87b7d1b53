"""Dialers: how a proxy node is reached.

A dialer opens the transport to a node: plain TCP, TLS, a stream of a multiplexed session. A
:mod:`connector <gost_core.connector>` then uses it to reach a target. The order of one connection:
``Dialer.dial``, ``dialer.Handshaker``, ``connector.Handshaker``, then ``Connector.connect`` or
``Binder.bind``; an optional step that is missing is skipped (D31).
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from typing_extensions import Protocol, runtime_checkable

from gost_core.common.net import Conn
from gost_core.common.net import Dialer as NetDialer
from gost_core.common.tls import TLSConfig
from gost_core.common.url import Userinfo
from gost_core.context import Context
from gost_core.logger import Logger
from gost_core.metadata import Metadata
from gost_core.options import FieldOption

__all__ = (
    "DialOption",
    "DialOptions",
    "Dialer",
    "HandshakeOption",
    "HandshakeOptions",
    "Handshaker",
    "Multiplexer",
    "Option",
    "Options",
    "addr_handshake_option",
    "auth_option",
    "host_dial_option",
    "logger_option",
    "net_dialer_dial_option",
    "proxy_protocol_option",
    "tls_config_option",
)


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Options:
    """What a dialer may be constructed with."""

    auth: Userinfo | None = None
    """Credentials for a transport that logs in; None = none."""
    tls_config: TLSConfig | None = None
    """How to speak TLS; None = verify with the library's defaults (D24)."""
    logger: Logger | None = None
    """Where to log; None = the default logger (D24)."""
    proxy_protocol: int = 0
    """Above 0 = begin with a PROXY header of this version, with the context's source and
    destination address; else none (D24)."""


Option: TypeAlias = Callable[[Options], object]


def auth_option(auth: Userinfo | None, /) -> Option:
    """Set ``Options.auth``.

    Credentials for a transport that logs in; None = none.
    """
    return FieldOption(Options, "auth", auth)


def tls_config_option(tls_config: TLSConfig | None, /) -> Option:
    """Set ``Options.tls_config``.

    How to speak TLS; None = verify with the library's defaults (D24).
    """
    return FieldOption(Options, "tls_config", tls_config)


def logger_option(logger: Logger | None, /) -> Option:
    """Set ``Options.logger``.

    Where to log; None = the default logger (D24).
    """
    return FieldOption(Options, "logger", logger)


def proxy_protocol_option(version: int, /) -> Option:
    """Set ``Options.proxy_protocol``.

    Above 0 = begin with a PROXY header of this version, with the context's source and
    destination address; else none (D24).
    """
    return FieldOption(Options, "proxy_protocol", version)


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class DialOptions:
    """Options for one call of :meth:`Dialer.dial`."""

    host: str = ""
    """The node's address as configured, perhaps a name, with its port: for host headers and for
    the name that TLS verifies (D32). "" = the address that is dialed. A TLS context that checks
    names, with no name to check in any of them, is a ValueError (D66)."""
    dialer: NetDialer | None = None
    """What opens the connection below, through the nodes before this one if there are any. It may
    be kept after the call, as long as a session lives; no other argument may be (D23). None = this
    host's own network."""


DialOption: TypeAlias = Callable[[DialOptions], object]


def host_dial_option(host: str, /) -> DialOption:
    """Set ``DialOptions.host``.

    The node's address as configured, perhaps a name, with its port: for host headers and for
    the name that TLS verifies (D32). "" = the address that is dialed. A TLS context that checks
    names, with no name to check in any of them, is a ValueError (D66).
    """
    return FieldOption(DialOptions, "host", host)


def net_dialer_dial_option(dialer: NetDialer | None, /) -> DialOption:
    """Set ``DialOptions.dialer``.

    What opens the connection below, through the nodes before this one if there are any. It may
    be kept after the call, as long as a session lives; no other argument may be (D23). None = this
    host's own network.
    """
    return FieldOption(DialOptions, "dialer", dialer)


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class HandshakeOptions:
    """Options for one call of :meth:`Handshaker.handshake`."""

    addr: str = ""
    """The node's address as configured, perhaps a name, with its port: for host headers and for the
    name that TLS verifies. It is not the key of a session (D32). "" = not given."""


HandshakeOption: TypeAlias = Callable[[HandshakeOptions], object]


def addr_handshake_option(addr: str, /) -> HandshakeOption:
    """Set ``HandshakeOptions.addr``.

    The node's address as configured, perhaps a name, with its port: for host headers and for the
    name that TLS verifies. It is not the key of a session (D32). "" = not given.
    """
    return FieldOption(HandshakeOptions, "addr", addr)


class Dialer(Protocol):
    """Opens transports to proxy nodes.

    Life: construct with options, without I/O; ``init()`` once; then use (D18). A dialer that keeps
    sessions is a :class:`gost_core.common.net.Closer` (D19). A session ends with its last user, or
    after an idle time that the implementation documents and bounds; closing the dialer ends it at
    once (D3). Streams and control frames of a session are bounded (D26).

    Where the wire format is the implementation's own, a stream that was dialed is accepted at the
    other side even if nobody writes on it: the dialer sends a first byte. Where the format is
    given, or carries datagrams, the documentation says that the dialing side must speak first
    (D31).

    Concurrency: one dialer serves all requests of its node at once; a session that is being opened
    or has died does not hold up the others, and no lock is held during I/O (D22, D32). Finding or
    making a session is one step: two first calls at once get the same one (D3).

    Checked by :class:`gost_core.testing.dialer.DialerContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def init(self, metadata: Metadata | None, /) -> None:
        """Read the settings; no network I/O.

        Every option is served or refused here, and a TLSConfig is used unchanged (D24).

        Args:
            metadata: the dialer's own settings; None = none (D18).

        Raises:
            ValueError: a setting or an option is wrong, or not served here; the message names it
                (D24, D64, D66).
            RuntimeError: called a second time.

        When it raises, everything is released (D18).
        """
        ...

    @abstractmethod
    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        """Open a transport to a node. The caller owns it.

        Args:
            ctx: the request's values. A session that is shared with later requests does not keep
                them. Several callers may wait for the same session to open; that takes no
                TIME_LIMIT from any of them, and is cancelled when none of them waits any more
                (D69).
            addr: the node's address, perhaps already resolved: what to dial, and the key under
                which a session is kept (D32).
            opts: see :class:`DialOptions`.

        Returns:
            The transport, before any handshake of :class:`Handshaker`. A multiplexing dialer gives
            each caller another handle on the session: closing one leaves the session to the others,
            and closing the last one ends it, at once or after the documented idle time (D3). It is
            never a dead session (D32). What carries datagrams is a PacketConn (D11).

        Raises:
            ConnectionRefusedError, socket.gaierror, TimeoutError, OSError: the node cannot be
                reached (D14).
            PermissionError: a session logs in here, and was refused (D15).
            UnsupportedError, ValueError: before any I/O; final (D16).

        The transport outlives the timeout and the task of this call; cancelling frees what was
        opened (D4). When it raises, nothing is left open (D3).

        Example::

            conn = await dialer.dial(ctx, "192.0.2.7:1080", host_dial_option("proxy.example:1080"))
            try:
                await conn.write(request)
            finally:
                await conn.close()
        """
        ...


@runtime_checkable
class Handshaker(Protocol):
    """A dialer with a separate step that makes a raw connection into its transport, such as TLS.

    Only for an object that is known to be a dialer: a connector's Handshaker has a method of the
    same name, and no ``isinstance`` tells the two apart.

    Checked by :class:`gost_core.testing.dialer.HandshakerContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        """Do the transport's handshake.

        Args:
            ctx: the request's values.
            conn: any connection to the node. For a later hop it comes from the hop before, and this
                dialer's :meth:`Dialer.dial` was never called (D31).
            opts: see :class:`HandshakeOptions`.

        Returns:
            The connection to use from now on, which owns ``conn`` and may be ``conn`` (D3). Limits
            set for the handshake are cleared (D31).

        Raises:
            ssl.SSLError, PermissionError, ProtocolError, ConnectionResetError: the handshake
                failed. ``conn`` may be closed already; the caller closes it and does nothing else
                with it (D3).

        After cancelling, ``conn`` is only good for closing (D7).
        """
        ...


@runtime_checkable
class Multiplexer(Protocol):
    """A dialer that may carry many connections on one session."""

    __slots__ = ()

    @abstractmethod
    def multiplex(self) -> bool:
        """Tell whether connections through this dialer's node share a session.

        If True, a chain begins the route at this node. The nodes before it are only needed to open
        the session, and are reached through the dialer in DialOptions. The answer never changes,
        and is asked before anything is dialed (D34).
        """
        ...
