"""Trials of the contract of route tables."""

import asyncio
import dataclasses
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address, ip_network

from gost_core.context import Context
from gost_core.options import apply
from gost_core.router import Option, Options, Route
from gost_core.testing import Contract
from gost_core.testing.router import RouterContract
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
from tests.kit._names import one_address
from tests.kit.trial import Trial


class RightRouter(Asking):
    def __init__(
        self, routes: Sequence[Route] = (), tables: Mapping[str, Sequence[Route]] | None = None
    ) -> None:
        self.tables = {"": tuple(routes), **(tables or {})}

    async def get_route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:
        return await self.find(dst, self.tables.get(apply(Options(), *opts).id, ()))

    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        await self.ask()
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


MakeRouter = Callable[[Sequence[Route]], RightRouter]


def run(make: MakeRouter) -> Contract:
    def make_tables(tables: Mapping[str, Sequence[Route]]) -> RightRouter:
        made = make(())
        made.tables |= {name: tuple(table) for name, table in tables.items()}
        return made

    return RouterContract(
        make,
        make_tables=make_tables,
        break_backend=break_backend,
        mend_backend=mend_backend,
        stall_backend=stall_backend,
        time_limit=2.0,
    )


trial = Trial[MakeRouter](RouterContract, run, RightRouter)


@trial.breaks("shape")
class SyncRouter(RightRouter):
    def get_route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:  # type: ignore  # the fault
        return None


@trial.breaks("exact")
class AddressesOnly(RightRouter):
    def is_exact(self, dst: str, route: Route) -> bool:
        return " " not in dst and super().is_exact(dst, route)


@trial.breaks("network", history="x router: networks were looked for in the field `net`")
class ReadingTheDeprecatedField(RightRouter):
    def is_within(self, dst: str, route: Route) -> bool:
        return route.net is not None and ip_address(dst) in route.net


@trial.breaks("network")
class IPv4Only(RightRouter):
    def is_within(self, dst: str, route: Route) -> bool:
        return "." in dst and super().is_within(dst, route)


@trial.breaks("missing-none", history="core: get_route was said to ask the system's table")
class AskingTheSystem(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        return await super().find(dst, table) or (
            Route(dst="127.0.0.0/8", gateway="lo") if dst.startswith("127.") else None
        )


@trial.breaks("missing-none")
class DefaultRouteForNames(RightRouter):
    def is_within(self, dst: str, route: Route) -> bool:
        return route.dst == "0.0.0.0/0" or super().is_within(dst, route)


@trial.breaks("empty-none")
class RouteToNothing(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        return table[0] if table and not dst else await super().find(dst, table)


@trial.breaks("exact-first")
class FirstOfAny(RightRouter):
    def is_exact(self, dst: str, route: Route) -> bool:
        return super().is_exact(dst, route) or self.is_within(dst, route)


@trial.breaks("table-order")
class LongestFirst(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        def length(route: Route) -> str:
            return route.dst.partition("/")[2] or "address"

        return await super().find(dst, sorted(table, key=length, reverse=True))


@trial.breaks("gateway-verbatim")
class ParsingTheGateway(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        found = await super().find(dst, table)
        return found and dataclasses.replace(found, gateway=found.gateway.lower())


@trial.breaks("unknown-table", history="x router: the local table ignores the id")
class FallingBackToTheDefault(RightRouter):
    async def get_route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:
        table = self.tables.get(apply(Options(), *opts).id, self.tables[""])
        return await self.find(dst, table)


@trial.breaks("table-by-id")
class JoiningTheTables(RightRouter):
    async def get_route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:
        table = self.tables.get(apply(Options(), *opts).id)
        if table is None:
            return None
        return await self.find(dst, sum(map(tuple, self.tables.values()), ()))


@trial.breaks("table-by-id")
class DefaultBehindEach(RightRouter):
    """Looks into the default table for what is not in the one that is meant."""

    async def get_route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:
        table = self.tables.get(apply(Options(), *opts).id)
        return None if table is None else await self.find(dst, (*table, *self.tables[""]))


@trial.breaks("table-by-id", history="x router handler: cached by destination, not by id")
class CachingWithoutId(RightRouter):
    def __init__(self, routes: Sequence[Route] = ()) -> None:
        super().__init__(routes)
        self.cache: dict[str, Route | None] = {}

    async def get_route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:
        if dst not in self.cache:
            self.cache[dst] = await super().get_route(ctx, dst, *opts)
        return self.cache[dst]


@trial.breaks("options")
class ApplyingTwice(RightRouter):
    async def get_route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:
        return await super().get_route(ctx, dst, *opts, *opts)


@trial.breaks("concurrent")
class RememberingTheDestination(RightRouter):
    dst = ""

    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        self.dst = dst
        await asyncio.sleep(0)
        return await super().find(self.dst, table)


@trial.breaks("cancelled")
class NoRouteWhenCancelled(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        try:
            return await super().find(dst, table)
        except asyncio.CancelledError:
            return None


@trial.breaks("backend-broken", history="x router plug-ins: a failed call was no route")
class NoRouteOnFailure(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        return await super().find(dst, table) if self.reachable else None


@trial.breaks("table-by-id")
class KeepingTheId(RightRouter):
    id = ""

    async def get_route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:
        options = apply(Options(), *opts)
        if options.id in self.tables:
            self.id = options.id or self.id
            options.id = self.id
        return await self.find(dst, self.tables.get(options.id, ()))


@trial.breaks("concurrent")
class RememberingTheId(RightRouter):
    id = ""

    async def get_route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:
        self.id = apply(Options(), *opts).id
        await asyncio.sleep(0)
        return await self.find(dst, self.tables.get(self.id, ()))


@trial.breaks("cancelled")
class DeafRouter(Deaf, RightRouter): ...


@trial.breaks("next-after-failures")
class ExhaustingRouter(Exhausting, RightRouter): ...


@trial.breaks("next-after-failures")
class LookingInTasks(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        found, _ = await asyncio.gather(super().find(dst, table), self.ask_again())
        return found

    async def ask_again(self) -> None:
        for _ in range(10):
            await self.ask()


@trial.breaks("next-after-cancelled")
class LeakingRouter(Leaking, RightRouter): ...


@trial.breaks("no-task-left")
class RouterLeavingTasks(LeavingTasks, RightRouter): ...


@trial.breaks("tasks-ended")
class WatchedRouter(Watched, RightRouter): ...


@trial.breaks("others-go-on")
class RouterOneAtATime(OneAtATime, RightRouter): ...


@trial.breaks("many-waiting")
class RouterAFewAtATime(AFewAtATime, RightRouter): ...


@trial.breaks("backend-mended")
class RouterGivingUp(GivingUp, RightRouter): ...


@trial.breaks("backend-broken")
class NoRouteForOthers(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        listed = any(route.dst == dst for route in table)
        return await super().find(dst, table) if self.reachable or listed else None


@trial.breaks("network")
class ExactAsText(RightRouter):
    """Compares as text what has no mask."""

    def is_within(self, dst: str, route: Route) -> bool:
        return "/" in route.dst and super().is_within(dst, route)


@trial.breaks("network")
class HostsOnly(RightRouter):
    def is_within(self, dst: str, route: Route) -> bool:
        if not super().is_within(dst, route):
            return False
        network = ip_network(route.dst)
        return network.num_addresses == 1 or ip_address(dst) != network.broadcast_address


@trial.breaks("network")
class WholeOctets(RightRouter):
    def is_within(self, dst: str, route: Route) -> bool:
        return not route.dst.endswith("/26") and super().is_within(dst, route)


@trial.breaks("network")
class AddressesInOneSpelling(RightRouter):
    def is_within(self, dst: str, route: Route) -> bool:
        return super().is_within(dst, route) and dst == str(ip_address(dst))


@trial.breaks("network")
class ComparingNumbers(RightRouter):
    """Looks a number up in ranges, whatever its family."""

    def is_within(self, dst: str, route: Route) -> bool:
        try:
            found = ip_network(route.dst)
            return int(found[0]) <= int(ip_address(dst)) <= int(found[-1])
        except ValueError:
            return False


@trial.breaks("network")
class OneDefault(RightRouter):
    """Takes the first default route, whatever its family."""

    def is_within(self, dst: str, route: Route) -> bool:
        is_default = route.dst.endswith("/0") and bool(one_address(dst))
        return is_default or super().is_within(dst, route)


@trial.breaks("missing-none")
class ComparingTheBeginning(RightRouter):
    def is_within(self, dst: str, route: Route) -> bool:
        begin = route.dst.removesuffix(".0.0.0/8")
        return super().is_within(dst, route) or (begin != route.dst and dst.startswith(begin))


@trial.breaks("missing-none")
class NamesBelowNames(RightRouter):
    def is_exact(self, dst: str, route: Route) -> bool:
        return dst == route.dst or dst.endswith(f".{route.dst}")


@trial.breaks("exact-first")
class LookingAtThreeLines(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        kept = [one for place, one in enumerate(table) if place < 3 or one.dst != dst]
        return await super().find(dst, kept)


@trial.breaks("table-order")
class LastOfEqualLines(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        return await super().find(dst, tuple({route.dst: route for route in table}.values()))


@trial.breaks("gateway-verbatim")
class GatewaysWithoutDot(RightRouter):
    async def find(self, dst: str, table: Sequence[Route]) -> Route | None:
        found = await super().find(dst, table)
        return found and dataclasses.replace(found, gateway=found.gateway.removesuffix("."))


@trial.breaks("table-by-id")
class TablesInSmallLetters(RightRouter):
    async def get_route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:
        return await self.find(dst, self.tables.get(apply(Options(), *opts).id.lower(), ()))


@trial.breaks("table-by-id")
class JoiningQuestions(RightRouter):
    """Equal destinations share a question, whatever their tables."""

    def __init__(self, routes: Sequence[Route] = ()) -> None:
        super().__init__(routes)
        self.asked: dict[str, asyncio.Future[Route | None]] = {}

    async def get_route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:
        table = apply(Options(), *opts).id
        if table not in self.tables:
            return await self.find(dst, ())
        if dst not in self.asked:
            asking = self.find(dst, self.tables[table])
            self.asked[dst] = asyncio.create_task(asking, name="a shared question")
            self.asked[dst].add_done_callback(lambda _: self.asked.pop(dst, None))
        return await asyncio.shield(self.asked[dst])


trial.breaks("nothing-kept")(remembering(RightRouter, "get_route"))


@trial.breaks("nothing-kept")
class KeepingErrors(RightRouter):
    """Keeps its last errors for a status page, and so the frames that they went through."""

    def __init__(self, routes: Sequence[Route] = ()) -> None:
        super().__init__(routes)
        self.errors = deque[OSError](maxlen=64)

    async def get_route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:
        try:
            return await super().get_route(ctx, dst, *opts)
        except OSError as error:
            self.errors.append(error)
            raise


@trial.breaks("others-go-on")
class ForgettingTheSlower(RightRouter):
    """Asks a second server when the first is slow, and leaves the first question where it is."""

    async def ask(self) -> None:
        first = asyncio.ensure_future(super().ask())
        try:
            await asyncio.wait({first}, timeout=0.1)
        except asyncio.CancelledError:
            first.cancel()
            raise
        if not first.done():
            await super().ask()


@trial.breaks("unreachable-table")
class DefaultTableInstead(RightRouter):
    """Has its default table here, and looks into that when another is out of reach."""

    async def get_route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:
        try:
            return await super().get_route(ctx, dst, *opts)
        except OSError:
            if not apply(Options(), *opts).id:
                raise
            return next((route for route in self.tables[""] if self.is_exact(dst, route)), None)


@trial.breaks("missing-none")
class NamesBeginWithALetter(RightRouter):
    def is_within(self, dst: str, route: Route) -> bool:
        if dst[0].isdecimal():
            ip_address(dst)
        return super().is_within(dst, route)


trials = (trial,)
