"""The contract of groups of chains."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from typing import Final

from gost_core.chain import Chainer, Route, RouteOption, with_host_route_option
from gost_core.common.net import Closer, DeniedError
from gost_core.context import Context
from gost_core.metadata import Metadata, Metadatable
from gost_core.selector import FailMarker, Markable, Marker
from gost_core.testing._families.asking import APART, Asking, Waits
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import expect, owned, raises, start, within
from gost_core.testing._stage.fakes.chain import FakeChainer, FakeRoute
from gost_core.testing._stage.fakes.connections import Scene
from gost_core.testing._stage.memory import MemoryMetadata
from gost_core.testing.chain._shared import NAME, TARGET, node, target_of

__all__ = ("GroupChainerContract",)

# A selector may choose in turn, at random, by hash: what must not be chosen is looked for often.
_TIMES: Final[int] = 20
_SHORT: Final[float] = 0.02
_LONG: Final[float] = 60.0


class _Member(FakeChainer, Markable, Metadatable):
    """A chain of a group."""

    def __init__(self, failures: int = 0, **metadata: object) -> None:
        super().__init__(FakeRoute(Scene(), node(Scene(), "one")))
        self._marker = FailMarker()
        self._metadata = MemoryMetadata(**metadata)
        for _ in range(failures):
            self._marker.mark()

    @property
    def own_route(self) -> Route | None:
        """The route that it gives."""
        return self.found

    def marker(self) -> Marker:
        """Return the marker."""
        return self._marker

    def metadata(self) -> Metadata | None:
        """Return the metadata."""
        return self._metadata


class _Direct(_Member):
    """One that has no route."""

    async def route(self, ctx: Context, network: str, address: str, /, *opts: RouteOption) -> None:
        await super().route(ctx, network, address, *opts)


class GroupChainerContract(Asking, interface=Chainer, first=("answer",)):
    """What a chainer promises that chooses among chains."""

    make: Callable[[Sequence[Chainer]], Chainer] = field(kw_only=False)
    """Makes a group of the chains, in order, with any selector that goes by D45. They are lent to
    it."""

    async def _specimen(self) -> Chainer:
        return self._group()

    def _group(self, *members: Chainer) -> Chainer:
        return owned(self.make(members))

    async def _asked(self, group: Chainer) -> Route | None:
        return await within(group.route(Context(), "tcp", TARGET), "route()")

    async def _expect_only(self, wanted: _Member, *members: _Member) -> None:
        """Break the clause unless one member is chosen whenever the group is asked."""
        group = self._group(*members)
        for _ in range(_TIMES):
            found = await self._asked(group)
            expect(found is not None, "route() returned None, which is direct")
            number = members.index(wanted)
            told = f"of {len(members)} members, the answer was not that of number {number}"
            expect(found is wanted.own_route, told)

    @clause("The answer is the chosen member's, None included.", "D45")
    async def answer(self) -> None:
        await self._expect_only(one := _Member(), one)
        found = await self._asked(self._group(FakeChainer(None)))
        expect(found is None, f"the one member answered None, and the group {found!r}")

    @clause("The member is asked as the group was.", "D37", after=("answer",))
    async def question(self) -> None:
        member = _Member()
        call = self._group(member).route(Context(), "udp", TARGET, with_host_route_option(NAME))
        await within(call, "route()")
        asked = member.asked[0]
        told = asked.network, asked.address, asked.options.host
        expect(told == ("udp", TARGET, NAME), f"the member was asked {told}")

    def _waits(self) -> Waits:
        member = _Member()
        group = self._group(member)
        yield "a member", member.asked, lambda ctx: group.route(ctx, "tcp", target_of(ctx))

    async def _expect_apart(self) -> None:
        member = _Member()
        group = self._group(member)
        calls = (
            group.route(Context(), network, addr, with_host_route_option(host))
            for network, addr, host in APART
        )
        await within(asyncio.gather(*calls), "several calls at once")
        told = [(one.network, one.address, one.options.host) for one in member.asked]
        expect(sorted(told) == [*APART], f"of requests {APART} a member was told {told}")

    @clause(
        "A member that has failed is not chosen while another lives, by its maxFails and "
        "failTimeout.",
        "D43, D45",
        after=("answer",),
    )
    async def failed_avoided(self) -> None:
        for failed, live in (
            (_Member(1), _Member()),
            (_Member(2, maxFails=2, failTimeout=_LONG), _Member(1, maxFails=2)),
            (_Member(1, maxFails=0, failTimeout=0), _Member(_TIMES, failTimeout=_SHORT)),
        ):
            await asyncio.sleep(2 * _SHORT)
            await self._expect_only(live, failed, live)
        one, other = _Member(), _Member()
        group = self._group(one, other)
        for failed, live in ((one, other), (other, one)):
            failed.marker().mark()
            live.marker().reset()
            found = {await self._asked(group) is live.own_route for _ in range(_TIMES)}
            expect(found == {True}, "a member that failed meanwhile was chosen beside a live one")

    @clause(
        "When all members have failed, the first is the last resort, not a direct connection.",
        "D36, D45",
        after=("answer",),
    )
    async def last_resort(self) -> None:
        first, second = _Member(1, backup=True), _Member(1)
        # Each has failed more often once, and later once.
        for later in (first, second, second):
            later.marker().mark()
            await self._expect_only(first, first, second)
        await self._expect_only(second, second)

    @clause(
        "A value of another type in a member's metadata raises a ValueError that names the key.",
        "D45",
        after=("failed_avoided", "backups"),
    )
    async def wrong_types(self) -> None:
        wrong: Mapping[str, tuple[object, ...]] = {
            "maxFails": ("2", 1.5, True),
            "failTimeout": ("10", True, math.inf),
            "backup": ("true", 1),
        }
        for key, value in ((key, value) for key, values in wrong.items() for value in values):
            # Who has failed is asked how often he may, and for how long that counts.
            members = [_Member(int(key != "backup"), **{key: value}) for _ in range(2)]
            try:
                await self._asked(self._group(*members))
            except ValueError as error:
                named = f"a {key} of {value!r} raised {error!r}, without the key"
                expect(key in str(error), named)
            else:
                raise Broken(f"a {key} of {value!r} raised nothing")

    @clause("A backup is chosen only while no other member lives.", "D45", after=("answer",))
    async def backups(self) -> None:
        backup, other = _Member(backup=True), _Member()
        await self._expect_only(other, backup, other)
        await self._expect_only(backup, _Member(1), backup)

    @clause(
        "An OSError of the chosen member marks it and comes through; the next call chooses anew.",
        "D36, D45",
        after=("failed_avoided", "failure_over", "failures_raised"),
    )
    async def failure_marks(self) -> None:
        classes = ConnectionResetError, TimeoutError, PermissionError
        members = [_Member() for _ in classes]
        for one, error in zip(members, classes, strict=True):
            one.asked.fail_always(error("out of reach"))
        group = self._group(*members)
        for _ in members:
            await raises(self._asked(group), "route() by a member that fails", *classes)
        counts = [one.marker().count() for one in members]
        expect(counts == [1, 1, 1], f"each member failed once, and they count {counts}")
        members = [_Member() for _ in classes]
        for one in members:
            one.asked.fail_always(OSError("out of reach"))
        group = self._group(*members)
        calls = (self._asked(group) for _ in range(_TIMES))
        await asyncio.gather(*calls, return_exceptions=True)
        failures = [len(one.asked) for one in members]
        counts = [one.marker().count() for one in members]
        expect(counts == failures, f"at once, members failed {failures} times, and count {counts}")

    @clause(
        "If the chosen member fails, no other is asked in the same call.",
        "D45",
        after=("failures_raised",),
    )
    async def failure_alone(self) -> None:
        members = _Member(), _Member()
        for one in members:
            one.asked.fail_always(ConnectionResetError("out of reach"))
        with suppress(OSError):
            await self._asked(self._group(*members))
        asked = sum(len(one.asked) for one in members)
        expect(asked == 1, f"in one call, members were asked {asked} times")

    @clause(
        "A refusal by rule comes through and marks nobody; nor does a request that is malformed, "
        "an answer of None or a cancellation.",
        "D36, D43, D45",
        after=("failure_marks",),
    )
    async def refusal_marks_nobody(self) -> None:
        member = _Member()
        group = self._group(member)
        for error in (DeniedError("refused by rule"), ValueError("the address is malformed")):
            member.asked.fail(error)
            await raises(self._asked(group), f"route() by a member: {error}", type(error))
            expect(member.marker().count() == 0, f"a member was marked: {error}")
        direct = _Direct()
        await self._asked(self._group(direct))
        expect(direct.marker().count() == 0, "a member was marked that answered None")
        member.asked.hang(1)
        call = start(group.route(Context(), "tcp", TARGET))
        await member.asked.reached("the member")
        call.cancel()
        await asyncio.wait({call}, timeout=self.time_limit)
        expect(member.marker().count() == 0, "a call was cancelled, and the member was marked")

    @clause("Members are not changed: what was chosen keeps its marker.", "D44", after=("answer",))
    async def members_unchanged(self) -> None:
        for failures in (0, 2):
            member = _Member(failures)
            before = member.marker().count(), member.marker().time()
            await self._asked(self._group(member))
            after = member.marker().count(), member.marker().time()
            expect(after == before, f"count and time of a marker went from {before} to {after}")

    @clause("Closing it leaves the members open that it was lent.", "D19")
    async def members_stay_open(self) -> None:
        member = _Member()
        if isinstance(group := self.make((member,)), Closer):
            await within(group.close(), "close()")
        expect(not member.closed, "close() closed a member that others use too")
