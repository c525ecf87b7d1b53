"""A program: SOCKS5 on asyncio's bare sockets, the floor under any proxy on this event loop.

``python bare.py PORT``. It does what the example proxy does for a plain CONNECT, and nothing else:
no limits, rules, chains, time limits or log lines.
"""

import asyncio
import socket
import sys
from contextlib import suppress

CHUNK = 256 * 1024  # as the example proxy reads


async def read_exactly(sock: socket.socket, n: int) -> bytes:
    data = b""
    while len(data) < n:
        more = await asyncio.get_running_loop().sock_recv(sock, n - len(data))
        if not more:
            raise ConnectionResetError("the client ended in mid-message")
        data += more
    return data


async def negotiate(client: socket.socket) -> tuple[str, int]:
    loop = asyncio.get_running_loop()
    _, count = await read_exactly(client, 2)
    await read_exactly(client, count)
    await loop.sock_sendall(client, b"\x05\x00")
    _, _, _, kind = await read_exactly(client, 4)
    if kind != 1:
        raise ConnectionError("this floor is for IPv4 addresses")
    host = socket.inet_ntoa(await read_exactly(client, 4))
    return host, int.from_bytes(await read_exactly(client, 2), "big")


async def copy(source: socket.socket, destination: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(source, CHUNK):
        await loop.sock_sendall(destination, data)
    destination.shutdown(socket.SHUT_WR)


async def serve(client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with client, socket.socket() as target, suppress(OSError):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        target.setblocking(False)
        await loop.sock_connect(target, await negotiate(client))
        await loop.sock_sendall(client, b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        copies = [
            asyncio.create_task(copy(client, target)),
            asyncio.create_task(copy(target, client)),
        ]
        try:
            await asyncio.gather(*copies)
        finally:
            for task in copies:
                task.cancel()
            await asyncio.gather(*copies, return_exceptions=True)


async def main(port: int) -> None:
    tasks: set[asyncio.Task[None]] = set()
    with socket.create_server(("127.0.0.1", port), backlog=128) as server:
        server.setblocking(False)
        while True:
            client, _ = await asyncio.get_running_loop().sock_accept(server)
            task = asyncio.create_task(serve(client))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1])))
