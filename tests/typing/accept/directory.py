"""Looking things up by name: addresses, endpoints, routes, services, registered objects."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar, assert_type

from gost_core import hosts, ingress, resolver, router, sd
from gost_core.context import Context
from gost_core.dialer import Dialer
from gost_core.hosts import HostMapper
from gost_core.ingress import Ingress, Rule
from gost_core.options import apply
from gost_core.registry import DuplicateError, Registry
from gost_core.resolver import Resolver
from gost_core.router import Route, Router
from gost_core.sd import SD, Service

T = TypeVar("T")


class LiteralResolver:
    """Knows what needs no asking."""

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> Sequence[IPv4Address | IPv6Address]:
        try:
            address = ip_address(host)
        except ValueError as error:
            raise resolver.InvalidError(f"{host} is no literal address") from error
        return [address] if network in ("ip", f"ip{address.version}") else []


class LoopbackMapper:
    """A narrower result is fine: what is promised is a sequence of either family, or None."""

    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: hosts.Option
    ) -> list[IPv4Address] | None:
        if host.rstrip(".").casefold() != "localhost":
            return None
        return [] if network == "ip6" else [IPv4Address("127.0.0.1")]


class DictIngress:
    """Exact hosts only."""

    def __init__(self) -> None:
        self._rules: dict[str, Rule] = {}

    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: ingress.Option) -> bool:
        if rule.endpoint:
            self._rules[rule.hostname] = rule
        else:
            self._rules.pop(rule.hostname, None)
        return True

    async def get_rule(self, ctx: Context, host: str, /, *opts: ingress.Option) -> Rule | None:
        return self._rules.get(host)


class TableRouter:
    """Exact destinations only, in several tables; an option says which one is meant."""

    def __init__(self, tables: Mapping[str, Sequence[Route]]) -> None:
        self._tables = tables

    async def get_route(self, ctx: Context, dst: str, /, *opts: router.Option) -> Route | None:
        routes = self._tables.get(apply(router.Options(), *opts).id, ())
        return next((route for route in routes if dst and route.dst == dst), None)


class InheritingSD(SD):
    """A directory within one program, without leases."""

    def __init__(self) -> None:
        self._services: dict[tuple[str, str, str], Service] = {}

    async def register(self, ctx: Context, service: Service, /, *opts: sd.Option) -> None:
        self._services[_key(service)] = service

    async def deregister(self, ctx: Context, service: Service, /) -> None:
        self._services.pop(_key(service), None)

    async def renew(self, ctx: Context, service: Service, /) -> None:
        if _key(service) not in self._services:
            raise LookupError(f"{service.name} is not registered")

    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        return [service for service in self._services.values() if service.name == name]


class FixedSD:
    """Structurally: what it lists is fixed, and entering more is refused."""

    def __init__(self, *services: Service) -> None:
        self._services = services

    async def register(self, ctx: Context, service: Service, /, *opts: sd.Option) -> None:
        raise OSError("this directory is read only")

    async def deregister(self, ctx: Context, service: Service, /) -> None:
        raise OSError("this directory is read only")

    async def renew(self, ctx: Context, service: Service, /) -> None:
        if service not in self._services:
            raise LookupError(f"{service.name} is not listed")

    async def get(self, ctx: Context, name: str, /) -> tuple[Service, ...]:
        return tuple(service for service in self._services if service.name == name)


class InheritingRegistry(Registry[T]):
    """For values of any type."""

    def __init__(self) -> None:
        self._values: dict[str, T] = {}

    def register(self, name: str, value: T, /) -> None:
        if not name or value is None:
            raise ValueError("a registration needs a name and a value")
        if name in self._values:
            raise DuplicateError(f"{name} is registered already")
        self._values[name] = value

    def unregister(self, name: str, /) -> None:
        self._values.pop(name, None)

    def is_registered(self, name: str, /) -> bool:
        return name in self._values

    def get(self, name: str, /) -> T | None:
        return self._values.get(name)

    def get_all(self) -> Mapping[str, T]:
        return dict(self._values)


class DialerRegistry:
    """Structurally, of one concrete type: dialers by scheme."""

    def __init__(self) -> None:
        self._dialers: dict[str, Dialer] = {}

    def register(self, name: str, value: Dialer, /) -> None:
        if name in self._dialers:
            raise DuplicateError(f"dialer {name} is registered already")
        self._dialers[name] = value

    def unregister(self, name: str, /) -> None:
        self._dialers.pop(name, None)

    def is_registered(self, name: str, /) -> bool:
        return name in self._dialers

    def get(self, name: str, /) -> Dialer | None:
        return self._dialers.get(name)

    def get_all(self) -> dict[str, Dialer]:
        return dict(self._dialers)


async def resolve_host(
    ctx: Context, mapper: HostMapper, resolver_: Resolver, host: str
) -> Sequence[IPv4Address | IPv6Address]:
    """Not mapped is None; mapped to nothing is empty, and final."""
    mapped = await mapper.lookup(ctx, "ip", host)
    if mapped is not None:
        return mapped
    return await resolver_.resolve(ctx, "ip", host)


def dialer_of(scheme: str, dialers: Registry[Dialer]) -> Dialer:
    dialer = dialers.get(scheme)
    assert_type(dialer, Dialer | None)
    if dialer is None:
        raise ValueError(f"no dialer for {scheme}; there are {', '.join(dialers.get_all())}")
    return dialer


def _key(service: Service) -> tuple[str, str, str]:
    return service.id, service.name, service.node


def prove_resolver(resolver: LiteralResolver) -> Resolver:
    return resolver


def prove_host_mapper(mapper: LoopbackMapper) -> HostMapper:
    return mapper


def prove_ingress(ingress: DictIngress) -> Ingress:
    return ingress


def prove_router(router: TableRouter) -> Router:
    return router


def prove_sd(directory: FixedSD) -> SD:
    return directory


def prove_inheriting_sd(directory: InheritingSD) -> SD:
    return directory


def prove_registry(registry: DialerRegistry) -> Registry[Dialer]:
    return registry


def prove_inheriting_registry(registry: InheritingRegistry[T]) -> Registry[T]:
    return registry
