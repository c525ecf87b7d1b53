"""The program: from its arguments to services, and down again."""

import argparse
import asyncio
import gc
import logging
import signal
import sys
from contextlib import AsyncExitStack, suppress

from gost_core import chain, recorder
from gost_core.common.net import Closer
from gost_core.logger import LogLevel, default, set_default

from .arguments import parser, words
from .build import Shared, make_hop, make_service
from .chain.route import HopChain
from .chain.router import RetryRouter
from .logger import LEVELS, StandardLogger
from .net.address import hidden
from .observer.reporter import RecordingObserver
from .plugins import left_out, remedy
from .recorder import FileRecorder
from .urls import Address


def _share(options: argparse.Namespace, stack: AsyncExitStack) -> Shared:
    """Make what the services share."""
    shared = Shared(options.sd)
    if isinstance(shared.sd, Closer):
        stack.push_async_callback(shared.sd.close)
    if options.record:
        file = FileRecorder(options.record)
        stack.push_async_callback(file.close)
        shared.observer = RecordingObserver(file)
        shared.recorders = [
            recorder.RecorderObject(recorder=file, record=point, metadata={"point": point})
            for point in (
                recorder.RECORDER_SERVICE_CLIENT_ADDRESS,
                recorder.RECORDER_SERVICE_ROUTER_DIAL_ADDRESS,
                recorder.RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR,
            )
        ]
    if options.metrics:
        from .metrics.prometheus import PrometheusMetrics  # only who asks for it needs the library

        shared.metrics = measures = PrometheusMetrics()
        address = stack.enter_context(measures.shown(*options.metrics))
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
        through = HopChain(*[await make_hop(hop, stack) for hop in hops])
        # A further attempt for each alternative that a hop has.
        retries = max(map(len, hops), default=1) - 1
        router = RetryRouter(
            chain.chain_router_option(through if hops else None),
            chain.retries_router_option(retries),
            chain.timeout_router_option(options.timeout),
            chain.host_mapper_router_option(options.hosts),
            chain.resolver_router_option(options.resolver),
            chain.recorders_router_option(*shared.recorders),
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


def _allow_many_files() -> None:
    """Have as many files open as the system lets this program: each connection is one."""
    with suppress(ImportError, OSError, ValueError):  # on Windows there is no such limit
        import resource

        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> int:
    """Run the program; return its exit code."""
    arguments = parser()
    options, unknown = arguments.parse_known_args([*words(arguments)])
    if unknown:
        arguments.error(f"unrecognized arguments: {[*map(hidden, unknown)]}")
    level = LEVELS[LogLevel(options.log_level)]
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s")
    # Found out for each line, and shown in none.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    set_default(StandardLogger(logging.getLogger("proxy")))
    for plugin in left_out:
        default().warnf("left out: %s", plugin)
    _allow_many_files()
    gc.freeze()  # what is loaded stays, and need not be looked through again and again
    try:
        asyncio.run(run(options))
    except ImportError as error:
        arguments.error(remedy(error))
    except ValueError as error:
        arguments.error(str(error))
    except OSError as error:
        default().errorf("%s", error)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
