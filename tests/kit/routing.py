"""Trials of the contract of rules on requests."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from gost_core.routing import Request
from gost_core.testing import Contract
from gost_core.testing.routing import MatcherContract
from tests.kit._backend import (
    AFewAtATime,
    Asking,
    Breaking,
    Deaf,
    Exhausting,
    GivingUp,
    Leaking,
    LeavingTasks,
    OneAtATime,
    Watched,
    break_backend,
    mend_backend,
    stall_backend,
)
from tests.kit.trial import Trial


class RightMatcher(Asking):
    """Asks for a host, over one network, with a header."""

    async def match(self, request: Request, /) -> bool:
        await self.ask()
        if not self.reachable:
            raise OSError("the rule is out of reach")
        return self.applies(request)

    def applies(self, request: Request) -> bool:
        return (
            self.plain(request.host) == "www.example"
            and request.network.startswith("tcp")
            and "Accept" in request.header
        )

    def plain(self, host: str) -> str:
        return host.partition(":")[0].removesuffix(".").lower()


def run(make: Callable[[], RightMatcher]) -> Contract:
    header = {"Accept": ["*/*"]}
    return MatcherContract(
        make,
        matching=Request(host="www.example", network="tcp", header=header),
        other=Request(host="ftp.example", network="tcp", header=header),
        positive=True,
        break_backend=break_backend,
        mend_backend=mend_backend,
        stall_backend=stall_backend,
        time_limit=2.0,
    )


trial = Trial[Callable[[], RightMatcher]](MatcherContract, run, RightMatcher)


@trial.breaks("shape")
class SyncMatcher(RightMatcher):
    def match(self, request: Request, /) -> bool:  # type: ignore  # the fault
        return self.applies(request)


@trial.breaks("answer")
class MatchingOnce(RightMatcher):
    matched = False

    async def match(self, request: Request, /) -> bool:
        before, self.matched = self.matched, self.matched or bool(request.host)
        return not before and await super().match(request)


@trial.breaks("empty-request")
class NeedingAHost(RightMatcher):
    def plain(self, host: str) -> str:
        if not host:
            raise ValueError("a request has a host")
        return super().plain(host)


@trial.breaks("absent-false")
class AbsentMatches(RightMatcher):
    def applies(self, request: Request) -> bool:
        return not request.host or super().applies(request)


@trial.breaks("absent-false")
class AbsentNetworkMatches(RightMatcher):
    def applies(self, request: Request) -> bool:
        return super().applies(replace(request, network=request.network or "tcp"))


@trial.breaks("absent-false")
class AbsentHeaderMatches(RightMatcher):
    def applies(self, request: Request) -> bool:
        return super().applies(replace(request, header=request.header or {"Accept": []}))


@trial.breaks("network-versions")
class ExactNetwork(RightMatcher):
    def applies(self, request: Request) -> bool:
        return super().applies(request) and request.network == "tcp"


@trial.breaks("host-case")
class CaseSensitive(RightMatcher):
    def plain(self, host: str) -> str:
        return host.partition(":")[0].removesuffix(".")


@trial.breaks("trailing-dot")
class ComparingTheDot(RightMatcher):
    def plain(self, host: str) -> str:
        return host.partition(":")[0].lower()


@trial.breaks("host-with-port", history="x routing: callers give host:port where a host is")
class ComparingThePort(RightMatcher):
    def plain(self, host: str) -> str:
        return host.removesuffix(".").lower()


@trial.breaks("request-unchanged")
class CleaningTheHeader(RightMatcher):
    def applies(self, request: Request) -> bool:
        if isinstance(request.header, dict):
            request.header.setdefault("Seen", ["yes"])
        return super().applies(request)


@trial.breaks("request-unchanged")
class AddingWhatItAsksFor(RightMatcher):
    def applies(self, request: Request) -> bool:
        if isinstance(request.header, dict) and not request.header.setdefault("Accept", []):
            return False
        return super().applies(request)


@trial.breaks("request-unchanged")
class SortingInPlace(RightMatcher):
    def applies(self, request: Request) -> bool:
        for values in (*request.header.values(), *request.query.values()):
            if isinstance(values, list):
                values.sort()
        return super().applies(request)


@trial.breaks("request-unchanged")
class LoweringInPlace(RightMatcher):
    def applies(self, request: Request) -> bool:
        for values in request.header.values():
            if isinstance(values, list):
                values[:] = [value.lower() for value in values]
        return super().applies(request)


@trial.breaks("request-not-kept")
class KeepingTheQuery(RightMatcher):
    def applies(self, request: Request) -> bool:
        self.query = request.query
        return super().applies(request)


@trial.breaks("request-not-kept")
class KeepingTheHeader(RightMatcher):
    def applies(self, request: Request) -> bool:
        self.header = request.header
        return super().applies(request)


@trial.breaks("concurrent")
class RememberingTheRequest(RightMatcher):
    request: Request | None = None

    async def match(self, request: Request, /) -> bool:
        self.request = request
        await asyncio.sleep(0)
        answer = await super().match(self.request)
        self.request = Request()
        return answer


@trial.breaks("cancelled")
class FalseWhenCancelled(RightMatcher):
    async def match(self, request: Request, /) -> bool:
        try:
            return await super().match(request)
        except asyncio.CancelledError:
            return False


@trial.breaks("backend-broken", history="x routing: bypass(name) without a bypass matched")
class TrueOnFailure(RightMatcher):
    async def match(self, request: Request, /) -> bool:
        return not self.reachable or await super().match(request)


@trial.breaks("backend-broken")
class FalseOnFailure(RightMatcher):
    async def match(self, request: Request, /) -> bool:
        return self.reachable and await super().match(request)


@trial.breaks("empty-request")
class FailingWithoutTheHeader(RightMatcher):
    def applies(self, request: Request) -> bool:
        if self.plain(request.host) == "www.example" and not request.header["Accept"]:
            return False
        return super().applies(request)


@trial.breaks("cancelled")
class DeafMatcher(Deaf, RightMatcher): ...


@trial.breaks("empty-request")
class CuttingHosts(RightMatcher):
    def plain(self, host: str) -> str:
        if host.count(":") > 1:
            raise ValueError("a host has one port")
        return super().plain(host)


@trial.breaks("next-after-failures")
class NoAfterFailures(RightMatcher):
    failures = 0

    async def match(self, request: Request, /) -> bool:
        try:
            return await super().match(request)
        except OSError:
            self.failures += 1
            if self.failures > 3:
                return False
            raise


@trial.breaks("next-after-failures")
class ExhaustingMatcher(Exhausting, RightMatcher): ...


@trial.breaks("next-after-cancelled")
class LeakingMatcher(Leaking, RightMatcher): ...


@trial.breaks("no-task-left")
class MatcherLeavingTasks(LeavingTasks, RightMatcher): ...


@trial.breaks("tasks-ended")
class WatchedMatcher(Watched, RightMatcher): ...


@trial.breaks("others-go-on")
class MatcherOneAtATime(OneAtATime, RightMatcher): ...


@trial.breaks("many-waiting")
class MatcherAFewAtATime(AFewAtATime, RightMatcher): ...


@trial.breaks("backend-mended")
class MatcherGivingUp(GivingUp, RightMatcher): ...


@trial.breaks("backend-mended")
class MatcherBreaking(Breaking, RightMatcher): ...


@trial.breaks("backend-broken")
class KeepingTheLast(RightMatcher):
    def __init__(self) -> None:
        self.known: dict[str, bool] = {}

    async def match(self, request: Request, /) -> bool:
        try:
            self.known[request.host] = await super().match(request)
        except OSError:
            if request.host not in self.known:
                raise
        return self.known[request.host]


@trial.breaks("backend-broken")
class SkippingWhatItCannotAsk(RightMatcher):
    async def match(self, request: Request, /) -> bool:
        try:
            return await super().match(request)
        except OSError:
            return self.applies(request)


@trial.breaks("concurrent")
class OneAnswerForEachHost(RightMatcher):
    """Judges those who ask about one host at once by the request of the first of them."""

    def __init__(self) -> None:
        self.asked: dict[str, Request] = {}

    async def match(self, request: Request, /) -> bool:
        first = self.asked.setdefault(request.host, request)
        try:
            return await super().match(first)
        finally:
            self.asked.pop(request.host, None)


@trial.breaks("backend-broken")
class RefreshingNoMore(RightMatcher):
    """Has one call at a time ask, and takes a cancelled one to be at it for ever."""

    asking = False

    async def match(self, request: Request, /) -> bool:
        if self.asking:
            return self.applies(request)
        self.asking = True
        try:
            answer = await super().match(request)
        except Exception:
            self.asking = False
            raise
        self.asking = False
        return answer


@trial.breaks("host-with-port")
class DotBeforePort(RightMatcher):
    """Looks for the trailing dot before the port has gone."""

    def plain(self, host: str) -> str:
        return host.removesuffix(".").lower().partition(":")[0]


trials = (trial,)
