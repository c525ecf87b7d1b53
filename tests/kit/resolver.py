"""Trials of the contract of resolvers."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final

from gost_core.context import Context
from gost_core.options import apply
from gost_core.resolver import InvalidError, Option, Options
from gost_core.testing import Contract
from gost_core.testing.resolver import ResolverContract
from tests.kit._backend import (
    AFewAtATime,
    Asking,
    AskingTwo,
    Breaking,
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
from tests.kit._names import IP, VERSIONS, plain
from tests.kit.trial import Trial

ADDRESSES: Final[list[IP]] = [
    ip_address(one) for one in ("2001:db8::2", "192.0.2.2", "2001:db8::1", "192.0.2.1")
]


class RightResolver(Asking):
    def __init__(self) -> None:
        self.records: dict[str, list[IP]] = {"known.example": ADDRESSES}

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        apply(Options(), *opts)
        try:
            found = [ip_address(host)]
        except ValueError:
            found = await self.query(host)
        return [address for address in found if address.version in VERSIONS[network]]

    async def query(self, host: str) -> list[IP]:
        await self.ask()
        for _ in range(10):
            await asyncio.sleep(0)
        if not self.reachable:
            raise OSError("no server answered")
        return self.records.get(plain(host), [])


async def change_addresses(changed: RightResolver, addresses: Sequence[IP]) -> None:
    changed.records["known.example"] = [*addresses]


class MissingResolver:
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        raise InvalidError("there is no server to ask")


def run(make: Callable[[], RightResolver]) -> Contract:
    return ResolverContract(
        make,
        known="known.example",
        addresses=ADDRESSES,
        change_addresses=change_addresses,
        unknown="unknown.example",
        make_missing=getattr(make, "missing", MissingResolver),
        break_backend=break_backend,
        mend_backend=mend_backend,
        stall_backend=stall_backend,
        time_limit=2.0,
    )


trial = Trial[Callable[[], RightResolver]](ResolverContract, run, RightResolver)


@trial.breaks("shape")
class WithoutNetworks(RightResolver):
    async def resolve(  # type: ignore  # the fault
        self, ctx: Context, host: str, /
    ) -> Sequence[IP]:
        return await super().resolve(ctx, "ip", host)


@trial.breaks("literals", history="x resolver plug-ins: asked the server for literals too")
class AskingForLiterals(RightResolver):
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        apply(Options(), *opts)
        found = await self.query(host)
        return [address for address in found if address.version in VERSIONS[network]]


@trial.breaks("literals")
class GivingText(RightResolver):
    async def resolve(  # type: ignore  # the fault
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP | str]:
        found = await super().resolve(ctx, network, host, *opts)
        return [host] if found == [ip_address("2001:db8::1")] and network == "ip" else found


@trial.breaks("both-families", history='x resolver: "ip" gave one family only')
class PreferringIPv4(RightResolver):
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        found = await super().resolve(ctx, network, host, *opts)
        return [address for address in found if address.version == 4] or found


@trial.breaks("one-family", history="x resolver: a server's `only` beat the network")
class IgnoringTheNetwork(RightResolver):
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        return await super().resolve(ctx, "ip", host, *opts)


@trial.breaks("other-family-literal")
class GivingAnyLiteral(RightResolver):
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        literal = ":" in host or host[-1].isdigit()
        return await super().resolve(ctx, "ip" if literal else network, host, *opts)


@trial.breaks("both-families")
class SortingByFamily(RightResolver):
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        found = await super().resolve(ctx, network, host, *opts)
        return sorted(found, key=lambda address: address.version)


@trial.breaks("one-family")
class WithoutLength(RightResolver):
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        found = await super().resolve(ctx, network, host, *opts)
        return iter(found) if network == "ip4" and host == "known.example" else found  # type: ignore  # the fault


@trial.breaks("unknown-empty", history="x HTTP plug-in: an unknown name was an error")
class FailingForUnknown(RightResolver):
    async def query(self, host: str) -> list[IP]:
        found = await super().query(host)
        if not found and host == "unknown.example":
            raise OSError(f"{host} was not found")
        return found


@trial.breaks("unknown-empty")
class NoneForUnknown(RightResolver):
    async def resolve(  # type: ignore  # the fault
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP] | None:
        found = await super().resolve(ctx, network, host, *opts)
        return found or (None if host == "unknown.example" else found)


@trial.breaks("unknown-empty")
class ReadingNumbersAsTheSystemDoes(RightResolver):
    async def query(self, host: str) -> list[IP]:
        with contextlib.suppress(OSError):
            return [ip_address(socket.inet_aton(host))]
        return await super().query(host)


@trial.breaks("missing-invalid")
class EmptyWhenMissing(RightResolver):
    class missing(MissingResolver):
        async def resolve(
            self, ctx: Context, network: str, host: str, /, *opts: Option
        ) -> Sequence[IP]:
            return []


@trial.breaks("host-case")
class CaseSensitiveResolver(RightResolver):
    async def query(self, host: str) -> list[IP]:
        return await super().query(host if host == host.lower() else "")


@trial.breaks("trailing-dot", history="x resolver: a trailing dot was not stripped")
class KeepingTheDot(RightResolver):
    async def query(self, host: str) -> list[IP]:
        return await super().query(host + "." if host.endswith(".") else host)


@trial.breaks("result-own", history="039bcc9 a cached message was changed by its reader")
class SharingResults(RightResolver):
    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[tuple[str, str, str], Sequence[IP]] = {}

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        query = (network, host, f"{self.reachable} {self.records}")
        if query not in self.cache:
            self.cache[query] = await super().resolve(ctx, network, host, *opts)
        return self.cache[query]


@trial.breaks("cancelled-twin")
class JoiningWhatIsUnderWay(RightResolver):
    def __init__(self) -> None:
        super().__init__()
        self.under_way: dict[str, asyncio.Task[list[IP]]] = {}

    async def query(self, host: str) -> list[IP]:
        if host in self.under_way:
            return [*await self.under_way[host]]
        asking = asyncio.ensure_future(super().query(host))
        await asyncio.sleep(0)
        self.under_way[host] = asking
        try:
            return await asking
        finally:
            self.under_way.pop(host, None)


@trial.breaks("next-after-cancelled", history="28d3ffa equal queries hung on the first caller")
class HangingOnTheFirst(RightResolver):
    def __init__(self) -> None:
        super().__init__()
        self.running: dict[str, asyncio.Task[list[IP]]] = {}

    async def query(self, host: str) -> list[IP]:
        if host not in self.running:
            self.running[host] = asyncio.ensure_future(super().query(host))
        try:
            return await self.running[host]
        finally:
            self.running.pop(host, None)


@trial.breaks("options")
class ApplyingEachTwice(RightResolver):
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        apply(Options(), *(option for option in opts for _ in range(2)))
        return await super().resolve(ctx, network, host)


@trial.breaks("concurrent")
class RememberingTheNetwork(RightResolver):
    network = ""

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        self.network = network
        await asyncio.sleep(0)
        return await super().resolve(ctx, self.network, host, *opts)


@trial.breaks("cancelled")
class EmptyWhenCancelled(RightResolver):
    async def query(self, host: str) -> list[IP]:
        try:
            return await super().query(host)
        except asyncio.CancelledError:
            return []


@trial.breaks("cancelled")
class TimeoutWhenCancelled(RightResolver):
    async def query(self, host: str) -> list[IP]:
        try:
            return await super().query(host)
        except asyncio.CancelledError:
            raise TimeoutError("no answer in time") from None


@trial.breaks("backend-broken", history="x resolver: a failure became: does not exist")
class EmptyOnFailure(RightResolver):
    async def query(self, host: str) -> list[IP]:
        return await super().query(host) if self.reachable else []


@trial.breaks("backend-broken")
class InvalidOnFailure(RightResolver):
    async def query(self, host: str) -> list[IP]:
        if not self.reachable:
            raise InvalidError("no server")
        return await super().query(host)


@trial.breaks("change-found")
class KeepingTheUnknown(RightResolver):
    def __init__(self) -> None:
        super().__init__()
        self.unknown = set[str]()

    async def query(self, host: str) -> list[IP]:
        found = await super().query(host)
        if not found:
            self.unknown.add(host)
        return [] if host in self.unknown else found


@trial.breaks("change-found")
class KeepingAnswers(RightResolver):
    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, list[IP]] = {}

    async def query(self, host: str) -> list[IP]:
        found = await super().query(host)
        return [*self.kept.setdefault(host, found)]


@trial.breaks("change-found")
class KeepingOneFamily(RightResolver):
    """Keeps what it found of IPv6, which it asks another server for."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Sequence[IP]] = {}

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        found = await super().resolve(ctx, network, host, *opts)
        return [*self.kept.setdefault(plain(host), found)] if network == "ip6" else found


@trial.breaks("cancelled")
class DeafResolver(Deaf, RightResolver): ...


@trial.breaks("next-after-failures")
class ExhaustingResolver(Exhausting, RightResolver): ...


@trial.breaks("next-after-cancelled")
class LeakingResolver(Leaking, RightResolver): ...


@trial.breaks("no-task-left")
class ResolverLeavingTasks(LeavingTasks, RightResolver): ...


@trial.breaks("tasks-ended")
class WatchedResolver(Watched, RightResolver): ...


@trial.breaks("no-task-left")
class ResolverAskingTwo(AskingTwo, RightResolver): ...


@trial.breaks("others-go-on")
class ResolverOneAtATime(OneAtATime, RightResolver): ...


@trial.breaks("many-waiting")
class ResolverAFewAtATime(AFewAtATime, RightResolver): ...


@trial.breaks("others-go-on")
class EmptyWhenItTakesLong(Impatient, RightResolver):
    def late(self) -> None:
        self.records = {}


@trial.breaks("backend-mended")
class ResolverGivingUp(GivingUp, RightResolver): ...


@trial.breaks("backend-mended")
class ResolverBreaking(Breaking, RightResolver): ...


@trial.breaks("backend-broken")
class KeepingOldAnswers(RightResolver):
    def __init__(self) -> None:
        super().__init__()
        self.old: dict[str, list[IP]] = {}

    async def query(self, host: str) -> list[IP]:
        try:
            self.old[host] = await super().query(host)
        except OSError:
            if host not in self.old:
                raise
        return self.old[host]


@trial.breaks("backend-broken")
class EmptyForWhatItNeverFound(RightResolver):
    async def query(self, host: str) -> list[IP]:
        try:
            return await super().query(host)
        except OSError:
            if plain(host) in self.records:
                raise
            return []


@trial.breaks("change-found")
class KeepingOtherSpellings(RightResolver):
    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, list[IP]] = {}

    async def query(self, host: str) -> list[IP]:
        found = await super().query(host)
        return found if host == plain(host) else [*self.kept.setdefault(host, found)]


@trial.breaks("result-own")
class OneListForTwins(RightResolver):
    """Equal questions at once get one list."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[tuple[str, str], list[IP]] = {}

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        mine = self.lists.setdefault((network, host), [])
        found = await super().resolve(ctx, network, host, *opts)
        mine[:] = found
        self.lists.pop((network, host), None)
        return mine


@trial.breaks("result-own")
class GivingItsOwnList(RightResolver):
    """Gives the list of its records to whoever asks for both families."""

    def __init__(self) -> None:
        super().__init__()
        self.records = {"known.example": [*ADDRESSES]}

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        found = await super().resolve(ctx, network, host, *opts)
        return self.records[plain(host)] if network == "ip" and len(found) > 1 else found


trial.breaks("nothing-kept")(remembering(RightResolver, "resolve"))


@trial.breaks("backend-broken")
class RefreshingNoMore(RightResolver):
    """Gives what it knows while one call asks anew, and takes a cancelled one to be at it."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, list[IP]] = {}
        self.asking: set[str] = set()

    async def query(self, host: str) -> list[IP]:
        if host in self.asking and host in self.known:
            return self.known[host]
        self.asking.add(host)
        try:
            self.known[host] = await super().query(host)
        except OSError:
            self.known.pop(host, None)
            raise
        self.asking.discard(host)
        return self.known[host]


@trial.breaks("change-found")
class OneFamilyFromBoth(RightResolver):
    """Takes the addresses of one family from the last answer for both."""

    def __init__(self) -> None:
        super().__init__()
        self.both: dict[str, list[IP]] = {}

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        known = self.both.get(plain(host))
        if network != "ip" and known is not None and self.reachable:
            return [one for one in known if one.version in VERSIONS[network]]
        found = [*await super().resolve(ctx, network, host, *opts)]
        if network == "ip":
            self.both[plain(host)] = [*found]
        return found


@trial.breaks("literals")
class LiteralsInSmallLetters(RightResolver):
    """Takes capitals for the sign of a name, and resolves no name with a colon."""

    async def query(self, host: str) -> list[IP]:
        return [] if ":" in host else await super().query(host)

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IP]:
        if host == host.lower():
            return await super().resolve(ctx, network, host, *opts)
        apply(Options(), *opts)
        return [one for one in await self.query(host) if one.version in VERSIONS[network]]


trials = (trial,)
