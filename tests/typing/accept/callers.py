"""What callers write: options, values of a context, errors, levels, probes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import assert_type
from urllib.parse import parse_qs

from gost_core.chain import (
    DialOption,
    EmptyRouteError,
    Node,
    NodeOption,
    NodeOptions,
    ProbeConfig,
    ProbeType,
    Router,
    TLSOptions,
    bypass_node_option,
    interface_dial_option,
    netns_dial_option,
    network_node_option,
    priority_node_option,
)
from gost_core.common.net import Addr, ClosedError, Conn, Error, UnsupportedError
from gost_core.common.url import Userinfo
from gost_core.context import Context, Key
from gost_core.dialer import DialOption as DialerDialOption
from gost_core.dialer import DialOptions, Option, auth_option, host_dial_option
from gost_core.hop import Hop, SelectOptions, header_select_option, query_select_option
from gost_core.keys import LABELS, SOURCE_ADDRESS
from gost_core.logger import Logger, LogLevel
from gost_core.options import FieldOption, apply
from gost_core.routing import Request

ATTEMPT: Key[int] = Key("ATTEMPT")


@dataclass(slots=True, kw_only=True)
class RetryingDialOptions(DialOptions):
    """A package's own options besides the contract's."""

    retries: int = 0


def retries_option(options: DialOptions, retries: int) -> None:
    """A foreign option is a plain function; and passes for any DialOption."""
    if isinstance(options, RetryingDialOptions):
        options.retries = retries


async def dial_with_options(ctx: Context, router: Router, interface: str | None) -> Conn:
    """Options are collected in a list and given with a star; any callable is one."""
    options: list[DialOption] = [netns_dial_option("blue")]
    if interface is not None:
        options.append(interface_dial_option(interface))
    options.append(lambda options: setattr(options, "interface", "eth0"))
    return await router.dial(ctx, "tcp", "example.com:443", *options)


def fill_own_options(*opts: DialerDialOption) -> RetryingDialOptions:
    """``apply`` keeps the type of what it fills, and takes options of the base class for it."""
    options = apply(
        RetryingDialOptions(),
        *opts,
        host_dial_option("example.com"),
        partial(retries_option, retries=3),
    )
    assert_type(options, RetryingDialOptions)
    return options


def fill_by_lambda() -> DialOptions:
    """The parameter of a lambda has the type of the target."""
    return apply(DialOptions(), lambda options: setattr(options, "host", options.host.lower()))


def make_options(auth: Userinfo | None) -> Sequence[Option]:
    """An option function takes what its field takes, so nobody branches on None."""
    return [auth_option(auth)]


def make_node(name: str, priority: int | None) -> Node:
    """A constructor skips None; options that are shared stand in a tuple."""
    shared: tuple[NodeOption | None, ...] = (network_node_option("tcp"), bypass_node_option(None))
    return Node(
        name,
        "192.0.2.1:443",
        *shared,
        None if priority is None else priority_node_option(priority),
        _prefer_udp,
    )


def _prefer_udp(options: NodeOptions) -> NodeOptions:
    """What an option returns does not count."""
    options.network = "udp"
    return options


def describe(option: DialerDialOption) -> str:
    """An option of the contract can be looked at; another may be any callable."""
    if not isinstance(option, FieldOption):
        return repr(option)
    assert_type(option.owner, type[object])
    assert_type(option.value, object)
    return f"{option.owner.__name__}.{option.field}"


def describe_object(option: object) -> str:
    """By ``match`` too, if the subject is not declared a callable: pyright rules the class out."""
    match option:
        case FieldOption(owner, field, value):
            assert_type(owner, type[object])
            assert_type(field, str)
            assert_type(value, object)
            return f"{owner.__name__}.{field}"
        case _:
            return repr(option)


def source_of(ctx: Context) -> str:
    """A key brings the type of its value, a package's own as well."""
    ctx = ctx.with_value(ATTEMPT, 1).with_value(LABELS, {"zone": "one"})
    assert_type(ctx.value(ATTEMPT), int | None)
    assert_type(ctx.value(LABELS), Mapping[str, str] | None)
    source = ctx.value(SOURCE_ADDRESS)
    assert_type(source, Addr | None)
    return "" if source is None else str(source)


def get_or(ctx: Context, key: Key[str], default: str) -> str:
    value = ctx.value(key)
    return default if value is None else value


async def dial_patiently(ctx: Context, router: Router, addr: str) -> Conn | None:
    """Errors are told apart by class; whether to try again, an error may say itself."""
    try:
        async with asyncio.timeout(5):
            return await router.dial(ctx, "tcp", addr)
    except (ClosedError, EmptyRouteError, UnsupportedError):
        raise
    except OSError as error:
        if isinstance(error, Error):
            assert_type(error.temporary(), bool)
            if error.temporary():
                return None
        raise


async def select_for_request(ctx: Context, hop: Hop, target: str) -> Node | None:
    path, _, query = target.partition("?")
    node = await hop.select(
        ctx,
        query_select_option(parse_qs(query)),
        header_select_option({"Accept": ["text/html"], "Host": ("example.com",)}),
        lambda options: setattr(options, "path", path),
    )
    assert_type(node, Node | None)
    return node


def request_of(options: SelectOptions) -> Request:
    return Request(host=options.host, query=options.query, header=options.header, body=options.body)


def run_probe(node: Node, probe: "asyncio.Task[None]") -> None:
    """What stops a probe is a plain function: a task's cancel, a lambda, None for nothing."""
    node.set_probe_cancel(probe.cancel)
    node.set_probe_cancel(lambda: None)
    node.set_probe_cancel(None)


def probe_config(values: dict[str, str]) -> ProbeConfig:
    """Configuration is text, which the enum parses and checks."""
    return ProbeConfig(type=ProbeType(values["type"]), addr=values["addr"], interval=30)


def probes_command(config: ProbeConfig) -> bool:
    match config.type:
        case ProbeType.CMD:
            return True
        case ProbeType.TCP | ProbeType.HTTP:
            return False


def is_at_least(logger: Logger, level: LogLevel) -> bool:
    """Levels are ordered by declaration."""
    levels = list(LogLevel)
    return levels.index(logger.get_level()) >= levels.index(level)


def tls_options(alpn: list[str]) -> TLSOptions:
    return TLSOptions(min_version="VersionTLS12", alpn=alpn, cipher_suites=())
