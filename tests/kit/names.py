"""Trials of the checks of what turns names into addresses: resolver, hosts."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from gost_core import hosts, resolver
from gost_core.context import Context
from gost_core.options import apply
from gost_core.testing import Report
from gost_core.testing.hosts import HostMapperContract
from gost_core.testing.resolver import ResolverContract
from tests.kit.trial import Trial

IP = IPv4Address | IPv6Address

VERSIONS: Final = {"ip": (4, 6), "ip4": (4,), "ip6": (6,)}


def plain(name: str) -> str:
    return name.removesuffix(".").lower()


# ---- resolver


class RightResolver:
    def __init__(self) -> None:
        self.records: dict[str, list[IP]] = {
            "known.example": [ip_address("192.0.2.1"), ip_address("2001:db8::1")]
        }
        self.reachable = True

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> Sequence[IP]:
        apply(resolver.Options(), *opts)
        try:
            return [ip_address(host)]
        except ValueError:
            found = await self.query(host)
        return [address for address in found if address.version in VERSIONS[network]]

    async def query(self, host: str) -> list[IP]:
        for _ in range(10):
            await asyncio.sleep(0)
        if not self.reachable:
            raise OSError("no server answered")
        return self.records.get(plain(host), [])


class MissingResolver:
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> Sequence[IP]:
        raise resolver.InvalidError("there is no resolver of this name")


async def break_resolver(broken: RightResolver) -> None:
    broken.reachable = False


def run_resolver(make: Callable[[], RightResolver]) -> Coroutine[object, object, Report]:
    return ResolverContract(
        make,
        known="known.example",
        unknown="unknown.example",
        make_missing=getattr(make, "missing", MissingResolver),
        break_backend=break_resolver,
        time_limit=2.0,
    ).run()


resolver_trial = Trial[Callable[[], RightResolver]](ResolverContract, run_resolver, RightResolver)


@resolver_trial.breaks("shape")
class WithoutNetworks(RightResolver):
    async def resolve(  # type: ignore  # the fault
        self, ctx: Context, host: str, /
    ) -> Sequence[IP]:
        return await super().resolve(ctx, "ip", host)


@resolver_trial.breaks("literals", history="x resolver plug-ins: asked the server for literals too")
class AskingForLiterals(RightResolver):
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> Sequence[IP]:
        apply(resolver.Options(), *opts)
        found = await self.query(host)
        return [address for address in found if address.version in VERSIONS[network]]


@resolver_trial.breaks("literals")
class GivingText(RightResolver):
    async def resolve(  # type: ignore  # the fault
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> Sequence[IP | str]:
        found = await super().resolve(ctx, network, host, *opts)
        return [host] if found == [ip_address("2001:db8::1")] and network == "ip" else found


@resolver_trial.breaks("both-families", history='x resolver: "ip" gave one family only')
class PreferringIPv4(RightResolver):
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> Sequence[IP]:
        found = await super().resolve(ctx, network, host, *opts)
        return [address for address in found if address.version == 4] or found


@resolver_trial.breaks("one-family", history="x resolver: a server's `only` beat the network")
class IgnoringTheNetwork(RightResolver):
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> Sequence[IP]:
        return await super().resolve(ctx, "ip", host, *opts)


@resolver_trial.breaks("unknown-empty", history="x HTTP plug-in: an unknown name was an error")
class FailingForUnknown(RightResolver):
    async def query(self, host: str) -> list[IP]:
        found = await super().query(host)
        if not found:
            raise OSError(f"{host} was not found")
        return found


@resolver_trial.breaks("unknown-empty")
class NoneForUnknown(RightResolver):
    async def resolve(  # type: ignore  # the fault
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> Sequence[IP] | None:
        return await super().resolve(ctx, network, host, *opts) or None


@resolver_trial.breaks("missing-invalid")
class EmptyWhenMissing(RightResolver):
    class missing(MissingResolver):
        async def resolve(
            self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
        ) -> Sequence[IP]:
            return []


@resolver_trial.breaks("host-case")
class CaseSensitiveResolver(RightResolver):
    async def query(self, host: str) -> list[IP]:
        return await super().query(host if host == host.lower() else "")


@resolver_trial.breaks("trailing-dot", history="x resolver: a trailing dot was not stripped")
class KeepingTheDot(RightResolver):
    async def query(self, host: str) -> list[IP]:
        return await super().query(host + "." if host.endswith(".") else host)


@resolver_trial.breaks("result-own", history="039bcc9 a cached message was changed by its reader")
class SharingResults(RightResolver):
    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[tuple[str, str], Sequence[IP]] = {}

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> Sequence[IP]:
        query = (network, host)
        if query not in self.cache:
            self.cache[query] = await super().resolve(ctx, network, host, *opts)
        return self.cache[query]


@resolver_trial.breaks("cancelled-twin", history="28d3ffa equal queries hung on the first caller")
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


@resolver_trial.breaks("options")
class ApplyingEachTwice(RightResolver):
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> Sequence[IP]:
        apply(resolver.Options(), *(option for option in opts for _ in range(2)))
        return await super().resolve(ctx, network, host)


@resolver_trial.breaks("concurrent")
class RememberingTheNetwork(RightResolver):
    network = ""

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> Sequence[IP]:
        self.network = network
        await asyncio.sleep(0)
        return await super().resolve(ctx, self.network, host, *opts)


@resolver_trial.breaks("cancelled")
class EmptyWhenCancelled(RightResolver):
    async def query(self, host: str) -> list[IP]:
        try:
            return await super().query(host)
        except asyncio.CancelledError:
            return []


@resolver_trial.breaks("cancelled")
class TimeoutWhenCancelled(RightResolver):
    async def query(self, host: str) -> list[IP]:
        try:
            return await super().query(host)
        except asyncio.CancelledError:
            raise TimeoutError("no answer in time") from None


@resolver_trial.breaks("backend-broken", history="x resolver: a failure became: does not exist")
class EmptyOnFailure(RightResolver):
    async def query(self, host: str) -> list[IP]:
        return await super().query(host) if self.reachable else []


@resolver_trial.breaks("backend-broken")
class InvalidOnFailure(RightResolver):
    async def query(self, host: str) -> list[IP]:
        if not self.reachable:
            raise resolver.InvalidError("no server")
        return await super().query(host)


# ---- hosts


class RightHostMapper:
    def __init__(self, mapping: Mapping[str, Sequence[IP]]) -> None:
        self.mapping = {plain(name): tuple(addresses) for name, addresses in mapping.items()}
        self.reachable = True

    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: hosts.Option
    ) -> Sequence[IP] | None:
        apply(hosts.Options(), *opts)
        found = await self.find(plain(host))
        if found is None:
            return None
        return [address for address in found if address.version in VERSIONS[network]]

    async def find(self, host: str) -> Sequence[IP] | None:
        await asyncio.sleep(0)
        if not self.reachable:
            raise OSError("the mapping is out of reach")
        return self.mapping.get(host)


async def break_mapper(broken: RightHostMapper) -> None:
    broken.reachable = False


MakeHostMapper = Callable[[Mapping[str, Sequence[IP]]], RightHostMapper]


def run_hosts(make: MakeHostMapper) -> Coroutine[object, object, Report]:
    return HostMapperContract(make, break_backend=break_mapper, time_limit=2.0).run()


hosts_trial = Trial[MakeHostMapper](HostMapperContract, run_hosts, RightHostMapper)


@hosts_trial.breaks("shape")
class SyncHostMapper(RightHostMapper):
    def lookup(  # type: ignore  # the fault
        self, ctx: Context, network: str, host: str, /, *opts: hosts.Option
    ) -> Sequence[IP] | None:
        return self.mapping.get(host)


@hosts_trial.breaks("mapped", history="x hosts: rules were loaded in the background, and missed")
class NotLoadedYet(RightHostMapper):
    def __init__(self, mapping: Mapping[str, Sequence[IP]]) -> None:
        super().__init__({})


@hosts_trial.breaks("one-family")
class GivingAllFamilies(RightHostMapper):
    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: hosts.Option
    ) -> Sequence[IP] | None:
        if host == "both.example":
            network = "ip"
        return await super().lookup(ctx, network, host, *opts)


@hosts_trial.breaks("best-first")
class Sorting(RightHostMapper):
    async def find(self, host: str) -> Sequence[IP] | None:
        found = await super().find(host)
        return found and sorted(found, key=str)


@hosts_trial.breaks(
    "other-family-empty", history="x hosts: a name known in the other family was a miss"
)
class NoneForTheOtherFamily(RightHostMapper):
    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: hosts.Option
    ) -> Sequence[IP] | None:
        return await super().lookup(ctx, network, host, *opts) or None


@hosts_trial.breaks("missing-none")
class EmptyForMissing(RightHostMapper):
    async def find(self, host: str) -> Sequence[IP] | None:
        found = await super().find(host)
        return () if found is None and host.endswith("example") else found


@hosts_trial.breaks("literals-none")
class RefusingLiterals(RightHostMapper):
    async def find(self, host: str) -> Sequence[IP] | None:
        if host[0].isdigit():
            raise ValueError(f"{host} is no name")
        return await super().find(host)


@hosts_trial.breaks("host-case", history="x hosts: names compared with case")
class CaseSensitiveHosts(RightHostMapper):
    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: hosts.Option
    ) -> Sequence[IP] | None:
        return await super().lookup(ctx, network, host, *opts) if host == host.lower() else None


@hosts_trial.breaks("host-case")
class KeepingTheCaseOfRules(RightHostMapper):
    def __init__(self, mapping: Mapping[str, Sequence[IP]]) -> None:
        super().__init__({name: mapping[name] for name in mapping if name == name.lower()})


@hosts_trial.breaks("trailing-dot", history="x hosts: no care for a trailing dot")
class ComparingTheDotOfHosts(RightHostMapper):
    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: hosts.Option
    ) -> Sequence[IP] | None:
        return None if host.endswith(".") else await super().lookup(ctx, network, host, *opts)


@hosts_trial.breaks("options")
class LookingIntoOptions(RightHostMapper):
    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: hosts.Option
    ) -> Sequence[IP] | None:
        for option in opts:
            setattr(hosts.Options(), getattr(option, "field"), True)  # noqa: B009  # the fault
        return await super().lookup(ctx, network, host)


@hosts_trial.breaks("concurrent")
class RememberingTheHost(RightHostMapper):
    host = ""

    async def find(self, host: str) -> Sequence[IP] | None:
        self.host = host
        await asyncio.sleep(0)
        return await super().find(self.host)


@hosts_trial.breaks("cancelled")
class NoneWhenCancelled(RightHostMapper):
    async def find(self, host: str) -> Sequence[IP] | None:
        try:
            return await super().find(host)
        except asyncio.CancelledError:
            return None


@hosts_trial.breaks("backend-broken", history="x hosts plug-in: a failure was a miss")
class NoneOnFailure(RightHostMapper):
    async def find(self, host: str) -> Sequence[IP] | None:
        return await super().find(host) if self.reachable else None


trials = (hosts_trial, resolver_trial)
