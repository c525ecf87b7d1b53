"""Trials of the contracts of metadata, and of what has metadata."""

from collections.abc import Callable, Mapping

from gost_core.metadata import Metadata, Metadatable
from gost_core.testing import Contract
from gost_core.testing.metadata import MetadatableContract, MetadataContract
from tests.kit.trial import Trial

# ---- Metadata


class RightMetadata:
    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = {self.plain(key): value for key, value in values.items()}

    def plain(self, key: str) -> str:
        return key.lower()

    def is_exists(self, key: str, /) -> bool:
        return self.plain(key) in self.values

    def set(self, key: str, value: object, /) -> None:
        self.values[self.plain(key)] = value

    def get(self, key: str, /) -> object:
        return self.values.get(self.plain(key))


MakeMetadata = Callable[[Mapping[str, object]], Metadata]


def run_metadata(make: MakeMetadata) -> Contract:
    return MetadataContract(make, time_limit=2.0)


metadata_trial = Trial[MakeMetadata](MetadataContract, run_metadata, RightMetadata)


@metadata_trial.breaks("shape")
class WithDefaults(RightMetadata):
    def get(self, key: str, default: object, /) -> object:  # type: ignore  # the fault
        return self.values.get(self.plain(key), default)


@metadata_trial.breaks("found")
class NumbersAsText(RightMetadata):
    def get(self, key: str, /) -> object:
        value = super().get(key)
        return str(value) if isinstance(value, int | float) else value


@metadata_trial.breaks("missing-none")
class RaisingForMissing(RightMetadata):
    def get(self, key: str, /) -> object:
        return self.values[self.plain(key)]


@metadata_trial.breaks("stored-none")
class NoneIsNothing(RightMetadata):
    def __init__(self, values: Mapping[str, object]) -> None:
        super().__init__({key: value for key, value in values.items() if value is not None})


@metadata_trial.breaks("key-case", history="9b12853 keys looked for as they are written")
class CaseSensitive(RightMetadata):
    def plain(self, key: str) -> str:
        return key


@metadata_trial.breaks("key-case")
class KeepingTheCaseOfFiles(RightMetadata):
    def __init__(self, values: Mapping[str, object]) -> None:
        super().__init__(values)
        self.values |= values

    def is_exists(self, key: str, /) -> bool:
        return key != key.upper() and super().is_exists(key)


@metadata_trial.breaks("set-stores")
class LosingNone(RightMetadata):
    def set(self, key: str, value: object, /) -> None:
        if value is not None:
            super().set(key, value)


@metadata_trial.breaks("set-replaces")
class KeepingTheFirst(RightMetadata):
    def set(self, key: str, value: object, /) -> None:
        self.values.setdefault(self.plain(key), value)


@metadata_trial.breaks("set-stores")
class RememberingWhatIsMissing(RightMetadata):
    def __init__(self, values: Mapping[str, object]) -> None:
        super().__init__(values)
        self.known: dict[str, bool] = {}

    def is_exists(self, key: str, /) -> bool:
        return self.known.setdefault(key, super().is_exists(key))


@metadata_trial.breaks("set-replaces")
class NoneReplacesNothing(RightMetadata):
    def set(self, key: str, value: object, /) -> None:
        if value is not None or not self.is_exists(key):
            super().set(key, value)


@metadata_trial.breaks("set-replaces")
class EqualIsTheSame(RightMetadata):
    def set(self, key: str, value: object, /) -> None:
        if not self.is_exists(key) or self.get(key) != value:
            super().set(key, value)


@metadata_trial.breaks("keys-whole")
class NoUnderscores(RightMetadata):
    def plain(self, key: str) -> str:
        return super().plain(key).replace("_", "").replace("-", "")


@metadata_trial.breaks("keys-whole")
class OuterKeys(RightMetadata):
    """Takes a key with a point for a key of a mapping inside."""

    def is_exists(self, key: str, /) -> bool:
        return super().is_exists(key.partition(".")[0])


@metadata_trial.breaks("keys-whole")
class SpelledOtherwise(RightMetadata):
    """Stores a key with a stroke as one without."""

    def set(self, key: str, value: object, /) -> None:
        super().set(key.replace("-", ""), value)
        super().set(key, value)


# ---- Metadatable


class RightMetadatable:
    def __init__(self) -> None:
        self.settings = RightMetadata({"maxFails": 3})

    def metadata(self) -> Metadata | None:
        return self.settings


def run_metadatable(make: Callable[[], Metadatable]) -> Contract:
    return MetadatableContract(make, time_limit=2.0)


metadatable_trial = Trial[Callable[[], Metadatable]](
    MetadatableContract, run_metadatable, RightMetadatable
)


@metadatable_trial.breaks("shape", history="30ba6d6 a wrapper hid the metadata")
class HidingMetadata:
    pass


@metadatable_trial.breaks("metadata")
class GivingAMapping(RightMetadatable):
    def metadata(self) -> Metadata | None:
        return self.settings.values  # type: ignore  # the fault


@metadatable_trial.breaks("same-each-time")
class MakingMetadata(RightMetadatable):
    def metadata(self) -> Metadata | None:
        return RightMetadata({})


@metadatable_trial.breaks("same-each-time")
class ReadingAnewLater(RightMetadatable):
    asked = 0

    def metadata(self) -> Metadata | None:
        self.asked += 1
        return self.settings if self.asked < 3 else RightMetadata({})


trials = (metadata_trial, metadatable_trial)
