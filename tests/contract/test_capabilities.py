"""What a connection can do beyond being one, found through wrappers."""

import gc
import weakref
from abc import ABCMeta
from collections.abc import Callable
from contextlib import suppress
from types import DynamicClassAttribute
from typing import Any
from typing import Protocol as PlainProtocol
from typing import runtime_checkable as plain_runtime_checkable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import Buffer, Protocol, runtime_checkable

from gost_core.chain import Route, RouteCarrier
from gost_core.common.net import (
    Aborter,
    Addr,
    Closer,
    Conn,
    ConnUnwrapper,
    ContextCarrier,
    HalfCloser,
    PacketConn,
    find_capability,
)
from gost_core.context import Context
from gost_core.metadata import Metadata, Metadatable
from tests.contract.untyped import untyped

ENDLESS = 1000


class Address:
    def network(self) -> str:
        return "tcp"

    def __str__(self) -> str:
        return "192.0.2.1:443"


class Connection:
    """A connection that can do nothing besides."""

    async def read(self, n: int, /) -> bytes:
        return b""

    async def write(self, data: Buffer, /) -> None:
        return

    async def close(self) -> None:
        return

    def local_addr(self) -> Addr:
        return Address()

    def remote_addr(self) -> Addr:
        return Address()


class Carrying(Connection):
    """A connection with a context."""

    def context(self) -> Context | None:
        return Context()


class Wrapper(Connection):
    """A wrapper that shows what it wraps, and counts how often."""

    def __init__(self, conn: Conn) -> None:
        self.conn = conn
        self.unwrapped = 0

    def unwrap_conn(self) -> Conn:
        self.unwrapped += 1
        return self.conn


class CarryingWrapper(Wrapper):
    """A wrapper with a context of its own."""

    def context(self) -> Context | None:
        return None


class Opaque(Connection):
    """A wrapper that changes the bytes, so it does not show what it wraps."""

    def __init__(self, conn: Conn) -> None:
        self.conn = conn


class Datagrams(Connection):
    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        return b"datagram", Address()

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        return


class HalfClosable(Connection):
    async def close_write(self) -> None:
        return


class Abortable(Connection):
    def abort(self) -> None:
        return


class FromRouter(Connection):
    def taken_route(self) -> Route | None:
        return None


class BoundByRouter:
    """A listener that tells its route."""

    async def accept(self) -> Conn:
        return Connection()

    async def close(self) -> None:
        return

    def addr(self) -> Addr:
        return Address()

    def taken_route(self) -> Route | None:
        return None


class Tagged(Connection):
    def __init__(self, tag: str) -> None:
        self.name = tag

    def tag(self) -> str:
        return self.name

    def metadata(self) -> Metadata | None:
        return None


@runtime_checkable
class Tag(Protocol):
    """A capability that the contract does not know."""

    def tag(self) -> str: ...


@runtime_checkable
class Broadcasting(PacketConn, Protocol):
    """A capability that is about datagrams too."""


class TagByName(Protocol):
    """A protocol that cannot be looked for at run time."""

    def tag(self) -> str: ...


class PlainTagByName(PlainProtocol):
    """The same, by the Protocol of the standard library."""

    def tag(self) -> str: ...


def wrapped(conn: Conn, depth: int) -> Conn:
    """Return ``conn`` within so many wrappers."""
    for _ in range(depth):
        conn = Wrapper(conn)
    return conn


# ---- Layers


def test_a_capability_of_the_connection_itself_is_found() -> None:
    for conn in (Carrying(), Opaque(Carrying()), CarryingWrapper(Connection())):
        found = find_capability(conn, ContextCarrier)
        assert found is (None if isinstance(conn, Opaque) else conn)


@pytest.mark.parametrize("depth", [1, 2, 10, 63])
def test_a_capability_is_found_beneath_wrappers(depth: int) -> None:
    conn = Carrying()
    assert find_capability(wrapped(conn, depth), ContextCarrier) is conn


def test_of_several_layers_that_have_it_the_outermost_is_found() -> None:
    inner = CarryingWrapper(Carrying())
    outer = CarryingWrapper(Wrapper(inner))
    assert find_capability(outer, ContextCarrier) is outer
    assert find_capability(Wrapper(inner), ContextCarrier) is inner


def test_what_no_layer_has_is_not_found() -> None:
    assert find_capability(Connection(), ContextCarrier) is None
    assert find_capability(wrapped(Connection(), 3), Metadatable) is None


def test_nothing_is_found_beneath_a_wrapper_that_does_not_show_it() -> None:
    assert find_capability(Wrapper(Opaque(Carrying())), ContextCarrier) is None


def test_looking_stops_at_the_layer_that_has_it() -> None:
    wrapper = CarryingWrapper(Connection())
    find_capability(wrapper, ContextCarrier)
    assert wrapper.unwrapped == 0


def test_a_wrapper_is_found_as_one() -> None:
    wrapper = Wrapper(Connection())
    assert find_capability(wrapper, ConnUnwrapper) is wrapper
    assert find_capability(Connection(), ConnUnwrapper) is None


# ---- What counts on the outermost connection only


def test_datagrams_are_never_exchanged_beneath_a_wrapper() -> None:
    conn = Datagrams()
    assert find_capability(conn, PacketConn) is conn
    assert find_capability(Wrapper(conn), PacketConn) is None


def test_a_stream_is_never_ended_beneath_a_wrapper() -> None:
    conn = HalfClosable()
    assert find_capability(conn, HalfCloser) is conn
    assert find_capability(Wrapper(conn), HalfCloser) is None


def test_what_is_beneath_a_wrapper_is_not_aborted() -> None:
    conn = Abortable()
    assert find_capability(conn, Aborter) is conn
    assert find_capability(Wrapper(conn), Aborter) is None


def test_the_route_that_was_taken_is_found_beneath_wrappers_and_on_a_listener() -> None:
    conn, bound = FromRouter(), BoundByRouter()
    assert find_capability(Wrapper(conn), RouteCarrier) is conn
    assert find_capability(bound, RouteCarrier) is bound
    assert find_capability(bound, Closer) is bound
    assert find_capability(bound, HalfCloser) is None


def test_what_derives_from_io_is_not_found_beneath_a_wrapper_either() -> None:
    conn = Datagrams()
    assert find_capability(conn, Broadcasting) is conn
    assert find_capability(Wrapper(conn), Broadcasting) is None


def test_a_class_that_can_do_io_is_found_beneath_a_wrapper_to_be_looked_at() -> None:
    class Stream(Connection, HalfCloser):
        async def close_write(self) -> None:
            raise NotImplementedError

    conn = Stream()
    assert find_capability(Wrapper(conn), Stream) is conn


# ---- Other capabilities and classes


def test_a_capability_of_a_third_party_is_found() -> None:
    found = find_capability(wrapped(Tagged("inner"), 2), Tag)
    assert found is not None
    assert found.tag() == "inner"


def test_metadata_is_found_though_it_is_no_capability_of_connections_alone() -> None:
    conn = Tagged("inner")
    assert find_capability(Wrapper(conn), Metadatable) is conn


def test_a_class_is_found_like_a_capability() -> None:
    conn = Datagrams()
    assert find_capability(wrapped(conn, 2), Datagrams) is conn


@pytest.mark.parametrize("capability", [TagByName, PlainTagByName])
@pytest.mark.parametrize("conn", [Tagged("a"), Connection(), Wrapper(Connection())])
def test_a_protocol_that_cannot_be_looked_for_is_an_error_and_not_an_absence(
    conn: Conn, capability: type[object]
) -> None:
    with pytest.raises(TypeError, match="runtime_checkable"):
        find_capability(conn, capability)


# ---- Wrappers without end


def test_a_wrapper_that_unwraps_to_itself_has_an_end() -> None:
    wrapper = Wrapper(Connection())
    wrapper.conn = wrapper
    assert find_capability(wrapper, ContextCarrier) is None
    assert wrapper.unwrapped < ENDLESS


def test_a_wrapper_that_makes_a_new_one_each_time_has_an_end() -> None:
    made = list[Conn]()

    class Growing(Connection):
        def unwrap_conn(self) -> Conn:
            made.append(Growing())
            assert len(made) < ENDLESS
            return made[-1]

    assert find_capability(Growing(), ContextCarrier) is None


def test_a_wrapper_of_nothing_has_an_end() -> None:
    assert find_capability(Wrapper(untyped(None)), ContextCarrier) is None


# ---- The same answers as isinstance


@runtime_checkable
class Number(Protocol):
    """A protocol with a member that is no method."""

    number: int | None


@runtime_checkable
class Hooked(Protocol):
    """A protocol that decides for itself which classes fit."""

    def number(self) -> int: ...

    @classmethod
    def __subclasshook__(cls, other: type) -> bool:
        return any("tag" in vars(base) for base in other.__mro__)


@runtime_checkable
class Anything(Protocol):
    """A protocol without members."""


@plain_runtime_checkable
class PlainTag(PlainProtocol):
    """A capability by the Protocol of the standard library, whose isinstance is another on 3.11."""

    def tag(self) -> str: ...


def fails(*_: object) -> object:
    raise LookupError


def hides(cls: type, name: str) -> object:
    """Look up an attribute of a class for a metaclass that shows nobody what its classes have."""
    return {} if name == "__dict__" else type.__getattribute__(cls, name)


def contrary(cls: Any, instance: object) -> bool:
    return not ProtocolMeta.__instancecheck__(cls, instance)


ProtocolMeta: Any = type(Protocol)
OddMeta = type("OddMeta", (ProtocolMeta,), {"__getattribute__": hides, "close_write": fails})
METAS: list[type] = [ProtocolMeta, OddMeta, ABCMeta, type]
ContraryMeta = type("ContraryMeta", (ProtocolMeta,), {"__instancecheck__": contrary})
Contrary = runtime_checkable(
    untyped(ContraryMeta("Contrary", (Protocol,), {"number": fails, "__module__": __name__}))
)

CAPABILITIES: list[Any] = [
    *(PacketConn, HalfCloser, ConnUnwrapper, ContextCarrier, Metadatable, Broadcasting, Tag),
    *(TagByName, PlainTag, PlainTagByName, Number, Hooked, Anything, Contrary, HalfClosable),
]
BASES = [Conn, PacketConn, HalfCloser, ConnUnwrapper, ContextCarrier, Tag, Hooked]
MEMBERS = ["read_from", "write_to", "close_write", "unwrap_conn", "context", "tag", "number"]
KINDS: list[Callable[[], object]] = [
    lambda: fails,
    lambda: None,
    lambda: property(fails),
    lambda: DynamicClassAttribute(fails),  # Its class seems to have no such member.
]
ODDITIES: list[dict[str, object]] = [
    {},
    {"__getattr__": fails},
    {"__getattribute__": fails},
    {"__dict__": property(fails)},
    {"__class__": property(lambda self: HalfClosable)},
]


@st.composite
def questions(draw: st.DrawFn) -> tuple[Any, Any, Any, str]:
    """Make a connection and its class, and choose what it is asked for, and a member of that.

    The connection has some members, each in its own way, and may hide what it has.
    """
    capability = draw(st.sampled_from(CAPABILITIES))
    its_members = [member for member in MEMBERS if hasattr(capability, member)] or MEMBERS
    members = st.sampled_from(its_members) | st.sampled_from(MEMBERS)
    kinds = draw(st.dictionaries(members, st.sampled_from(KINDS), max_size=4))
    namespace = {name: kind() for name, kind in kinds.items()} | draw(st.sampled_from(ODDITIES))
    if draw(st.booleans()):
        namespace["__slots__"] = tuple(draw(st.sets(members, max_size=2)) - namespace.keys())
    bases = draw(st.lists(st.sampled_from(BASES), max_size=3, unique=True))
    cls = untyped(draw(st.sampled_from(METAS[:2] if bases else METAS)))(
        "Generated", tuple(bases), namespace
    )
    cls.__abstractmethods__ = frozenset()
    conn = cls()
    own = draw(st.dictionaries(members, st.sampled_from([None, fails]), max_size=2))
    with suppress(AttributeError, LookupError):  # It has slots only, or hides its dictionary.
        object.__getattribute__(conn, "__dict__").update(own)
    return cls if draw(st.integers(0, 7)) == 0 else conn, cls, capability, draw(members)


def outcome(look: Callable[[], object]) -> object:
    try:
        return look()
    except (AttributeError, LookupError, TypeError) as error:
        return type(error)


class Inheriting(HalfClosable, Conn, HalfCloser):
    """A connection that inherits what it is."""


class Delegating:
    """A wrapper that forwards whatever it is asked for, which shows nothing."""

    def __init__(self, conn: object) -> None:
        self._conn = conn

    def __getattr__(self, name: str) -> object:
        return getattr(self._conn, name)


class Given(Connection):
    """A connection that is given a capability, or None, when it is made."""

    def __init__(self, close_write: object) -> None:
        self.close_write = close_write


class GivenSlot(Connection):
    """The same without a dictionary: the capability is there even while the slot is empty."""

    __slots__ = ("close_write",)


class Without(HalfClosable):
    """A connection that takes back what it inherits."""

    close_write = None  # type: ignore[assignment]  # that is what it is about


@pytest.mark.parametrize(
    ("conn", "is_there"),
    [
        (Inheriting(), True),
        (HalfClosable(), True),
        (Given(fails), True),
        (GivenSlot(), True),
        (Connection(), False),
        (Delegating(HalfClosable()), False),
        (Given(None), False),
        (Without(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_capability_is_what_isinstance_finds(conn: object, is_there: bool) -> None:
    assert isinstance(conn, HalfCloser) is is_there
    assert find_capability(untyped(conn), HalfCloser) is (conn if is_there else None)
    assert find_capability(untyped(conn), PacketConn) is None


@settings(max_examples=400)
@given(questions(), st.booleans(), st.data())
def test_it_answers_as_isinstance_does(
    question: tuple[Any, Any, Any, str], asked_first: bool, data: st.DataObject
) -> None:
    conn, cls, capability, member = question

    def look() -> object:
        return find_capability(conn, capability) is conn

    def register() -> None:
        if hasattr(capability, "register"):
            capability.register(cls)

    # Classes change, also after they were asked about.
    changes: list[Callable[[], object]] = [
        lambda: setattr(cls, member, fails),
        lambda: setattr(cls, member, None),
        lambda: delattr(cls, member),
        register,
    ]
    for change in [None, *data.draw(st.lists(st.sampled_from(changes), max_size=2))]:
        if change is not None:
            with suppress(AttributeError, TypeError):
                change()
        if asked_first:
            outcome(look)
        expected = outcome(lambda: isinstance(conn, capability))
        if expected is False and outcome(lambda: isinstance(conn, ConnUnwrapper)):
            return  # It looks at what is within.
        assert outcome(look) == expected


def test_it_evaluates_no_member() -> None:
    class Watched(Connection):
        @property
        def tag(self) -> object:
            raise AssertionError

        @property
        def context(self) -> object:
            raise AssertionError

    conn = Watched()
    assert find_capability(conn, HalfCloser) is None
    assert find_capability(conn, Tag) is untyped(conn)


def test_it_keeps_no_class_alive() -> None:
    def look() -> weakref.ref[type]:
        @runtime_checkable
        class Short(Protocol):
            def short(self) -> None: ...

        assert find_capability(Inheriting(), Short) is None
        return weakref.ref(Short)

    capability = look()
    gc.collect()
    assert capability() is None
