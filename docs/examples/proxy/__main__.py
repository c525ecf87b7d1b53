"""The program: from its arguments to services, and down again."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from gost_core.chain import (
    chain_router_option,
    host_mapper_router_option,
    recorders_router_option,
    resolver_router_option,
    retries_router_option,
    timeout_router_option,
)
from gost_core.common.net import Closer
from gost_core.hosts import HostMapper
from gost_core.logger import default, set_default
from gost_core.recorder import (
    RECORDER_SERVICE_CLIENT_ADDRESS,
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS,
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR,
    RecorderObject,
)
from gost_core.resolver import Resolver
from gost_core.sd import SD

from .build import Shared, make_hop, make_service
from .chain.chainer import HopChain
from .chain.router import RetryRouter
from .hosts import TableHostMapper
from .logger import StandardLogger
from .metadata import MemoryMetadata, number
from .net.address import split_host_port, split_target
from .observer.events import RecordingObserver
from .plugins import connectors, handlers, listeners, resolvers, sds
from .recorder import FileRecorder
from .urls import Address, hidden, parse

T = TypeVar("T")

EXAMPLES = """\
examples:
  a SOCKS5 proxy for this machine:
    python -m proxy -L socks5://127.0.0.1:1080
  an HTTP proxy with a password, through a proxy, and from there through one of two others:
    python -m proxy -L http://user:password@:8080 -F http://first:80 -F socks5://one:1080,other:1080
  a proxy whose clients may have it listen, with many connections on one:
    python -m proxy -L "socks5+h2://user:password@:1080?bind=true"
  a server of this machine's, published there at port 8080; and one of others', brought here:
    python -m proxy -L rtcp://:8080/127.0.0.1:80 -F socks5+h2://user:password@far:1080
    python -m proxy -L "tcp://127.0.0.1:8080/first:80;second:80"
  a proxy that speaks TLS with its clients:
    python -m proxy -L "socks5+tls://:1080?certFile=cert.pem&keyFile=key.pem"

settings stand behind a "?":
  of -L: admission=NETWORK,… and bypass=NETWORK-OR-NAME,… (a whitelist if it begins with "~");
    limiter=BYTES a second for each connection; climiter=CONNECTIONS and rlimiter=REQUESTS a second
    for each client's host; backlog=CONNECTIONS; register=SERVICE, to be found in the directory;
    of gateway://, ingress=HOST=SERVICE,… (.d for d and all below it, . for the rest);
    of socks5://, bind=true lets clients have it listen
  of -F: strategy=round, weighted, hash or latency; probe=SECONDS; weight, priority, backup=true,
    maxFails, failTimeout=SECONDS; bypass
  of both with +tls: certFile, keyFile, caFile (whom to trust; of -L: whose certificates clients
    must have); of -F besides: serverName, secure=false (whoever answers will do)
"""


def argument(read: Callable[[str], T]) -> Callable[[str], T]:
    """Have an argument of the command line read, with errors that name it and hide its secrets."""

    def reading(text: str) -> T:
        try:
            return read(text)
        except (OSError, TypeError, ValueError) as error:
            raise argparse.ArgumentTypeError(f"{hidden(text)!r}: {error}") from None

    return reading


def services(text: str) -> list[Address]:
    """Read an argument of -L."""
    return _checked(text, {*handlers.get_all(), *listeners.get_all()}, split_host_port)


def hop(text: str) -> list[Address]:
    """Read an argument of -F."""
    return _checked(text, {*connectors.get_all()}, split_target)


def _checked(text: str, protocols: set[str], split: Callable[[str], object]) -> list[Address]:
    found = parse(text)
    for address in found:
        if address.protocol not in protocols:
            names = ", ".join(f"{name}://" for name in sorted(protocols))
            raise ValueError(f"it must begin with one of {names}")
        try:
            split(address.addr)
        except ValueError:
            raise ValueError(
                f"it must have host:port behind {address.scheme}://, with a port up to 65535, "
                "an IPv6 host in brackets, and , ? @ / in a password percent-encoded"
            ) from None
    return found


def hosts(path: str) -> HostMapper:
    """Read the file of --hosts."""
    return TableHostMapper.parse(Path(path).read_text(encoding="utf-8-sig").splitlines())


def resolver(address: str) -> Resolver:
    """Read the argument of --resolver."""
    return resolvers.named("dns")(address)


def seconds(text: str) -> float:
    """Read the argument of --timeout."""
    return number(MemoryMetadata({"--timeout": text}), "--timeout", 0)


def directory(url: str) -> SD:
    """Read the argument of --sd."""
    kind, mark, _ = url.partition("://")
    return sds.named(kind)(*([url] if mark else []))


def _share(options: argparse.Namespace, stack: AsyncExitStack) -> Shared:
    """Make what the services share."""
    shared = Shared(options.sd)
    if isinstance(shared.sd, Closer):
        stack.push_async_callback(shared.sd.close)
    if options.record:
        recorder = FileRecorder(options.record)
        stack.push_async_callback(recorder.close)
        shared.observer = RecordingObserver(recorder)
        shared.recorders = [
            RecorderObject(recorder=recorder, record=point, metadata={"point": point})
            for point in (
                RECORDER_SERVICE_CLIENT_ADDRESS,
                RECORDER_SERVICE_ROUTER_DIAL_ADDRESS,
                RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR,
            )
        ]
    if options.metrics:
        from .metrics.prometheus import PrometheusMetrics  # only who asks for it needs the library

        shared.metrics = measures = PrometheusMetrics()
        address = stack.enter_context(measures.shown(options.metrics))
        default().infof("listening on metrics://%s", address)
    return shared


async def run(options: argparse.Namespace) -> None:
    """Serve until a signal comes."""
    stop = asyncio.Event()
    for sent in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows; there Ctrl-C raises KeyboardInterrupt
            asyncio.get_running_loop().add_signal_handler(sent, stop.set)
    async with AsyncExitStack() as stack:
        shared = _share(options, stack)
        hops: list[list[Address]] = options.hops
        chain = HopChain(*[await make_hop(hop, stack) for hop in hops])
        # A further attempt for each alternative that a hop has.
        retries = max(map(len, hops), default=1) - 1
        router = RetryRouter(
            chain_router_option(chain if hops else None),
            retries_router_option(retries),
            timeout_router_option(options.timeout),
            host_mapper_router_option(options.hosts),
            resolver_router_option(options.resolver),
            recorders_router_option(*shared.recorders),
        )
        running = [
            await make_service(address, router, shared, stack) for address in options.services
        ]
        tasks: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait())]
        tasks += [asyncio.create_task(service.serve()) for service in running]
        try:
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
    if not handlers.get_all():
        parser.error("its parts are found once it is installed: pip install ./docs/examples")
    add = parser.add_argument
    add("--version", action="version", version=version("gost-example-proxy"))
    add(
        "-L",
        dest="services",
        metavar="URL",
        type=argument(services),
        action="extend",
        required=True,
        help="serve protocol[+transport]://[user:password@][host]:port[?settings]; port 0 takes a "
        "free one, which the log names; may be given several times",
    )
    add(
        "-F",
        dest="hops",
        metavar="URL",
        type=argument(hop),
        action="append",
        default=[],
        help="go through protocol[+transport]://[user:password@]host:port[?settings]; several in "
        "one argument, separated by commas, take turns; several arguments are passed in order",
    )
    add(
        "--timeout",
        type=argument(seconds),
        default=0,
        help="seconds for one attempt to reach a target",
    )
    add("--hosts", type=argument(hosts), help="map names as this hosts file says")
    add(
        "--resolver",
        type=argument(resolver),
        help="resolve names by the DNS server at this host:port",
    )
    add("--record", type=Path, help="append to this file who connects, what is dialed, and states")
    add(
        "--metrics",
        help="show metrics over HTTP, for Prometheus, at this host:port; without a host, here only",
    )
    add(
        "--sd",
        type=argument(directory),
        default="memory",
        help="find services, and register them, in this directory: memory, or "
        "redis://[user:password@]host:port, which several proxies can share",
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    set_default(StandardLogger(logging.getLogger("proxy")))
    try:
        asyncio.run(run(options))
    except ImportError as error:
        parser.error(f"{error}; install it, or do without what needs it")
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
