"""What the contracts of a connector have in common: a proxy node that the hooks play."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from typing_extensions import TypeVar

from gost_core.common.net import Conn, UnsupportedError
from gost_core.common.net import Dialer as NetDialer
from gost_core.connector import Connector, Handshaker
from gost_core.context import Context
from gost_core.testing._families.steps import UNOFFERED, ClosableT, OverConn, bare, succeeds
from gost_core.testing._run.attempt import current
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    expect,
    given,
    may_refuse,
    need,
    noting_tasks,
    owned,
    raises,
    returned,
    turns,
    within,
)
from gost_core.testing._stage.network import After, BareConn, Network, Node, Outside, Peer

__all__ = ("TARGET", "ConnectorT", "Playing", "ThroughNode")

ConnectorT = TypeVar("ConnectorT", bound=Connector, default=Connector)

TARGET: Final[str] = "target.example:80"


@dataclass(frozen=True)
class Playing:
    """A node as a peer, with what it reaches."""

    node: Node
    outside: Outside

    def __call__(self, conn: Conn, /) -> Awaitable[object]:
        """Play the node."""
        return self.node(conn, self.outside)


@dataclass(frozen=True)
class _Leading(NetDialer):
    """A net.Dialer that opens this one connection, wherever it leads."""

    conn: BareConn

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        """Return it."""
        return self.conn


class ThroughNode(OverConn[ConnectorT, Node, ClosableT]):
    """The clauses of what a connector asks of a node."""

    node: Node
    """Plays the proxy node at its end of a connection."""
    networks: list[str] | tuple[str, ...] = ("tcp",)
    """By what it can be asked."""
    dial: Callable[[NetDialer], Awaitable[Conn]] | None = None
    """For a connector that takes the connections of one dialer only: makes such a dialer, has it
    dial through the net.Dialer that is given, and returns its connection to the node, with which
    everything ends that was dialed. The nodes play the dialer's protocol then, too."""

    @abstractmethod
    def _asking(
        self, connector: ConnectorT, conn: Conn, network: str, address: str, /
    ) -> Awaitable[object]:
        """Ask for an address, over a connection on which the handshake is done."""

    def _right(self) -> Peer:
        return self._played(self.node)

    def _played(self, node: Node, /) -> Peer:
        return Playing(node, Outside())

    async def _network(self, peer: Peer, /) -> Network:
        # Who knows no protocol must leave the dialer's part to who does.
        knows = self.dial is None or isinstance(peer, Playing)
        return Network(peer if knows else After(self._right(), peer))

    async def _over(self, network: Network, /, *, late: bool = False) -> BareConn:
        beneath = bare(network, late=late)
        if self.dial is not None:
            # What the dialer begins is no task of the connector's.
            dialing = noting_tasks(self.dial(_Leading(beneath)), [])
            beneath.top = owned(await succeeds(dialing, "`dial`"))
            beneath.calls = 0
            if isinstance(network.peer, After):
                network.peer.dialed.set()
                await turns(3)
        return beneath

    async def _reach(self, outside: Outside | None = None, *, late: bool = False) -> BareConn:
        """Return a connection to the node; what that reaches is ``outside``."""
        return await self._over(Network(Playing(self.node, outside or Outside())), late=late)

    async def _offered(self, network: str) -> str:
        """Return a network that has to be offered, unless the connector says that it is not."""
        if network not in self.networks:
            await self._expect_not_offered(network, TARGET)
        return need(network if network in self.networks else None, f"networks` with `{network}")

    async def _expect_not_offered(self, network: str, address: str) -> None:
        """Leave the clause if the connector says that it does not offer that."""
        connector = await self._ready()
        conn = await given(self._shaken(connector, await self._reach()), "handshake()")
        with suppress(OSError), may_refuse(UnsupportedError):
            owned(await within(self._asking(connector, conn, network, address), self._called))

    async def _shaken(self, connector: ConnectorT, conn: BareConn) -> Conn:
        """Do the connector's handshake if it has one."""
        if isinstance(connector, Handshaker):
            return returned(await connector.handshake(current().ctx, conn.top), "handshake()")
        return conn.top

    @clause(UNOFFERED, "D15")
    async def network_unsupported(self) -> None:
        await self._expect_nothing_sent("sctp", TARGET, UnsupportedError)

    async def _expect_nothing_sent(
        self, network: str, address: str, expected: type[Exception]
    ) -> None:
        """Break the clause unless the step is refused here, before the node is asked."""
        connector, conn = await self._ready(), await self._reach()
        shaken = await given(self._shaken(connector, conn), "handshake()")
        before = conn.written
        what = f"{self._called} by {network!r} to {address!r}"
        await raises(self._asking(connector, shaken, network, address), what, expected)
        sent = conn.written - before
        expect(not sent, f"{sent} bytes were sent before {what} raised {expected.__name__}")
