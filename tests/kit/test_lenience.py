"""Right implementations of other kinds, which a contract once held to be broken."""

import asyncio
import math
import time
from dataclasses import replace

import pytest
from typing_extensions import Buffer

from gost_core.bypass import Bypass, Option
from gost_core.cache import Entry, SetOption
from gost_core.context import Context
from gost_core.recorder import RecordOption
from gost_core.testing import Contract
from gost_core.testing.bypass import BypassContract
from tests.kit import cache, recorder, virtual_time
from tests.kit.cache import RightCache
from tests.kit.recorder import RightRecorder


def expect_held(contract: Contract, *only: str) -> None:
    report = virtual_time.judge(lambda: contract.run(only=only), lambda report: not report.broken)
    assert not report.broken, str(report)
    assert not report.not_tried, str(report)


class Pooled(Bypass):
    """Serves two calls at a time, as a pool of two threads does."""

    def __init__(self) -> None:
        self.threads = asyncio.Semaphore(2)

    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        async with self.threads:
            await asyncio.sleep(0.2)
        return addr.startswith("192.0.2.9")

    def is_whitelist(self) -> bool:
        return False


def test_many_calls_at_once_take_as_long_as_they_end() -> None:
    contract = BypassContract(
        Pooled, passed="192.0.2.1:80", bypassed="192.0.2.9:80", unmatched=False, time_limit=1.0
    )
    expect_held(contract, "bypass.Bypass.concurrent")


class Small(RightCache):
    """Has no room for what is large."""

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        await super().set(ctx, key, data, *opts)
        if memoryview(data).nbytes > 4096:
            del self.entries[key]


class Hasty(RightCache):
    """Keeps one entry, as long as nobody asks for another."""

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        await super().set(ctx, key, data, *opts)
        self.entries = {key: self.entries[key]}


class OfWholeSeconds(RightCache):
    def expiration(self, ttl: float) -> float:
        return float(math.ceil(super().expiration(ttl)))


class OfWholeSecondsLeft(RightCache):
    """Is told how many seconds are left, as whole ones."""

    async def get(self, ctx: Context, key: str, /) -> Entry:
        entry = await super().get(ctx, key)
        left = math.ceil(entry.expiration - time.time())
        return replace(entry, expiration=time.time() + left) if left > 0 else entry


@pytest.mark.parametrize("make", [Small, Hasty, OfWholeSeconds, OfWholeSecondsLeft])
def test_a_cache_keeps_what_it_has_room_for_and_counts_whole_seconds(
    make: type[RightCache],
) -> None:
    expect_held(cache.run(make))


class Bounded(RightRecorder):
    """Refuses what is longer than a record can be."""

    longest = 65_535

    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        if memoryview(data).nbytes > self.longest:
            raise OSError("the record is too long")
        await super().record(ctx, data, *opts)


class OfLines(Bounded):
    longest = 1024


@pytest.mark.parametrize("make", [Bounded, OfLines])
def test_a_recorder_may_refuse_a_long_record(make: type[RightRecorder]) -> None:
    expect_held(recorder.run(make))
