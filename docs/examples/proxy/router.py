"""By which gateway an address is reached."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_network

from gost_core import router
from gost_core.context import Context
from gost_core.options import apply

from .net.address import host_of, ip_of
from .net.hosts import NetworkMap


class Table:
    """One table, in which a route is found as quickly whether it has a few or very many."""

    def __init__(self, routes: Sequence[router.Route]) -> None:
        self._equal: dict[str, router.Route] = {}
        self._covering = NetworkMap[tuple[int, router.Route]]()
        for place, route in enumerate(routes):
            name = _same(route.dst or str(route.net or ""))
            self._equal.setdefault(name, route)
            with suppress(ValueError):  # it is a name
                self._covering.add(ip_network(name, strict=False), (place, route))

    def find(self, dst: str) -> router.Route | None:
        """Return the route to a destination."""
        name = _same(dst)
        if name in self._equal:
            return self._equal[name]
        ip = ip_of(name)
        covering = () if ip is None else self._covering.of(ip)
        first = min(covering, key=lambda found: found[0], default=None)
        return None if first is None else first[1]


class TableRouter(router.Router):
    """Looks into tables by their ids; "" is the id of the default one.

    The equal destination is found first, else the first network in the table's order (D63).
    """

    def __init__(self, tables: Mapping[str, Sequence[router.Route]]) -> None:
        self._tables = {id: Table(routes) for id, routes in tables.items()}

    async def get_route(
        self, ctx: Context, dst: str, /, *opts: router.Option
    ) -> router.Route | None:
        table = self._tables.get(apply(router.Options(), *opts).id)
        return table.find(dst) if table is not None and dst else None


def _same(dst: str) -> str:
    """Write a destination so that equal ones compare equal, however they are spelled (D12)."""
    name = host_of(dst).strip("[]")
    return str(ip_of(name) or name)
