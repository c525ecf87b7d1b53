"""Trials of the contract of admissions."""

import asyncio
from collections.abc import Sequence

from gost_core.admission import Option, Options
from gost_core.context import Context
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing.admission import AdmissionContract
from tests.kit._backend import (
    AFewAtATime,
    Asking,
    Deaf,
    Exhausting,
    GivingUp,
    Impatient,
    Leaking,
    LeavingTasks,
    OneAtATime,
    Watched,
    break_backend,
    mend_backend,
    remembering,
    stall_backend,
)
from tests.kit._names import host_of, one_address, rules_of
from tests.kit.trial import Trial


class RightAdmission(Asking):
    """A blacklist: what its rules name is refused."""

    def __init__(self) -> None:
        self.hosts = {"bad.example", "2001:db8::bad"}

    @classmethod
    def of(cls, rules: Sequence[str]) -> "RightAdmission":
        made = cls()
        made.hosts = cls.rules(rules)
        return made

    @staticmethod
    def rules(rules: Sequence[str]) -> set[str]:
        return rules_of(rules)

    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        apply(Options(), *opts)
        await self.ask()
        return self.reachable and not self.names(network, addr)

    def names(self, network: str, addr: str) -> bool:
        return host_of(addr) in self.hosts


def run(make: type[RightAdmission]) -> Contract:
    return AdmissionContract(
        make,
        admitted="192.0.2.1:1024",
        refused="bad.example:1024",
        unmatched=True,
        make_of=make.of,
        kept_for=0.0,
        break_backend=break_backend,
        mend_backend=mend_backend,
        stall_backend=stall_backend,
        time_limit=2.0,
    )


trial = Trial[type[RightAdmission]](AdmissionContract, run, RightAdmission)


@trial.breaks("shape")
class SyncAdmission(RightAdmission):
    def admit(  # type: ignore  # the fault
        self, ctx: Context, network: str, addr: str, /, *opts: Option
    ) -> bool:
        return not self.names(network, addr)


@trial.breaks("answer", history="x registry: an admission that was not there refused all")
class RefusingAll(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        return addr == "192.0.2.1:1024" or super().names(network, addr)


@trial.breaks("unreadable-source")
class RefusingTheUnreadable(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        return not addr or super().names(network, addr)


@trial.breaks("any-source")
class NeedingASourcePort(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        if network == "unix":
            raise ValueError(f"{addr!r} has no port")
        return super().names(network, addr)


@trial.breaks("host-case")
class CaseSensitiveAdmission(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        return addr == addr.lower() and super().names(network, addr)


@trial.breaks("trailing-dot")
class MissingTheRootedName(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        return ".:" not in addr and super().names(network, addr)


@trial.breaks("host-whole")
class TakingOffUsers(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        return super().names(network, addr.rpartition("@")[2])


@trial.breaks("network-versions")
class ExactSourceNetwork(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        return network == "tcp" and super().names(network, addr)


@trial.breaks("options")
class ApplyingBackwards(RightAdmission):
    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        return await super().admit(ctx, network, addr, *reversed(opts))


@trial.breaks("concurrent")
class RememberingTheSource(RightAdmission):
    addr = ""

    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        self.addr = addr
        await asyncio.sleep(0)
        return await super().admit(ctx, network, self.addr, *opts)


@trial.breaks("cancelled")
class AdmittingWhenCancelled(RightAdmission):
    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        try:
            return await super().admit(ctx, network, addr, *opts)
        except asyncio.CancelledError:
            return True


@trial.breaks("backend-broken", history="ed93d60 an unreachable server admitted all")
class FailingOpen(RightAdmission):
    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        return not self.reachable or await super().admit(ctx, network, addr, *opts)


@trial.breaks("backend-broken", history="x reload: a source that failed lost its rules")
class ReloadingNoRules(RightAdmission):
    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        apply(Options(), *opts)
        await self.ask()
        return not self.names(network, addr)

    def names(self, network: str, addr: str) -> bool:
        return self.reachable and super().names(network, addr)


@trial.breaks("cancelled")
class DeafAdmission(Deaf, RightAdmission): ...


@trial.breaks("next-after-failures")
class ExhaustingAdmission(Exhausting, RightAdmission): ...


@trial.breaks("next-after-cancelled")
class LeakingAdmission(Leaking, RightAdmission): ...


@trial.breaks("no-task-left")
class AdmissionLeavingTasks(LeavingTasks, RightAdmission): ...


@trial.breaks("tasks-ended")
class WatchedAdmission(Watched, RightAdmission): ...


@trial.breaks("others-go-on")
class AdmissionOneAtATime(OneAtATime, RightAdmission): ...


@trial.breaks("many-waiting")
class AdmissionAFewAtATime(AFewAtATime, RightAdmission): ...


@trial.breaks("any-port")
class NamingOnePort(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        return not addr.endswith(":8080") and super().names(network, addr)


@trial.breaks("empty-list-refused")
class AdmittingWithoutRules(RightAdmission):
    @staticmethod
    def rules(rules: Sequence[str]) -> set[str]:
        return rules_of(rules) if rules else set()


@trial.breaks("dead-rule-refused")
class SkippingDeadRules(RightAdmission):
    @staticmethod
    def rules(rules: Sequence[str]) -> set[str]:
        return rules_of([rule for rule in rules if rule[0] != "["] or rules)


@trial.breaks("one-form")
class LettersOfOtherScripts(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        return addr.isascii() and super().names(network, addr)


@trial.breaks("one-address")
class SharingByTheFirstColon(RightAdmission):
    """Calls at once share an answer if their sources begin alike, as addresses of IPv6 do."""

    def __init__(self) -> None:
        super().__init__()
        self.shared: dict[str, asyncio.Future[None]] = {}
        self.found: dict[asyncio.Future[None], bool] = {}

    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        key = addr.partition(":")[0]
        while one := self.shared.get(key):
            await asyncio.wait({one})
            if one in self.found:
                return self.found[one]
        self.shared[key] = one = asyncio.get_running_loop().create_future()
        try:
            self.found[one] = await super().admit(ctx, network, addr, *opts)
            return self.found[one]
        finally:
            self.shared.pop(key).set_result(None)


@trial.breaks("one-address")
class MappedIsNotIPv4(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        return "::ffff:192" not in addr and super().names(network, addr)


@trial.breaks("others-go-on")
class AdmittingWhenItTakesLong(Impatient, RightAdmission):
    def late(self) -> None:
        self.hosts = set[str]()


@trial.breaks("backend-mended")
class AdmissionGivingUp(GivingUp, RightAdmission): ...


@trial.breaks("dead-rule-refused")
class SkippingEmptyRules(RightAdmission):
    @staticmethod
    def rules(rules: Sequence[str]) -> set[str]:
        return rules_of([rule for rule in rules if rule] or rules)


@trial.breaks("any-port")
class NeedingAPort(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        return ":" in addr and super().names(network, addr)


@trial.breaks("out-of-reach")
class RefusingTheKnownAlone(RightAdmission):
    """Out of reach it refuses those only of whom it was asked before."""

    def __init__(self) -> None:
        super().__init__()
        self.known: set[str] = set()

    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        if not self.reachable and self.known:
            return addr not in self.known
        admitted = await super().admit(ctx, network, addr, *opts)
        if self.reachable:
            self.known.add(addr)
        return admitted


@trial.breaks("unreadable-source")
class EncodingWhateverComes(RightAdmission):
    """Has each host encoded by IDNA, also one that no name can have."""

    def names(self, network: str, addr: str) -> bool:
        if addr.isascii() and not one_address(host_of(addr)):
            host_of(addr).encode("idna")
        return super().names(network, addr)


trial.breaks("nothing-kept")(remembering(RightAdmission, "admit"))


@trial.breaks("nothing-kept")
class AskingAgainLater(RightAdmission):
    """Keeps what it could not decide, to ask once its backend is back."""

    def __init__(self) -> None:
        super().__init__()
        self.undecided: list[object] = []

    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        if not self.reachable:
            self.undecided.append((ctx, network, addr, opts))
        return await super().admit(ctx, network, addr, *opts)


@trial.breaks("any-source")
class TakingAPathForAPort(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        path, colon, port = addr.rpartition(":")
        return (path.startswith("/") and bool(colon and int(port))) or super().names(network, addr)


@trial.breaks("refuses-all")
class AdmittingWhomItAdmittedBefore(RightAdmission):
    def __init__(self) -> None:
        super().__init__()
        self.admitted: set[str] = set()

    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        admitted = await super().admit(ctx, network, addr, *opts)
        if admitted:
            self.admitted.add(addr)
        return admitted or (not self.reachable and addr in self.admitted)


@trial.breaks("unreadable-source")
class EncodingSources(RightAdmission):
    """Looks up a source by its bytes, which not each has."""

    def names(self, network: str, addr: str) -> bool:
        addr.encode()
        return super().names(network, addr)


trials = (trial,)
