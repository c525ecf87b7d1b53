"""Right look-ups, caches and recorders of other kinds."""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from typing_extensions import Buffer

from gost_core.bypass import Bypass, Option
from gost_core.cache import Entry, SetOption
from gost_core.context import Context
from gost_core.ingress import Option as IngressOption
from gost_core.ingress import Rule
from gost_core.recorder import RecordOption
from gost_core.testing import Contract
from gost_core.testing.bypass import BypassContract
from tests.kit import cache, hosts, ingress, observer, recorder, sd, virtual_time
from tests.kit._names import IP
from tests.kit.cache import RightCache
from tests.kit.lenience import expect_held
from tests.kit.recorder import RightRecorder


def given(contract: Contract, **fields: float) -> Contract:
    return replace(contract, **fields)


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


# ---- What waits for what it asks


class ReadingLate(hosts.RightHostMapper):
    """Reads its file when it is asked for the first time."""

    def __init__(self, mapping: Mapping[str, Sequence[IP]]) -> None:
        self.file = mapping

    async def find(self, host: str) -> Sequence[IP] | None:
        await self.ask()
        try:
            self.mapping = {self.read(name): tuple(ips) for name, ips in self.file.items()}
        except ValueError as error:
            raise OSError("the file is malformed") from error
        return await super().find(host)


def test_a_host_mapper_may_read_its_file_at_the_first_lookup() -> None:
    names = "no-host-refused", "number-refused"
    expect_held(hosts.run(ReadingLate), *(f"hosts.HostMapper.{name}" for name in names))


class InSharedThreads(hosts.RightHostMapper):
    """Waits in one of four threads of its package; one that gets no answer is freed by close()."""

    free = 4

    def __init__(self, mapping: Mapping[str, Sequence[IP]]) -> None:
        super().__init__(mapping)
        self.held = 0

    async def ask(self) -> None:
        while not InSharedThreads.free:  # noqa: ASYNC110  # nothing tells when one is
            await asyncio.sleep(0.01)
        silent = self.silent
        self.hold(1)
        try:
            await super().ask()
        finally:
            self.hold(silent - 1)

    def hold(self, threads: int) -> None:
        InSharedThreads.free -= threads
        self.held += threads

    async def close(self) -> None:
        self.hold(-self.held)


def test_the_threads_of_silent_calls_are_needed_by_the_next() -> None:
    contract = given(hosts.run(InSharedThreads), places=4)
    names = "no-task-left", "others-go-on", "many-waiting"
    expect_held(contract, *(f"hosts.HostMapper.{name}" for name in names))


class ReadOnly(ingress.RightIngress):
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: IngressOption) -> bool:
        return False


def test_a_store_that_is_read_only_says_so_unasked() -> None:
    names = "change-raises", "claim-freed", "changes-go-on"
    expect_held(ingress.run(ReadOnly), *(f"ingress.Ingress.{name}" for name in names))


class ForgettingInTime(sd.RightSD):
    """Takes a second to fail, which is longer than its leases."""

    async def reach(self) -> None:
        if not self.reachable:
            await asyncio.sleep(1.0)
            sd.Clock.now += 1.0
        await super().reach()


def test_a_lease_may_run_out_while_calls_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sd, "LEASE", 0.5)
    expect_held(given(sd.run(ForgettingInTime), lease=0.5), "sd.SD.backend-mended")


class EightThreads(observer.RightObserver):
    def __init__(self) -> None:
        super().__init__()
        self.threads = asyncio.Semaphore(8)

    async def send(self, events: Sequence[observer.ServiceEvent]) -> None:
        async with self.threads:
            await super().send(events)


def test_an_observer_says_how_many_threads_it_has() -> None:
    contract = given(observer.run(EightThreads), places=8)
    expect_held(contract, "observer.Observer.many-waiting")


def begun_late(right: Any) -> Any:
    """Return a class that asks so late for the first time as a thread on a busy machine."""

    async def ask(self: Any) -> None:
        if self.silent and not self.begun:
            self.begun = True
            await asyncio.sleep(0.05)
        await right.ask(self)

    return type("BegunLate", (right,), {"begun": False, "ask": ask})


def test_what_took_the_silence_is_closed_before_another_try() -> None:
    contract = given(hosts.run(begun_late(InSharedThreads)), places=4)
    expect_held(contract, "hosts.HostMapper.many-waiting")


@pytest.mark.parametrize("name", ["others-go-on", "change-hinders-none", "changes-go-on"])
def test_another_call_may_take_the_silence(name: str) -> None:
    expect_held(cache.run(begun_late(RightCache)), f"cache.Cache.{name}")


class FailingSlowly(hosts.RightHostMapper):
    async def ask(self) -> None:
        await super().ask()
        if not self.reachable:
            await asyncio.sleep(1.5)


def test_what_fails_slowly_is_asked_at_once() -> None:
    async def run() -> float:
        before = asyncio.get_running_loop().time()
        report = await hosts.run(FailingSlowly).run(only=["hosts.HostMapper.nothing-kept"])
        assert not report.broken, str(report)
        return asyncio.get_running_loop().time() - before

    assert virtual_time.run(run()) < 30.0


@pytest.mark.needs("threads")
def test_an_idle_thread_of_somebody_is_no_excuse() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        contract = hosts.run(hosts.HostMapperAFewAtATime)
        report = virtual_time.run(contract.run(only=["hosts.HostMapper.many-waiting"]))
    assert [one.clause.id for one in report.broken] == ["hosts.HostMapper.many-waiting"]
