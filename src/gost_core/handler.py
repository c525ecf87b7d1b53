"""Handlers: what is spoken with a client, and done for it."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from typing_extensions import Protocol, runtime_checkable

from gost_core.auth import Authenticator
from gost_core.bypass import Bypass
from gost_core.chain import Router
from gost_core.common.net import Conn
from gost_core.common.tls import TLSConfig
from gost_core.common.url import Userinfo
from gost_core.context import Context
from gost_core.hop import Hop
from gost_core.limiter.rate import RateLimiter
from gost_core.limiter.traffic import TrafficLimiter
from gost_core.logger import Logger
from gost_core.metadata import Metadata
from gost_core.observer import Observer
from gost_core.options import FieldOption
from gost_core.recorder import RecorderObject
from gost_core.rewriter import Rewriter

__all__ = (
    "Forwarder",
    "HandleOption",
    "HandleOptions",
    "Handler",
    "Option",
    "Options",
    "auth_option",
    "auther_option",
    "bypass_option",
    "logger_option",
    "metadata_handle_option",
    "netns_option",
    "observer_option",
    "rate_limiter_option",
    "recorders_option",
    "rewriter_option",
    "router_option",
    "service_option",
    "tls_config_option",
    "traffic_limiter_option",
)


@dataclass(slots=True, kw_only=True)
class Options:
    """What a handler may be constructed with; a missing part is a feature that is off."""

    bypass: Bypass | None = None
    """Destinations that are refused (D47); None = none. An exception refuses too (D36)."""
    router: Router | None = None
    """What opens connections to targets; a handler that needs one raises a ValueError in
    ``init()`` if it is None."""
    auth: Userinfo | None = None
    """Credentials of the handler's own protocol, such as a cipher and its password; None = none.
    Clients are checked by ``auther``."""
    auther: Authenticator | None = None
    """Who may use the service; None = everybody. An exception refuses (D49)."""
    rate_limiter: RateLimiter | None = None
    """Limits on requests, by the client's host; None = no limit."""
    limiter: TrafficLimiter | None = None
    """Limits on bytes, by client; None = no limit."""
    tls_config: TLSConfig | None = None
    """TLS within the handler's protocol; None = the library's defaults (D24)."""
    logger: Logger | None = None
    """Where to log; None = the default logger (D24)."""
    observer: Observer | None = None
    """Who is told of the traffic of each client; None = nobody."""
    recorders: Sequence[RecorderObject] = ()
    """Where to record; every one whose record point is the handler's is used (D55)."""
    rewriter: Rewriter | None = None
    """Kept for parity; nothing depends on it (D30). A node's HTTP settings name rewriters."""
    service: str = ""
    """The name of the service, for those who are asked on its behalf; "" = not told."""
    netns: str = ""
    """The network namespace for sockets that the handler opens itself; "" = the current one
    (D13)."""


Option: TypeAlias = Callable[[Options], object]


def bypass_option(bypass: Bypass | None, /) -> Option:
    """Say which destinations are refused."""
    return FieldOption(Options, "bypass", bypass)


def router_option(router: Router | None, /) -> Option:
    """Say what opens connections to targets."""
    return FieldOption(Options, "router", router)


def auth_option(auth: Userinfo | None, /) -> Option:
    """Give credentials of the handler's own protocol."""
    return FieldOption(Options, "auth", auth)


def auther_option(auther: Authenticator | None, /) -> Option:
    """Say who may use the service."""
    return FieldOption(Options, "auther", auther)


def rate_limiter_option(limiter: RateLimiter | None, /) -> Option:
    """Limit requests."""
    return FieldOption(Options, "rate_limiter", limiter)


def traffic_limiter_option(limiter: TrafficLimiter | None, /) -> Option:
    """Limit bytes."""
    return FieldOption(Options, "limiter", limiter)


def tls_config_option(tls_config: TLSConfig | None, /) -> Option:
    """Say how to speak TLS."""
    return FieldOption(Options, "tls_config", tls_config)


def logger_option(logger: Logger | None, /) -> Option:
    """Say where to log."""
    return FieldOption(Options, "logger", logger)


def observer_option(observer: Observer | None, /) -> Option:
    """Say who is told of traffic."""
    return FieldOption(Options, "observer", observer)


def recorders_option(*recorders: RecorderObject) -> Option:
    """Say where to record."""
    return FieldOption(Options, "recorders", recorders)


def rewriter_option(rewriter: Rewriter | None, /) -> Option:
    """Set what nothing depends on (D30)."""
    return FieldOption(Options, "rewriter", rewriter)


def service_option(service: str, /) -> Option:
    """Say which service the handler belongs to."""
    return FieldOption(Options, "service", service)


def netns_option(netns: str, /) -> Option:
    """Say in which network namespace to open sockets (D13)."""
    return FieldOption(Options, "netns", netns)


@dataclass(slots=True, kw_only=True)
class HandleOptions:
    """What a call of :meth:`Handler.handle` may say besides.

    Kept for parity; nothing depends on it (D30). What belongs to one connection is in its context.
    """

    metadata: Metadata | None = None
    """Settings for one connection; None = none."""


HandleOption: TypeAlias = Callable[[HandleOptions], object]


def metadata_handle_option(metadata: Metadata | None, /) -> HandleOption:
    """Set what nothing depends on (D30)."""
    return FieldOption(HandleOptions, "metadata", metadata)


class Handler(Protocol):
    """Serves clients, each on a connection of its own.

    Life: construct with options, without I/O and without an event loop; ``forward()`` if it is a
    :class:`Forwarder`; ``init()`` once; then use (D18). A handler with background work is a
    :class:`gost_core.common.net.Closer`; it owns nothing of what its options hold (D19).

    Concurrency: one handler serves all connections of its service at once, each by a call of its
    own.

    Checked by :func:`gost_core.testing.check_handler_handler`: ``shape``,
    ``constructed-without-loop``, ``init-without-metadata``, ``init-without-options``,
    ``init-once``, ``handle-before-init``, ``close-any-time``, ``router-stays-open``,
    ``client-gone``, ``client-reset``, ``garbage``, ``cancel-closes``, ``handle-after-close``,
    ``concurrent``, ``dials-target``, ``context-handed-on``, ``carries``, ``client-half-closes``,
    ``target-half-closes``, ``one-way``, ``exchange-ends``, ``client-gone-later``,
    ``cancel-closes-target``, ``target-unreachable``, ``traffic-limited``, ``traffic-refused``,
    ``rate-limited``, ``rate-limiter-broken``, ``bypass-refuses``, ``bypass-broken``,
    ``auther-decides``, ``auther-empty-id``, ``auther-broken``, ``client-id``, ``forward-none``,
    ``forward-late``, ``forward-target``, ``forward-no-target``, ``forward-broken-hop``,
    ``hop-stays-open``.
    """

    __slots__ = ()

    @abstractmethod
    async def init(self, metadata: Metadata | None, /) -> None:
        """Read the settings and start what works in the background.

        Args:
            metadata: the handler's own settings; None = none (D18).

        Raises:
            ValueError: a setting or an option is wrong or missing; the message names it (D64).
            RuntimeError: called a second time.

        When it raises, everything is released (D18).
        """
        ...

    @abstractmethod
    async def handle(self, ctx: Context, conn: Conn, /, *opts: HandleOption) -> None:
        """Serve one client; return when the exchange is over.

        Args:
            ctx: the connection's values: what it carries, or those of the service. Any key may be
                absent (D28).
            conn: the client's connection. The handler owns it whatever happens, also after the
                handler was closed, and closes it (D28).
            opts: see :class:`HandleOptions`; nothing depends on them (D30).

        Returns:
            None, when the exchange is over, also because the client went away.

        Raises:
            Exception: the exchange failed; the service logs and counts it (D28).

        Cancelling ends the exchange and closes the connection.
        """
        ...


@runtime_checkable
class Forwarder(Protocol):
    """A handler that sends its clients to targets of its own choice, not of theirs."""

    __slots__ = ()

    @abstractmethod
    def forward(self, hop: Hop | None, /) -> None:
        """Say where to send clients; once, before ``init()`` (D18).

        Args:
            hop: chooses the target; None = no forwarding (D18). The handler borrows it (D19).

        Raises:
            RuntimeError: called after ``init()``.
        """
        ...
