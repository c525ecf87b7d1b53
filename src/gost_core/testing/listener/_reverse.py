"""The contract of listeners that bind through a router."""

import asyncio
import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from ssl import SSLCertVerificationError
from typing import ClassVar, Final

from gost_core.chain import BindOption, EmptyRouteError
from gost_core.common import net
from gost_core.common.net import Addr, Closer, Conn, DeniedError, UnsupportedError
from gost_core.context import Context
from gost_core.listener import (
    AcceptError,
    BindError,
    ClosedError,
    Listener,
    Option,
    addr_option,
    router_option,
)
from gost_core.testing._run.contract import clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    ended,
    expect,
    expect_cancelled,
    owned,
    raises,
    returned,
    settle,
    start,
    turns,
    until,
    within,
)
from gost_core.testing._stage.fakes.chain import FakeRouter
from gost_core.testing._stage.memory import Address, MemoryConn, MemoryListener
from gost_core.testing._stage.streams import begin
from gost_core.testing.listener._options import ServingOptions
from gost_core.testing.listener._serving import BadClient, ListenerSite, MakeListener, all_of

__all__ = ("ReverseListenerContract",)

_ANY_PORT: Final[str] = "127.0.0.1:0"


class _FarListener(MemoryListener):
    """Where a router has bound."""

    closing_takes = 0.0
    _source: ClassVar[str] = "[2001:db8::1]"

    async def close(self) -> None:
        await super().close()
        await asyncio.sleep(self.closing_takes)


class _BindingRouter(FakeRouter):
    """A router that binds addresses of its own, at which the scenario plays the clients."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[Exception] = []
        self.bound: list[_FarListener] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.binding = 0
        self._ports = count(1024)

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> net.Listener:
        """Bind, or fail as the scenario says."""
        self.binding += 1
        try:
            await self.answers.wait()
        finally:
            self.binding -= 1
        if self.failures:
            raise self.failures.pop(0)
        if any(str(one.addr()) == address for one in self.in_use):
            raise OSError(errno.EADDRINUSE, f"{address} is in use")
        host, _, port = address.rpartition(":")
        number = next(self._ports) if port in ("", "0") else int(port)
        self.bound.append(_FarListener(Address(network, f"{host or '127.0.0.1'}:{number}")))
        return self.bound[-1]

    @property
    def in_use(self) -> list[_FarListener]:
        """What was bound and is not closed."""
        return [one for one in self.bound if not one.closed]

    async def reach(self, addr: Addr) -> MemoryConn:
        """Connect a client where something is bound, whatever the listener says of it."""
        await until(lambda: bool(self.in_use), "accept() bound no address")
        return self.in_use[-1].connect()


@dataclass(frozen=True, eq=False)
class _ReverseSite(ListenerSite):
    """A reverse listener, and the router through which clients come to it."""

    router: _BindingRouter

    def addr(self) -> Addr:
        """Return where the router has bound."""
        return self.router.bound[-1].addr()

    async def let_bind(self) -> None:
        """Have the listener accept a client."""
        await self.meet()

    async def _join(self) -> tuple[Conn, Conn]:
        # It binds in accept(), and before that nobody can connect.
        connecting = start(self.connect())
        return await self.accept(), await connecting


class ReverseListenerContract(ServingOptions[_ReverseSite], interface=Listener):
    """What a listener promises that binds through a router.

    A factory gets an option, which it gives to the listener behind its own ones. With it the
    contract gives a Router, and plays that and the clients; it chooses an address, and gives an
    admission, limits and statistics. A listener that does not serve what it was given says so by a
    ValueError from ``init()``; then the clauses about it hold. To ignore it breaks them.
    """

    make: MakeListener = field(kw_only=False)
    """Makes a listener that is not initialized."""

    def _build(self, *opts: Option) -> _ReverseSite:
        return self._build_through(_BindingRouter(), addr_option(_ANY_PORT), *opts)

    def _build_at(self, addr: str, site: _ReverseSite) -> _ReverseSite:
        return self._build_through(site.router, addr_option(addr))

    def _build_through(self, router: _BindingRouter, *opts: Option) -> _ReverseSite:
        listener = owned(self.make(all_of(*opts, router_option(router))))
        return _ReverseSite(listener, router.reach, router)

    async def _to_close(self) -> Listener:
        site = await self._bound()
        # Longer than what is ready to happen.
        site.router.in_use[-1].closing_takes = 0.05
        return site.listener

    async def _silent_client(self, site: _ReverseSite) -> Closer:
        return site.router.in_use[-1].connect()

    def _bad_clients(self, site: _ReverseSite) -> Mapping[str, BadClient]:
        async def break_off(addr: Addr) -> Closer:
            client = await site.router.reach(addr)
            client.break_off()
            return client

        return {"one that broke off": break_off}

    async def _fails(self, site: _ReverseSite, error: OSError) -> None:
        """Have what was bound fail, and break the clause unless accept() says so."""
        accepting = await begin(site.listener.accept())
        site.router.in_use[-1].fail(error)
        await raises(accepting, "accept(), when the tunnel failed,", AcceptError)

    @clause("A reverse listener binds in accept(), not in init().", "D25")
    async def reverse_binds_in_accept(self) -> None:
        site = await self._ready()
        await settle()
        expect(not site.router.bound, "init() of a reverse listener bound an address")
        await site.meet()

    @clause(
        "addr() of a reverse listener is the address asked for, and once it is bound the real one.",
        "D25",
        after=("reverse_accept_error",),
    )
    async def reverse_address(self) -> None:
        site = await self._ready()
        before = str(returned(site.listener.addr(), "addr()"))
        expect(
            before == _ANY_PORT, f"{_ANY_PORT} was asked for; before accept(), addr() is {before}"
        )
        for _ in range(2):
            await site.meet()
            after, real = str(site.listener.addr()), str(site.addr())
            expect(after == real, f"{real} was bound last; addr() is {after}")
            await self._fails(site, ConnectionResetError(errno.ECONNRESET, "the tunnel broke"))

    @clause(
        "A reverse listener that could not bind raises BindError, and binds at the next accept().",
        "D26",
        after=("reverse_binds_in_accept",),
    )
    async def reverse_bind_error(self) -> None:
        site = await self._ready()
        error = ConnectionRefusedError(errno.ECONNREFUSED, "the hop is away")
        site.router.failures.append(error)
        accepting = start(site.listener.accept())
        await raises(accepting, "accept() that could not bind", BindError)
        cause = accepting.exception()
        expect(
            cause is not None and cause.__cause__ is error,
            f"the cause of the BindError is not {describe(error)}",
        )
        await site.meet()

    @clause(
        "A cancelled accept() cancels the bind that it waits for, and the next one binds.",
        "D4, D18",
        after=("reverse_binds_in_accept",),
    )
    async def reverse_bind_cancelled(self) -> None:
        site = await self._ready()
        site.router.answers.clear()
        accepting = start(site.listener.accept())
        await until(lambda: bool(site.router.binding), "accept() binds nothing")
        await expect_cancelled(accepting, "accept() that waits for a bind")
        await until(lambda: not site.router.binding, "accept() was cancelled, and the bind was not")
        site.router.answers.set()
        await site.meet()

    @clause(
        "What may bind later becomes a BindError too: an empty route, a node that refuses, a wrong "
        "certificate.",
        "D16",
        after=("reverse_bind_error",),
    )
    async def reverse_bind_later(self) -> None:
        for error in (
            EmptyRouteError("the hop has no node yet"),
            PermissionError("the node refuses"),
            SSLCertVerificationError("the certificate is of another"),
        ):
            site = await self._ready()
            site.router.failures.append(error)
            await raises(site.listener.accept(), f"accept(), after {error!r},", BindError)
            await site.meet()

    @clause(
        "What will never bind is raised as it is: UnsupportedError, DeniedError, ValueError.",
        "D16",
        after=("reverse_binds_in_accept",),
    )
    async def reverse_bind_unsupported(self) -> None:
        for error in (
            UnsupportedError("nothing binds here"),
            DeniedError("a rule denies it"),
            ValueError("a malformed address"),
        ):
            site = await self._ready()
            site.router.failures.append(error)
            await raises(site.listener.accept(), "accept() that can never bind", type(error))

    @clause(
        "When what was bound fails, accept() raises AcceptError, and the next one binds again.",
        "D26",
        after=("reverse_binds_in_accept",),
    )
    async def reverse_accept_error(self) -> None:
        site = await self._bound()
        for number in (errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH):
            await self._fails(site, OSError(number, "the tunnel broke"))
            await site.meet()
        in_use, bound = len(site.router.in_use), len(site.router.bound)
        expect(in_use == 1, f"after a failure, {in_use} bound addresses are in use")
        expect(bound == 4, f"of 3 addresses that failed, {bound - 1} were bound again")

    @clause(
        "close() of a reverse listener closes what it has bound; accept() raises ClosedError.",
        "D27",
        after=("reverse_binds_in_accept", "close_wakes_accept"),
    )
    async def reverse_close(self) -> None:
        site = await self._bound()
        accepting = await begin(site.listener.accept())
        await within(site.listener.close(), "close() beside a waiting accept()")
        await raises(accepting, "the waiting accept()", ClosedError)
        expect(not site.router.in_use, "close() left the bound address in use")
        expect(not site.router.closed, "close() closed the router, which was only lent")

    @clause(
        "close() of a reverse listener ends an accept() that waits for a bind, and nothing stays "
        "bound.",
        "D1, D27",
        after=("reverse_close", "reverse_bind_cancelled"),
    )
    async def reverse_close_binding(self) -> None:
        site = await self._ready()
        site.router.answers.clear()
        accepting = start(site.listener.accept())
        await until(lambda: bool(site.router.binding), "accept() binds nothing")
        await within(site.listener.close(), "close() beside an accept() that binds")
        await raises(accepting, "the accept() that was binding", ClosedError)
        site.router.answers.set()
        await settle()
        expect(not site.router.in_use, "close() has ended, and the router has bound the address")
        # The bind may end just before.
        for after in range(6):
            site = await self._ready()
            accepting = start(site.listener.accept())
            await turns(after)
            await within(site.listener.close(), "close() beside accept()")
            await ended(accepting)
            await settle()
            expect(not site.router.in_use, "close() beside accept() left an address bound")
