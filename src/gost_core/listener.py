"""Listeners: where a service's connections come from.

A local listener binds an address of this host. A reverse listener binds one elsewhere, through a
Router, and its connections come back the same way.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from typing_extensions import Protocol

from gost_core.admission import Admission
from gost_core.auth import Authenticator
from gost_core.chain import Chainer, Router
from gost_core.common import net
from gost_core.common.net import Addr, Conn
from gost_core.common.tls import TLSConfig
from gost_core.common.url import Userinfo
from gost_core.limiter.conn import ConnLimiter
from gost_core.limiter.traffic import TrafficLimiter
from gost_core.logger import Logger
from gost_core.metadata import Metadata
from gost_core.observer.stats import Stats
from gost_core.options import FieldOption

__all__ = (
    "AcceptError",
    "BindError",
    "ClosedError",
    "Listener",
    "Option",
    "Options",
    "addr_option",
    "admission_option",
    "auth_option",
    "auther_option",
    "conn_limiter_option",
    "logger_option",
    "netns_option",
    "proxy_protocol_option",
    "router_option",
    "service_option",
    "stats_option",
    "tls_config_option",
    "traffic_limiter_option",
)


class ClosedError(net.ClosedError):
    """The listener was closed, or has ended; no connection will come from it (D14)."""


class _RetryError(Exception, net.Error):
    """An error that a listener recovers from."""

    def __init__(self, error: Exception, /) -> None:
        # A program that is not type-checked would learn of it in its error handling. A cancellation
        # is no Exception: to try again after one would be to ignore it.
        if not isinstance(error, Exception):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{type(self).__name__} needs the error that it reports, not {error!r}")
        super().__init__(error)
        self.__cause__: BaseException | None = error

    def timeout(self) -> bool:
        """Return False: what failed was no time limit of the caller's."""
        return False

    def temporary(self) -> bool:
        """Return True: accept again."""
        return True


class AcceptError(_RetryError):
    """``accept()`` failed this time, on a listener that was up; accept again (D26).

    A service waits 1 s before it does (D29). A reverse listener binds again then.

    Args:
        error: what happened. It is the ``__cause__``, and its text is the text of this.

    Raises:
        TypeError: ``error`` is None, a cancellation, or no exception at all.
    """


class BindError(_RetryError):
    """A reverse listener could not bind, this time; accept again (D26).

    A service waits longer each time before it does (D29). Not for what is final: an
    UnsupportedError, a DeniedError, and a ValueError that is no OSError are raised as they are. An
    EmptyRouteError does become a BindError, since the hop may be filled later (D16).

    Args:
        error: what happened. It is the ``__cause__``, and its text is the text of this.

    Raises:
        TypeError: ``error`` is None, a cancellation, or no exception at all.
    """


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Options:
    """What a listener may be constructed with; a missing part is a feature that is off."""

    addr: str = ""
    """Where to listen, as ``host:port`` (D12); an empty host = everywhere, port 0 = any free one.
    "" is a ValueError to a listener that needs an address."""
    auther: Authenticator | None = None
    """Who may connect, where the listener's own protocol logs in; None = everybody."""
    auth: Userinfo | None = None
    """Credentials for a listener that itself logs in; None = none."""
    tls_config: TLSConfig | None = None
    """TLS for listeners that speak it; None = the library's defaults (D24), which have no
    certificate, so a listener that needs one refuses in ``init()``."""
    admission: Admission | None = None
    """Which sources may connect; None = all. An exception refuses (D49)."""
    traffic_limiter: TrafficLimiter | None = None
    """Limits on bytes, by service and by connection; None = no limit."""
    conn_limiter: ConnLimiter | None = None
    """Limits on open connections, by the client's host; None = no limit."""
    chain: Chainer | None = None
    """It is here because Go has it, and has no effect (D30). To listen through a chain, set
    ``router``."""
    stats: Stats | None = None
    """Where to count connections and bytes; None = nowhere."""
    logger: Logger | None = None
    """Where to log; None = the default logger (D24)."""
    service: str = ""
    """The name of the service, which is passed on to limiters, rules and others; "" = not given."""
    proxy_protocol: int = 0
    """Above 0 = expect a PROXY header, of either version, from each client; else none, and a header
    is what the client sent (D24). Switch it on only if the peers are trusted (D71)."""
    netns: str = ""
    """The network namespace to listen in: a name or an absolute path; "" = the current one (D13).
    """
    router: Router | None = None
    """What a reverse listener binds through; None = it cannot, and says so in ``init()``."""


Option: TypeAlias = Callable[[Options], object]


def addr_option(addr: str, /) -> Option:
    """Set ``Options.addr``.

    Where to listen, as ``host:port`` (D12); an empty host = everywhere, port 0 = any free one.
    "" is a ValueError to a listener that needs an address.
    """
    return FieldOption(Options, "addr", addr)


def auther_option(auther: Authenticator | None, /) -> Option:
    """Set ``Options.auther``.

    Who may connect, where the listener's own protocol logs in; None = everybody.
    """
    return FieldOption(Options, "auther", auther)


def auth_option(auth: Userinfo | None, /) -> Option:
    """Set ``Options.auth``.

    Credentials for a listener that itself logs in; None = none.
    """
    return FieldOption(Options, "auth", auth)


def tls_config_option(tls_config: TLSConfig | None, /) -> Option:
    """Set ``Options.tls_config``.

    TLS for listeners that speak it; None = the library's defaults (D24), which have no
    certificate, so a listener that needs one refuses in ``init()``.
    """
    return FieldOption(Options, "tls_config", tls_config)


def admission_option(admission: Admission | None, /) -> Option:
    """Set ``Options.admission``.

    Which sources may connect; None = all. An exception refuses (D49).
    """
    return FieldOption(Options, "admission", admission)


def traffic_limiter_option(limiter: TrafficLimiter | None, /) -> Option:
    """Set ``Options.traffic_limiter``.

    Limits on bytes, by service and by connection; None = no limit.
    """
    return FieldOption(Options, "traffic_limiter", limiter)


def conn_limiter_option(limiter: ConnLimiter | None, /) -> Option:
    """Set ``Options.conn_limiter``.

    Limits on open connections, by the client's host; None = no limit.
    """
    return FieldOption(Options, "conn_limiter", limiter)


def stats_option(stats: Stats | None, /) -> Option:
    """Set ``Options.stats``.

    Where to count connections and bytes; None = nowhere.
    """
    return FieldOption(Options, "stats", stats)


def logger_option(logger: Logger | None, /) -> Option:
    """Set ``Options.logger``.

    Where to log; None = the default logger (D24).
    """
    return FieldOption(Options, "logger", logger)


def service_option(service: str, /) -> Option:
    """Set ``Options.service``.

    The name of the service, which is passed on to limiters, rules and others; "" = not given.
    """
    return FieldOption(Options, "service", service)


def proxy_protocol_option(version: int, /) -> Option:
    """Set ``Options.proxy_protocol``.

    Above 0 = expect a PROXY header, of either version, from each client; else none, and a header
    is what the client sent (D24). Switch it on only if the peers are trusted (D71).
    """
    return FieldOption(Options, "proxy_protocol", version)


def netns_option(netns: str, /) -> Option:
    """Set ``Options.netns``.

    The network namespace to listen in: a name or an absolute path; "" = the current one (D13).
    """
    return FieldOption(Options, "netns", netns)


def router_option(router: Router | None, /) -> Option:
    """Set ``Options.router``.

    What a reverse listener binds through; None = it cannot, and says so in ``init()``.
    """
    return FieldOption(Options, "router", router)


class Listener(Protocol):
    """Accepts connections.

    Life: construct with options, without I/O and without an event loop; ``init()`` once; then use
    until ``close()`` (D18). Use before ``init()`` raises RuntimeError. The listener, not the
    service, applies what its options say: admission, limits, statistics.

    With the PROXY protocol the ``remote_addr()`` of an accepted connection is the source that the
    header names, and admission, limits and records use no other. If a header names no source, the
    address is that of the socket; ``local_addr()`` is always that of the socket. How long a header
    is waited for, and for how many clients at once, is bounded, and a connection without a valid
    header is closed (D71).

    No client keeps the event loop for itself, however many frames it sends; the streams and control
    frames of a session are bounded (D26).

    Accepted sessions of datagrams are :class:`gost_core.common.net.PacketConn` (D11). One that was
    accepted counts as one connection (D54).

    Concurrency: one task accepts at a time; ``addr()`` and ``close()`` may be called meanwhile.

    Checked by :class:`gost_core.testing.listener.ListenerContract`, or, if it is a reverse one, by
    :class:`gost_core.testing.listener.ReverseListenerContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def init(self, metadata: Metadata | None, /) -> None:
        """Read the settings and, on a local listener, bind the address.

        When this returns, a local listener is bound and :meth:`addr` is the real address. A
        reverse listener only checks its options here and binds in :meth:`accept` (D25). Every
        option is served or refused here, and a TLSConfig is used unchanged (D24).

        Args:
            metadata: the listener's own settings; None = none (D18).

        Raises:
            ValueError: a setting or an option is wrong, or is not served here, since a setting that
                is ignored could leave a door open; the message names it (D64).
            OSError: the address cannot be bound.
            RuntimeError: called a second time.

        When it raises, everything is released (D18).
        """
        ...

    @abstractmethod
    async def accept(self) -> Conn:
        """Return the next connection, waiting until there is one. The caller owns it.

        A slow client does not delay the others: handshakes, PROXY headers and upgrades run in the
        background, each within a bounded time. If something goes wrong with one client, only its
        connection is closed. If the listener keeps a queue of connections and it is full, the
        newest is closed; the queue that the system keeps is not meant (D26).

        Raises:
            AcceptError: not this time; call again. The listener wraps EMFILE, ENFILE, ENOBUFS,
                ENOMEM, ECONNABORTED and EINTR (D26).
            BindError: a reverse listener could not bind this time; call again (D26).
            ClosedError: the listener was closed, perhaps during the call, or failed before.
            UnsupportedError, DeniedError, ValueError: from a reverse listener, when binding is
                refused for good; as they are (D16).
            Exception: anything else is the end of the listener; from then on it raises
                ClosedError. A server that dies in the background shows itself here (D26).

        A connection that arrives while the call is cancelled is returned by a later one, or
        closed (D26). For wrappers: pass AcceptError and BindError on as they are.

        Example::

            while True:
                try:
                    conn = await listener.accept()
                except AcceptError:
                    await asyncio.sleep(1)  # not this time
                except ClosedError:
                    break
                else:
                    await serve(conn)  # and closes it
        """
        ...

    @abstractmethod
    def addr(self) -> Addr:
        """Return the address: never None, without blocking, also after close (D2).

        The bound address, with the real port; on a reverse listener, until it is bound, the
        address that was asked for (D25).

        Example::

            listener = make_listener(addr_option("127.0.0.1:0"))
            await listener.init(None)
            host, _, port = str(listener.addr()).rpartition(":")
            assert port != "0"  # the one that the system chose
        """
        ...

    @abstractmethod
    async def close(self) -> None:
        """Close the listener.

        Frees the address before it returns, so that it can be bound again at once, and closes the
        connections that nobody accepted, but none that was accepted. Where accepted connections use
        the listener's own socket, as with UDP and QUIC, no new one is accepted from now on, and the
        address is free once the last accepted one is closed (D27). A waiting :meth:`accept` raises
        ClosedError. It may be called twice, at any time, also before ``init()`` and after it
        failed. It takes 1 to 3 seconds at most and raises nothing (D1, D18).

        Example::

            await listener.init(None)
            try:
                conn = await listener.accept()
            finally:
                await listener.close()
            await conn.close()  # an accepted connection lives on
        """
        ...
