"""Route tables: by which gateway an address is reached, and the chain that goes by them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from gost_core import chain, router
from gost_core.context import Context
from gost_core.options import apply

from .address import host_of

Network = IPv4Network | IPv6Network


class TableRouter(router.Router):
    """Looks into tables by their ids; "" is the id of the default one."""

    def __init__(self, tables: Mapping[str, Sequence[router.Route]]) -> None:
        self._tables = {id: _Table(routes) for id, routes in tables.items()}

    async def get_route(
        self, ctx: Context, dst: str, /, *opts: router.Option
    ) -> router.Route | None:
        table = self._tables.get(apply(router.Options(), *opts).id)
        return None if table is None or not dst else table.find(dst)


class _Table:
    def __init__(self, routes: Sequence[router.Route]) -> None:
        self._exact: dict[str, router.Route] = {}
        self._networks: list[tuple[Network, router.Route]] = []
        for route in routes:
            dst = route.dst or str(route.net or "")
            with suppress(ValueError):  # a name
                self._networks.append((ip_network(dst, strict=False), route))
            self._exact.setdefault(_same(dst), route)

    def find(self, dst: str) -> router.Route | None:
        """Find the equal destination, else the first network in the table's order (D63)."""
        found = self._exact.get(_same(dst))
        if found is not None:
            return found
        try:
            ip = ip_address(host_of(dst).strip("[]"))
        except ValueError:
            return None
        return next((route for network, route in self._networks if ip in network), None)


def _same(dst: str) -> str:
    """Write a destination so that equal ones compare equal, however they are spelled (D12)."""
    name = host_of(dst).strip("[]")
    try:
        return str(ip_address(name))
    except ValueError:
        return name


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
