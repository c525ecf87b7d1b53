"""Clauses of a handshake, whether a dialer does it or a connector."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable
from typing import Final

from gost_core.common.net import Conn, ConnUnwrapper
from gost_core.testing._families.steps import (
    BENEATH,
    NODE,
    Answered,
    ComponentT,
    NodeT,
    OverConn,
    Secretive,
    Streamed,
    succeeds,
)
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    applies,
    expect,
    failure_of,
    owned,
    raises,
    returned,
    start,
    until,
    within,
)
from gost_core.testing._stage.network import BareConn, Network, Peer, ending
from gost_core.testing._stage.streams import begin

__all__ = ("Handshakes",)

_CALLS: Final[int] = 5


class Handshakes(
    OverConn[ComponentT, NodeT, Conn],
    Answered[ComponentT, NodeT],
    Secretive[ComponentT, NodeT, Conn],
    Streamed[ComponentT, NodeT],
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

    @clause(
        "It takes any connection to the node, whoever made it, and the result works.", "D10, D31"
    )
    async def any_connection(self) -> None:
        component = await self._ready()
        conn = owned(_Wrapper(Network(self._right()).connect("unix", "/run/node")))

        async def use() -> None:
            await self._carries(component, await self._begin(component, conn), "the result")

        await within(use(), "handshake()")

    @clause(
        "Handshakes on several connections at once do not mix.", "D22", after=("outlives_call",)
    )
    async def concurrent(self) -> None:
        component = await self._ready()
        failing = [one for one in (self.refusing, self.garbling) if one is not None]
        calls, others = list[Awaitable[Conn]](), list[Awaitable[Conn]]()
        for _ in range(_CALLS):
            others += [start(self._step(component, Network(self._played(one)))) for one in failing]
            calls.append(start(self._step(component, Network(self._right()))))
        conns = await succeeds(asyncio.gather(*calls), f"one of {_CALLS} handshakes at once")
        for other in others:
            await raises(other, "handshake(), beside others, with a node that fails", Exception)
        uses = [self._carries(component, conn, f"one of {_CALLS} results") for conn in conns]
        await within(asyncio.gather(*uses), "using them at once")

    @clause(
        "What went through a handshake before, with the node of the hop before, goes through this "
        "one too.",
        "D31",
        after=("outlives_call",),
    )
    async def again(self) -> None:
        component = await self._ready()
        result, conn = await self._shaken(component)
        said = conn.written
        applies(said > 0, "it says nothing to the node")
        # The first node sends back whatever comes next, which may be no answer.
        call = await begin(self._shaking(component, result))
        passed_by = call.done() and failure_of(call) is None and conn.written == said
        expect(not passed_by, "handshake() on what an earlier one gave asked no node anything")

    @clause(BENEATH, "D3", after=("outlives_call",))
    async def owns_input(self) -> None:
        component = await self._ready()
        _, other = await self._shaken(component)
        result, conn = await self._shaken(component)
        await within(result.close(), "close() of the result")
        await until(lambda: conn.closed, "the result was closed, and the input was not")
        expect(not other.closed, "the result was closed, and so was the input of an earlier one")


class _Wrapper(BareConn, ConnUnwrapper):
    """A connection of one byte at a time; nothing that uses what is beneath gets anywhere."""

    async def read(self, n: int, /) -> bytes:
        return await super().read(1)

    def unwrap_conn(self) -> Conn:
        return Network(ending).connect("tcp", NODE)
