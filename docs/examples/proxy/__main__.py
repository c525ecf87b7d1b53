"""The program: from its arguments to services, and down again."""

import argparse
import asyncio
import logging
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from gost_core.chain import (
    Node,
    Router,
    addr_transport_option,
    chain_router_option,
    metadata_node_option,
    retries_router_option,
    transport_node_option,
)
from gost_core.common.url import Userinfo
from gost_core.connector import auth_option
from gost_core.handler import auther_option, router_option, service_option
from gost_core.listener import addr_option
from gost_core.logger import default, set_default
from gost_core.metadata import Metadata

from .address import split_host_port, split_target
from .chain import HopChain, RetryRouter
from .connector import ProxyConnector
from .handler import ProxyHandler, SingleUser
from .hop import NodeHop
from .http import HTTPConnector, HTTPHandler
from .logger import StandardLogger
from .metadata import MemoryMetadata
from .registry import MemoryRegistry
from .service import TaskService
from .socks5 import SOCKS5Connector, SOCKS5Handler
from .tcp import TCPDialer, TCPListener
from .transport import NodeTransporter

handlers = MemoryRegistry[type[ProxyHandler]]()
handlers.register("http", HTTPHandler)
handlers.register("socks5", SOCKS5Handler)

connectors = MemoryRegistry[type[ProxyConnector]]()
connectors.register("http", HTTPConnector)
connectors.register("socks5", SOCKS5Connector)

EXAMPLES = """\
examples:
  a SOCKS5 proxy for this machine:
    python -m proxy -L socks5://127.0.0.1:1080
  an HTTP proxy for everybody who knows the password:
    python -m proxy -L http://user:password@:8080
  both, through a proxy, and from there through one of two others:
    python -m proxy -L socks5://127.0.0.1:1080 -L http://127.0.0.1:8080 \\
        -F http://first:8080 -F socks5://second:1080,third:1080
"""


@dataclass(frozen=True, slots=True)
class Address:
    """What one URL of the command line says."""

    scheme: str
    auth: Userinfo | None
    addr: str
    metadata: Metadata

    def __str__(self) -> str:
        return f"{self.scheme}://{self.addr}"


def parse(text: str) -> list[Address]:
    """Parse ``scheme://[user[:password]@]host:port[?key=value]``.

    Several may stand in one text, separated by commas; one without a scheme has the scheme and the
    credentials of the one before it.
    """
    text, _, query = text.partition("?")
    metadata = MemoryMetadata(dict(parse_qsl(query)))
    found: list[Address] = []
    scheme, auth = "", None
    for addr in text.split(","):
        if "://" in addr:
            scheme, _, addr = addr.partition("://")
            user, at, addr = addr.rpartition("@")
            name, colon, password = user.partition(":")
            auth = Userinfo(unquote(name), unquote(password) if colon else None) if at else None
        found.append(Address(scheme, auth, addr, metadata))
    return found


def services(text: str) -> list[Address]:
    """Check an argument of -L."""
    return _checked(text, sorted(handlers.get_all()), split_host_port)


def hop(text: str) -> list[Address]:
    """Check an argument of -F."""
    return _checked(text, sorted(connectors.get_all()), split_target)


def _checked(text: str, schemes: list[str], split: Callable[[str], object]) -> list[Address]:
    found = parse(text)
    shown = re.sub(r"^([^:/]*://)?.*@", r"\1***@", text)
    for address in found:
        if address.scheme not in schemes:
            raise argparse.ArgumentTypeError(
                f"{shown!r} must begin with one of {', '.join(f'{name}://' for name in schemes)}"
            )
        try:
            split(address.addr)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{shown!r} must have host:port behind {address.scheme}://, with a port up to "
                "65535, an IPv6 host in brackets, and , ? @ in a password percent-encoded"
            ) from None
    return found


async def make_node(address: Address) -> Node:
    """Make what an alternative of -F stands for."""
    make_connector = connectors.get(address.scheme)
    assert make_connector is not None
    dialer, connector = TCPDialer(), make_connector(auth_option(address.auth))
    try:
        await dialer.init(address.metadata)
        await connector.init(address.metadata)
    except ValueError as error:
        raise ValueError(f"argument -F: {address}: {error}") from error
    transport = NodeTransporter(dialer, connector, addr_transport_option(address.addr))
    return Node(
        str(address),
        address.addr,
        transport_node_option(transport),
        metadata_node_option(address.metadata),
    )


async def make_service(address: Address, router: Router) -> TaskService:
    """Make what an argument of -L stands for, bound to its address."""
    make_handler = handlers.get(address.scheme)
    assert make_handler is not None
    handler = make_handler(
        router_option(router),
        auther_option(SingleUser(address.auth) if address.auth else None),
        service_option(str(address)),
    )
    listener = TCPListener(addr_option(address.addr))
    try:
        await handler.init(address.metadata)
        await listener.init(address.metadata)
    except ValueError as error:
        raise ValueError(f"argument -L: {address}: {error}") from error
    except OSError as error:
        raise OSError(f"cannot listen on {address}: {error}") from error
    default().infof("listening on %s://%s", address.scheme, listener.addr())
    return TaskService(listener, handler)


async def run(addresses: list[Address], hops: list[list[Address]]) -> None:
    """Serve until a signal comes."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows; there Ctrl-C raises KeyboardInterrupt
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    chain = HopChain(*[NodeHop(*[await make_node(node) for node in hop]) for hop in hops])
    # A further attempt for each alternative that a hop has.
    retries = max(map(len, hops), default=1) - 1
    router = RetryRouter(
        chain_router_option(chain if hops else None), retries_router_option(retries)
    )
    running: list[TaskService] = []
    tasks: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait())]
    try:
        for address in addresses:
            running.append(await make_service(address, router))
        for service in running:
            tasks.append(asyncio.create_task(service.serve()))
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for service in running:
            await service.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def main() -> int:
    """Run the program; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m proxy",
        description="A SOCKS5 and HTTP proxy that can go through other proxies.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-L",
        dest="services",
        metavar="URL",
        type=services,
        action="extend",
        required=True,
        help="serve scheme://[user:password@][host]:port, the scheme being socks5 or http; port 0 "
        "takes a free one, which the log names; may be given several times",
    )
    parser.add_argument(
        "-F",
        dest="hops",
        metavar="URL",
        type=hop,
        action="append",
        default=[],
        help="go through scheme://[user:password@]host:port; several in one argument, separated by "
        "commas, take turns; several arguments are passed through in order",
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    set_default(StandardLogger(logging.getLogger("proxy")))
    try:
        asyncio.run(run(options.services, options.hops))
    except ValueError as error:
        parser.error(str(error))
    except OSError as error:
        default().errorf("%s", error)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
