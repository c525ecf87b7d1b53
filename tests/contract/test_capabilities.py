"""What a connection can do beyond being one, found through wrappers."""

from typing import Protocol as PlainProtocol

import pytest
from typing_extensions import Buffer, Protocol, runtime_checkable

from gost_core.common.net import (
    Addr,
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
