import pytest

from docs._made import translation
from docs._made.go_facts import symbols

pytestmark = pytest.mark.one_python


@pytest.mark.parametrize(
    ("go_name", "python_name"),
    [
        ("Addr", "addr"),
        ("ClientIP", "client_ip"),
        ("HTTP", "http"),
        ("HTTPPath", "http_path"),
        ("ID", "id"),
        ("IfceName", "ifce_name"),
        ("In", "in_"),
        ("IsLevelEnabled", "is_level_enabled"),
        ("RewriteURL", "rewrite_url"),
        ("SockOpts", "sock_opts"),
        ("TLSConfig", "tls_config"),
        ("UDPConnTTLBindOption", "udp_conn_ttl_bind_option"),
        ("httpSettings", "http_settings"),
    ],
)
def test_an_acronym_is_one_word_and_a_keyword_gets_an_underscore(
    go_name: str, python_name: str
) -> None:
    assert translation.snake_case(go_name) == python_name


@pytest.mark.parametrize(
    ("go_name", "python_name"),
    [
        ("cache.ErrNotFound", "NotFoundError"),
        ("chain.FailCodes", "FailCodes"),
        ("chain.NewNode", "Node"),
        ("chain.ProbeTypeHTTP", "ProbeType.HTTP"),
        ("limiter.ScopeClient", "SCOPE_CLIENT"),
        ("listener.ErrClosed", "ClosedError"),
        ("logger.JSONFormat", "LogFormat.JSON"),
        ("logger.LoggerGroup", "LoggerGroup"),
        ("logger.SetDefault", "set_default"),
        ("logger.WarnLevel", "LogLevel.WARN"),
        ("observer/stats.KindTotalConns", "Kind.TOTAL_CONNS"),
        ("sd.SD", "SD"),
    ],
)
def test_the_kind_of_a_name_decides_how_it_is_translated(go_name: str, python_name: str) -> None:
    assert translation.python_name(symbols()[go_name]) == python_name


@pytest.mark.parametrize(
    ("go_type", "package", "python_type"),
    [
        ("*Node", "chain", "Node"),
        ("*chain.Node", "hop", "chain.Node"),
        ("Labels", "metrics", "Mapping[str, str]"),
        ("Limiter", "limiter/conn", "Limiter"),
        ("[]net.IP", "hosts", "Sequence[IPv4Address | IPv6Address]"),
        ("map[string]T", "registry", "Mapping[str, T]"),
        ("net.Conn", "common/net", "Conn"),
        ("net.Conn", "dialer", "common.net.Conn"),
        ("stats.Stats", "listener", "observer.stats.Stats"),
        ("xnet.Dialer", "connector", "common.net.Dialer"),
    ],
)
def test_a_type_is_found_where_the_package_that_names_it_would_find_it(
    go_type: str, package: str, python_type: str
) -> None:
    assert translation.annotation(go_type, package) == python_type


def test_the_tables_name_only_what_go_has() -> None:
    go_names = set(symbols())
    for symbol in symbols().values():
        go_names.update(f"{symbol}.{member.name}" for member in symbol.fields + symbol.methods)
    tables = (
        translation.BASES,
        translation.BLOCKING,
        translation.CONSTRUCTORS,
        translation.NONE_ARGUMENTS,
        translation.NONE_RESULTS,
        translation.RUNTIME_CHECKABLE,
        translation.SPECIAL,
    )
    assert {name for table in tables for name in table} - go_names == set()
