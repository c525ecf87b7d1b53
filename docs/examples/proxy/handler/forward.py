"""Forwarding: the service chooses where its clients go, and they need not say anything."""

from dataclasses import dataclass

from gost_core import handler, hop
from gost_core.chain import Node
from gost_core.common.net import Conn
from gost_core.context import Context
from gost_core.metadata import Metadata

from .proxy import ProxyHandler, Refusals, RefusedError, Request


@dataclass(frozen=True, kw_only=True)
class ForwardRequest(Request):
    """A target that was chosen here."""

    node: Node


class ForwardHandler(ProxyHandler, handler.Forwarder):
    """Sends each client to a node of its hop, which is a target and has no transport."""

    refusals: Refusals = ((Exception, b""),)
    _hop: hop.Hop | None = None

    def forward(self, hop: hop.Hop | None, /) -> None:
        if self._initialized:
            raise RuntimeError("forward() comes before init()")
        self._hop = hop

    async def init(self, metadata: Metadata | None, /) -> None:
        if self.auther is not None:
            raise ValueError("clients of a forward say no password; leave the user out")
        await super().init(metadata)

    async def negotiate(self, ctx: Context, conn: Conn, /) -> Request:
        self.count_request(conn)
        option = hop.network_select_option("tcp")
        selected = None if self._hop is None else await self._hop.select(ctx, option)
        if selected is None:
            raise RefusedError("there is no target to forward to", b"")
        return ForwardRequest(target=selected.addr, client=conn, node=selected)

    async def reach(self, ctx: Context, request: Request) -> Conn:
        assert isinstance(request, ForwardRequest)
        try:
            conn = await super().reach(ctx, request)
        except (OSError, ValueError) as error:  # the hop will know better next time
            if not isinstance(error, PermissionError):
                request.node.marker().mark()
            raise
        request.node.marker().reset()
        return conn
