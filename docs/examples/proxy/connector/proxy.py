"""What the connectors of all proxy protocols do alike."""

from gost_core import connector
from gost_core.common.net import UnsupportedError
from gost_core.metadata import Metadata
from gost_core.options import apply

from ..component import Component, refuse_options


class ProxyConnector(Component, connector.Connector):
    """Reaches targets through a proxy; a protocol adds ``connect``."""

    networks: tuple[str, ...] = ("tcp",)
    """What it can reach them by."""

    def __init__(self, *opts: connector.Option) -> None:
        super().__init__()
        self._options = apply(connector.Options(), *opts)

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        refuse_options(self._options, "tls_config")

    def check_network(self, network: str) -> None:
        self.check_initialized()
        if not network.startswith(self.networks):
            offered = " and ".join(self.networks)
            raise UnsupportedError(f"network {network!r} is not offered here, but {offered}")
