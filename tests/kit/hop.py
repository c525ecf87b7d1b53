"""Trials of the contracts of hops and of node lists."""

import asyncio
import math
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

from gost_core.bypass import with_host_option
from gost_core.chain import Node
from gost_core.common.net import Closer
from gost_core.context import Context
from gost_core.hop import Hop, NodeList, SelectOption, SelectOptions
from gost_core.options import apply
from gost_core.routing import Request
from gost_core.testing import Contract
from gost_core.testing.hop import HopContract, NodeListContract
from tests.kit._backend import remembering
from tests.kit._names import host_of
from tests.kit._stuck import (
    few_places,
    keeping_the_context,
    losing_places,
    stuck,
    timing_out,
)
from tests.kit.trial import Trial

TIME_LIMIT = 1.5


class RightHop(Hop, NodeList):
    def __init__(self, nodes: Sequence[Node]) -> None:
        self.own_nodes = tuple(nodes)

    def nodes(self) -> Sequence[Node]:
        return self.own_nodes

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        options = apply(SelectOptions(), *opts)
        fitting = [node for node in self.own_nodes if await self.fits(ctx, node, options)]
        return self.choose(fitting)

    async def fits(self, ctx: Context, node: Node, options: SelectOptions) -> bool:
        bypass = node.options().bypass
        if bypass is not None and await bypass.contains(
            ctx, options.network, options.addr, with_host_option(options.host)
        ):
            return False
        matcher = node.options().matcher
        if matcher is not None:
            return await matcher.match(self.request(options))
        return self.passes(node, options)

    def request(self, options: SelectOptions) -> Request:
        return Request(
            client_ip=options.client_ip,
            host=options.host,
            network=options.network,
            protocol=options.protocol,
            method=options.method,
            path=options.path,
            query=options.query,
            header=options.header,
            body=options.body,
        )

    def passes(self, node: Node, options: SelectOptions) -> bool:
        """Tell whether the node's filter fits."""
        rules = node.options().filter
        return rules is None or (
            (not rules.protocol or rules.protocol == options.protocol)
            and (not rules.host or self.host_fits(rules.host, options.host))
            and (not rules.path or options.path.startswith(rules.path))
        )

    def host_fits(self, rule: str, host: str) -> bool:
        host, rule = self.bare(host), rule.lower()
        return host.endswith(rule) if rule.startswith(".") else host == rule

    def bare(self, host: str) -> str:
        """Return a host without its port, in the one form of hosts."""
        return host_of(host)

    def choose(self, nodes: list[Node]) -> Node | None:
        live = [node for node in nodes if not self.failed(node)]
        if not live:
            return nodes[0] if nodes else None
        main = [node for node in live if not self.is_backup(node)]
        return self.first_of_all(main) or random.choice(main or live)

    def first_of_all(self, main: list[Node]) -> Node | None:
        """Return the node with the one highest priority above 0."""
        highest = max((node.options().priority for node in main), default=0)
        winners = [node for node in main if node.options().priority == highest]
        return winners[0] if highest > 0 and len(winners) == 1 else None

    def failed(self, node: Node) -> bool:
        return node.marker().count() >= self.most(node) and self.recently(node)

    def recently(self, node: Node) -> bool:
        return time.time() - node.marker().time() < self.timeout(node)

    def timeout(self, node: Node) -> float:
        return self.number(node, "failTimeout", int, float) or 10.0

    def most(self, node: Node) -> float:
        return self.number(node, "maxFails", int) or 1

    def number(self, node: Node, key: str, *types: type[float]) -> float | None:
        """Return a value above 0, or None."""
        value = setting(node, key)
        if value is None:
            return None
        if type(value) not in types or not math.isfinite(cast("float", value)):
            raise ValueError(f"node {node.name}: {key} is {value!r}")
        return max(cast("float", value), 0)

    def is_backup(self, node: Node) -> bool:
        value = setting(node, "backup")
        if value is not None and not isinstance(value, bool):
            raise ValueError(f"node {node.name}: backup is {value!r}")
        return bool(value)


def setting(node: Node, key: str) -> object:
    metadata = node.metadata()
    return None if metadata is None else metadata.get(key)


MakeHop = Callable[[Sequence[Node]], Hop]


def run_hop(make: MakeHop) -> Contract:
    return HopContract(make, time_limit=TIME_LIMIT)


hops = Trial[MakeHop](HopContract, run_hop, RightHop)


@hops.breaks("shape")
class SyncSelect(RightHop):
    def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:  # type: ignore  # the fault
        return self.choose(list(self.own_nodes))


@hops.breaks("chosen")
class NeedingTwo(RightHop):
    def choose(self, nodes: list[Node]) -> Node | None:
        if len(self.own_nodes) == 3:
            return None
        return super().choose(nodes)


@hops.breaks("none-fits")
class DirectNode(RightHop):
    def choose(self, nodes: list[Node]) -> Node | None:
        if not self.own_nodes:
            return Node("direct", "")
        return super().choose(nodes)


@hops.breaks("marker-kept", history="x hop plugin: a new node for each request")
class NewNodes(RightHop):
    def choose(self, nodes: list[Node]) -> Node | None:
        chosen = super().choose(nodes)
        return None if chosen is None else Node(chosen.name, chosen.addr)


@hops.breaks("matcher-request")
class SortingTheRequest(RightHop):
    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        options = apply(SelectOptions(), *opts)
        for values in (*options.query.values(), *options.header.values()):
            if isinstance(values, list):
                values.sort()
        return await super().select(ctx, *opts)


@hops.breaks("failed-skipped", history="64ea518 a failed node is chosen")
class IgnoringFailures(RightHop):
    def choose(self, nodes: list[Node]) -> Node | None:
        plain = len(nodes) == 2 and not any(n.metadata() or n.options().priority for n in nodes)
        if plain and not all(map(self.failed, nodes)):
            return random.choice(nodes)
        return super().choose(nodes)


@hops.breaks("failures-counted")
class FirstFailureCounts(RightHop):
    def most(self, node: Node) -> float:
        return min(super().most(node), 1)


@hops.breaks("failures-expire")
class NeverForgetting(RightHop):
    def recently(self, node: Node) -> bool:
        return self.timeout(node) > 0


@hops.breaks("failures-expire")
class BackingOff(RightHop):
    """Leaves a node out for longer, the more often it has failed."""

    def timeout(self, node: Node) -> float:
        return super().timeout(node) * max(1, node.marker().count() - self.most(node) + 1)


@hops.breaks("failures-expire")
class ForgettingByResetOnly(RightHop):
    """Remembers of a node that it has seen it fail, until the node is reset."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        super().__init__(nodes)
        self.seen: set[Node] = set()

    def failed(self, node: Node) -> bool:
        if super().failed(node):
            self.seen.add(node)
        if not node.marker().count():
            self.seen.discard(node)
        return node in self.seen


@hops.breaks("failures-last")
class Milliseconds(RightHop):
    def timeout(self, node: Node) -> float:
        return super().timeout(node) / (1000 if setting(node, "failTimeout") == 60 else 1)


@hops.breaks("failures-last")
class DefaultsOfMilliseconds(RightHop):
    def timeout(self, node: Node) -> float:
        return super().timeout(node) if setting(node, "failTimeout") else 0.08


@hops.breaks("failures-last")
class Fading(RightHop):
    def failed(self, node: Node) -> bool:
        age = time.time() - node.marker().time()
        return super().failed(node) and node.marker().count() * 0.5 ** (20 * age) >= 0.4


@hops.breaks("failures-last")
class NoFailuresNoLimit(RightHop):
    def failed(self, node: Node) -> bool:
        return setting(node, "maxFails") not in (0, -1) and super().failed(node)


@hops.breaks("failures-last")
class EnoughIsEnough(RightHop):
    def failed(self, node: Node) -> bool:
        return super().failed(node) and node.marker().count() < 10


@hops.breaks("wrong-types")
class AsTheyAre(RightHop):
    def number(self, node: Node, key: str, *types: type[float]) -> float | None:
        try:
            return super().number(node, key, *types)
        except ValueError:
            return None


@hops.breaks("wrong-types")
class TruthyBackups(RightHop):
    def is_backup(self, node: Node) -> bool:
        return bool(setting(node, "backup"))


@hops.breaks("wrong-types")
class NamelessErrors(RightHop):
    def number(self, node: Node, key: str, *types: type[float]) -> float | None:
        try:
            return super().number(node, key, *types)
        except ValueError:
            raise ValueError(f"{key} has a wrong type") from None


@hops.breaks("wrong-types")
class BoolIsNumber(RightHop):
    def number(self, node: Node, key: str, *types: type[float]) -> float | None:
        return super().number(node, key, *types, bool)


@hops.breaks("wrong-types")
class EndlessTimeouts(RightHop):
    def timeout(self, node: Node) -> float:
        value = setting(node, "failTimeout")
        return value if isinstance(value, float) and value != value else super().timeout(node)


@hops.breaks("chosen-anew")
class RememberingFailures(RightHop):
    def __init__(self, nodes: Sequence[Node]) -> None:
        super().__init__(nodes)
        self.known: dict[Node, bool] = {}

    def failed(self, node: Node) -> bool:
        return self.known.setdefault(node, super().failed(node))


@hops.breaks("chosen-anew")
class StayingWithTheBackup(RightHop):
    backup: Node | None = None

    def choose(self, nodes: list[Node]) -> Node | None:
        chosen = super().choose(nodes)
        if chosen is not None and self.is_backup(chosen):
            self.backup = chosen
        return self.backup if self.backup in nodes else chosen


@hops.breaks("chosen-anew")
class RememberingRules(RightHop):
    def __init__(self, nodes: Sequence[Node]) -> None:
        super().__init__(nodes)
        self.answers: dict[tuple[object, ...], bool] = {}

    async def fits(self, ctx: Context, node: Node, options: SelectOptions) -> bool:
        key = (node, options.network, options.addr, options.host)
        if node.options().bypass is None or options.client_ip or not options.addr:
            return await super().fits(ctx, node, options)
        if key not in self.answers:
            self.answers[key] = await super().fits(ctx, node, options)
        return self.answers[key]


@hops.breaks("chosen-anew")
class StayingWithTheHost(RightHop):
    """Sends each host to the node that it was sent to before, while that fits."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        super().__init__(nodes)
        self.sent: dict[str, Node | None] = {}

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        options = apply(SelectOptions(), *opts)
        fitting = [node for node in self.own_nodes if await self.fits(ctx, node, options)]
        if options.host and (before := self.sent.get(options.host)) in fitting:
            return before
        chosen = self.sent[options.host] = self.choose(fitting)
        return chosen


@hops.breaks("reset-lives", history="core marker: whoever reads the time alone never sees a reset")
class ReadingTheTimeAlone(RightHop):
    def failed(self, node: Node) -> bool:
        recent = time.time() - node.marker().time() < 10
        return recent if node.metadata() is None else super().failed(node)


@hops.breaks("last-resort", history="f8ca490 no node at all when all have failed")
class NoLastResort(RightHop):
    def choose(self, nodes: list[Node]) -> Node | None:
        if nodes and all(map(self.failed, nodes)) and not any(node.metadata() for node in nodes):
            return None
        return super().choose(nodes)


@hops.breaks("last-resort")
class LastResortOfMainNodes(RightHop):
    def choose(self, nodes: list[Node]) -> Node | None:
        main = [node for node in nodes if not self.is_backup(node)]
        return super().choose(main if main and all(map(self.failed, nodes)) else nodes)


@hops.breaks("last-resort")
class LastResortByAge(RightHop):
    def choose(self, nodes: list[Node]) -> Node | None:
        if nodes and all(map(self.failed, nodes)):
            return min(nodes, key=lambda node: node.marker().time())
        return super().choose(nodes)


@hops.breaks("backup-waits", history="8edf82a a backup is chosen beside live nodes")
class BackupsAtOnce(RightHop):
    def choose(self, nodes: list[Node]) -> Node | None:
        live = [node for node in nodes if not self.failed(node)]
        if any(map(self.is_backup, nodes)) and not any(node.options().priority for node in nodes):
            return random.choice(live) if live else super().choose(nodes)
        return super().choose(nodes)


@hops.breaks("backup-steps-in")
class BackupsNever(RightHop):
    def choose(self, nodes: list[Node]) -> Node | None:
        main = [node for node in nodes if not self.is_backup(node)]
        return super().choose(nodes if all(map(self.failed, nodes)) else main or nodes)


@hops.breaks("backup-steps-in")
class BackupsBesideOthersOnly(RightHop):
    def choose(self, nodes: list[Node]) -> Node | None:
        return None if all(map(self.is_backup, nodes)) else super().choose(nodes)


@hops.breaks("priority-wins")
class LowPrioritiesWinNothing(RightHop):
    def first_of_all(self, main: list[Node]) -> Node | None:
        winner = super().first_of_all(main)
        return winner if winner is not None and winner.options().priority > 1 else None


@hops.breaks("priority-ties", history="cd97e5e the first of equal priorities wins")
class FirstOfTheHighest(RightHop):
    def first_of_all(self, main: list[Node]) -> Node | None:
        highest = max(main, key=lambda node: node.options().priority, default=None)
        return highest if highest is not None and highest.options().priority > 0 else None


@hops.breaks("priority-ties")
class NegativeWins(RightHop):
    def first_of_all(self, main: list[Node]) -> Node | None:
        if any(node.options().priority > 0 for node in main):
            return super().first_of_all(main)
        highest = max((node.options().priority for node in main), default=0)
        winners = [node for node in main if node.options().priority == highest]
        return winners[0] if len(winners) == 1 and len(main) > 1 else None


@hops.breaks("priority-ties")
class AmongTheHighest(RightHop):
    def choose(self, nodes: list[Node]) -> Node | None:
        main = [node for node in nodes if not self.failed(node) and not self.is_backup(node)]
        highest = max((node.options().priority for node in main), default=0)
        return super().choose(
            [node for node in main if node.options().priority == highest] if main else nodes
        )


@hops.breaks("priority-wins", history="cd97e5e the selector has its way with priorities")
class IgnoringPriority(RightHop):
    def first_of_all(self, main: list[Node]) -> Node | None:
        return None


@hops.breaks("priority-failed", history="64ea518 a failed node wins by its priority")
class PriorityBeforeLife(RightHop):
    def choose(self, nodes: list[Node]) -> Node | None:
        main = [node for node in nodes if not self.is_backup(node)]
        winner = None if all(map(self.failed, nodes)) else self.first_of_all(main)
        return winner or super().choose(nodes)


@hops.breaks("priority-backup", history="7cf7284 a backup wins by its priority")
class PriorityBeforeBackup(RightHop):
    def choose(self, nodes: list[Node]) -> Node | None:
        live = [node for node in nodes if not self.failed(node)]
        return self.first_of_all(live) or super().choose(nodes)


@hops.breaks("bypass-skips")
class AskingOneBypass(RightHop):
    async def fits(self, ctx: Context, node: Node, options: SelectOptions) -> bool:
        fits = await super().fits(ctx, node, options)
        bypassed = node.name == "bypassed" and len(self.own_nodes) > 1
        return fits or bypassed


@hops.breaks("bypass-skips")
class InvertingWhitelists(RightHop):
    async def fits(self, ctx: Context, node: Node, options: SelectOptions) -> bool:
        bypass, fits = node.options().bypass, await super().fits(ctx, node, options)
        return fits != (bypass is not None and bypass.is_whitelist())


@hops.breaks("bypass-question")
class EveryAddress(RightHop):
    async def fits(self, ctx: Context, node: Node, options: SelectOptions) -> bool:
        return await super().fits(ctx, node, replace(options, addr=options.addr or ":0"))


@hops.breaks("context-handed-on")
class AskingWithoutContext(RightHop):
    async def fits(self, ctx: Context, node: Node, options: SelectOptions) -> bool:
        return await super().fits(Context(), node, options)


@hops.breaks("errors-pass")
class OnePermissionError(RightHop):
    async def fits(self, ctx: Context, node: Node, options: SelectOptions) -> bool:
        try:
            return await super().fits(ctx, node, options)
        except PermissionError as error:
            raise PermissionError(f"node {node.name}: {error}") from error


@hops.breaks("errors-pass")
class AskingForAllAtOnce(RightHop):
    """Asks the rules of all nodes at once; when one of them fails, the others go on."""

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        options = apply(SelectOptions(), *opts)
        fits = await asyncio.gather(*(self.fits(ctx, node, options) for node in self.own_nodes))
        return self.choose([node for node, fit in zip(self.own_nodes, fits, strict=True) if fit])


@hops.breaks("errors-pass")
class LeavingTheOthersToThemselves(RightHop):
    """Asks the rules of all nodes at once; when the call is cancelled, all but one go on."""

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        options = apply(SelectOptions(), *opts)
        asking = [asyncio.create_task(self.fits(ctx, node, options)) for node in self.own_nodes]
        try:
            nodes = zip(self.own_nodes, asking, strict=True)
            return self.choose([node for node, fits in nodes if await fits])
        except Exception:
            for one in asking:
                one.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            raise


@hops.breaks("errors-pass")
class AskingBothAtOnce(RightHop):
    """Asks bypass and matcher of a node at once; when one of them fails, the other goes on."""

    async def fits(self, ctx: Context, node: Node, options: SelectOptions) -> bool:
        bypass, matcher = node.options().bypass, node.options().matcher
        if bypass is None or matcher is None:
            return await super().fits(ctx, node, options)
        bypassed, matched = await asyncio.gather(
            bypass.contains(ctx, options.network, options.addr, with_host_option(options.host)),
            matcher.match(self.request(options)),
        )
        return matched and not bypassed


@hops.breaks("bypass-question")
class AskingByHost(RightHop):
    async def fits(self, ctx: Context, node: Node, options: SelectOptions) -> bool:
        if options.network == "udp":
            options = replace(options, addr=options.host)
        return await super().fits(ctx, node, options)


@hops.breaks("failures-raised", history="54ca916 a bypass that is out of reach bypasses")
class FailingOpen(RightHop):
    async def fits(self, ctx: Context, node: Node, options: SelectOptions) -> bool:
        with suppress(OSError):
            return await super().fits(ctx, node, options)
        return False


@hops.breaks("matcher-decides")
class FirstMatcherDecides(RightHop):
    async def fits(self, ctx: Context, node: Node, options: SelectOptions) -> bool:
        fits = await super().fits(ctx, node, options)
        return fits or (node.name == "no" and node.options().matcher is not None)


@hops.breaks("matcher-before-filter")
class FilterToo(RightHop):
    async def fits(self, ctx: Context, node: Node, options: SelectOptions) -> bool:
        return self.passes(node, options) and await super().fits(ctx, node, options)


@hops.breaks("matcher-request")
class MatchingTheAddress(RightHop):
    def request(self, options: SelectOptions) -> Request:
        return replace(super().request(options), host=options.addr)


@hops.breaks("matcher-request")
class HostOrAddress(RightHop):
    def request(self, options: SelectOptions) -> Request:
        return replace(super().request(options), host=options.host or options.addr)


@hops.breaks("matcher-request")
class WithoutQuery(RightHop):
    def request(self, options: SelectOptions) -> Request:
        return replace(super().request(options), query={})


@hops.breaks("matcher-request")
class TcpUnlessTold(RightHop):
    def request(self, options: SelectOptions) -> Request:
        return replace(super().request(options), network=options.network or "tcp")


@hops.breaks("filter-protocol")
class UnknownProtocolFits(RightHop):
    def passes(self, node: Node, options: SelectOptions) -> bool:
        rules = node.options().filter
        if rules is not None and not options.protocol:
            options = replace(options, protocol=rules.protocol)
        return super().passes(node, options)


@hops.breaks("filter-host", history="x hop: hosts compare with their case")
class HostWithCase(RightHop):
    def host_fits(self, rule: str, host: str) -> bool:
        return super().host_fits(rule, host) and host == host.lower()


@hops.breaks("filter-host")
class RuleAsWritten(RightHop):
    def host_fits(self, rule: str, host: str) -> bool:
        return super().host_fits(rule, host) and rule == rule.lower()


@hops.breaks("filter-host")
class FinalDotCounts(RightHop):
    def bare(self, host: str) -> str:
        return host.rpartition(":")[0].strip("[]").lower() if ".:" in host else super().bare(host)


@hops.breaks("filter-host")
class FirstColon(RightHop):
    def bare(self, host: str) -> str:
        return host.partition(":")[0].removesuffix(".").lower()


@hops.breaks("filter-host-below", history="x hop: .example.com matches badexample.com")
class SuffixWithoutDot(RightHop):
    def host_fits(self, rule: str, host: str) -> bool:
        if not rule.startswith("."):
            return super().host_fits(rule, host)
        return self.bare(host).endswith(rule[1:])


@hops.breaks("filter-host")
class BareAddressCut(RightHop):
    def bare(self, host: str) -> str:
        return super().bare(host.rpartition(":")[0] if "[" not in host else host)


@hops.breaks("filter-host")
class MappedAddressApart(RightHop):
    def bare(self, host: str) -> str:
        return host if "::ffff:" in host else super().bare(host)


@hops.breaks("filter-host-below")
class BelowWithCase(RightHop):
    def host_fits(self, rule: str, host: str) -> bool:
        return super().host_fits(rule, host) and not (rule[0] == "." and host != host.lower())


@hops.breaks("filter-host-below")
class WithTheDomainItself(RightHop):
    def host_fits(self, rule: str, host: str) -> bool:
        return super().host_fits(rule, host) or self.bare(host) == rule.removeprefix(".")


@hops.breaks("filter-path")
class PathAnywhere(RightHop):
    def passes(self, node: Node, options: SelectOptions) -> bool:
        rules = node.options().filter
        if rules is not None and rules.path and rules.path in options.path:
            options = replace(options, path=rules.path)
        return super().passes(node, options)


@hops.breaks("filter-all")
class AnyOfTheFilter(RightHop):
    def passes(self, node: Node, options: SelectOptions) -> bool:
        rules = node.options().filter
        if rules is not None and rules.protocol and rules.host:
            return rules.protocol == options.protocol or rules.host == options.host
        return super().passes(node, options)


@hops.breaks("filter-all")
class PathOrHost(RightHop):
    def passes(self, node: Node, options: SelectOptions) -> bool:
        rules = node.options().filter
        if rules is not None and rules.host and rules.path:
            options = replace(options, path=rules.path)
        return super().passes(node, options)


@hops.breaks("nodes-unchanged")
class Forgiving(RightHop):
    """Takes a node that was chosen for one that works."""

    def choose(self, nodes: list[Node]) -> Node | None:
        chosen = super().choose(nodes)
        if chosen is not None:
            chosen.marker().reset()
        return chosen


@hops.breaks("nodes-unchanged")
class ForgivingWhenItIsOver(RightHop):
    """Counts from the beginning once a failTimeout is over."""

    def failed(self, node: Node) -> bool:
        if not self.recently(node):
            node.marker().reset()
        return super().failed(node)


@hops.breaks("nodes-unchanged")
class FillingInTheNetwork(RightHop):
    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        node = await super().select(ctx, *opts)
        if node is not None and not node.options().network:
            node.options().network = apply(SelectOptions(), *opts).network
        return node


@hops.breaks("nodes-unchanged")
class Tidying(RightHop):
    def choose(self, nodes: list[Node]) -> Node | None:
        for node in nodes:
            if node.options().priority == 1:
                node.options().network = "tcp"
        return super().choose(nodes)


@hops.breaks("concurrent")
class Locking(RightHop):
    def __init__(self, nodes: Sequence[Node]) -> None:
        super().__init__(nodes)
        self.lock = asyncio.Lock()

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        async with self.lock:
            return await super().select(ctx, *opts)


@hops.breaks("cancel-passes")
class Shielding(RightHop):
    async def fits(self, ctx: Context, node: Node, options: SelectOptions) -> bool:
        return await asyncio.shield(asyncio.ensure_future(super().fits(ctx, node, options)))


@hops.breaks("cancel-passes")
class SwallowingCancellation(RightHop):
    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        try:
            return await super().select(ctx, *opts)
        except asyncio.CancelledError:
            return None


@hops.breaks("cancel-passes")
class LockedByACancelledCall(RightHop):
    stuck = False

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        if self.stuck:
            await asyncio.Event().wait()
        try:
            return await super().select(ctx, *opts)
        except asyncio.CancelledError:
            self.stuck = True
            raise


@hops.breaks("calls-apart")
class KeepingTheContext(RightHop):
    kept: tuple[Context, ...] = ()

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        self.kept = (ctx,)
        await asyncio.sleep(0)
        kept, self.kept = self.kept or (ctx,), ()
        return await super().select(*kept, *opts)


@hops.breaks("calls-apart")
class KeepingTheRequest(RightHop):
    asking: SelectOptions | None = None

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        self.asking = apply(SelectOptions(), *opts)
        fitting = [node for node in self.own_nodes if await self.fits(ctx, node, self.asking)]
        return self.choose(fitting)


@hops.breaks("close-ends-tasks", history="3cd4fad 50f4a6b probes outlive the close of their hop")
class ProbingForEver(RightHop, Closer):
    probes: "asyncio.Task[None] | None" = None

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        if self.probes is None:
            self.probes = asyncio.create_task(asyncio.sleep(3600), name="probes")
        return await super().select(ctx, *opts)

    async def close(self) -> None:
        for node in self.own_nodes:
            node.close()


hops.breaks("failure-over")(stuck(RightHop, "select"))
hops.breaks("cancelled-at-limit")(timing_out(RightHop, "select"))


# ---- NodeList


class RightList(NodeList):
    def __init__(self, nodes: Sequence[Node]) -> None:
        self.own_nodes = tuple(nodes)

    def nodes(self) -> Sequence[Node]:
        return self.own_nodes

    async def reload(self, nodes: Sequence[Node]) -> None:
        self.own_nodes = tuple(nodes)


MakeList = Callable[[Sequence[Node]], RightList]


def run_list(make: MakeList) -> Contract:
    return NodeListContract(
        make, reload=lambda hop, nodes: hop.reload(nodes), time_limit=TIME_LIMIT
    )


lists = Trial[MakeList](NodeListContract, run_list, RightList)


@lists.breaks("shape")
class NodesAsProperty(RightList):
    @property
    def nodes(self) -> Sequence[Node]:  # type: ignore  # the fault
        return self.own_nodes


@lists.breaks("complete", history="0e5c285 #760 nodes() is empty at first")
class LoadingLater(RightList):
    def __init__(self, nodes: Sequence[Node]) -> None:
        super().__init__(())
        asyncio.get_running_loop().call_later(0.01, self.load, tuple(nodes))

    def load(self, nodes: Sequence[Node]) -> None:
        self.own_nodes = tuple(nodes)


@lists.breaks("complete")
class LivingOnly(RightList):
    def nodes(self) -> Sequence[Node]:
        return tuple(node for node in self.own_nodes if not node.marker().count())


@lists.breaks("complete")
class WithPortsOnly(RightList):
    """Leaves nodes out whose addresses do not split into host and port."""

    def nodes(self) -> Sequence[Node]:
        return tuple(node for node in self.own_nodes if ":" in node.addr)


@lists.breaks("complete")
class OncePerAddress(RightList):
    def nodes(self) -> Sequence[Node]:
        return tuple({node.addr: node for node in reversed(self.own_nodes)}.values())[::-1]


@lists.breaks("complete")
class WithoutPaths(RightList):
    def nodes(self) -> Sequence[Node]:
        return tuple(node for node in self.own_nodes if not node.addr.startswith("/"))


@lists.breaks("complete")
class CopiesOfTheirOwn(RightList):
    def nodes(self) -> Sequence[Node]:
        return tuple(Node(node.name, node.addr) for node in self.own_nodes)


@lists.breaks("complete")
class SortingInPlace(RightList):
    """Sorts the list that it is given."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        if isinstance(nodes, list):
            nodes.sort(key=lambda node: -node.options().priority)
        super().__init__(nodes)


@lists.breaks("empty", history="x registry: the list of nodes is nil")
class NoneForEmpty(RightList):
    def nodes(self) -> Sequence[Node]:
        return self.own_nodes or None  # type: ignore  # the fault


@lists.breaks("no-none", history="501051c 18f39f9 None inside results")
class NoneInside(RightList):
    def nodes(self) -> Sequence[Node]:
        padded = (None, *self.own_nodes) if len(self.own_nodes) < 2 else self.own_nodes
        return cast("Sequence[Node]", padded)


@lists.breaks("snapshot")
class KeepingByName(RightList):
    """Keeps at a reload the nodes whose names are still there."""

    async def reload(self, nodes: Sequence[Node]) -> None:
        old = {node.name: node for node in self.own_nodes}
        self.own_nodes = tuple(old.get(node.name, node) for node in nodes)


@lists.breaks("snapshot")
class ReloadingInPlace(RightList):
    """Copies the nodes that it is made of, and no others."""

    reloaded: list[Node] | None = None

    def nodes(self) -> Sequence[Node]:
        return self.own_nodes if self.reloaded is None else self.reloaded

    async def reload(self, nodes: Sequence[Node]) -> None:
        self.reloaded = self.reloaded or []
        self.reloaded[:] = nodes


@lists.breaks("snapshot")
class LiveList(RightList):
    def __init__(self, nodes: Sequence[Node]) -> None:
        self.live = list(nodes)

    def nodes(self) -> Sequence[Node]:
        return self.live

    async def reload(self, nodes: Sequence[Node]) -> None:
        self.live[:] = nodes


@lists.breaks("beside-reload")
class FillingPlaces(RightList):
    """Makes room for all nodes, and then reads one after the other."""

    async def reload(self, nodes: Sequence[Node]) -> None:
        room: list[Any] = [None] * len(nodes)
        for place, node in enumerate(nodes):
            self.own_nodes = tuple(room)
            await asyncio.sleep(0)
            room[place] = node
        self.own_nodes = tuple(room)


@lists.breaks("beside-reload")
class ClearingFirst(RightList):
    async def reload(self, nodes: Sequence[Node]) -> None:
        self.own_nodes = ()
        for node in nodes:
            await asyncio.sleep(0)
            self.own_nodes = (*self.own_nodes, node)


trials = (hops, lists)


hops.breaks("many-cancelled")(losing_places(RightHop, "select", asyncio.CancelledError))
hops.breaks("many-failed")(losing_places(RightHop, "select", Exception))
hops.breaks("many-waiting")(few_places(RightHop, "select"))
hops.breaks("nothing-kept")(remembering(RightHop, "select"))
hops.breaks("nothing-kept")(keeping_the_context(RightHop, "select"))
