"""Interfaces with the same names that are not the same: isinstance could not tell them apart."""

from gost_core import (
    admission,
    bypass,
    chain,
    connector,
    dialer,
    metrics,
    observer,
    router,
    selector,
)
from gost_core.chain import Node
from gost_core.common import net
from gost_core.common.net import Conn
from gost_core.context import Context
from gost_core.dialer import addr_handshake_option
from gost_core.hop import Hop
from gost_core.limiter import conn, rate, traffic


def take_connector_handshaker(it: connector.Handshaker) -> dialer.Handshaker:
    return it  # error: mypy pyright ty pyrefly


def take_dialer_for_network(it: dialer.Dialer) -> net.Dialer:
    return it  # error: mypy pyright ty pyrefly


def take_network_for_dialer(it: net.Dialer) -> dialer.Dialer:
    return it  # error: mypy pyright ty pyrefly


def take_route_for_router(it: chain.Route) -> chain.Router:
    return it  # error: mypy pyright ty pyrefly


def take_transporter_for_router(it: chain.Transporter) -> chain.Router:
    return it  # error: mypy pyright ty pyrefly


def take_router_for_binder(it: chain.Router) -> connector.Binder:
    return it  # error: mypy pyright ty pyrefly


def take_route_table_for_router(it: router.Router) -> chain.Router:
    return it  # error: mypy pyright ty pyrefly


def take_selector_for_hop(it: selector.Selector[Node]) -> Hop:
    return it  # error: mypy pyright ty pyrefly


def take_hop_for_selector(it: Hop) -> selector.Selector[Node]:
    return it  # error: mypy pyright ty pyrefly


def take_rate_limiter_for_conn(it: rate.RateLimiter) -> conn.ConnLimiter:
    return it  # error: mypy pyright ty pyrefly


def take_conn_limiter_for_traffic(it: conn.Limiter) -> traffic.Limiter:
    return it  # error: mypy pyright ty pyrefly


def take_metrics_observer(it: metrics.Observer) -> observer.Observer:
    return it  # error: mypy pyright ty pyrefly


def take_event_observer(it: observer.Observer) -> metrics.Observer:
    return it  # error: mypy pyright ty pyrefly


def take_bypass_for_admission(it: bypass.Bypass) -> admission.Admission:
    return it  # error: mypy pyright ty pyrefly


def take_counter_for_gauge(it: metrics.Counter) -> metrics.Gauge:
    return it  # error: mypy pyright ty pyrefly


def take_dialer_handshaker(it: dialer.Handshaker) -> connector.Handshaker:
    """Seen by none: an implementer may take more options than it is given."""
    return it


def take_conn_limiter_for_rate(it: conn.Limiter) -> rate.Limiter:
    """Seen by none: the counts of one pass for the rates of the other, for an int is a float."""
    return it


async def ask_connector_for_dialer_role(
    ctx: Context, it: connector.Connector, opened: Conn
) -> Conn:
    """Seen by none: a connector.Handshaker is an instance too, and takes no options."""
    if isinstance(it, dialer.Handshaker):
        return await it.handshake(ctx, opened, addr_handshake_option("example.com"))
    return opened
