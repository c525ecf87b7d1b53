"""Trials of the contract of the handshakes that dialers do."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext

from gost_core.common.net import Conn, ProtocolError
from gost_core.common.url import Userinfo
from gost_core.context import Context
from gost_core.dialer import (
    Dialer,
    DialOption,
    DialOptions,
    HandshakeOption,
    HandshakeOptions,
    Handshaker,
    addr_handshake_option,
)
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing.dialer import HandshakerContract
from tests.kit._stuck import (
    ClosingBehindReads,
    ClosingBehindWrites,
    Hurried,
    OneBuffer,
    QuietEnd,
    ending_at_the_limit,
    few_places,
    giving,
    keeping_the_conns,
    keeping_the_context,
    losing_places,
    stuck,
    timing_reads,
)
from tests.kit.dialer._handshakes import HANDSHAKE_FAULTS, Limit, LoggingIn, Secured
from tests.kit.dialer._protocol import (
    PASSWORD,
    TIME_LIMIT,
    OwnNetwork,
    exact_node,
    greeting_node,
    log_in,
    malformed_node,
    mixed,
    node,
    refusing_node,
)
from tests.kit.trial import Trial


class RightHandshaker(LoggingIn, Dialer, Handshaker):
    settings = "h2 http/1.1"

    async def log_in(self, conn: Conn) -> None:
        await log_in(conn, self.auth, self.settings)

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        self.check_ready()
        options = apply(DialOptions(), *opts)
        return await (options.dialer or OwnNetwork()).dial(ctx, "tcp", addr)

    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        self.check_name(apply(HandshakeOptions(), *opts).addr)
        return await self.shake(conn)

    def check_name(self, addr: str) -> None:
        if self.initialised and not addr:
            raise ValueError("there is no name that the node's certificate could be for")


def run_handshaker(make: Callable[[], Dialer]) -> Contract:
    return HandshakerContract(
        make,
        peer=node,
        refusing=refusing_node,
        garbling=malformed_node,
        greeting=greeting_node,
        exact=exact_node,
        checks_names=True,
        pass_limit=Limit.run_out,
        secret=PASSWORD,
        time_limit=TIME_LIMIT,
    )


handshakers = Trial[Callable[[], Dialer]](HandshakerContract, run_handshaker, RightHandshaker)


for clause, shaking, history in HANDSHAKE_FAULTS:
    handshakers.breaks(clause, history=history)(mixed(shaking, RightHandshaker))


@handshakers.breaks("shape")
class HandshakeWithoutOptions(RightHandshaker):
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:  # type: ignore  # the fault
        return await super().handshake(ctx, conn)


@handshakers.breaks("any-connection", history="x mtls mws: only what dial() gave was recognised")
class KnowingItsOwnOnly(RightHandshaker):
    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.dialed: set[Conn] = set()

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        conn = await super().dial(ctx, addr, *opts)
        self.dialed.add(conn)
        return conn

    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        if conn not in self.dialed:
            raise ConnectionResetError("unrecognized connection")
        return await super().handshake(ctx, conn, *opts)


@handshakers.breaks("own-connection", history="x mtls mws: the second connection is unrecognized")
class RecognisingOne(RightHandshaker):
    dials = 0

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        self.dials += 1
        return await super().dial(ctx, addr, *opts)

    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        if self.dials > 1:
            raise ConnectionResetError("unrecognized connection")
        return await super().handshake(ctx, conn, *opts)


@handshakers.breaks("own-connection")
class ShakingTheLastDialed(RightHandshaker):
    dialed: Conn | None = None

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        self.dialed = await super().dial(ctx, addr, *opts)
        return self.dialed

    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        dialed, self.dialed = self.dialed, None
        return await super().handshake(ctx, dialed or conn, *opts)


@handshakers.breaks("options")
class HandshakeIgnoringOrder(RightHandshaker):
    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        return await super().handshake(ctx, conn, *reversed(opts))


@handshakers.breaks("early-bytes")
class ReadingAhead(RightHandshaker):
    async def log_in(self, conn: Conn) -> None:
        await conn.write(f"{self.settings}\t{self.auth.username}:{self.auth.password}\n".encode())
        answer = b""
        while b"\n" not in answer:
            if not (piece := await conn.read(4096)):
                raise ConnectionResetError("the other end is gone")
            answer += piece
        if answer.startswith(b"refused"):
            raise PermissionError("refused")
        if not answer.startswith(b"welcome"):
            raise ProtocolError("malformed")


@handshakers.breaks("nameless")
class CheckingNothing(RightHandshaker):
    def check_name(self, addr: str) -> None:
        """Let any certificate be right."""


@handshakers.breaks("nameless")
class KnowingOneColon(RightHandshaker):
    """Takes what is behind the first colon for the port, also in an IPv6 address."""

    def check_name(self, addr: str) -> None:
        super().check_name(addr)
        port = addr.partition(":")[2]
        if not port.isdecimal():
            raise ValueError(f"{addr!r} has no port")


@handshakers.breaks("nameless")
class CheckingTheLastName(RightHandshaker):
    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        self.name = apply(HandshakeOptions(), *opts).addr
        await asyncio.sleep(0)
        return await super().handshake(ctx, conn, addr_handshake_option(self.name))


@handshakers.breaks(
    "tls-settings", history="296d87a 5810404 10f63f8 some of the settings were lost or replaced"
)
class LosingSettings(RightHandshaker):
    settings = "h2"


handshakers.breaks("failure-over")(stuck(RightHandshaker, "handshake"))
handshakers.breaks("cancel-frees")(
    losing_places(RightHandshaker, "handshake", asyncio.CancelledError)
)
handshakers.breaks("many-waiting")(few_places(RightHandshaker, "handshake"))
handshakers.breaks("outlives-limit")(ending_at_the_limit(RightHandshaker, "handshake"))


handshakers.breaks("break-shown")(giving(RightHandshaker, "handshake", QuietEnd))
handshakers.breaks("nothing-kept")(keeping_the_context(RightHandshaker, "handshake"))
handshakers.breaks("nothing-kept")(keeping_the_conns(RightHandshaker, "handshake"))
handshakers.breaks("writes-whole")(giving(RightHandshaker, "handshake", Hurried))
handshakers.breaks("writes-whole")(giving(RightHandshaker, "handshake", OneBuffer))
handshakers.breaks("close-wakes")(giving(RightHandshaker, "handshake", ClosingBehindReads))
handshakers.breaks("close-wakes")(giving(RightHandshaker, "handshake", ClosingBehindWrites))
handshakers.breaks("outlives-limit")(timing_reads(RightHandshaker, "handshake"))


@handshakers.breaks("tls-settings")
class KeepingTheProtocol(RightHandshaker):
    """Offers, from the second handshake on, only the protocol that was agreed on."""

    async def log_in(self, conn: Conn) -> None:
        await super().log_in(conn)
        self.settings = self.settings.partition(" ")[0]


@handshakers.breaks("failure-over")
class OneAtATimeAfterAFailure(RightHandshaker):
    """After a failure, has one handshake at a time try whether the node is well again."""

    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.failed = False
        self.trying = asyncio.Lock()

    async def log_in(self, conn: Conn) -> None:
        async with self.trying if self.failed else nullcontext():
            try:
                await super().log_in(conn)
            except OSError:
                self.failed = True
                raise
            self.failed = False


class Ahead(Secured):
    """Reads ahead; once the handshake is over, the first read() drops what it does not ask for."""

    ahead = b""
    over = False

    async def read(self, n: int, /) -> bytes:
        ahead = self.ahead or await super().read(n if self.over else 4096)
        self.ahead = b"" if self.over else ahead[n:]
        return ahead[:n]


@handshakers.breaks("early-bytes")
class CuttingWhatWasReadAhead(RightHandshaker):
    async def shake(self, conn: Conn) -> Conn:
        ahead = Ahead(conn, Limit())
        ahead.limit.clear()
        secured = await super().shake(ahead)
        ahead.over = True
        return secured


@handshakers.breaks("nameless")
class KeepingTheName(RightHandshaker):
    """Has a name that it was given once serve those that are given none."""

    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.options = HandshakeOptions()

    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        self.check_name(apply(self.options, *opts).addr)
        return await self.shake(conn)
