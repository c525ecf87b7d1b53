"""The contract of the handshakes that connectors do."""

from collections.abc import Awaitable

from gost_core.common.net import Conn
from gost_core.connector import Handshaker
from gost_core.testing._families.handshakes import Handshakes
from gost_core.testing._families.steps import succeeds
from gost_core.testing._run.attempt import Broken, current
from gost_core.testing._run.waiting import owned
from gost_core.testing._stage.network import Node, Outside, Peer
from gost_core.testing.connector._node import TARGET, ConnectorT, Playing

__all__ = ("HandshakerContract",)


class HandshakerContract(Handshakes[ConnectorT, Node], interface=Handshaker):
    """What the handshake of a connector promises.

    The rest of the connector has a contract of its own, :class:`ConnectorContract`, which takes the
    same factories. A silent node and one that dies need no hook.
    """

    node: Node
    """Plays the proxy node at its end of a connection, as for :class:`ConnectorContract`. It may
    come to no more than the handshake."""
    network: str = "tcp"
    """By what the connector reaches the target, after the handshake."""

    def _right(self) -> Peer:
        return self._played(self.node)

    def _played(self, node: Node, /) -> Peer:
        return Playing(node, Outside())

    def _shaking(self, component: ConnectorT, conn: Conn, /) -> Awaitable[Conn]:
        if not isinstance(component, Handshaker):
            raise Broken("it has no handshake()")
        return component.handshake(current().ctx, conn)

    async def _carrying(self, component: ConnectorT, result: Conn, /) -> Conn:
        call = component.connect(current().ctx, result, self.network, TARGET)
        return owned(await succeeds(call, "connect() over the result"))

    async def _carries(self, component: ConnectorT, result: Conn, what: str, /) -> None:
        reached = await self._carrying(component, result)
        await self._works(reached, f"what connect() made of {what}")
