"""The contracts of transporters, routes, chainers, routers and of what is probed."""

from gost_core.testing.chain._chainer import ChainerContract
from gost_core.testing.chain._probe_result_reader import ProbeResultReaderContract
from gost_core.testing.chain._route import RouteContract
from gost_core.testing.chain._router import RouterContract
from gost_core.testing.chain._transporter import TransporterContract

__all__ = (
    "ChainerContract",
    "ProbeResultReaderContract",
    "RouteContract",
    "RouterContract",
    "TransporterContract",
)
