"""Trials of the contract of bypasses."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit
from zlib import crc32

from gost_core.bypass import Option, Options
from gost_core.context import Context
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing.bypass import BypassContract
from tests.kit._backend import (
    AFewAtATime,
    Asking,
    Deaf,
    Exhausting,
    GivingUp,
    Leaking,
    LeavingTasks,
    OneAtATime,
    Watched,
    break_backend,
    mend_backend,
    remembering,
    stall_backend,
)
from tests.kit._names import host_of, rule_of, rules_of
from tests.kit._stuck import keeping_the_context
from tests.kit.trial import Trial


class RightBypass(Asking):
    """A whitelist: what its rules name is not bypassed."""

    def __init__(self) -> None:
        self.network = "tcp"
        self.hosts = {"www.example"}
        self.bypasses_named = False

    @classmethod
    def of(cls, rules: Sequence[str]) -> "RightBypass":
        made = cls()
        made.hosts = cls.rules(rules)
        made.bypasses_named = True
        return made

    @staticmethod
    def rules(rules: Sequence[str]) -> set[str]:
        return rules_of(rules)

    def is_whitelist(self) -> bool:
        return True

    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        apply(Options(), *opts)
        await self.ask()
        if not self.reachable:
            raise OSError("the rules are out of reach")
        return bool(addr) and self.names(network, addr) is self.bypasses_named

    def names(self, network: str, addr: str) -> bool:
        return network.startswith(self.network) and host_of(addr) in self.hosts


def run(make: type[RightBypass]) -> Contract:
    return BypassContract(
        make,
        bypassed="ads.example:80",
        passed="www.example:443",
        unmatched=True,
        make_of=make.of,
        break_backend=break_backend,
        mend_backend=mend_backend,
        stall_backend=stall_backend,
        time_limit=2.0,
    )


trial = Trial[type[RightBypass]](BypassContract, run, RightBypass)


@trial.breaks("shape")
class AskingForTheMode(RightBypass):
    def is_whitelist(self, mode: str, /) -> bool:  # type: ignore  # the fault
        return mode == "white"


@trial.breaks("answer", history="c16a280 a whitelist's answer was the match, not inverted")
class NotInverted(RightBypass):
    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        return bool(addr) and not await super().contains(ctx, network, addr, *opts)


@trial.breaks("answer", history="ed7f2dc of two whitelists the second was ignored")
class FirstListOnly(RightBypass):
    def __init__(self) -> None:
        super().__init__()
        self.hosts = {"mail.example"}


@trial.breaks("answer", history="d0ff535 asked before its rules had been loaded")
class NotLoadedYet(RightBypass):
    loaded = False

    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        before, self.loaded = self.loaded, True
        return before and await super().contains(ctx, network, addr, *opts)


@trial.breaks("empty-address")
class BypassingNothing(RightBypass):
    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        return not addr or await super().contains(ctx, network, addr, *opts)


@trial.breaks("any-address")
class NeedingAPort(RightBypass):
    def names(self, network: str, addr: str) -> bool:
        if network == "unix":
            raise ValueError(f"{addr!r} has no port")
        return super().names(network, addr)


@trial.breaks("any-address")
class TakingAPathForAPort(RightBypass):
    def names(self, network: str, addr: str) -> bool:
        path, colon, port = addr.rpartition(":")
        return (path.startswith("/") and bool(colon and int(port))) or super().names(network, addr)


@trial.breaks("any-address")
class ReadingAURL(RightBypass):
    """Raises for what is no authority of a URL."""

    def names(self, network: str, addr: str) -> bool:
        is_a_host = addr.count(":") > 1 and not addr.startswith("[")
        named = urlsplit(f"//[{addr}]" if is_a_host else f"//{addr}")
        return named.port != 0 and super().names(network, addr)


@trial.breaks("host-case")
class CaseSensitiveBypass(RightBypass):
    def names(self, network: str, addr: str) -> bool:
        return addr == addr.lower() and super().names(network, addr)


@trial.breaks("trailing-dot")
class ComparingTheDot(RightBypass):
    def names(self, network: str, addr: str) -> bool:
        return ".:" not in addr and super().names(network, addr)


@trial.breaks("host-whole")
class TakingOffUsers(RightBypass):
    def names(self, network: str, addr: str) -> bool:
        return super().names(network, addr.rpartition("@")[2])


@trial.breaks("network-versions", history="eaeac27 networks compared for equality")
class ExactNetwork(RightBypass):
    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        answer = await super().contains(ctx, network, addr, *opts)
        return answer and network == self.network


@trial.breaks("options")
class ApplyingTwice(RightBypass):
    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        apply(Options(), *opts, *opts)
        return await super().contains(ctx, network, addr)


@trial.breaks("concurrent")
class RememberingTheAddress(RightBypass):
    addr = ""

    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        self.addr = addr
        await asyncio.sleep(0)
        return await super().contains(ctx, network, self.addr, *opts)


@trial.breaks("cancelled", history="x bypass plug-in: a cancelled call answered: bypass")
class TrueWhenCancelled(RightBypass):
    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        try:
            return await super().contains(ctx, network, addr, *opts)
        except asyncio.CancelledError:
            return True


@trial.breaks("backend-broken", history="54ca916 a rule server's failure meant: go direct")
class FalseOnFailure(RightBypass):
    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        return self.reachable and await super().contains(ctx, network, addr, *opts)


@trial.breaks("backend-broken", history="54ca916 the other plug-in's failure meant: bypass")
class TrueOnFailure(RightBypass):
    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        if not self.reachable:
            return bool(addr)
        return await super().contains(ctx, network, addr, *opts)


@trial.breaks("cancelled")
class DeafBypass(Deaf, RightBypass): ...


@trial.breaks("next-after-failures")
class ExhaustingBypass(Exhausting, RightBypass): ...


@trial.breaks("next-after-cancelled")
class LeakingBypass(Leaking, RightBypass): ...


@trial.breaks("no-task-left")
class BypassLeavingTasks(LeavingTasks, RightBypass): ...


@trial.breaks("tasks-ended")
class WatchedBypass(Watched, RightBypass): ...


@trial.breaks("others-go-on")
class BypassOneAtATime(OneAtATime, RightBypass): ...


@trial.breaks("many-waiting")
class BypassAFewAtATime(AFewAtATime, RightBypass): ...


@trial.breaks("others-go-on")
class FourAtATime(RightBypass):
    """Has four locks, of which a host takes one."""

    def __init__(self) -> None:
        super().__init__()
        self.locks = [asyncio.Lock() for _ in range(4)]

    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        async with self.locks[crc32(repr(host_of(addr)).encode()) % 4]:
            return await super().contains(ctx, network, addr, *opts)


@trial.breaks("any-port")
class NamingLowPorts(RightBypass):
    def names(self, network: str, addr: str) -> bool:
        return not addr.endswith(":65535") and super().names(network, addr)


@trial.breaks("concurrent")
class KeepingTheHost(RightBypass):
    host = ""

    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        self.host = apply(Options(), *opts).host or self.host
        return await super().contains(ctx, network, self.host or addr)


@trial.breaks("empty-list-refused")
class BypassingNothingWithoutRules(RightBypass):
    @staticmethod
    def rules(rules: Sequence[str]) -> set[str]:
        return rules_of(rules) if rules else set()


@trial.breaks("dead-rule-refused")
class KeepingPorts(RightBypass):
    @staticmethod
    def rules(rules: Sequence[str]) -> set[str]:
        return rules_of([rule.removesuffix(":80") for rule in rules])


@trial.breaks("one-form")
class RulesAsWritten(RightBypass):
    @staticmethod
    def rules(rules: Sequence[str]) -> set[str]:
        return rules_of(rules) if all(map(str.isascii, rules)) else set(rules)


@trial.breaks("one-address")
class UnspecifiedIsItself(RightBypass):
    def names(self, network: str, addr: str) -> bool:
        return "0.0.0.0" not in addr and super().names(network, addr)


@trial.breaks("backend-mended")
class BypassGivingUp(GivingUp, RightBypass): ...


@trial.breaks("one-address")
class CuttingBareIPv6(RightBypass):
    def names(self, network: str, addr: str) -> bool:
        if not addr.startswith("["):
            addr = addr.rpartition(":")[0] or addr
        return super().names(network, addr)


@trial.breaks("one-address")
class RulesInOneSpelling(RightBypass):
    @staticmethod
    def rules(rules: Sequence[str]) -> set[str]:
        return {rule if "DB8" in rule else rule_of(rule) for rule in rules or rules_of(rules)}


@trial.breaks("out-of-reach")
class PassingDatagrams(RightBypass):
    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        if network == "udp" and not self.reachable:
            return False
        return await super().contains(ctx, network, addr, *opts)


@trial.breaks("out-of-reach")
class PassingNamedHosts(RightBypass):
    """Out of reach it does not ask about a host whose name is known."""

    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        if apply(Options(), *opts).host and not self.reachable:
            return False
        return await super().contains(ctx, network, addr)


@trial.breaks("next-after-failures")
class ReconnectingBehind(RightBypass):
    """Looks in the background, after a failure, for what it asks to come back."""

    retrying: asyncio.Task[None] | None = None

    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        try:
            return await super().contains(ctx, network, addr, *opts)
        except OSError:
            if self.retrying is None or self.retrying.done():
                self.retrying = asyncio.create_task(self.retry())
            raise

    async def retry(self) -> None:
        while not self.reachable:  # noqa: ASYNC110 nothing tells
            await asyncio.sleep(5)


trial.breaks("nothing-kept")(remembering(RightBypass, "contains"))
trial.breaks("nothing-kept")(keeping_the_context(RightBypass, "contains"))


@trial.breaks("unreadable-address")
class UnreadableIsEmpty(RightBypass):
    """Treats what it cannot read as the empty address, which is never bypassed."""

    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        # A bare IPv6 address is no authority of a URL.
        if addr.count(":") <= 1 or addr.startswith("["):
            try:
                urlsplit(f"//{addr}").port  # noqa: B018 it raises
            except ValueError:
                addr = ""
        return await super().contains(ctx, network, addr, *opts)


trials = (trial,)


@trial.breaks("address-judged")
class JudgingTheNameAlone(RightBypass):
    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        return await super().contains(ctx, network, apply(Options(), *opts).host or addr)
