"""The contracts of metadata, and of what has metadata."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Final

from gost_core.metadata import Metadata, Metadatable
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.verify import examine
from gost_core.testing._run.waiting import expect, owned

__all__ = ("MetadataContract", "MetadatableContract")

_VALUES: Final[Mapping[str, object]] = {
    "maxFails": 3,
    "failTimeout": 0.5,
    "name": "A Name",
    "off": False,
    "zero": 0,
    "empty": "",
    "none": None,
    "list": ["one", "two"],
    "mapping": {"Nested-Key": 1},
    "object": object(),
}


class MetadataContract(Contract, interface=Metadata):
    """What metadata promise."""

    make: Callable[[Mapping[str, object]], Metadata] = field(kw_only=False)
    """Makes metadata of a mapping, as of a configuration file."""

    async def _specimen(self) -> Metadata:
        return self.make({})

    @clause(
        "What the metadata were made with is there, each value the same object, whatever its type.",
        "D64",
    )
    async def found(self) -> None:
        metadata = self.make(_VALUES)
        for key, value in _VALUES.items():
            found = metadata.get(key)
            expect(found is value, f"get({key!r}) returned {found!r} instead of {value!r}")

    @clause("A key that is not there gives None, and does not exist.", "D64")
    async def missing_none(self) -> None:
        for metadata in (self.make({}), self.make(_VALUES)):
            found = metadata.get("missing")
            expect(found is None, f"get() of a missing key returned {found!r}")
            expect(not metadata.is_exists("missing"), "is_exists() of a missing key was True")

    @clause(
        "is_exists() is True for what is stored, be it None, False or empty.",
        "D64",
        after=("found",),
    )
    async def stored_none(self) -> None:
        metadata = self.make(_VALUES)
        for key, value in _VALUES.items():
            expect(metadata.is_exists(key), f"is_exists({key!r}) was False; {value!r} is stored")

    @clause("Keys are found in any case.", "D64", after=("found", "stored_none"))
    async def key_case(self) -> None:
        metadata = self.make(_VALUES)
        for key in ("maxFails", "maxfails", "MAXFAILS"):
            expect(metadata.is_exists(key), f"is_exists({key!r}) was False; maxFails is stored")
            found = metadata.get(key)
            expect(found == 3, f"get({key!r}) returned {found!r}; maxFails is 3")

    @clause("set() stores a value under its key, also None.", "D64")
    async def set_stores(self) -> None:
        metadata = self.make({})
        for key, value in (("key", object()), ("none", None)):
            expect(not metadata.is_exists(key), f"is_exists({key!r}) was True before set()")
            metadata.set(key, value)
            expect(metadata.get(key) is value, "get() did not return what set() had stored")
            expect(metadata.is_exists(key), f"is_exists({key!r}) was False after set()")

    @clause(
        "set() replaces what is stored under the key in another case, whatever the two values are.",
        "D64",
        after=("key_case", "set_stores"),
    )
    async def set_replaces(self) -> None:
        metadata = self.make({"failTimeout": 1})
        for value in (2, True, 1, None, [1], [2], {"a": 1}, {"b": 2}, ""):
            metadata.set("FAILTIMEOUT", value)
            for key in ("failTimeout", "failtimeout", "FAILTIMEOUT"):
                found = metadata.get(key)
                after = f"after set('FAILTIMEOUT', {value!r})"
                expect(found is value, f"{after}, get({key!r}) returned {found!r}")

    @clause(
        "But for their case, keys are compared whole.",
        "D64",
        after=("found", "missing_none", "set_stores"),
    )
    async def keys_whole(self) -> None:
        metadata, like = self.make(_VALUES), ("max_fails", "max-fails", "max.fails", "maxFail")
        for key in (*like, "maxFailss", "Fails", "mapping.Nested-Key", "Nested-Key", "list.0"):
            found = metadata.is_exists(key), metadata.get(key)
            expect(found == (False, None), f"{key!r}, which is not stored, gave {found}")
        for key in like:
            metadata.set(key, key)
        kept = metadata.get("maxFails")
        expect(kept == 3, f"after set() of {like}, get('maxFails') returned {kept!r} and not 3")


class MetadatableContract(Contract, interface=Metadatable):
    """What something that has metadata promises."""

    make: Callable[[], Metadatable] = field(kw_only=False)
    """Makes one, with metadata."""

    def _build(self) -> Metadatable:
        return owned(self.make())

    @clause("metadata() returns a Metadata, or None.", "D43")
    async def metadata(self) -> None:
        metadata = self._build().metadata()
        if metadata is not None:
            findings = examine(metadata, Metadata)
            expect(not findings.problems, "of what it returned: " + "; ".join(findings.problems))

    @clause("metadata() returns the same object each time.", "D43")
    async def same_each_time(self) -> None:
        built = self._build()
        different = {id(one) for one in [built.metadata() for _ in range(4)]}
        expect(len(different) == 1, f"4 calls returned {len(different)} objects")
