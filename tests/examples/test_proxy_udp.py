"""Datagrams: UDP sockets, and SOCKS5's UDP ASSOCIATE, alone, through a chain, and by PySocks."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import dns.message
import dns.query
import dns.rdatatype
import pytest
import socks
from dns_server import DNSServer
from proxy_harness import LIMIT, proxy, router_through, run
from typing_extensions import Buffer

from gost_core.chain import Router
from gost_core.common.net import Addr, ClosedError, Conn, PacketConn, UnsupportedError
from gost_core.common.url import Userinfo
from gost_core.connector import auth_option
from gost_core.context import Context
from gost_core.handler import auther_option, router_option
from gost_core.testing import (
    check_chain_route,
    check_chain_router,
    check_common_net_conn,
    check_common_net_conn_unwrapper,
    check_common_net_dialer,
    check_common_net_packet_conn,
    check_connector_connector,
    check_handler_handler,
    contract_tests,
)
from proxy.address import TCPAddr, UDPAddr
from proxy.association import Association, pack_address, unpack_address
from proxy.chain import RetryRouter
from proxy.handler import SingleUser
from proxy.socks5 import SOCKS5Connector, SOCKS5Handler
from proxy.tcp import SystemDialer, TCPListener
from proxy.udp import PeerConn, UDPConn, dial_udp, open_udp
from proxy.wrapper import Wrapper

USER = Userinfo("user", "open sesame")


# ---- The contract


async def sockets() -> tuple[Conn, Conn, Conn]:
    return open_udp(local="127.0.0.1"), open_udp(local="127.0.0.1"), open_udp(local="127.0.0.1")


async def sockets_of_both_families() -> tuple[Conn, Conn, Conn]:
    return open_udp(), open_udp(local="127.0.0.1"), open_udp(local="127.0.0.1")


async def connected() -> tuple[Conn, Conn]:
    """Return two sockets that are connected to each other."""
    ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for end in ends:
        end.bind(("127.0.0.1", 0))
    for end, other in zip(ends, reversed(ends), strict=True):
        end.connect(other.getsockname())
    here, there = map(UDPConn, ends)
    return here, there


async def adapted() -> tuple[Conn, Conn]:
    here, there = await connected()
    return PeerConn(Plain(here)), there


class Plain(Wrapper):
    """Keeps to itself that it carries datagrams to more than one peer."""


class OnLoopback(Wrapper):
    """Has the addresses of a connection over the loopback, whatever it is."""

    def local_addr(self) -> Addr:
        return TCPAddr("127.0.0.1", 1080)

    def remote_addr(self) -> Addr:
        return TCPAddr("127.0.0.1", 1081)


class LoopbackConnector(SOCKS5Connector):
    """Believes to have found its proxy on the loopback."""


async def node(conn: Conn, router: Router) -> None:
    handler = SOCKS5Handler(router_option(router), auther_option(SingleUser(USER)))
    await handler.init(None)
    await handler.handle(Context(), OnLoopback(conn))


TestUDPConn = contract_tests(check_common_net_conn, None, make_datagram=connected)
TestUDPPackets = contract_tests(
    check_common_net_packet_conn, sockets, make_connected=connected
)
TestDualPackets = contract_tests(check_common_net_packet_conn, sockets_of_both_families)
TestPeerConn = contract_tests(check_common_net_conn, None, make_datagram=adapted)
TestPeerPackets = contract_tests(
    check_common_net_packet_conn, sockets, make_connected=adapted
)
TestConnector = contract_tests(
    check_connector_connector,
    lambda: SOCKS5Connector(auth_option(USER)),
    node,
    networks=("tcp", "udp"),
    association=True,
)
