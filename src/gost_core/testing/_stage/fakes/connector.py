"""Connectors that record what they are asked."""

from gost_core import connector
from gost_core.common.net import Conn, Listener
from gost_core.context import Context
from gost_core.metadata import Metadata
from gost_core.options import apply
from gost_core.testing._stage.fakes.connections import FakeNetListener, LayeredConn, Scene, layer
from gost_core.testing._stage.fakes.recorded import Call, Recorded

__all__ = ("BindingConnector", "FakeConnector", "HandshakingConnector")


class FakeConnector(connector.Connector):
    """A connector."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
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
        self.scene.log.append("connector.connect")
        options = apply(connector.ConnectOptions(), *opts)
        await self.connects.record(Call(ctx, options, network, address, conn))
        return layer(self.scene, "what the connector made", conn, network)


class HandshakingConnector(FakeConnector, connector.Handshaker):
    """A connector with a handshake."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.handshakes = Recorded[Call[None]]()

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        """Put a layer on ``conn``."""
        self.scene.log.append("connector.handshake")
        await self.handshakes.record(Call(ctx, None, conn=conn))
        return LayeredConn(self.scene, "what the connector's handshake made", conn)


class BindingConnector(FakeConnector, connector.Binder):
    """A connector that can bind."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.binds = Recorded[Call[connector.BindOptions]]()

    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        """Put a listener on ``conn``."""
        self.scene.log.append("connector.bind")
        options = apply(connector.BindOptions(), *opts)
        await self.binds.record(Call(ctx, options, network, address, conn))
        return FakeNetListener(self.scene, "the listener", conn, address)
