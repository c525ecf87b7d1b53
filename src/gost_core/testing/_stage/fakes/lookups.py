"""What answers questions, recording them: host mappers, resolvers, rules, and authenticators."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from gost_core import auth, bypass, hosts, resolver
from gost_core.context import Context
from gost_core.options import apply
from gost_core.routing import Matcher, Request
from gost_core.testing._stage.fakes.recorded import Lent, Recorded

__all__ = ("FakeAuthenticator", "FakeBypass", "FakeHostMapper", "FakeMatcher", "FakeResolver")

IP: TypeAlias = IPv4Address | IPv6Address


class FakeHostMapper(Lent, hosts.HostMapper):
    """A mapping of hosts; it records the network and the host."""

    def __init__(self, mapping: Mapping[str, Sequence[IP]]) -> None:
        self.asked = Recorded[tuple[str, str]]()
        self._mapping = mapping

    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: hosts.Option
    ) -> Sequence[IP] | None:
        """Look up."""
        await self.asked.record((network, host), ctx)
        return self._mapping.get(host)


class FakeResolver(Lent, resolver.Resolver):
    """A resolver that knows a few names; it records the network and the host."""

    def __init__(self, known: Mapping[str, Sequence[IP]]) -> None:
        self.asked = Recorded[tuple[str, str]]()
        self._known = known

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> Sequence[IP]:
        """Resolve."""
        await self.asked.record((network, host), ctx)
        return list(self._known.get(host, ()))


class FakeBypass(bypass.Bypass):
    """A bypass of those addresses that begin with one of ``prefixes``.

    It records the network, the address and the host. With ``whitelist`` it says that it is one;
    its answer is the whole answer all the same.
    """

    def __init__(self, *prefixes: str, whitelist: bool = False) -> None:
        self.asked = Recorded[tuple[str, str, str]]()
        self.prefixes = prefixes
        self._whitelist = whitelist

    def is_whitelist(self) -> bool:
        """Say so."""
        return self._whitelist

    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        """Decide by how the address begins."""
        await self.asked.record((network, addr, apply(bypass.Options(), *opts).host), ctx)
        return bool(self.prefixes) and addr.startswith(self.prefixes)


class FakeMatcher(Matcher):
    """A matcher with one answer."""

    def __init__(self, answer: bool) -> None:
        self.requests = Recorded[Request]()
        self.answer = answer

    async def match(self, request: Request, /) -> bool:
        """Give the answer."""
        await self.requests.record(request)
        return self.answer


class FakeAuthenticator(auth.Authenticator):
    """An authenticator that knows one user; it records the names of users."""

    def __init__(self, user: str, password: str, client_id: str) -> None:
        self.asked = Recorded[str]()
        self._known = (user, password)
        self._client_id = client_id

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        """Decide."""
        await self.asked.record(user, ctx)
        return self._client_id if (user, password) == self._known else None
