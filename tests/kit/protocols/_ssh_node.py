"""The node of the connector like SSH's."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

from gost_core.chain import Router
from gost_core.common.net import Conn, Listener
from gost_core.context import Context
from tests.kit.protocols._sessions import Kind, message, parsed
from tests.kit.protocols._ssh import LOGIN, Channel, Packets, SshSession


async def relay(one: Conn, other: Conn) -> None:
    async def copy(source: Conn, sink: Conn) -> None:
        while data := await source.read(65535):
            await sink.write(data)

    tasks = {asyncio.create_task(copy(one, other)), asyncio.create_task(copy(other, one))}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(OSError):
            await asyncio.gather(one.close(), other.close())


class Node:
    """Plays an SSH server at its end of a connection."""

    def __init__(self, conn: Conn, router: Router) -> None:
        self.carrier = Packets(conn)
        self.router = router
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        kind, _, login = parsed(await self.carrier.receive())
        if kind is not Kind.HELLO or login != LOGIN:
            await self.carrier.send(message(Kind.REFUSED))
            return
        await self.carrier.send(message(Kind.WELCOME))
        self.session = session = SshSession(
            self.carrier,
            is_client=False,
            on_open=lambda channel: self.begin(self.reach(channel)),
            on_forward=self.forward,
        )
        try:
            await asyncio.wait({session.receiving})
        finally:
            for task in self.tasks:
                task.cancel()
            await session.close()

    def begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def reach(self, channel: Channel) -> None:
        try:
            target = await self.router.dial(Context(), "tcp", str(channel.peer))
        except OSError as error:
            channel.post(Kind.FAILED, str(error).encode())
            self.session.leave(channel)
        else:
            channel.post(Kind.OPENED)
            await relay(channel, target)

    async def forward(self, address: str) -> str:
        listener = await self.router.bind(Context(), "tcp", address)
        self.begin(self.pass_on(listener))
        return str(listener.addr())

    async def pass_on(self, listener: Listener) -> None:
        try:
            while True:
                self.begin(self.visit(await listener.accept()))
        finally:
            await listener.close()

    async def visit(self, visitor: Conn) -> None:
        channel = self.session.begin(str(visitor.remote_addr()))
        if await channel.opened:
            await visitor.close()
        else:
            await relay(channel, visitor)
