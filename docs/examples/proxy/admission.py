"""From where clients may connect."""

from gost_core import admission
from gost_core.context import Context
from gost_core.options import apply

from .net.address import host_of, ip_of
from .net.hosts import NetworkSet


class NetworkAdmission(admission.Admission):
    """Goes by the networks that a source is in.

    A blacklist admits all but these, a whitelist these alone. A source whose address is no IP is
    in none of them (D50).
    """

    def __init__(self, *networks: str, whitelist: bool = False) -> None:
        if not networks:
            raise ValueError("an admission needs a network")
        self._networks = NetworkSet(networks)
        self._whitelist = whitelist

    async def admit(
        self, ctx: Context, network: str, addr: str, /, *opts: admission.Option
    ) -> bool:
        apply(admission.Options(), *opts)
        ip = ip_of(host_of(addr))
        contains = ip is not None and ip in self._networks
        return contains is self._whitelist
