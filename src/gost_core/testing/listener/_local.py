"""The contract of listeners that bind an address of this host."""

import asyncio
import errno
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import field
from typing import Final

from gost_core.common.net import Addr, Closer, Conn, PacketConn
from gost_core.listener import AcceptError, BindError, ClosedError, Listener, Option, addr_option
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    ended,
    expect,
    failure_of,
    given,
    need,
    outcome_of,
    owned,
    raises,
    start,
    within,
)
from gost_core.testing._stage.memory import MemoryMetadata
from gost_core.testing._stage.servers import free_descriptor
from gost_core.testing._stage.streams import begin, end_of, read
from gost_core.testing.listener._proxied import Proxied
from gost_core.testing.listener._serving import BadClient, ListenerSite, MakeListener, all_of

__all__ = ("ListenerContract",)

# What D26 says passes.
_TEMPORARY: Final = (
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.ECONNABORTED,
    errno.EINTR,
)

_MANY: Final[int] = 10


class ListenerContract(Proxied, interface=Listener, first=("bound",)):
    """What a listener promises that binds an address of this host.

    A factory gets an option, which it gives to the listener behind its own ones. With it the
    contract chooses an address, and gives an admission, limits and statistics. A listener that does
    not serve what it was given says so by a ValueError from ``init()``; then the clauses about it
    hold. To ignore it breaks them.
    """

    make: MakeListener = field(kw_only=False)
    """Makes a listener that is not initialized, at a free port of the loopback or at an address of
    its own: ``lambda option: MyListener(addr_option("127.0.0.1:0"), option)``."""
    connect: Callable[[Addr], Awaitable[Conn]] = field(kw_only=False)
    """Connects a client to an address, and does what the listener's protocol wants before it
    accepts."""
    backlog: int | None = None
    """How many clients wait unaccepted at most; None = the system knows."""
    bad_clients: Mapping[str, BadClient] | None = None
    """Clients that do something wrong, under what they are: "one that sent garbage". Each connects
    and returns what is to be closed later. None = over TCP, one that sends garbage and one that
    breaks off."""
    fail: Callable[[Listener, OSError], Awaitable[None]] | None = None
    """Makes the listener's ``accept()``, which waits, meet an error in what is beneath: the socket,
    or the server in the background."""
    connect_silent: BadClient | None = None
    """Connects and says nothing; None = over TCP."""

    def _build(self, *opts: Option) -> ListenerSite:
        return ListenerSite(owned(self.make(all_of(*opts))), self.connect)

    def _build_at(self, addr: str, site: ListenerSite) -> ListenerSite:
        return self._build(addr_option(addr))

    async def _apart(self, site: ListenerSite, *opts: Option) -> ListenerSite:
        if str(site.addr()).startswith("127.0.0.1:"):
            other = self._build(*opts, addr_option("127.0.0.2:0"))
            # Not every system has this address.
            with suppress(OSError, ValueError):
                await within(other.listener.init(MemoryMetadata()), "init() at 127.0.0.2")
                return other
        return site

    async def _silent_client(self, site: ListenerSite) -> Closer:
        connect_silent = self.connect_silent or _say_nothing
        return await given(connect_silent(site.listener.addr()), "a silent client")

    def _bad_clients(self, site: ListenerSite) -> Mapping[str, BadClient]:
        if self.bad_clients or not site.listener.addr().network().startswith("tcp"):
            return need(self.bad_clients or None, "bad_clients")
        return {"one that sent garbage": _say_garbage, "one that broke off": _break_off}

    # ---- Addresses

    @clause("addr() of a local listener has the real port after init(), also for port 0.", "D25")
    async def real_address(self) -> None:
        text = str((await self._ready()).listener.addr())
        expect(not text.endswith(":0"), f"after init(), addr() is {text!r}")

    @clause(
        "When init() returns, a local listener is bound: clients can connect.",
        "D25",
        after=("real_address",),
    )
    async def bound(self) -> None:
        site = await self._ready()
        connecting = start(site.connect())
        await ended(connecting)
        expect(
            connecting.done() and failure_of(connecting) is None,
            f"after init(), before accept(), connecting {outcome_of(connecting)}",
        )

    @clause(
        "A local listener raises OSError in init() if the address is in use.",
        "D25",
        after=("real_address", "bound"),
    )
    async def address_in_use(self) -> None:
        await self._expect_refused(await self._ready())

    async def _expect_refused(self, site: ListenerSite) -> None:
        init = self._build_at(str(site.addr()), site).listener.init(MemoryMetadata())
        await raises(init, "init() for an address that is in use", OSError)

    @clause("An init() that could not bind keeps nothing.", "D18", after=("address_in_use",))
    async def failed_bind_frees(self) -> None:
        site = await self._ready()
        free = free_descriptor()
        for _ in range(_MANY):
            await self._expect_refused(site)
        left = free_descriptor() - free
        expect(
            left < _MANY / 2, f"{_MANY} calls of init() failed, {left} more descriptors are used"
        )

    # ---- Accepting

    @clause("When the backlog is full, the newcomer is closed.", "D26", after=("accepts", "bound"))
    async def backlog_full(self) -> None:
        backlog = need(self.backlog, "backlog")
        site = await self._ready()
        ends: list[asyncio.Future[None]] = []
        client: Conn | None = None
        # Some more than one, for what a listener may hold in its hands.
        for number in range(backlog + 3):
            try:
                connecting = self.connect(site.listener.addr())
                client = owned(await within(connecting, "connecting a client"))
                await client.write(b"%d" % number)
            except OSError:
                break
            ends.append(start(end_of(client)))
        else:
            await ended(*ends, any_of_them=True)
            expect(
                any(end.done() for end in ends) or isinstance(client, PacketConn),
                f"with a backlog of {backlog}, none of {len(ends)} clients was closed",
            )
        first = await read(await site.accept(), 1)
        expect(first == b"0", f"the client that was accepted first was number {first!r}, not 0")

    async def _failing(self, site: ListenerSite, error: OSError) -> "asyncio.Future[Conn]":
        """Have what is beneath an accept() fail."""
        fail = need(self.fail, "fail")
        accepting = await begin(site.listener.accept())
        await given(fail(site.listener, error), "`fail`")
        return accepting

    @clause(
        "EMFILE and its like become AcceptError; after it, accept() goes on.",
        "D26",
        after=("accepts",),
    )
    async def temporary_error(self) -> None:
        site = await self._ready()
        for number in _TEMPORARY:
            name = errno.errorcode[number]
            accepting = await self._failing(site, OSError(number, name))
            await raises(accepting, f"accept(), on {name},", AcceptError)
        await site.meet()

    @clause(
        "A server that dies in the background shows in accept(), which raises what happened.",
        "D26",
        after=("accepts",),
    )
    async def failure_shows(self) -> None:
        accepting = await self._failing(await self._ready(), OSError(errno.EBADF, "it died"))
        await ended(accepting)
        error = failure_of(accepting) if accepting.done() else None
        final = isinstance(error, Exception) and not isinstance(
            error, AcceptError | BindError | ClosedError
        )
        expect(final, f"accept(), beneath which the server died, {outcome_of(accepting)}")

    @clause("After a final error, accept() raises ClosedError.", "D26", after=("failure_shows",))
    async def closed_by_failure(self) -> None:
        site = await self._ready()
        await ended(await self._failing(site, OSError(errno.EBADF, "it died")))
        await raises(site.listener.accept(), "accept() after a final error", ClosedError)


class _RawClient(Closer):
    """A TCP client that speaks no protocol."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    async def close(self) -> None:
        self.socket.close()


async def _say(addr: Addr, data: bytes) -> _RawClient:
    """Connect by TCP, and send ``data``."""
    host, _, port = str(addr).rpartition(":")
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(sock, (host.strip("[]"), int(port)))
        await loop.sock_sendall(sock, data)
    except BaseException:
        sock.close()
        raise
    return _RawClient(sock)


async def _say_nothing(addr: Addr) -> Closer:
    return await _say(addr, b"")


async def _say_garbage(addr: Addr) -> Closer:
    return await _say(addr, bytes(range(255, 0, -1)))


async def _break_off(addr: Addr) -> Closer:
    client = await _say(addr, b"")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await client.close()
    return client
