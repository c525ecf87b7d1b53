"""From this host to others: what a route through no node dials by."""

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from errno import EALREADY, EINPROGRESS, EWOULDBLOCK
from typing import Final
from weakref import WeakValueDictionary

from gost_core.common import net
from gost_core.context import Context, Key
from gost_core.keys import HASH_SOURCE, TIME_LIMIT

from .address import addresses_of, host_of, join_host_port, split_target
from .hosts import normal_target
from .tcp import TCPConn
from .udp import open_udp

# A key of this package's own: what a handler asks about each address that a name turns out to be.
# It raises a DeniedError for a network and an address that a rule refuses; the name, if it is
# another one than that of the call, comes third.
RULE: Final[Key[Callable[[str, str, str], Awaitable[None]]]] = Key("RULE")


# Likewise: how often a request has come by here. Who tells a proxy to reach itself ends somewhere.
ROUNDS: Final[Key[int]] = Key("ROUNDS")
MOST_ROUNDS: Final = 8


async def check_found(ctx: Context, network: str, addr: str, name: str = "") -> None:
    """Ask the rules about an address that was found for a name (D47)."""
    rule = ctx.value(RULE)
    if rule is not None:
        await rule(network, addr, name)


class DialedConn(TCPConn):
    """A connection that was opened from here in the name of a client."""

    caused_by = Context()


_dialed: Final = WeakValueDictionary[str, DialedConn]()


def known_source(ctx: Context, source: str, there: str) -> Context:
    """Add who is behind a connection: a host, or the client for whom this program has dialed."""
    dialed = _dialed.get(source)
    client = None if dialed is None else dialed.caused_by.value(HASH_SOURCE)
    port = there.rpartition(":")[2]
    if dialed is None or not client or not str(dialed.remote_addr()).endswith(f":{port}"):
        return ctx.with_value(HASH_SOURCE, host_of(source))
    rounds = (dialed.caused_by.value(ROUNDS) or 0) + 1
    return ctx.with_value(HASH_SOURCE, client).with_value(ROUNDS, rounds)


class SystemDialer(net.Dialer):
    """Opens connections from this host, by TCP and UDP; names are resolved by the system."""

    async def dial(self, ctx: Context, network: str, addr: str, /) -> net.Conn:
        client = ctx.value(HASH_SOURCE) or ""
        limit = ctx.value(TIME_LIMIT)
        if limit is not None and limit <= asyncio.get_running_loop().time():
            raise TimeoutError(f"the time to reach {addr} was over before it began")  # D69
        if (ctx.value(ROUNDS) or 0) > MOST_ROUNDS:
            raise net.DeniedError(f"{addr} has led back here {MOST_ROUNDS} times")
        if not network.startswith(("tcp", "udp")):
            raise net.UnsupportedError(f"network {network!r} is not offered here; tcp and udp are")
        if not addr and network.startswith("udp"):  # to anybody (D9)
            return open_udp(network, client=client)
        host, port = split_target(normal_target(addr))
        fault = OSError(f"{host} has no address")
        for address in await addresses_of(host, network, client):
            try:
                await check_found(ctx, network, join_host_port(address, port))
                if network.startswith("udp"):
                    return open_udp(network, remote=(address, port))
                return await _connect(ctx, address, port)
            except OSError as error:
                fault = error
        raise fault


async def _connect(ctx: Context, address: str, port: int) -> DialedConn:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        sock.setblocking(False)
        code = sock.connect_ex((address, port))
        if code and sys.platform == "linux":  # on this host it is open now: the second call says so
            code = sock.connect_ex((address, port))
        conn = DialedConn(sock, (address, port))
        conn.caused_by = ctx
        _dialed[str(conn.local_addr())] = conn  # before it is accepted, perhaps here
        if code in (EINPROGRESS, EALREADY, EWOULDBLOCK):
            try:
                await conn.writable.wait()
            finally:
                conn.writable.end()
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, f"{os.strerror(code)}: {conn.remote_addr()}")
        return conn
    except BaseException:
        sock.close()
        raise
