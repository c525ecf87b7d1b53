"""What a session lets its peer ask for."""

import asyncio
import weakref
from contextlib import suppress

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import PingAckReceived

from gost_core.common import net
from gost_core.context import Context
from gost_core.listener import addr_option
from proxy.limiter.bucket import Budgets
from proxy.listener.h2 import MuxListener
from proxy.metadata import MemoryMetadata
from proxy.net import h2_budget, h2_session
from proxy.net.address import split_host_port
from proxy.net.dialer import SystemDialer
from proxy.net.h2_budget import Budget
from proxy.net.h2_session import Session
from proxy.wire.socks5 import BIND_MANY, pack_address
from tests.examples.proxy_harness import run
from tests.examples.test_mux import dialing, mux_node, pair, read_all, streams
from tests.examples.test_mux import echo as echo_stream
from tests.examples.test_reverse import serving

pytestmark = pytest.mark.one_python


def test_who_asks_for_too_much_for_too_long_has_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h2_budget, "PATIENCE", 0.1)

    async def main() -> None:
        async with pair() as (client, server):
            near, _ = await streams(client, server)
            client.h2.ping(b"question")
            ping = client.h2.data_to_send()
            with suppress(OSError):
                await client.conn.write(ping * 20_000)
            with pytest.raises(net.ProtocolError, match="asks for much"):
                await server.accept()
            with pytest.raises(ConnectionResetError):
                await near.read(1)

    run(main())


def test_who_carries_much_is_not_made_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h2_budget, "PATIENCE", 0.0)
    monkeypatch.setattr(h2_budget, "OVERHEAD", 1)

    async def main() -> None:
        async with pair() as (client, server):
            near, far = await streams(client, server)
            sent = bytes(30_000_000)

            async def send() -> None:
                await near.write(sent)
                await near.close_write()

            sending = asyncio.create_task(send())
            assert len(await read_all(far)) == len(sent)
            await sending
            await far.write(sent[:1000])
            assert await near.read(1000)
            assert isinstance(client, Session)

    run(main())


def test_more_streams_than_a_session_has_go_by_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(h2_session, "TURN", 60.0)  # who accepts is late

    async def main() -> None:
        many = h2_session.STREAMS + 10
        async with mux_node(echo_stream) as address, dialing(address) as (dial, beneath):
            conns = await asyncio.gather(*(dial() for _ in range(many)))
            assert len(beneath.opened) == 2
            for conn in conns:
                await conn.write(b"question")
                assert await conn.read(100) == b"question"
            await asyncio.gather(*(conn.close() for conn in conns))

    run(main())


async def is_let_stay(address: str, host: str, pings: int, *, binds: bool = False) -> bool:
    """Open a session from a host, send so many pings, and tell whether the last one is answered.

    One that binds is the end of a tunnel, whose other end opens the streams.
    """
    reader, writer = await asyncio.open_connection(*split_host_port(address), local_addr=(host, 0))
    if binds:
        writer.write(bytes([5, 1, 0, 5, BIND_MANY, 0]) + pack_address("127.0.0.1:0"))
        assert (await reader.readexactly(12))[:4] == bytes([5, 0, 5, 0])
    h2 = H2Connection(H2Configuration(client_side=not binds))
    h2.initiate_connection()
    for number in range(pings):
        h2.ping(number.to_bytes(8, "big"))
    writer.write(h2.data_to_send())
    answered = False
    with suppress(ConnectionError):
        while not answered and (data := await reader.read(65536)):
            answered = any(
                isinstance(event, PingAckReceived) and event.ping_data[-1] == pings - 1
                for event in h2.receive_data(data)
            )
    writer.close()
    return answered


async def try_often(address: str, *, binds: bool = False) -> None:
    """Open sessions, of which one asks for too much, and see that its host has to go, and stays so.

    Nobody else has to.
    """
    assert await is_let_stay(address, "127.0.0.1", 1, binds=binds)
    assert not await is_let_stay(address, "127.0.0.1", 100, binds=binds)
    assert not await is_let_stay(address, "127.0.0.1", 1, binds=binds)
    assert await is_let_stay(address, "127.0.0.2", 1, binds=binds)


def test_who_was_sent_away_is_no_newcomer_in_the_next_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(h2_budget, "BURST", 3000)
    monkeypatch.setattr(h2_budget, "OVERHEAD", 0.001)
    monkeypatch.setattr(h2_budget, "PATIENCE", 0.0)

    async def main() -> None:
        async with mux_node() as address:
            await try_often(address)
            names = {task.get_name(): task for task in asyncio.all_tasks()}
            ending = [task for name, task in names.items() if name.startswith("session with")]
            await asyncio.gather(*ending)

    run(main())


def test_who_was_sent_away_is_no_newcomer_at_the_next_port_that_it_binds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(h2_budget, "BURST", 3000)
    monkeypatch.setattr(h2_budget, "OVERHEAD", 0.001)
    monkeypatch.setattr(h2_budget, "PATIENCE", 0.0)

    async def main() -> None:
        async with serving("socks5://127.0.0.1:0?bind=true") as (service, _):
            await try_often(str(service.addr()), binds=True)

    run(main())


def test_what_a_host_has_spent_is_kept_and_what_nobody_needs_is_not() -> None:
    budgets = Budgets[str, Budget]()
    budgets.of("spender", Budget).spend(1_000_000, ())
    budgets.of("user", Budget).sessions += 1
    spent, used = budgets["spender"], budgets["user"]
    unneeded = weakref.ref(budgets.of("another", Budget))
    for number in range(100):
        budgets.of(str(number), Budget)
    assert (budgets.of("spender", Budget), budgets.of("user", Budget)) == (spent, used)
    assert unneeded() is None


def test_a_session_that_has_long_had_no_stream_ends_and_no_other_does() -> None:
    async def main() -> None:
        listener = MuxListener(addr_option("127.0.0.1:0"))
        await listener.init(MemoryMetadata({"idleTimeout": 0.05}))
        dial = SystemDialer()
        idle, busy = [
            Session(await dial.dial(Context(), "tcp", str(listener.addr())), client=True)
            for _ in range(2)
        ]
        near, far = await asyncio.gather(busy.open("name:1"), listener.accept())
        with pytest.raises(ConnectionResetError):
            await idle.accept()
        await near.write(b"still there")
        assert await far.read(100) == b"still there"
        await asyncio.gather(near.close(), far.close())
        with pytest.raises(ConnectionResetError):
            await busy.accept()
        await asyncio.gather(idle.close(), busy.close(), listener.close())

    run(main())
