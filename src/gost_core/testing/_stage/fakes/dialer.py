"""Dialers that record what they are asked."""

from gost_core import dialer
from gost_core.common.net import Conn
from gost_core.context import Context
from gost_core.metadata import Metadata
from gost_core.options import apply
from gost_core.testing._stage.fakes.connections import LayeredConn, Scene
from gost_core.testing._stage.fakes.recorded import Call, Recorded

__all__ = ("FakeDialer", "HandshakingDialer", "MultiplexingDialer")


class FakeDialer(dialer.Dialer):
    """A dialer; with a network in ``through`` it goes by the dialer that it is given."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.dials = Recorded[Call[dialer.DialOptions]]()
        self.through = ""

    async def init(self, metadata: Metadata | None, /) -> None:
        """Do nothing."""

    async def dial(self, ctx: Context, addr: str, /, *opts: dialer.DialOption) -> Conn:
        """Open a connection."""
        options = apply(dialer.DialOptions(), *opts)
        self.scene.log.append("dialer.dial")
        await self.dials.record(Call(ctx, options, address=addr))
        if self.through and options.dialer is not None:
            return await options.dialer.dial(ctx, self.through, addr)
        return self.scene.connection("what the dialer opened")


class HandshakingDialer(FakeDialer, dialer.Handshaker):
    """A dialer with a handshake."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.handshakes = Recorded[Call[dialer.HandshakeOptions]]()

    async def handshake(self, ctx: Context, conn: Conn, /, *opts: dialer.HandshakeOption) -> Conn:
        """Put a layer on ``conn``."""
        self.scene.log.append("dialer.handshake")
        options = apply(dialer.HandshakeOptions(), *opts)
        await self.handshakes.record(Call(ctx, options, conn=conn))
        return LayeredConn(self.scene, "what the dialer's handshake made", conn)


class MultiplexingDialer(FakeDialer, dialer.Multiplexer):
    """A dialer that says whether routes are cut at its node."""

    def __init__(self, scene: Scene, multiplexes: bool) -> None:
        super().__init__(scene)
        self._multiplexes = multiplexes

    def multiplex(self) -> bool:
        """Say so."""
        return self._multiplexes
