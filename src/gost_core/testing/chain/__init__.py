"""The contracts of transporters, routes, chains and groups of them, routers, and of probes."""

from gost_core.testing.chain._chainer import ChainerContract
from gost_core.testing.chain._group import GroupChainerContract
from gost_core.testing.chain._probe_result_reader import ProbeResultReaderContract
from gost_core.testing.chain._route import RouteContract
from gost_core.testing.chain._router import RouterContract
from gost_core.testing.chain._transporter import TransporterContract

__all__ = (
    "ChainerContract",
    "GroupChainerContract",
    "ProbeResultReaderContract",
    "RouteContract",
    "RouterContract",
    "TransporterContract",
)
