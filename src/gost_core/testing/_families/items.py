"""Clauses of what chooses among items: what it may choose, and what it goes by."""

import asyncio
import gc
import math
import weakref
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from typing import ClassVar, Final, Generic, TypeVar

from gost_core.context import Context
from gost_core.keys import CLIENT_ID, HASH_SOURCE, SESSION_ID
from gost_core.metadata import Metadata
from gost_core.selector import Markable, Marker
from gost_core.testing._families.calls import Calls, Methods
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    all_within,
    applies,
    ended,
    expect,
    expect_raises,
    given,
    leaving_no_task,
    need,
    owned,
    start,
    turns,
    within,
)
from gost_core.testing._stage.memory import MemoryMetadata, WatchedMetadata

__all__ = ("BY_FAILURES", "BY_WEIGHT", "ByFailures", "ByWeight")

ChooserT = TypeVar("ChooserT")
T = TypeVar("T")

BY_FAILURES: Final[tuple[str, ...]] = ("backup", "failTimeout", "maxFails")
BY_WEIGHT: Final[tuple[str, ...]] = ("weight",)

_OTHER_TYPES: Final[Mapping[str, tuple[object, ...]]] = {
    "backup": ("yes", 1, 0.0),
    "failTimeout": ("10s", True, math.inf, math.nan),
    "maxFails": ("1", True, 1.5),
    "weight": ("heavy", "3", True, 2.5),
}
# How often a choice is made where it may be one of chance: what a clause forbids then comes up at
# least once, what it asks for is never missed.
_DRAWS: Final[int] = 40
_CALLS: Final[int] = 20
# Within how many turns of the event loop a choice has come to where it waits, if it does.
_BEGUN: Final[int] = 5
_FULL: Final = Context().with_value(CLIENT_ID, "client").with_value(HASH_SOURCE, "192.0.2.1")
_LONG: Final[float] = 3600.0
_SHORT: Final[float] = 0.05


class Choice(Calls[ChooserT], Generic[ChooserT, T]):
    """The clauses of all that chooses, be it one item or several.

    Hooks: ``_choose`` has it choose among items, and returns all that may be chosen; ``_keys`` are
    what ``honours`` may name.
    """

    make: Callable[[], ChooserT] = field(kw_only=False)
    """Makes one that is to choose."""
    item: Callable[[], T]
    """Makes an item that may be chosen, neither failed nor a backup, a new one each time."""
    item_with: Callable[[Metadata], T] | None = None
    """Makes an item with this metadata, and with a marker if failures count, a new one each
    time."""
    honours: Collection[str] = ()
    """What it goes by, of the keys of metadata: selectors and strategies of ``weight``, selectors
    and filters of ``backup``, ``maxFails`` and ``failTimeout``."""

    _keys: ClassVar[Collection[str]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if others := set(self.honours) - set(self._keys):
            raise ValueError(f"`honours` names {sorted(others)}; it may name {sorted(self._keys)}")

    @abstractmethod
    async def _choose(self, chooser: ChooserT, ctx: Context, /, *items: T) -> Sequence[T | None]:
        """Have it choose, and return all that may be chosen."""

    def _build(self) -> ChooserT:
        return owned(self.make())

    async def _ready(self) -> ChooserT:
        return self._build()

    async def _methods(self, component: ChooserT) -> Methods:
        all_items: list[T] = []

        async def choose() -> None:
            items = self.item(), self.item()
            all_items.extend(items)
            _expect_mine(await self._choose(component, Context(), *items), items, all_items)

        return {"a choice": choose}

    async def _choice(self, chooser: ChooserT, ctx: Context, /, *items: T) -> Sequence[T | None]:
        return await within(self._choose(chooser, ctx, *items), f"a choice of {len(items)} items")

    def _needs(self, key: str) -> None:
        """Try the clause only if the object goes by this key."""
        need(key if key in self.honours else None, f"honours` with `{key}")

    def _with(self, **values: object) -> T:
        """Make an item with metadata."""
        return need(self.item_with, "item_with")(MemoryMetadata(**values))

    async def _draw(self, *items: T, chooser: ChooserT | None = None) -> list[T]:
        """Return whatever is chosen of ``items`` in many draws, in either order, for many."""
        chooser = self._build() if chooser is None else chooser
        drawn: list[T] = []
        for order, known in ((items, False), (items[::-1], True)):
            for number in range(_DRAWS):
                ctx = _asker(number) if known else Context()
                found = await self._choice(chooser, ctx, *order)
                chosen = [one for one in found if one is not None]
                expect(
                    bool(chosen) and len(chosen) == len(found),
                    f"{list(found)!r} was chosen of {len(items)} items",
                )
                drawn += chosen
        return drawn

    async def _cancel(self, stage: int, chooser: ChooserT, *items: T) -> None:
        """Have it choose, and cancel the call after so many turns of the event loop."""
        call = start(self._choose(chooser, Context(), *items))
        await turns(stage)
        call.cancel()
        await ended(call)

    async def _expect_never(self, unwanted: T, other: T, why: str, /, *more: T) -> None:
        """Break the clause if an item is ever chosen that must not be; ``why`` says what it is."""
        drawn = await self._draw(unwanted, other, *more)
        expect(not any(_is(one, unwanted) for one in drawn), f"an item was chosen {why}")

    @clause(
        "Items that have not failed can be chosen, whatever the context holds, and if it is empty.",
        "D28, D44",
    )
    async def chosen(self) -> None:
        chooser = self._build()
        for ctx in (Context(), _FULL):
            for count in (1, 3):
                items = [self.item() for _ in range(count)]
                found = await self._choice(chooser, ctx, *items)
                expect(
                    bool(found) and all(one is not None for one in found),
                    f"{list(found)!r} was chosen of {count} items, with {ctx!r}",
                )

    @clause(
        "Items are not changed: neither their metadata nor their markers.", "D44", after=("chosen",)
    )
    async def items_unchanged(self) -> None:
        metadata = WatchedMetadata(weight=2, failTimeout=_SHORT)
        item = need(self.item_with, "item_with")(metadata)
        if (marker := _marker(item)) is not None:
            marker.mark()
        await asyncio.sleep(2 * _SHORT)
        items = [item, *self._lent()]
        before = [*map(_state, items)]
        await self._draw(*items)
        expect(not metadata.changes, f"set() was called on metadata for {metadata.changes}")
        after = [*map(_state, items)]
        expect(after == before, f"counts and times of markers went from {before} to {after}")

    @clause(
        "Neither items nor the context are kept when the call is over.",
        "D23, D44",
        after=("chosen",),
    )
    async def items_not_kept(self) -> None:
        # The object that is asked stays, by this name.
        chooser = self._build()
        weak = type(self.item()).__weakrefoffset__ or None
        need(weak, "item` that can be weakly referenced")
        # One that is never handed in, to see whether something else keeps items.
        control = weakref.ref(self.item())
        references = await self._choose_and_forget(chooser)
        gc.collect()
        need(control() is None or None, "item` that nothing else keeps")
        kept = sum(reference() is not None for reference in references)
        expect(not kept, f"of the items and the context, {kept} were kept")

    async def _choose_and_forget(self, chooser: ChooserT) -> list["weakref.ref[object]"]:
        items, ctx = self._lent(), _FULL.with_value(SESSION_ID, "one")
        await self._choice(chooser, ctx, *items)
        return [weakref.ref(one) for one in (*items, ctx)]

    def _lent(self) -> list[T]:
        """Return items of each sort."""
        return [self.item() for _ in range(3)]

    @clause(
        "Choices for several requests at once do not mix.",
        "Go's implementations",
        after=("chosen",),
    )
    async def concurrent(self) -> None:
        chooser = self._build()
        groups = [[self.item() for _ in range(1 + n % 3)] for n in range(_CALLS)]
        choices = (self._choose(chooser, Context(), *one) for one in groups)
        found = await all_within(choices, f"{_CALLS} calls at once")
        for group, chosen in zip(groups, found, strict=True):
            _expect_mine(chosen, group, [item for group in groups for item in group])

    @clause(
        "A value of another type raises a ValueError that names the key and leaves no task: weight "
        "and maxFails are whole numbers, failTimeout finite, backup a bool; a bool is no number.",
        "D20, D45",
        after=("chosen",),
    )
    async def wrong_type_refused(self) -> None:
        need(self.honours or None, "honours")
        chooser = self._build()
        for key in self.honours:
            for value in _OTHER_TYPES[key]:
                what = f"{key}={value!r}"
                items = [self._with(**{key: value}), *(self.item() for _ in range(5))]
                with expect_raises(f"a choice of an item with {what}", ValueError):
                    try:
                        choice = self._choose(chooser, Context(), *items)
                        await within(leaving_no_task(choice, what), what)
                    except ValueError as error:
                        expect(key in str(error), f"the ValueError of {what} does not name the key")
                        raise
                await given(self._choice(chooser, Context(), *items[1:]), f"a choice after {what}")

    @clause("However many choices have failed, others work.", "D20", after=("wrong_type_refused",))
    async def next_after_failures(self) -> None:
        need(self.honours or None, "honours")
        chooser, items = self._build(), [self.item(), self.item()]
        for key in self.honours:
            wrong = self._with(**{key: _OTHER_TYPES[key][0]})
            calls = (self._choose(chooser, Context(), wrong, *items) for _ in range(_DRAWS))
            what = f"{_DRAWS} choices of an item with a {key} of another type"
            await within(asyncio.gather(*calls, return_exceptions=True), what)
        await self._draw(*items, chooser=chooser)


def _expect_mine(chosen: Sequence[T | None], items: Sequence[T], all_items: Sequence[T]) -> None:
    """Break the clause if a choice among some items chose nothing, or an item of another call."""
    expect(bool(chosen), "nothing was chosen beside other calls")
    for one in chosen:
        expect(one is not None, "None was chosen beside other calls")
        # It may be none of the items at all.
        foreign = any(one is item for item in all_items) and all(one is not item for item in items)
        expect(not foreign, "an item of another call was chosen")


def _asker(number: int) -> Context:
    """Return a context of another client, and another source, for each number."""
    client = Context().with_value(CLIENT_ID, f"client {number}")
    return client.with_value(HASH_SOURCE, f"192.0.2.{number}")


def _is(one: object, item: object) -> bool:
    """Tell whether one is an item, or stands for it, such as a copy that shares its marker."""
    marker = _marker(item)
    return one is item or (marker is not None and _marker(one) is marker)


def _marker(item: object) -> Marker | None:
    return item.marker() if isinstance(item, Markable) else None


def _state(item: object) -> str:
    marker = _marker(item)
    return "none" if marker is None else f"{marker.count()} and {marker.time()}"


class ByFailures(Choice[ChooserT, T]):
    """The clauses of those that go by failures and know backups (D45)."""

    _keys = BY_FAILURES

    def _failed(self, **values: object) -> T:
        """Make an item that has failed once, just now."""
        self._needs("maxFails")
        item = self._with(**{"failTimeout": _LONG, **values})
        self._marker(item).mark()
        return item

    def _lent(self) -> list[T]:
        failed = [self._failed()] if self.item_with and "maxFails" in self.honours else []
        return [*super()._lent(), *failed]

    def _marker(self, item: T) -> Marker:
        return need(_marker(item), "item_with` that has a marker")

    @clause(
        "An item that has failed is not chosen while another has not.", "D45", after=("chosen",)
    )
    async def failed_avoided(self) -> None:
        await self._expect_never(self._failed(), self.item(), "that has failed")

    @clause(
        "However many choices wait since all their items have failed, others go on.",
        "D22",
        after=("concurrent", "failed_avoided"),
    )
    async def others_go_on(self) -> None:
        chooser = self._build()
        for _ in range(_DRAWS):
            start(self._choose(chooser, Context(), self._failed()))
        await turns(_BEGUN)
        await self._choice(chooser, Context(), self.item())

    @clause(
        "An item has failed when it counts as many failures as its maxFails, and not before.",
        "D45",
        after=("failed_avoided",),
    )
    async def max_fails(self) -> None:
        twice = self._failed(maxFails=2)
        await self._expect_never(self._failed(), twice, "that has failed, before one that has not")
        self._marker(twice).mark()
        await self._expect_never(twice, self.item(), "that has failed twice, of 2 maxFails")

    @clause("A maxFails of 0 or less counts as 1.", "D45", after=("failed_avoided",))
    async def max_fails_default(self) -> None:
        for value in (0, -1):
            failed = self._failed(maxFails=value)
            await self._expect_never(failed, self.item(), f"that has failed, of {value} maxFails")

    @clause(
        "A failed item can be chosen again when failTimeout has passed since its last failure.",
        "D45",
        after=("failed_avoided",),
    )
    async def fail_timeout(self) -> None:
        self._needs("failTimeout")
        recovered = self._failed(failTimeout=_SHORT)
        await asyncio.sleep(2 * _SHORT)
        await self._expect_never(
            self._failed(), recovered, "that has failed, before one whose failTimeout has passed"
        )

    @clause(
        "However many failures an item has, and however often it is seen, its failTimeout is no "
        "longer.",
        "D45",
        after=("chosen_anew", "fail_timeout"),
    )
    async def fail_timeout_fixed(self) -> None:
        self._needs("failTimeout")
        chooser, failed = self._build(), self._failed()
        recovered = self._failed(failTimeout=_SHORT)
        for _ in range(_CALLS):
            self._marker(recovered).mark()
            await self._choice(chooser, Context(), failed, recovered)
        await asyncio.sleep(2 * _SHORT)
        drawn = await self._draw(failed, recovered, chooser=chooser)
        still = any(_is(one, failed) for one in drawn)
        expect(not still, f"after {_CALLS} failures, a failTimeout had not passed when it was over")

    @clause(
        "A failTimeout of 0 or less counts as 10 s, and not as none.",
        "D45",
        after=("failed_avoided",),
    )
    async def fail_timeout_default(self) -> None:
        self._needs("failTimeout")
        for value in (0, -1):
            failed = self._failed(failTimeout=value)
            why = f"that has just failed, with a failTimeout of {value}"
            await self._expect_never(failed, self.item(), why)

    @clause("An item whose marker was reset has not failed.", "D43, D45", after=("failed_avoided",))
    async def reset_restores(self) -> None:
        restored = self._failed()
        self._marker(restored).reset()
        await self._expect_never(
            self._failed(), restored, "that has failed, before one whose marker was reset"
        )

    @clause("A backup is not chosen while another item lives.", "D45", after=("chosen",))
    async def backup_waits(self) -> None:
        self._needs("backup")
        main = self._with(backup=False)
        await self._expect_never(self._with(backup=True), main, "that is a backup")
        chooser = self._build()
        for number in range(_DRAWS):
            # Items that are new, and where others have been: what is known of those is over.
            pair = [self._with(backup=bool(one)) for one in (number // 2 % 2, 1 - number // 2 % 2)]
            found = await self._choice(chooser, Context(), *pair)
            backups = any(_is(one, pair[1 - number // 2 % 2]) for one in found)
            expect(not backups, "a backup was chosen, of items that are new")

    @clause(
        "A backup is chosen when all others have failed, not before, and no more when one works.",
        "D45",
        after=("backup_waits", "chosen_anew"),
    )
    async def backup_serves(self) -> None:
        self._needs("backup")
        backup = self._with(backup=True)
        await self._expect_never(self._failed(), backup, "that has failed, before a backup")
        failed = self._failed(backup=True)
        await self._expect_never(failed, backup, "that is a backup and has failed")
        why = "that is a backup, when another had failed"
        await self._expect_never(backup, self.item(), why, self._failed())
        chooser, main = self._build(), self._failed()
        await self._draw(main, backup, chooser=chooser)
        self._marker(main).reset()
        drawn = await self._draw(main, backup, chooser=chooser)
        backups = any(_is(one, backup) for one in drawn)
        expect(not backups, "a backup was chosen when another worked again")

    @clause(
        "Each choice goes by what has failed at that moment, also after one that was cancelled.",
        "D43, D45",
        after=("reset_restores",),
    )
    async def chosen_anew(self) -> None:
        chooser, one, other = self._build(), self._failed(), self._failed()
        for stage, failed, working in ((1, one, other), (2, other, one), (3, one, other)):
            await self._cancel(stage, chooser, failed, working)
            self._marker(failed).mark()
            self._marker(working).reset()
            drawn = await self._draw(failed, working, chooser=chooser)
            lately = any(_is(one, failed) for one in drawn)
            expect(not lately, "an item was chosen that has failed since the choice before")


def _told(drawn: Sequence[T | None], items: Sequence[T]) -> list[T | None]:
    """Return those of which can be told which item they are, or stand for; None is for none."""
    told = [one for one in drawn if one is None or any(_is(one, item) for item in items)]
    applies(bool(told), "what it gives are none of the items")
    return told


class ByWeight(Choice[ChooserT, T]):
    """The clauses of those that choose one item, perhaps by its weight."""

    _keys = BY_WEIGHT

    @clause("Of no items it chooses None.", "D44")
    async def no_items(self) -> None:
        found = await self._choice(self._build(), Context())
        expect(list(found) == [None], f"{list(found)!r} was chosen of no items")

    @clause("An item of greater weight is chosen more often.", "D22, D45", after=("concurrent",))
    async def weight(self) -> None:
        self._needs("weight")
        heavy, light = self._with(weight=10_000), self._with(weight=1)
        failed = self._with(weight=1, failTimeout=_LONG)
        if (marker := _marker(failed)) is not None:
            marker.mark()
        cases = [(self.item(), light, heavy)]
        if "maxFails" in self.honours:
            cases.append((failed, light, heavy))
            if "backup" in self.honours:
                first, last = [self._with(weight=one, backup=True) for one in (1, 10_000)]
                cases.append((failed, first, last))
        for items in cases:
            chooser, drawn = self._build(), list[T | None]()
            # Where an item stands is no sign of which it is.
            await self._choice(chooser, Context(), items[-1])
            for stage in range(_DRAWS):
                await self._cancel(stage, chooser, *items)
                pair = (
                    self._choose(chooser, _asker(2 * stage + last), *one)
                    for last, one in enumerate((items, items[::-1]))
                )
                for found in await within(asyncio.gather(*pair), "2 choices at once"):
                    drawn += [one for one in found if not _is(one, failed)]
            drawn = _told(drawn, items)
            count = sum(_is(one, items[-1]) for one in drawn)
            expect(
                count >= 0.9 * len(drawn),
                f"of weights 10000, 1 and 1 the greatest was chosen {count} times of {len(drawn)}",
            )

    @clause("A weight of 0 or less counts as 1.", "D45", after=("weight",))
    async def weight_default(self) -> None:
        self._needs("weight")
        for value in (0, -10_000):
            item, one = self._with(weight=value), self._with(weight=1)
            # Those that it chooses lately: what has had its turn is not left out for good.
            drawn = _told((await self._draw(item, one))[_DRAWS:], [item, one])
            count = sum(_is(other, item) for other in drawn)
            expect(
                0 < count < len(drawn),
                f"of weights {value} and 1 the first was chosen {count} times of {len(drawn)}",
            )
