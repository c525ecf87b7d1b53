"""Wrong uses of each contract: an unknown keyword, a wrong value, a hook of the wrong type."""

from gost_core.testing.admission import AdmissionContract
from gost_core.testing.auth import AuthenticatorContract
from gost_core.testing.bypass import BypassContract
from gost_core.testing.chain import (
    ChainerContract,
    GroupChainerContract,
    ProbeResultReaderContract,
    RouteContract,
    TransporterContract,
)
from gost_core.testing.chain import RouterContract as RouterOfChain
from gost_core.testing.common.net import (
    AborterContract,
    CloserContract,
    ConnContract,
    ConnUnwrapperContract,
    ContextCarrierContract,
    HalfCloserContract,
    PacketConnContract,
)
from gost_core.testing.common.net import DialerContract as DialerOfNet
from gost_core.testing.common.net import ListenerContract as ListenerOfNet
from gost_core.testing.connector import BinderContract, ConnectorContract
from gost_core.testing.connector import HandshakerContract as HandshakerOfConnector
from gost_core.testing.dialer import DialerContract as DialerOfDialer
from gost_core.testing.dialer import HandshakerContract as HandshakerOfDialer
from gost_core.testing.handler import HandlerContract
from gost_core.testing.hop import HopContract, NodeListContract
from gost_core.testing.hosts import HostMapperContract
from gost_core.testing.ingress import IngressContract
from gost_core.testing.limiter.conn import ConnLimiterContract
from gost_core.testing.limiter.conn import LimiterContract as LimiterOfConn
from gost_core.testing.limiter.rate import LimiterContract as LimiterOfRate
from gost_core.testing.limiter.rate import RateLimiterContract
from gost_core.testing.limiter.traffic import LimiterContract as LimiterOfTraffic
from gost_core.testing.limiter.traffic import TrafficLimiterContract
from gost_core.testing.listener import ListenerContract as ListenerOfListener
from gost_core.testing.listener import ReverseListenerContract
from gost_core.testing.logger import LoggerContract
from gost_core.testing.metadata import MetadatableContract, MetadataContract
from gost_core.testing.metrics import CounterContract, GaugeContract, MetricsContract
from gost_core.testing.metrics import ObserverContract as ObserverOfMetrics
from gost_core.testing.observer import ObserverContract as ObserverOfObserver
from gost_core.testing.observer.stats import StatsContract
from gost_core.testing.recorder import RecorderContract
from gost_core.testing.registry import RegistryContract
from gost_core.testing.resolver import ResolverContract
from gost_core.testing.rewriter import RewriterContract
from gost_core.testing.router import RouterContract as RouterOfRouter
from gost_core.testing.routing import MatcherContract
from gost_core.testing.sd import SDContract
from gost_core.testing.selector import (
    FilterContract,
    MarkableContract,
    MarkerContract,
    SelectorContract,
    StrategyContract,
)
from gost_core.testing.service import ServiceContract


async def wrong(one: int, two: int, three: int, four: int, five: int, six: int, /) -> None:
    """Fits no hook."""


def admission_admission(ok: AdmissionContract) -> None:
    AdmissionContract(ok.make, nonsense=1)  # error: all
    AdmissionContract(ok.make, time_limit="soon")  # error: all
    AdmissionContract(ok.make, break_backend=wrong)  # error: all


def auth_authenticator(ok: AuthenticatorContract) -> None:
    AuthenticatorContract(ok.make, nonsense=1)  # error: all
    AuthenticatorContract(ok.make, time_limit="soon")  # error: all
    AuthenticatorContract(ok.make, break_backend=wrong)  # error: all


def bypass_bypass(ok: BypassContract) -> None:
    BypassContract(ok.make, nonsense=1)  # error: all
    BypassContract(ok.make, time_limit="soon")  # error: all
    BypassContract(ok.make, break_backend=wrong)  # error: all


def chain_chainer(ok: ChainerContract) -> None:
    ChainerContract(ok.make, nonsense=1)  # error: all
    ChainerContract(ok.make, time_limit="soon")  # error: all


def chain_group(ok: GroupChainerContract) -> None:
    GroupChainerContract(ok.make, nonsense=1)  # error: all
    GroupChainerContract(ok.make, time_limit="soon")  # error: all


def chain_proberesultreader(ok: ProbeResultReaderContract) -> None:
    ProbeResultReaderContract(ok.make, nonsense=1)  # error: all
    ProbeResultReaderContract(ok.make, time_limit="soon")  # error: all
    ProbeResultReaderContract(ok.make, probe=wrong)  # error: all


def chain_route(ok: RouteContract) -> None:
    RouteContract(ok.make, nonsense=1)  # error: all
    RouteContract(ok.make, time_limit="soon")  # error: all


def chain_router(ok: RouterOfChain) -> None:
    RouterOfChain(ok.make, nonsense=1)  # error: all
    RouterOfChain(ok.make, time_limit="soon")  # error: all


def chain_transporter(ok: TransporterContract) -> None:
    TransporterContract(ok.make, nonsense=1)  # error: all
    TransporterContract(ok.make, time_limit="soon")  # error: all


def common_net_aborter(ok: AborterContract) -> None:
    AborterContract(ok.make, nonsense=1)  # error: all
    AborterContract(ok.make, time_limit="soon")  # error: all


def common_net_closer(ok: CloserContract) -> None:
    CloserContract(ok.make, nonsense=1)  # error: all
    CloserContract(ok.make, time_limit="soon")  # error: all
    CloserContract(ok.make, wait=wrong)  # error: all


def common_net_conn(ok: ConnContract) -> None:
    ConnContract(ok.make, nonsense=1)  # error: all
    ConnContract(ok.make, time_limit="soon")  # error: all
    ConnContract(ok.make, make_datagram=wrong)  # error: all


def common_net_connunwrapper(ok: ConnUnwrapperContract) -> None:
    ConnUnwrapperContract(ok.wrap, nonsense=1)  # error: all
    ConnUnwrapperContract(ok.wrap, time_limit="soon")  # error: all
    ConnUnwrapperContract(ok.wrap, wrap_datagrams=wrong)  # error: all


def common_net_contextcarrier(ok: ContextCarrierContract) -> None:
    ContextCarrierContract(ok.make, nonsense=1)  # error: all
    ContextCarrierContract(ok.make, time_limit="soon")  # error: all


def common_net_dialer(ok: DialerOfNet) -> None:
    DialerOfNet(ok.make, nonsense=1)  # error: all
    DialerOfNet(ok.make, time_limit="soon")  # error: all


def common_net_halfcloser(ok: HalfCloserContract) -> None:
    HalfCloserContract(ok.make, nonsense=1)  # error: all
    HalfCloserContract(ok.make, time_limit="soon")  # error: all
    HalfCloserContract(ok.make, make_unable=wrong)  # error: all


def common_net_listener(ok: ListenerOfNet) -> None:
    ListenerOfNet(ok.make, ok.connect, nonsense=1)  # error: all
    ListenerOfNet(ok.make, ok.connect, time_limit="soon")  # error: all
    ListenerOfNet(ok.make, ok.connect, make_at=wrong)  # error: all


def common_net_packetconn(ok: PacketConnContract) -> None:
    PacketConnContract(ok.make, nonsense=1)  # error: all
    PacketConnContract(ok.make, time_limit="soon")  # error: all
    PacketConnContract(ok.make, make_connected=wrong)  # error: all


def connector_binder(ok: BinderContract) -> None:
    BinderContract(ok.make, node=ok.node, nonsense=1)  # error: all
    BinderContract(ok.make, node=ok.node, time_limit="soon")  # error: all
    BinderContract(ok.make, node=ok.node, incapable=wrong)  # error: all


def connector_connector(ok: ConnectorContract) -> None:
    ConnectorContract(ok.make, node=ok.node, nonsense=1)  # error: all
    ConnectorContract(ok.make, node=ok.node, time_limit="soon")  # error: all
    ConnectorContract(ok.make, node=ok.node, ping=wrong)  # error: all


def connector_handshaker(ok: HandshakerOfConnector) -> None:
    HandshakerOfConnector(ok.make, node=ok.node, nonsense=1)  # error: all
    HandshakerOfConnector(ok.make, node=ok.node, time_limit="soon")  # error: all
    HandshakerOfConnector(ok.make, node=ok.node, ping=wrong)  # error: all


def dialer_dialer(ok: DialerOfDialer) -> None:
    DialerOfDialer(ok.make, nonsense=1)  # error: all
    DialerOfDialer(ok.make, time_limit="soon")  # error: all
    DialerOfDialer(ok.make, ping=wrong)  # error: all


def dialer_handshaker(ok: HandshakerOfDialer) -> None:
    HandshakerOfDialer(ok.make, peer=ok.peer, nonsense=1)  # error: all
    HandshakerOfDialer(ok.make, peer=ok.peer, time_limit="soon")  # error: all
    HandshakerOfDialer(ok.make, peer=ok.peer, ping=wrong)  # error: all


def handler_handler(ok: HandlerContract) -> None:
    HandlerContract(ok.make, nonsense=1)  # error: all
    HandlerContract(ok.make, time_limit="soon")  # error: all
    HandlerContract(ok.make, connect=wrong)  # error: all


def hop_hop(ok: HopContract) -> None:
    HopContract(ok.make, nonsense=1)  # error: all
    HopContract(ok.make, time_limit="soon")  # error: all


def hop_nodelist(ok: NodeListContract) -> None:
    NodeListContract(ok.make, nonsense=1)  # error: all
    NodeListContract(ok.make, time_limit="soon")  # error: all
    NodeListContract(ok.make, reload=wrong)  # error: all


def hosts_hostmapper(ok: HostMapperContract) -> None:
    HostMapperContract(ok.make, nonsense=1)  # error: all
    HostMapperContract(ok.make, time_limit="soon")  # error: all
    HostMapperContract(ok.make, break_backend=wrong)  # error: all


def ingress_ingress(ok: IngressContract) -> None:
    IngressContract(ok.make, nonsense=1)  # error: all
    IngressContract(ok.make, time_limit="soon")  # error: all
    IngressContract(ok.make, break_backend=wrong)  # error: all


def limiter_conn_connlimiter(ok: ConnLimiterContract) -> None:
    ConnLimiterContract(ok.make, nonsense=1)  # error: all
    ConnLimiterContract(ok.make, time_limit="soon")  # error: all
    ConnLimiterContract(ok.make, break_backend=wrong)  # error: all


def limiter_conn_limiter(ok: LimiterOfConn) -> None:
    LimiterOfConn(ok.make, nonsense=1)  # error: all
    LimiterOfConn(ok.make, time_limit="soon")  # error: all
    LimiterOfConn(ok.make, group=wrong)  # error: all


def limiter_rate_limiter(ok: LimiterOfRate) -> None:
    LimiterOfRate(ok.make, nonsense=1)  # error: all
    LimiterOfRate(ok.make, time_limit="soon")  # error: all
    LimiterOfRate(ok.make, group=wrong)  # error: all


def limiter_rate_ratelimiter(ok: RateLimiterContract) -> None:
    RateLimiterContract(ok.make, nonsense=1)  # error: all
    RateLimiterContract(ok.make, time_limit="soon")  # error: all
    RateLimiterContract(ok.make, break_backend=wrong)  # error: all


def limiter_traffic_limiter(ok: LimiterOfTraffic) -> None:
    LimiterOfTraffic(ok.make, nonsense=1)  # error: all
    LimiterOfTraffic(ok.make, time_limit="soon")  # error: all
    LimiterOfTraffic(ok.make, refusing=wrong)  # error: all


def limiter_traffic_trafficlimiter(ok: TrafficLimiterContract) -> None:
    TrafficLimiterContract(ok.make, nonsense=1)  # error: all
    TrafficLimiterContract(ok.make, time_limit="soon")  # error: all
    TrafficLimiterContract(ok.make, break_backend=wrong)  # error: all


def listener_listener(ok: ListenerOfListener) -> None:
    ListenerOfListener(ok.make, ok.connect, nonsense=1)  # error: all
    ListenerOfListener(ok.make, ok.connect, time_limit="soon")  # error: all
    ListenerOfListener(ok.make, ok.connect, wrap=wrong)  # error: all


def listener_reverselistener(ok: ReverseListenerContract) -> None:
    ReverseListenerContract(ok.make, nonsense=1)  # error: all
    ReverseListenerContract(ok.make, time_limit="soon")  # error: all
    ReverseListenerContract(ok.make, wrap=wrong)  # error: all


def logger_logger(ok: LoggerContract) -> None:
    LoggerContract(ok.make, nonsense=1)  # error: all
    LoggerContract(ok.make, time_limit="soon")  # error: all
    LoggerContract(ok.make, lines=wrong)  # error: all


def metadata_metadata(ok: MetadataContract) -> None:
    MetadataContract(ok.make, nonsense=1)  # error: all
    MetadataContract(ok.make, time_limit="soon")  # error: all


def metadata_metadatable(ok: MetadatableContract) -> None:
    MetadatableContract(ok.make, nonsense=1)  # error: all
    MetadatableContract(ok.make, time_limit="soon")  # error: all


def metrics_counter(ok: CounterContract) -> None:
    CounterContract(ok.make, nonsense=1)  # error: all
    CounterContract(ok.make, time_limit="soon")  # error: all
    CounterContract(ok.make, value=wrong)  # error: all


def metrics_gauge(ok: GaugeContract) -> None:
    GaugeContract(ok.make, nonsense=1)  # error: all
    GaugeContract(ok.make, time_limit="soon")  # error: all
    GaugeContract(ok.make, value=wrong)  # error: all


def metrics_metrics(ok: MetricsContract) -> None:
    MetricsContract(ok.make, nonsense=1)  # error: all
    MetricsContract(ok.make, time_limit="soon")  # error: all
    MetricsContract(ok.make, value=wrong)  # error: all


def metrics_observer(ok: ObserverOfMetrics) -> None:
    ObserverOfMetrics(ok.make, nonsense=1)  # error: all
    ObserverOfMetrics(ok.make, time_limit="soon")  # error: all
    ObserverOfMetrics(ok.make, count=wrong)  # error: all


def observer_observer(ok: ObserverOfObserver) -> None:
    ObserverOfObserver(ok.make, event=ok.event, nonsense=1)  # error: all
    ObserverOfObserver(ok.make, event=ok.event, time_limit="soon")  # error: all
    ObserverOfObserver(ok.make, event=ok.event, break_backend=wrong)  # error: all


def observer_stats_stats(ok: StatsContract) -> None:
    StatsContract(ok.make, nonsense=1)  # error: all
    StatsContract(ok.make, time_limit="soon")  # error: all


def recorder_recorder(ok: RecorderContract) -> None:
    RecorderContract(ok.make, nonsense=1)  # error: all
    RecorderContract(ok.make, time_limit="soon")  # error: all
    RecorderContract(ok.make, break_backend=wrong)  # error: all


def registry_registry(ok: RegistryContract) -> None:
    RegistryContract(ok.make, value=ok.value, nonsense=1)  # error: all
    RegistryContract(ok.make, value=ok.value, time_limit="soon")  # error: all
    RegistryContract(ok.make, value=ok.value, follow=wrong)  # error: all


def resolver_resolver(ok: ResolverContract) -> None:
    ResolverContract(ok.make, nonsense=1)  # error: all
    ResolverContract(ok.make, time_limit="soon")  # error: all
    ResolverContract(ok.make, break_backend=wrong)  # error: all


def rewriter_rewriter(ok: RewriterContract) -> None:
    RewriterContract(ok.make, nonsense=1)  # error: all
    RewriterContract(ok.make, time_limit="soon")  # error: all


def router_router(ok: RouterOfRouter) -> None:
    RouterOfRouter(ok.make, nonsense=1)  # error: all
    RouterOfRouter(ok.make, time_limit="soon")  # error: all
    RouterOfRouter(ok.make, break_backend=wrong)  # error: all


def routing_matcher(ok: MatcherContract) -> None:
    MatcherContract(ok.make, nonsense=1)  # error: all
    MatcherContract(ok.make, time_limit="soon")  # error: all
    MatcherContract(ok.make, break_backend=wrong)  # error: all


def sd_sd(ok: SDContract) -> None:
    SDContract(ok.make, nonsense=1)  # error: all
    SDContract(ok.make, time_limit="soon")  # error: all
    SDContract(ok.make, break_backend=wrong)  # error: all


def selector_filter(ok: FilterContract) -> None:
    FilterContract(ok.make, item=ok.item, nonsense=1)  # error: all
    FilterContract(ok.make, item=ok.item, time_limit="soon")  # error: all
    FilterContract(ok.make, item=ok.item, item_with=wrong)  # error: all


def selector_markable(ok: MarkableContract) -> None:
    MarkableContract(ok.make, nonsense=1)  # error: all
    MarkableContract(ok.make, time_limit="soon")  # error: all


def selector_marker(ok: MarkerContract) -> None:
    MarkerContract(ok.make, nonsense=1)  # error: all
    MarkerContract(ok.make, time_limit="soon")  # error: all


def selector_selector(ok: SelectorContract) -> None:
    SelectorContract(ok.make, item=ok.item, nonsense=1)  # error: all
    SelectorContract(ok.make, item=ok.item, time_limit="soon")  # error: all
    SelectorContract(ok.make, item=ok.item, item_with=wrong)  # error: all


def selector_strategy(ok: StrategyContract) -> None:
    StrategyContract(ok.make, item=ok.item, nonsense=1)  # error: all
    StrategyContract(ok.make, item=ok.item, time_limit="soon")  # error: all
    StrategyContract(ok.make, item=ok.item, item_with=wrong)  # error: all


def service_service(ok: ServiceContract) -> None:
    ServiceContract(ok.make, nonsense=1)  # error: all
    ServiceContract(ok.make, time_limit="soon")  # error: all
    ServiceContract(ok.make, with_sleep=wrong)  # error: all
