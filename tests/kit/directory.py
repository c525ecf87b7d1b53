"""Trials of the checks of what tells where things are: ingress, sd, router."""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network

from gost_core import ingress, router, sd
from gost_core.context import Context
from gost_core.ingress import Rule
from gost_core.options import apply
from gost_core.router import Route
from gost_core.sd import Service
from gost_core.testing import Report
from gost_core.testing.ingress import IngressContract
from gost_core.testing.router import RouterContract
from gost_core.testing.sd import SDContract
from tests.kit.trial import Trial

# ---- ingress


class RightIngress:
    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules: dict[str, Rule] = {}
        self.reachable = True
        for rule in rules:
            self.store(rule)

    def store(self, rule: Rule) -> None:
        key = self.plain(rule.hostname.removeprefix("*"))
        self.rules.pop(key, None)
        if rule.endpoint:
            self.rules[key] = rule

    def plain(self, host: str) -> str:
        return host.lower() if host == "." else host.removesuffix(".").lower()

    def without_port(self, host: str) -> str:
        name, colon, port = host.rpartition(":")
        if colon and port.isdecimal() and (":" not in name or name.startswith("[")):
            host = name
        return host.strip("[]")

    def candidates(self, host: str) -> Iterator[str]:
        """Yield the keys that cover a host, the best first."""
        yield host
        yield f".{host}"
        labels = host.split(".")
        for start in range(1, len(labels)):
            yield "." + ".".join(labels[start:])
        yield "."

    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: ingress.Option) -> bool:
        apply(ingress.Options(), *opts)
        self.store(rule)
        return True

    async def get_rule(self, ctx: Context, host: str, /, *opts: ingress.Option) -> Rule | None:
        apply(ingress.Options(), *opts)
        return await self.find(self.plain(self.without_port(host)))

    async def find(self, host: str) -> Rule | None:
        await asyncio.sleep(0)
        if not self.reachable:
            raise OSError("the store is out of reach")
        for key in self.candidates(host):
            if key in self.rules:
                return self.rules[key]
        return None


async def break_ingress(broken: RightIngress) -> None:
    broken.reachable = False


MakeIngress = Callable[[Sequence[Rule]], RightIngress]


def run_ingress(make: MakeIngress) -> Coroutine[object, object, Report]:
    return IngressContract(make, break_backend=break_ingress, time_limit=2.0).run()


ingress_trial = Trial[MakeIngress](IngressContract, run_ingress, RightIngress)


@ingress_trial.breaks("shape")
class SettingNoRule(RightIngress):
    async def set_rule(self, ctx: Context, host: str, endpoint: str, /) -> bool:  # type: ignore  # the fault
        return False


@ingress_trial.breaks("found", history="x ingress: rules load in the background, so lookups miss")
class NotLoadedYet(RightIngress):
    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__([rule for rule in rules if rule.hostname != "b.example"])


@ingress_trial.breaks("missing-none")
class CoveringTheAbove(RightIngress):
    async def find(self, host: str) -> Rule | None:
        return await super().find("a.example" if host == "x.a.example" else host)


@ingress_trial.breaks("missing-none", history="x hop filter: .d.com covered badd.com")
class MatchingLetters(RightIngress):
    async def find(self, host: str) -> Rule | None:
        found = await super().find(host)
        for key, rule in self.rules.items():
            if key != "." and key.startswith(".") and host.endswith(key[1:]):
                return found or rule
        return found


@ingress_trial.breaks("wildcard-below")
class OneLabelDeep(RightIngress):
    def candidates(self, host: str) -> Iterator[str]:
        yield from (host, f".{host}", "." + host.partition(".")[2], ".")


@ingress_trial.breaks("wildcard-itself")
class OnlyBelow(RightIngress):
    def candidates(self, host: str) -> Iterator[str]:
        return (key for key in super().candidates(host) if key != f".{host}")


@ingress_trial.breaks("exact-first")
class WildcardFirst(RightIngress):
    def candidates(self, host: str) -> Iterator[str]:
        yield f".{host}"
        yield from super().candidates(host)


@ingress_trial.breaks("longest-first")
class ShortestFirst(RightIngress):
    def candidates(self, host: str) -> Iterator[str]:
        exact, itself, *above, rest = super().candidates(host)
        yield from (exact, itself, *reversed(above), rest)


@ingress_trial.breaks("rest")
class WithoutRest(RightIngress):
    def candidates(self, host: str) -> Iterator[str]:
        return (key for key in super().candidates(host) if key != ".")


@ingress_trial.breaks("rest")
class RestBeforeWildcards(RightIngress):
    def candidates(self, host: str) -> Iterator[str]:
        exact, *others, rest = super().candidates(host)
        yield from (exact, rest, *others)


@ingress_trial.breaks("port-ignored", history="x ingress plug-ins: the port was passed on")
class KeepingThePort(RightIngress):
    def without_port(self, host: str) -> str:
        return super().without_port(host) if host.startswith("[") else host


@ingress_trial.breaks("ipv6-host")
class CuttingAtTheColon(RightIngress):
    def without_port(self, host: str) -> str:
        return host.partition(":")[0]


@ingress_trial.breaks("host-case", history="x ingress: nobody lowered the host")
class CaseSensitive(RightIngress):
    def plain(self, host: str) -> str:
        return host if host == "." else host.removesuffix(".")


@ingress_trial.breaks("trailing-dot")
class ComparingTheDot(RightIngress):
    def plain(self, host: str) -> str:
        return host.lower()


@ingress_trial.breaks("own-hostname", history="x ingress plug-ins: the host that was asked for")
class EchoingTheHost(RightIngress):
    async def find(self, host: str) -> Rule | None:
        found = await super().find(host)
        return found and Rule(hostname=host, endpoint=found.endpoint)


@ingress_trial.breaks("empty-endpoint")
class KeepingEmptyRules(RightIngress):
    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self.rules |= {rule.hostname: rule for rule in rules if not rule.endpoint}


@ingress_trial.breaks("set-answer", history="501051c what set_rule came to was swallowed")
class DenyingWhatItStored(RightIngress):
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: ingress.Option) -> bool:
        return not await super().set_rule(ctx, rule, *opts)


@ingress_trial.breaks("set-answer")
class KeepingTheFirst(RightIngress):
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: ingress.Option) -> bool:
        if rule.endpoint and rule.hostname in self.rules:
            return True
        return await super().set_rule(ctx, rule, *opts)


@ingress_trial.breaks("set-deletes")
class NeverDeleting(RightIngress):
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: ingress.Option) -> bool:
        return not rule.endpoint or await super().set_rule(ctx, rule, *opts)


@ingress_trial.breaks("options")
class ApplyingToTheClass(RightIngress):
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: ingress.Option) -> bool:
        for option in opts:
            option(ingress.Options)  # type: ignore  # the fault
        return await super().set_rule(ctx, rule)


@ingress_trial.breaks("concurrent")
class RememberingTheHost(RightIngress):
    host = ""

    async def find(self, host: str) -> Rule | None:
        self.host = host
        await asyncio.sleep(0)
        return await super().find(self.host)


@ingress_trial.breaks("cancelled")
class NoRuleWhenCancelled(RightIngress):
    async def find(self, host: str) -> Rule | None:
        try:
            return await super().find(host)
        except asyncio.CancelledError:
            return None


@ingress_trial.breaks("backend-broken", history="x ingress: a failed call was no rule")
class NoneOnFailure(RightIngress):
    async def find(self, host: str) -> Rule | None:
        return await super().find(host) if self.reachable else None


# ---- sd

LEASE = 15.0
Key = tuple[str, str, str]


class Clock:
    """The time of all directories here."""

    now = 0.0


async def elapse(seconds: float) -> None:
    Clock.now += seconds


class RightSD:
    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        self.entries = {} if entries is None else entries
        self.reachable = True

    def key(self, service: Service) -> Key:
        return (service.id, service.name, service.node)

    async def reach(self) -> None:
        await asyncio.sleep(0)
        if not self.reachable:
            raise OSError("the directory is out of reach")
        for key, (_, expiry) in list(self.entries.items()):
            if expiry <= Clock.now:
                del self.entries[key]

    async def register(self, ctx: Context, service: Service, /, *opts: sd.Option) -> None:
        apply(sd.Options(), *opts)
        await self.reach()
        self.entries[self.key(service)] = (service, Clock.now + LEASE)

    async def deregister(self, ctx: Context, service: Service, /) -> None:
        await self.reach()
        self.entries.pop(self.key(service), None)

    async def renew(self, ctx: Context, service: Service, /) -> None:
        await self.reach()
        entry, _ = self.entries[self.key(service)]
        self.entries[self.key(service)] = (entry, Clock.now + LEASE)

    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        await self.reach()
        return [entry for entry, _ in self.entries.values() if entry.name == name]


def join(other: RightSD) -> RightSD:
    return type(other)(other.entries)


async def break_sd(broken: RightSD) -> None:
    broken.reachable = False


def run_sd(make: Callable[[], RightSD]) -> Coroutine[object, object, Report]:
    return SDContract(
        make, join=join, lease=LEASE, elapse=elapse, break_backend=break_sd, time_limit=2.0
    ).run()


sd_trial = Trial[Callable[[], RightSD]](SDContract, run_sd, RightSD)


@sd_trial.breaks("shape")
class RenewingTwo(RightSD):
    async def renew(self, ctx: Context, name: str, id: str, /) -> None:  # type: ignore  # the fault
        await super().renew(ctx, Service(name=name, id=id))


@sd_trial.breaks("registered")
class ListingEverything(RightSD):
    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        await self.reach()
        return [entry for entry, _ in self.entries.values()]


@sd_trial.breaks("missing-empty", history="x sd: nothing was nil")
class NoneForNothing(RightSD):
    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        return await super().get(ctx, name) or None  # type: ignore  # the fault


@sd_trial.breaks("key")
class WithoutNode(RightSD):
    def key(self, service: Service) -> Key:
        return (service.id, service.name, "")


@sd_trial.breaks("key")
class WithoutId(RightSD):
    def key(self, service: Service) -> Key:
        return ("", service.name, service.node)


@sd_trial.breaks("register-replaces")
class KeepingTheFirstAddress(RightSD):
    async def register(self, ctx: Context, service: Service, /, *opts: sd.Option) -> None:
        first, _ = self.entries.get(self.key(service), (service, 0.0))
        await super().register(ctx, first, *opts)


@sd_trial.breaks(
    "renew-by-key", history="x sd: callers renew with the key alone, the rest is empty"
)
class StoringWhatIsRenewed(RightSD):
    async def renew(self, ctx: Context, service: Service, /) -> None:
        await super().renew(ctx, service)
        self.entries[self.key(service)] = (service, Clock.now + LEASE)


@sd_trial.breaks("renew-by-key", history="x sd: callers renew with the key alone")
class NeedingTheAddress(RightSD):
    async def renew(self, ctx: Context, service: Service, /) -> None:
        if not service.address:
            raise ValueError("a service has an address")
        await super().renew(ctx, service)


@sd_trial.breaks("renew-unknown")
class IgnoringTheUnknown(RightSD):
    async def renew(self, ctx: Context, service: Service, /) -> None:
        if self.key(service) in self.entries:
            await super().renew(ctx, service)


@sd_trial.breaks("renew-unknown")
class RegisteringTheUnknown(RightSD):
    async def renew(self, ctx: Context, service: Service, /) -> None:
        if self.key(service) not in self.entries:
            await self.register(ctx, service)
        await super().renew(ctx, service)


@sd_trial.breaks("deregister-removes")
class RemovingByAddress(RightSD):
    async def deregister(self, ctx: Context, service: Service, /) -> None:
        await self.reach()
        entry = self.entries.get(self.key(service))
        if entry is not None and entry[0] == service:
            await super().deregister(ctx, service)


@sd_trial.breaks("deregister-unknown")
class MissingTheUnknown(RightSD):
    async def deregister(self, ctx: Context, service: Service, /) -> None:
        await self.reach()
        del self.entries[self.key(service)]


@sd_trial.breaks("no-none", history="18f39f9 None where a service was expected")
class LeavingHoles(RightSD):
    removed = False

    async def deregister(self, ctx: Context, service: Service, /) -> None:
        await super().deregister(ctx, service)
        self.removed = True

    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        found: Sequence[Service | None] = await super().get(ctx, name)
        return [None, *found] if self.removed else found  # type: ignore  # the fault


@sd_trial.breaks("expires")
class LivingForEver(RightSD):
    async def reach(self) -> None:
        self.entries.update(
            {key: (entry, Clock.now + LEASE) for key, (entry, _) in self.entries.items()}
        )
        await super().reach()


@sd_trial.breaks("renew-extends")
class RenewingNothing(RightSD):
    async def renew(self, ctx: Context, service: Service, /) -> None:
        kept = dict(self.entries)
        await super().renew(ctx, service)
        self.entries.update(kept)


@sd_trial.breaks("renew-expired")
class RevivingTheExpired(RightSD):
    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(entries)
        self.known: dict[Key, Service] = {}

    async def register(self, ctx: Context, service: Service, /, *opts: sd.Option) -> None:
        self.known[self.key(service)] = service
        await super().register(ctx, service, *opts)

    async def renew(self, ctx: Context, service: Service, /) -> None:
        if self.key(service) in self.known:
            await super().register(ctx, self.known[self.key(service)])
        else:
            await super().renew(ctx, service)


@sd_trial.breaks("shared")
class KeptToItself(RightSD):
    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(None if entries is None else dict(entries))


@sd_trial.breaks("options")
class ApplyingBackwards(RightSD):
    async def register(self, ctx: Context, service: Service, /, *opts: sd.Option) -> None:
        await super().register(ctx, service, *reversed(opts))


@sd_trial.breaks("concurrent")
class WritingBackTheWhole(RightSD):
    async def register(self, ctx: Context, service: Service, /, *opts: sd.Option) -> None:
        before = dict(self.entries)
        await super().register(ctx, service, *opts)
        entry = self.entries[self.key(service)]
        self.entries.clear()
        self.entries.update(before | {self.key(service): entry})


@sd_trial.breaks("cancelled")
class EmptyWhenCancelled(RightSD):
    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        try:
            return await super().get(ctx, name)
        except asyncio.CancelledError:
            return []


@sd_trial.breaks("backend-broken")
class EmptyOnFailure(RightSD):
    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        return await super().get(ctx, name) if self.reachable else []


# ---- router


class RightRouter:
    def __init__(
        self, routes: Sequence[Route] = (), tables: Mapping[str, Sequence[Route]] | None = None
    ) -> None:
        self.tables = {"": tuple(routes), **(tables or {})}
        self.reachable = True

    async def get_route(self, ctx: Context, dst: str, /, *opts: router.Option) -> Route | None:
        return await self.find(dst, self.tables.get(apply(router.Options(), *opts).id, ()))

    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        await asyncio.sleep(0)
        if not self.reachable:
            raise OSError("the table is out of reach")
        if not dst:
            return None
        for found in (self.is_exact, self.is_within):
            for route in table:
                if found(dst, route):
                    return route
        return None

    def is_exact(self, dst: str, route: Route) -> bool:
        return dst == route.dst

    def is_within(self, dst: str, route: Route) -> bool:
        try:
            return ip_address(dst) in ip_network(route.dst)
        except ValueError:
            return False


async def break_router(broken: RightRouter) -> None:
    broken.reachable = False


MakeRouter = Callable[[Sequence[Route]], RightRouter]


def run_router(make: MakeRouter) -> Coroutine[object, object, Report]:
    def make_tables(tables: Mapping[str, Sequence[Route]]) -> RightRouter:
        made = make(())
        made.tables |= {name: tuple(table) for name, table in tables.items()}
        return made

    return RouterContract(
        make, make_tables=make_tables, break_backend=break_router, time_limit=2.0
    ).run()


router_trial = Trial[MakeRouter](RouterContract, run_router, RightRouter)


@router_trial.breaks("shape")
class SyncRouter(RightRouter):
    def get_route(self, ctx: Context, dst: str, /, *opts: router.Option) -> Route | None:  # type: ignore  # the fault
        return None


@router_trial.breaks("exact")
class AddressesOnly(RightRouter):
    def is_exact(self, dst: str, route: Route) -> bool:
        return " " not in dst and super().is_exact(dst, route)


@router_trial.breaks("network", history="x router: networks were looked for in the field `net`")
class ReadingTheDeprecatedField(RightRouter):
    def is_within(self, dst: str, route: Route) -> bool:
        return route.net is not None and ip_address(dst) in route.net


@router_trial.breaks("network")
class IPv4Only(RightRouter):
    def is_within(self, dst: str, route: Route) -> bool:
        return "." in dst and super().is_within(dst, route)


@router_trial.breaks("missing-none", history="core: get_route was said to ask the system's table")
class AskingTheSystem(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        return await super().find(dst, table) or (
            Route(dst="127.0.0.0/8", gateway="lo") if dst.startswith("127.") else None
        )


@router_trial.breaks("empty-none")
class RouteToNothing(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        return table[0] if table and not dst else await super().find(dst, table)


@router_trial.breaks("exact-first")
class FirstOfAny(RightRouter):
    def is_exact(self, dst: str, route: Route) -> bool:
        return super().is_exact(dst, route) or self.is_within(dst, route)


@router_trial.breaks("table-order")
class LongestFirst(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        return await super().find(
            dst, sorted(table, key=lambda route: route.dst.partition("/")[2], reverse=True)
        )


@router_trial.breaks("gateway-verbatim")
class ParsingTheGateway(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        found = await super().find(dst, table)
        return found and dataclasses.replace(found, gateway=found.gateway.lower())


@router_trial.breaks("unknown-table", history="x router: the local table ignores the id")
class FallingBackToTheDefault(RightRouter):
    async def get_route(self, ctx: Context, dst: str, /, *opts: router.Option) -> Route | None:
        table = self.tables.get(apply(router.Options(), *opts).id, self.tables[""])
        return await self.find(dst, table)


@router_trial.breaks("table-by-id")
class JoiningTheTables(RightRouter):
    async def get_route(self, ctx: Context, dst: str, /, *opts: router.Option) -> Route | None:
        table = self.tables.get(apply(router.Options(), *opts).id)
        if table is None:
            return None
        return await self.find(dst, sum(map(tuple, self.tables.values()), ()))


@router_trial.breaks("table-by-id", history="x router handler: cached by destination, not by id")
class CachingWithoutId(RightRouter):
    def __init__(self, routes: Sequence[Route] = ()) -> None:
        super().__init__(routes)
        self.cache: dict[str, Route | None] = {}

    async def get_route(self, ctx: Context, dst: str, /, *opts: router.Option) -> Route | None:
        if dst not in self.cache:
            self.cache[dst] = await super().get_route(ctx, dst, *opts)
        return self.cache[dst]


@router_trial.breaks("options")
class ApplyingTwice(RightRouter):
    async def get_route(self, ctx: Context, dst: str, /, *opts: router.Option) -> Route | None:
        return await super().get_route(ctx, dst, *opts, *opts)


@router_trial.breaks("concurrent")
class RememberingTheDestination(RightRouter):
    dst = ""

    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        self.dst = dst
        await asyncio.sleep(0)
        return await super().find(self.dst, table)


@router_trial.breaks("cancelled")
class NoRouteWhenCancelled(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        try:
            return await super().find(dst, table)
        except asyncio.CancelledError:
            return None


@router_trial.breaks("backend-broken", history="x router plug-ins: a failed call was no route")
class NoRouteOnFailure(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        return await super().find(dst, table) if self.reachable else None


trials = (ingress_trial, router_trial, sd_trial)
