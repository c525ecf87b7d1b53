"""Who may do what: admission, authentication, bypass."""

import hmac
from collections.abc import Collection, Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

from gost_core import admission, auth, bypass
from gost_core.admission import Admission
from gost_core.auth import Authenticator
from gost_core.bypass import Bypass
from gost_core.common.net import Conn
from gost_core.context import Context
from gost_core.keys import CLIENT_ID
from gost_core.options import apply


class AddressAdmission:
    """A whitelist of addresses: what cannot be read as one is refused."""

    def __init__(self, addresses: Collection[IPv4Address | IPv6Address]) -> None:
        self._addresses = addresses

    async def admit(
        self, ctx: Context, network: str, addr: str, /, *opts: admission.Option
    ) -> bool:
        host = addr.rpartition(":")[0].strip("[]")
        with suppress(ValueError):
            return ip_address(host) in self._addresses
        return False


class OpenAdmission(Admission):
    """By inheritance: parameters may have names of their own, and take more than is promised."""

    async def admit(self, _: object, source_network: str, source: str, /, *ignored: object) -> bool:
        return True


class TableAuthenticator:
    """Users by name; the id is the name."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = passwords

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        expected = self._passwords.get(user)
        if expected is None or not hmac.compare_digest(expected.encode(), password.encode()):
            return None
        return user


class PrefixBypass:
    def __init__(self, *prefixes: str) -> None:
        self._prefixes = prefixes

    def is_whitelist(self) -> bool:
        return False

    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        options = apply(bypass.Options(), *opts)
        return bool(addr) and (options.host or addr).startswith(self._prefixes)


class InvertedBypass(Bypass):
    """By inheritance: the whitelist that another bypass is not."""

    def __init__(self, inner: Bypass) -> None:
        self._inner = inner

    def is_whitelist(self) -> bool:
        return not self._inner.is_whitelist()

    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        return bool(addr) and not await self._inner.contains(ctx, network, addr, *opts)


async def check_source(ctx: Context, conn: Conn, admission_: Admission) -> None:
    source = conn.remote_addr()
    if not await admission_.admit(
        ctx, source.network(), str(source), admission.with_service("web")
    ):
        raise PermissionError(f"{source} is not admitted")


async def log_in(ctx: Context, authenticator: Authenticator, user: str, password: str) -> Context:
    """The id may be empty, so the answer is compared with None."""
    client_id = await authenticator.authenticate(ctx, user, password, auth.with_service("web"))
    if client_id is None:
        raise PermissionError("wrong user name or password")
    return ctx.with_value(CLIENT_ID, client_id)


async def check_destination(ctx: Context, bypass_: Bypass, host: str) -> None:
    if await bypass_.contains(ctx, "tcp", f"{host}:443", bypass.with_host_option(host)):
        raise PermissionError(f"{host} is not served here")


def prove_admission(admission: AddressAdmission) -> Admission:
    return admission


def prove_inheriting_admission(admission: OpenAdmission) -> Admission:
    return admission


def prove_authenticator(authenticator: TableAuthenticator) -> Authenticator:
    return authenticator


def prove_bypass(bypass: PrefixBypass) -> Bypass:
    return bypass


def prove_inheriting_bypass(bypass: InvertedBypass) -> Bypass:
    return bypass
