"""Handlers: what is spoken with a client, and done for it."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from typing_extensions import Protocol, runtime_checkable

from gost_core.auth import Authenticator
from gost_core.bypass import Bypass
from gost_core.cache import Cache
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
    "cache_option",
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


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Options:
    """What a handler may be constructed with; a missing part is a feature that is off."""

    bypass: Bypass | None = None
    """Destinations that are refused (D47); None = none is. An exception refuses too (D36)."""
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
    """What receives how much each client sent and received; None = nothing does."""
    recorders: Sequence[RecorderObject] = ()
    """Where to record; every one whose record point is the handler's is used (D55)."""
    rewriter: Rewriter | None = None
    """It is here because Go has it, and has no effect (D30). To rewrite, set the rewriters in the
    HTTP settings of a node."""
    service: str = ""
    """The name of the service, which is passed on to limiters, rules and others; "" = not given."""
    netns: str = ""
    """The network namespace for sockets that the handler opens itself: a name or an absolute path;
    "" = the current one (D13)."""
    cache: Cache | None = None
    """What the handler keeps answers in, not closed by it; None = it keeps none. A cache that fails
    counts as one that has nothing (D75)."""


Option: TypeAlias = Callable[[Options], object]


def bypass_option(bypass: Bypass | None, /) -> Option:
    """Set ``Options.bypass``.

    Destinations that are refused (D47); None = none is. An exception refuses too (D36).
    """
    return FieldOption(Options, "bypass", bypass)


def router_option(router: Router | None, /) -> Option:
    """Set ``Options.router``.

    What opens connections to targets; a handler that needs one raises a ValueError in
    ``init()`` if it is None.
    """
    return FieldOption(Options, "router", router)


def auth_option(auth: Userinfo | None, /) -> Option:
    """Set ``Options.auth``.

    Credentials of the handler's own protocol, such as a cipher and its password; None = none.
    Clients are checked by ``auther``.
    """
    return FieldOption(Options, "auth", auth)


def auther_option(auther: Authenticator | None, /) -> Option:
    """Set ``Options.auther``.

    Who may use the service; None = everybody. An exception refuses (D49).
    """
    return FieldOption(Options, "auther", auther)


def rate_limiter_option(limiter: RateLimiter | None, /) -> Option:
    """Set ``Options.rate_limiter``.

    Limits on requests, by the client's host; None = no limit.
    """
    return FieldOption(Options, "rate_limiter", limiter)


def traffic_limiter_option(limiter: TrafficLimiter | None, /) -> Option:
    """Set ``Options.limiter``.

    Limits on bytes, by client; None = no limit.
    """
    return FieldOption(Options, "limiter", limiter)


def tls_config_option(tls_config: TLSConfig | None, /) -> Option:
    """Set ``Options.tls_config``.

    TLS within the handler's protocol; None = the library's defaults (D24).
    """
    return FieldOption(Options, "tls_config", tls_config)


def logger_option(logger: Logger | None, /) -> Option:
    """Set ``Options.logger``.

    Where to log; None = the default logger (D24).
    """
    return FieldOption(Options, "logger", logger)


def observer_option(observer: Observer | None, /) -> Option:
    """Set ``Options.observer``.

    What receives how much each client sent and received; None = nothing does.
    """
    return FieldOption(Options, "observer", observer)


def recorders_option(*recorders: RecorderObject) -> Option:
    """Set ``Options.recorders``.

    Where to record; every one whose record point is the handler's is used (D55).
    """
    return FieldOption(Options, "recorders", recorders)


def rewriter_option(rewriter: Rewriter | None, /) -> Option:
    """Set ``Options.rewriter``.

    It is here because Go has it, and has no effect (D30). To rewrite, set the rewriters in the
    HTTP settings of a node.
    """
    return FieldOption(Options, "rewriter", rewriter)


def service_option(service: str, /) -> Option:
    """Set ``Options.service``.

    The name of the service, which is passed on to limiters, rules and others; "" = not given.
    """
    return FieldOption(Options, "service", service)


def netns_option(netns: str, /) -> Option:
    """Set ``Options.netns``.

    The network namespace for sockets that the handler opens itself: a name or an absolute path;
    "" = the current one (D13).
    """
    return FieldOption(Options, "netns", netns)


def cache_option(cache: Cache | None, /) -> Option:
    """Set ``Options.cache``.

    What the handler keeps answers in, not closed by it; None = it keeps none. A cache that fails
    counts as one that has nothing (D75).
    """
    return FieldOption(Options, "cache", cache)


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class HandleOptions:
    """Options for one call of :meth:`Handler.handle`.

    They are here because Go has them, and have no effect (D30). What belongs to one connection is
    in its context.
    """

    metadata: Metadata | None = None
    """Settings for one connection; None = none."""


HandleOption: TypeAlias = Callable[[HandleOptions], object]


def metadata_handle_option(metadata: Metadata | None, /) -> HandleOption:
    """Set ``HandleOptions.metadata``.

    Settings for one connection; None = none.
    """
    return FieldOption(HandleOptions, "metadata", metadata)


class Handler(Protocol):
    """Serves clients: one call for each connection.

    Life: construct with options, without I/O and without an event loop; ``forward()`` if it is a
    :class:`Forwarder`; ``init()`` once; then use (D18). A handler with background work is a
    :class:`gost_core.common.net.Closer`; it owns nothing of what its options hold (D19).

    What a handler does for a client (D28):

    - It asks the rate limiter first, so a refused login counts too. Then, if it has an
      authenticator, it authenticates, before it judges, resolves or dials anything of the request.
      A client without credentials is refused in the way of the protocol, and nothing is dialed.
    - It decides each request on a connection anew: limits, rules, route and records always, and the
      authentication if each request brings credentials.
    - Where the protocol can tell a failure, it tells success only after ``Router.dial`` or ``bind``
      has returned.
    - It passes names on as names (D9). If sniffing finds nothing, the destination stays as it was.
    - If the target breaks off, it breaks the client's connection off too, if that is a
      :class:`gost_core.common.net.Aborter`. If a relay ends although a stream has not ended, the
      side that this stream goes to first gets what was read for it. Then it is aborted, or closed
      if it cannot be aborted (D72). A target that cannot half-close is closed altogether (D10).
    - It ends both directions before it returns.
    - The answers of a datagram association leave from the address that the client wrote to. It is
      the ``local_addr()`` of the accepted session, if the system can tell it. If not, ``init()``
      refuses a wildcard address, or the documentation says so.

    Concurrency: one handler serves all connections of its service at once, each by a separate call.
    Nothing that belongs to one call is kept on the object while it waits (D22).

    Checked by :class:`gost_core.testing.handler.HandlerContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def init(self, metadata: Metadata | None, /) -> None:
        """Read the settings and start what works in the background.

        Every option is served or refused here, and a TLSConfig is used unchanged (D24).

        Args:
            metadata: the handler's own settings; None = none (D18).

        Raises:
            ValueError: a setting or an option is wrong, missing, or not served here; the message
                names it (D24, D64).
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
            opts: see :class:`HandleOptions`; they have no effect (D30).

        Returns:
            None, when the exchange is over. A client that went away has ended it too.

        Raises:
            DeniedError: a rule of this side refused the client. It is raised as it is, never inside
                an ExceptionGroup; the service logs it as information and does not count it (D15).
            Exception: the exchange failed; the service logs and counts it (D28).

        Cancelling ends the exchange and closes the connection.
        """
        ...


@runtime_checkable
class Forwarder(Protocol):
    """A handler that chooses the targets itself; its clients do not."""

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
