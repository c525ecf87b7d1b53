"""What SOCKS5 (RFC 1928) and its passwords (RFC 1929) look like."""

import socket
from enum import IntEnum
from functools import lru_cache
from ipaddress import ip_address

from ..net.address import join_host_port, split_target
from ..net.hosts import normal_target

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
    size = address_size(data)
    if len(data) < size:
        raise ValueError("the address is cut short")
    host, port = data[1 : size - 2], int.from_bytes(data[size - 2 : size], "big")
    if data[0] != NAME:
        family = socket.AF_INET if data[0] == IPV4 else socket.AF_INET6
        return join_host_port(socket.inet_ntop(family, host), port), data[size:]
    # What is no name is refused where it enters; some clients write addresses of IPv6 as names.
    return normal_target(join_host_port(host[1:].decode().strip("[]"), port)), data[size:]


def greeting_size(data: bytes) -> int:
    """Tell how many bytes a greeting has that begins like this."""
    return 2 + data[1] if len(data) > 1 and data[0] == VERSION else 2


def request_size(data: bytes) -> int:
    """Tell how many bytes a request has that begins like this; one of another version ends here."""
    if data[:1] not in (b"", bytes([VERSION])):
        return len(data)
    return 3 + address_size(data[3:])


def address_size(data: bytes) -> int:
    """Tell how many bytes an address has that begins like this."""
    if len(data) < 2:
        return 2
    size = {IPV4: 7, IPV6: 19, NAME: 4 + data[1]}.get(data[0])
    if size is None:
        raise ValueError(f"SOCKS address type {data[0]}")
    return size
