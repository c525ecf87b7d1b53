"""The tutorial's files: they keep the contract, and the program at their end serves."""

import asyncio
from contextlib import suppress

import pytest

from gost_core.listener import addr_option
from tutorial import checks, echo
from tutorial.listener import SocketListener

TestConn = checks.TestConn
TestListener = checks.TestListener


def test_the_echo_program_sends_back_what_it_gets() -> None:
    async def scenario() -> bytes:
        listener = SocketListener(addr_option("127.0.0.1:0"))
        await listener.init(None)
        service = asyncio.create_task(echo.serve(listener))
        client = await checks.connect(listener.addr())
        try:
            await client.write(b"hello")
            return await client.read(5)
        finally:
            await client.close()
            await listener.close()
            service.cancel()
            with suppress(asyncio.CancelledError, BaseExceptionGroup):
                await service

    assert asyncio.run(asyncio.wait_for(scenario(), 60)) == b"hello"


@pytest.mark.parametrize("addr", ["", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:65536"])
def test_a_wrong_address_is_named_in_init(addr: str) -> None:
    with pytest.raises(ValueError, match=r"write it as host:port"):
        asyncio.run(SocketListener(addr_option(addr)).init(None))
