"""The contracts of dialers, and of their handshakes."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from gost_core.common.net import ClosedError, Conn, Listener, ProtocolError, UnsupportedError
from gost_core.context import Context
from gost_core.dialer import (
    Dialer,
    DialOption,
    DialOptions,
    HandshakeOptions,
    Handshaker,
    Multiplexer,
    addr_handshake_option,
    host_dial_option,
    net_dialer_dial_option,
)
from gost_core.metadata import Metadata
from gost_core.testing._contract import Broken, NotTried, checks, clause, describe, expect, run
from gost_core.testing._fakes import cancel
from gost_core.testing._handshake import HandshakeContract
from gost_core.testing._lookups import OptionWatch
from gost_core.testing._net import outcome_of
from gost_core.testing._peers import (
    LifeCycle,
    Network,
    Peer,
    Ping,
    Setup,
    as_closer,
    echo,
    ending,
    expect_addresses,
    expect_found,
    resetting,
    silent,
    ssl_errors,
)
from gost_core.testing._report import Report

__all__ = ("check_dialer_dialer", "check_dialer_handshaker")

_NAME: Final[str] = "proxy.example:443"
# On this host, so that a dialer that goes its own way comes to nobody, and to nobody else.
_ADDR: Final[str] = "127.0.0.1:1"
_OTHER_ADDR: Final[str] = "127.0.0.1:2"
_CALLS: Final[int] = 5


class DialerContract(LifeCycle[Dialer], interface=Dialer):
    # MANUAL fields from the check function
    """Check a dialer.

    The check is the network and the node: the dialer is given, by its options, a dialer whose
    connections exist in memory only, and ``peer`` plays the node at their far end. A silent node,
    one that dies and one that comes back need no hook. If the dialer has a handshake, ``peer``
    waits for it, and the check does it.

    The connections that it gives are the affair of :func:`check_common_net_conn`.
    """

    make: Callable[[], Dialer] = field(kw_only=False)
    """Makes a dialer with no more options than it needs, not yet initialised."""
    peer: Peer = field(kw_only=False)
    """Plays the node at its end of a connection: speaks the transport's protocol, and sends back
    what comes through it, until it ends. The check closes that end."""
    metadata: Metadata | None = None
    """The settings that it needs; None = none."""
    bad_setting: tuple[str, object] | None = None
    """A key of its settings, and a value of a wrong type for it."""
    host: str = _NAME
    """The node's address as configured; its host is what certificates must be for."""
    ping: Ping | None = None
    """Uses a connection, and raises unless it works; None = what is written comes back."""
    refusing_peer: Peer | None = None
    """A peer that refuses the credentials."""
    malformed_peer: Peer | None = None
    """A peer that sends what the protocol does not allow, then waits for the end."""
    secret: str | None = None
    """The password that ``make`` gives, or whatever else is never to be told."""
    listen: Callable[[], Awaitable[Listener]] | None = None
    """For a dialer that opens its own sockets, such as one for a serial line: begins to listen
    where ``addr()`` says; its connections are played by the peers."""

    def __init__(
        self,
        setup: Setup[Dialer],
        peer: Peer,
        host: str,
        refusing: Peer | None,
        malformed: Peer | None,
        listen: Callable[[], Awaitable[Listener]] | None,
    ) -> None:
        super().__init__(setup)
        self._peer = peer
        self._host = host
        self._refusing = refusing
        self._malformed = malformed
        self._listen = listen
        self._datagrams = False

    def first_use(self, component: Dialer) -> Awaitable[object]:
        return component.dial(Context(), _ADDR, net_dialer_dial_option(self.network(self._peer)))

    @clause("If it has a close(), that may be called twice at any time, also before init().", "D18")
    async def close_any_time(self) -> None:
        await self._close_twice(self.made(), "before init()")
        for metadata in (self._setup.metadata, self.wrong_metadata()):
            dialer = self.made()
            with suppress(ValueError):
                await within(dialer.init(metadata), "init()")
            await self._close_twice(dialer, "after init()")

    async def _close_twice(self, dialer: Dialer, when: str) -> None:
        closer = as_closer(dialer)
        await within(closer.close(), f"close() {when}")
        await within(closer.close(), f"a second close() {when}")

    async def _node(self, peer: Peer) -> Network:
        """Return the network to a node that ``peer`` plays."""
        network = self.network(peer)
        if self._listen is not None:
            await network.listen(await given(self._listen(), "listen()"))
        return network

    def _inside(self) -> None:
        if self._listen is not None:
            raise NotTried("the dialer opens its own sockets, as `listen` says")

    def _dialing(
        self, dialer: Dialer, network: Network, addr: str = _ADDR, *opts: DialOption
    ) -> Awaitable[Conn]:
        """Dial; what comes of it is not looked at."""
        if network.listener is not None:
            addr = str(network.listener.addr())
        else:
            opts = (net_dialer_dial_option(network), *opts)
        return dialer.dial(Context(), addr, host_dial_option(self._host), *opts)

    async def _opening(
        self, dialer: Dialer, network: Network, addr: str = _ADDR, *opts: DialOption
    ) -> Conn:
        """Dial, and do the dialer's handshake if it has one."""
        conn = await self._dialing(dialer, network, addr, *opts)
        expect_found(conn, "dial()")
        keep(conn.close)
        if isinstance(dialer, Handshaker):
            conn = await dialer.handshake(Context(), conn, addr_handshake_option(self._host))
            expect_found(conn, "handshake()")
            keep(conn.close)
        return conn

    def _step(self, dialer: Dialer) -> str:
        return "dial() and handshake()" if isinstance(dialer, Handshaker) else "dial()"

    async def _open(self, dialer: Dialer, network: Network, addr: str = _ADDR) -> Conn:
        return await self.succeeds(self._opening(dialer, network, addr), self._step(dialer))

    @clause("dial() gives a connection to the node, and it carries data.", "D5, D31")
    async def dials(self) -> None:
        dialer, network = await self.ready(), await self._node(self._peer)

        async def use() -> None:
            conn = await self._opening(dialer, network)
            await self.works(conn, "the connection")

        try:
            await within(use(), self._step(dialer))
        except Exception as error:
            if self._listen is None and not network.dials:
                raise NotTried("it did not ask the dialer in the options") from error
            raise
        self._datagrams = network.carries_datagrams()

    @clause("The result outlives the time limit and the task of the call.", "D4", after=("dials",))
    async def outlives_call(self) -> None:
        dialer, network = await self.ready(), await self._node(self._peer)
        step = self._step(dialer)
        conn = await self.outlived(self._opening(dialer, network), step)
        await self.works(conn, f"the connection, after the task of {step} had ended,")

    @clause(
        "A node is known by the address that is dialed: with a name in the options, of dial() and "
        "of the handshake, it is reached again and again.",
        "D32",
        after=("outlives_call",),
    )
    async def known_by_address(self) -> None:
        dialer, network = await self.ready(), await self._node(self._peer)
        for _ in range(2):
            await self.works(await self._open(dialer, network), "the connection")

    @clause("The result has both addresses.", "D2, D5", after=("outlives_call",))
    async def addresses(self) -> None:
        dialer, network = await self.ready(), await self._node(self._peer)
        conn = await self.succeeds(self._dialing(dialer, network), "dial()")
        keep(conn.close)
        expect_addresses(conn, "the result of dial()")

    @clause("The connection beneath comes from the dialer in the options.", "D23, D32")
    async def options_dialer_used(self) -> None:
        self._inside()
        dialer, network = await self.ready(), await self._node(self._peer)
        dialing = start(self._dialing(dialer, network))
        await within(asyncio.wait({dialing}), "dial()")
        if not dialing.cancelled() and dialing.exception() is None:
            owned(dialing.result())
        asked = bool(network.dials)
        expect(asked, f"dial() {outcome_of(dialing)}; the dialer in the options was not asked")

    @clause(
        "The address given is dialed; the host in the options is for names only.",
        "D32",
        after=("options_dialer_used", "outlives_call"),
    )
    async def address_dialed(self) -> None:
        self._inside()
        dialer, network = await self.ready(), await self._node(self._peer)
        conn = await self.succeeds(self._dialing(dialer, network), "dial()")
        keep(conn.close)
        for name, addr in network.dials:
            legal = (_ADDR, "") if name.startswith("udp") else (_ADDR,)
            expect(
                addr in legal,
                f"dial({_ADDR!r}) with the host {self._host!r} had {addr!r} dialed",
            )

    @clause(
        "Without a dialer in the options it dials from this host.",
        "D24",
        after=("known_by_address", "address_dialed"),
    )
    async def own_network(self) -> None:
        self._inside()
        if self._datagrams:
            raise NotTried("the node of this check cannot be reached by datagrams from outside")
        dialer, network = await self.ready(), self.network(self._peer)
        await network.listen_on_loopback()
        await self.works(await self._open(dialer, network), "the connection")

    @clause(
        "Any callable may be an option, and options are applied once each, in order.",
        "D23",
        after=("outlives_call",),
    )
    async def options(self) -> None:
        dialer, network = await self.ready(), await self._node(self._peer)
        watch = OptionWatch(DialOptions)
        opts = watch.opts()
        conn = await self.succeeds(self._dialing(dialer, network, _ADDR, *opts), "dial()")
        keep(conn.close)
        watch.judge()

    @clause(
        "One dialer dials several times at once, and the connections do not mix.",
        "D32",
        after=("known_by_address",),
    )
    async def concurrent(self) -> None:
        dialer, network = await self.ready(), await self._node(self._peer)
        calls = [self._opening(dialer, network) for _ in range(_CALLS)]
        conns = await self.succeeds(asyncio.gather(*calls), f"one of {_CALLS} dials at once")
        pings = [self.works(conn, f"one of {_CALLS} connections") for conn in conns]
        await within(asyncio.gather(*pings), "using them at once")

    @clause(
        "Two addresses are two nodes, even under one host.",
        "D32",
        after=("known_by_address", "address_dialed"),
    )
    async def addresses_apart(self) -> None:
        self._inside()
        dialer, network = await self.ready(), await self._node(self._peer)
        for addr in (_ADDR, _OTHER_ADDR):
            conn = await self._open(dialer, network, addr)
            await self.works(conn, f"the connection to {addr}")
        expect(
            any(addr in (_OTHER_ADDR, "") for _, addr in network.dials),
            f"after dial({_ADDR!r}), dial({_OTHER_ADDR!r}) led to {_ADDR} too",
        )

    # ---- Owning

    @clause(
        "Each result is a handle of its own: closing one leaves the others alive.",
        "D3",
        after=("known_by_address",),
    )
    async def handles_apart(self) -> None:
        dialer, network = await self.ready(), await self._node(self._peer)
        first = await self._open(dialer, network)
        second = await self._open(dialer, network)
        await within(first.close(), "close() of the first connection")
        await within(first.close(), "a second close() of the first connection")
        await settle()
        await self.works(second, "the second connection, after close() of the first,")

    @clause("Closing the last result leaves nothing open.", "D3", after=("known_by_address",))
    async def close_frees(self) -> None:
        dialer, network = await self.ready(), await self._node(self._peer)
        conns = [await self._open(dialer, network) for _ in range(2)]
        for conn in conns:
            await within(conn.close(), "close()")
        await self.all_ended(network, "every result was closed")

    # ---- Failures

    @clause(
        "A failure to open the connection beneath comes through as what it is.",
        "D5, D14, D16",
        after=("options_dialer_used", "dials"),
    )
    async def failure_beneath(self) -> None:
        self._inside()
        for error in (
            ConnectionRefusedError("nobody listens there"),
            socket.gaierror(socket.EAI_NONAME, "no such name"),
            UnsupportedError("this network is not offered"),
            ValueError("the address is malformed"),
        ):
            dialer, network = await self.ready(), await self._node(self._peer)
            network.error = error
            what = f"dial(), when the dialer in the options raised {describe(error)},"
            await raises(self._dialing(dialer, network), what, type(error))

    @clause(
        "If the node ends or breaks off the connection, that is an OSError.",
        "D14",
        after=("dials",),
    )
    async def node_dies(self) -> None:
        if self._datagrams:
            raise NotTried("datagrams do not tell that a node is gone")
        for peer in (ending, resetting):
            dialer, network = await self.ready(), await self._node(peer)
            what = f"{self._step(dialer)} to a node that goes away"
            try:
                await within(self._opening(dialer, network), what)
            except OSError:
                continue
            except Exception as error:
                if isinstance(error, Broken):
                    raise
                raise Broken(f"{what} raised {describe(error)} instead of OSError") from error

    def _failing(self) -> list[Peer]:
        gone = () if self._datagrams else (ending, resetting)
        peers = (*gone, self._refusing, self._malformed)
        return [peer for peer in peers if peer is not None]

    @clause("When dial() raises, nothing is left open.", "D3", after=("node_dies", "close_frees"))
    async def failure_frees(self) -> None:
        for peer in self._failing():
            dialer, network = await self.ready(), await self._node(peer)
            dialing = start(self._dialing(dialer, network))
            await within(asyncio.wait({dialing}), "dial()")
            if dialing.exception() is None:
                await given(dialing.result().close(), "close()")
            await self.all_ended(network, f"dial() {outcome_of(dialing)}")

    @clause("Refused credentials raise PermissionError.", "D15", after=("dials",))
    async def refused(self) -> None:
        if self._refusing is None:
            raise NotTried("no `refusing` was given")
        dialer, network = await self.ready(), await self._node(self._refusing)
        what = f"{self._step(dialer)} with refused credentials"
        await raises(self._opening(dialer, network), what, PermissionError)

    @clause(
        "A malformed answer raises ProtocolError, or ssl.SSLError from TLS.",
        "D15",
        after=("dials",),
    )
    async def malformed(self) -> None:
        if self._malformed is None:
            raise NotTried("no `malformed` was given")
        dialer, network = await self.ready(), await self._node(self._malformed)
        what = f"{self._step(dialer)} with a malformed answer"
        await raises(self._opening(dialer, network), what, ProtocolError, *ssl_errors())

    @clause("No credential is in the repr of the dialer or in an error.", "D17", after=("dials",))
    async def secret_hidden(self) -> None:
        self.secret()
        dialer = await self.ready()
        self.hidden(repr(dialer), "the repr")
        for peer in self._failing():
            dialer, network = await self.ready(), await self._node(peer)
            await self.hidden_in_error(self._opening(dialer, network), self._step(dialer))
            self.hidden(repr(dialer), "the repr")

    # ---- Silence

    @clause("A cancelled dial() ends promptly, as cancelled.", "D4, D14", after=("outlives_call",))
    async def cancellable(self) -> None:
        for silence in ("network", "node"):
            if silence == "network" and self._listen is not None:
                continue
            dialer, network = await self.ready(), await self._node(silent)
            network.is_silent = silence == "network"
            dialing = start(self._dialing(dialer, network))
            await self._begun(network)
            if not dialing.done():
                await cancel(dialing, f"dial() through a silent {silence}", self.time_limit)

    async def _begun(self, network: Network) -> None:
        """Wait until a dial has begun and, if it waits at all, waits."""
        await self.eventually(
            lambda: bool(network.dials or network.links), "dial() asked for no connection"
        )
        await settle()

    @clause(
        "A cancelled dial() leaves nothing open, wherever it was.",
        "D4",
        after=("cancellable", "close_frees"),
    )
    async def cancel_frees(self) -> None:
        dialer = await self.ready()
        for peer in (silent, self._peer):
            network = await self._node(peer)
            await self.cut_anywhere(lambda: self._dialing(dialer, network))  # noqa: B023
            await self.all_ended(network, "dial() was cancelled")

    @clause(
        "A dial that waits for a silent node does not hold up one to another node.",
        "D22, D32",
        after=("concurrent", "cancellable", "addresses_apart"),
    )
    async def silent_dial_alone(self) -> None:
        self._inside()
        for silence in ("the network", "the node"):
            dialer, network = await self.ready(), await self._node(silent)
            if silence == "the network":
                network.black_holes.add(_OTHER_ADDR)
            waiting = start(self._dialing(dialer, network, _OTHER_ADDR))
            await self._begun(network)
            network.peer = self._peer
            await self.works(
                await self._open(dialer, network),
                f"a connection to {_ADDR}, while {silence} was silent on the way to {_OTHER_ADDR},",
            )
            waiting.cancel()

    @clause(
        "Of two dials to one node that wait, one is cancelled: the other goes on.",
        "D4, D32",
        after=("concurrent", "cancellable"),
    )
    async def cancel_spares_others(self) -> None:
        answering = asyncio.Event()

        async def slow(conn: Conn) -> None:
            await answering.wait()
            await self._peer(conn)

        dialer, network = await self.ready(), await self._node(slow)
        first = start(self._dialing(dialer, network))
        await self._begun(network)
        second = start(self._opening(dialer, network))
        await settle()
        first.cancel()
        await settle()
        if first.done() and not first.cancelled() and first.exception() is None:
            await given(first.result().close(), "close()")
        answering.set()
        conn = await self.succeeds(second, f"{self._step(dialer)}, beside a cancelled one,")
        await self.works(conn, "the connection that was dialed beside a cancelled dial()")

    # ---- Sessions

    @clause(
        "A node that died and came back is reached again: a dead session is never handed out.",
        "D32",
        after=("known_by_address",),
    )
    async def node_comes_back(self) -> None:
        if self._datagrams:
            raise NotTried("datagrams do not tell that a node is gone")
        dialer, network = await self.ready(), await self._node(self._peer)
        conn = await self._open(dialer, network)
        await self.works(conn, "the first connection")
        reading = start(conn.read(1))
        await settle()
        await network.break_off()
        # Now the session's end is known, however the dialer learns of it.
        await within(asyncio.wait({reading}), "read() from a node that is gone")
        await settle()
        what = f"{self._step(dialer)} after the node was back"
        again = await self.succeeds(self._opening(dialer, network), what)
        await self.works(again, "the connection dialed after the node was back")

    @clause("multiplex() gives the same answer at any time.", "D34", after=("outlives_call",))
    async def multiplex_constant(self) -> None:
        dialer = self.made()
        if not isinstance(dialer, Multiplexer):
            raise NotTried("it has no multiplex()")
        answer = dialer.multiplex()
        expect(answer in (True, False), f"multiplex() returned {answer!r}")
        await given(dialer.init(self._setup.metadata), "init()")
        network = await self._node(self._peer)
        answers = [answer, dialer.multiplex()]
        await self._open(dialer, network)
        answers.append(dialer.multiplex())
        expect(len(set(answers)) == 1, f"made, initialised and in use it answered {answers}")

    @clause(
        "close() of the dialer ends its sessions and its tasks.",
        "D1, D19, D20",
        after=("outlives_call", "close_any_time"),
    )
    async def close_ends_sessions(self) -> None:
        before = asyncio.all_tasks()
        dialer, network = await self.ready(), await self._node(self._peer)
        closer = as_closer(dialer)
        if not isinstance(dialer, Multiplexer):
            raise NotTried("it has no multiplex(): the connections are the caller's")
        await self._open(dialer, network)
        await within(closer.close(), "close() of the dialer")
        await self.all_ended(network, "the dialer was closed")
        await self.no_task_left(before, "the dialer was closed")

    @clause(
        "close() of the dialer wakes a waiting dial(), which raises ClosedError, and so does one "
        "after it.",
        "D1, D14",
        after=("cancellable", "close_any_time"),
    )
    async def close_wakes_dial(self) -> None:
        dialer, network = await self.ready(), await self._node(self._peer)
        closer = as_closer(dialer)
        network.is_silent = True
        waiting = start(self._dialing(dialer, network))
        await settle()
        await within(closer.close(), "close() of the dialer")
        if self._listen is None:
            await raises(waiting, "the waiting dial()", ClosedError)
        await raises(self._dialing(dialer, network), "dial() after close()", ClosedError)


# MANUAL @checks(DialerContract)
# MANUAL async def check_dialer_dialer(
# MANUAL     make: Callable[[], Dialer],
# MANUAL     peer: Peer = echo,
# MANUAL     /,
# MANUAL     *,
# MANUAL     metadata: Metadata | None = None,
# MANUAL     bad_setting: tuple[str, object] | None = None,
# MANUAL     host: str = _NAME,
# MANUAL     ping: Ping | None = None,
# MANUAL     refusing: Peer | None = None,
# MANUAL     malformed: Peer | None = None,
# MANUAL     secret: str | None = None,
# MANUAL     listen: Callable[[], Awaitable[Listener]] | None = None,
# MANUAL     time_limit: float = 5.0,
# MANUAL ) -> Report:
# MANUAL     """Check a dialer.
# MANUAL 
# MANUAL     The check is the network and the node: the dialer is given, by its options, a dialer whose
# MANUAL     connections exist in memory only, and ``peer`` plays the node at their far end. A silent node,
# MANUAL     one that dies and one that comes back need no hook. If the dialer has a handshake, ``peer``
# MANUAL     waits for it, and the check does it.
# MANUAL 
# MANUAL     The connections that it gives are the affair of :func:`check_common_net_conn`.
# MANUAL 
# MANUAL     Args:
# MANUAL         make: makes a dialer with no more options than it needs, not yet initialised.
# MANUAL         peer: plays the node at its end of a connection: speaks the transport's protocol, and sends
# MANUAL             back what comes through it, until it ends. The check closes that end.
# MANUAL         metadata: the settings that it needs; None = none.
# MANUAL         bad_setting: a key of its settings, and a value of a wrong type for it.
# MANUAL         host: the node's address as configured; its host is what certificates must be for.
# MANUAL         ping: uses a connection, and raises unless it works; None = what is written comes back.
# MANUAL         refusing: a peer that refuses the credentials.
# MANUAL         malformed: a peer that sends what the protocol does not allow, then waits for the end.
# MANUAL         secret: the password that ``make`` gives, or whatever else is never to be told.
# MANUAL         listen: for a dialer that opens its own sockets, such as one for a serial line: begins to
# MANUAL             listen where ``addr()`` says; its connections are played by the peers.
# MANUAL         time_limit: seconds for each wait.
# MANUAL 
# MANUAL     Returns:
# MANUAL         The report, if no clause is broken.
# MANUAL 
# MANUAL     Raises:
# MANUAL         ContractError: some are; it lists them all.
# MANUAL     """
# MANUAL     setup = Setup(make, metadata, bad_setting, ping, secret)
# MANUAL     contract = DialerContract(setup, peer, host, refusing, malformed, listen)
# MANUAL     return await run(contract, time_limit)


class DialerHandshakerContract(HandshakeContract[Dialer], interface=Handshaker):
    # MANUAL fields from the check function
    """Check the handshake of a dialer.

    The rest of the dialer is the affair of :func:`check_dialer_dialer`, which takes the same
    factories. A silent node and one that dies need no hook.
    """

    make: Callable[[], Dialer] = field(kw_only=False)
    """Makes a dialer that has a handshake, with no more options than it needs, not yet initialised.
    """
    peer: Peer = field(kw_only=False)
    """Plays the node at its end of a connection: does its part of the handshake, and sends back
    what comes through, until it ends. The check closes that end."""
    metadata: Metadata | None = None
    """The settings that the dialer needs; None = none."""
    host: str = _NAME
    """The node's address as configured; its host is what certificates must be for."""
    ping: Ping | None = None
    """Uses a connection, and raises unless it works; None = what is written comes back."""
    refusing_peer: Peer | None = None
    """A peer that refuses the credentials."""
    malformed_peer: Peer | None = None
    """A peer that sends what the protocol does not allow, then waits for the end."""
    greeting: Peer | None = None
    """A peer that sends ``b"hello"`` right behind the last message of the handshake, then waits for
    the end."""
    exact: Peer | None = None
    """A peer like ``peer`` that goes on only if the TLS settings that ``make`` gives have arrived,
    and the name of ``host``."""
    pass_limit: Callable[[], Awaitable[object]] | None = None
    """Lets the time pass that the handshake limits itself to."""
    secret: str | None = None
    """The password that ``make`` gives, or whatever else is never to be told."""

    def __init__(
        self,
        setup: Setup[Dialer],
        peer: Peer,
        host: str,
        refusing: Peer | None,
        malformed: Peer | None,
        greeting: Peer | None,
        exact: Peer | None,
        pass_limit: Callable[[], Awaitable[object]] | None,
    ) -> None:
        super().__init__(setup, peer, refusing, malformed, pass_limit)
        self._host = host
        self._greeting = greeting
        self._exact = exact

    def shake(self, component: Dialer, conn: Conn) -> Awaitable[Conn]:
        return self._handshaker(component).handshake(
            Context(), conn, addr_handshake_option(self._host)
        )

    @staticmethod
    def _handshaker(dialer: Dialer) -> Handshaker:
        if not isinstance(dialer, Handshaker):
            raise NotTried("it has no handshake()")
        return dialer

    async def carries(self, component: Dialer, conn: Conn, what: str) -> None:
        await self.works(conn, what)

    @clause(
        "It takes what its own dial() gave, time after time.", "D31, D32", after=("outlives_call",)
    )
    async def own_connection(self) -> None:
        dialer, network = await self.ready(), self.network(self.peer)
        opts = (net_dialer_dial_option(network), host_dial_option(self._host))
        for _ in range(2):
            conn = await given(dialer.dial(Context(), _ADDR, *opts), "dial()")
            keep(conn.close)
            await self.works(await self.shaken(dialer, conn), "the result")

    @clause(
        "Any callable may be an option, and options are applied once each, in order.",
        "D23",
        after=("any_connection",),
    )
    async def options(self) -> None:
        handshaker = self._handshaker(await self.ready())
        watch = OptionWatch(HandshakeOptions)
        opts = (addr_handshake_option(self._host), *watch.opts())
        conn, _ = self.input(self.peer)
        result = await self.succeeds(handshaker.handshake(Context(), conn, *opts), "handshake()")
        keep(result.close)
        watch.judge()

    @clause(
        "What the node sends right behind the handshake is not lost.",
        "D8",
        after=("outlives_call",),
    )
    async def early_bytes(self) -> None:
        if self._greeting is None:
            raise NotTried("no `greeting` was given")
        conn, _ = self.input(self._greeting, late=True)
        result = await self.shaken(await self.ready(), conn)
        await self.greeted(result)

    @clause(
        "TLS settings arrive at the node whole: versions, ALPN, and the name of the host.",
        "D32, D66",
        after=("outlives_call",),
    )
    async def tls_settings(self) -> None:
        if self._exact is None:
            raise NotTried("no `exact` was given")
        result = await self.shaken(await self.ready(), self.input(self._exact)[0])
        await self.works(result, "the result")


# MANUAL @checks(DialerHandshakerContract)
# MANUAL async def check_dialer_handshaker(
# MANUAL     make: Callable[[], Dialer],
# MANUAL     peer: Peer,
# MANUAL     /,
# MANUAL     *,
# MANUAL     metadata: Metadata | None = None,
# MANUAL     host: str = _NAME,
# MANUAL     ping: Ping | None = None,
# MANUAL     refusing: Peer | None = None,
# MANUAL     malformed: Peer | None = None,
# MANUAL     greeting: Peer | None = None,
# MANUAL     exact: Peer | None = None,
# MANUAL     pass_limit: Callable[[], Awaitable[object]] | None = None,
# MANUAL     secret: str | None = None,
# MANUAL     time_limit: float = 5.0,
# MANUAL ) -> Report:
# MANUAL     """Check the handshake of a dialer.
# MANUAL 
# MANUAL     The rest of the dialer is the affair of :func:`check_dialer_dialer`, which takes the same
# MANUAL     factories. A silent node and one that dies need no hook.
# MANUAL 
# MANUAL     Args:
# MANUAL         make: makes a dialer that has a handshake, with no more options than it needs, not yet
# MANUAL             initialised.
# MANUAL         peer: plays the node at its end of a connection: does its part of the handshake, and sends
# MANUAL             back what comes through, until it ends. The check closes that end.
# MANUAL         metadata: the settings that the dialer needs; None = none.
# MANUAL         host: the node's address as configured; its host is what certificates must be for.
# MANUAL         ping: uses a connection, and raises unless it works; None = what is written comes back.
# MANUAL         refusing: a peer that refuses the credentials.
# MANUAL         malformed: a peer that sends what the protocol does not allow, then waits for the end.
# MANUAL         greeting: a peer that sends ``b"hello"`` right behind the last message of the
# MANUAL             handshake, then waits for the end.
# MANUAL         exact: a peer like ``peer`` that goes on only if the TLS settings that ``make`` gives have
# MANUAL             arrived, and the name of ``host``.
# MANUAL         pass_limit: lets the time pass that the handshake limits itself to.
# MANUAL         secret: the password that ``make`` gives, or whatever else is never to be told.
# MANUAL         time_limit: seconds for each wait.
# MANUAL 
# MANUAL     Returns:
# MANUAL         The report, if no clause is broken.
# MANUAL 
# MANUAL     Raises:
# MANUAL         ContractError: some are; it lists them all.
# MANUAL     """
# MANUAL     setup = Setup(make, metadata, None, ping, secret)
# MANUAL     contract = DialerHandshakerContract(
# MANUAL         setup, peer, host, refusing, malformed, greeting, exact, pass_limit
# MANUAL     )
# MANUAL     return await run(contract, time_limit)
