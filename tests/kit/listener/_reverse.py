"""Trials of the contract of reverse listeners."""

import asyncio

from gost_core.chain import EmptyRouteError
from gost_core.common import net
from gost_core.common.net import Addr, Closer, Conn, DeniedError, UnsupportedError
from gost_core.context import Context
from gost_core.listener import (
    AcceptError,
    BindError,
    ClosedError,
    Listener,
    Option,
    Options,
)
from gost_core.metadata import Metadata
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing._stage.memory import Address, MemoryListener, MemoryMetadata
from gost_core.testing.listener import ReverseListenerContract
from tests.kit import virtual_time
from tests.kit._stuck import (
    InTurn,
    QuietEnd,
    SharingABuffer,
    closing_undisturbed,
    ending_what_it_accepted,
    giving,
    hurrying,
)
from tests.kit.listener._serving import RightWrapper, ServedConn, ServesOptions
from tests.kit.trial import Trial

TIME_LIMIT = 1.0


class RightReverse(ServesOptions, Listener):
    """Binds through its router."""

    def __init__(self, *opts: Option) -> None:
        self.options = apply(Options(), *opts)
        self.address: Addr = Address("tcp", self.options.addr)
        self.bound: net.Listener | None = None
        self.binding: asyncio.Future[net.Listener] | None = None
        self.initialized = False
        self.closed = False
        self.admitting: set[asyncio.Future[None]] = set()

    async def init(self, metadata: Metadata | None, /) -> None:
        if self.initialized:
            raise RuntimeError("this listener was initialized before")
        self.initialized = True
        if metadata is not None and metadata.is_exists("backlog"):
            raise ValueError("backlog is no setting of this listener")
        if self.options.router is None:
            raise ValueError("a reverse listener needs a router")

    async def bind(self) -> net.Listener:
        assert self.options.router is not None
        bind = self.options.router.bind(Context(), "tcp", self.options.addr)
        self.binding = asyncio.ensure_future(bind)
        try:
            bound = await self.binding
        except asyncio.CancelledError:
            if self.closed:
                raise ClosedError("this listener was closed") from None
            raise
        await self.keep(bound)
        self.address = bound.addr()
        return bound

    async def keep(self, bound: net.Listener) -> None:
        if self.closed:
            await bound.close()
            raise ClosedError("this listener was closed")
        self.bound = bound

    async def accept(self) -> Conn:
        if not self.initialized:
            raise RuntimeError("this listener is not initialized")
        if self.closed:
            raise ClosedError("this listener was closed")
        try:
            bound = self.bound or await self.bind()
        except (UnsupportedError, DeniedError, ClosedError):
            raise
        except OSError as error:
            raise BindError(error) from error
        while True:
            try:
                conn = ServedConn(await bound.accept(), self.options)
            except OSError as error:
                raise await self.broken(bound, error) from error
            if await self.is_admitted(conn):
                return conn

    async def is_admitted(self, conn: ServedConn) -> bool:
        admitting = asyncio.ensure_future(self.admit(conn))
        self.admitting.add(admitting)
        admitting.add_done_callback(self.admitting.discard)
        try:
            await asyncio.wait({admitting})
            admitting.result()
        except Exception:
            await conn.close()
            return False
        except asyncio.CancelledError:
            admitting.cancel()
            await self.abandon(conn)
            if self.closed:
                raise ClosedError("this listener was closed") from None
            raise
        return True

    async def abandon(self, conn: Conn) -> None:
        await conn.close()

    async def broken(self, bound: net.Listener, error: OSError) -> Exception:
        if self.closed:
            return ClosedError("this listener was closed")
        self.bound = None
        await bound.close()
        return AcceptError(error)

    def addr(self) -> Addr:
        return self.address

    async def close(self) -> None:
        self.closed = True
        self.end_admissions()
        self.end_binding()
        if self.bound is not None:
            await self.bound.close()

    def end_binding(self) -> None:
        if self.binding is not None:
            self.binding.cancel()

    def end_admissions(self) -> None:
        for admitting in self.admitting:
            admitting.cancel()


def run(make: type[RightReverse]) -> Contract:
    return ReverseListenerContract(
        make,
        bad_metadata=MemoryMetadata(backlog="many"),
        wrap=RightWrapper,
        elapse=virtual_time.elapse,
        time_limit=TIME_LIMIT,
    )


reverse = Trial[type[RightReverse]](ReverseListenerContract, run, RightReverse)
reverse.breaks("stuck-client")(giving(RightReverse, "accept", InTurn))
reverse.breaks("accepted-apart")(giving(RightReverse, "accept", SharingABuffer))
reverse.breaks("break-shown")(giving(RightReverse, "accept", QuietEnd))
reverse.breaks("limits-cleared")(ending_what_it_accepted(RightReverse))
reverse.breaks("accept-waits")(hurrying(RightReverse))


@reverse.breaks("cancelled-accept-loses-nothing")
class ForgettingWhoIsAsked(RightReverse):
    async def abandon(self, conn: Conn) -> None:
        """Leave it open, with nobody to accept it."""


@reverse.breaks("reverse-close-binding")
class BindingWhileClosed(RightReverse):
    def end_binding(self) -> None:
        """Leave it to the router."""


@reverse.breaks("reverse-close-binding")
class KeepingWhatCameBesideClose(RightReverse):
    async def keep(self, bound: net.Listener) -> None:
        self.bound = bound


@reverse.breaks("reverse-close")
class ClosingItsRouter(RightReverse):
    async def close(self) -> None:
        await super().close()
        if isinstance(self.options.router, Closer):
            await self.options.router.close()


@reverse.breaks("close-ends-admission")
class FinishingTheAdmission(RightReverse):
    def end_admissions(self) -> None:
        """Leave them to those who were asked."""


reverse.breaks("close-cancelled")(closing_undisturbed(RightReverse))


@reverse.breaks("close-at-once")
class LeavingTheSecondCloseEarly(RightReverse):
    async def close(self) -> None:
        if not self.closed:
            await super().close()


@reverse.breaks("reverse-binds-in-accept")
class BindingInInit(RightReverse):
    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        await self.bind()


@reverse.breaks("reverse-address", history="4d15ca5 rtcp, rudp: addr shows what was asked for")
class AskedAddress(RightReverse):
    def addr(self) -> Addr:
        return Address("tcp", self.options.addr)


@reverse.breaks("reverse-accept-error")
class BoundAnewAfterResetsOnly(RightReverse):
    async def broken(self, bound: net.Listener, error: OSError) -> Exception:
        if self.closed or isinstance(error, ConnectionError):
            return await super().broken(bound, error)
        return AcceptError(error)


@reverse.breaks("reverse-address")
class WhereItWasFirst(RightReverse):
    """Bound again, it names the address of the first time."""

    first: Addr | None = None

    async def bind(self) -> net.Listener:
        bound = await super().bind()
        self.first = self.address = self.first or self.address
        return bound


@reverse.breaks("reverse-bind-error")
class BindErrorAsItIs(RightReverse):
    async def accept(self) -> Conn:
        try:
            return await super().accept()
        except BindError as error:
            raise OSError("cannot bind") from error


@reverse.breaks("reverse-bind-cancelled")
class BindingOn(RightReverse):
    async def bind(self) -> net.Listener:
        return await asyncio.shield(asyncio.ensure_future(super().bind()))


@reverse.breaks(
    "reverse-bind-unsupported", history="#170 a bind that nobody offers is tried for ever"
)
class RetryingForEver(RightReverse):
    async def bind(self) -> net.Listener:
        try:
            return await super().bind()
        except (UnsupportedError, ValueError) as error:
            raise BindError(error) from error


@reverse.breaks("reverse-bind-unsupported")
class BindingDeniedForEver(RightReverse):
    async def bind(self) -> net.Listener:
        try:
            return await super().bind()
        except DeniedError as error:
            raise BindError(error) from error


@reverse.breaks("reverse-bind-later")
class BindingHere(RightReverse):
    """Listens on this host if its route is empty, which is direct to it."""

    async def bind(self) -> net.Listener:
        try:
            return await super().bind()
        except EmptyRouteError:
            await self.keep(MemoryListener(Address("tcp", self.options.addr)))
            assert self.bound is not None
            return self.bound


@reverse.breaks("reverse-bind-later")
class EndedByValueErrors(RightReverse):
    """Ends by a certificate that is not right, as its error is a ValueError too."""

    async def bind(self) -> net.Listener:
        try:
            return await super().bind()
        except ValueError as error:
            raise ValueError("it can never bind") from error


@reverse.breaks("reverse-bind-later")
class EndedByRefusals(RightReverse):
    async def bind(self) -> net.Listener:
        try:
            return await super().bind()
        except PermissionError as error:
            raise DeniedError("the node refuses") from error


@reverse.breaks("reverse-accept-error")
class KeepingTheDead(RightReverse):
    async def broken(self, bound: net.Listener, error: OSError) -> Exception:
        return ClosedError("this listener was closed") if self.closed else error


@reverse.breaks("close-wakes-accept", history="x rtcp: Accept after Close says to try again")
class RetryAfterClose(RightReverse):
    has_accepted = False

    async def accept(self) -> Conn:
        conn = await super().accept()
        self.has_accepted = True
        return conn

    async def broken(self, bound: net.Listener, error: OSError) -> Exception:
        raised = await super().broken(bound, error)
        return AcceptError(error) if self.has_accepted else raised


@reverse.breaks("limit-keeps-serving")
class LeavingTheBrackets(RightReverse):
    def host_of(self, addr: str) -> str:
        return addr.rpartition(":")[0]
