"""Rewriters: what changes the content of HTTP messages."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from typing_extensions import Buffer, Protocol

from gost_core.context import Context
from gost_core.options import FieldOption

__all__ = ("RewriteOption", "RewriteOptions", "Rewriter", "metadata_rewrite_option")


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class RewriteOptions:
    """Options for one call of :meth:`Rewriter.rewrite`."""

    metadata: object = None
    """What the content belongs to, such as the direction and the address of the request, of a kind
    that JSON can hold; None = nothing."""


RewriteOption: TypeAlias = Callable[[RewriteOptions], object]


def metadata_rewrite_option(metadata: object, /) -> RewriteOption:
    """Set ``RewriteOptions.metadata``.

    What the content belongs to, such as the direction and the address of the request, of a kind
    that JSON can hold; None = nothing.
    """
    return FieldOption(RewriteOptions, "metadata", metadata)


class Rewriter(Protocol):
    """Replaces the body of an HTTP message, or the events of an event stream, one by one.

    A body is rewritten whole, whatever its length. Nothing of one body or stream shows in another
    one (D57).

    Concurrency: the calls for one stream follow each other; those for different ones overlap
    (D57).

    Checked by :class:`gost_core.testing.rewriter.RewriterContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        """Return what replaces ``data``.

        Args:
            ctx: the request's values.
            data: a whole body, decoded, of which ``b""`` is an empty one; or one event, without the
                blank line that ends it. None comes once, at the end of an event stream, also of one
                that failed (D57). The callee neither changes nor keeps it.
            opts: see :class:`RewriteOptions`.

        Returns:
            The replacement. ``b""`` empties the body, or drops the event. An event comes back
            without the blank line that ends it, which the caller adds (D57). The answer to None is
            sent as a last event.

        Raises:
            Exception: the exchange is aborted; nothing of ``data`` is passed on (D57).
        """
        ...
