"""The reverse path in traffic: a local server published at a far proxy; and the forward."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from gost_core.chain import Node, chain_router_option
from gost_core.common.net import Conn
from gost_core.connector import BindUnsupportedError
from gost_core.context import Context
from gost_core.handler import router_option
from gost_core.keys import SOURCE_ADDRESS
from gost_core.listener import addr_option
from gost_core.listener import router_option as listen_router_option
from gost_core.service import Service
from proxy import service as service_module
from proxy.build import Shared, make_hop, make_service
from proxy.chain.route import HopChain, NodeRoute
from proxy.chain.router import RetryRouter
from proxy.handler.forward import ForwardHandler
from proxy.handler.proxy import RefusedError
from proxy.handler.socks5 import SOCKS5Handler
from proxy.hop import NodeHop
from proxy.listener.rtcp import ReverseListener
from proxy.listener.tcp import TCPListener
from proxy.net.dialer import SystemDialer
from proxy.net.wrapper import PrefixedConn
from proxy.sd.memory import MemorySD
from proxy.service import TaskService
from proxy.urls import parse
from tests.examples.proxy_harness import echo, forked, refused_address, run, server


async def router_through(stack: AsyncExitStack, *hops: str) -> RetryRouter:
    chain = HopChain(*[await make_hop(parse(hop), stack) for hop in hops])
    return RetryRouter(chain_router_option(chain if hops else None))


@asynccontextmanager
async def serving(url: str, *hops: str) -> AsyncGenerator[tuple[Service, asyncio.Task[None]], None]:
    """Serve what an argument of -L says, through those of -F; the end cuts everything off."""
    async with AsyncExitStack() as stack:
        router = await router_through(stack, *hops)
        service = await make_service(parse(url)[0], router, Shared(MemorySD()), stack)
        task = asyncio.create_task(service.serve())
        try:
            yield service, task
        finally:
            await service.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other tasks bring about; the test's own limit bounds it."""
    while not condition():  # noqa: ASYNC110, there is no event to wait for
        await asyncio.sleep(0.005)


async def bound(service: Service) -> str:
    """Wait until a reverse service is bound; return where."""
    await until(lambda: not str(service.addr()).endswith(":0"))
    return str(service.addr())


async def dial(addr: str) -> Conn:
    return await SystemDialer().dial(Context(), "tcp", addr)


async def echoes(conn: Conn, data: bytes) -> bool:
    await conn.write(data)
    received = b""
    while len(received) < len(data):
        if not (piece := await conn.read(len(data))):
            break
        received += piece
    return received == data


FAR = "socks5://127.0.0.1:0?bind=true"


def test_a_local_server_is_reached_at_the_far_proxy() -> None:
    async def visit(addr: str, data: bytes) -> None:
        conn = await dial(addr)
        assert await echoes(conn, data)
        await conn.close()

    async def main() -> None:
        # The far proxy would refuse to go back to the server, which is the near one's to reach.
        async with server(echo) as local, serving(f"{FAR}&bypass=localhost") as (far, _):
            target = local.replace("127.0.0.1", "localhost")
            here = serving(f"rtcp://127.0.0.1:0/{target}", f"socks5://{far.addr()}")
            async with here as (service, _):
                addr = await bound(service)
                visits = (visit(addr, b"<visitor %2d>" % number * 5000) for number in range(50))
                await asyncio.gather(*visits)

    run(main())


def test_the_far_proxy_may_be_reached_through_others_and_on_a_session() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            local = await stack.enter_async_context(server(echo))
            first, _ = await stack.enter_async_context(serving("http://127.0.0.1:0"))
            far, _ = await stack.enter_async_context(serving("socks5+h2://127.0.0.1:0?bind=true"))
            service, _ = await stack.enter_async_context(
                serving(
                    f"rtcp://127.0.0.1:0/{local}",
                    f"http://{first.addr()}",
                    f"socks5+h2://{far.addr()}",
                )
            )
            visitor = await dial(await bound(service))
            assert await echoes(visitor, b"through everything")
            await visitor.close()

    run(main())


def test_the_handler_is_told_who_has_come() -> None:
    seen: list[str] = []

    class Seeing(ForwardHandler):
        async def handle(self, ctx: Context, conn: Conn, /, *opts: object) -> None:
            seen.append(str(ctx.value(SOURCE_ADDRESS)))
            await conn.close()

    async def main() -> None:
        async with serving(FAR) as (far, _), AsyncExitStack() as stack:
            router = await router_through(stack, f"socks5://{far.addr()}")
            listener = ReverseListener(addr_option("127.0.0.1:0"), listen_router_option(router))
            await listener.init(None)
            handler = Seeing(router_option(router))
            await handler.init(None)
            service = TaskService(listener, handler)
            task = asyncio.create_task(service.serve())
            visitor = await dial(await bound(service))
            assert await visitor.read(1) == b""
            assert seen == [str(visitor.local_addr())]
            await visitor.close()
            await service.close()
            await task

    run(main())


def test_when_the_far_end_comes_back_it_listens_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "FIRST_PAUSE", 0.01)

    async def main() -> None:
        async with server(echo) as local, AsyncExitStack() as stack:
            async with serving(FAR) as (far, _):
                addr = str(far.addr())
                service, task = await stack.enter_async_context(
                    serving(f"rtcp://127.0.0.1:0/{local}", f"socks5://{addr}")
                )
                first = await bound(service)
                visitor = await dial(first)
                assert await echoes(visitor, b"before")
            with suppress(ConnectionResetError):
                assert await visitor.read(1) == b""  # it is gone with the far end
            await visitor.close()
            with pytest.raises(ConnectionRefusedError):
                await dial(first)
            async with serving(f"socks5://{addr}?bind=true"):
                await until(lambda: str(service.addr()) != first)
                visitor = await dial(str(service.addr()))
                assert await echoes(visitor, b"after")
                await visitor.close()
            assert not task.done()

    run(main())


def test_closing_frees_the_far_address_and_leaves_the_visitors_that_are_served() -> None:
    async def main() -> None:
        async with server(echo) as local, serving(FAR) as (far, _):
            here = serving(f"rtcp://127.0.0.1:0/{local}", f"socks5://{far.addr()}")
            async with here as (service, task):
                addr = await bound(service)
                visitor = await dial(addr)
                assert await echoes(visitor, b"before")
                await service.close()
                with pytest.raises(ConnectionRefusedError):
                    await dial(addr)
                assert await echoes(visitor, b"after")
                await visitor.close()
                await task

    run(main())


@pytest.mark.parametrize("far", ["socks5://127.0.0.1:0", "http://127.0.0.1:0"])
def test_a_far_end_that_cannot_listen_ends_the_service_at_once(far: str) -> None:
    async def main() -> None:
        async with serving(far) as (proxy, _):
            hop = f"{far.partition(':')[0]}://{proxy.addr()}"
            async with serving("rtcp://127.0.0.1:0/127.0.0.1:1", hop) as (_, task):
                with pytest.raises(BindUnsupportedError):
                    await task

    run(main())


def test_a_far_end_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "FIRST_PAUSE", 0.01)

    async def main() -> None:
        async with serving(FAR) as (far, _):
            addr = str(far.addr())
        async with serving("rtcp://127.0.0.1:0/127.0.0.1:1", f"socks5://{addr}") as (service, task):
            await asyncio.sleep(0)
            async with serving(f"socks5://{addr}?bind=true"):
                await bound(service)
            assert not task.done()

    run(main())


def test_the_program_says_what_a_far_end_cannot_do_and_ends() -> None:
    with forked("-L", "socks5://127.0.0.1:0") as far:
        addr = far.address("socks5")
        with forked("-L", "rtcp://:0/127.0.0.1:1", "-F", f"socks5://{addr}") as here:
            assert here.ended() == 1
            assert "COMMAND_NOT_SUPPORTED" in here.lines[-1]
            assert "bind" in here.lines[-1]


def test_the_program_publishes_a_server() -> None:
    with forked("-L", FAR) as far, forked("-L", "tcp://127.0.0.1:0/127.0.0.1:1") as local:
        here = forked(
            "-L",
            f"rtcp://127.0.0.1:0/{local.address('tcp')}",
            "-F",
            f"socks5://{far.address('socks5')}",
        )
        with here as publishing:
            assert publishing.wait_for(r"is bound at (\S+)")[1]
            assert publishing.stop() == 0


# ---- a route that is cut


def test_a_route_is_cut_where_a_session_is_shared() -> None:
    """Three hops: the first serves only to open the session with the second."""
    handled: list[Conn] = []

    class Counting(SOCKS5Handler):
        async def handle(self, ctx: Context, conn: Conn, /, *opts: object) -> None:
            handled.append(conn)
            await super().handle(ctx, conn)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            target = await stack.enter_async_context(server(echo))
            listener = TCPListener(addr_option("127.0.0.1:0"))
            await listener.init(None)
            handler = Counting(router_option(RetryRouter()))
            await handler.init(None)
            first = TaskService(listener, handler)
            task = asyncio.create_task(first.serve())
            second, _ = await stack.enter_async_context(serving("socks5+h2://127.0.0.1:0"))
            third, _ = await stack.enter_async_context(serving("http://127.0.0.1:0"))
            async with AsyncExitStack() as dialers:
                router = await router_through(
                    dialers,
                    f"socks5://{first.addr()}",
                    f"socks5+h2://{second.addr()}",
                    f"http://{third.addr()}",
                )
                chain = router.options().chain
                assert chain is not None
                route = await chain.route(Context(), "tcp", target)
                assert isinstance(route, NodeRoute)
                assert [node.addr for node in route.nodes()] == [
                    str(second.addr()),
                    str(third.addr()),
                ]
                conns = await asyncio.gather(
                    *(router.dial(Context(), "tcp", target) for _ in range(10))
                )
                marks = [b"%d " % number * 1000 for number in range(10)]
                assert all(await asyncio.gather(*map(echoes, conns, marks)))
                assert len(handled) == 1
                for conn in conns:
                    await conn.close()
            await first.close()
            await task

    run(main())


# ---- the forward


def test_a_forward_leaves_a_target_that_failed() -> None:
    async def main() -> None:
        async with server(echo) as alive:
            async with server(echo) as dead:
                pass
            nodes = [Node("dead", dead), Node("alive", alive)]
            handler = ForwardHandler(router_option(RetryRouter()))
            handler.forward(NodeHop(*nodes))
            await handler.init(None)
            listener = TCPListener(addr_option("127.0.0.1:0"))
            await listener.init(None)
            service = TaskService(listener, handler)
            task = asyncio.create_task(service.serve())
            served = 0
            for _ in range(6):
                client = await dial(str(service.addr()))
                with suppress(ConnectionResetError, BrokenPipeError):
                    served += await echoes(client, b"hello")
                await client.close()
            assert served == 5
            assert nodes[0].marker().count() == 1
            await service.close()
            await task

    run(main())


def test_a_forward_that_has_nothing_to_say_does_not_wait_for_its_client() -> None:
    class Heard(PrefixedConn):
        asked = False

        async def read(self, n: int, /) -> bytes:
            self.asked = True
            return await super().read(n)

    async def main() -> None:
        handler = ForwardHandler(router_option(RetryRouter()))
        handler.forward(NodeHop(Node("dead", refused_address())))
        await handler.init(None)
        listener = TCPListener(addr_option("127.0.0.1:0"))
        await listener.init(None)
        client = await dial(str(listener.addr()))
        conn = Heard(await listener.accept(), b"")
        with pytest.raises(RefusedError):
            await handler.handle(Context(), conn)
        assert not conn.asked
        assert await client.read(1) == b""
        await client.close()
        await listener.close()

    run(main())


def test_a_forward_serves_who_says_nothing() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 welcome\r\n")
        await reader.read()

    async def main() -> None:
        async with server(greet) as target, serving(f"tcp://127.0.0.1:0/{target}") as (service, _):
            client = await dial(str(service.addr()))
            assert await client.read(13) == b"220 welcome\r\n"
            await client.close()

    run(main())
