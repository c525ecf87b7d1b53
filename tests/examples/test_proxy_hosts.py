"""The one form of a host, and rules on hosts."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gost_core.chain import host_mapper_router_option
from gost_core.context import Context
from proxy.bypass import PatternBypass
from proxy.chain.router import RetryRouter
from proxy.handler.http import HTTPHandler
from proxy.hosts import TableHostMapper
from proxy.net.hosts import normal_host, normal_target
from proxy.wire.socks5 import pack_address, unpack_address
from tests.examples.proxy_harness import echo, proxy, router_through, run, server
from tests.examples.test_proxy_protocols import talk


@pytest.mark.parametrize(
    ("host", "form"),
    [
        ("Example.COM.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER。example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("_service.x-1.example", "_service.x-1.example"),
        ("\uff11\uff12\uff17.0.0.1", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("1.example", "1.example"),
    ],
)
def test_a_host_has_one_form(host: str, form: str) -> None:
    assert normal_host(host) == form
    assert normal_host(form) == form


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.0x1",
        "1.2.3.4.5",
        "256.1.1.1",
        "a\\b",
        "\\101vil.test",
        "a b",
        "a\n",
        "a\0",
        "a@b",
        "a:80",
        "[::1",
        "ü" * 100,
        ".".join(["label"] * 50),
        "a..",
        "127.0.0.1..",
        "a..b",
    ],
)
def test_what_is_no_host_is_refused_where_it_enters(host: str) -> None:
    with pytest.raises(ValueError, match=r"host|name|IPv4"):
        normal_host(host)


@given(st.text(max_size=20))
def test_a_form_is_the_form_of_itself(host: str) -> None:
    try:
        form = normal_host(host)
    except ValueError:
        return
    assert normal_host(form) == form
    assert form.isascii()


def test_socks5_takes_an_address_of_ipv6_that_is_written_as_a_name() -> None:
    for name in (b"::1", b"[::1]"):
        packed = bytes([3, len(name)]) + name + (80).to_bytes(2, "big")
        assert unpack_address(packed) == ("[::1]:80", b"")
    assert normal_target("[::1]:80") == unpack_address(pack_address("[::1]:80"))[0]


@pytest.mark.parametrize(
    ("rule", "hosts"),
    [
        ("example.com", ["example.com:80", "EXAMPLE.com.", "example.com"]),
        (".example.com", ["example.com", "a.b.example.com:80"]),
        ("*.example.com", ["a.example.com", "a.b.example.com:80"]),
        ("bücher.example", ["xn--bcher-kva.example", "BÜCHER.example:80"]),
        ("*.bücher.example", ["a.xn--bcher-kva.example"]),
        ("127.0.0.0/8", ["127.0.0.1:80", "[::ffff:127.1.2.3]:80", "0.0.0.0:80"]),
        ("::1", ["[::1]:80", "[::]:80"]),
        ("::ffff:10.0.0.0/104", ["10.1.2.3:80"]),
    ],
)
def test_a_rule_matches(rule: str, hosts: list[str]) -> None:
    async def main() -> None:
        for host in hosts:
            assert await PatternBypass(rule).contains(Context(), "tcp", host), host
        assert not await PatternBypass(rule).contains(Context(), "tcp", "192.0.2.1:80")

    run(main())


def test_an_asterisk_alone_is_for_addresses_too() -> None:
    async def main() -> None:
        for host in ("anything.example", "192.0.2.1:80", "[2001:db8::1]:80"):
            assert await PatternBypass("*").contains(Context(), "tcp", host)

    run(main())


@pytest.mark.parametrize(
    "rule",
    [
        *(
            "",
            ".",
            "*.",
            "*.*",
            "*a",
            "a*b",
            "..",
            "127.0.*",
            "10.0.0.1-10.0.0.9",
            "example.com:80",
            "127.0.0.1:80",
        ),
        *(
            "10.0.0.1/8",
            "a/b",
            "a,b",
            "http://a",
            "127.1",
            "[a]",
            "[::1]",
            "exa[m]ple.com",
            "a b",
            "a..b",
        ),
    ],
)
def test_a_rule_that_could_never_match_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match=r"name|network|host|address|IPv4|bits"):
        PatternBypass(rule)


TABLE = TableHostMapper({"mapped.example": [ip_address("127.0.0.1")]})


@pytest.mark.parametrize(
    ("rules", "name", "status"),
    [
        (["127.0.0.0/8", "::1"], "localhost", "403"),
        (["127.0.0.0/8", "::1"], "mapped.example", "403"),
        (["192.0.2.0/24"], "localhost", "200"),
        (["~", "localhost"], "localhost", "200"),
        (["~", "mapped.example"], "mapped.example", "200"),
        (["~", "127.0.0.1"], "mapped.example", "403"),
    ],
)
def test_a_rule_is_asked_about_the_address_too_that_a_name_has(
    rules: list[str], name: str, status: str
) -> None:
    async def main() -> None:
        whitelist = rules[0] == "~"
        bypass = PatternBypass(*rules[whitelist:], whitelist=whitelist)
        router = RetryRouter(host_mapper_router_option(TABLE))
        async with server(echo) as target, proxy(HTTPHandler, router, bypass=bypass) as address:
            assert await connected_to(address, target.replace("127.0.0.1", name)) == status

    run(main())


@pytest.mark.parametrize(("name", "status"), [("localhost", "200"), ("mapped.example", "403")])
def test_a_rule_is_not_asked_about_a_node_nor_about_what_that_finds_out(
    name: str, status: str
) -> None:
    async def main() -> None:
        bypass = PatternBypass("127.0.0.0/8", "::1")
        async with server(echo) as target, proxy(HTTPHandler) as upstream:
            router = await router_through(f"http://{upstream}")
            router.options().host_mapper = TABLE
            async with proxy(HTTPHandler, router, bypass=bypass) as address:
                assert await connected_to(address, target.replace("127.0.0.1", name)) == status

    run(main())


async def connected_to(address: str, target: str) -> str:
    """Ask for a tunnel; return the status."""
    answer = await talk(address, f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
    return answer[9:12].decode()


def test_a_table_knows_a_name_in_either_spelling() -> None:
    async def main() -> None:
        mapper = TableHostMapper.parse(["127.0.0.1 Bücher.example"])
        found = await mapper.lookup(Context(), "ip", "xn--bcher-kva.example")
        assert found == [ip_address("127.0.0.1")]

    run(main())
