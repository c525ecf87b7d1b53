"""See the contract at work: a client, an entry proxy, two upstream proxies, and one of them dies.

    client > entry (SOCKS5 and HTTP) > north (HTTP) or south (SOCKS5) > origin

Everything runs in this process and on free ports of this machine. The exit code is 0 if every byte
came back right. It needs httpx with its socks extra, for the client.
"""

import asyncio
import random
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from gost_core.chain import Node, Router, chain_router_option, retries_router_option
from gost_core.context import Context
from gost_core.hop import Hop, SelectOption
from proxy.build import Shared, make_hop, make_service
from proxy.chain.route import HopChain
from proxy.chain.router import RetryRouter
from proxy.sd.memory import MemorySD
from proxy.urls import parse

try:
    import httpx
except ImportError:
    sys.exit("The demo needs httpx for its client: pip install 'httpx[socks]'")

LIMIT = 60.0  # seconds for the whole demo
COLUMNS = "  {:<8} {:<30} {:>7}  {}"


class WatchedHop(Hop):
    """Asks another hop, and remembers what it chose: a wrapper that any hop can be put into."""

    def __init__(self, inner: Hop, names: Mapping[str, str]) -> None:
        self._inner = inner
        self._names = names
        self._chosen: list[Node] = []

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        """Choose as the inner hop does."""
        node = await self._inner.select(ctx, *opts)
        if node is not None:
            self._chosen.append(node)
        return node

    def story(self) -> str:
        """Tell what was chosen since the last time: first what failed, then what was used."""
        *failed, used = (self._names[node.addr] for node in self._chosen)
        self._chosen.clear()
        return " ".join([*(f"{name} (failed)," for name in failed), used])


Proxy = tuple[str, asyncio.Task[None]]  # its address, and what serves there until it is killed


async def start(name: str, protocol: str, router: Router, stack: AsyncExitStack) -> Proxy:
    """Start a proxy on a free port, as the program does it for ``-L``, until the stack ends."""
    (url,) = parse(f"{protocol}://127.0.0.1:0")
    service = await make_service(url, router, Shared(MemorySD()), stack)
    serving = asyncio.create_task(service.serve())
    stack.push_async_callback(kill, serving)
    print(f"  {name:<8} {protocol:<8} {service.addr()}")
    return str(service.addr()), serving


async def kill(serving: asyncio.Task[None]) -> None:
    """End a proxy with every connection that it has; a second time does nothing."""
    serving.cancel()
    await asyncio.wait({serving})


@asynccontextmanager
async def origin(content: bytes) -> AsyncGenerator[str, None]:
    """Run an HTTP server that gives ``content``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield "{}:{}".format(*server.sockets[0].getsockname())


async def ask(scheme: str, entry: str, url: str, content: bytes, hop: WatchedHop) -> None:
    """Fetch the content by an entry, check what comes back, and tell about it."""
    # A client of its own for each request, so that each one goes through the hop anew;
    # trust_env, so that no proxy of this machine's settings comes in between.
    proxy = f"{scheme}://{entry}"
    async with httpx.AsyncClient(proxy=proxy, timeout=LIMIT, trust_env=False) as client:
        began = time.monotonic()
        answer = await client.get(url)
    took = f"{(time.monotonic() - began) * 1000:.0f} ms"
    route, right = hop.story(), answer.content == content
    print(COLUMNS.format(scheme, route, took, "every byte right" if right else "wrong bytes"))
    if not right:
        raise ValueError(f"by {scheme}, through {route}: wrong bytes came back")


async def main() -> None:
    """Run the demo."""
    content = random.Random(1).randbytes(4 << 20)
    async with asyncio.timeout(LIMIT), AsyncExitStack() as stack:
        target = await stack.enter_async_context(origin(content))
        print("Started")
        north, serving = await start("north", "http", RetryRouter(), stack)
        south, _ = await start("south", "socks5", RetryRouter(), stack)
        nodes = parse(f"http://{north},socks5://{south}")
        names = {north: "north", south: "south"}
        hop = WatchedHop(await make_hop(nodes, stack), names)
        router = RetryRouter(chain_router_option(HopChain(hop)), retries_router_option(1))
        entries = {name: await start("entry", name, router, stack) for name in ("socks5", "http")}

        print("\nRequests: the two upstream proxies take turns")
        print(COLUMNS.format("by", "through", "time", "result"))
        for scheme in ("socks5", "socks5", "http", "http"):
            await ask(scheme, entries[scheme][0], f"http://{target}/", content, hop)

        print("\nnorth is killed: its first request moves to south, the others go there at once")
        await kill(serving)
        for scheme in ("http", "socks5", "http", "socks5"):
            await ask(scheme, entries[scheme][0], f"http://{target}/", content, hop)
    print("\nDone: what went through two proxies came back right, every byte of it.")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        sys.exit(f"Failed: {type(error).__name__}: {error}")
