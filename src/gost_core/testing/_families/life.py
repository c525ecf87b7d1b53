"""Clauses of what is made, initialised once, and then used."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable
from contextlib import suppress

from gost_core.metadata import Metadata
from gost_core.testing._families.closers import closed_twice
from gost_core.testing._families.steps import Component, ComponentT, Made
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import closable, expect, given, need, owned, raises, within
from gost_core.testing._stage.memory import MemoryMetadata, WatchedMetadata

__all__ = ("InitialisedOnce", "LifeCycle", "ReadsSettings")


class ReadsSettings(Contract):
    """The clause of whatever has settings."""

    @abstractmethod
    def _uninitialised(self) -> Component:
        """Make one, and keep it."""

    @clause("init() reads the settings that it is given, and does not change them.", "D64")
    async def settings_unchanged(self) -> None:
        settings = WatchedMetadata()
        # A setting that must be there is missing.
        with suppress(ValueError):
            await within(self._uninitialised().init(settings), "init()")
        expect(not settings.changes, f"init() has set {settings.changes} in the metadata")


class InitialisedOnce(ReadsSettings):
    """The clauses of what is initialised, whatever it is made of."""

    async def _initialised(self) -> tuple[Component, Metadata | None]:
        """Make one, and initialise it; return it with its settings."""
        component = self._uninitialised()
        await given(component.init(None), "init()")
        return component, None

    @clause("A second init() raises RuntimeError.", "D18")
    async def init_once(self) -> None:
        component, settings = await self._initialised()
        await raises(component.init(settings), "a second init()", RuntimeError)


class LifeCycle(Made[ComponentT], InitialisedOnce):
    """The clauses of a component's life."""

    bad_setting: tuple[str, object] | None = None
    """A key of its settings, and a value of a wrong type for it."""

    @abstractmethod
    def _first_use(self, component: ComponentT, /) -> Awaitable[object]:
        """Use it, as one does after init()."""

    async def _initialised(self) -> tuple[Component, Metadata | None]:
        return await self._ready(), self.metadata

    def _uninitialised(self) -> Component:
        return self._made()

    @clause("It can be made where no event loop runs.", "D18")
    async def made_without_loop(self) -> None:
        owned(await within(asyncio.to_thread(self.make), "making it in a thread"))

    @clause("init(None), or with empty metadata, means that nothing is set.", "D18, D64")
    async def init_without_metadata(self) -> None:
        for metadata in (None, MemoryMetadata()):
            try:
                await within(self._made().init(metadata), "init() without metadata")
            except ValueError:
                # A setting that must be there is missing.
                if self.metadata is None:
                    raise

    @clause("Use before init() raises RuntimeError.", "D18")
    async def use_before_init(self) -> None:
        await raises(self._first_use(self._made()), "use before init()", RuntimeError)

    @clause("init() raises a ValueError that names the key, if a setting is wrong.", "D18, D64")
    async def bad_setting_named(self) -> None:
        key, _ = need(self.bad_setting, "bad_setting")
        try:
            await within(self._made().init(self._wrong_metadata()), "init()")
        except ValueError as error:
            named = key.lower() in str(error).lower()
            expect(named, f"init() with a wrong {key!r} raised {describe(error)}")
        else:
            raise Broken(f"init() with a wrong {key!r} raised nothing instead of ValueError")

    @clause("If it has a close(), that may be called twice at any time, also before init().", "D18")
    async def close_any_time(self) -> None:
        await closed_twice(closable(self._made()))
        for metadata in (self.metadata, self._wrong_metadata()):
            component = self._made()
            with suppress(ValueError):
                await within(component.init(metadata), "init()")
            await closed_twice(closable(component))

    def _wrong_metadata(self) -> Metadata | None:
        """Return metadata with the wrong setting, if one is known."""
        if self.bad_setting is None:
            return self.metadata
        return _With(self.metadata, *self.bad_setting)


class _With(MemoryMetadata):
    """Metadata with one more setting."""

    def __init__(self, metadata: Metadata | None, key: str, value: object) -> None:
        super().__init__(**{key: value})
        self._others = metadata or MemoryMetadata()

    def is_exists(self, key: str, /) -> bool:
        """Tell whether the key is there."""
        return super().is_exists(key) or self._others.is_exists(key)

    def get(self, key: str, /) -> object:
        """Return a value."""
        return super().get(key) if super().is_exists(key) else self._others.get(key)
