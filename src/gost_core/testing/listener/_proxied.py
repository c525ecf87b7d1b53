"""What listeners promise that expect PROXY headers, which none must."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from gost_core.common.net import Addr, Conn
from gost_core.limiter import SCOPE_CONN
from gost_core.listener import (
    Option,
    admission_option,
    conn_limiter_option,
    proxy_protocol_option,
    traffic_limiter_option,
)
from gost_core.testing._run.attempt import Exempt
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import expect, given, need, owned, settle, start, within
from gost_core.testing._stage.fakes.limiter import FakeTrafficLimiter
from gost_core.testing._stage.streams import begin, end_of, read
from gost_core.testing.listener._options import CountedPlaces, OneVerdict, ServingOptions, host_of
from gost_core.testing.listener._serving import ListenerSite

__all__ = ("Proxied",)

_SECOND: Final[bytes] = b"\r\n\r\n\0\r\nQUIT\n"
_NAMING: Final[dict[bytes, str]] = {
    b"PROXY TCP4 192.0.2.9 198.51.100.9 56324 443\r\n": "192.0.2.9:56324",
    b"PROXY TCP6 2001:db8::9 2001:db8::1 56324 443\r\n": "[2001:db8::9]:56324",
    # Behind these addresses there is more, of a type that says nothing.
    _SECOND + bytes.fromhex("2111000fc0000209c6336409dc0401bb040000"): "192.0.2.9:56324",
    _SECOND
    + bytes.fromhex(f"21210024 20010db8{9:024x} 20010db8{1:024x} dc0401bb"): "[2001:db8::9]:56324",
}
"""PROXY headers of both versions, and the source that each of them names."""
_NAMELESS: Final[tuple[bytes, ...]] = (b"PROXY UNKNOWN\r\n", _SECOND + bytes.fromhex("20000000"))
_MALFORMED: Final[tuple[bytes, ...]] = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"PROXY TCP4 192.0.2.999 198.51.100.9 56324 443\r\n",
    _SECOND + bytes.fromhex("3111000cc0000209c6336409dc0401bb"),
)


class Proxied(ServingOptions[ListenerSite]):
    """The clauses of listeners behind a load balancer that tells for whom it speaks."""

    connect_proxied: Callable[[Addr, bytes], Awaitable[Conn]] | None = None
    """Connects a client as ``connect`` does, and sends these bytes ahead of all else: a PROXY
    header, or what stands in its place."""

    async def _behind(self, *opts: Option) -> Callable[[bytes], ListenerSite]:
        """Have a listener expect headers; return what gives it clients that begin with one."""
        site = await self._given(proxy_protocol_option(1), *opts)
        connect = need(self.connect_proxied, "connect_proxied")
        return lambda header: ListenerSite(site.listener, lambda addr: connect(addr, header))

    @clause(
        "With PROXY headers, of either version, remote_addr() is the source that they name, and "
        "local_addr() stays the socket's.",
        "D71",
        after=("accepts", "bound"),
    )
    async def proxied_source(self) -> None:
        behind = await self._behind()
        for header, source in _NAMING.items():
            conn, _ = await behind(header).meet()
            told = str(conn.remote_addr())
            expect(told == source, f"{header!r} came first, and remote_addr() is {told}")
            local, real = str(conn.local_addr()), str(behind(header).addr())
            expect(local == real, f"{header!r} came first, and local_addr() is {local}, not {real}")

    @clause(
        "A PROXY header that names nobody leaves the socket's address.",
        "D71",
        after=("proxied_source",),
    )
    async def proxied_nobody(self) -> None:
        behind = await self._behind()
        for header in _NAMELESS:
            conn, client = await behind(header).meet()
            told, real = str(conn.remote_addr()), str(client.local_addr())
            expect(told == real, f"{header!r} came from {real}, and remote_addr() is {told}")

    @clause(
        "The admission and the limits are asked about the source that a PROXY header names.",
        "D71",
        after=("proxied_source", "admission_told_source", "limit_keeps_serving"),
    )
    async def proxied_judged(self) -> None:
        places, admission = CountedPlaces(9), OneVerdict(True)
        behind = await self._behind(conn_limiter_option(places), admission_option(admission))
        for header, source in _NAMING.items():
            await behind(header).meet()
            # The port is of no use to rules, and may be left out.
            asked = {*places.keys, *(host_of(addr) for _, addr in admission.sources)}
            right = asked <= {host_of(source)}
            expect(right, f"a header named {source}, they were asked about {asked}")
            places.keys.clear()
            admission.sources.clear()
        limiter = FakeTrafficLimiter()
        # It may have no limits on bytes.
        with suppress(Exempt):
            behind = await self._behind(traffic_limiter_option(limiter))
            for header, source in _NAMING.items():
                limiter.asked.clear()
                await behind(header).meet()
                wrong = {key for scope, key in limiter.asked if scope == SCOPE_CONN} - {source}
                expect(not wrong, f"a header named {source}, and bytes were those of {wrong}")

    @clause(
        "Of clients that come at once, each is judged by the source that its own header names.",
        "D22, D71",
        after=("proxied_judged",),
    )
    async def proxied_apart(self) -> None:
        places, admission, answers = CountedPlaces(9), OneVerdict(True), asyncio.Event()
        admission.sources.meanwhile = answers.wait
        behind = await self._behind(conn_limiter_option(places), admission_option(admission))
        sources, headers = [*_NAMING.values()][:2], [*_NAMING][:2]
        connecting = [start(behind(one).connect(b"%d" % n)) for n, one in enumerate(headers)]
        await settle()
        answers.set()
        for _ in sources:
            conn = await behind(b"").accept()
            told, real = str(conn.remote_addr()), sources[int(await read(conn, 1))]
            expect(told == real, f"beside another one, the client at {real} is at {told}")
        await given(asyncio.gather(*connecting), "connecting two clients")
        for asked in (places.keys, [host_of(addr) for _, addr in admission.sources]):
            right = {*asked} == {*map(host_of, sources)}
            expect(right, f"of clients at {sources}, they were asked about {asked}")

    @clause(
        "Where PROXY headers are expected, a client without a valid one is closed, and the next "
        "one comes.",
        "D71",
        after=("proxied_source", "bad_client"),
    )
    async def proxied_invalid(self) -> None:
        behind = await self._behind()
        for header in _MALFORMED:
            site = behind(header)
            accepting = await begin(site.listener.accept())
            connecting = start(site.connect_refused())
            await behind(next(iter(_NAMING))).connect()
            conn = owned(await within(accepting, "accept() of a client after a malformed header"))
            told = str(conn.remote_addr())
            expect(told == "192.0.2.9:56324", f"{header!r} came first, and accept() gave {told}")
            if (client := await connecting) is not None:
                await within(end_of(client), f"the connection of a client that sent {header!r}")

    @clause(
        "A client whose PROXY header does not come does not keep the next one waiting.",
        "D26, D71",
        after=("proxied_source", "silent_client"),
    )
    async def proxied_silent(self) -> None:
        behind = await self._behind()
        site = behind(next(iter(_NAMING)))
        owned(await self._silent_client(site))
        await settle()
        await site.meet()

    @clause(
        "Where none is expected, a PROXY header is only what the client sent.",
        "D71",
        after=("proxied_source", "bad_client"),
    )
    async def unproxied(self) -> None:
        await self._given(proxy_protocol_option(1))
        connect = need(self.connect_proxied, "connect_proxied")
        site = await self._ready()
        accepting = await begin(site.listener.accept())
        header, source = next(iter(_NAMING.items()))
        with suppress(OSError):
            owned(await connect(site.addr(), header))
        await settle()
        if not accepting.done():
            await site.connect()
        told = str(owned(await within(accepting, "accept()")).remote_addr())
        expect(told != source, f"remote_addr() is {told}, as a header says that nobody expects")
