"""Connections, listeners, addresses and their errors: the stand-in for Go's ``net`` and ``io``.

A class that has the methods is a :class:`Conn`; what it can do beyond them it shows by one of the
capabilities: :class:`PacketConn`, :class:`HalfCloser`, :class:`ConnUnwrapper`,
:class:`ContextCarrier`, :class:`Closer`. :func:`find_capability` looks for one through wrappers.

**Networks** are lower-case names: ``tcp`` and ``udp``, either also with a 4 or a 6 behind it,
``unix``, ``serial``, ``ip``. Test how a network begins, never whether it equals a name. "" = not
told (D11).

**Addresses** are ``host:port`` with an IPv6 host in brackets; a ``host`` alone stands without
them. A network without ports has a path, a name, or "" for its address: what cannot be split is
all host. Hosts compare without regard to ASCII case and to a final dot; IDNA is applied once,
where a name enters. A name stays a name until something must resolve it. An empty host means
everywhere to whoever listens, and is a ValueError to whoever dials (D12).
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
    "Addr",
    "ClosedError",
    "Closer",
    "Conn",
    "ConnUnwrapper",
    "ContextCarrier",
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


class ProtocolError(ConnectionError):
    """The peer sent what its protocol does not allow; the connection is of no more use (D15).

    Another connection may do better, so a Router tries again.
    """


class UnsupportedError(OSError):
    """The network or the operation is not offered here, and will not be (D15).

    Raised before the first byte is sent. Permanent: nobody tries again (D16).
    """


@runtime_checkable
class Error(Protocol):
    """What an exception says about itself, for those who decide whether to try again.

    Not an exception class, so it cannot stand in an ``except`` clause; ask a caught exception::

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

    Whoever is promised a connection gets one or an exception, never None and never both (D5). It
    lives until it is closed: neither the time limit nor the task of the call that made it ends it
    (D4). There are no deadlines; a caller that wants one puts the call into a timeout, which
    concerns that call on that connection alone.

    Concurrency: one task reads while one writes. A second reader or writer is the caller's error
    and may get a RuntimeError, but never are bytes mixed (D6). Everything here belongs to one
    event loop (D21).

    For implementers: a wrapper keeps the capabilities that its bytes still have, and offers
    :class:`ConnUnwrapper` unless it changes the bytes (D10).

    Checked by :func:`gost_core.testing.check_common_net_conn`: ``shape``, ``addresses``,
    ``addresses-after-close``, ``reads-what-is-there``, ``reads-at-most``, ``reads-at-least-one``,
    ``duplex``, ``transfer``, ``any-buffer``, ``buffer-not-kept``, ``empty-is-no-end``,
    ``write-waits``, ``end``, ``write-to-gone-peer``, ``broken-off``, ``read-cancellable``,
    ``cancelled-read-loses-nothing``, ``write-cancellable``, ``time-outs-apart``,
    ``outlives-its-maker``, ``writers-not-mixed``, ``readers-not-mixed``, ``close-reaches-peer``,
    ``last-words``, ``close-twice``, ``close-at-once``, ``close-after-peer``, ``close-wakes-read``,
    ``read-after-close``, ``write-after-close``, ``close-bounded``, ``close-wakes-write``,
    ``close-cancelled``, ``datagram-whole``, ``datagram-cut``, ``datagram-not-empty``,
    ``datagram-too-long``.
    """

    __slots__ = ()

    @abstractmethod
    async def read(self, n: int, /) -> bytes:
        """Read what is there, waiting until something is.

        Args:
            n: at least 1, the most to return. 65535 loses nothing of any datagram.

        Returns:
            1 to ``n`` bytes; ``b""`` exactly when the peer has ended the stream, and then always.
            On a datagram connection: one datagram, never an empty one, cut to ``n`` (D8).

        Raises:
            ClosedError: this side closed the connection, perhaps during the call.
            ConnectionResetError: the peer, or the network, broke it off.
            UnsupportedError: a datagram connection that is not connected (D9).
            ValueError: ``n`` is less than 1.

        Cancelling loses no data: a later read returns it (D7).
        """
        ...

    @abstractmethod
    async def write(self, data: Buffer, /) -> None:
        """Write all of ``data``, or raise.

        Returns when a bounded buffer below has taken everything, so a slow peer slows the writer
        (D8). The caller may change its buffer as soon as the call has returned.

        Args:
            data: any C-contiguous buffer; ``memoryview(data)`` and its ``nbytes`` serve all of
                them. On a datagram connection: one datagram.

        Raises:
            ClosedError: this side closed the connection, perhaps during the call.
            BrokenPipeError, ConnectionResetError: the peer takes no more.
            UnsupportedError: a datagram connection that is not connected (D9).
            OSError: the datagram is too long.

        After cancelling, how much was sent is unknown, and only :meth:`close` is left (D7).
        """
        ...

    @abstractmethod
    async def close(self) -> None:
        """Close the connection and everything that it owns (D3).

        What a write took before still reaches a peer that reads on (D8).
        Waiting calls end with ClosedError. Closing twice, or beside any other call, is legal; a
        second close returns when the first has. It takes bounded time, frees everything even when
        it is cancelled, and raises nothing: faults of closing are logged (D1).
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

    :class:`gost_core.listener.Listener` is its counterpart with a set-up of its own.

    Checked by :func:`gost_core.testing.check_common_net_listener`: ``shape``, ``accepts``,
    ``address``, ``outlives-its-caller``, ``accept-cancellable``,
    ``cancelled-accept-loses-nothing``, ``close-wakes-accept``, ``accept-after-close``,
    ``close-twice``, ``close-at-once``, ``address-freed``, ``unaccepted-closed``,
    ``accepted-survive``.
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
        none that was accepted (D27). A waiting :meth:`accept` raises ClosedError. Otherwise as
        :meth:`Conn.close` (D1).
        """
        ...

    @abstractmethod
    def addr(self) -> Addr:
        """Return the bound address: never None, without blocking, also after close (D2)."""
        ...


class Dialer(Protocol):
    """Opens connections from this host: how a component reaches the network beneath it.

    Whoever holds one may dial for as long as it lives, also from several tasks at once.

    Checked by :func:`gost_core.testing.check_common_net_dialer`: ``shape``, ``reaches``,
    ``addresses``, ``networks``, ``resolves-names``, ``unresolvable``, ``refused``, ``unsupported``,
    ``malformed``, ``no-host``, ``outlives-its-caller``, ``connections-apart``, ``at-once``,
    ``cancellable``, ``silence-apart``, ``cancelled-frees``, ``udp``, ``udp-elsewhere``,
    ``udp-unconnected``, ``unix``.
    """

    __slots__ = ()

    @abstractmethod
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        """Open a connection. The caller owns it.

        Args:
            ctx: the call's values; may be empty.
            network: ``tcp``, ``udp`` or ``unix`` (D11).
            addr: where to (D12); a name in it is resolved here. "" with ``udp`` gives an
                unconnected socket, which is a :class:`PacketConn` and whose ``read`` and ``write``
                raise UnsupportedError. With an address a ``udp`` connection is connected, and
                ``write_to`` another address is a ValueError (D9).

        Raises:
            ConnectionRefusedError: nobody listens there.
            socket.gaierror: the name does not resolve.
            TimeoutError: the system gave up; a caller's own limit arrives as a cancellation (D14).
            OSError: any other failure.
            UnsupportedError: the network is not offered. ValueError: the address is malformed or
                has no host. Both before any I/O, both permanent (D15, D16).

        The connection outlives the timeout and the task of this call. Cancelling frees what was
        opened (D4).
        """
        ...


@runtime_checkable
class PacketConn(Protocol):
    """The capability to exchange datagrams with more than one peer.

    It has no ``close``: keep the :class:`Conn` that offers it. It counts on the outermost
    connection only, since datagrams sent beneath a wrapper would escape what the wrapper does
    (D10).

    Checked by :func:`gost_core.testing.check_common_net_packet_conn`: ``shape``, ``exchange``,
    ``foreign-addr``, ``malformed-addr``, ``whole``, ``cut``, ``reads-at-least-one``, ``too-long``,
    ``any-buffer``, ``read-cancellable``, ``cancelled-read-loses-nothing``, ``unconnected``,
    ``remote-addr-nowhere``, ``connected-peer``, ``connected-elsewhere``, ``close-wakes-read``,
    ``use-after-close``.
    """

    __slots__ = ()

    @abstractmethod
    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        """Read one datagram and say who sent it.

        Args:
            n: at least 1; the datagram is cut to so many bytes. 65535 loses nothing (D8).

        Returns:
            The datagram and its sender. ``b""`` is an empty datagram and no end; an implementation
            may leave such out.

        Raises:
            ClosedError: this side closed the connection.
            ConnectionResetError: the network reports a peer that is gone.
            ValueError: ``n`` is less than 1.

        Cancelling loses no datagram (D7).
        """
        ...

    @abstractmethod
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        """Send one datagram to ``addr``.

        Args:
            data: any buffer, sent whole.
            addr: any :class:`Addr`, taken by ``network()`` and ``str()``. On a connected socket
                it must be the peer.

        Raises:
            ClosedError: this side closed the connection.
            OSError: the datagram is too long, or was dropped by a limit (D52).
            ValueError: ``addr`` is malformed, or not the peer of a connected socket (D9).
        """
        ...


@runtime_checkable
class HalfCloser(Protocol):
    """The capability to end one's own direction of a stream and go on reading the other.

    It counts on the outermost connection only (D10). A connection whose capability a wrapper can
    tell only at run time may have the method and raise UnsupportedError.

    Checked by :func:`gost_core.testing.check_common_net_half_closer`: ``shape``, ``ends-stream``,
    ``reading-goes-on``, ``twice``, ``write-after``, ``after-close``, ``writing-goes-on``,
    ``unsupported``.
    """

    __slots__ = ()

    @abstractmethod
    async def close_write(self) -> None:
        """End the outgoing stream; the peer reads to its end and may go on sending.

        Doing it twice is legal. A later write raises BrokenPipeError.

        Raises:
            UnsupportedError: what is below cannot; the caller closes the whole connection (D10).
            ClosedError: this side closed the connection.
            ConnectionResetError, BrokenPipeError: the peer is gone.
        """
        ...


@runtime_checkable
class ConnUnwrapper(Protocol):
    """The capability of a wrapper to show what it wraps.

    For implementers: offer it only if the wrapper leaves the bytes as they are. What is found
    beneath a wrapper is for looking at, not for I/O (D10).

    Checked by :func:`gost_core.testing.check_common_net_conn_unwrapper`: ``shape``,
    ``shows-inner``, ``bytes-unchanged``, ``close-closes-inner``, ``keeps-half-close``,
    ``invents-no-half-close``, ``shows-capabilities``, ``keeps-packets``, ``invents-no-packets``.
    """

    __slots__ = ()

    @abstractmethod
    def unwrap_conn(self) -> Conn:
        """Return the connection directly beneath this one, never None."""
        ...


@runtime_checkable
class ContextCarrier(Protocol):
    """The capability of a connection to bring values of its own.

    A service hands a carried context to the handler instead of its own (D28).

    Checked by :func:`gost_core.testing.check_common_net_context_carrier`: ``shape``,
    ``context-or-none``, ``same-each-time``, ``outlives-its-maker``.
    """

    __slots__ = ()

    @abstractmethod
    def context(self) -> Context | None:
        """Return the connection's values, or None if it has none after all."""
        ...


@runtime_checkable
class Closer(Protocol):
    """The capability of a component that must be closed.

    Dialers with sessions, handlers with background work, hops, chainers, routers and registered
    things may have it. Whoever made the component closes it; nobody closes what was only lent
    (D19). ``isinstance`` sees names only: a :class:`gost_core.chain.Node` has a ``close`` that is
    not awaited, and is no Closer.

    Checked by :func:`gost_core.testing.check_common_net_closer`: ``shape``, ``closes``,
    ``releases``, ``no-task-left``, ``twice``, ``at-once``, ``cancelled``, ``wakes-waiting``,
    ``from-inside``.
    """

    __slots__ = ()

    @abstractmethod
    async def close(self) -> None:
        """End what the component does, release what it holds, and await its tasks (D20).

        Legal twice, at any time, beside any other call and from inside one (D22). Waiting calls
        end with ClosedError. Bounded; frees even when cancelled; raises nothing (D1).
        """
        ...


def find_capability(conn: Conn, capability: Callable[..., T], /) -> T | None:
    """Find a capability on a connection or beneath its wrappers.

    For looking: at a context, metadata, TLS state, the socket. I/O beneath a wrapper would escape
    what the wrapper does, so :class:`PacketConn`, :class:`HalfCloser` and protocols that extend
    them are found on ``conn`` itself only (D10). Ask once, when the connection comes, and keep the
    answer.

    Args:
        conn: the outermost connection.
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
    for_io = is_protocol(cls) and not {PacketConn, HalfCloser}.isdisjoint(cls.__mro__)
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
