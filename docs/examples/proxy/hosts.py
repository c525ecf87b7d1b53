"""From names to addresses by a table, as a hosts file has it."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address

from gost_core import hosts
from gost_core.context import Context
from gost_core.options import apply

from .net.address import host_of
from .net.hosts import IP, normal_host, rule_name


class TableHostMapper(hosts.HostMapper):
    """Knows the names of a table, and nothing below or above them."""

    def __init__(self, table: Mapping[str, Sequence[IP]]) -> None:
        # Names are brought to their one form where they are read (D12).
        self._table = {normal_host(name): tuple(found) for name, found in table.items()}

    @classmethod
    def parse(cls, lines: Iterable[str]) -> "TableHostMapper":
        """Read the lines of a hosts file: an address, names, perhaps a ``#`` and a comment."""
        table: dict[str, list[IP]] = {}
        for number, line in enumerate(lines, 1):
            address, *names = line.partition("#")[0].split() or [""]
            if not address:
                continue
            try:
                found = ip_address(address)
                for name in names:
                    table.setdefault(rule_name(name), []).append(found)
            except ValueError as error:
                raise ValueError(f"line {number} of the hosts: {error}") from None
        return cls(table)

    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: hosts.Option
    ) -> Sequence[IP] | None:
        apply(hosts.Options(), *opts)
        found = self._table.get(host_of(host))
        # None sends the caller to the resolver; a name without an address of the family is known
        # all the same, so that is an empty answer (D39).
        return None if found is None else of_family(network, found)


def of_family(network: str, found: Sequence[IP]) -> list[IP]:
    """Leave those that ip4 or ip6 asks for."""
    return [address for address in found if network[2:] in ("", str(address.version))]
