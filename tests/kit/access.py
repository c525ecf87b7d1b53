"""Trials of the checks of who may do what: bypass, admission, auth."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final

from gost_core import admission, auth, bypass
from gost_core.context import Context
from gost_core.options import apply
from gost_core.testing import Report
from gost_core.testing.admission import AdmissionContract
from gost_core.testing.auth import AuthenticatorContract
from gost_core.testing.bypass import BypassContract
from tests.kit.trial import Trial


def host_of(addr: str) -> str:
    """Return what rules compare: the host without port, case and trailing dot."""
    host, colon, port = addr.rpartition(":")
    if not colon or not port.isdecimal() or (":" in host and not host.startswith("[")):
        host = addr
    return host.strip("[]").removesuffix(".").lower()


# ---- bypass


class RightBypass:
    """A whitelist: what its rules name is not bypassed."""

    def __init__(self) -> None:
        self.network = "tcp"
        self.hosts = {"www.example"}
        self.reachable = True

    def is_whitelist(self) -> bool:
        return True

    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        apply(bypass.Options(), *opts)
        await asyncio.sleep(0)
        if not self.reachable:
            raise OSError("the rules are out of reach")
        return bool(addr) and not self.names(network, addr)

    def names(self, network: str, addr: str) -> bool:
        return network.startswith(self.network) and host_of(addr) in self.hosts


async def break_bypass(broken: RightBypass) -> None:
    broken.reachable = False


def run_bypass(make: Callable[[], RightBypass]) -> Coroutine[object, object, Report]:
    return BypassContract(
        make,
        bypassed="ads.example:80",
        passed="www.example:443",
        break_backend=break_bypass,
        time_limit=2.0,
    ).run()


bypass_trial = Trial[Callable[[], RightBypass]](BypassContract, run_bypass, RightBypass)


@bypass_trial.breaks("shape")
class AskingForTheMode(RightBypass):
    def is_whitelist(self, mode: str, /) -> bool:  # type: ignore  # the fault
        return mode == "white"


@bypass_trial.breaks("answer", history="c16a280 a whitelist's answer was the match, not inverted")
class NotInverted(RightBypass):
    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        return bool(addr) and not await super().contains(ctx, network, addr, *opts)


@bypass_trial.breaks("answer", history="ed7f2dc of two whitelists the second was ignored")
class FirstListOnly(RightBypass):
    def __init__(self) -> None:
        super().__init__()
        self.hosts = {"mail.example"}


@bypass_trial.breaks("answer", history="d0ff535 asked before its rules had been loaded")
class NotLoadedYet(RightBypass):
    loaded = False

    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        before, self.loaded = self.loaded, True
        return before and await super().contains(ctx, network, addr, *opts)


@bypass_trial.breaks("empty-address")
class BypassingNothing(RightBypass):
    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        return not addr or await super().contains(ctx, network, addr, *opts)


@bypass_trial.breaks("any-address")
class NeedingAPort(RightBypass):
    def names(self, network: str, addr: str) -> bool:
        host, _, port = addr.rpartition(":")
        return int(port) > 0 and super().names(network, f"{host}:{port}")


@bypass_trial.breaks("host-case")
class CaseSensitiveBypass(RightBypass):
    def names(self, network: str, addr: str) -> bool:
        return addr == addr.lower() and super().names(network, addr)


@bypass_trial.breaks("trailing-dot")
class ComparingTheDot(RightBypass):
    def names(self, network: str, addr: str) -> bool:
        return ".:" not in addr and super().names(network, addr)


@bypass_trial.breaks("network-versions", history="eaeac27 networks compared for equality")
class ExactNetwork(RightBypass):
    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        answer = await super().contains(ctx, network, addr, *opts)
        return answer and network == self.network


@bypass_trial.breaks("options")
class ApplyingTwice(RightBypass):
    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        apply(bypass.Options(), *opts, *opts)
        return await super().contains(ctx, network, addr)


@bypass_trial.breaks("concurrent")
class RememberingTheAddress(RightBypass):
    addr = ""

    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        self.addr = addr
        await asyncio.sleep(0)
        return await super().contains(ctx, network, self.addr, *opts)


@bypass_trial.breaks("cancelled", history="x bypass plug-in: a cancelled call answered: bypass")
class TrueWhenCancelled(RightBypass):
    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        try:
            return await super().contains(ctx, network, addr, *opts)
        except asyncio.CancelledError:
            return True


@bypass_trial.breaks("backend-broken", history="54ca916 a rule server's failure meant: go direct")
class FalseOnFailure(RightBypass):
    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        return self.reachable and await super().contains(ctx, network, addr, *opts)


@bypass_trial.breaks("backend-broken", history="54ca916 the other plug-in's failure meant: bypass")
class TrueOnFailure(RightBypass):
    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        if not self.reachable:
            return bool(addr)
        return await super().contains(ctx, network, addr, *opts)


# ---- admission


class RightAdmission:
    """A blacklist: what its rules name is refused."""

    def __init__(self) -> None:
        self.hosts = {"bad.example", "2001:db8::bad"}
        self.reachable = True

    async def admit(
        self, ctx: Context, network: str, addr: str, /, *opts: admission.Option
    ) -> bool:
        apply(admission.Options(), *opts)
        await asyncio.sleep(0)
        return self.reachable and not self.names(network, addr)

    def names(self, network: str, addr: str) -> bool:
        return host_of(addr) in self.hosts


async def break_admission(broken: RightAdmission) -> None:
    broken.reachable = False


def run_admission(make: Callable[[], RightAdmission]) -> Coroutine[object, object, Report]:
    return AdmissionContract(
        make,
        admitted="192.0.2.1:1024",
        refused="bad.example:1024",
        unmatched=True,
        break_backend=break_admission,
        time_limit=2.0,
    ).run()


admission_trial = Trial[Callable[[], RightAdmission]](
    AdmissionContract, run_admission, RightAdmission
)


@admission_trial.breaks("shape")
class SyncAdmission(RightAdmission):
    def admit(  # type: ignore  # the fault
        self, ctx: Context, network: str, addr: str, /, *opts: admission.Option
    ) -> bool:
        return not self.names(network, addr)


@admission_trial.breaks("answer", history="x registry: an admission that was not there refused all")
class RefusingAll(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        return addr == "192.0.2.1:1024" or super().names(network, addr)


@admission_trial.breaks("unreadable-source")
class RefusingTheUnreadable(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        return not addr or super().names(network, addr)


@admission_trial.breaks("any-source")
class NeedingASourcePort(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        if network == "unix":
            raise ValueError(f"{addr!r} has no port")
        return super().names(network, addr)


@admission_trial.breaks("host-case")
class CaseSensitiveAdmission(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        return addr == addr.lower() and super().names(network, addr)


@admission_trial.breaks("trailing-dot")
class MissingTheRootedName(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        return ".:" not in addr and super().names(network, addr)


@admission_trial.breaks("network-versions")
class ExactSourceNetwork(RightAdmission):
    def names(self, network: str, addr: str) -> bool:
        return network == "tcp" and super().names(network, addr)


@admission_trial.breaks("options")
class ApplyingBackwards(RightAdmission):
    async def admit(
        self, ctx: Context, network: str, addr: str, /, *opts: admission.Option
    ) -> bool:
        return await super().admit(ctx, network, addr, *reversed(opts))


@admission_trial.breaks("concurrent")
class RememberingTheSource(RightAdmission):
    addr = ""

    async def admit(
        self, ctx: Context, network: str, addr: str, /, *opts: admission.Option
    ) -> bool:
        self.addr = addr
        await asyncio.sleep(0)
        return await super().admit(ctx, network, self.addr, *opts)


@admission_trial.breaks("cancelled")
class AdmittingWhenCancelled(RightAdmission):
    async def admit(
        self, ctx: Context, network: str, addr: str, /, *opts: admission.Option
    ) -> bool:
        try:
            return await super().admit(ctx, network, addr, *opts)
        except asyncio.CancelledError:
            return True


@admission_trial.breaks("backend-broken", history="ed93d60 an unreachable server admitted all")
class FailingOpen(RightAdmission):
    async def admit(
        self, ctx: Context, network: str, addr: str, /, *opts: admission.Option
    ) -> bool:
        return not self.reachable or await super().admit(ctx, network, addr, *opts)


@admission_trial.breaks("backend-broken", history="x reload: a source that failed lost its rules")
class DroppingTheRules(RightAdmission):
    async def admit(
        self, ctx: Context, network: str, addr: str, /, *opts: admission.Option
    ) -> bool:
        if not self.reachable:
            self.hosts.clear()
        self.reachable = True
        return await super().admit(ctx, network, addr, *opts)


# ---- auth

PASSWORD: Final = "correct horse"


class RightAuthenticator:
    def __init__(self) -> None:
        self.clients = {"alice": (PASSWORD, "client 1"), "guest": ("any word", "")}
        self.reachable = True

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        apply(auth.Options(), *opts)
        await asyncio.sleep(0)
        if not self.reachable:
            return None
        expected, client_id = self.clients.get(user, (None, ""))
        return client_id if password == expected else None


async def break_authenticator(broken: RightAuthenticator) -> None:
    broken.reachable = False


def run_authenticator(make: Callable[[], RightAuthenticator]) -> Coroutine[object, object, Report]:
    return AuthenticatorContract(
        make,
        accepted=("alice", PASSWORD),
        client_id="client 1",
        refused=("alice", "wrong horse"),
        nameless=("guest", "any word"),
        break_backend=break_authenticator,
        time_limit=2.0,
    ).run()


auth_trial = Trial[Callable[[], RightAuthenticator]](
    AuthenticatorContract, run_authenticator, RightAuthenticator
)


@auth_trial.breaks("shape")
class WithoutOptions(RightAuthenticator):
    async def authenticate(  # type: ignore  # the fault
        self, ctx: Context, user: str, password: str, /
    ) -> str | None:
        return await super().authenticate(ctx, user, password)


@auth_trial.breaks("accepted")
class TellingTheUser(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        client_id = await super().authenticate(ctx, user, password, *opts)
        return user if client_id else client_id


@auth_trial.breaks("refused", history="x auth: the user's name was the id of a wrong password too")
class NamingTheRefused(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        client_id = await super().authenticate(ctx, user, password, *opts)
        if client_id is None and self.reachable:
            return user
        return client_id


@auth_trial.breaks("refused")
class EmptyForRefused(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        return await super().authenticate(ctx, user, password, *opts) or ""


@auth_trial.breaks("empty-id")
class TestingTheTruth(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        return await super().authenticate(ctx, user, password, *opts) or None


@auth_trial.breaks("empty-credentials")
class InsistingOnCredentials(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        if not password:
            raise ValueError("a password is needed")
        return await super().authenticate(ctx, user, password, *opts)


@auth_trial.breaks("options")
class ApplyingToItself(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        for option in opts:
            option(self)  # type: ignore  # the fault
        return await super().authenticate(ctx, user, password)


@auth_trial.breaks("concurrent")
class RememberingThePassword(RightAuthenticator):
    password = ""

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        self.password = password
        await asyncio.sleep(0)
        return await super().authenticate(ctx, user, self.password, *opts)


@auth_trial.breaks("cancelled", history="x auth plug-ins: cancelling read as a refusal")
class RefusingWhenCancelled(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        try:
            return await super().authenticate(ctx, user, password, *opts)
        except asyncio.CancelledError:
            return None


@auth_trial.breaks(
    "backend-broken", history="91cae5b a failed reload wiped the credentials: none, so all pass"
)
class WipingTheCredentials(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        return await super().authenticate(ctx, user, password, *opts) if self.reachable else ""


@auth_trial.breaks("backend-broken", history="91cae5b after a failed reload: someone else's id")
class MixingTheClients(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        if not self.reachable and password == PASSWORD:
            return "client 2"
        return await super().authenticate(ctx, user, password, *opts)


@auth_trial.breaks("passwords-hidden")
class TellingPasswords(RightAuthenticator):
    def __repr__(self) -> str:
        return f"<TellingPasswords {self.clients}>"


@auth_trial.breaks("passwords-hidden")
class ReportingPasswords(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        if not self.reachable:
            raise OSError(f"cannot check {user}:{password}")
        return await super().authenticate(ctx, user, password, *opts)


trials = (admission_trial, auth_trial, bypass_trial)
