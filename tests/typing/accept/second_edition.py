"""Caches, routes that were taken, cuts, codes, events, and what a configuration mentions."""

import asyncio
import ssl
from contextlib import AsyncExitStack
from time import time
from typing import assert_type

from typing_extensions import Buffer

from gost_core.cache import Cache, Entry, NotFoundError, SetOption, SetOptions, with_ttl
from gost_core.chain import FailCodes, HTTPNodeSettings, Route, RouteCarrier, Router
from gost_core.common.net import Aborter, Conn, DeniedError, Listener, find_capability
from gost_core.common.tls import TLSConfig, TLSSource
from gost_core.context import Context
from gost_core.handler import Option, cache_option
from gost_core.keys import TIME_LIMIT
from gost_core.observer import Event, EventType, StatsEvent, StatusEvent
from gost_core.options import apply
from gost_core.recorder import RECORDER_SERVICE_HANDLER, Recorder, RecorderObject
from gost_core.registry import Registry, require
from gost_core.router import Route as TableRoute


class MemoryCache:
    def __init__(self) -> None:
        self._entries = dict[str, Entry]()

    async def delete(self, ctx: Context, key: str, /) -> None:
        self._entries.pop(key, None)

    async def get(self, ctx: Context, key: str, /) -> Entry:
        try:
            return self._entries[key]
        except KeyError:
            raise NotFoundError(key) from None

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        ttl = apply(SetOptions(), *opts).ttl
        self._entries[key] = Entry(data=bytes(data), expiration=time() + ttl if ttl else 0.0)


class Cut:
    """A connection, but for what it reads and writes, that can be cut and tells its route."""

    def abort(self) -> None:
        return

    def taken_route(self) -> Route | None:
        return None


async def answer(ctx: Context, cache: Cache | None, key: str) -> bytes:
    if cache is None:
        return b""
    try:
        entry = await cache.get(ctx, key)
    except (NotFoundError, OSError):
        return b""
    assert_type(entry.ttl(), float)
    await cache.set(ctx, key, memoryview(b"answer"), with_ttl(entry.ttl()))
    return b"" if entry.expired() else entry.data


async def cut(conn: Conn) -> None:
    aborter = find_capability(conn, Aborter)
    assert_type(aborter, Aborter | None)
    if aborter is not None:
        aborter.abort()
    await conn.close()


async def way(router: Router, ctx: Context) -> Route | None:
    listener: Listener = await router.bind(ctx, "tcp", ":0")
    carrier = find_capability(listener, RouteCarrier)
    assert_type(carrier, RouteCarrier | None)
    return None if carrier is None else carrier.taken_route()


async def within(ctx: Context, stack: AsyncExitStack) -> Context:
    limit = ctx.value(TIME_LIMIT)
    assert_type(limit, float | None)
    await stack.enter_async_context(asyncio.timeout_at(limit))
    return ctx.with_value(TIME_LIMIT, 1.5).without(TIME_LIMIT)


def refused(error: DeniedError) -> PermissionError:
    return error


def settings() -> HTTPNodeSettings:
    settings = HTTPNodeSettings(fail_codes=FailCodes([404, 5]))
    assert_type(settings.fail_codes.match(503), bool)
    assert_type(settings.fail_codes[0], int)
    return settings


def tls(context: ssl.SSLContext) -> TLSConfig:
    return TLSConfig(context, "example.com", source=TLSSource(ca_file="ca.pem", alpn=("h3",)))


def events() -> list[Event]:
    status = StatusEvent(kind="service", service="web", state="ready")
    assert_type(status.type(), EventType)
    return [status, StatsEvent(kind="handler", client="alice", input_bytes=1)]


def mentioned(
    caches: Registry[Cache], recorders: Registry[Recorder]
) -> tuple[Option, RecorderObject]:
    recorder = require(recorders, "file")
    assert_type(recorder, Recorder)
    return (
        cache_option(require(caches, "memory")),
        RecorderObject(recorder=recorder, record=RECORDER_SERVICE_HANDLER),
    )


def table(route: TableRoute) -> tuple[TableRoute, object]:
    return TableRoute(dst="192.0.2.0/24", gateway="one"), route.net


def prove_cache(cache: MemoryCache) -> Cache:
    return cache


def prove_aborter(conn: Cut) -> Aborter:
    return conn


def prove_route_carrier(conn: Cut) -> RouteCarrier:
    return conn
