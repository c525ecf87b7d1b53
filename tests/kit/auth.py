"""Trials of the contract of authenticators."""

import asyncio
import hmac
import logging
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from gost_core.auth import Option, Options
from gost_core.context import Context
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing.auth import AuthenticatorContract
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
from tests.kit.trial import Trial

PASSWORD: Final = "correct horse"


class RightAuthenticator(Asking):
    def __init__(self) -> None:
        self.clients = {"alice": (PASSWORD, "client 1"), "guest": ("any word", "")}

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        apply(Options(), *opts)
        await self.ask()
        if not self.reachable:
            return None
        expected, client_id = self.clients.get(user, (None, ""))
        return client_id if password == expected else None


def run(make: Callable[[], RightAuthenticator]) -> Contract:
    return AuthenticatorContract(
        make,
        accepted_pair=("alice", PASSWORD),
        client_id="client 1",
        refused_pair=("alice", "wrong horse"),
        nameless=("guest", "any word"),
        kept_for=0.0,
        break_backend=break_backend,
        mend_backend=mend_backend,
        stall_backend=stall_backend,
        time_limit=2.0,
    )


trial = Trial[Callable[[], RightAuthenticator]](AuthenticatorContract, run, RightAuthenticator)


@trial.breaks("shape")
class WithoutOptions(RightAuthenticator):
    async def authenticate(  # type: ignore  # the fault
        self, ctx: Context, user: str, password: str, /
    ) -> str | None:
        return await super().authenticate(ctx, user, password)


@trial.breaks("accepted")
class TellingTheUser(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        client_id = await super().authenticate(ctx, user, password, *opts)
        return user if client_id else client_id


@trial.breaks("refused", history="x auth: the user's name was the id of a wrong password too")
class NamingTheRefused(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        client_id = await super().authenticate(ctx, user, password, *opts)
        if client_id is None and self.reachable:
            return user
        return client_id


@trial.breaks("refused")
class EmptyForRefused(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        return await super().authenticate(ctx, user, password, *opts) or ""


@trial.breaks("empty-id")
class TestingTheTruth(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        return await super().authenticate(ctx, user, password, *opts) or None


@trial.breaks("empty-credentials")
class InsistingOnCredentials(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        if not password:
            raise ValueError("a password is needed")
        return await super().authenticate(ctx, user, password, *opts)


@trial.breaks("options")
class ApplyingToItself(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        for option in opts:
            option(self)  # type: ignore  # the fault
        return await super().authenticate(ctx, user, password)


@trial.breaks("concurrent")
class RememberingThePassword(RightAuthenticator):
    password = ""

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        self.password = password
        await asyncio.sleep(0)
        return await super().authenticate(ctx, user, self.password, *opts)


@trial.breaks("cancelled", history="x auth plug-ins: cancelling read as a refusal")
class RefusingWhenCancelled(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        try:
            return await super().authenticate(ctx, user, password, *opts)
        except asyncio.CancelledError:
            return None


@trial.breaks(
    "backend-broken", history="91cae5b a failed reload wiped the credentials: none, so all pass"
)
class WipingTheCredentials(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        return await super().authenticate(ctx, user, password, *opts) if self.reachable else ""


@trial.breaks("backend-broken")
class LettingInWhoWasIn(RightAuthenticator):
    known: str | None = None

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        found = await super().authenticate(ctx, user, password, *opts)
        self.known = self.known if found is None else found
        return found if self.reachable else self.known


@trial.breaks("backend-broken", history="91cae5b after a failed reload: someone else's id")
class MixingTheClients(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        if not self.reachable and password == PASSWORD:
            return "client 2"
        return await super().authenticate(ctx, user, password, *opts)


@trial.breaks("passwords-hidden")
class TellingPasswords(RightAuthenticator):
    def __repr__(self) -> str:
        return f"<TellingPasswords {self.clients}>"


@trial.breaks("passwords-hidden")
class ReportingPasswords(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        if not self.reachable:
            raise OSError(f"cannot check {user}:{password}")
        return await super().authenticate(ctx, user, password, *opts)


@trial.breaks("passwords-hidden")
class LoggingTheHeader(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        header = b64encode(f"{user}:{password}".encode(errors="replace")).decode()
        logging.getLogger(__name__).debug("Authorization: Basic %s", header)
        return await super().authenticate(ctx, user, password, *opts)


@trial.breaks("passwords-hidden")
class LoggingWhatIsRefused(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        client_id = await super().authenticate(ctx, user, password, *opts)
        if client_id is None:
            logging.getLogger(__name__).debug("%s has another password than %s", user, password)
        return client_id


@trial.breaks("cancelled")
class DeafAuthenticator(Deaf, RightAuthenticator): ...


@trial.breaks("next-after-failures")
class ExhaustingAuthenticator(Exhausting, RightAuthenticator): ...


@trial.breaks("next-after-cancelled")
class LeakingAuthenticator(Leaking, RightAuthenticator): ...


@trial.breaks("no-task-left")
class AuthenticatorLeavingTasks(LeavingTasks, RightAuthenticator): ...


@trial.breaks("tasks-ended")
class WatchedAuthenticator(Watched, RightAuthenticator): ...


@trial.breaks("others-go-on")
class AuthenticatorOneAtATime(OneAtATime, RightAuthenticator): ...


@trial.breaks("many-waiting")
class AuthenticatorAFewAtATime(AFewAtATime, RightAuthenticator): ...


class Comparing(RightAuthenticator):
    """Compares in a way of its own."""

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        found = await super().authenticate(ctx, user, password, *opts)
        if found is not None or not self.reachable:
            return found
        return self.match(user, password)

    def match(self, user: str, password: str) -> str | None:
        return None


@trial.breaks("exact-pair")
class BeginningsOfPasswords(Comparing):
    def match(self, user: str, password: str) -> str | None:
        return "client 1" if user == "alice" and PASSWORD.startswith(password) else None


@trial.breaks("exact-pair")
class MoreThanThePassword(Comparing):
    def match(self, user: str, password: str) -> str | None:
        more = password.isascii() and password.startswith(PASSWORD)
        return "client 1" if user == "alice" and more else None


@trial.breaks("exact-pair")
class AnyLetterCase(Comparing):
    def match(self, user: str, password: str) -> str | None:
        return "client 1" if user == "alice" and password.lower() == PASSWORD else None


@trial.breaks("exact-pair")
class AnybodysPassword(Comparing):
    def match(self, user: str, password: str) -> str | None:
        words = [word for word, _ in self.clients.values()]
        return "client 1" if user in self.clients and password in words else None


@trial.breaks("exact-pair")
class NoPasswordForUnknown(Comparing):
    def match(self, user: str, password: str) -> str | None:
        return user if self.clients.get(user, ("", ""))[0] == password else None


@trial.breaks("exact-pair")
class RightOnceIn(Comparing):
    inside = False

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        found = await super().authenticate(ctx, user, password, *opts)
        self.inside = self.inside or bool(found and password == PASSWORD)
        return found

    def match(self, user: str, password: str) -> str | None:
        return "client 1" if self.inside and user == "alice" and password == "*" else None


@trial.breaks("refused")
class PasswordOfAnybody(Comparing):
    def match(self, user: str, password: str) -> str | None:
        return user if password == PASSWORD else None


@trial.breaks("any-characters")
class AlikeIsEqual(Comparing):
    def match(self, user: str, password: str) -> str | None:
        plain = unicodedata.normalize("NFKC", password)
        return "client 1" if (user, plain) == ("alice", PASSWORD) else None


@trial.breaks("any-characters")
class AlikeIsTheUser(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        plain = unicodedata.normalize("NFKC", user)
        return await super().authenticate(ctx, plain, password, *opts)


@trial.breaks("exact-pair")
class DroppingSpacesBeforeTheUser(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        return await super().authenticate(ctx, user.lstrip(), password, *opts)


@trial.breaks("any-characters")
class ASCIIOnly(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        hmac.compare_digest(user, "alice")
        hmac.compare_digest(password, PASSWORD)
        return await super().authenticate(ctx, user, password, *opts)


@trial.breaks("any-characters")
class DroppingOtherCharacters(Comparing):
    def match(self, user: str, password: str) -> str | None:
        plain = password.encode("ascii", "ignore").decode()
        return "client 1" if (user, plain) == ("alice", PASSWORD) else None


@trial.breaks("any-characters")
class RaisingAtHalfACharacter(RightAuthenticator):
    """Encodes what it compares, which what was no UTF-8 on its way here does not let it."""

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        return await super().authenticate(ctx, user, password.encode().decode(), *opts)


@trial.breaks("concurrent")
class RememberingTheUser(RightAuthenticator):
    user = ""

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        self.user = user
        await asyncio.sleep(0)
        return await super().authenticate(ctx, self.user, password, *opts)


@trial.breaks("backend-mended")
class AuthenticatorGivingUp(GivingUp, RightAuthenticator): ...


@trial.breaks("backend-mended")
class RefusingForGood(RightAuthenticator):
    """Keeps whom it has refused, also when it could ask nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = set[tuple[str, str]]()

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        if (user, password) in self.refused:
            return None
        client_id = await super().authenticate(ctx, user, password, *opts)
        if client_id is None:
            self.refused.add((user, password))
        return client_id


trial.breaks("nothing-kept")(remembering(RightAuthenticator, "authenticate"))


@trial.breaks("nothing-kept")
class KeepingWhoIsIn(RightAuthenticator):
    def __init__(self) -> None:
        super().__init__()
        self.seen = dict[str, Context]()

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        found = await super().authenticate(ctx, user, password, *opts)
        if found is not None:
            self.seen[user] = ctx
        return found


@trial.breaks("refuses-all")
class LettingInAgain(RightAuthenticator):
    """Lets in while its backend is out of reach whom it let in before."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: dict[tuple[str, str], str] = {}

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        found = await super().authenticate(ctx, user, password, *opts)
        if found is not None:
            self.ids[user, password] = found
        return found if self.reachable else self.ids.get((user, password))


trials = (trial,)


@trial.breaks("exact-pair")
class DecodingPasswords(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        return await super().authenticate(ctx, user, unquote(password), *opts)


@trial.breaks("exact-pair")
class TakingOffRealms(RightAuthenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        return await super().authenticate(ctx, user.partition("@")[0], password, *opts)
