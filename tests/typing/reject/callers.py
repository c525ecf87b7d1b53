"""Calls that an interface does not offer, and values that it does not take."""

import asyncio
from collections.abc import Sequence

from gost_core.chain import HTTPNodeSettings, Node, ProbeConfig, TLSOptions
from gost_core.common.net import Addr, Closer, Conn, Dialer, Error, Listener
from gost_core.context import Context, Key
from gost_core.hop import header_select_option
from gost_core.keys import CLIENT_ID, SOURCE_ADDRESS
from gost_core.logger import Logger, LogLevel
from gost_core.metadata import Metadata
from gost_core.metrics import Metrics
from gost_core.observer.stats import Stats
from gost_core.registry import Registry
from gost_core.routing import Request
from gost_core.selector import FailMarker, Marker


async def name_positional_parameters(ctx: Context, dialer: Dialer) -> Conn:
    return await dialer.dial(ctx, network="tcp", addr="")  # error: mypy pyright ty pyrefly


async def leave_out_context(dialer: Dialer) -> Conn:
    return await dialer.dial("tcp", "192.0.2.1:443")  # error: mypy pyright ty pyrefly


async def write_text(conn: Conn) -> None:
    await conn.write("hello")  # error: mypy pyright ty pyrefly


async def use_as_context_manager(conn: Conn) -> None:
    async with conn:  # error: mypy pyright ty pyrefly
        return


async def use_metadata_untested(metadata: Metadata) -> int:
    return metadata.get("timeout") + 1  # error: mypy pyright ty pyrefly


async def use_missing_address(conn: Conn, ctx: Context) -> str:
    return ctx.value(SOURCE_ADDRESS).network()  # error: mypy pyright ty pyrefly


def store_wrong_type(ctx: Context) -> Context:
    return ctx.with_value(CLIENT_ID, 1)  # error: mypy pyright ty pyrefly


def store_text_for_address(ctx: Context) -> Context:
    return ctx.with_value(SOURCE_ADDRESS, "192.0.2.1:1080")  # error: mypy pyright ty pyrefly


def store_none(ctx: Context) -> Context:
    return ctx.with_value(CLIENT_ID, None)  # error: mypy pyright ty pyrefly


def read_as_wrong_type(ctx: Context) -> bytes | None:
    return ctx.value(CLIENT_ID)  # error: mypy pyright ty pyrefly


def use_text_as_key(ctx: Context) -> object:
    return ctx.value("CLIENT_ID")  # error: mypy pyright ty pyrefly


def widen_key(key: Key[str]) -> Key[object]:
    return key  # error: mypy pyright ty pyrefly


def narrow_key(key: Key[object]) -> Key[str]:
    return key  # error: mypy pyright ty pyrefly


def widen_registry(registry: Registry[FailMarker]) -> Registry[Marker]:
    return registry  # error: mypy pyright ty pyrefly


def narrow_registry(registry: Registry[Marker]) -> Registry[FailMarker]:
    return registry  # error: mypy pyright ty pyrefly


def register_another_type(registry: Registry[Dialer], listener: Listener) -> None:
    registry.register("tcp", listener)  # error: mypy pyright ty pyrefly


def use_unregistered(registry: Registry[Metadata]) -> object:
    return registry.get("tcp").get("timeout")  # error: mypy pyright ty pyrefly


def query_of_single_values() -> Request:
    return Request(query={"name": "value"})  # error: mypy pyright ty pyrefly


def header_of_single_values() -> object:
    return header_select_option({"Host": "example.com"})  # error: mypy pyright ty pyrefly


def alpn_as_text() -> TLSOptions:
    return TLSOptions(alpn="h2")  # error: mypy pyright ty pyrefly


def cipher_suites_as_text() -> TLSOptions:
    return TLSOptions(cipher_suites="TLS_AES_128_GCM_SHA256")  # error: mypy pyright ty pyrefly


def change_frozen(settings: HTTPNodeSettings) -> None:
    settings.host = "example.com"  # error: mypy pyright ty pyrefly


def compare_levels(one: LogLevel, other: LogLevel) -> bool:
    return one < other  # error: mypy pyright ty pyrefly


def level_as_text(logger: Logger) -> bool:
    return logger.is_level_enabled("debug")  # error: mypy pyright ty pyrefly


def log_with_keywords(logger: Logger) -> None:
    logger.info("accepted", client="alice")  # error: mypy pyright ty pyrefly


def probe_type_as_text() -> ProbeConfig:
    return ProbeConfig(type="tcp")  # error: mypy pyright ty pyrefly


def kind_as_number(stats: Stats) -> None:
    stats.add(1, 1)  # error: mypy pyright ty pyrefly


def name_as_text(metrics: Metrics) -> None:
    metrics.counter("bytes_total", {}).inc()  # error: mypy pyright ty pyrefly


async def stop_probe() -> None:
    await asyncio.sleep(0)


def set_async_cancel(node: Node) -> None:
    node.set_probe_cancel(stop_probe)  # error: mypy pyright ty pyrefly


def closer_by_node(node: Node) -> Closer:
    return node  # error: mypy pyright ty pyrefly


async def catch_protocol(conn: Conn) -> bytes:
    try:
        return await conn.read(1)
    except Error:  # error: mypy pyright ty pyrefly
        return b""


def forget_await(conn: Conn) -> bytes:
    return conn.read(1)  # error: mypy pyright ty pyrefly


async def forget_to_wait(conn: Conn) -> None:
    conn.close()  # error: mypy pyright ty pyrefly


async def await_plain_method(conn: Conn) -> Addr:
    return await conn.local_addr()  # error: mypy pyright ty pyrefly


def nodes_as_property(node: Node) -> Sequence[object]:
    return node.options.priority  # error: mypy pyright ty pyrefly
