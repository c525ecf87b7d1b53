"""Trials of the contract of listeners that are bound."""

import asyncio
import errno
from collections import deque
from contextlib import suppress
from itertools import count
from typing import ClassVar
from weakref import WeakValueDictionary

from gost_core.common.net import (
    Addr,
    ClosedError,
    Conn,
    Listener,
)
from gost_core.testing import Contract
from gost_core.testing._stage.memory import (
    Address,
    ForwardingConn,
    MemoryConn,
    MemoryListener,
    connected_pair,
)
from gost_core.testing.common.net import (
    ListenerContract,
)
from tests.kit import virtual_time
from tests.kit._stuck import (
    Hurried,
    InTurn,
    OneBuffer,
    ReadingOnBeneath,
    SharingABuffer,
    closing_ahead,
    closing_for_all,
    closing_undisturbed,
    ending_what_it_accepted,
    giving,
    hurrying,
)
from tests.kit.trial import Trial

TIME_LIMIT = 1.0


LISTENERS: WeakValueDictionary[str, "RightListener"] = WeakValueDictionary()


class RightListener(MemoryListener):
    """A listener within this process, whose address is its own until it is closed."""

    def __init__(self, addr: str = "") -> None:
        super().__init__(Address("tcp", addr or f"192.0.2.1:{next(PORTS)}"))
        if str(self.addr()) in LISTENERS:
            raise OSError(errno.EADDRINUSE, f"{addr} is in use")
        LISTENERS[str(self.addr())] = self

    def free(self) -> None:
        if LISTENERS.get(str(self.addr())) is self:
            LISTENERS.pop(str(self.addr()))

    async def close(self) -> None:
        self.free()
        await super().close()


PORTS = count(1024)


def run_listener(make: type[RightListener]) -> Contract:
    async def made() -> Listener:
        return make()

    async def made_at(addr: Addr) -> Listener:
        return make(str(addr))

    async def connect(addr: Addr) -> Conn:
        return LISTENERS[str(addr)].connect()

    return ListenerContract(
        made, connect, make_at=made_at, elapse=virtual_time.elapse, time_limit=TIME_LIMIT
    )


listener = Trial[type[RightListener]](ListenerContract, run_listener, RightListener)
listener.breaks("limits-cleared")(ending_what_it_accepted(RightListener))
listener.breaks("accept-waits")(hurrying(RightListener))


@listener.breaks("shape")
class SyncAccept(RightListener):
    def accept(self) -> Conn:  # type: ignore  # the fault
        raise ClosedError("nothing waits here")


@listener.breaks("accepts", history="x http3: Accept gives neither connection nor error")
class Nothing(RightListener):
    async def accept(self) -> Conn:
        conn = await super().accept()
        await conn.close()
        return None  # type: ignore  # the fault


listener.breaks("reads-whole")(giving(RightListener, "accept", ReadingOnBeneath))
listener.breaks("stuck-client")(giving(RightListener, "accept", InTurn))
listener.breaks("writes-whole")(giving(RightListener, "accept", Hurried))
listener.breaks("writes-whole")(giving(RightListener, "accept", OneBuffer))
listener.breaks("accepted-apart")(giving(RightListener, "accept", SharingABuffer))


class HostOnly(ForwardingConn):
    def remote_addr(self) -> Addr:
        return Address("tcp", str(super().remote_addr()).rpartition(":")[0])


@listener.breaks("accepts")
class KeepingTheHostOnly(RightListener):
    async def accept(self) -> Conn:
        return HostOnly(await super().accept())


class ClosedByABreak(ForwardingConn):
    async def close(self) -> None:
        if isinstance(self.inner, MemoryConn):
            self.inner.break_off()
        await super().close()


@listener.breaks("accepts")
class BreakingOffWhatItAccepted(RightListener):
    """Frees at once what was accepted, so that no socket waits for a client."""

    async def accept(self) -> Conn:
        return ClosedByABreak(await super().accept())


@listener.breaks("accepts")
class OneQueueForAll(RightListener):
    """Keeps who waits to be accepted in an attribute of the class."""

    newcomers: ClassVar["deque[Conn | Exception]"] = deque()

    def __init__(self, addr: str = "") -> None:
        super().__init__(addr)
        self._waiting = type(self).newcomers


@listener.breaks("accepts")
class GivingAllToTheLatest(RightListener):
    def connect(self) -> MemoryConn:
        latest = list(LISTENERS.values())[-1]
        return RightListener.connect(latest)


@listener.breaks("address", history="x dns, pht, http3: addr shows the port that was asked for")
class ForgettingTheAddress(RightListener):
    def addr(self) -> Address:
        return Address("tcp", "") if self.closed else super().addr()


@listener.breaks("outlives-its-caller", history="221144f what was bound ends with the call")
class EndingWithTheBind(RightListener):
    def __init__(self, addr: str = "") -> None:
        super().__init__(addr)
        task = asyncio.current_task()
        assert task is not None
        if not addr:
            task.add_done_callback(lambda _: asyncio.ensure_future(self.close()))


class Sniffed(ForwardingConn):
    """A connection of which some is read already."""

    def __init__(self, inner: Conn, data: bytes) -> None:
        super().__init__(inner)
        self.data = data

    async def read(self, n: int, /) -> bytes:
        data, self.data = self.data[:n], self.data[n:]
        return data or await super().read(n)


@listener.breaks("silent-accepted")
class WaitingForTheFirstByte(RightListener):
    def connect(self) -> MemoryConn:
        client, server = connected_pair(server=str(self.addr()))
        self.sniffing = asyncio.create_task(self.sniff(server))
        return client

    async def sniff(self, conn: Conn) -> None:
        self._arrive(Sniffed(conn, await conn.read(1)))


@listener.breaks("close-cancelled")
class ClosingInTwoSteps(RightListener):
    async def close(self) -> None:
        await asyncio.sleep(0.001)
        await super().close()


@listener.breaks("close-cancelled")
class LeavingTheQueue(RightListener):
    """Frees the address at once, and closes by and by what nobody accepted."""

    async def close(self) -> None:
        self.free()
        self.closed = True
        self._changed.set()
        await asyncio.sleep(0.001)
        await super().close()


@listener.breaks("accept-cancellable")
class OneAtATime(RightListener):
    accepting = False

    async def accept(self) -> Conn:
        if self.accepting:
            raise RuntimeError("another task is accepting")
        self.accepting = True
        try:
            conn = await super().accept()
        except OSError:
            self.accepting = False
            raise
        self.accepting = False
        return conn


@listener.breaks("accept-cancellable")
class CancelledAcceptAsTimeout(RightListener):
    async def accept(self) -> Conn:
        try:
            return await super().accept()
        except asyncio.CancelledError:
            raise TimeoutError("nobody came") from None


@listener.breaks("cancelled-accept-loses-nothing")
class PreparingInAccept(RightListener):
    async def accept(self) -> Conn:
        conn = await super().accept()
        await asyncio.sleep(0)
        return conn


@listener.breaks("cancelled-accept-loses-nothing")
class TakingTheNewest(RightListener):
    async def accept(self) -> Conn:
        while len(self._waiting) > 1:
            self._waiting.popleft()
        return await super().accept()


@listener.breaks("close-wakes-accept", history="x wt: close does not wake Accept")
class LeavingAccept(RightListener):
    async def accept(self) -> Conn:
        accepting = self.closed
        try:
            return await super().accept()
        except ClosedError:
            if not accepting:
                await asyncio.Event().wait()
            raise


@listener.breaks("close-wakes-accept")
class WakingOnlyBeforeTheFirst(RightListener):
    has_accepted = False

    async def accept(self) -> Conn:
        accepting = self.closed
        try:
            conn = await super().accept()
        except ClosedError:
            if self.has_accepted and not accepting:
                await asyncio.Event().wait()
            raise
        self.has_accepted = True
        return conn


@listener.breaks("accept-after-close")
class BadDescriptor(RightListener):
    async def accept(self) -> Conn:
        if self.closed:
            raise OSError(errno.EBADF, "the socket is closed")
        return await super().accept()


@listener.breaks("accept-after-close")
class RaisingClosedOnce(RightListener):
    told = False

    async def accept(self) -> Conn:
        if self.told:
            await asyncio.Event().wait()
        self.told = self.closed
        return await super().accept()


@listener.breaks(
    "close-twice", history="x listeners: the result of a second close is the system's error"
)
class ListenerClosedOnce(RightListener):
    async def close(self) -> None:
        if self.closed:
            raise OSError(errno.EBADF, "the socket is closed")
        await super().close()


listener.breaks("close-at-once")(closing_ahead(RightListener))
listener.breaks("close-cancelled")(closing_undisturbed(RightListener))


@listener.breaks("address-freed", history="#754 ba3e1cb the address is still in use after close")
class KeepingTheAddress(RightListener):
    def free(self) -> None:
        asyncio.get_running_loop().call_later(0.3, super().free)


@listener.breaks("close-twice-frees-once")
class FreeingWhatAnotherHas(RightListener):
    def free(self) -> None:
        LISTENERS.pop(str(self.addr()), None)


@listener.breaks("unaccepted-closed")
class ClosingTheFirstOfTheQueue(RightListener):
    async def close(self) -> None:
        while len(self._waiting) > 1:
            self._waiting.pop()
        await super().close()


@listener.breaks(
    "unaccepted-closed", history="x ws, mtls, quic: what is queued at close stays open"
)
class ForgettingTheQueue(RightListener):
    async def close(self) -> None:
        self._waiting.clear()
        await super().close()


@listener.breaks("unaccepted-closed")
class ForgettingWhatIsInHand(RightListener):
    """Leaves it to a task to take the next connection, which is for whoever accepts next."""

    taking: asyncio.Task[Conn] | None = None

    async def accept(self) -> Conn:
        self.taking = self.taking or asyncio.create_task(super().accept(), name="taking")
        await asyncio.wait({taking := self.taking})
        self.taking = None
        return taking.result()


@listener.breaks("accepted-survive")
class ClosingWhatWasAccepted(RightListener):
    def __init__(self, addr: str = "") -> None:
        super().__init__(addr)
        self.accepted: list[Conn] = []

    async def accept(self) -> Conn:
        self.accepted.append(await super().accept())
        return self.accepted[-1]

    async def close(self) -> None:
        await super().close()
        for conn in self.accepted:
            await conn.close()


@listener.breaks("accepted-survive")
class DroppingWhatHasCome(RightListener):
    accepted: MemoryConn | None = None

    async def accept(self) -> Conn:
        conn = await super().accept()
        assert isinstance(conn, MemoryConn)
        self.accepted = conn
        return conn

    async def close(self) -> None:
        await super().close()
        with suppress(OSError):
            async with asyncio.timeout(0):
                if self.accepted is not None:
                    await self.accepted.read(65536)


listener.breaks("close-cancelled")(closing_for_all(RightListener))


@listener.breaks("accept-after-close")
class HandingOutWhatItClosed(RightListener):
    def __init__(self, addr: str = "") -> None:
        super().__init__(addr)
        self.left: list[MemoryConn] = []

    async def close(self) -> None:
        self.left += [one for one in self._waiting if isinstance(one, MemoryConn)]
        await super().close()

    async def accept(self) -> Conn:
        return self.left.pop() if self.closed and self.left else await super().accept()


@listener.breaks("unaccepted-closed")
class LeavingThemBesideTheAccepted(RightListener):
    has_accepted = False

    async def accept(self) -> Conn:
        conn = await super().accept()
        self.has_accepted = True
        return conn

    async def close(self) -> None:
        if self.has_accepted:
            self._waiting.clear()
        await super().close()
