"""The contract of the handshakes that dialers do."""

from collections.abc import Awaitable
from contextlib import suppress

from gost_core.common.net import Conn
from gost_core.dialer import (
    Dialer,
    HandshakeOptions,
    Handshaker,
    addr_handshake_option,
    host_dial_option,
    net_dialer_dial_option,
)
from gost_core.testing._families.handshakes import Handshakes
from gost_core.testing._families.options import AnyOption, TakesOptions
from gost_core.testing._families.steps import bare, greeted, succeeds
from gost_core.testing._run.attempt import Broken, current
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    applies,
    given,
    keep,
    need,
    owned,
    raises,
    returned,
    start,
    within,
)
from gost_core.testing._stage.network import Network, Peer
from gost_core.testing.dialer._dialer import ADDR, NAME, DialerT

__all__ = ("HandshakerContract",)


class HandshakerContract(Handshakes[DialerT, Peer], TakesOptions, interface=Handshaker):
    """What the handshake of a dialer promises.

    The rest of the dialer has a contract of its own, :class:`DialerContract`, which takes the same
    factories. A silent node and one that dies need no hook.
    """

    peer: Peer
    """Plays the node at its end of a connection: does its part of the handshake, and sends back
    what comes through, until it ends. The contract closes that end."""
    host: str = NAME
    """The node's address as configured; its host is what certificates must be for."""
    greeting: Peer | None = None
    """A peer that sends ``b"hello"`` right behind the last message of the handshake, then waits for
    the end."""
    exact: Peer | None = None
    """A peer like ``peer`` that goes on only if the TLS settings that ``make`` gives have arrived,
    and the name of ``host``."""

    checks_names: bool | None = None
    """Whether what ``make`` makes checks the node's name by TLS, and has no name of its own."""

    _options = HandshakeOptions

    def _right(self) -> Peer:
        return self.peer

    def _played(self, node: Peer, /) -> Peer:
        return node

    @clause(
        "Where TLS is to check a name, and there is none, ValueError is raised; an address is one.",
        "D12, D32, D66",
        after=("outlives_call",),
    )
    async def nameless(self) -> None:
        applies(need(self.checks_names, "checks_names"), "it checks no name")
        dialer = await self._ready()
        await self._shaken(dialer)
        for opts in ((addr_handshake_option(""),), ()):
            conn = bare(Network(self.peer))
            shaking = start(_handshaker(dialer).handshake(current().ctx, conn, *opts))
            # Whatever name an earlier call had, or one beside it.
            await self._shaken(dialer)
            await raises(shaking, "handshake() without a name to check", ValueError)
        for addr in ("192.0.2.1:443", "[2001:db8::1]:443"):
            option, conn = addr_handshake_option(addr), bare(Network(self.peer))
            call = _handshaker(dialer).handshake(current().ctx, conn, option)
            # A certificate that is for another name is an OSError.
            with suppress(OSError):
                owned(await within(call, f"handshake() with the name {addr!r}"))

    def _shaking(self, component: DialerT, conn: Conn, /, *opts: AnyOption) -> Awaitable[Conn]:
        host = addr_handshake_option(self.host)
        return _handshaker(component).handshake(current().ctx, conn, host, *opts)

    async def _carries(self, component: DialerT, result: Conn, what: str, /) -> None:
        await self._works(result, what)

    async def _call_with(self, *opts: AnyOption) -> None:
        result = await self._shaking(await self._ready(), bare(Network(self.peer)), *opts)
        keep(returned(result, "handshake()").close)

    @clause(
        "It takes what its own dial() gave, time after time, and others between.",
        "D31, D32",
        after=("outlives_call",),
    )
    async def own_connection(self) -> None:
        dialer, network = await self._ready(), Network(self.peer)
        opts = (net_dialer_dial_option(network), host_dial_option(self.host))
        for _ in range(2):
            conn = owned(await given(dialer.dial(current().ctx, ADDR, *opts), "dial()"))
            await self._shaken(dialer)
            result = owned(await succeeds(self._shaking(dialer, conn), "handshake()"))
            await self._works(result, "the result")

    @clause(
        "What the node sends right behind the handshake is not lost.",
        "D8",
        after=("outlives_call",),
    )
    async def early_bytes(self) -> None:
        conn = bare(Network(need(self.greeting, "greeting")), late=True)
        await greeted(await succeeds(self._begin(await self._ready(), conn), "handshake()"))

    @clause(
        "TLS settings arrive at the node whole: versions, ALPN, and the name of the host.",
        "D32, D66",
        after=("outlives_call",),
    )
    async def tls_settings(self) -> None:
        dialer = await self._ready()
        # The first changes nothing of what the second sends.
        for _ in range(2):
            conn = bare(Network(need(self.exact, "exact")))
            result = await succeeds(self._begin(dialer, conn), "handshake()")
            await self._works(result, "the result")


def _handshaker(dialer: Dialer) -> Handshaker:
    """Return the dialer as the Handshaker that it has to be."""
    if not isinstance(dialer, Handshaker):
        raise Broken("it has no handshake()")
    return dialer
