"""Trials of the contract of service directories."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from gost_core.context import Context
from gost_core.options import apply
from gost_core.sd import Option, Options, Service
from gost_core.testing import Contract
from gost_core.testing.sd import SDContract
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
    stall_backend,
)
from tests.kit.trial import Trial

LEASE = 15.0
Key = tuple[str, str, str]


class Clock:
    """The time of all directories here."""

    now = 0.0


async def elapse(seconds: float) -> None:
    Clock.now += seconds


class RightSD(Asking):
    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        self.entries = {} if entries is None else entries
        self.stored: list[str] = []

    def key(self, service: Service) -> Key:
        return (service.id, service.name, service.node)

    async def reach(self) -> None:
        await self.ask()
        if not self.reachable:
            raise OSError("the directory is out of reach")
        for key, (_, expiry) in list(self.entries.items()):
            if expiry <= Clock.now:
                del self.entries[key]

    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        apply(Options(), *opts)
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
        for text in self.stored:
            self.read(text)
        return [entry for entry, _ in self.entries.values() if entry.name == name]

    def read(self, text: str) -> None:
        """Read what another program stored."""
        if text.startswith("{"):
            known = {key: value for key, value in json.loads(text).items() if key != "weight"}
            Service(**known)


def join(other: RightSD) -> RightSD:
    return type(other)(other.entries)


async def spoil(spoiled: RightSD) -> None:
    spoiled.stored.append("no entry")


async def extend(extended: RightSD) -> None:
    extended.stored.append('{"name": "web", "weight": 7}')


def run(make: Callable[[], RightSD]) -> Contract:
    return SDContract(
        make,
        join=join,
        lease=LEASE,
        elapse=elapse,
        spoil=spoil,
        extend=extend,
        break_backend=break_backend,
        mend_backend=mend_backend,
        stall_backend=stall_backend,
        time_limit=2.0,
    )


trial = Trial[Callable[[], RightSD]](SDContract, run, RightSD)


@trial.breaks("shape")
class RenewingTwo(RightSD):
    async def renew(self, ctx: Context, name: str, id: str, /) -> None:  # type: ignore  # the fault
        await super().renew(ctx, Service(name=name, id=id))


@trial.breaks("registered")
class ListingEverything(RightSD):
    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        await self.reach()
        return [entry for entry, _ in self.entries.values()]


@trial.breaks("registered")
class PuttingAddressesTogether(RightSD):
    """Stores host and port apart, and forgets the brackets of an IPv6 host."""

    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        host, colon, port = service.address.rpartition(":")
        address = f"{host.strip('[]')}{colon}{port}"
        await super().register(ctx, replace(service, address=address), *opts)


@trial.breaks("cancelled-again")
class PendingForEver(RightSD):
    """Does not begin again what is under way, as a cancelled call stays."""

    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(entries)
        self.pending: set[Key] = set()

    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        key = self.key(service)
        if key not in self.pending:
            self.pending.add(key)
            with contextlib.suppress(OSError):
                await super().register(ctx, service, *opts)
                self.pending.discard(key)
                return
            self.pending.discard(key)
            raise OSError("the directory is out of reach")


@trial.breaks("missing-empty", history="x sd: nothing was nil")
class NoneForNothing(RightSD):
    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        return await super().get(ctx, name) or None  # type: ignore  # the fault


@trial.breaks("key")
class WithoutNode(RightSD):
    def key(self, service: Service) -> Key:
        return (service.id, service.name, "")


@trial.breaks("key")
class WithoutId(RightSD):
    def key(self, service: Service) -> Key:
        return ("", service.name, service.node)


@trial.breaks("key")
class JoiningTheKey(RightSD):
    def key(self, service: Service) -> Key:
        return (service.id + service.name + service.node, "", "")


@trial.breaks("key")
class NamesThatBeginSo(RightSD):
    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        await self.reach()
        return [entry for entry, _ in self.entries.values() if entry.name.startswith(name)]


@trial.breaks("renew-by-key")
class RenewingTheAddress(RightSD):
    async def renew(self, ctx: Context, service: Service, /) -> None:
        await super().renew(ctx, service)
        if service.network == "udp":
            self.entries[self.key(service)] = (service, Clock.now + LEASE)


@trial.breaks("register-replaces")
class KeepingTheFirstAddress(RightSD):
    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        first, _ = self.entries.get(self.key(service), (service, 0.0))
        await super().register(ctx, first, *opts)


@trial.breaks("renew-by-key", history="x sd: callers renew with the key alone, the rest is empty")
class StoringWhatIsRenewed(RightSD):
    async def renew(self, ctx: Context, service: Service, /) -> None:
        await super().renew(ctx, service)
        self.entries[self.key(service)] = (service, Clock.now + LEASE)


@trial.breaks("renew-by-key", history="x sd: callers renew with the key alone")
class NeedingTheAddress(RightSD):
    async def renew(self, ctx: Context, service: Service, /) -> None:
        if not service.address:
            raise ValueError("a service has an address")
        await super().renew(ctx, service)


@trial.breaks("renew-unknown")
class IgnoringTheUnknown(RightSD):
    async def renew(self, ctx: Context, service: Service, /) -> None:
        if self.key(service) in self.entries:
            await super().renew(ctx, service)


@trial.breaks("renew-unknown")
class RegisteringTheUnknown(RightSD):
    async def renew(self, ctx: Context, service: Service, /) -> None:
        if self.key(service) not in self.entries:
            await self.register(ctx, service)
        await super().renew(ctx, service)


@trial.breaks("renew-unknown")
class RenewingAllOfItsNode(RightSD):
    async def renew(self, ctx: Context, service: Service, /) -> None:
        await self.reach()
        if not any(key[2] == service.node for key in self.entries):
            raise LookupError("nothing is registered there")
        if self.key(service) in self.entries:
            await super().renew(ctx, service)


@trial.breaks("deregister-removes")
class RemovingHereOnly(RightSD):
    async def deregister(self, ctx: Context, service: Service, /) -> None:
        await self.reach()
        self.entries.pop((service.id, service.name, "here"), None)


@trial.breaks("deregister-removes")
class RemovingByAddress(RightSD):
    async def deregister(self, ctx: Context, service: Service, /) -> None:
        await self.reach()
        entry = self.entries.get(self.key(service))
        if entry is not None and entry[0] == service:
            await super().deregister(ctx, service)


@trial.breaks("deregister-unknown")
class MissingTheUnknown(RightSD):
    async def deregister(self, ctx: Context, service: Service, /) -> None:
        await self.reach()
        del self.entries[self.key(service)]


@trial.breaks("no-none", history="18f39f9 None where a service was expected")
class LeavingHoles(RightSD):
    removed = False

    async def deregister(self, ctx: Context, service: Service, /) -> None:
        await super().deregister(ctx, service)
        self.removed = True

    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        found: Sequence[Service | None] = await super().get(ctx, name)
        return [None, *found] if self.removed else found  # type: ignore  # the fault


@trial.breaks("expires")
class LivingForEver(RightSD):
    async def reach(self) -> None:
        self.entries.update(
            {key: (entry, Clock.now + LEASE) for key, (entry, _) in self.entries.items()}
        )
        await super().reach()


@trial.breaks("renew-extends")
class RenewingNothing(RightSD):
    async def renew(self, ctx: Context, service: Service, /) -> None:
        kept = dict(self.entries)
        await super().renew(ctx, service)
        self.entries.update(kept)


@trial.breaks("renew-extends")
class RenewingTheLast(RightSD):
    """Keeps on the object what it is to renew."""

    renewed: Key = ("", "", "")

    async def renew(self, ctx: Context, service: Service, /) -> None:
        self.renewed = self.key(service)
        await self.reach()
        entry, _ = self.entries[self.renewed]
        self.entries[self.renewed] = (entry, Clock.now + LEASE)


@trial.breaks("renew-extends")
class ExtendingNoLease(RightSD):
    """Registers again what is there with the end of its old lease."""

    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        await self.reach()
        before = self.entries.get(self.key(service))
        await super().register(ctx, service, *opts)
        if before is not None:
            self.entries[self.key(service)] = (service, before[1])


@trial.breaks("renew-extends")
class RegisteringForTheOldLease(RightSD):
    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        before = self.entries.get(self.key(service))
        await super().register(ctx, service, *opts)
        if before is not None:
            self.entries[self.key(service)] = (service, before[1])


@trial.breaks("renew-expired")
class RevivingTheExpired(RightSD):
    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(entries)
        self.known: dict[Key, Service] = {}

    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        self.known[self.key(service)] = service
        await super().register(ctx, service, *opts)

    async def renew(self, ctx: Context, service: Service, /) -> None:
        try:
            await super().renew(ctx, service)
        except LookupError:
            if self.key(service) not in self.known:
                raise
            await super().register(ctx, self.known[self.key(service)])

    async def deregister(self, ctx: Context, service: Service, /) -> None:
        self.known.pop(self.key(service), None)
        await super().deregister(ctx, service)


@trial.breaks("shared")
class KeptToItself(RightSD):
    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(None if entries is None else dict(entries))


@trial.breaks("options")
class ApplyingBackwards(RightSD):
    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        await super().register(ctx, service, *reversed(opts))


@trial.breaks("changes-apart")
class WritingBackTheWhole(RightSD):
    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        before = dict(self.entries)
        await super().register(ctx, service, *opts)
        entry = self.entries[self.key(service)]
        self.entries.clear()
        self.entries.update(before | {self.key(service): entry})


@trial.breaks("cancelled")
class EmptyWhenCancelled(RightSD):
    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        try:
            return await super().get(ctx, name)
        except asyncio.CancelledError:
            return []


@trial.breaks("backend-broken")
class EmptyOnFailure(RightSD):
    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        return await super().get(ctx, name) if self.reachable else []


@trial.breaks("cancelled")
class DeafSD(Deaf, RightSD): ...


@trial.breaks("next-after-failures")
class ExhaustingSD(Exhausting, RightSD): ...


@trial.breaks("next-after-cancelled")
class LeakingSD(Leaking, RightSD): ...


@trial.breaks("no-task-left")
class SDLeavingTasks(LeavingTasks, RightSD): ...


@trial.breaks("tasks-ended")
class WatchedSD(Watched, RightSD): ...


@trial.breaks("others-go-on")
class SDOneAtATime(OneAtATime, RightSD): ...


@trial.breaks("many-waiting")
class SDAFewAtATime(AFewAtATime, RightSD): ...


@trial.breaks("change-raises")
class LosingChanges(RightSD):
    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        if self.reachable:
            await super().register(ctx, service, *opts)


@trial.breaks("change-raises")
class RegisteringInTasks(RightSD):
    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        apply(Options(), *opts)
        await asyncio.gather(super().register(ctx, service), self.ask_again())

    async def ask_again(self) -> None:
        for _ in range(10):
            await self.ask()


@trial.breaks("shared")
class KeepingWhatWasFound(RightSD):
    """Asks again only when half a lease is over, or when it has changed something itself."""

    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(entries)
        self.found: dict[str, tuple[float, Sequence[Service]]] = {}

    async def reach(self) -> None:
        await super().reach()
        self.found.clear()

    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        until, found = self.found.get(name, (0.0, ()))
        if not self.reachable or until <= Clock.now:
            found = await super().get(ctx, name)
            self.found[name] = (Clock.now + LEASE / 2, found)
        return found


@trial.breaks("registered")
class WithoutLength(RightSD):
    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        return iter(await super().get(ctx, name))  # type: ignore  # the fault


@trial.breaks("unreadable-skipped")
class FailingForOneEntry(RightSD):
    def read(self, text: str) -> None:
        super().read("{" + text.removeprefix("{"))


@trial.breaks("unknown-field-ignored")
class RefusingUnknownFields(RightSD):
    def read(self, text: str) -> None:
        if text.startswith("{"):
            Service(**json.loads(text))


@trial.breaks("unknown-field-ignored")
class RegisteringReadsAll(RightSD):
    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        for text in self.stored:
            if text.startswith("{"):
                Service(**json.loads(text))
        await super().register(ctx, service, *opts)


@trial.breaks("expires")
class LeaseInMilliseconds(RightSD):
    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        await super().register(ctx, service, *opts)
        self.entries[self.key(service)] = (service, Clock.now + 1000 * LEASE)


@trial.breaks("changes-apart")
class RememberingTheService(RightSD):
    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        self.service = service
        await self.reach()
        await super().register(ctx, self.service, *opts)


@trial.breaks("backend-mended")
class SDGivingUp(GivingUp, RightSD): ...


@trial.breaks("backend-broken")
class KeepingTheLastList(RightSD):
    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(entries)
        self.lists: dict[str, Sequence[Service]] = {}

    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        try:
            self.lists[name] = await super().get(ctx, name)
        except OSError:
            if name not in self.lists:
                raise
        return self.lists[name]


@trial.breaks("backend-broken")
class NothingOfOtherNames(RightSD):
    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        try:
            return await super().get(ctx, name)
        except OSError:
            if any(service.name == name for service, _ in self.entries.values()):
                raise
            return []


@trial.breaks("key")
class JoiningKeysByASlash(RightSD):
    def key(self, service: Service) -> Key:
        return ("/".join((service.id, service.name, service.node)), service.name, "")


@trial.breaks("deregister-removes")
class RenewingWhatIsGone(RightSD):
    """Knows for a lease what it has removed."""

    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(entries)
        self.gone: dict[Key, tuple[Service, float]] = {}

    async def deregister(self, ctx: Context, service: Service, /) -> None:
        key = self.key(service)
        if key in self.entries:
            self.gone[key] = self.entries[key]
        await super().deregister(ctx, service)

    async def renew(self, ctx: Context, service: Service, /) -> None:
        key = self.key(service)
        if key in self.gone:
            self.entries.setdefault(key, self.gone[key])
        await super().renew(ctx, service)


@trial.breaks("expires")
class AddingLeases(RightSD):
    async def renew(self, ctx: Context, service: Service, /) -> None:
        await self.reach()
        entry, expiry = self.entries[self.key(service)]
        self.entries[self.key(service)] = (entry, expiry + LEASE)


@trial.breaks("expires")
class LivingWhileAskedFor(RightSD):
    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        found = await super().get(ctx, name)
        for one in found:
            self.entries[self.key(one)] = (one, Clock.now + LEASE)
        return found


@trial.breaks("renew-extends")
class RenewingTheNode(RightSD):
    """A node that renews one of its services is there, and so are its others."""

    async def renew(self, ctx: Context, service: Service, /) -> None:
        await super().renew(ctx, service)
        for key, (entry, _) in self.entries.items():
            if entry.node == service.node:
                self.entries[key] = (entry, Clock.now + LEASE)


@trial.breaks("renew-extends")
class RenewingOnce(RightSD):
    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(entries)
        self.renewed: set[Key] = set()

    async def renew(self, ctx: Context, service: Service, /) -> None:
        before = self.entries.get(self.key(service))
        await super().renew(ctx, service)
        if before is not None and self.key(service) in self.renewed:
            self.entries[self.key(service)] = before
        self.renewed.add(self.key(service))


@trial.breaks("shared")
class RenewingItsOwn(RightSD):
    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(entries)
        self.joined = entries is not None

    async def renew(self, ctx: Context, service: Service, /) -> None:
        if self.joined:
            raise LookupError("another proxy has registered it")
        await super().renew(ctx, service)


@trial.breaks("unreadable-skipped")
class StoppingAtOneEntry(RightSD):
    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        found = await super().get(ctx, name)
        return found[:1] if "no entry" in self.stored else found


@trial.breaks("unreadable-skipped")
class RenewingReadsAll(RightSD):
    async def renew(self, ctx: Context, service: Service, /) -> None:
        for text in self.stored:
            json.loads(text)
        await super().renew(ctx, service)


@trial.breaks("unreadable-skipped")
class DeregisteringReadsAll(RightSD):
    async def deregister(self, ctx: Context, service: Service, /) -> None:
        for text in self.stored:
            json.loads(text)
        await super().deregister(ctx, service)


@trial.breaks("change-hinders-none")
class OneRegistering(RightSD):
    """Nobody finds anything while one registers."""

    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(entries)
        self.registering = asyncio.Lock()

    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        async with self.registering:
            await super().register(ctx, service, *opts)

    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        async with self.registering:
            pass
        return await super().get(ctx, name)


@trial.breaks("changes-go-on")
class RenewingOneAtATime(RightSD):
    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(entries)
        self.lock = asyncio.Lock()

    async def renew(self, ctx: Context, service: Service, /) -> None:
        async with self.lock:
            await super().renew(ctx, service)


@trial.breaks("nothing-kept")
class KeepingContexts(RightSD):
    """Keeps the context of who registers, to register again by itself."""

    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(entries)
        self.contexts: dict[Key, Context] = {}

    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        await super().register(ctx, service, *opts)
        self.contexts[self.key(service)] = ctx


class OfItsOwn(RightSD):
    """Remembers what it has registered itself."""

    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(entries)
        self.own: dict[Key, Service] = {}

    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        await super().register(ctx, service, *opts)
        self.own[self.key(service)] = service


@trial.breaks("shared")
class WritingItsOwn(OfItsOwn):
    """Writes with each renewal what it has registered itself."""

    async def renew(self, ctx: Context, service: Service, /) -> None:
        await super().renew(ctx, service)
        entry, expiry = self.entries[self.key(service)]
        self.entries[self.key(service)] = (self.own.get(self.key(service), entry), expiry)


@trial.breaks("shared")
class ListingItsOwn(OfItsOwn):
    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        found = await super().get(ctx, name)
        return [self.own.get(self.key(service), service) for service in found]


@trial.breaks("shared")
class RememberingTheMissing(RightSD):
    """Remembers what it could not renew, until it registers that itself."""

    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(entries)
        self.missing: set[Key] = set()

    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        await super().register(ctx, service, *opts)
        self.missing.discard(self.key(service))

    async def renew(self, ctx: Context, service: Service, /) -> None:
        self.missing |= {self.key(service)} - self.entries.keys() if self.reachable else set()
        await super().renew(ctx, service)
        if self.key(service) in self.missing:
            raise LookupError("it was not there")


@trial.breaks("concurrent")
class NameOnTheObject(RightSD):
    name = ""

    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        self.name = name
        await self.reach()
        return await super().get(ctx, self.name)


@trial.breaks("changes-apart")
class RemovingTheLast(RightSD):
    key_removed: Key = ("", "", "")

    async def deregister(self, ctx: Context, service: Service, /) -> None:
        self.key_removed = self.key(service)
        await self.reach()
        self.entries.pop(self.key_removed, None)


@trial.breaks("options")
class RenewingByTheOptions(RightSD):
    """Applies again, with each renewal, the options of the registration."""

    def __init__(self, entries: dict[Key, tuple[Service, float]] | None = None) -> None:
        super().__init__(entries)
        self.options: dict[Key, Sequence[Option]] = {}

    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        await super().register(ctx, service, *opts)
        self.options[self.key(service)] = opts

    async def renew(self, ctx: Context, service: Service, /) -> None:
        await super().renew(ctx, service)
        apply(Options(), *self.options.get(self.key(service), ()))


trials = (trial,)
