"""Clauses of a handshake, whether a dialer does it or a connector."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable
from typing import Final

from gost_core.common.net import Conn
from gost_core.testing._families.steps import (
    BENEATH,
    Answered,
    ComponentT,
    NodeT,
    OverConn,
    Pinged,
    Secretive,
    succeeds,
)
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import owned, returned, until, within
from gost_core.testing._stage.network import BareConn, Network, Peer

__all__ = ("Handshakes",)

_CALLS: Final[int] = 5


class Handshakes(
    OverConn[ComponentT, NodeT, Conn],
    Answered[ComponentT, NodeT],
    Secretive[ComponentT, NodeT, Conn],
    Pinged,
    first=("any_connection",),
):
    """The clauses of either handshake."""

    _called = "handshake()"

    @abstractmethod
    def _shaking(self, component: ComponentT, conn: Conn, /) -> Awaitable[Conn]:
        """Call handshake()."""

    @abstractmethod
    async def _carries(self, component: ComponentT, result: Conn, what: str, /) -> None:
        """Break the clause unless the result is good for what comes next."""

    async def _use(self, component: ComponentT, result: Conn, peer: Peer, what: str, /) -> None:
        await self._carries(component, result, what)

    async def _begin(
        self, component: ComponentT, conn: BareConn, aside: Network | None = None, /
    ) -> Conn:
        return owned(returned(await self._shaking(component, conn), "handshake()"))

    async def _shaken(self, component: ComponentT) -> tuple[Conn, BareConn]:
        """Do a handshake that has to succeed; return its result and what it was done on."""
        conn = await self._over(Network(self._right()))
        return await succeeds(self._begin(component, conn), "handshake()"), conn

    @clause("It takes any connection to the node, whoever made it, and the result works.", "D31")
    async def any_connection(self) -> None:
        component, conn = await self._ready(), await self._over(Network(self._right()))

        async def use() -> None:
            await self._carries(component, await self._begin(component, conn), "the result")

        await within(use(), "handshake()")

    @clause(
        "Handshakes on several connections at once do not mix.", "D22", after=("outlives_call",)
    )
    async def concurrent(self) -> None:
        component = await self._ready()
        calls = [self._shaken(component) for _ in range(_CALLS)]
        shaken = await succeeds(asyncio.gather(*calls), f"one of {_CALLS} handshakes at once")
        uses = [self._carries(component, conn, f"one of {_CALLS} results") for conn, _ in shaken]
        await within(asyncio.gather(*uses), "using them at once")

    @clause(BENEATH, "D3", after=("outlives_call",))
    async def owns_input(self) -> None:
        result, conn = await self._shaken(await self._ready())
        await within(result.close(), "close() of the result")
        await until(lambda: conn.closed, "the result was closed, and the input was not")
