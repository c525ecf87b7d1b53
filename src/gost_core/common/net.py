"""Connections, listeners, addresses and their errors: the stand-in for Go's ``net`` and ``io``.

A class that has the methods of :class:`Conn` is a connection. If it can do more, it also has the
methods of one of the capabilities: :class:`PacketConn`, :class:`HalfCloser`, :class:`Aborter`,
:class:`ConnUnwrapper`, :class:`ContextCarrier`, :class:`Closer`. :func:`find_capability` looks for
one through wrappers.

**Networks** are lower-case names: ``tcp`` and ``udp``, either also with a 4 or a 6 behind it,
``unix``, ``serial``, ``ip``. Others may exist; these names mean the same everywhere. Test how a
network begins, never whether it equals a name. "" means that nobody said. A network only names what
carries the bytes. It decides nothing: a connection carries datagrams exactly if it is a
:class:`PacketConn` (D11).

**Addresses** are ``host:port``, with an IPv6 host in brackets. Without a port, the host is written
without brackets. An address that cannot be split is a host and nothing else; on a network without
ports it is a path, a name, or "". A name stays a name until something must resolve it. An empty
host means every address of this host when listening, and is a ValueError when dialing (D12).

**Hosts** compare without regard to ASCII case and to a trailing dot. Where a name enters the
program, in a client's request, a setting, a rule or a hosts file, it is brought to one form, once:
IDNA in ASCII (UTS 46, non-transitional), lower case, without that dot. A name with a backslash, a
space or a control character is refused with a ValueError. A host whose last label is all digits, or
0x with hexadecimal digits behind it, must be an IPv4 address in four decimal parts, and is a
ValueError otherwise: ``127.1`` and ``0x7f000001`` are no hosts. To every rule an IPv6 address is
the same in each spelling, an IPv4 address that is written as IPv6 counts as the IPv4 address, and
an unspecified address counts as loopback (D12).
"""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from types import GetSetDescriptorType
from typing import TypeGuard, TypeVar, cast
from weakref import WeakKeyDictionary

from typing_extensions import (
    Buffer,
    Protocol,
    get_protocol_members,
    is_protocol,
    runtime_checkable,
)

from gost_core.context import Context

__all__ = (
    "Aborter",
    "Addr",
    "ClosedError",
    "Closer",
    "Conn",
    "ConnUnwrapper",
    "ContextCarrier",
    "DeniedError",
    "Dialer",
    "Error",
    "HalfCloser",
    "Listener",
    "PacketConn",
    "ProtocolError",
    "UnsupportedError",
    "find_capability",
)

T = TypeVar("T")

# A chain of wrappers is a handful deep. One that unwraps to itself, or to a new wrapper each time,
# has no end, and only a count stops both.
_DEEPEST_WRAPPER = 64


class ClosedError(OSError):
    """This side closed the connection or the listener, before the call or during it (D14).

    Final for the object: nothing on it will succeed again. What the *peer* ended is
    ``b""`` from a read, a ConnectionResetError or a BrokenPipeError instead.
    """


class DeniedError(PermissionError):
    """A rule of this side denies it: an admission, a bypass, a matcher, a limit, a chain (D15).

    Final: a Router does not try again, and a reverse listener raises it as it is (D16). A plain
    PermissionError is something else: wrong credentials, what the system forbids, or what a peer
    refuses by its own rules. Another node may allow that, so it is tried again (D15).
    """


class ProtocolError(ConnectionError):
    """The peer sent what its protocol does not allow; the connection cannot be used any more (D15).

    Another connection may do better, so a Router tries again.
    """


class UnsupportedError(OSError):
    """The network or the operation is not offered here, and will not be (D15).

    Raised before the first byte is sent. It is final: do not try again (D16).
    """


@runtime_checkable
class Error(Protocol):
    """What an exception says about itself, for those who decide whether to try again.

    It is not an exception class, so ``except`` cannot name it. Ask an exception that was caught::

        except OSError as error:
            if isinstance(error, Error) and error.temporary():
                ...
    """

    __slots__ = ()

    @abstractmethod
    def timeout(self) -> bool:
        """Tell whether a time limit was what failed."""
        ...

    @abstractmethod
    def temporary(self) -> bool:
        """Tell whether the same call may succeed later."""
        ...


class Addr(Protocol):
    """One end of a connection.

    Addresses compare by what :meth:`network` and ``str()`` say, whatever their classes (D9). Both
    are pure: always the same, no I/O.
    """

    __slots__ = ()

    @abstractmethod
    def network(self) -> str:
        """Return the network's name, such as ``"tcp"`` (D11)."""
        ...

    @abstractmethod
    def __str__(self) -> str:
        """Return the address in its network's form, such as ``"[::1]:8080"`` (D12).

        "" for an end that is nowhere, as the remote end of an unconnected datagram socket is (D2).
        """
        ...


class Conn(Protocol):
    """A connection: a stream of bytes, or a sequence of datagrams, to one peer.

    A call that promises a connection returns one or raises, and never returns None (D5). A
    connection lives until it is closed: neither the time limit nor the task of the call that made
    it ends it (D4). It has no deadlines. To limit the time of a call, put that call into a timeout;
    nothing else is affected.

    Concurrency: one task reads while one writes. A second reader or writer is the caller's error
    and may get a RuntimeError, but never are bytes mixed (D6). Everything here belongs to one
    event loop (D21).

    For implementers: a wrapper offers those capabilities of the inner connection that still work
    through it, and :class:`ConnUnwrapper` unless it changes the bytes (D10). It is a
    :class:`PacketConn` exactly if what it wraps is one, so its class is chosen when it is made
    (D11). What a protocol must answer while it reads, such as a pong or a key update, is sent by a
    task of the connection or with the next write, never within ``read()``, where a cancellation
    could cut it in two. Answers that wait to be sent are bounded; a newer pong, for instance, takes
    the place of the older one (D6, D7).

    Checked by :class:`gost_core.testing.common.net.ConnContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def read(self, n: int, /) -> bytes:
        """Read what is there, waiting until something is.

        Args:
            n: how many bytes to return at most; at least 1. 65535 is enough for any datagram.

        Returns:
            1 to ``n`` bytes; ``b""`` exactly when the peer has ended the stream in the way in which
            its protocol ends streams, and then always. On a datagram connection: one datagram,
            never an empty one, cut to ``n`` (D8).

        Raises:
            ClosedError: this side closed the connection, perhaps during the call.
            ConnectionResetError: the peer, or the network, broke it off. Some protocols announce
                their end, such as TLS and WebSocket; an end without the announcement raises this
                too, since a stream that was cut must not look complete. What the connection holds
                in its own buffers is returned first (D8).
            ConnectionRefusedError: a datagram that was sent before reached nobody. The next call on
                the connection raises it, once, and the connection goes on (D9).
            UnsupportedError: a datagram connection that is not connected (D9).
            ValueError: ``n`` is less than 1.

        Cancelling loses no data: a later read returns it (D7).
        """
        ...

    @abstractmethod
    async def write(self, data: Buffer, /) -> None:
        """Write all of ``data``, or raise.

        It returns when a buffer of bounded size, such as that of the system, has taken everything,
        so a slow peer slows the writer down (D8). The caller may change its buffer as soon as the
        call has returned.

        Args:
            data: a buffer of whose bytes ``memoryview(data).cast("B")`` is a view, such as bytes, a
                bytearray or an array; ``len(data)`` need not be their number. On a datagram
                connection: one datagram.

        Raises:
            ClosedError: this side closed the connection, perhaps during the call.
            BrokenPipeError, ConnectionResetError: the peer takes no more.
            ConnectionRefusedError: a datagram that was sent before reached nobody; the connection
                goes on (D9).
            UnsupportedError: a datagram connection that is not connected (D9).
            OSError: the datagram is too long.

        If the call is cancelled, nobody knows how much was sent: only close the connection then
        (D7).
        """
        ...

    @abstractmethod
    async def close(self) -> None:
        """Close the connection and everything that it owns (D3).

        First it tells the peer about the end, in the way of the protocol: an end of the stream, a
        close frame, TLS's close_notify. All of it takes 1 to 3 seconds at most, whatever the peer
        does (D1). What was written before still reaches a peer that reads it within that time, even
        a peer that goes on sending. Over TCP this takes two steps, unless the peer has ended its
        stream: end the own stream, then discard what comes, until the peer ends its stream, or
        nothing is unsent any more, or the time is over (D8).

        Calls that wait raise ClosedError at once. It may be called twice, and during any other
        call; the second call returns when the first has. If it is cancelled, it frees everything at
        once. It raises nothing: what goes wrong in closing is logged. Closing several connections
        at once takes no longer than closing one (D1, D8).
        """
        ...

    @abstractmethod
    def local_addr(self) -> Addr:
        """Return this end's address: never None, without blocking, also after close (D2)."""
        ...

    @abstractmethod
    def remote_addr(self) -> Addr:
        """Return the peer's address: never None, without blocking, also after close (D2)."""
        ...


class Listener(Protocol):
    """Something that connections come from: what a Router or a Binder gives for a bound address.

    :class:`gost_core.listener.Listener` is another interface: a part of a service, with options and
    ``init()``.

    Checked by :class:`gost_core.testing.common.net.ListenerContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def accept(self) -> Conn:
        """Return the next connection, waiting until there is one. The caller owns it.

        One caller at a time (D26).

        Raises:
            ClosedError: the listener was closed, perhaps during the call, or ended earlier.
            OSError: the listener has failed; what comes after is ClosedError.

        A connection that arrives while the call is cancelled is returned by a later one, or
        closed (D26).
        """
        ...

    @abstractmethod
    async def close(self) -> None:
        """Close the listener.

        Frees the address before it returns and closes the connections that nobody accepted, but
        none that was accepted. Where accepted connections use the listener's own socket, as with
        UDP and QUIC, no new one is accepted from now on, and the address is free once the last
        accepted one is closed (D27). A waiting :meth:`accept` raises ClosedError. Otherwise as
        :meth:`Conn.close` (D1).
        """
        ...

    @abstractmethod
    def addr(self) -> Addr:
        """Return the bound address: never None, without blocking, also after close (D2)."""
        ...


class Dialer(Protocol):
    """Opens the connections that other components build on.

    A component is given one to reach the network: from this host, or through the nodes before it.
    It may be used for as long as it lives, also by several tasks at once.

    Checked by :class:`gost_core.testing.common.net.DialerContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        """Open a connection. The caller owns it.

        Args:
            ctx: the call's values; may be empty. If its TIME_LIMIT has passed, the call raises
                TimeoutError before any I/O (D69).
            network: ``tcp``, ``udp`` or ``unix`` (D11).
            addr: the target; a name in it is resolved here, and its addresses are tried until one
                connects (D12). "" with ``udp`` gives an unconnected socket, whose ``read`` and
                ``write`` raise UnsupportedError. With an address a ``udp`` connection is connected,
                and ``write_to`` another address is a ValueError (D9). Both are a
                :class:`PacketConn` (D11).

        Raises:
            ConnectionRefusedError: nobody listens there.
            socket.gaierror: the name does not resolve.
            TimeoutError: the system gave up, or the TIME_LIMIT in ``ctx`` had passed already. A
                caller's own timeout arrives as a cancellation (D14).
            OSError: any other failure.
            UnsupportedError: the network is not offered. ValueError: the address is malformed or
                has no host. Both before any I/O, both final (D15, D16).

        The connection outlives the timeout and the task of this call. Cancelling frees what was
        opened (D4).
        """
        ...


@runtime_checkable
class PacketConn(Protocol):
    """The capability to exchange datagrams with more than one peer.

    It has no ``close``: keep the :class:`Conn` that offers it. It counts on the outermost
    connection only, since datagrams sent past a wrapper would escape what the wrapper does (D10). A
    connection carries datagrams exactly if ``isinstance`` finds this capability on it, whatever its
    ``network()`` says; so accepted datagram sessions have it, and what any dialer, connector or
    route gives for ``udp`` (D11).

    Checked by :class:`gost_core.testing.common.net.PacketConnContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        """Read one datagram and say who sent it.

        Args:
            n: at least 1. A longer datagram is cut to ``n`` bytes; 65535 is enough for any (D8).

        Returns:
            The datagram and its sender. ``b""`` is an empty datagram, not an end; an implementation
            may skip empty ones.

        Raises:
            ClosedError: this side closed the connection.
            ConnectionRefusedError: a datagram that was sent before reached nobody. Raised once, by
                the next call on the connection, which goes on (D9).
            ConnectionResetError: the connection has ended (D9).
            ValueError: ``n`` is less than 1.

        Cancelling loses no datagram (D7).
        """
        ...

    @abstractmethod
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        """Send one datagram to ``addr``.

        Args:
            data: a buffer as :meth:`Conn.write` takes it, sent whole.
            addr: any :class:`Addr`, taken by ``network()`` and ``str()``. On a connected socket
                it must be the peer. A name is resolved here if a Router of this side gave the
                connection, by that Router's HostMapper and Resolver and never by the system in
                their place; through a chain it travels as a name (D9, D39).

        Raises:
            ClosedError: this side closed the connection.
            ConnectionRefusedError: a datagram that was sent before reached nobody; the connection
                goes on (D9).
            OSError: the datagram is too long, was refused by a limit (D52), or its name has no
                address, and nothing is sent (D9).
            ValueError: ``addr`` is malformed, or not the peer of a connected socket (D9).
        """
        ...


@runtime_checkable
class HalfCloser(Protocol):
    """The capability to end one's own direction of a stream and go on reading the other.

    It counts on the outermost connection only. A transport whose own close ends both directions,
    such as WebSocket, does not offer it; one that has to carry half-closed exchanges sends an end
    mark in its frames (D10). A connection whose capability a wrapper can tell only at run time may
    have the method and raise UnsupportedError.

    Checked by :class:`gost_core.testing.common.net.HalfCloserContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def close_write(self) -> None:
        """End the outgoing stream; the peer reads to its end and may go on sending.

        It may be called twice. A later write raises BrokenPipeError.

        Raises:
            UnsupportedError: what is below cannot; the caller closes the whole connection (D10).
            ClosedError: this side closed the connection.
            ConnectionResetError, BrokenPipeError: the peer is gone.
        """
        ...


@runtime_checkable
class Aborter(Protocol):
    """The capability to break a connection off, so that what the peer has does not look complete.

    A relay uses it when one of its two connections breaks off: the other one first gets what was
    read for it, for as long as a close may take, and is then aborted, or closed if it cannot be
    aborted. If a connection has ended in order, the other one is closed (D72).

    It counts on the outermost connection only. For implementers: a wrapper aborts what it wraps. If
    that is no Aborter, the wrapper closes it, and sends no goodbye of the wrapper's protocol before
    (D72).

    Checked by :class:`gost_core.testing.common.net.AborterContract`.
    """

    __slots__ = ()

    @abstractmethod
    def abort(self) -> None:
        """Break the connection off at once.

        Waiting calls raise ClosedError, as after a close. What is unsent is discarded. The peer
        gets a reset, if the protocol has one. If not, it gets no goodbye, neither TLS's
        close_notify nor a close frame. It does not wait: what cannot be done at once is left to
        :meth:`Conn.close`, which must follow. It may be called twice, has no effect after close,
        and raises nothing (D72).
        """
        ...


@runtime_checkable
class ConnUnwrapper(Protocol):
    """The capability of a wrapper to show what it wraps.

    For implementers: offer it only if the wrapper leaves the bytes as they are. What is found
    beneath a wrapper is for looking at, not for I/O (D10).

    Checked by :class:`gost_core.testing.common.net.ConnUnwrapperContract`.
    """

    __slots__ = ()

    @abstractmethod
    def unwrap_conn(self) -> Conn:
        """Return the connection directly beneath this one, never None."""
        ...


@runtime_checkable
class ContextCarrier(Protocol):
    """The capability of a connection to bring values for its handler.

    A service hands a carried context to the handler instead of its own (D28).

    Checked by :class:`gost_core.testing.common.net.ContextCarrierContract`.
    """

    __slots__ = ()

    @abstractmethod
    def context(self) -> Context | None:
        """Return the connection's values, or None if it has none."""
        ...


@runtime_checkable
class Closer(Protocol):
    """The capability of a component that must be closed.

    Dialers with sessions, handlers with background work, hops, chainers, routers and registered
    things may have it. The part of the program that made the component closes it. A component that
    was only lent is not closed by its borrower (D19). On an event loop with structured concurrency,
    a component whose tasks outlive its calls is given the scope for them by its constructor (D18).
    ``isinstance`` sees names only: a :class:`gost_core.chain.Node` has a ``close`` that is not
    awaited, and is no Closer.

    Checked by :class:`gost_core.testing.common.net.CloserContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def close(self) -> None:
        """End what the component does, release what it holds, and await its tasks (D20).

        It may be called twice, at any time, during any other call and from inside one (D22).
        Waiting calls end with ClosedError. It takes 1 to 3 seconds at most; frees even when
        cancelled; raises nothing (D1).
        """
        ...


def find_capability(conn: Conn | Listener, capability: Callable[..., T], /) -> T | None:
    """Find a capability on a connection or beneath its wrappers, or on a listener.

    A capability is what ``isinstance`` finds. This is for looking: at a context, metadata, TLS
    state, the socket, the route that was taken. I/O beneath a wrapper would escape what the wrapper
    does, so :class:`PacketConn`, :class:`HalfCloser`, :class:`Aborter` and protocols that extend
    them are found on ``conn`` itself only (D10). Ask once, when the connection comes, and keep the
    answer.

    Args:
        conn: the outermost connection, or a listener. A listener is looked at alone: one that wraps
            another hands its capabilities on (D74).
        capability: a class decorated with ``runtime_checkable``, from here or your own, or any
            other class.

    Returns:
        The outermost layer that has the capability, or None. Wrappers are followed through
        :class:`ConnUnwrapper`, 64 layers at most.

    Raises:
        TypeError: ``capability`` is a protocol without ``runtime_checkable``.
    """
    cls = _class(capability)
    layers, members = _search(cls)
    layer: object = conn
    for _ in range(layers):
        if _has(layer, cls, members):
            return layer
        if not _has(layer, _UNWRAPPER, _UNWRAPPER_MEMBERS):
            return None
        layer = layer.unwrap_conn()
    return None


def _class(capability: Callable[..., T], /) -> type[T]:
    # A class all the same: Callable[..., T] takes a protocol where mypy refuses type[T].
    return cast("type[T]", capability)


# What a search for a class needs to know, found once for each: how many layers to look at, and the
# members to ask for first, which are none where isinstance alone can tell.
_searches: WeakKeyDictionary[type, tuple[int, frozenset[str]]] = WeakKeyDictionary()
_UNWRAPPER = _class(ConnUnwrapper)
_UNWRAPPER_MEMBERS = get_protocol_members(ConnUnwrapper)
_ProtocolMeta = type(Conn)
_PLAIN_METACLASSES = (_ProtocolMeta, ABCMeta, type)


def _search(cls: type, /) -> tuple[int, frozenset[str]]:
    try:
        return _searches[cls]
    except KeyError:
        isinstance(None, cls)  # Raises the TypeError of a protocol without runtime_checkable.
    # A concrete class may be looked for at any depth: to look at what it is, not to do I/O.
    for_io = is_protocol(cls) and not {PacketConn, HalfCloser, Aborter}.isdisjoint(cls.__mro__)
    asked_first = is_protocol(cls) and type(cls) is _ProtocolMeta
    members = get_protocol_members(cls) if asked_first else frozenset[str]()
    _searches[cls] = search = (1 if for_io else _DEEPEST_WRAPPER, members)
    return search


def _has(layer: object, cls: type[T], members: frozenset[str], /) -> TypeGuard[T]:
    """Answer as isinstance does, which is slow to say no about a protocol.

    It asks the class, which is quick, and then looks for each member on the object.
    """
    if members and isinstance(cls, ABCMeta):
        if ABCMeta.__instancecheck__(cls, layer):
            return True
        if _lacks_one(layer, members):
            return False
    return isinstance(layer, cls)


def _lacks_one(layer: object, members: frozenset[str], /) -> bool:
    """Tell, without running any code of ``layer``, that it lacks one of ``members``.

    False leaves it to isinstance: all may be there, or the class hides what it has.
    """
    kind = type(layer)
    if type(kind) not in _PLAIN_METACLASSES or isinstance(layer, type):
        return False
    for member in members:
        for base in kind.__mro__:
            names = base.__dict__
            if member in names:
                break
            if "__dict__" in names and type(names["__dict__"]) is not GetSetDescriptorType:
                return False
        else:
            try:
                return member not in object.__getattribute__(layer, "__dict__")
            except AttributeError:  # It has slots only.
                return True
    return False
