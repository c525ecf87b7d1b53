"""Settings of a component: what its configuration says beyond the contract's own options."""

from abc import abstractmethod

from typing_extensions import Protocol, runtime_checkable

__all__ = ("Metadata", "Metadatable")


class Metadata(Protocol):
    """Named settings, as a configuration file holds them.

    Keys are case-insensitive: what is stored as ``maxFails`` is found as ``maxfails`` (D64). Values
    are bool, int, float, str, lists and mappings of these, or, between parts of one program, any
    object; nested values are shared, and must not be changed. A component reads its metadata in
    ``init()`` and raises a ValueError that names the key for a value of the wrong type or out of
    range. Numbers are finite, and counts are whole. A setting that is blank or repeated is a
    ValueError too, since what is ignored could leave a door open. Other components, such as an
    Ingress or an SD, are handed to constructors and not put into metadata (D64).

    Concurrency: :meth:`set` is called only before the object is handed over; from then on it is
    read only and may be read from anywhere.

    Checked by :class:`gost_core.testing.metadata.MetadataContract`.
    """

    __slots__ = ()

    @abstractmethod
    def is_exists(self, key: str, /) -> bool:
        """Tell whether something is stored under ``key``, be it None.

        Example::

            metadata.set("interface", None)
            assert metadata.is_exists("Interface")
            assert not metadata.is_exists("netns")
        """
        ...

    @abstractmethod
    def set(self, key: str, value: object, /) -> None:
        """Store ``value`` under ``key`` in place of what was there.

        Only the maker of the metadata calls this, before handing it over (D64).
        """
        ...

    @abstractmethod
    def get(self, key: str, /) -> object:
        """Return what is stored under ``key``; None also if nothing is.

        Example::

            limit = metadata.get("maxFails")
            if limit is not None and type(limit) is not int:
                raise ValueError(f"maxFails: a whole number is needed, not {limit!r}")
        """
        ...


@runtime_checkable
class Metadatable(Protocol):
    """Something that has metadata, such as a node.

    A Chainer, Hop or connection that has some shows it in the same way; a wrapper around one
    forwards it, else the settings are lost to selectors.

    Checked by :class:`gost_core.testing.metadata.MetadatableContract`.
    """

    __slots__ = ()

    @abstractmethod
    def metadata(self) -> Metadata | None:
        """Return the metadata, the same object each time, or None if there is none (D43)."""
        ...
