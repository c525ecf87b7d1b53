"""From this host to others: what a route through no node dials by."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from gost_core.common import net
from gost_core.context import Context, Key
from gost_core.keys import HASH_SOURCE, TIME_LIMIT

from .address import addresses_of, join_host_port, split_target
from .hosts import normal_target
from .tcp import TCPConn
from .udp import open_udp

# A key of this package's own: what a handler asks about each address that a name turns out to be.
# It raises a DeniedError for a network and an address that a rule refuses; the name, if it is
# another one than that of the call, comes third.
RULE: Final[Key[Callable[[str, str, str], Awaitable[None]]]] = Key("RULE")


async def check_found(ctx: Context, network: str, addr: str, name: str = "") -> None:
    """Ask the rules about an address that was found for a name (D47)."""
    rule = ctx.value(RULE)
    if rule is not None:
        await rule(network, addr, name)


class SystemDialer(net.Dialer):
    """Opens connections from this host, by TCP and UDP; names are resolved by the system."""

    async def dial(self, ctx: Context, network: str, addr: str, /) -> net.Conn:
        client = ctx.value(HASH_SOURCE) or ""
        limit = ctx.value(TIME_LIMIT)
        if limit is not None and limit <= asyncio.get_running_loop().time():
            raise TimeoutError(f"the time to reach {addr} was over before it began")  # D69
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
                return await _connect(address, port)
            except OSError as error:
                fault = error
        raise fault


async def _connect(address: str, port: int) -> TCPConn:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
        return TCPConn(sock, (address, port))
    except BaseException:
        sock.close()
        raise
