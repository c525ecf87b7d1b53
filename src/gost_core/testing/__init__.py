"""The contract, executable: checks that any implementation can run."""

from gost_core.testing._admission import check_admission_admission
from gost_core.testing._auth import check_auth_authenticator
from gost_core.testing._bypass import check_bypass_bypass
from gost_core.testing._chain import (
    check_chain_chainer,
    check_chain_probe_result_reader,
    check_chain_route,
    check_chain_router,
    check_chain_transporter,
)
from gost_core.testing._connector import (
    check_connector_binder,
    check_connector_connector,
    check_connector_handshaker,
)
from gost_core.testing._contract import clauses_of, contract_tests
from gost_core.testing._dialer import check_dialer_dialer, check_dialer_handshaker
from gost_core.testing._handler import check_handler_handler
from gost_core.testing._hop import (
    check_hop_hop,
    check_hop_node_list,
)
from gost_core.testing._hosts import check_hosts_host_mapper
from gost_core.testing._ingress import check_ingress_ingress
from gost_core.testing._limiter import (
    check_limiter_conn_conn_limiter,
    check_limiter_conn_limiter,
    check_limiter_rate_limiter,
    check_limiter_rate_rate_limiter,
    check_limiter_traffic_limiter,
    check_limiter_traffic_traffic_limiter,
)
from gost_core.testing._listener import check_listener_listener
from gost_core.testing._logger import check_logger_logger
from gost_core.testing._metadata import check_metadata_metadata, check_metadata_metadatable
from gost_core.testing._metrics import (
    check_metrics_counter,
    check_metrics_gauge,
    check_metrics_metrics,
    check_metrics_observer,
)
from gost_core.testing._net import (
    check_common_net_closer,
    check_common_net_conn,
    check_common_net_conn_unwrapper,
    check_common_net_context_carrier,
    check_common_net_dialer,
    check_common_net_half_closer,
    check_common_net_listener,
    check_common_net_packet_conn,
)
from gost_core.testing._observer import check_observer_observer
from gost_core.testing._recorder import check_recorder_recorder
from gost_core.testing._registry import check_registry_registry
from gost_core.testing._report import Clause, ContractError, Outcome, Report, Result
from gost_core.testing._resolver import check_resolver_resolver
from gost_core.testing._rewriter import check_rewriter_rewriter
from gost_core.testing._router import check_router_router
from gost_core.testing._routing import check_routing_matcher
from gost_core.testing._sd import check_sd_sd
from gost_core.testing._selector import (
    check_selector_filter,
    check_selector_markable,
    check_selector_marker,
    check_selector_selector,
    check_selector_strategy,
)
from gost_core.testing._service import check_service_service
from gost_core.testing._stats import check_observer_stats_stats
from gost_core.testing._verify import verify

__all__ = (
    "Clause",
    "ContractError",
    "Outcome",
    "Report",
    "Result",
    "check_admission_admission",
    "check_auth_authenticator",
    "check_bypass_bypass",
    "check_chain_chainer",
    "check_chain_probe_result_reader",
    "check_chain_route",
    "check_chain_router",
    "check_chain_transporter",
    "check_common_net_closer",
    "check_common_net_conn",
    "check_common_net_conn_unwrapper",
    "check_common_net_context_carrier",
    "check_common_net_dialer",
    "check_common_net_half_closer",
    "check_common_net_listener",
    "check_common_net_packet_conn",
    "check_connector_binder",
    "check_connector_connector",
    "check_connector_handshaker",
    "check_dialer_dialer",
    "check_dialer_handshaker",
    "check_handler_handler",
    "check_hop_hop",
    "check_hop_node_list",
    "check_hosts_host_mapper",
    "check_ingress_ingress",
    "check_limiter_conn_conn_limiter",
    "check_limiter_conn_limiter",
    "check_limiter_rate_limiter",
    "check_limiter_rate_rate_limiter",
    "check_limiter_traffic_limiter",
    "check_limiter_traffic_traffic_limiter",
    "check_listener_listener",
    "check_logger_logger",
    "check_metadata_metadata",
    "check_metadata_metadatable",
    "check_metrics_counter",
    "check_metrics_gauge",
    "check_metrics_metrics",
    "check_metrics_observer",
    "check_observer_observer",
    "check_observer_stats_stats",
    "check_recorder_recorder",
    "check_registry_registry",
    "check_resolver_resolver",
    "check_rewriter_rewriter",
    "check_router_router",
    "check_routing_matcher",
    "check_sd_sd",
    "check_selector_filter",
    "check_selector_markable",
    "check_selector_marker",
    "check_selector_selector",
    "check_selector_strategy",
    "check_service_service",
    "clauses_of",
    "contract_tests",
    "verify",
)
