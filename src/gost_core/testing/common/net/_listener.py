"""The contract of listeners that are bound."""

from collections.abc import Awaitable, Callable
from dataclasses import field

from gost_core.common.net import Addr, Conn, Listener
from gost_core.testing._families.acceptors import Acceptors, Site
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    by_task_that_ends,
    by_task_that_goes_on,
    expect,
    given,
    need,
    owned,
)

__all__ = ("ListenerContract",)


class ListenerContract(Acceptors[Site[Listener]], interface=Listener):
    """What a listener promises that is bound: what a Router or a Binder gives."""

    make: Callable[[], Awaitable[Listener]] = field(kw_only=False)
    """Binds a listener, at a free address."""
    connect: Callable[[Addr], Awaitable[Conn]] = field(kw_only=False)
    """Connects a client to an address."""
    make_at: Callable[[Addr], Awaitable[Listener]] | None = None
    """Binds a listener at an address that another one had."""

    async def _ready(self) -> Site[Listener]:
        return self._site(await given(by_task_that_goes_on(self.make(), "binding"), "binding"))

    def _site(self, listener: Listener) -> Site[Listener]:
        return Site(owned(listener), self.connect)

    def _binder(self, site: Site[Listener]) -> Callable[[Addr], Awaitable[Site[Listener]]]:
        make_at = need(self.make_at, "make_at")

        async def bind_at(addr: Addr) -> Site[Listener]:
            return self._site(await by_task_that_goes_on(make_at(addr), "binding again"))

        return bind_at

    @clause("addr() is there, with the real port, and stays the same after close().", "D2, D25")
    async def address(self) -> None:
        _, text = await self._expect_same_addr((await self._ready()).listener)
        expect(not text.endswith(":0"), f"addr() is {text}, which is no bound address")

    @clause("The listener outlives the task that bound it.", "D4", after=("accepts",))
    async def outlives_its_caller(self) -> None:
        binding = by_task_that_ends(self.make(), "binding")
        await self._expect_outlived(self._site(await given(binding, "binding")))
