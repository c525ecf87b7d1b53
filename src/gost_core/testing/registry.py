"""The contract of registries."""

import contextlib
import threading
from collections.abc import Awaitable, Callable
from dataclasses import field
from typing import Final, Generic, cast

from typing_extensions import TypeVar

from gost_core.registry import DuplicateError, MissingError, Registry, require
from gost_core.testing._families.references import CLOSED, expect_closed, expect_raised
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.waiting import (
    expect,
    expect_raises,
    in_threads,
    need,
    returned,
    settle,
    within,
)

__all__ = ("RegistryContract",)

T = TypeVar("T", default=object)

_NAMES: Final[int] = 200


class RegistryContract(Contract, Generic[T], interface=Registry):
    """What a registry promises."""

    make: Callable[[], Registry[T]] = field(kw_only=False)
    """Makes an empty registry."""
    value: Callable[[], T]
    """Makes a value to register, a new one each time."""
    interface: type[object] | None = None
    """For a registry whose ``get()`` returns live references: the interface of the values."""
    follow: Callable[[T], Awaitable[T | None]] | None = None
    """For a registry whose ``get()`` returns live references: uses such a reference, and returns
    the value that served it, or None if it refused."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.interface is not None and self.interface not in CLOSED:
            raise ValueError(f"no rule says how a reference to a {self.interface} fails closed")

    @clause("What is registered under a name is there.", "D60")
    async def found(self) -> None:
        registry = self.make()
        registry.register("one", self.value())
        expect(registry.is_registered("one"), "is_registered() was False after register()")
        expect(registry.get("one") is not None, "get() returned None after register()")

    @clause("get() of a name that is not registered returns None.", "D60")
    async def missing_none(self) -> None:
        registry = self.make()
        registry.register("two", self.value())
        for name in ("one", "", "\u00f6ne", " "):
            expect(not registry.is_registered(name), f"is_registered({name!r}) was True")
            value = registry.get(name)
            expect(value is None, f"get() of the missing {name!r} returned {value!r}")
            with expect_raises(f"require() of the missing {name!r}", MissingError):
                require(registry, name)

    @clause(
        "A second value under a name raises DuplicateError, and the first stays.",
        "D60",
        after=("found",),
    )
    async def duplicate_refused(self) -> None:
        registry, first = self.make(), self.value()
        registry.register("one", first)
        for value in (self.value(), first):
            with expect_raises("register() of a name that is taken", DuplicateError):
                registry.register("one", value)
        expect(registry.get_all()["one"] is first, "the second value replaced the first")

    @clause('Registering under "" raises ValueError.', "D60")
    async def empty_name_refused(self) -> None:
        registry = self.make()
        with expect_raises('register("", value)', ValueError):
            registry.register("", self.value())
        expect(not registry.get_all(), 'register("", value) was refused, and entered')

    @clause("Registering None raises ValueError.", "D60", after=("duplicate_refused",))
    async def none_refused(self) -> None:
        registry = self.make()
        # None is no T; a program that is not type-checked passes it all the same.
        nothing = cast("T", None)
        registry.register("two", self.value())
        for name in ("one", "two"):
            with expect_raises("register(name, None)", ValueError):
                registry.register(name, nothing)
        expect(set(registry.get_all()) == {"two"}, "register(name, None) changed what is there")

    @clause(
        "Names are exact: case and spaces count.",
        "D60",
        after=("missing_none", "unregister_removes"),
    )
    async def names_exact(self) -> None:
        registry, name = self.make(), "\xf6-n"
        registry.register(name, self.value())
        near = ("\xd6-n", " \xf6-n", "\xf6-n ", " ", "\xf6", "\xf6-n\0", "o\u0308-n", "o-n")
        for other in (*near, "\xf6_n", "\xf6n", "\xf6.n", "\xf6/n", "\xf6-n@x"):
            found = registry.is_registered(other) or registry.get(other) is not None
            expect(not found, f"{other!r} was found where only {name!r} is")
            registry.unregister(other)
            expect(registry.is_registered(name), f"unregister({other!r}) removed {name!r}")
            registry.register(other, self.value())
        registry.register("n" * 300, self.value())
        found = registry.is_registered("n" * 301) or registry.get("n" * 301) is not None
        expect(not found, "a name of 301 letters was found where one of 300 is")

    @clause("Unregistering a name that is missing, or missing again, is a no-op.", "D60")
    async def unregister_missing(self) -> None:
        registry = self.make()
        registry.register("two", self.value())
        for name in ("one", "", "two", "two"):
            registry.unregister(name)
        expect(not registry.get_all(), "get_all() held something after unregister()")

    @clause(
        "Unregistering removes, and the name is free.",
        "D60",
        after=("found", "missing_none", "unregister_missing"),
    )
    async def unregister_removes(self) -> None:
        registry = self.make()
        registry.register("one", self.value())
        expect("one" in registry.get_all(), "get_all() lacked what was registered")
        # A reference that was handed out may live on, and is not handed out again.
        handed_out = registry.get("one")
        registry.unregister("one")
        expect(not registry.is_registered("one"), "is_registered() was True after unregister()")
        missing = handed_out is not None and registry.get("one") is None
        expect(missing, "get() returned something after unregister()")
        expect(not registry.get_all(), "get_all() held something after unregister()")
        second = self.value()
        registry.register("one", second)
        expect(registry.get_all()["one"] is second, "the name did not lead to its new value")

    @clause("A value is never closed, also if refused.", "D19, D60", after=("unregister_removes",))
    async def unregister_leaves_open(self) -> None:
        registry = self.make()
        value = self.value()
        closed: list[str] = []
        try:
            setattr(value, "close", lambda: closed.append("close"))  # noqa: B010 T may have none
        except AttributeError:
            need(None, "value` of a class that takes attributes to watch")
        registry.register("one", value)
        registry.unregister("one")
        registry.register("one", self.value())
        with contextlib.suppress(DuplicateError):
            registry.register("one", value)
        await settle()
        expect(not closed, "close() of a value was called that was unregistered, or refused")

    @clause("get_all() returns a snapshot: later changes do not show in it.", "D60")
    async def get_all_snapshot(self) -> None:
        registry = self.make()
        registry.register("one", self.value())
        before = registry.get_all()
        registry.register("two", self.value())
        registry.unregister("one")
        expect(set(before) == {"one"}, f"what get_all() had returned became {sorted(before)}")
        if isinstance(before, dict):
            before.clear()
            expect(registry.is_registered("two"), "clearing what get_all() returned took a value")

    @clause(
        "A live reference fails closed if its value fails or is gone, each interface its own way.",
        "D36, D60",
        after=("found", "unregister_removes"),
    )
    async def reference_gone(self) -> None:
        interface, registry, value = need(self.interface, "interface"), self.make(), self.value()
        registry.register("one", value)
        reference = returned(registry.get("one"), "get()")
        await expect_raised(reference, value, interface)
        registry.unregister("one")
        # Each time, and not only the first.
        for _ in range(2):
            await expect_closed(reference, interface)

    @clause(
        "A live reference leads to whatever is registered under its name at the time.",
        "D60",
        after=("found", "unregister_removes"),
    )
    async def reference_follows(self) -> None:
        registry, first, second, other = self.make(), *(self.value() for _ in range(3))
        registry.register("one", first)
        registry.register("two", other)
        reference, beside = registry.get("one"), registry.get("two")
        expect(await self._led_to(reference) is first, "the reference did not lead to the value")
        expect(await self._led_to(beside) is other, "a second reference led somewhere else")
        registry.unregister("one")
        await self._led_to(reference)
        registry.register("one", second)
        expect(
            await self._led_to(reference) is second,
            "the reference did not lead to the value that had replaced the first",
        )

    @clause(
        "A live reference fails closed while nothing is registered under its name.",
        "D49, D60",
        after=("reference_follows",),
    )
    async def reference_fails_closed(self) -> None:
        registry = self.make()
        registry.register("one", self.value())
        reference = registry.get("one")
        await self._led_to(reference)
        registry.unregister("one")
        expect(await self._led_to(reference) is None, "after unregister() something still answered")

    async def _led_to(self, reference: T | None) -> T | None:
        follow = need(self.follow, "follow")
        return await within(follow(returned(reference, "get()")), "`follow`")

    @clause(
        "Nothing that threads register and unregister at once is lost, and get_all() is whole.",
        "D21, D60",
        after=("get_all_snapshot", "unregister_removes"),
    )
    async def threads_snapshot(self) -> None:
        registry = self.make()
        kept = {f"kept {number}" for number in range(_NAMES)}
        for name in kept:
            registry.register(name, self.value())

        def change(number: int) -> bool:
            name = f"name {number} of {threading.get_ident()}"
            registry.register(name, self.value())
            whole = {name, *kept} <= set(registry.get_all())
            if number % 2:
                registry.unregister(name)
            return whole

        done = await in_threads(change, _NAMES // 2, "get_all() beside register()")
        expect(all(map(all, done)), "get_all() lacked what was registered, beside other threads")
        left, right = len(registry.get_all()) - _NAMES, sum(map(len, done)) // 2
        expect(left == right, f"{left} names were left of {right}, after other threads' changes")

    @clause(
        "Of threads that register one name at once, exactly one succeeds.",
        "D21, D60",
        after=("duplicate_refused",),
    )
    async def threads(self) -> None:
        registry = self.make()

        def register(number: int) -> int:
            try:
                registry.register(f"name {number}", self.value())
            except DuplicateError:
                return 0
            return 1

        done = await in_threads(register, _NAMES, "register() from threads")
        for number, of_one in enumerate(zip(*done, strict=True)):
            expect(sum(of_one) == 1, f"name {number} was registered {sum(of_one)} times")

    @clause(
        "Threads that ask for one name and unregister it at once find it or not, and none fails.",
        "D21, D60",
        after=("threads", "unregister_removes"),
    )
    async def threads_unregister(self) -> None:
        registry = self.make()
        for number in range(_NAMES):
            registry.register(f"name {number}", self.value())

        def remove(number: int) -> None:
            registry.get(f"name {number}")
            registry.unregister(f"name {number}")

        await in_threads(remove, _NAMES, "get() and unregister() from threads")
        left = [*registry.get_all()]
        expect(not left, f"threads have unregistered all names, and {left[:3]} were left")
