"""What the example proxy does in a second, and what it holds, beside others of its kind.

All are processes of their own, and so is the target; this process is the client.
"""

import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from tests.benchmarks.measure import Bound, Figure, Samples, interleaved, ratio
from tests.benchmarks.programs import Program, Protocol, ask, connect, exchange, running

# The bare sockets speak SOCKS5 alone, proxy.py speaks HTTP alone.
RIVALS: dict[Protocol, tuple[str, ...]] = {
    "socks5": ("bare sockets", "pproxy"),
    "http": ("pproxy", "proxy.py"),
}
MIB = 1024 * 1024


def figures(quick: bool) -> Iterator[Figure]:
    for protocol in RIVALS:
        for streams in (1, 8):
            yield from throughput(protocol, streams, quick)
    for protocol in RIVALS:
        yield from connections(protocol, quick)
    yield from idle(quick)


def throughput(protocol: Protocol, streams: int, quick: bool) -> Iterator[Figure]:
    size, rounds = (16 * MIB, 2) if quick else (512 * MIB, 15)

    def once(proxy: Program, target: Program) -> None:
        buffer = bytearray(MIB)
        with connect(proxy, protocol, target) as conn:
            ask(conn, size // streams, buffer)

    speeds, efforts = _measure(protocol, once, streams, size / MIB, rounds)
    kind = f"{protocol}, {streams} at once" if streams > 1 else protocol
    for name, samples in speeds.items():
        yield Figure(f"{name}, {kind}", samples, "MiB/s")
    for name, samples in efforts.items():
        yield Figure(f"{name}, {kind}: processor", samples.times(1024), "s/GiB")
    for rival in RIVALS[protocol]:
        bound = Bound("at least", 0.95 if rival == "bare sockets" else 2)
        subject = f"throughput over {rival}, {kind}"
        yield ratio(subject, speeds["example"], speeds[rival], bound)
        subject = f"processor time over {rival}, {kind}"
        yield ratio(subject, efforts["example"], efforts[rival])


def connections(protocol: Protocol, quick: bool) -> Iterator[Figure]:
    at_once = 8
    each, rounds = (5, 2) if quick else (125, 11)

    def once(proxy: Program, target: Program) -> None:
        for _ in range(each):
            with connect(proxy, protocol, target) as conn:
                ask(conn, 0, bytearray())
                exchange(conn)

    speeds, efforts = _measure(protocol, once, at_once, each * at_once, rounds)
    for name, samples in speeds.items():
        yield Figure(f"{name}, {protocol}", samples, "connections/s")
    for name, samples in efforts.items():
        yield Figure(f"{name}, {protocol}: processor", samples.times(1e6), "us/connection")
    for rival in RIVALS[protocol]:
        subject = f"connections a second over {rival}, {protocol}"
        yield ratio(subject, speeds["example"], speeds[rival])


def _measure(
    protocol: Protocol,
    once: Callable[[Program, Program], None],
    at_once: int,
    amount: float,
    rounds: int,
) -> tuple[dict[str, Samples], dict[str, Samples]]:
    """Return for each proxy the amount it carries a second, and its processor time for one unit."""
    efforts: dict[str, list[float]] = {name: [] for name in ("example", *RIVALS[protocol])}

    def measure(name: str, proxy: Program, target: Program) -> float:
        used, began = proxy.cpu_seconds(), time.perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            for done in [pool.submit(once, proxy, target) for _ in range(at_once)]:
                try:
                    done.result()
                except OSError as error:
                    error.add_note(f"by way of {name}")
                    raise
        seconds = time.perf_counter() - began
        efforts[name].append((proxy.cpu_seconds() - used) / amount)
        return amount / seconds

    with ExitStack() as stack:
        target = stack.enter_context(running("target"))
        speeds = interleaved(
            {
                name: partial(measure, name, stack.enter_context(running(name, protocol)), target)
                for name in efforts
            },
            rounds,
        )
    return speeds, {name: Samples(found) for name, found in efforts.items()}


def idle(quick: bool) -> Iterator[Figure]:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    number = min(200 if quick else 5_000, most // 2 - 100)  # a proxy needs two for each

    def kept_for_each(name: str) -> float:
        with ExitStack() as stack:
            target = stack.enter_context(running("target"))
            proxy = stack.enter_context(running(name))
            connect(proxy, "socks5", target).close()  # whatever the first one loads is there now
            before = proxy.memory()
            for _ in range(number):
                conn = stack.enter_context(connect(proxy, "socks5", target))
                ask(conn, 0, bytearray())
                exchange(conn)
            return (proxy.memory() - before) / number

    names = ("example", *RIVALS["socks5"])
    found = interleaved({name: partial(kept_for_each, name) for name in names}, 1 if quick else 3)
    for name, samples in found.items():
        yield Figure(f"{name}, {number} idle", samples.times(1 / 1024), "KiB each")
    for rival in RIVALS["socks5"]:
        bound = Bound("at most", 1) if rival == "pproxy" else None
        subject = f"memory of an idle connection over {rival}"
        yield ratio(subject, found["example"], found[rival], bound)
