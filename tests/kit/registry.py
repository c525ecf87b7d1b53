"""Trials of the contract of registries."""

import contextlib
import threading
import unicodedata
from collections.abc import Callable

from gost_core.chain import Chainer, Route, RouteOption
from gost_core.context import Context
from gost_core.registry import DuplicateError, Registry
from gost_core.testing import Contract
from gost_core.testing.registry import RegistryContract
from tests.kit.trial import Trial


class Value:
    """Something to register."""

    def serve(self) -> "Value | None":
        """Tell which value this is."""
        return self

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        """Go direct."""
        return None


class Reference(Value):
    """What finds the value at each use."""

    def __init__(self, registry: "RightRegistry", name: str) -> None:
        self.registry = registry
        self.name = name

    def serve(self) -> Value | None:
        return self.registry.values.get(self.name)

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        found = self.serve()
        if found is None:
            raise OSError(f"the chain {self.name!r} is gone")
        return await found.route(ctx, network, address, *opts)


class RightRegistry:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: dict[str, Value] = {}

    def register(self, name: str, value: Value, /) -> None:
        if not name or value is None:  # pyright: ignore[reportUnnecessaryComparison]  # untyped callers
            raise ValueError("a name and a value are needed")
        with self.lock:
            if name in self.values:
                raise DuplicateError(f"{name!r} is registered")
            self.values[name] = value

    def unregister(self, name: str, /) -> None:
        self.values.pop(name, None)

    def is_registered(self, name: str, /) -> bool:
        return name in self.values

    def get(self, name: str, /) -> Value | None:
        return Reference(self, name) if name in self.values else None

    def get_all(self) -> dict[str, Value]:
        return self.values.copy()


async def follow(reference: Value) -> Value | None:
    return reference.serve()


def run(make: Callable[[], Registry[Value]]) -> Contract:
    return RegistryContract(make, value=Value, interface=Chainer, follow=follow, time_limit=2.0)


trial = Trial[Callable[[], Registry[Value]]](RegistryContract, run, RightRegistry)


@trial.breaks("duplicate-refused")
class Overwriting(RightRegistry):
    def register(self, name: str, value: Value, /) -> None:
        self.values.pop(name, None)
        super().register(name, value)


@trial.breaks("shape")
class AsyncGet(RightRegistry):
    async def get(self, name: str, /) -> Value | None:  # type: ignore  # the fault
        return super().get(name)


@trial.breaks("found")
class Forgetful(RightRegistry):
    def get(self, name: str, /) -> Value | None:
        return None


@trial.breaks("missing-none", history="x registry: a wrapper for every name that is asked for")
class Inventive(RightRegistry):
    def get(self, name: str, /) -> Value | None:
        return super().get(name) or Value()


@trial.breaks("empty-name-refused", history="x registry: register of an empty name is ignored")
class IgnoringEmptyName(RightRegistry):
    def register(self, name: str, value: Value, /) -> None:
        if name:
            super().register(name, value)


@trial.breaks("none-refused")
class AcceptingNone(RightRegistry):
    def register(self, name: str, value: Value, /) -> None:
        if not name:
            raise ValueError("a name is needed")
        with self.lock:
            if name in self.values:
                raise DuplicateError(f"{name!r} is registered")
            self.values[name] = value


@trial.breaks("none-refused")
class RemovingForNone(RightRegistry):
    def register(self, name: str, value: Value, /) -> None:
        if value is None:  # pyright: ignore[reportUnnecessaryComparison]  # untyped callers
            self.unregister(name)
        super().register(name, value)


@trial.breaks("names-exact")
class CaseInsensitive(RightRegistry):
    def is_registered(self, name: str, /) -> bool:
        return name.lower() in self.values


@trial.breaks("unregister-missing")
class Sticky(RightRegistry):
    def unregister(self, name: str, /) -> None:
        del self.values[name]


@trial.breaks("unregister-leaves-open", history="x registry: unregister closes the value")
class Closing(RightRegistry):
    def unregister(self, name: str, /) -> None:
        close = getattr(self.values.get(name), "close", None)
        if close is not None:
            close()
        super().unregister(name)


@trial.breaks("get-all-snapshot")
class LiveView(RightRegistry):
    def get_all(self) -> dict[str, Value]:
        return self.values


@trial.breaks("reference-follows")
class Fixed(RightRegistry):
    def get(self, name: str, /) -> Value | None:
        class Still(Reference):
            first = self.values.get(name)

            def serve(self) -> Value | None:
                return self.first if super().serve() else None

        return Still(self, name) if name in self.values else None


@trial.breaks("reference-follows")
class OneReference(RightRegistry):
    """Gives a reference that leads to what was asked for last."""

    def __init__(self) -> None:
        super().__init__()
        self.reference = Reference(self, "")

    def get(self, name: str, /) -> Value | None:
        self.reference.name = name
        return self.reference if name in self.values else None


@trial.breaks(
    "reference-fails-closed", history="x registry: everybody was let in while a name changed hands"
)
class RememberingReferences(RightRegistry):
    def get(self, name: str, /) -> Value | None:
        class Remembering(Reference):
            last = Value()

            def serve(self) -> Value | None:
                found = super().serve()
                self.last = self.last if found is None else found
                return self.last

            async def route(
                self, ctx: Context, network: str, address: str, /, *opts: RouteOption
            ) -> Route | None:
                return await Reference(self.registry, self.name).route(ctx, network, address)

        return Remembering(self, name) if name in self.values else None


@trial.breaks("threads")
class CheckingThenActing(RightRegistry):
    def register(self, name: str, value: Value, /) -> None:
        if not name or value is None:  # pyright: ignore[reportUnnecessaryComparison]  # untyped callers
            raise ValueError("a name and a value are needed")
        if name in self.values:
            raise DuplicateError(f"{name!r} is registered")
        self.values[name] = value


@trial.breaks("duplicate-refused")
class TakingTheSameAgain(RightRegistry):
    def register(self, name: str, value: Value, /) -> None:
        if value is None or self.values.get(name) is not value:  # pyright: ignore[reportUnnecessaryComparison]  # untyped callers
            super().register(name, value)


@trial.breaks("missing-none")
class DefaultForNoName(RightRegistry):
    def get(self, name: str, /) -> Value | None:
        return super().get(name) if name else Value()


@trial.breaks("names-exact")
class CutNames(RightRegistry):
    def register(self, name: str, value: Value, /) -> None:
        super().register(name[:255], value)

    def is_registered(self, name: str, /) -> bool:
        return super().is_registered(name[:255])


@trial.breaks("names-exact")
class RefusingBlankNames(RightRegistry):
    def register(self, name: str, value: Value, /) -> None:
        super().register(name and name.strip() and name, value)


@trial.breaks("names-exact")
class StrippingNames(RightRegistry):
    def unregister(self, name: str, /) -> None:
        super().unregister(name.strip())


@trial.breaks("names-exact")
class NormalizingNames(RightRegistry):
    def register(self, name: str, value: Value, /) -> None:
        super().register(unicodedata.normalize("NFC", name), value)

    def is_registered(self, name: str, /) -> bool:
        return super().is_registered(unicodedata.normalize("NFC", name))


@trial.breaks("unregister-leaves-open")
class ClosingWhatItRefuses(RightRegistry):
    def register(self, name: str, value: Value, /) -> None:
        try:
            super().register(name, value)
        except DuplicateError:
            getattr(value, "close", int)()
            raise


@trial.breaks("unregister-removes")
class ListingWhatWasRemoved(RightRegistry):
    """Makes its list anew when something is registered."""

    listed: dict[str, Value] | None = None

    def register(self, name: str, value: Value, /) -> None:
        super().register(name, value)
        self.listed = None

    def get_all(self) -> dict[str, Value]:
        self.listed = self.listed or super().get_all()
        return self.listed.copy()


@trial.breaks("threads-snapshot")
class CopyingWithoutTheLock(RightRegistry):
    def unregister(self, name: str, /) -> None:
        kept = self.values.copy()
        kept.pop(name, None)
        self.values = kept


@trial.breaks("reference-gone")
class DirectWhenGone(RightRegistry):
    def get(self, name: str, /) -> Value | None:
        class Direct(Reference):
            async def route(
                self, ctx: Context, network: str, address: str, /, *opts: RouteOption
            ) -> Route | None:
                found = self.serve()
                return await found.route(ctx, network, address) if found else None

        return Direct(self, name) if name in self.values else None


@trial.breaks("reference-gone")
class DirectWhenItFails(RightRegistry):
    def get(self, name: str, /) -> Value | None:
        class Direct(Reference):
            async def route(
                self, ctx: Context, network: str, address: str, /, *opts: RouteOption
            ) -> Route | None:
                if (found := self.serve()) is None:
                    return await super().route(ctx, network, address, *opts)
                with contextlib.suppress(OSError):
                    return await found.route(ctx, network, address, *opts)
                return None

        return Direct(self, name) if name in self.values else None


@trial.breaks("threads-snapshot")
class CopyingOneByOne(RightRegistry):
    def get_all(self) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for name in self.values:
            found[name] = self.values[name]
        return found


@trial.breaks("missing-none")
class NamesInASCII(RightRegistry):
    def get(self, name: str, /) -> Value | None:
        name.encode("ascii")
        return super().get(name)


@trial.breaks("empty-name-refused")
class EnteringBeforeRefusing(RightRegistry):
    def register(self, name: str, value: Value, /) -> None:
        if not name:
            self.values[name] = value
        super().register(name, value)


@trial.breaks("unregister-missing")
class RemovingOnce(RightRegistry):
    def __init__(self) -> None:
        super().__init__()
        self.removed: set[str] = set()

    def unregister(self, name: str, /) -> None:
        if name in self.removed and name not in self.values:
            raise KeyError(name)
        if name in self.values:
            self.removed.add(name)
        super().unregister(name)


class LastReference(Reference):
    last: Value | None = None

    def serve(self) -> Value | None:
        self.last = super().serve() or self.last
        return self.last


class LostReference(Reference):
    lost = False

    def serve(self) -> Value | None:
        found = super().serve()
        self.lost = self.lost or found is None
        return None if self.lost else found


class ForgivingReference(Reference):
    asked = 0

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        self.asked += 1
        return None if self.asked > 1 else await super().route(ctx, network, address, *opts)


@trial.breaks("reference-fails-closed")
class UsingTheLast(RightRegistry):
    def get(self, name: str, /) -> Value | None:
        return LastReference(self, name) if name in self.values else None


@trial.breaks("reference-follows")
class GoneForGood(RightRegistry):
    def get(self, name: str, /) -> Value | None:
        return LostReference(self, name) if name in self.values else None


@trial.breaks("reference-gone")
class ClosedAtFirst(RightRegistry):
    def get(self, name: str, /) -> Value | None:
        return ForgivingReference(self, name) if name in self.values else None


@trial.breaks("unregister-removes")
class KeepingItsReferences(RightRegistry):
    def __init__(self) -> None:
        super().__init__()
        self.references: dict[str, Value] = {}

    def get(self, name: str, /) -> Value | None:
        if name in self.values:
            self.references.setdefault(name, Reference(self, name))
        return self.references.get(name)


@trial.breaks("names-exact")
class NamesAsIdentifiers(RightRegistry):
    def plain(self, name: str) -> str:
        return name.replace("-", "_")

    def register(self, name: str, value: Value, /) -> None:
        super().register(self.plain(name), value)

    def unregister(self, name: str, /) -> None:
        super().unregister(self.plain(name))

    def is_registered(self, name: str, /) -> bool:
        return super().is_registered(self.plain(name))

    def get(self, name: str, /) -> Value | None:
        return super().get(self.plain(name))


@trial.breaks("threads-unregister")
class CheckingThenRemoving(RightRegistry):
    def unregister(self, name: str, /) -> None:
        if name in self.values:
            del self.values[name]


@trial.breaks("threads-unregister")
class CheckingThenReading(RightRegistry):
    def get(self, name: str, /) -> Value | None:
        if name not in self.values:
            return None
        self.values[name].serve()
        return Reference(self, name)


trials = (trial,)
