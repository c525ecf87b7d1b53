"""What SOCKS5 (RFC 1928) and its passwords (RFC 1929) look like."""

import socket
from enum import IntEnum
from functools import lru_cache
from ipaddress import ip_address

from gost_core.common import net

from ..net.address import join_host_port, split_target
from ..net.hosts import normal_target
from ..net.wrapper import read_exactly

VERSION = 5
NO_AUTHENTICATION, USER_PASSWORD, NONE_ACCEPTABLE = 0, 2, 0xFF
CONNECT, UDP_ASSOCIATE = 1, 3
BIND_MANY = 0xB2  # not in the RFC, whose BIND serves one visitor
ANYWHERE = "0.0.0.0:0"


class Reply(IntEnum):
    """The code in the reply to a request."""

    SUCCEEDED = 0
    GENERAL_FAILURE = 1
    NOT_ALLOWED = 2
    NETWORK_UNREACHABLE = 3
    HOST_UNREACHABLE = 4
    CONNECTION_REFUSED = 5
    TIMED_OUT = 6
    COMMAND_NOT_SUPPORTED = 7
    ADDRESS_NOT_SUPPORTED = 8


@lru_cache
def reply(code: Reply, bound: str = ANYWHERE) -> bytes:
    """Write the reply to a request."""
    return bytes([VERSION, code, 0]) + pack_address(bound)


IPV4, NAME, IPV6 = 1, 3, 4


def pack_address(address: str) -> bytes:
    """Write a target in the way of SOCKS5."""
    host, port = split_target(address)
    try:
        ip = ip_address(host)
        packed = bytes([IPV4 if ip.version == 4 else IPV6]) + ip.packed
    except ValueError:
        name = host.encode("ascii")
        packed = bytes([NAME, len(name)]) + name
    return packed + port.to_bytes(2, "big")


def unpack_address(data: bytes) -> tuple[str, bytes]:
    """Return the address that ``data`` begins with, and what follows it."""
    size = _size(data[:2])
    if len(data) < size:
        raise ValueError("the address is cut short")
    host, port = data[1 : size - 2], int.from_bytes(data[size - 2 : size], "big")
    if data[0] != NAME:
        family = socket.AF_INET if data[0] == IPV4 else socket.AF_INET6
        return join_host_port(socket.inet_ntop(family, host), port), data[size:]
    # What is no name is refused where it enters; some clients write addresses of IPv6 as names.
    return normal_target(join_host_port(host[1:].decode().strip("[]"), port)), data[size:]


async def read_packed(conn: net.Conn) -> bytes:
    """Read an address as it is written, whatever it says."""
    head = await read_exactly(conn, 2)
    return head + await read_exactly(conn, _size(head) - 2)


def _size(head: bytes) -> int:
    """Tell from the first two bytes of an address how many it has."""
    if len(head) < 2:
        raise ValueError("the address is cut short")
    size = {IPV4: 7, IPV6: 19, NAME: 4 + head[1]}.get(head[0])
    if size is None:
        raise ValueError(f"SOCKS address type {head[0]}")
    return size
