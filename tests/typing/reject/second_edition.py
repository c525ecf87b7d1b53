"""Mistakes with what the second edition adds."""

import ssl
from ipaddress import IPv4Network

from gost_core.cache import Cache, Entry
from gost_core.chain import FailCodes, HTTPNodeSettings, Route, RouteCarrier
from gost_core.common.net import Aborter, Addr, Conn, find_capability
from gost_core.common.tls import TLSConfig, TLSSource
from gost_core.common.url import Userinfo
from gost_core.context import Context
from gost_core.handler import Option, cache_option
from gost_core.keys import TIME_LIMIT
from gost_core.observer import StatsEvent, StatusEvent
from gost_core.registry import Registry, require
from gost_core.router import Route as TableRoute


class AsyncAborter:
    async def abort(self) -> None:
        return


class Chainer:
    async def route(self) -> Route | None:
        return None


def take_async_aborter(it: AsyncAborter) -> Aborter:
    return it  # error: mypy pyright ty pyrefly


def take_chainer_for_carrier(it: Chainer) -> RouteCarrier:
    return it  # error: mypy pyright ty pyrefly


def look_at_an_address(addr: Addr) -> Aborter | None:
    return find_capability(addr, Aborter)  # error: mypy pyright ty pyrefly


def use_without_looking(conn: Conn) -> None:
    find_capability(conn, Aborter).abort()  # error: mypy pyright ty pyrefly


def codes_as_list() -> HTTPNodeSettings:
    return HTTPNodeSettings(fail_codes=[404])  # error: mypy pyright ty pyrefly


def codes_one_by_one() -> FailCodes:
    return FailCodes(404, 5)  # error: mypy pyright ty pyrefly


def codes_as_text() -> FailCodes:
    return FailCodes(("404",))  # error: mypy pyright ty pyrefly


class OwnCodes(FailCodes):  # error: mypy pyright ty pyrefly
    pass


def limit_as_text(ctx: Context) -> Context:
    return ctx.with_value(TIME_LIMIT, "soon")  # error: mypy pyright ty pyrefly


def without_a_name(ctx: Context) -> Context:
    return ctx.without("TIME_LIMIT")  # error: mypy pyright ty pyrefly


def source_in_place(context: ssl.SSLContext, source: TLSSource) -> TLSConfig:
    return TLSConfig(context, "", source)  # error: mypy pyright ty pyrefly


def alpn_as_text() -> TLSSource:
    return TLSSource(alpn="h3")  # error: mypy pyright ty pyrefly


def change_password(user: Userinfo) -> None:
    user.password = "other"  # error: mypy pyright ty pyrefly


def event_in_place() -> StatusEvent:
    return StatusEvent("service")  # error: mypy pyright ty pyrefly


def change_event(event: StatsEvent) -> None:
    event.total_conns = 1  # error: mypy pyright ty pyrefly


async def forget_that_it_is_an_entry(ctx: Context, cache: Cache) -> bytes:
    return await cache.get(ctx, "key")  # error: mypy pyright ty pyrefly


async def store_text(ctx: Context, cache: Cache) -> None:
    await cache.set(ctx, "key", "text")  # error: mypy pyright ty pyrefly


async def forget_to_store(ctx: Context, cache: Cache) -> None:
    cache.set(ctx, "key", b"")  # error: mypy pyright ty pyrefly


def change_entry(entry: Entry) -> None:
    entry.expiration = 0.0  # error: mypy pyright ty pyrefly


def hand_on_what_may_be_missing(caches: Registry[Cache]) -> Entry | None:
    return caches.get("memory")  # error: mypy pyright ty pyrefly


def require_another_type(caches: Registry[Cache]) -> Userinfo:
    return require(caches, "memory")  # error: mypy pyright ty pyrefly


def cache_as_name() -> Option:
    return cache_option("memory")  # error: mypy pyright ty pyrefly


def make_by_network(net: IPv4Network) -> TableRoute:
    return TableRoute(net=net)  # error: pyright ty
