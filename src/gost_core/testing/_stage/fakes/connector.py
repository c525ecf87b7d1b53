"""Connectors that record what they are asked."""

from gost_core import connector
from gost_core.common.net import Conn, Listener
from gost_core.context import Context
from gost_core.metadata import Metadata
from gost_core.options import apply
from gost_core.testing._stage.fakes.connections import FakeNetListener, Layer, World
from gost_core.testing._stage.fakes.recorded import Call, Recorded

__all__ = ("BindingConnector", "FakeConnector", "HandshakingConnector")


class FakeConnector(connector.Connector):
    """A connector."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.connects = Recorded[Call[connector.ConnectOptions]]()

    async def init(self, metadata: Metadata | None, /) -> None:
        """Do nothing."""

    async def connect(
        self,
        ctx: Context,
        conn: Conn,
        network: str,
        address: str,
        /,
        *opts: connector.ConnectOption,
    ) -> Conn:
        """Put a layer on ``conn``."""
        self.world.log.append("connector.connect")
        options = apply(connector.ConnectOptions(), *opts)
        await self.connects.record(Call(ctx, options, network, address, conn))
        return Layer(self.world, "what the connector made", conn)


class HandshakingConnector(FakeConnector, connector.Handshaker):
    """A connector with a handshake."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.handshakes = Recorded[Call[None]]()

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        """Put a layer on ``conn``."""
        self.world.log.append("connector.handshake")
        await self.handshakes.record(Call(ctx, None, conn=conn))
        return Layer(self.world, "what the connector's handshake made", conn)


class BindingConnector(FakeConnector, connector.Binder):
    """A connector that can bind."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.binds = Recorded[Call[connector.BindOptions]]()

    async def bind(
        self,
        ctx: Context,
        conn: Conn,
        network: str,
        address: str,
        /,
        *opts: connector.BindOption,
    ) -> Listener:
        """Put a listener on ``conn``."""
        self.world.log.append("connector.bind")
        options = apply(connector.BindOptions(), *opts)
        await self.binds.record(Call(ctx, options, network, address, conn))
        return FakeNetListener(self.world, "the listener", conn, address)
