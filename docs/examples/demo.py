"""See the contract at work: a client, an entry proxy, two upstream proxies, and one of them dies.

    client > entry (SOCKS5 and HTTP) > north (HTTP) or south (SOCKS5) > origin

Everything runs in this process and on free ports of this machine. The exit code is 0 if every byte
came back right. It needs httpx with its socks extra, for the client.
"""

import asyncio
import hashlib
import os
import random
import sys
import time
from collections.abc import AsyncGenerator, Sequence
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
LIMIT = 15.0  # seconds for the whole demo
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

    async def start(self) -> str:
        """Serve, and return the address."""
        await self._handler.init(None)
        await self._listener.init(None)
        self._serving = asyncio.create_task(self._service.serve())
        return str(self._service.addr())

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
        self.checked = 0

    async def get(self, scheme: str) -> None:
        """Fetch the content by the entry of one protocol."""
        async with self._client(scheme) as client:
            began = time.monotonic()
            answer = await client.get(self._url)
        self._report(scheme, "GET", answer.content, self._content, len(self._content), began)

    async def post(self, scheme: str) -> None:
        """Send the content, for the origin to hash."""
        async with self._client(scheme) as client:
            began = time.monotonic()
            answer = await client.post(self._url, content=self._content)
        digest = hashlib.sha256(self._content).hexdigest().encode()
        self._report(scheme, "POST", answer.content, digest, len(self._content), began)

    def _client(self, scheme: str) -> httpx.AsyncClient:
        # A client of its own for each request, so that each one goes through the hop anew;
        # trust_env, so that no proxy of this machine's settings comes in between.
        proxy = f"{scheme}://{self._entries[scheme]}"
        return httpx.AsyncClient(proxy=proxy, timeout=LIMIT, trust_env=False)

    def _report(
        self, scheme: str, method: str, got: bytes, expected: bytes, size: int, began: float
    ) -> None:
        seconds = time.monotonic() - began
        route = self._hop.story()
        verdict = green("every byte right") if got == expected else red("wrong bytes")
        print(
            COLUMNS.format(
                scheme, method, f"{size / MIB:.0f} MiB", route, f"{seconds * 1000:.0f} ms", verdict
            )
        )
        if got != expected:
            raise ValueError(
                f"{method} by {scheme}, through {route}: the answer is not what it was"
            )
        self.checked += size


async def main() -> None:
    """Run the demo."""
    content = random.Random(1).randbytes(4 * MIB)
    async with asyncio.timeout(LIMIT), AsyncExitStack() as stack:

        async def started(protocol: type[ProxyHandler], router: Router) -> tuple[Proxy, str]:
            proxy = Proxy(protocol, router)
            address = await proxy.start()
            stack.push_async_callback(proxy.kill)
            return proxy, address

        target = await stack.enter_async_context(origin(content))
        north, north_addr = await started(HTTPHandler, RetryRouter())
        _, south_addr = await started(SOCKS5Handler, RetryRouter())
        hop = WatchedHop(
            NodeHop(
                await make_node("north", north_addr, HTTPConnector()),
                await make_node("south", south_addr, SOCKS5Connector()),
            )
        )
        router = RetryRouter(chain_router_option(HopChain(hop)), retries_router_option(1))
        _, socks5_addr = await started(SOCKS5Handler, router)
        _, http_addr = await started(HTTPHandler, router)

        title("Started")
        table(
            ("entry", "SOCKS5", socks5_addr),
            ("entry", "HTTP", http_addr),
            ("north", "HTTP", north_addr),
            ("south", "SOCKS5", south_addr),
            ("origin", "server", target),
        )
        entries = {"socks5": socks5_addr, "http": http_addr}
        demo = Demo(entries, f"http://{target}/", content, hop)

        title("Requests: the two upstream proxies take turns")
        heading()
        for scheme in ("socks5", "socks5", "http", "http"):
            await demo.get(scheme)
        for scheme in ("socks5", "http"):
            await demo.post(scheme)

        title("north is killed: its first request moves to south, and the others go there at once")
        heading()
        await north.kill()
        for scheme in ("http", "socks5", "http", "socks5"):
            await demo.get(scheme)
        await demo.post("socks5")
    print(
        f"\n{green('Done.')} {demo.checked // MIB} MiB went through two proxies, all of it right."
    )


def title(text: str) -> None:
    """Begin a part."""
    print(f"\n{paint('1', text)}")


def heading() -> None:
    """Name the columns of what follows."""
    print(paint("2", COLUMNS.format("by", "what", "size", "through", "time", "result")))


def table(*rows: Sequence[str]) -> None:
    """Print rows of a name, a protocol and an address."""
    for name, protocol, address in rows:
        print(f"  {name:<8} {protocol:<8} {address}")


def green(text: str) -> str:
    """Paint what went well."""
    return paint("32", text)


def red(text: str) -> str:
    """Paint what went wrong."""
    return paint("31", text)


def paint(code: str, text: str) -> str:
    """Colour a text, on a terminal whose user wants colours."""
    plain = os.environ.get("NO_COLOR") or not sys.stdout.isatty()
    return text if plain else f"\x1b[{code}m{text}\x1b[0m"


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        sys.exit(f"{red('Failed:')} {type(error).__name__}: {error}")
