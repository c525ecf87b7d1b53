"""Options that do not belong where they are given."""

from collections.abc import Sequence
from dataclasses import dataclass

from gost_core import chain, connector, dialer
from gost_core.chain import Node, NodeOption, network_node_option
from gost_core.common.net import Conn
from gost_core.connector import ConnectOptions
from gost_core.context import Context
from gost_core.dialer import Dialer, DialOption, DialOptions, host_dial_option
from gost_core.options import FieldOption, apply


@dataclass(slots=True, kw_only=True)
class OwnDialOptions(DialOptions):
    retries: int = 0


def set_retries(options: OwnDialOptions) -> None:
    options.retries = 3


async def give_another_class(ctx: Context, it: Dialer, option: dialer.HandshakeOption) -> Conn:
    return await it.dial(ctx, "", option)  # error: mypy pyright ty pyrefly


async def give_namesake(ctx: Context, it: Dialer, option: chain.DialOption) -> Conn:
    return await it.dial(ctx, "", option)  # error: mypy pyright ty pyrefly


async def give_none(ctx: Context, it: Dialer) -> Conn:
    return await it.dial(ctx, "", None)  # error: mypy pyright ty pyrefly


async def give_maybe_none(ctx: Context, it: Dialer, option: DialOption | None) -> Conn:
    return await it.dial(ctx, "", option)  # error: mypy pyright ty pyrefly


async def give_uncalled(ctx: Context, it: Dialer) -> Conn:
    return await it.dial(ctx, "", host_dial_option)  # error: mypy pyright ty pyrefly


async def give_list(ctx: Context, it: Dialer, opts: Sequence[DialOption]) -> Conn:
    return await it.dial(ctx, "", opts)  # error: mypy pyright ty pyrefly


async def give_value(ctx: Context, it: Dialer) -> Conn:
    return await it.dial(ctx, "", "example.com")  # error: mypy pyright ty pyrefly


async def give_keyword(ctx: Context, it: Dialer) -> Conn:
    return await it.dial(ctx, "", host="example.com")  # error: mypy pyright ty pyrefly


async def give_option_of_subclass(ctx: Context, it: Dialer) -> Conn:
    return await it.dial(ctx, "", set_retries)  # error: mypy pyright ty pyrefly


def apply_another_class(option: connector.ConnectOption) -> DialOptions:
    return apply(DialOptions(), option)  # error: mypy pyright ty pyrefly


def apply_namesake(option: chain.BindOption) -> connector.BindOptions:
    return apply(connector.BindOptions(), option)  # error: mypy pyright ty pyrefly


def apply_option_of_subclass() -> DialOptions:
    return apply(DialOptions(), set_retries)  # error: mypy pyright ty pyrefly


def apply_list(opts: Sequence[DialOption]) -> DialOptions:
    return apply(DialOptions(), opts)  # error: mypy pyright ty pyrefly


def collect_options() -> list[NodeOption]:
    options: list[NodeOption] = [network_node_option("tcp")]
    options.append(host_dial_option("example.com"))  # error: mypy pyright ty pyrefly
    return options


def make_node_with_list(opts: list[NodeOption]) -> Node:
    return Node("one", "192.0.2.1:443", opts)  # error: mypy pyright ty pyrefly


def make_wrong_owner() -> DialOption:
    return FieldOption(ConnectOptions, "host", "")  # error: mypy pyright pyrefly (ty: unites both)


def give_wrong_value() -> DialOption:
    return host_dial_option(None)  # error: mypy pyright ty pyrefly


def misspell_field() -> DialOptions:
    return DialOptions(hots="example.com")  # error: mypy pyright ty pyrefly


def give_positional_field() -> DialOptions:
    return DialOptions("example.com")  # error: mypy pyright ty pyrefly


def misspell_attribute(options: DialOptions) -> None:
    options.hots = "example.com"  # error: mypy pyright ty pyrefly


async def set_later(options: DialOptions) -> None:
    options.host = "example.com"


async def give_async_option(ctx: Context, it: Dialer) -> Conn:
    """Seen by none: what an option returns does not count, so nobody awaits it."""
    return await it.dial(ctx, "", set_later)


def misspell_field_by_name() -> DialOption:
    """Seen by none: the field is a text. Applying the option raises AttributeError."""
    return FieldOption(DialOptions, "hots", "example.com")
