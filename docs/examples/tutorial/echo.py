"""A program around the listener: it sends back what it gets."""

import asyncio
import sys
from contextlib import suppress

from gost_core.common.net import Conn
from gost_core.listener import Listener, addr_option

from .listener import SocketListener


async def echo(conn: Conn) -> None:
    """Serve one client."""
    try:
        with suppress(OSError):  # this client's trouble, and nobody else's
            while data := await conn.read(65536):
                await conn.write(data)
    finally:
        await conn.close()


async def serve(listener: Listener) -> None:
    """Serve all clients, each in a task of its own."""
    async with asyncio.TaskGroup() as clients:
        while True:
            clients.create_task(echo(await listener.accept()))


async def main(addr: str) -> None:
    """Listen at an address."""
    listener = SocketListener(addr_option(addr))
    await listener.init(None)
    print(f"listening on {listener.addr()}", flush=True)
    try:
        await serve(listener)
    finally:
        await listener.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tutorial.echo HOST:PORT")
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))
