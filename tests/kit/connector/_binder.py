"""Trials of the contract of connectors that can have their node listen."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from typing_extensions import Buffer

from gost_core.common.net import (
    Addr,
    ClosedError,
    Conn,
    Listener,
)
from gost_core.connector import (
    Binder,
    BindOption,
    BindOptions,
    BindUnsupportedError,
    Connector,
)
from gost_core.context import Context
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing._stage.memory import Address
from gost_core.testing._stage.streams import ALL
from gost_core.testing.connector import BinderContract
from tests.kit._stuck import (
    Hurried,
    closing_undisturbed,
    ending_at_the_limit,
    few_places,
    keeping_the_conns,
    keeping_the_context,
    losing_places,
    stuck,
    with_one_object,
)
from tests.kit.connector._connector import (
    CancelledAsTimeout,
    EndingASecondLater,
    ExpectingAWord,
    Locking,
    MalformedAsValue,
    ReadingOn,
    RefusedAsReset,
    RightConnector,
    WatchingAfterCancelling,
    WatchingAfterFailure,
    pass_limit,
)
from tests.kit.connector._protocol import (
    Tunnel,
    Visit,
    malformed_proxy,
    proxy,
    refusing_proxy,
    unable_proxy,
)
from tests.kit.dialer._protocol import TIME_LIMIT, Stream, mixed
from tests.kit.trial import Trial


class TunnelListener(Listener):
    def __init__(self, tunnel: Tunnel, addr: Addr) -> None:
        self.tunnel = tunnel
        self.bound = addr
        self.closed = False

    async def accept(self) -> Conn:
        while not self.closed:
            if self.tunnel.arrived:
                return self.tunnel.arrived.popleft()
            if self.tunnel.ended:
                raise ConnectionResetError("the node is gone")
            self.tunnel.changed.clear()
            await self.tunnel.changed.wait()
        raise ClosedError("the listener was closed")

    async def close(self) -> None:
        self.closed = True
        self.tunnel.changed.set()
        await self.tunnel.finish()

    def addr(self) -> Addr:
        return self.bound


class RightBinder(RightConnector, Binder):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        self.check_ready()
        options = apply(BindOptions(), *opts)
        answer = await self.ask(conn, "bind", self.kind(network), self.wish(address))
        bound = Address(network, answer.partition(" ")[2])
        return self.listener(self.tunnel(conn, options), bound, options, address)

    def wish(self, address: str) -> str:
        return address or ":0"

    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return Tunnel(conn)

    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return TunnelListener(tunnel, bound)


def run_binder(make: Callable[[], Connector]) -> Contract:
    return BinderContract(
        make,
        node=proxy,
        networks=("tcp", "udp"),
        refusing=refusing_proxy,
        garbling=malformed_proxy,
        incapable=unable_proxy,
        pass_limit=pass_limit,
        time_limit=TIME_LIMIT,
    )


binders = Trial[Callable[[], Connector]](BinderContract, run_binder, RightBinder)

ASKING_FAULTS: Final[tuple[tuple[str, type[RightConnector]], ...]] = (
    ("node-dies", ExpectingAWord),
    ("refused", RefusedAsReset),
    ("malformed", MalformedAsValue),
    ("failure-frees", WatchingAfterFailure),
    ("cancel-frees", WatchingAfterCancelling),
    ("cancellable", CancelledAsTimeout),
    ("cancellable", ReadingOn),
    ("silent-alone", Locking),
    ("limits-cleared", EndingASecondLater),
)
for clause, asking in ASKING_FAULTS:
    binders.breaks(clause)(mixed(asking, RightBinder))


@binders.breaks("shape")
class WithoutBindOptions(RightBinder):
    async def bind(  # type: ignore  # the fault
        self, ctx: Context, conn: Conn, network: str, address: str, /
    ) -> Listener:
        return await super().bind(ctx, conn, network, address)


@binders.breaks("binds")
class ListeningNowhere(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return None  # type: ignore  # the fault


@binders.breaks("outlives-call", history="221144f the listener depended on the call's limit")
class EndingWithTheBind(RightBinder):
    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        tunnel = super().tunnel(conn, options)
        call = asyncio.current_task()
        assert call is not None
        call.add_done_callback(lambda _: tunnel.receiving.cancel())
        return tunnel


@binders.breaks("address-forms", history="b8d9c79 ca767cc the wildcard was put before all of :port")
class JoiningTheWhole(RightBinder):
    def wish(self, address: str) -> str:
        return (
            f"0.0.0.0:{address}" if address.startswith(":") and address != ":0" else address or ":0"
        )


@binders.breaks("address-forms", history='74a8f7c "" was no address')
class NeedingAPort(RightBinder):
    def wish(self, address: str) -> str:
        _, port = address.split(":", 1) if not address.startswith("[") else ("", "0")
        return address if port else ":0"


@binders.breaks("address-forms", history="03f4b12 an IPv4 literal is bound as IPv6")
class EverywhereAsIPv6(RightBinder):
    def wish(self, address: str) -> str:
        return super().wish(address).replace("0.0.0.0", "[::]")


@binders.breaks("address-forms")
class LosingTheBrackets(RightBinder):
    def wish(self, address: str) -> str:
        return super().wish(address).replace("[", "").replace("]", "")


@binders.breaks("address-forms")
class IPv4AsEverywhere(RightBinder):
    def wish(self, address: str) -> str:
        return super().wish(address).replace("0.0.0.0", "")


@binders.breaks("concurrent")
class KeepingTheAddress(RightBinder):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        self.address = address
        await asyncio.sleep(0)
        return await super().bind(ctx, conn, network, self.address, *opts)


@binders.breaks("bound-address", history="4d15ca5 addr() was what had been asked for")
class TellingTheWish(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return TunnelListener(tunnel, Address("tcp", address))


class Anonymous(Tunnel):
    def visit(self, number: int, visitor: str) -> Stream:
        return Stream(self, number)


@binders.breaks("visitor-address")
class HidingTheVisitor(RightBinder):
    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return Anonymous(conn)


class ForgetfulVisit(Visit):
    def remote_addr(self) -> Addr:
        return Address("tcp", "") if self.closed else super().remote_addr()


class Forgetful(Tunnel):
    def visit(self, number: int, visitor: str) -> Stream:
        return ForgetfulVisit(self, number, visitor)


@binders.breaks("visitor-address")
class ForgettingTheVisitor(RightBinder):
    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return Forgetful(conn)


class Unbuffered(Tunnel):
    waiting = False

    def arrive(self, number: int, data: bytes) -> None:
        if number in self.streams or self.waiting:
            super().arrive(number, data)


class UnbufferedListener(TunnelListener):
    async def accept(self) -> Conn:
        assert isinstance(self.tunnel, Unbuffered)
        self.tunnel.waiting = True
        try:
            return await super().accept()
        finally:
            self.tunnel.waiting = False


class Reordered(Visit):
    async def read(self, n: int, /) -> bytes:
        data = await super().read(ALL)
        if data[n:]:
            self.pieces.append(data[n:])
        return data[:n]


class Reordering(Tunnel):
    def visit(self, number: int, visitor: str) -> Stream:
        return Reordered(self, number, visitor)


@binders.breaks("visitor-waits")
class RestBehindTheOthers(RightBinder):
    """Has the rest of a piece come after the pieces that wait."""

    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return Reordering(conn)


class EndingAtOnce(Visit):
    async def read(self, n: int, /) -> bytes:
        return b"" if self.ended and not self.closed else await super().read(n)


class EndingAllAtOnce(Tunnel):
    def visit(self, number: int, visitor: str) -> Stream:
        return EndingAtOnce(self, number, visitor)


@binders.breaks("reads-whole")
class EndBeforeTheRest(RightBinder):
    """Forgets, when the tunnel ends, what visitors have sent and nobody has read."""

    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return EndingAllAtOnce(conn)


class ReadingLate(Visit):
    async def read(self, n: int, /) -> bytes:
        data = await super().read(n)
        await asyncio.sleep(0)
        return data


class ReadingLateFromAll(Tunnel):
    def visit(self, number: int, visitor: str) -> Stream:
        return ReadingLate(self, number, visitor)


@binders.breaks("reads-whole")
class LosingWhatIsRead(RightBinder):
    """Takes what a visitor has sent, and then waits for something else."""

    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return ReadingLateFromAll(conn)


class OneForAll(Visit):
    async def close(self) -> None:
        await super().close()
        await self.session.close()


class EndingWithTheFirst(Tunnel):
    def visit(self, number: int, visitor: str) -> Stream:
        return OneForAll(self, number, visitor)


@binders.breaks("many-visitors")
class ClosingForAll(RightBinder):
    """Ends the tunnel with the first connection that is closed."""

    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return EndingWithTheFirst(conn)


class HurriedListener(TunnelListener):
    async def accept(self) -> Conn:
        return Hurried(await super().accept())


@binders.breaks("writes-whole")
class HurryingVisitors(RightBinder):
    """Does not wait, when a connection is closed, for what is still to be sent to the visitor."""

    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return HurriedListener(tunnel, bound)


class LeavingSilently(Tunnel):
    async def tell_end(self, stream: Stream) -> None:
        pass


@binders.breaks("ends-told")
class LeavingVisitorsWaiting(RightBinder):
    """Does not tell the node that what came from a visitor is closed."""

    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return LeavingSilently(conn)


class EndlessVisit(Visit):
    def feed(self, data: bytes) -> None:
        if data or self.session.ended:
            super().feed(data)


class Endless(Tunnel):
    def visit(self, number: int, visitor: str) -> Stream:
        return EndlessVisit(self, number, visitor)


@binders.breaks("ends-told")
class WaitingForTheGoneVisitor(RightBinder):
    """Ends what visitors send only with the tunnel."""

    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return Endless(conn)


class LeavingAccepts(TunnelListener):
    async def accept(self) -> Conn:
        accepting = asyncio.ensure_future(super().accept())
        accepting.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(accepting)


@binders.breaks("accept-cancellable")
class AcceptingForNobody(RightBinder):
    """Has an accept() that was cancelled go on, and take the next visitor."""

    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return LeavingAccepts(tunnel, bound)


class TakingFirst(TunnelListener):
    async def accept(self) -> Conn:
        visitor = await super().accept()
        await asyncio.sleep(0)
        return visitor


@binders.breaks("cancelled-accept-loses-nothing")
class LosingWhoCame(RightBinder):
    """Takes a visitor, and then waits for something else."""

    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return TakingFirst(tunnel, bound)


class Queueing(Visit):
    sending: asyncio.Task[None] | None = None

    async def write(self, data: Buffer, /) -> None:
        if self.sending is not None:
            await asyncio.wait({self.sending})
        self.sending = asyncio.create_task(self.send(data), name="what was written")

    async def send(self, data: Buffer) -> None:
        await super().write(data)


class QueueingTunnel(Tunnel):
    def visit(self, number: int, visitor: str) -> Stream:
        return Queueing(self, number, visitor)


@binders.breaks("binds")
class SendingTheBufferLater(RightBinder):
    """Sends by a task, which takes what the buffer holds then."""

    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return QueueingTunnel(conn)


@binders.breaks("visitor-waits", history="x socks5 rudp: a backlog of 0 was a queue of 0")
class WithoutBacklog(RightBinder):
    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return Tunnel(conn) if options.backlog else Unbuffered(conn)

    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return UnbufferedListener(tunnel, bound)


class CutVisit(Visit):
    def feed(self, data: bytes) -> None:
        super().feed(data[:4096])


class Cutting(Tunnel):
    def visit(self, number: int, visitor: str) -> Stream:
        return CutVisit(self, number, visitor)


@binders.breaks("datagrams", history="x socks5 rudp: a buffer of 0 bytes was taken at its word")
class WithoutBuffer(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        if bound.network() == "udp" and not options.udp_data_buffer_size:
            tunnel.__class__ = Cutting
        return super().listener(tunnel, bound, options, address)


class OnceListener(TunnelListener):
    accepted = False

    async def accept(self) -> Conn:
        if self.accepted:
            raise ClosedError("this listener accepts one connection")
        conn = await super().accept()
        self.accepted = True
        return conn


@binders.breaks("mux-refused")
class RefusingMuxTooLate(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        if options.mux:
            tunnel.receiving.cancel()
            raise BindUnsupportedError("what is bound is for one visitor")
        return super().listener(tunnel, bound, options, address)


@binders.breaks("many-visitors")
class AcceptingOnce(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return OnceListener(tunnel, bound)


@binders.breaks("early-visitor")
class LosingWhatFollows(RightBinder):
    async def answer(self, conn: Conn) -> str:
        if not (data := await conn.read(4096)):
            raise ConnectionResetError("the node is gone")
        return data.decode(errors="replace").partition("\n")[0]


@binders.breaks("options")
class BindIgnoringOrder(RightBinder):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        return await super().bind(ctx, conn, network, address, *reversed(opts))


class HalfClosing(TunnelListener):
    async def close(self) -> None:
        self.closed = True
        self.tunnel.changed.set()


@binders.breaks("close-ends-tunnel", history="x sshd: only the listener was closed")
class LeavingTheTunnel(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return HalfClosing(tunnel, bound)


class CuttingListener(TunnelListener):
    async def close(self) -> None:
        await super().close()
        await self.tunnel.close()


@binders.breaks("accepted-survive")
class CuttingTheAccepted(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return CuttingListener(tunnel, bound)


class OutlivingTunnel(Tunnel):
    async def leave(self, stream: Stream) -> None:
        self.streams.pop(stream.number, None)
        await self.tell_end(stream)


@binders.breaks("accepted-survive")
class NeverEndingTheTunnel(RightBinder):
    def tunnel(self, conn: Conn, options: BindOptions) -> Tunnel:
        return OutlivingTunnel(conn)


class HastyListener(TunnelListener):
    closing: asyncio.Future[None] | None = None

    async def close(self) -> None:
        if self.closing is None:
            self.closing = asyncio.ensure_future(self.end())
            await asyncio.shield(self.closing)

    async def end(self) -> None:
        await asyncio.sleep(0.02)
        await super().close()


@binders.breaks("close-ends-tunnel")
class ReturningBeforeItHasClosed(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return HastyListener(tunnel, bound)


class CarefulListener(HastyListener):
    async def close(self) -> None:
        if self.closing is None:
            self.closing = asyncio.ensure_future(self.end())
        await asyncio.wait({self.closing})


class CuttableListener(CarefulListener):
    async def close(self) -> None:
        try:
            await super().close()
        except asyncio.CancelledError:
            if self.closing is not None:
                self.closing.cancel()
            raise


@binders.breaks("close-cancelled")
class ClosingUnlessCancelled(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return CuttableListener(tunnel, bound)


Undisturbed = closing_undisturbed(TunnelListener)


@binders.breaks("close-cancelled")
class ClosingUndisturbed(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        listener: Listener = Undisturbed(tunnel, bound)
        return listener


class LateListener(TunnelListener):
    async def accept(self) -> Conn:
        if self.closed and self.tunnel.arrived:
            return self.tunnel.arrived.popleft()
        return await super().accept()


@binders.breaks("close-wakes-accept")
class AcceptingAfterClose(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return LateListener(tunnel, bound)


class Abrupt(TunnelListener):
    async def accept(self) -> Conn:
        with suppress(ClosedError):
            return await super().accept()
        raise ConnectionResetError("the tunnel is gone")


@binders.breaks("close-wakes-accept")
class ResettingItsAcceptor(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return Abrupt(tunnel, bound)


class WakingNobody(TunnelListener):
    async def close(self) -> None:
        self.closed = True
        await self.tunnel.finish()


@binders.breaks("close-wakes-accept")
class LeavingItToTheTunnel(RightBinder):
    """Wakes who waits only when the tunnel ends, which goes on for what was accepted."""

    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return WakingNobody(tunnel, bound)


class Patient(TunnelListener):
    async def accept(self) -> Conn:
        with suppress(ConnectionResetError):
            return await super().accept()
        self.tunnel.changed.clear()
        await self.tunnel.changed.wait()
        raise ClosedError("the listener was closed")


@binders.breaks("node-lost")
class WaitingForTheGone(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return Patient(tunnel, bound)


class HangingOnceGone(TunnelListener):
    gone = False

    async def accept(self) -> Conn:
        if self.gone:
            await asyncio.Event().wait()
        try:
            return await super().accept()
        except ConnectionResetError:
            self.gone = True
            raise


@binders.breaks("node-lost")
class TellingOnce(RightBinder):
    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return HangingOnceGone(tunnel, bound)


@binders.breaks("network-unsupported")
class BindingFirst(RightBinder):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        if not network.startswith(("tcp", "udp")):
            await self.ask(conn, "bind", "tcp", address)
        return await super().bind(ctx, conn, network, address, *opts)


@binders.breaks("unable", history="#170 a bind that nobody offers was tried for ever")
class UnableAsRefused(RightBinder):
    def judge(self, answer: str, address: str) -> None:
        try:
            super().judge(answer, address)
        except BindUnsupportedError as error:
            raise ConnectionRefusedError(str(error)) from None


binders.breaks("failure-over")(stuck(RightBinder, "bind"))
binders.breaks("cancel-frees")(losing_places(RightBinder, "bind", asyncio.CancelledError))
binders.breaks("nothing-kept")(keeping_the_context(RightBinder, "bind"))
binders.breaks("nothing-kept")(keeping_the_conns(RightBinder, "bind"))
binders.breaks("many-waiting")(few_places(RightBinder, "bind"))
binders.breaks("outlives-limit")(ending_at_the_limit(RightBinder, "bind"))


class ApplyingLate(TunnelListener):
    opts: tuple[BindOption, ...] = ()

    async def accept(self) -> Conn:
        opts, self.opts = self.opts, ()
        apply(BindOptions(), *opts)
        return await super().accept()


@binders.breaks("options")
class OptionsAtTheFirstVisitor(RightBinder):
    """Looks at the options when the first visitor is awaited."""

    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        listener = await super().bind(ctx, conn, network, address)
        assert isinstance(listener, ApplyingLate)
        listener.opts = opts
        return listener

    def listener(self, tunnel: Tunnel, bound: Addr, options: BindOptions, address: str) -> Listener:
        return ApplyingLate(tunnel, bound)


binders.breaks("options")(with_one_object(RightBinder, "bind", BindOptions))
