"""Right dialers of other kinds."""

import asyncio
import ssl

import pytest

from gost_core.common.net import Conn
from gost_core.testing._stage.network import echo
from gost_core.testing.dialer import DialerContract, HandshakerContract
from tests.kit.dialer._dialer import RightDialer
from tests.kit.dialer._handshaker import RightHandshaker
from tests.kit.dialer._protocol import Session, Stream, node, refusing_node
from tests.kit.lenience import expect_held

IDLE = 3.0


class IdleSession(Session):
    """Stays without users for the idle time."""

    async def leave(self, stream: Stream) -> None:
        self.streams.pop(stream.number, None)
        if not self.streams:
            asyncio.get_running_loop().call_later(IDLE, self.end_idle)

    def end_idle(self) -> None:
        if not self.streams:
            self.ending = asyncio.create_task(self.close(), name="idle for long")


class Idling(RightDialer):
    """Keeps a session for a while when its last user has gone; the node is asked for nothing."""

    def session(self, conn: Conn) -> Session:
        return IdleSession(conn)

    async def log_in(self, conn: Conn) -> None:
        pass


@pytest.mark.parametrize(
    "clause", ["close-frees", "failure-frees", "cancel-frees", "works-after-cancel"]
)
def test_a_session_may_stay_for_its_idle_time(clause: str) -> None:
    contract = DialerContract(
        Idling, peer=echo, pass_idle_time=lambda: asyncio.sleep(IDLE), time_limit=1.0
    )
    expect_held(contract, f"dialer.Dialer.{clause}")


class Alerted(RightHandshaker):
    """Is refused by an alert of TLS."""

    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except PermissionError as error:
            raise ssl.SSLError(1, "sslv3 alert bad certificate") from error


def test_a_node_may_refuse_by_an_alert() -> None:
    contract = HandshakerContract(Alerted, peer=node, refusing=refusing_node)
    expect_held(contract, "dialer.Handshaker.refused")
