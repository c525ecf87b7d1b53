"""Trials of the contract of ingresses."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from gost_core.context import Context
from gost_core.ingress import Option, Options, Rule
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing.ingress import IngressContract
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
from tests.kit._names import one_address, plain
from tests.kit.trial import Trial


class RightIngress(Asking):
    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules: dict[str, Rule] = {}
        for rule in rules:
            self.store(rule)

    def store(self, rule: Rule) -> bool:
        """Check and store, or delete, in one step."""
        key = self.plain(rule.hostname.removeprefix("*"))
        if rule.endpoint and self.rules.get(key, rule).endpoint != rule.endpoint:
            return False
        self.rules.pop(key, None)
        if rule.endpoint:
            self.rules[key] = rule
        return True

    def plain(self, host: str) -> str:
        return one_address(host) or "." * host.startswith(".") + plain(host.removeprefix("."))

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

    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        apply(Options(), *opts)
        await self.reach()
        return self.store(rule)

    async def reach(self) -> None:
        await self.ask()
        if not self.reachable:
            raise OSError("the store is out of reach")

    async def get_rule(self, ctx: Context, host: str, /, *opts: Option) -> Rule | None:
        apply(Options(), *opts)
        return await self.find(self.plain(self.without_port(host)))

    async def find(self, host: str) -> Rule | None:
        await self.reach()
        for key in self.candidates(host):
            if key in self.rules:
                return self.rules[key]
        return None


MakeIngress = Callable[[Sequence[Rule]], RightIngress]


def run(make: MakeIngress) -> Contract:
    return IngressContract(
        make,
        break_backend=break_backend,
        mend_backend=mend_backend,
        stall_backend=stall_backend,
        time_limit=2.0,
    )


trial = Trial[MakeIngress](IngressContract, run, RightIngress)


@trial.breaks("shape")
class SettingNoRule(RightIngress):
    async def set_rule(self, ctx: Context, host: str, endpoint: str, /) -> bool:  # type: ignore  # the fault
        return False


@trial.breaks("found", history="x ingress: rules load in the background, so lookups miss")
class NotLoadedYet(RightIngress):
    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__([rule for rule in rules if rule.hostname != "b.example"])


@trial.breaks("missing-none")
class CoveringTheAbove(RightIngress):
    async def find(self, host: str) -> Rule | None:
        return await super().find("a.example" if host == "x.a.example" else host)


@trial.breaks("missing-none", history="x hop filter: .d.com covered badd.com")
class MatchingLetters(RightIngress):
    async def find(self, host: str) -> Rule | None:
        found = await super().find(host)
        for key, rule in self.rules.items():
            if key != "." and key.startswith(".") and host.endswith(key[1:]):
                return found or rule
        return found


@trial.breaks("wildcard-below")
class OneLabelDeep(RightIngress):
    def candidates(self, host: str) -> Iterator[str]:
        yield from (host, f".{host}", "." + host.partition(".")[2], ".")


@trial.breaks("wildcard-itself")
class OnlyBelow(RightIngress):
    def candidates(self, host: str) -> Iterator[str]:
        return (key for key in super().candidates(host) if key != f".{host}")


@trial.breaks("exact-first")
class WildcardFirst(RightIngress):
    def candidates(self, host: str) -> Iterator[str]:
        yield f".{host}"
        yield from super().candidates(host)


@trial.breaks("longest-first")
class ShortestFirst(RightIngress):
    def candidates(self, host: str) -> Iterator[str]:
        exact, itself, *above, rest = super().candidates(host)
        yield from (exact, itself, *reversed(above), rest)


@trial.breaks("longest-first")
class ItselfLast(RightIngress):
    """Takes what is above a host before the rule of the host and all below it."""

    def candidates(self, host: str) -> Iterator[str]:
        exact, itself, *above, rest = super().candidates(host)
        yield from (exact, *above, itself, rest)


class InOrder(RightIngress):
    """Looks through its rules in an order."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self.order = sorted(self.rules, key=self.weight)

    def weight(self, key: str) -> tuple[bool, int]:
        return key.startswith("."), -len(key)

    def store(self, rule: Rule) -> bool:
        stored = super().store(rule)
        self.order = [key for key in vars(self).get("order", ()) if key in self.rules]
        self.order += [key for key in self.rules if key not in self.order]
        return stored

    async def find(self, host: str) -> Rule | None:
        await self.reach()
        covering = set(self.candidates(host))
        return next((self.rules[key] for key in self.order if key in covering), None)


@trial.breaks("later-in-order")
class LaterBehind(InOrder):
    """Orders its rules when it is made."""


@trial.breaks("later-in-order")
class LaterAhead(InOrder):
    """Takes the rule that came last."""

    def store(self, rule: Rule) -> bool:
        before = set(vars(self).get("order", ()))
        stored = super().store(rule)
        self.order.sort(key=before.__contains__)
        return stored


@trial.breaks("rest")
class WithoutRest(RightIngress):
    def candidates(self, host: str) -> Iterator[str]:
        return (key for key in super().candidates(host) if key != ".")


@trial.breaks("rest")
class RestBeforeWildcards(RightIngress):
    def candidates(self, host: str) -> Iterator[str]:
        exact, *others, rest = super().candidates(host)
        yield from (exact, rest, *others)


@trial.breaks("port-ignored", history="x ingress plug-ins: the port was passed on")
class KeepingThePort(RightIngress):
    def without_port(self, host: str) -> str:
        return super().without_port(host) if host.startswith("[") else host


@trial.breaks("ipv6-host")
class CuttingAtTheColon(RightIngress):
    def without_port(self, host: str) -> str:
        return host.partition(":")[0]


@trial.breaks("host-case", history="x ingress: nobody lowered the host")
class CaseSensitive(RightIngress):
    def plain(self, host: str) -> str:
        return one_address(host) or (host if host == "." else host.removesuffix("."))


@trial.breaks("trailing-dot")
class ComparingTheDot(RightIngress):
    def plain(self, host: str) -> str:
        return one_address(host) or host.lower()


@trial.breaks("host-whole")
class HostOfAnURL(RightIngress):
    """Has a parser of URLs take off the port."""

    def without_port(self, host: str) -> str:
        if host.count(":") > 1 and not host.startswith("["):
            return host
        return urlsplit(f"//{host}").hostname or ""


@trial.breaks("own-hostname", history="x ingress plug-ins: the host that was asked for")
class EchoingTheHost(RightIngress):
    async def find(self, host: str) -> Rule | None:
        found = await super().find(host)
        return found and Rule(hostname=host, endpoint=found.endpoint)


@trial.breaks("empty-endpoint")
class KeepingEmptyRules(RightIngress):
    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self.rules |= {rule.hostname: rule for rule in rules if not rule.endpoint}


@trial.breaks("set-answer", history="501051c what set_rule came to was swallowed")
class DenyingWhatItStored(RightIngress):
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        return not await super().set_rule(ctx, rule, *opts)


@trial.breaks("set-answer")
class KeepingMisses(RightIngress):
    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self.missed: set[str] = set()

    async def find(self, host: str) -> Rule | None:
        found = None if host == "b.example" in self.missed else await super().find(host)
        if found is None:
            self.missed.add(host)
        return found


@trial.breaks("set-answer")
class KeepingTheFirst(RightIngress):
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        await self.reach()
        if rule.endpoint and rule.hostname in self.rules:
            return True
        return await super().set_rule(ctx, rule, *opts)


@trial.breaks("set-deletes")
class DeletingWhatIsBelow(RightIngress):
    """Has its rules in a tree, and takes a branch off."""

    def store(self, rule: Rule) -> bool:
        key = self.plain(rule.hostname.removeprefix("*"))
        if not rule.endpoint and key.startswith("."):
            self.rules = {one: kept for one, kept in self.rules.items() if not one.endswith(key)}
        return super().store(rule)


@trial.breaks("set-deletes")
class NeverDeleting(RightIngress):
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        if rule.endpoint:
            return await super().set_rule(ctx, rule, *opts)
        await self.reach()
        return True


@trial.breaks("options")
class ApplyingToTheClass(RightIngress):
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        for option in opts:
            option(Options)  # type: ignore  # the fault
        return await super().set_rule(ctx, rule)


@trial.breaks("concurrent")
class RememberingTheHost(RightIngress):
    host = ""

    async def find(self, host: str) -> Rule | None:
        self.host = host
        await asyncio.sleep(0)
        return await super().find(self.host)


@trial.breaks("cancelled")
class NoRuleWhenCancelled(RightIngress):
    async def find(self, host: str) -> Rule | None:
        try:
            return await super().find(host)
        except asyncio.CancelledError:
            return None


@trial.breaks("backend-broken", history="x ingress: a failed call was no rule")
class NoneOnFailure(RightIngress):
    async def find(self, host: str) -> Rule | None:
        return await super().find(host) if self.reachable else None


@trial.breaks("set-deletes")
class DeletingWhatEndsSo(RightIngress):
    def store(self, rule: Rule) -> bool:
        if not rule.endpoint:
            for key in [key for key in self.rules if key.endswith(self.plain(rule.hostname))]:
                del self.rules[key]
        return super().store(rule)


@trial.breaks("set-deletes")
class DeletingAsWritten(RightIngress):
    def store(self, rule: Rule) -> bool:
        if not rule.endpoint and rule.hostname.startswith("*"):
            return False
        return super().store(rule)


@trial.breaks("change-raises")
class RefusingOnFailure(RightIngress):
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        return self.reachable and await super().set_rule(ctx, rule, *opts)


@trial.breaks("others-kept")
class TakingHosts(RightIngress):
    def store(self, rule: Rule) -> bool:
        if rule.endpoint == "else":
            super().store(Rule(hostname=rule.hostname))
        return super().store(rule)


@trial.breaks("others-kept")
class StoringNothingTwice(RightIngress):
    def store(self, rule: Rule) -> bool:
        key = self.plain(rule.hostname.removeprefix("*"))
        return not (rule.endpoint and key in self.rules) and super().store(rule)


@trial.breaks("set-once")
class CheckingThenStoring(RightIngress):
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        key = self.plain(rule.hostname.removeprefix("*"))
        free = self.rules.get(key, rule).endpoint == rule.endpoint
        await self.reach()
        if free and rule.endpoint:
            self.rules[key] = rule
            return True
        return await super().set_rule(ctx, rule, *opts)


@trial.breaks("set-spelling")
class StoringAsWritten(RightIngress):
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        if rule.hostname != rule.hostname.lower():
            await self.reach()
            self.rules[rule.hostname] = rule
            return True
        return await super().set_rule(ctx, rule, *opts)


@trial.breaks("host-idna")
class WithoutIDNA(RightIngress):
    def plain(self, host: str) -> str:
        return super().plain(host) if host.isascii() else host


@trial.breaks("concurrent")
class RememberingTheService(RightIngress):
    options = Options()

    async def get_rule(self, ctx: Context, host: str, /, *opts: Option) -> Rule | None:
        self.options = apply(Options(), *opts)
        await asyncio.sleep(0)
        return None if self.options.service else await super().get_rule(ctx, host)


@trial.breaks("options")
class KeepingOptions(RightIngress):
    options = Options()

    async def get_rule(self, ctx: Context, host: str, /, *opts: Option) -> Rule | None:
        apply(self.options, *opts)
        return await super().get_rule(ctx, host)


@trial.breaks("cancelled")
class DeafIngress(Deaf, RightIngress): ...


@trial.breaks("next-after-failures")
class ExhaustingIngress(Exhausting, RightIngress): ...


@trial.breaks("next-after-cancelled")
class LeakingIngress(Leaking, RightIngress): ...


@trial.breaks("no-task-left")
class IngressLeavingTasks(LeavingTasks, RightIngress): ...


@trial.breaks("tasks-ended")
class WatchedIngress(Watched, RightIngress): ...


@trial.breaks("others-go-on")
class IngressOneAtATime(OneAtATime, RightIngress): ...


@trial.breaks("many-waiting")
class IngressAFewAtATime(AFewAtATime, RightIngress): ...


@trial.breaks("backend-mended")
class IngressGivingUp(GivingUp, RightIngress): ...


@trial.breaks("backend-broken")
class NoRuleForOthers(RightIngress):
    async def find(self, host: str) -> Rule | None:
        return await super().find(host) if self.reachable or host in self.rules else None


@trial.breaks("rest")
class NamesOnlyForTheRest(RightIngress):
    def candidates(self, host: str) -> Iterator[str]:
        found = super().candidates(host)
        return (key for key in found if key != "." or not host[-1:].isdigit())


@trial.breaks("port-ignored")
class CuttingKnownPorts(RightIngress):
    def without_port(self, host: str) -> str:
        return host if host.endswith(":65535") else super().without_port(host)


@trial.breaks("own-hostname")
class NamingTheRest(RightIngress):
    async def find(self, host: str) -> Rule | None:
        found = await super().find(host)
        named = found is not None and found.hostname == "."
        return Rule(hostname=host, endpoint=found.endpoint) if found and named else found


@trial.breaks("host-idna")
class WildcardsAsWritten(RightIngress):
    def plain(self, host: str) -> str:
        wild = host.startswith(".") and not host.isascii()
        return host if wild else super().plain(host)


@trial.breaks("set-spelling")
class StoringLettersAsTheyAre(RightIngress):
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        if rule.hostname.isascii():
            return await super().set_rule(ctx, rule, *opts)
        self.rules[rule.hostname] = rule
        return True


@trial.breaks("set-deletes")
class DeletedHidesWildcards(RightIngress):
    def __init__(self, rules: Sequence[Rule]) -> None:
        self.deleted: set[str] = set()
        super().__init__(rules)

    def store(self, rule: Rule) -> bool:
        (self.deleted.discard if rule.endpoint else self.deleted.add)(rule.hostname)
        return super().store(rule)

    async def find(self, host: str) -> Rule | None:
        found = await super().find(host)
        return None if host in self.deleted else found


@trial.breaks("change-hinders-none")
class OneSettingRules(RightIngress):
    """Nobody gets a rule while one sets one."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self.setting = asyncio.Lock()

    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        async with self.setting:
            return await super().set_rule(ctx, rule, *opts)

    async def find(self, host: str) -> Rule | None:
        async with self.setting:
            pass
        return await super().find(host)


@trial.breaks("changes-go-on")
class SettingOneAtATime(RightIngress):
    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self.lock = asyncio.Lock()

    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        async with self.lock:
            return await super().set_rule(ctx, rule, *opts)


@trial.breaks("change-raises")
class DeletingOutOfReach(RightIngress):
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        gone = not rule.endpoint and not self.reachable
        return gone or await super().set_rule(ctx, rule, *opts)


trial.breaks("nothing-kept")(remembering(RightIngress, "get_rule"))


@trial.breaks("nothing-kept")
class KeepingWhoSetARule(RightIngress):
    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self.set_by: dict[str, tuple[object, ...]] = {}

    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        self.set_by[self.plain(rule.hostname)] = (ctx, *opts)
        return await super().set_rule(ctx, rule, *opts)


@trial.breaks("ipv6-host")
class SpelledAsWritten(RightIngress):
    def plain(self, host: str) -> str:
        return "." * host.startswith(".") + plain(host.removeprefix("."))


@trial.breaks("claim-freed")
class DeletingBeforeStoring(RightIngress):
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        before = self.rules.get(rule.hostname)
        if before != rule:
            return await super().set_rule(ctx, rule, *opts)
        del self.rules[rule.hostname]
        try:
            return await super().set_rule(ctx, rule, *opts)
        except OSError:
            self.rules[rule.hostname] = rule
            raise


class Remembering(RightIngress):
    def __init__(self, rules: Sequence[Rule]) -> None:
        self.known: dict[str, Rule | None] = {}
        super().__init__(rules)


@trial.breaks("set-answer")
class RememberingLate(Remembering):
    """Remembers what it has found, and forgets it at each change, but not what is on its way."""

    def store(self, rule: Rule) -> bool:
        self.known.clear()
        return super().store(rule)

    async def find(self, host: str) -> Rule | None:
        if host in self.known:
            await self.reach()
            return self.known[host]
        found = await super().find(host)
        await asyncio.sleep(0)
        self.known[host] = found
        return found


@trial.breaks("set-once")
class OneOfEachSpelling(RightIngress):
    """Stores one by one the rules for a host name, as it is written."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.locks: dict[str, asyncio.Lock] = {}
        super().__init__(rules)

    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        async with self.locks.setdefault(rule.hostname, asyncio.Lock()):
            key = self.plain(rule.hostname.removeprefix("*"))
            free = self.rules.get(key, rule).endpoint == rule.endpoint
            await self.reach()
            if free and rule.endpoint:
                self.rules[key] = rule
                return True
            return self.store(rule)


@trial.breaks("set-deletes")
class RememberingAnswers(Remembering):
    """Remembers what it found for a host, until the rule of just that host is set."""

    def store(self, rule: Rule) -> bool:
        self.known.pop(self.plain(rule.hostname), None)
        return super().store(rule)

    async def find(self, host: str) -> Rule | None:
        found = await super().find(host)
        return self.known.setdefault(host, found)


@trial.breaks("claim-freed")
class KeepingTheClaim(RightIngress):
    """Has whoever comes first claim the host, and forgets the claim of a call that is cancelled."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.claims: dict[str, str] = {}
        super().__init__(rules)

    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        if rule.endpoint and self.claims.setdefault(rule.hostname, rule.endpoint) != rule.endpoint:
            return False
        stored = await super().set_rule(ctx, rule, *opts)
        self.claims.pop(rule.hostname, None)
        return stored


trials = (trial,)
