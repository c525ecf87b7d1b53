"""Recorders: what keeps a record of traffic and addresses."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from typing_extensions import Buffer, Protocol

from gost_core.context import Context
from gost_core.options import FieldOption

__all__ = (
    "Options",
    "RECORDER_SERVICE_CLIENT_ADDRESS",
    "RECORDER_SERVICE_HANDLER",
    "RECORDER_SERVICE_HANDLER_SERIAL",
    "RECORDER_SERVICE_HANDLER_TUNNEL",
    "RECORDER_SERVICE_ROUTER_DIAL_ADDRESS",
    "RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR",
    "RecordOption",
    "RecordOptions",
    "Recorder",
    "RecorderObject",
    "metadata_record_option",
)

RECORDER_SERVICE_CLIENT_ADDRESS: Final[str] = "recorder.service.client.address"
"""Record point: a service accepted a connection; the record is the client's host, as text."""

RECORDER_SERVICE_HANDLER: Final[str] = "recorder.service.handler"
"""Record point: a handler serves a client; the record is what the handler says of the exchange, in
a form that the handler chooses, or the bytes of it (D73)."""

RECORDER_SERVICE_HANDLER_SERIAL: Final[str] = "recorder.service.handler.serial"
"""Record point: a handler exchanges bytes with a serial port; the record is a piece of them (D73).
"""

RECORDER_SERVICE_HANDLER_TUNNEL: Final[str] = "recorder.service.handler.tunnel"
"""Record point: a handler of tunnels serves a client; the record is what it says of the exchange,
in a form that the handler chooses (D73)."""

RECORDER_SERVICE_ROUTER_DIAL_ADDRESS: Final[str] = "recorder.service.router.dial.address"
"""Record point: a Router dials; the record is the target's host, as text."""

RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR: Final[str] = (
    "recorder.service.router.dial.address.error"
)
"""Record point: a Router failed to dial; the record is the target's host, as text."""


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class RecordOptions:
    """Options for one call of :meth:`Recorder.record`."""

    metadata: object = None
    """What belongs to the record, of a kind that JSON can hold; None = nothing."""


RecordOption: TypeAlias = Callable[[RecordOptions], object]


def metadata_record_option(metadata: object, /) -> RecordOption:
    """Set ``RecordOptions.metadata``.

    What belongs to the record, of a kind that JSON can hold; None = nothing.
    """
    return FieldOption(RecordOptions, "metadata", metadata)


class Recorder(Protocol):
    """Keeps records, for instance in a file.

    Concurrency: called for many connections at once. Each record is kept whole, never mixed with
    another (D55). Callers wait for it on their data path, so a slow backend needs a queue, which
    is bounded, and what it drops is logged.

    Checked by :class:`gost_core.testing.recorder.RecorderContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        """Keep one record, whole; ``b""`` is one too (D55).

        A record of written bytes is made after the write, of what was written (D55).

        Args:
            ctx: the values of the connection that the record is about.
            data: the record. The caller may change its buffer once the call has returned.
            opts: see :class:`RecordOptions`.

        Raises:
            OSError: it could not be kept. The caller logs that, and the connection goes on as if
                nothing had happened (D55).

        After cancelling, the record is there whole or not at all.

        Example::

            try:
                await recorder.record(ctx, b"192.0.2.7", metadata_record_option({"port": 443}))
            except OSError as error:
                logger.warn("not recorded:", error)
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Options:
    """How what is recorded is prepared; each record point uses what applies to it."""

    direction: bool = False
    """Begin each record with ">" for bytes that were read or "<" for bytes written (D55)."""
    timestamp_format: str = ""
    """Begin each record with the time in this form of ``strftime``; "" = no time (D55)."""
    hexdump: bool = False
    """Record bytes as a hexadecimal dump."""
    http_body: bool = False
    """Record the bodies of HTTP messages too."""
    max_body_size: int = 0
    """How many bytes of a body to record at most; 0 = the component's default, a negative number
    = none (D24)."""


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class RecorderObject:
    """A recorder and the point at which it records.

    A component uses every object whose :attr:`record` is its record point (D55).
    """

    recorder: Recorder
    """What keeps the records; not closed by the component (D19)."""
    record: str = ""
    """The record point, one of the ``RECORDER_`` constants or one that the component defines."""
    options: Options | None = None
    """How to prepare a record; None = as ``Options()``."""
    metadata: Mapping[str, object] = field(default_factory=dict[str, object], hash=False)
    """What the configuration says of this use, passed on with each record; shared, read only."""
