"""Trials of the contract of the handshakes that connectors do."""

import asyncio
from collections.abc import Callable

from gost_core.chain import Router
from gost_core.common.net import (
    Conn,
    ProtocolError,
)
from gost_core.connector import (
    Connector,
    Handshaker,
)
from gost_core.context import Context
from gost_core.testing import Contract
from gost_core.testing.connector import HandshakerContract
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
from tests.kit.connector._connector import RightConnector
from tests.kit.connector._protocol import proxy
from tests.kit.dialer._handshakes import HANDSHAKE_FAULTS, Limit, LoggingIn
from tests.kit.dialer._protocol import (
    PASSWORD,
    TIME_LIMIT,
    let_in,
    malformed_node,
    mixed,
    refusing_node,
)
from tests.kit.trial import Trial


class RightLogin(LoggingIn, RightConnector, Handshaker):
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        return await self.shake(conn)


async def login_proxy(conn: Conn, router: Router) -> None:
    await let_in(conn)
    await proxy(conn, router)


async def refusing_login(conn: Conn, router: Router) -> None:
    await refusing_node(conn)


async def malformed_login(conn: Conn, router: Router) -> None:
    await malformed_node(conn)


def run_login(make: Callable[[], Connector]) -> Contract:
    return HandshakerContract(
        make,
        node=login_proxy,
        refusing=refusing_login,
        garbling=malformed_login,
        pass_limit=Limit.run_out,
        secret=PASSWORD,
        time_limit=TIME_LIMIT,
    )


logins = Trial[Callable[[], Connector]](HandshakerContract, run_login, RightLogin)

for clause, shaking, history in HANDSHAKE_FAULTS:
    logins.breaks(clause, history=history)(mixed(shaking, RightLogin))


@logins.breaks("shape")
class SyncLogin(RightLogin):
    def handshake(self, ctx: Context, conn: Conn, /) -> Conn:  # type: ignore  # the fault
        return conn


@logins.breaks("any-connection")
class LoginIntoNothing(RightLogin):
    def secured(self, conn: Conn, limit: Limit) -> Conn:
        return None  # type: ignore  # the fault


logins.breaks("failure-over")(stuck(RightLogin, "handshake"))
logins.breaks("cancel-frees")(losing_places(RightLogin, "handshake", asyncio.CancelledError))
logins.breaks("many-waiting")(few_places(RightLogin, "handshake"))
logins.breaks("outlives-limit")(ending_at_the_limit(RightLogin, "handshake"))


logins.breaks("break-shown")(giving(RightLogin, "handshake", QuietEnd))
logins.breaks("nothing-kept")(keeping_the_context(RightLogin, "handshake"))
logins.breaks("nothing-kept")(keeping_the_conns(RightLogin, "handshake"))
logins.breaks("writes-whole")(giving(RightLogin, "handshake", Hurried))
logins.breaks("writes-whole")(giving(RightLogin, "handshake", OneBuffer))
logins.breaks("close-wakes")(giving(RightLogin, "handshake", ClosingBehindReads))
logins.breaks("close-wakes")(giving(RightLogin, "handshake", ClosingBehindWrites))
logins.breaks("outlives-limit")(timing_reads(RightLogin, "handshake"))


async def drain(conn: Conn) -> None:
    while await conn.read(4096):
        pass


@logins.breaks("failure-frees")
class DrainingTheMalformed(RightLogin):
    """Reads on, in a task, what a node sends after an answer that is malformed."""

    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except ProtocolError:
            self.draining = asyncio.create_task(drain(conn))
            raise
