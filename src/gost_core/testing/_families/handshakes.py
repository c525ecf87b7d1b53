"""What the contracts of both handshakes have in common: a dialer's, and a connector's."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable

from gost_core.common.net import Conn, ProtocolError
from gost_core.dialer import Handshaker
from gost_core.testing._contract import Broken, NotTried, clause, describe, expect
from gost_core.testing._peers import (
    BareConn,
    ComponentT,
    Made,
    Network,
    Peer,
    Setup,
    ending,
    expect_addresses,
    expect_found,
    resetting,
    silent,
    ssl_errors,
)

__all__ = ("HandshakeContract",)

_ADDR = "192.0.2.10:443"
_CALLS = 5


class HandshakeContract(Made[ComponentT], interface=Handshaker):
    """The clauses of a handshake, whoever does it."""

    def __init__(
        self,
        setup: Setup[ComponentT],
        peer: Peer,
        refusing: Peer | None,
        malformed: Peer | None,
        pass_limit: Callable[[], Awaitable[object]] | None,
    ) -> None:
        super().__init__(setup)
        self.peer = peer
        self.refusing = refusing
        self.malformed_peer = malformed
        self._pass_limit = pass_limit

    @abstractmethod
    def shake(self, component: ComponentT, conn: Conn) -> Awaitable[Conn]:
        """Call handshake()."""

    @abstractmethod
    async def carries(self, component: ComponentT, conn: Conn, what: str) -> None:
        """Break the clause unless what handshake() returned is good for what comes next."""

    def input(self, peer: Peer, *, late: bool = False) -> tuple[BareConn, Network]:
        """Return a connection that no dialer made, and its network."""
        network = self.network(peer)
        conn = BareConn(network.connect("tcp", _ADDR), late=late)
        keep(conn.close)
        return conn, network

    async def shaken(self, component: ComponentT, conn: Conn) -> Conn:
        """Return the result of a handshake that has to succeed."""
        result = await self.succeeds(self.shake(component, conn), "handshake()")
        keep(result.close)
        return result

    @clause("It takes any connection to the node, whoever made it, and the result works.", "D31")
    async def any_connection(self) -> None:
        component = await self.ready()
        conn, _ = self.input(self.peer)

        async def use() -> None:
            result = await self.shake(component, conn)
            expect_found(result, "handshake()")
            await self.carries(component, result, "the result")

        await within(use(), "handshake()")

    @clause(
        "The result outlives the time limit and the task of the call.",
        "D4",
        after=("any_connection",),
    )
    async def outlives_call(self) -> None:
        component = await self.ready()
        conn, _ = self.input(self.peer)
        result = await self.outlived(self.shake(component, conn), "handshake()")
        await self.carries(component, result, "the result, after the task of handshake(),")

    @clause("The result has both addresses.", "D2, D5", after=("outlives_call",))
    async def addresses(self) -> None:
        conn = await self.shaken(await self.ready(), self.input(self.peer)[0])
        expect_addresses(conn, "the result of handshake()")

    @clause(
        "Handshakes on several connections at once do not mix.", "D22", after=("outlives_call",)
    )
    async def concurrent(self) -> None:
        component = await self.ready()
        calls = [self.shaken(component, self.input(self.peer)[0]) for _ in range(_CALLS)]
        conns = await self.succeeds(asyncio.gather(*calls), f"one of {_CALLS} handshakes at once")
        uses = [self.carries(component, conn, f"one of {_CALLS} results") for conn in conns]
        await within(asyncio.gather(*uses), "using them at once")

    @clause("Closing the result closes the connection beneath.", "D3", after=("outlives_call",))
    async def owns_input(self) -> None:
        conn, _ = self.input(self.peer)
        result = await self.shaken(await self.ready(), conn)
        await within(result.close(), "close() of the result")
        await self.eventually(lambda: conn.closed, "the result was closed, and the input was not")

    @clause(
        "Limits set for the handshake are cleared: afterwards they may pass.",
        "D31",
        after=("outlives_call",),
    )
    async def limits_cleared(self) -> None:
        if self._pass_limit is None:
            raise NotTried("no `pass_limit` was given")
        component = await self.ready()
        result = await self.shaken(component, self.input(self.peer)[0])
        await given(self._pass_limit(), "pass_limit()")
        await settle()
        await self.carries(component, result, "the result, after the handshake's own limit,")

    # ---- Failures

    @clause(
        "If the node ends or breaks off the connection, that is an OSError.",
        "D14",
        after=("any_connection",),
    )
    async def node_dies(self) -> None:
        for peer in (ending, resetting):
            component = await self.ready()
            conn, _ = self.input(peer)
            what = "handshake() with a node that goes away"
            try:
                # A handshake may leave all talk to the first use.
                result = await within(self.shake(component, conn), what)
            except OSError:
                continue
            except Broken:
                raise
            except Exception as error:
                raise Broken(f"{what} raised {describe(error)} instead of OSError") from error
            expect_found(result, what)

    @clause("Refused credentials raise PermissionError.", "D15", after=("any_connection",))
    async def refused(self) -> None:
        need(self.refusing, 'refusing')  # NEED
        conn, _ = self.input(self.refusing)
        what = "handshake() with refused credentials"
        await raises(self.shake(await self.ready(), conn), what, PermissionError)

    @clause(
        "A malformed answer raises ProtocolError, or ssl.SSLError from TLS.",
        "D15",
        after=("any_connection",),
    )
    async def malformed(self) -> None:
        if self.malformed_peer is None:
            raise NotTried("no `malformed` was given")
        conn, _ = self.input(self.malformed_peer)
        what = "handshake() with a malformed answer"
        await raises(self.shake(await self.ready(), conn), what, ProtocolError, *ssl_errors())

    @clause(
        "When it raises, and the caller has closed the input, nothing goes on.",
        "D3, D20",
        after=("node_dies",),
    )
    async def failure_frees(self) -> None:
        for peer in self._failing():
            before = asyncio.all_tasks()
            component = await self.ready()
            conn, _ = self.input(peer)
            shaking = start(self.shake(component, conn))
            await within(asyncio.wait({shaking}), "handshake()")
            if shaking.exception() is None:
                await given(shaking.result().close(), "close()")
            await within(conn.close(), "close() of the input")
            await self.no_task_left(before, "handshake() had failed")

    def _failing(self) -> list[Peer]:
        peers = (ending, resetting, self.refusing, self.malformed_peer)
        return [peer for peer in peers if peer is not None]

    @clause("No credential is in the repr or in an error.", "D17", after=("any_connection",))
    async def secret_hidden(self) -> None:
        self.secret()
        for peer in self._failing():
            component = await self.ready()
            conn, _ = self.input(peer)
            await self.hidden_in_error(self.shake(component, conn), "handshake()")
            self.hidden(repr(component), "the repr")
        component = await self.ready()
        result = await self.shaken(component, self.input(self.peer)[0])
        self.hidden(repr(result), "the repr of the result")

    # ---- Silence

    @clause("Cancelled while the node is silent, it ends promptly, as cancelled.", "D7, D14")
    async def cancellable(self) -> None:
        conn, _ = self.input(silent)
        component = await self.ready()
        await self.cut_short(self.shake(component, conn), lambda: True, "handshake()")

    @clause(
        "Cancelled anywhere, and the input closed by the caller, nothing goes on.",
        "D4, D20",
        after=("cancellable",),
    )
    async def cancel_frees(self) -> None:
        before = asyncio.all_tasks()
        component = await self.ready()
        inputs: list[BareConn] = []

        def begin() -> Awaitable[Conn]:
            inputs.append(self.input(silent)[0])
            return self.shake(component, inputs[-1])

        await self.cut_anywhere(begin)
        for conn in inputs:
            await within(conn.close(), "close() of the input")
        await self.no_task_left(before, "handshake() was cancelled")
        expect(all(conn.closed for conn in inputs), "an input stayed open")
