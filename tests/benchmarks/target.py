"""A program: the server that the proxies lead to. ``python target.py PORT``.

A client says in eight bytes how many it wants, and gets them. After that each byte that it sends
comes back. So a download, a short exchange and an idle connection are all served.
"""

import asyncio
import socket
import sys
from contextlib import suppress

BLOCK = memoryview(bytes(1024 * 1024))


async def serve(client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with client, suppress(ConnectionError):
        wanted = b""
        while len(wanted) < 8:
            data = await loop.sock_recv(client, 8 - len(wanted))
            if not data:
                return
            wanted += data
        left = int.from_bytes(wanted, "big")
        while left:
            block = BLOCK[:left]
            await loop.sock_sendall(client, block)
            left -= len(block)
        while data := await loop.sock_recv(client, 65536):
            await loop.sock_sendall(client, data)


async def main(port: int) -> None:
    tasks: set[asyncio.Task[None]] = set()
    with socket.create_server(("127.0.0.1", port), backlog=1024) as server:
        server.setblocking(False)
        while True:
            client, _ = await asyncio.get_running_loop().sock_accept(server)
            task = asyncio.create_task(serve(client))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1])))
