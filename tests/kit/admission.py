"""Trials of the contract of admissions."""

import asyncio
from collections.abc import Callable

from gost_core.admission import Option, Options
from gost_core.context import Context
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing.admission import AdmissionContract
from tests.kit._names import host_of
from tests.kit.trial import Trial


class RightAdmission:
    """A blacklist: what its rules name is refused."""

    def __init__(self) -> None:
        self.hosts = {"bad.example", "2001:db8::bad"}
        self.reachable = True

    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        apply(Options(), *opts)
        await asyncio.sleep(0)
        return self.reachable and not self.names(network, addr)

    def names(self, network: str, addr: str) -> bool:
        return host_of(addr) in self.hosts


async def break_backend(broken: RightAdmission) -> None:
    broken.reachable = False


def run(make: Callable[[], RightAdmission]) -> Contract:
    return AdmissionContract(
        make,
        admitted="192.0.2.1:1024",
        refused="bad.example:1024",
        unmatched=True,
        break_backend=break_backend,
        time_limit=2.0,
    )


trial = Trial[Callable[[], RightAdmission]](AdmissionContract, run, RightAdmission)


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
class DroppingTheRules(RightAdmission):
    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        if not self.reachable:
            self.hosts.clear()
        self.reachable = True
        return await super().admit(ctx, network, addr, *opts)


trials = (trial,)
