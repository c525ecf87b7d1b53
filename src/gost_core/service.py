"""Services: a listener and a handler at work."""

from abc import abstractmethod

from typing_extensions import Protocol

from gost_core.common.net import Addr

__all__ = ("Service",)


class Service(Protocol):
    """Accepts connections and has each one handled, in a separate task.

    It is constructed over a listener and a handler that were initialized, so a local address is
    bound before it serves (D25). For each connection it makes the context: its own, or what the
    connection carries, with SESSION_ID, SOURCE_ADDRESS, DESTINATION_ADDRESS, HASH_SOURCE and
    LABELS (D28).

    Checked by :class:`gost_core.testing.service.ServiceContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def serve(self) -> None:
        """Serve until the service is closed or its listener fails. Runs once.

        After AcceptError and BindError it waits and accepts again: 1 s, doubling to 5 s, and 1 s
        again after an AcceptError or an accepted connection (D29). What goes wrong with one client,
        such as an exception of the handler, is logged and counted, and ends nothing else (D28). But
        a DeniedError is logged as information and not counted, and a cancellation is neither (D15).

        However it ends, the listener is closed then, and the handlers that still run are awaited.
        It returns once :meth:`close` was called, and raises what the listener raised otherwise
        (D29).

        Raises:
            Exception: the listener's final error. UnsupportedError, DeniedError and ValueError are
                among them, since to wait does not help with those (D16). So is a ClosedError, if
                the listener ended by itself and the service was not closed (D29).
            RuntimeError: called a second time.

        Cancelling cancels the handlers, closes their connections, and closes the listener (D29).
        """
        ...

    @abstractmethod
    def addr(self) -> Addr:
        """Return the listener's address: never None, before, during and after serving (D2)."""
        ...

    @abstractmethod
    async def close(self) -> None:
        """Close the listener, then the handler if it is a Closer.

        Handlers that run go on, and :meth:`serve` returns after them; this does not wait for them
        (D29). It may be called twice, at any time, also before serving and from inside a handler
        (D1, D22).
        """
        ...
