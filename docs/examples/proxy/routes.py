"""Route tables: by which gateway an address is reached, and the chain that goes by them."""

import itertools
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network

from gost_core import chain, router
from gost_core.context import Context
from gost_core.options import apply

from .address import host_of


class TableRouter(router.Router):
    """Looks into tables by their ids; "" is the id of the default one.

    The equal destination is found first, else the first network in the table's order (D63).
    """

    def __init__(self, tables: Mapping[str, Sequence[router.Route]]) -> None:
        self._tables = {
            id: [(_same(route.dst or str(route.net or "")), route) for route in routes]
            for id, routes in tables.items()
        }

    async def get_route(
        self, ctx: Context, dst: str, /, *opts: router.Option
    ) -> router.Route | None:
        name, table = _same(dst), self._tables.get(apply(router.Options(), *opts).id, ())
        equal = (route for known, route in table if known == name)
        covering = (route for known, route in table if _covers(known, name))
        return next(itertools.chain(equal, covering), None) if dst else None


def _same(dst: str) -> str:
    """Write a destination so that equal ones compare equal, however they are spelled (D12)."""
    name = host_of(dst).strip("[]")
    try:
        return str(ip_address(name))
    except ValueError:
        return name


def _covers(network: str, name: str) -> bool:
    try:
        return ip_address(name) in ip_network(network, strict=False)
    except ValueError:  # one of them is a name
        return False


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
