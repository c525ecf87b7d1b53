"""The contract of connections that exchange datagrams with more than one peer."""

import asyncio
from array import array
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import field
from typing import Any, TypeAlias

from typing_extensions import Buffer

from gost_core.common.net import Addr, ClosedError, Conn, PacketConn, UnsupportedError
from gost_core.testing._families.closers import closed_at_once
from gost_core.testing._families.lent import lend
from gost_core.testing._families.readers import Readers, Send, expect_none_lost, not_refused
from gost_core.testing._run.contract import clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    applies,
    ended,
    expect,
    failure_of,
    given,
    need,
    owned,
    raises,
    settle,
    start,
    within,
)
from gost_core.testing._stage.memory import Address, words
from gost_core.testing._stage.streams import (
    ALL,
    MakePair,
    addresses_of,
    begin,
    connect,
    packets,
    read,
    write,
)

__all__ = ("PacketConnContract",)

MakeTrio: TypeAlias = Callable[[], Awaitable[tuple[Conn, Conn, Conn]]]


class PacketConnContract(
    Readers,
    interface=PacketConn,
    first=("exchange", "whole"),
    said={
        "reads_at_least_one": ("read_from(n) raises ValueError for n < 1.", "D8"),
        "duplex": ("A read_from() that waits does not keep a write_to() waiting.", "D6"),
        "read_cancellable": (
            "A cancelled read_from() ends as cancelled; however many were, the next one works.",
            "D14, D20",
        ),
        "cancelled_read_loses_nothing": (
            "A cancelled read_from() loses no datagram: a later one returns it.",
            "D7",
        ),
        "close_wakes_read": (
            "close() wakes a waiting read_from(), which raises ClosedError.",
            "D1, D14",
        ),
    },
):
    """What a connection promises that exchanges datagrams with more than one peer."""

    make: MakeTrio = field(kw_only=False)
    """Opens three unconnected datagram connections: the one on trial, and two peers, which are on
    trial as well or keep the contract. The peers can be reached at what their ``local_addr()``
    says."""
    make_connected: MakePair | None = None
    """Opens a connected pair of which the first is on trial."""

    _verb = "read_from"

    async def _specimen(self) -> Conn:
        return (await self._sockets())[0]

    async def _ends(self) -> tuple[Conn, Conn]:
        conn, peer, _ = await self._sockets()
        return conn, peer

    async def _sockets(self) -> tuple[Conn, Conn, Conn]:
        conn, peer, other = await given(self.make(), "opening the sockets")
        return owned(conn), owned(peer), owned(other)

    async def _connected(self) -> tuple[Conn, Conn]:
        return await connect(need(self.make_connected, "make_connected"))

    async def _writing(self, conn: Conn, data: Buffer, peer: Conn) -> None:
        await packets(conn).write_to(data, peer.local_addr())

    async def _reading(self, conn: Conn, n: int = ALL) -> bytes:
        # An empty datagram is no end, and may be skipped; it is no answer to n < 1.
        while not (data := (await packets(conn).read_from(n))[0]) and n > 0:
            pass
        return data

    async def _sender(self, conn: Conn, peer: Conn) -> Send:
        """Have ``peer`` learn where ``conn`` is, and return what sends from there to here."""
        await self._send(conn, b"here", peer.local_addr())
        _, home = await self._receive(peer)
        return lambda data: packets(peer).write_to(data, home)

    async def _used(self) -> Conn:
        """Return an unconnected connection that has sent a datagram and received one."""
        conn, peer = await self._ends()
        await within((await self._sender(conn, peer))(b"x"), "what the peer sends")
        await self._receive(conn)
        return conn

    async def _send(self, conn: Conn, data: Buffer, addr: Addr) -> None:
        await within(packets(conn).write_to(data, addr), f"write_to({addr})")

    async def _receive(self, conn: Conn) -> tuple[bytes, Addr]:
        return await within(packets(conn).read_from(ALL), f"read_from({ALL})")

    async def _carry(self, source: Conn, sink: Conn, data: Buffer, addr: Addr) -> Addr:
        """Send a datagram, break the clause unless it arrives, and return where it is from."""
        expected = memoryview(data).tobytes()
        await self._send(source, data, addr)
        received, sender = await self._receive(sink)
        sent = f"{type(data).__name__} of {expected!r}"
        expect(received == expected, f"a {sent} was sent to {addr}, {received!r} was received")
        return sender

    @clause("A datagram gets to the address it is for, and tells the address it is from.", "D9")
    async def exchange(self) -> None:
        conn, *peers = await self._sockets()
        sources: list[Addr] = []
        for number, peer in enumerate(peers):
            sender = await self._carry(conn, peer, b"ping %d" % number, peer.local_addr())
            sources.append(await self._carry(peer, conn, b"pong %d" % number, sender))
        # An address stays what it was, when that of another datagram has been told.
        told, real = [[*map(words, addrs)] for addrs in (sources, [p.local_addr() for p in peers])]
        expect(told == real, f"datagrams from {real} were said to be from {told}")

    @clause("write_to() takes any Addr, by network() and str().", "D9, D11", after=("exchange",))
    async def foreign_addr(self) -> None:
        conn, peer = await self._ends()
        network, addr = words(peer.local_addr())
        versions = [f"{network}{6 if addr.startswith('[') else 4}"] if network == "udp" else []
        for name in (network, *versions):
            await self._carry(conn, peer, b"x", Address(name, addr))

    @clause("write_to() raises ValueError for a malformed address.", "D15", after=("exchange",))
    async def malformed_addr(self) -> None:
        conn, peer = await self._ends()
        network, _ = words(peer.local_addr())
        for text in ("127.0.0.1:70000", "[::1:53"):
            writing = packets(conn).write_to(b"x", Address(network, text))
            await raises(writing, f"write_to({text})", ValueError)

    @clause("Each read_from() returns one datagram.", "D8", after=("exchange",))
    async def whole(self) -> None:
        conn, peer = await self._ends()
        send = await self._sender(conn, peer)
        with suppress(OSError):
            await within(send(b""), "what the peer sends")
        await self._expect_whole(conn, send)

    @clause("read_from(n) cuts to n; the rest is gone.", "D8", after=("exchange", "whole"))
    async def cut(self) -> None:
        conn, peer = await self._ends()
        await self._expect_cut(conn, await self._sender(conn, peer))

    @clause(
        "Two readers at once: each gets a datagram of its own, or one gets a RuntimeError.",
        "D6",
        after=("exchange", "whole"),
    )
    async def readers_not_mixed(self) -> None:
        conn, peer = await self._ends()
        send, sent = await self._sender(conn, peer), [b"one", b"three"]
        reads = [start(self._reading(conn)), await begin(self._reading(conn))]
        for data in sent:
            await within(send(data), "write_to()")
        got = [reading.result() for reading in await not_refused(reads, "read_from()")]
        while len(got) < len(sent):
            got.append((await self._receive(conn))[0])
        expect(sorted(got) == sent, f"of {sent}, two readers at once and a later one got {got}")

    @clause(
        "Two writers at once: each datagram gets to its own address, or one gets a RuntimeError.",
        "D6, D22",
        after=("exchange",),
    )
    async def writers_not_mixed(self) -> None:
        conn, *peers = await self._sockets()
        writes = [start(self._writing(conn, words(p.local_addr())[1].encode(), p)) for p in peers]
        taken = await not_refused(writes, "write_to()")
        for peer in (peer for peer, writing in zip(peers, writes, strict=True) if writing in taken):
            data, _ = await self._receive(peer)
            here = str(peer.local_addr())
            expect(data == here.encode(), f"what was for {data!r} got to {here}")

    @clause("write_to() of too long a datagram raises OSError.", "D8", after=("exchange",))
    async def too_long(self) -> None:
        conn, peer = await self._ends()
        ways = [(conn, peer.local_addr())]
        if self.make_connected is not None:
            conn, _ = await self._connected()
            ways.append((conn, conn.remote_addr()))
        for conn, addr in ways:
            writing = packets(conn).write_to(bytes(ALL + 1), addr)
            await raises(writing, "write_to() of 65536 bytes", OSError)

    @clause(
        "Anything with a buffer can be sent, and goes out as its bytes.",
        "D8",
        after=("exchange",),
    )
    async def any_buffer(self) -> None:
        conn, peer = await self._ends()
        values = array("I", range(6))
        for data in (bytearray(b"bytearray"), values, memoryview(values)):
            await self._carry(conn, peer, data, peer.local_addr())

    @clause(
        "write_to() keeps nothing of the buffer: its owner may change it afterwards.",
        "D8",
        after=("exchange",),
    )
    async def buffer_not_kept(self) -> None:
        conn, peer = await self._ends()
        for view in ((), (memoryview,)):
            lent = lend(lambda data: self._writing(conn, data, peer), bytearray(b"x"), *view)
            await within(lent, "write_to() of a buffer")
            received, _ = await self._receive(peer)
            expect(received == b"x", "what the buffer held after write_to() was sent")

    @clause(
        "On an unconnected socket, read() and write() raise UnsupportedError, whoever wrote.",
        "D9",
        after=("exchange",),
    )
    async def unconnected(self) -> None:
        for conn in ((await self._ends())[0], await self._used()):
            await expect_unconnected(conn)

    @clause(
        'remote_addr() of an unconnected socket prints as "", whoever wrote, and both addresses '
        "are there after close() too.",
        "D2",
        after=("exchange",),
    )
    async def remote_addr_nowhere(self) -> None:
        conn = await self._used()
        before = words(conn.local_addr())
        for when in ("", ", after close(),"):
            (_, here), (what, addr) = addresses_of(conn)
            expect(not str(addr), f"{what} without a peer{when} prints as {str(addr)!r}")
            expect(words(here) == before, f"local_addr(){when} is {here}, and was {before}")
            await given(conn.close(), "close()")

    @clause(
        "On a connected socket, a datagram that nobody takes ends nothing: at most one later call "
        "raises a ConnectionRefusedError.",
        "D9",
        after=("connected_heard", "connected_cancelled"),
    )
    async def undelivered(self) -> None:
        conn, peer = await self._connected()
        await given(peer.close(), "close() of the peer")
        calls: list[asyncio.Future[Any]] = [start(conn.write(b"nobody takes this"))]
        await ended(*calls)
        for _ in range(3):
            calls.append(await begin(conn.read(ALL)))
            calls[-1].cancel()
            await ended(calls[-1])
        failures = [one for one in map(failure_of, calls) if isinstance(one, Exception)]
        over = any(isinstance(one, ConnectionResetError) for one in failures)
        applies(not over, "the peer's end is the end of the connection")
        expect(
            len(failures) < 2 and all(isinstance(one, ConnectionRefusedError) for one in failures),
            f"nobody took a datagram, and then came {', '.join(map(describe, failures))}",
        )

    @clause(
        "On a connected socket, write_to() the peer is legal, and read_from() tells the peer.",
        "D9",
        after=("exchange", "any_buffer"),
    )
    async def connected_peer(self) -> None:
        conn, peer = await self._connected()
        there, sent = Address(*words(conn.remote_addr())), array("I", range(6))
        await self._send(conn, sent, there)
        data = await read(peer)
        expect(data == sent.tobytes(), f"write_to() the peer sent an array, {data!r} was read")
        await write(peer, b"x")
        _, sender = await self._receive(conn)
        expect(words(sender) == words(there), f"what {there} sent was said to be from {sender}")

    @clause(
        "On a connected socket, a cancelled read() loses no datagram: a later one returns it.",
        "D7",
        after=("exchange", "cancelled_read_loses_nothing"),
    )
    async def connected_cancelled(self) -> None:
        conn, peer = await self._connected()
        await expect_none_lost(conn.read, peer.write, "read")

    @clause("On a connected socket, read() returns no empty datagram.", "D8", after=("exchange",))
    async def connected_not_empty(self) -> None:
        conn, peer = await self._connected()
        for data in (b"", b"x"):
            await write(peer, data)
        received = await read(conn)
        expect(received == b"x", f"an empty datagram came, and then b'x': read() gave {received!r}")

    @clause(
        "On a connected socket, write_to() another address raises ValueError.",
        "D9",
        after=("exchange",),
    )
    async def connected_elsewhere(self) -> None:
        conn, _ = await self._connected()
        _, other = await self._ends()
        await expect_no_other(conn, other.local_addr())

    @clause("On a connected socket, only the peer is read.", "D9", after=("exchange",))
    async def connected_heard(self) -> None:
        conn, peer = await self._connected()
        _, other = await self._ends()
        with suppress(OSError):
            await self._send(other, b"from elsewhere", conn.local_addr())
        await write(peer, b"x")
        data, sender = await self._receive(conn)
        expect(data == b"x", f"what {sender} sent was read: {data!r}")

    @clause(
        "After close(), once or several times at once, read_from() raises ClosedError, even if "
        "something had arrived.",
        "D1, D14",
        after=("exchange",),
    )
    async def use_after_close(self) -> None:
        conn, peer = await self._ends()
        send = await self._sender(conn, peer)
        for _ in range(2):
            await within(send(b"early"), "what the peer sends")
        # The other one may have been taken with it.
        await self._receive(conn)
        await settle()
        await closed_at_once(conn)
        await raises(packets(conn).read_from(ALL), "read_from() after close()", ClosedError)

    @clause("write_to() after close() raises ClosedError.", "D1, D14", after=("exchange",))
    async def write_after_close(self) -> None:
        conn, peer = await self._ends()
        there = peer.local_addr()
        await given(conn.close(), "close()")
        await raises(packets(conn).write_to(b"x", there), "write_to() after close()", ClosedError)


async def expect_unconnected(conn: Conn, /) -> None:
    """Break the clause unless a socket without a peer refuses to read and write."""
    await raises(conn.write(b"x"), "write() without a peer", UnsupportedError)
    await raises(conn.read(ALL), "read() without a peer", UnsupportedError)


async def expect_no_other(conn: Conn, addr: Addr, /) -> None:
    """Break the clause unless a connected socket refuses to send to another address."""
    writing = packets(conn).write_to(b"x", addr)
    await raises(writing, "write_to() another address than the peer's", ValueError)
