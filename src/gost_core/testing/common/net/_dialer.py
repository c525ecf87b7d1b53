"""The contract of what opens connections from this host."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import field
from functools import partial
from typing import Final

from gost_core.common.net import Conn, Dialer, PacketConn, UnsupportedError
from gost_core.context import Context
from gost_core.keys import TIME_LIMIT
from gost_core.testing._families.closers import expect_last_words_here
from gost_core.testing._families.lent import expect_dropped, lending
from gost_core.testing._families.steps import UNOFFERED, expect_no_task_left
from gost_core.testing._run.attempt import Broken, current
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.waiting import (
    applies,
    by_task_that_ends,
    by_task_that_goes_on,
    ended,
    expect,
    expect_cancelled,
    failure_of,
    may_refuse,
    need,
    outcome_of,
    owned,
    raises,
    returned,
    settle,
    start,
    turns,
    until,
    within,
)
from gost_core.testing._stage.memory import Address
from gost_core.testing._stage.servers import EchoServer, free_descriptor, resolving, silent_address
from gost_core.testing._stage.streams import ALL, TURNS, addresses_of, begin, carry, packets, write
from gost_core.testing.common.net._packet_conn import expect_no_other, expect_unconnected

__all__ = ("DialerContract",)


_DATAGRAMS: Final[tuple[bytes, ...]] = (b"one", b"two \n", bytes(8000))
"""Of which none is cut, and no two are joined."""
_MANY: Final[int] = 20


class DialerContract(Contract, interface=Dialer):
    """What opens connections from this host, and promises to do it well.

    It is tried with servers on the loopback. udp and unix need not be offered.
    """

    make: Callable[[], Dialer] = field(kw_only=False)
    """Makes the dialer."""
    unresolvable_addr: str | None = None
    """An address to dial with a name that does not resolve, and of which that is known soon:
    ``host.invalid:80``, say."""

    def _build(self) -> Dialer:
        return owned(self.make())

    async def _dial(
        self, dialer: Dialer, network: str, addr: str, ctx: Context | None = None
    ) -> Conn:
        what = f"dial({network}, {addr})"
        dialing = by_task_that_goes_on(dialer.dial(ctx or Context(), network, addr), what)
        return owned(returned(await dialing, what))

    async def _dial_offered(self, network: str, addr: str) -> Conn:
        """Dial by a network that need not be offered."""
        with may_refuse(UnsupportedError):
            return await self._dial(self._build(), network, addr)

    async def _echo(self, conn: Conn, data: bytes = b"ping") -> None:
        await carry(conn, conn, data)

    @clause("dial() gives a connection to the address.", "D5")
    async def reaches(self) -> None:
        addr = await EchoServer().tcp()
        await self._echo(await self._dial(self._build(), "tcp", addr))

    @clause("The connection has both addresses.", "D2", after=("reaches",))
    async def addresses(self) -> None:
        addr = await EchoServer().tcp()
        addresses_of(await self._dial(self._build(), "tcp", addr))

    @clause("tcp4 and tcp6 are tcp as well.", "D11", after=("reaches",))
    async def networks(self) -> None:
        await self._echo(await self._dial(self._build(), "tcp4", await EchoServer().tcp()))
        if six := await _six():
            await self._echo(await self._dial(self._build(), "tcp6", six))

    @clause("A network with a version is of that family alone.", "D11", after=("networks",))
    async def one_family(self) -> None:
        four = await EchoServer().tcp()
        six = await _six()
        for network, addr in (("tcp6", four), ("udp6", four), ("tcp4", six), ("udp4", six)):
            if addr:
                dialing = self._dial(self._build(), network, addr)
                await raises(dialing, f"dial({network}, {addr})", OSError, ValueError)

    @clause(
        "A name is resolved, and its addresses are tried until one connects.",
        "D12",
        after=("reaches",),
    )
    async def resolves_names(self) -> None:
        port = (await EchoServer().tcp()).rpartition(":")[2]
        # Nobody listens at the first one.
        with resolving("localhost", "::1", "127.0.0.1"):
            await self._echo(await self._dial(self._build(), "tcp", f"localhost:{port}"))

    @clause("A name that does not resolve raises socket.gaierror.", "D14", after=("reaches", "udp"))
    async def unresolvable(self) -> None:
        addr = need(self.unresolvable_addr, "unresolvable_addr")
        for network, *errors in (("tcp",), ("udp", UnsupportedError)):
            dialing = self._dial(self._build(), network, addr)
            await raises(dialing, f"dial({network}, {addr})", socket.gaierror, *errors)

    @clause(
        "Where nobody listens, dial() raises ConnectionRefusedError.",
        "D14",
        after=("resolves_names",),
    )
    async def refused(self) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            for host in (bound.getsockname()[0], "localhost"):
                dialing = self._dial(self._build(), "tcp", f"{host}:{bound.getsockname()[1]}")
                what = f"dial() of {host} and a port without listener"
                with resolving("localhost", "127.0.0.1"):
                    await raises(dialing, what, ConnectionRefusedError)

    @clause("A dial() that fails keeps no socket, task or place.", "D3, D20", after=("refused",))
    async def failure_frees(self) -> None:
        addr, dialer, before = await EchoServer().tcp(), self._build(), asyncio.all_tasks()
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            nobody, free = "{}:{}".format(*bound.getsockname()), free_descriptor()
            for network, at in (("tcp", nobody), ("unix", "/of/nobody")) * _MANY:
                with suppress(OSError, ValueError):
                    owned(await within(dialer.dial(Context(), network, at), "dial()"))
            left = free_descriptor() - free
        expect(left < _MANY / 2, f"{_MANY} dials failed, and {left} more descriptors are in use")
        await expect_no_task_left(before, "dial() calls had failed")
        await self._echo(await self._dial(dialer, "tcp", addr))

    @clause(UNOFFERED, "D15", after=("reaches",))
    async def unsupported(self) -> None:
        await self._refuses("gopher", "{}", UnsupportedError)

    @clause(
        "A malformed address raises ValueError, before anything is sent.",
        "D12, D15",
        after=("reaches",),
    )
    async def malformed(self) -> None:
        for addr in ("127.0.0.1", "127.0.0.1:70000", "[127.0.0.1:80"):
            await self._refuses("tcp", addr, ValueError)
        # No other spelling of a number is a host, and no name has a space.
        for host in ("127.1", "2130706433", "0x7f000001", "0177.0.0.1", "local host"):
            await self._refuses("tcp", f"{host}:{{1}}", ValueError)

    @clause("An address without a host raises ValueError.", "D12", after=("reaches",))
    async def no_host(self) -> None:
        await self._refuses("tcp", ":{1}", ValueError)

    async def _refuses(self, network: str, pattern: str, error: type[Exception]) -> None:
        server = EchoServer()
        addr = await server.tcp()
        addr = pattern.format(addr, addr.rpartition(":")[2])
        dialing = self._dial(self._build(), network, addr)
        await raises(dialing, f"dial({network}, {addr})", error)
        await settle()
        expect(not server.connections, f"dial({network}, {addr}) connected before it refused")

    @clause(
        "The connection outlives the time limit and the task of dial().", "D4", after=("reaches",)
    )
    async def outlives_its_caller(self) -> None:
        addr = await EchoServer().tcp()
        dialer = self._build()

        async def dial() -> Conn:
            async with asyncio.timeout(current().time_limit):
                return await dialer.dial(Context(), "tcp", addr)

        conn = owned(await by_task_that_ends(dial(), "dial()"))
        await settle()
        await self._echo(conn)
        await self._expect_outlives_limit(dialer, addr)

    async def _expect_outlives_limit(self, dialer: Dialer, addr: str) -> None:
        loop = asyncio.get_running_loop()
        # A busy machine needs longer to connect.
        for seconds in (0.05, 0.5, current().time_limit):
            ctx = Context().with_value(TIME_LIMIT, limit := loop.time() + seconds)
            with suppress(TimeoutError):
                conn = await self._dial(dialer, "tcp", addr, ctx)
                break
        else:
            raise Broken("dial() raised TimeoutError long before its TIME_LIMIT")
        await asyncio.sleep(limit + 0.01 - loop.time())
        await self._echo(conn)

    @clause(
        "Nothing that was given for a call is kept once its connection is closed.",
        "D23",
        after=("reaches",),
    )
    async def nothing_kept(self) -> None:
        dialer, addr = self._build(), await EchoServer().tcp()
        with lending() as lent:
            conn = owned(await within(dialer.dial(current().ctx, "tcp", addr), "dial()"))
        await within(conn.close(), "close()")
        del conn
        await expect_dropped(lent, "the connection was closed")

    @clause("Each dial() gives a connection of its own.", "D3", after=("reaches",))
    async def connections_apart(self) -> None:
        addr = await EchoServer().tcp()
        dialer = self._build()
        one, other = [await self._dial(dialer, "tcp", addr) for _ in range(2)]
        await within(one.close(), "close() of one of two connections")
        await self._echo(other)

    @clause(
        "What write() took arrives, though a server sends on, and close() follows at once.",
        "D8",
        after=("reaches",),
    )
    async def last_words(self) -> None:
        await expect_last_words_here(partial(self._dial, self._build(), "tcp"))

    @clause(
        "One dialer may dial several times at once, and each call gets what it asked for.",
        "D22, D32",
        after=("reaches", "outlives_its_caller", "connections_apart"),
    )
    async def at_once(self) -> None:
        servers = [EchoServer() for _ in range(3)]
        addrs = [await server.tcp() for server in servers]
        dialer = self._build()
        dials = asyncio.gather(*(dialer.dial(Context(), "tcp", addr) for addr in [*addrs, *addrs]))
        first, *others = map(owned, await within(dials, "dial(), six times at once"))
        await within(first.close(), "close() of one of six connections")
        for number, conn in enumerate(others):
            await self._echo(conn, b"ping %d" % number)
        dialed = [server.connections for server in servers]
        expect(dialed == [2, 2, 2], f"3 servers were dialed twice at once, they got {dialed}")

    @clause(
        "After the TIME_LIMIT of its context, dial() raises TimeoutError and connects to nobody.",
        "D69",
        after=("reaches",),
    )
    async def limit_passed(self) -> None:
        server = EchoServer()
        addr = await server.tcp()
        dialing = self._dial(self._build(), "tcp", addr, _past())
        await raises(dialing, "dial() after its limit", TimeoutError)
        await settle()
        expect(not server.connections, "dial() connected after its limit")

    @clause(
        "After the TIME_LIMIT, dial() of udp raises TimeoutError too, also without an address.",
        "D69",
        after=("limit_passed", "udp", "udp_unconnected"),
    )
    async def limit_passed_udp(self) -> None:
        for addr in (await EchoServer().udp(), ""):
            dialing = self._dial(self._build(), "udp", addr, _past())
            await raises(dialing, "dial(udp) after its limit", TimeoutError, UnsupportedError)

    async def _dial_silent(self, dialer: Dialer) -> "asyncio.Future[Conn]":
        """Begin a dial() that nobody answers."""
        dialing = await begin(dialer.dial(Context(), "tcp", await silent_address()))
        silent = f"dial() of an address that does not answer {outcome_of(dialing)}"
        expect(not dialing.done(), silent)
        return dialing

    @clause("A cancelled dial() ends as cancelled.", "D14", after=("reaches",))
    async def cancellable(self) -> None:
        await expect_cancelled(await self._dial_silent(self._build()), "dial()")

    @clause(
        "A dial() that nobody answers does not keep another one waiting.",
        "D32",
        after=("reaches", "outlives_its_caller", "cancellable"),
    )
    async def silence_apart(self) -> None:
        addr = await EchoServer().tcp()
        dialer = self._build()
        await self._dial_silent(dialer)
        dialing = dialer.dial(Context(), "tcp", addr)
        await self._echo(owned(await within(dialing, "dial() beside one that nobody answers")))

    @clause(
        "A cancelled dial() leaves nothing open, and no task; the next one works.",
        "D4, D18",
        after=("connections_apart", "cancellable"),
    )
    async def cancelled_frees(self) -> None:
        server = EchoServer()
        addr = await server.tcp()
        dialer, before, free = self._build(), asyncio.all_tasks(), free_descriptor()
        silent = await asyncio.gather(*(self._dial_silent(dialer) for _ in range(TURNS)))
        used = free_descriptor()
        for count, waiting in enumerate(silent):
            await expect_cancelled(waiting, "dial()")
            dialing = start(dialer.dial(Context(), "tcp", addr))
            await turns(count)
            dialing.cancel()
            await ended(dialing)
            if dialing.done() and failure_of(dialing) is None:
                await within(dialing.result().close(), "close()")
        await settle()
        await until(
            lambda: not server.open and (free_descriptor() < used or used == free),
            "what cancelled dial() calls had opened was not closed",
        )
        await expect_no_task_left(before, "dial() calls were cancelled")
        await self._echo(await self._dial(dialer, "tcp", addr))

    @clause("udp with an address gives a PacketConn, which carries datagrams.", "D9, D11")
    async def udp(self) -> None:
        for network in ("udp", "udp4"):
            conn = await self._dial_offered(network, await EchoServer().udp())
            packets(conn)
            for data in _DATAGRAMS:
                await write(conn, data)
            received = {await within(conn.read(ALL), "read()") for _ in _DATAGRAMS}
            sizes = f"{[*map(len, _DATAGRAMS)]} bytes came back as {[*map(len, received)]}"
            expect(received == {*_DATAGRAMS}, f"by {network}, datagrams of {sizes}")

    @clause(
        "A udp connection is its peer's alone: write_to() another address raises ValueError, and "
        "what another sends is not read.",
        "D9",
        after=("udp",),
    )
    async def udp_elsewhere(self) -> None:
        other = await EchoServer().udp()
        conn = await self._dial_offered("udp", await EchoServer().udp())
        await expect_no_other(conn, Address("udp", other))
        port = int(str(conn.local_addr()).rpartition(":")[2])
        with socket.socket(type=socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"from elsewhere", ("127.0.0.1", port))
        await self._echo(conn)

    @clause(
        "Where a datagram finds nobody, ConnectionRefusedError says so once, and the connection "
        "goes on.",
        "D9",
        after=("udp",),
    )
    async def udp_unreachable(self) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as bound:
            bound.bind(("127.0.0.1", 0))
            host, port = bound.getsockname()
            conn = await self._dial_offered("udp", f"{host}:{port}")
        await write(conn, b"to nobody")
        await settle()
        await EchoServer().udp(port)
        # The system tells it once, to whatever is called next.
        with suppress(ConnectionRefusedError):
            return await self._echo(conn)
        await self._echo(conn)

    @clause(
        'udp with "" gives a PacketConn that reaches any address, without read() and write().', "D9"
    )
    async def udp_unconnected(self) -> None:
        servers = [await EchoServer().udp() for _ in range(2)]
        conn = await self._dial_offered("udp", "")
        if not isinstance(conn, PacketConn):
            raise Broken(f'dial(udp, "") gave a {type(conn).__qualname__}, which is no PacketConn')
        for addr in servers:
            for sent in _DATAGRAMS:
                await within(conn.write_to(sent, Address("udp", addr)), f"write_to({addr})")
                data, sender = await within(conn.read_from(ALL), "read_from()")
                what = f"{sent!r:.20} was sent to {addr}, {data!r:.20} came back from {sender}"
                expect((data, str(sender)) == (sent, addr), what)
        await expect_unconnected(conn)

    @clause("unix takes a path.", "D11, D12")
    async def unix(self) -> None:
        applies(hasattr(socket, "AF_UNIX"), "this system has no such sockets")
        path = await EchoServer().unix()
        await self._echo(await self._dial_offered("unix", path))
        nobody = self._dial(self._build(), "unix", f"{path}-of-nobody")
        await raises(nobody, "dial(unix) of a path where nobody is", OSError)


def _past() -> Context:
    """Return a context whose TIME_LIMIT has passed."""
    return Context().with_value(TIME_LIMIT, asyncio.get_running_loop().time() - 1)


async def _six() -> str:
    """Start an echo server on IPv6, and return its address; "" = this host has no IPv6."""
    try:
        return await EchoServer().tcp("::1")
    except OSError:
        return ""
