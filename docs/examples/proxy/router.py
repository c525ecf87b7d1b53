"""By which gateway an address is reached."""

import itertools
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network

from gost_core import router
from gost_core.context import Context
from gost_core.options import apply

from .net.address import host_of


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
