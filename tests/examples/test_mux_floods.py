"""What a session lets its peer ask for."""

import asyncio
from contextlib import suppress

import pytest

from gost_core.common import net
from proxy.net import h2_budget, h2_session
from proxy.net.h2_session import Session
from tests.examples.proxy_harness import run
from tests.examples.test_mux import dialing, mux_node, pair, read_all, streams
from tests.examples.test_mux import echo as echo_stream

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


def test_more_streams_than_a_session_has_go_by_another_one() -> None:
    async def main() -> None:
        many = h2_session.STREAMS + 10
        async with mux_node(echo_stream) as address, dialing(address) as (dial, beneath):
            conns = await asyncio.gather(*(dial() for _ in range(many)))
            assert len(beneath.opened) == 2
            for conn in (conns[0], conns[-1]):
                await conn.write(b"question")
                assert await conn.read(100) == b"question"
            await asyncio.gather(*(conn.close() for conn in conns))

    run(main())
