"""See the contract at work: a client, an entry proxy, two upstream proxies, and one of them dies.

    client > entry (SOCKS5 and HTTP) > north (HTTP) or south (SOCKS5) > origin

Everything runs in this process and on free ports of this machine. The exit code is 0 if every byte
came back right. It needs httpx with its socks extra, for the client.
"""

import asyncio
import hashlib
import random
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from gost_core.chain import (
    Node,
    Router,
    chain_router_option,
    retries_router_option,
    transport_node_option,
)
from gost_core.context import Context
from gost_core.handler import router_option
from gost_core.hop import Hop, SelectOption
from gost_core.listener import addr_option
from proxy.chain.chainer import HopChain
from proxy.chain.router import RetryRouter
from proxy.chain.transporter import NodeTransporter
from proxy.connector.http import HTTPConnector
from proxy.connector.proxy import ProxyConnector
from proxy.connector.socks5 import SOCKS5Connector
from proxy.dialer.tcp import TCPDialer
from proxy.handler.http import HTTPHandler
from proxy.handler.proxy import ProxyHandler
from proxy.handler.socks5 import SOCKS5Handler
from proxy.hop.nodes import NodeHop
from proxy.listener.tcp import TCPListener
from proxy.service import TaskService

try:
    import httpx
except ImportError:
    sys.exit("The demo needs httpx for its client: pip install 'httpx[socks]'")

MIB = 1024 * 1024
LIMIT = 60.0  # seconds for the whole demo
COLUMNS = "  {:<8} {:<6} {:>6}   {:<30} {:>7}  {}"


class WatchedHop(Hop):
    """Asks another hop, and remembers what it chose: a wrapper that any hop can be put into."""

    def __init__(self, inner: Hop) -> None:
        self._inner = inner
        self.chosen: list[Node] = []

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        """Choose as the inner hop does."""
        node = await self._inner.select(ctx, *opts)
        if node is not None:
            self.chosen.append(node)
        return node

    def story(self) -> str:
        """Tell what was chosen since the last time: first what failed, then what was used."""
        *failed, used = (node.name for node in self.chosen)
        self.chosen.clear()
        return " ".join([*(f"{name} (failed)," for name in failed), used])


class Proxy:
    """A proxy of one protocol, on a free port."""

    def __init__(self, protocol: type[ProxyHandler], router: Router) -> None:
        self._handler = protocol(router_option(router))
        self._listener = TCPListener(addr_option("127.0.0.1:0"))
        self._service = TaskService(self._listener, self._handler)

    async def start(self, name: str, stack: AsyncExitStack) -> str:
        """Serve until the stack ends, and return the address."""
        await self._handler.init(None)
        await self._listener.init(None)
        self._serving = asyncio.create_task(self._service.serve())
        stack.push_async_callback(self.kill)
        address = str(self._service.addr())
        print(f"  {name:<8} {type(self._handler).__name__:<14} {address}")
        return address

    async def kill(self) -> None:
        """Close the listener and every connection; a second time does nothing."""
        await self._service.close()
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)


async def make_node(name: str, addr: str, connector: ProxyConnector) -> Node:
    """Make the node that stands for an upstream proxy."""
    dialer = TCPDialer()
    await dialer.init(None)
    await connector.init(None)
    return Node(name, addr, transport_node_option(NodeTransporter(dialer, connector)))


@asynccontextmanager
async def origin(content: bytes) -> AsyncGenerator[str, None]:
    """Run an HTTP server that gives ``content``, and to a POST the hash of what came."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        answer = content
        if head.startswith("post"):
            length = int(head.partition("content-length:")[2].partition("\r\n")[0])
            answer = hashlib.sha256(await reader.readexactly(length)).hexdigest().encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield "{}:{}".format(*server.sockets[0].getsockname())


class Demo:
    """Sends requests, checks what comes back, and tells about it."""

    def __init__(self, entries: dict[str, str], url: str, content: bytes, hop: WatchedHop) -> None:
        self._entries = entries
        self._url = url
        self._content = content
        self._hop = hop

    async def ask(self, scheme: str, method: str = "GET") -> None:
        """Fetch the content by the entry of one protocol, or send it for the origin to hash."""
        sent, expected = b"", self._content
        if method == "POST":
            sent, expected = expected, hashlib.sha256(expected).hexdigest().encode()
        # A client of its own for each request, so that each one goes through the hop anew;
        # trust_env, so that no proxy of this machine's settings comes in between.
        proxy = f"{scheme}://{self._entries[scheme]}"
        async with httpx.AsyncClient(proxy=proxy, timeout=LIMIT, trust_env=False) as client:
            began = time.monotonic()
            answer = await client.request(method, self._url, content=sent)
        took = f"{(time.monotonic() - began) * 1000:.0f} ms"
        route, right = self._hop.story(), answer.content == expected
        verdict = "every byte right" if right else "wrong bytes"
        size = f"{len(self._content) / MIB:.0f} MiB"
        print(COLUMNS.format(scheme, method, size, route, took, verdict))
        if not right:
            raise ValueError(f"{method} by {scheme}, through {route}: wrong bytes came back")


async def main() -> None:
    """Run the demo."""
    content = random.Random(1).randbytes(4 * MIB)
    async with asyncio.timeout(LIMIT), AsyncExitStack() as stack:
        target = await stack.enter_async_context(origin(content))
        print("Started")
        north = Proxy(HTTPHandler, RetryRouter())
        south = Proxy(SOCKS5Handler, RetryRouter())
        hop = WatchedHop(
            NodeHop(
                await make_node("north", await north.start("north", stack), HTTPConnector()),
                await make_node("south", await south.start("south", stack), SOCKS5Connector()),
            )
        )
        router = RetryRouter(chain_router_option(HopChain(hop)), retries_router_option(1))
        entries = {
            "socks5": await Proxy(SOCKS5Handler, router).start("entry", stack),
            "http": await Proxy(HTTPHandler, router).start("entry", stack),
        }
        demo = Demo(entries, f"http://{target}/", content, hop)

        print("\nRequests: the two upstream proxies take turns")
        print(COLUMNS.format("by", "what", "size", "through", "time", "result"))
        for scheme in ("socks5", "socks5", "http", "http"):
            await demo.ask(scheme)
        for scheme in ("socks5", "http"):
            await demo.ask(scheme, "POST")

        print("\nnorth is killed: its first request moves to south, the others go there at once")
        await north.kill()
        for scheme in ("http", "socks5", "http", "socks5"):
            await demo.ask(scheme)
        await demo.ask("socks5", "POST")
    print("\nDone: what went through two proxies came back right, every byte of it.")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        sys.exit(f"Failed: {type(error).__name__}: {error}")
