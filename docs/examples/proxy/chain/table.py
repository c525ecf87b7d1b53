"""A chain by a table of routes."""

from collections.abc import Mapping

from gost_core import chain, router
from gost_core.context import Context
from gost_core.options import apply

from ..net.address import host_of


class TableChain(chain.Chainer):
    """Goes to a target by the chain of its gateway; without a gateway, directly (D36).

    The name that was asked for may stand in the table as well as the address that it has.
    """

    def __init__(
        self, table: router.Router, gateways: Mapping[str, chain.Chainer], *opts: router.Option
    ) -> None:
        self._table = table
        self._gateways = gateways
        self._opts = opts

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: chain.RouteOption
    ) -> chain.Route | None:
        found: router.Route | None = None
        for target in (apply(chain.RouteOptions(), *opts).host, address):
            found = found or await self._table.get_route(ctx, host_of(target), *self._opts)
        if found is None:
            return None
        if found.gateway not in self._gateways:
            # Direct would be past the very gateway that the table asks for.
            raise PermissionError(f"{address}: the gateway {found.gateway!r} is not known here")
        return await self._gateways[found.gateway].route(ctx, network, address, *opts)
