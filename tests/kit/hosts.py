"""Trials of the contract of host mappers."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence

from gost_core.context import Context
from gost_core.hosts import Option, Options
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing.hosts import HostMapperContract
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
from tests.kit._names import IP, VERSIONS, plain
from tests.kit._stuck import keeping_the_context
from tests.kit.trial import Trial


class RightHostMapper(Asking):
    def __init__(self, mapping: Mapping[str, Sequence[IP]]) -> None:
        self.mapping = {self.read(name): tuple(mapping[name]) for name in mapping}

    def read(self, name: str) -> str:
        """Bring a name of the mapping to its one form."""
        if re.search(r"[\\\s\0-\x1f]|(^|\.)(\d+|0x[\da-f]+)\.?$", name, re.I):
            raise ValueError(f"{name!r} is no host")
        return plain(name)

    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP] | None:
        apply(Options(), *opts)
        found = await self.find(plain(host))
        if found is None:
            return None
        return [address for address in found if address.version in VERSIONS[network]]

    async def find(self, host: str) -> Sequence[IP] | None:
        await self.ask()
        if not self.reachable:
            raise OSError("the mapping is out of reach")
        return self.mapping.get(host)


MakeHostMapper = Callable[[Mapping[str, Sequence[IP]]], RightHostMapper]


def run(make: MakeHostMapper) -> Contract:
    return HostMapperContract(
        make,
        break_backend=break_backend,
        mend_backend=mend_backend,
        stall_backend=stall_backend,
        time_limit=2.0,
    )


trial = Trial[MakeHostMapper](HostMapperContract, run, RightHostMapper)


@trial.breaks("shape")
class SyncHostMapper(RightHostMapper):
    def lookup(  # type: ignore  # the fault
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP] | None:
        return self.mapping.get(host)


@trial.breaks("mapped", history="x hosts: rules were loaded in the background, and missed")
class NotLoadedYet(RightHostMapper):
    def __init__(self, mapping: Mapping[str, Sequence[IP]]) -> None:
        super().__init__({})


@trial.breaks("one-family")
class GivingAllFamilies(RightHostMapper):
    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP] | None:
        if (network, host) == ("ip4", "both.example"):
            network = "ip"
        return await super().lookup(ctx, network, host, *opts)


@trial.breaks("best-first")
class Sorting(RightHostMapper):
    async def find(self, host: str) -> Sequence[IP] | None:
        found = await super().find(host)
        return found and sorted(found, key=str)


@trial.breaks("other-family-empty", history="x hosts: a name known in the other family was a miss")
class NoneForTheOtherFamily(RightHostMapper):
    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP] | None:
        return await super().lookup(ctx, network, host, *opts) or None


@trial.breaks("missing-none")
class EmptyForMissing(RightHostMapper):
    async def find(self, host: str) -> Sequence[IP] | None:
        found = await super().find(host)
        return () if found is None and host.endswith("example") else found


@trial.breaks("literals-none")
class RefusingLiterals(RightHostMapper):
    async def find(self, host: str) -> Sequence[IP] | None:
        if host[0].isdigit():
            raise ValueError(f"{host} is no name")
        return await super().find(host)


@trial.breaks("host-case", history="x hosts: names compared with case")
class CaseSensitiveHosts(RightHostMapper):
    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP] | None:
        return await super().lookup(ctx, network, host, *opts) if host == host.lower() else None


@trial.breaks("host-case")
class KeepingTheCaseOfRules(RightHostMapper):
    def __init__(self, mapping: Mapping[str, Sequence[IP]]) -> None:
        super().__init__({name: mapping[name] for name in mapping if name == name.lower()})


@trial.breaks("trailing-dot", history="x hosts: no care for a trailing dot")
class ComparingTheDotOfHosts(RightHostMapper):
    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP] | None:
        return None if host.endswith(".") else await super().lookup(ctx, network, host, *opts)


@trial.breaks("host-whole")
class Stripping(RightHostMapper):
    """Takes off what stands around a name, as it does with the lines of its file."""

    async def find(self, host: str) -> Sequence[IP] | None:
        return await super().find(host.strip())


@trial.breaks("options")
class LookingIntoOptions(RightHostMapper):
    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP] | None:
        for option in opts:
            setattr(Options(), getattr(option, "field"), True)  # noqa: B009  # the fault
        return await super().lookup(ctx, network, host)


@trial.breaks("nothing-kept")
class KeepingOptions(RightHostMapper):
    """Goes by the options of the last call that had some."""

    last: tuple[Option, ...] = ()

    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP] | None:
        self.last = opts or self.last
        return await super().lookup(ctx, network, host, *self.last)


@trial.breaks("concurrent")
class RememberingTheHost(RightHostMapper):
    host = ""

    async def find(self, host: str) -> Sequence[IP] | None:
        self.host = host
        await asyncio.sleep(0)
        return await super().find(self.host)


@trial.breaks("cancelled")
class NoneWhenCancelled(RightHostMapper):
    async def find(self, host: str) -> Sequence[IP] | None:
        try:
            return await super().find(host)
        except asyncio.CancelledError:
            return None


@trial.breaks("backend-broken", history="x hosts plug-in: a failure was a miss")
class NoneOnFailure(RightHostMapper):
    async def find(self, host: str) -> Sequence[IP] | None:
        return await super().find(host) if self.reachable else None


@trial.breaks("best-first")
class SortingByFamily(RightHostMapper):
    async def find(self, host: str) -> Sequence[IP] | None:
        found = await super().find(host)
        return found and sorted(found, key=lambda address: address.version)


@trial.breaks("one-family")
class WithoutLength(RightHostMapper):
    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP] | None:
        found = await super().lookup(ctx, network, host, *opts)
        both = (network, host) == ("ip4", "both.example")
        return (one for one in found or ()) if both else found  # type: ignore  # the fault


@trial.breaks("literals-none")
class EmptyForOtherLiterals(RightHostMapper):
    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP] | None:
        found = await super().lookup(ctx, network, host, *opts)
        return () if found is None and ":" in host and network == "ip4" else found


@trial.breaks("host-idna")
class WithoutIDNA(RightHostMapper):
    def read(self, name: str) -> str:
        return super().read(name) if name.isascii() else name


@trial.breaks("no-host-refused")
class TakingAnyName(RightHostMapper):
    def read(self, name: str) -> str:
        return super().read(re.sub(r"[\\\s\0-\x1f]", "", name))


@trial.breaks("number-refused")
class HexadecimalIsAName(RightHostMapper):
    """Knows numbers by their decimal digits only."""

    def read(self, name: str) -> str:
        number = re.search(r"(^|\.)0x[\da-f]*\.?$", name, re.I)
        return plain(name) if number else super().read(name)


@trial.breaks("missing-none")
class ByTheFirstLabel(RightHostMapper):
    """Looks for the first label of a name that is not mapped."""

    async def find(self, host: str) -> Sequence[IP] | None:
        found = await super().find(host)
        return self.mapping.get(host.partition(".")[0]) if found is None else found


@trial.breaks("concurrent")
class RememberingTheNetwork(RightHostMapper):
    network = ""

    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP] | None:
        self.network = network
        await asyncio.sleep(0)
        return await super().lookup(ctx, self.network, host, *opts)


@trial.breaks("cancelled")
class DeafHostMapper(Deaf, RightHostMapper): ...


@trial.breaks("next-after-failures")
class ExhaustingHostMapper(Exhausting, RightHostMapper): ...


@trial.breaks("next-after-cancelled")
class LeakingHostMapper(Leaking, RightHostMapper): ...


@trial.breaks("no-task-left")
class HostMapperLeavingTasks(LeavingTasks, RightHostMapper): ...


@trial.breaks("tasks-ended")
class WatchedHostMapper(Watched, RightHostMapper): ...


@trial.breaks("others-go-on")
class HostMapperOneAtATime(OneAtATime, RightHostMapper): ...


@trial.breaks("many-waiting")
class HostMapperAFewAtATime(AFewAtATime, RightHostMapper): ...


@trial.breaks("backend-mended")
class HostMapperGivingUp(GivingUp, RightHostMapper): ...


@trial.breaks("backend-broken")
class NotMappedIfNotKnown(RightHostMapper):
    async def find(self, host: str) -> Sequence[IP] | None:
        return await super().find(host) if self.reachable or host in self.mapping else None


@trial.breaks("best-first")
class TakingTurns(RightHostMapper):
    asked = 0

    async def find(self, host: str) -> Sequence[IP] | None:
        found = await super().find(host)
        if found and host == "both.example":
            self.asked += 1
            place = (self.asked - 1) % len(found)
            found = [*found[place:], *found[:place]]
        return found


@trial.breaks("concurrent")
class RememberingWhatIsMissing(RightHostMapper):
    missing = False

    async def find(self, host: str) -> Sequence[IP] | None:
        self.missing = host not in self.mapping
        found = await super().find(host)
        return None if self.missing else found or ()


trial.breaks("nothing-kept")(remembering(RightHostMapper, "lookup"))
trial.breaks("nothing-kept")(keeping_the_context(RightHostMapper, "lookup"))

trials = (trial,)
