"""SOCKS5 (RFC 1928), the CONNECT command; with user name and password (RFC 1929)."""

from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address

from gost_core import connector
from gost_core.common.net import Conn, ProtocolError
from gost_core.context import Context
from gost_core.metadata import Metadata

from .address import join_host_port, split_host_port, split_target
from .connector import ProxyConnector
from .handler import ProxyHandler, RefusedError, Request
from .stream import read_exactly

VERSION = 5
NO_AUTHENTICATION, USER_PASSWORD, NONE_ACCEPTABLE = 0, 2, 0xFF
CONNECT = 1
IPV4, NAME, IPV6 = 1, 3, 4


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


class SOCKS5Handler(ProxyHandler):
    """Serves SOCKS5 clients."""

    async def negotiate(self, ctx: Context, conn: Conn, /) -> Request:
        client_id = await self._greet(ctx, conn)
        version, command, _, kind = await read_exactly(conn, 4)
        if version != VERSION:
            raise RefusedError(
                f"SOCKS version {version} in the request", _reply(Reply.GENERAL_FAILURE)
            )
        try:
            host = await _read_host(conn, kind)
        except ValueError as error:
            raise RefusedError(str(error), _reply(Reply.ADDRESS_NOT_SUPPORTED)) from error
        port = int.from_bytes(await read_exactly(conn, 2), "big")
        if command != CONNECT:
            raise RefusedError(f"SOCKS command {command}", _reply(Reply.COMMAND_NOT_SUPPORTED))
        # A name goes on as a name: it is resolved where it must be, often by the last proxy (D12).
        return Request(
            target=join_host_port(host, port),
            client=conn,
            client_id=client_id,
            reply=_reply(Reply.SUCCEEDED),
        )

    def refusal(self, error: Exception, /) -> bytes:
        match error:
            case PermissionError():
                return _reply(Reply.NOT_ALLOWED)
            case ConnectionRefusedError():
                return _reply(Reply.CONNECTION_REFUSED)
            case TimeoutError():
                return _reply(Reply.TIMED_OUT)
            case OSError():
                return _reply(Reply.HOST_UNREACHABLE)
            case _:
                return _reply(Reply.GENERAL_FAILURE)

    async def _greet(self, ctx: Context, conn: Conn) -> str:
        version, count = await read_exactly(conn, 2)
        if version != VERSION:
            raise RefusedError(f"no SOCKS5: the first byte is {version}", b"")
        methods = await read_exactly(conn, count)
        method = NO_AUTHENTICATION if self.auther is None else USER_PASSWORD
        if method not in methods:
            raise RefusedError("no acceptable method", bytes([VERSION, NONE_ACCEPTABLE]))
        await conn.write(bytes([VERSION, method]))
        if method == NO_AUTHENTICATION:
            return ""
        version, length = await read_exactly(conn, 2)
        user = await read_exactly(conn, length)
        (length,) = await read_exactly(conn, 1)
        password = await read_exactly(conn, length)
        client_id = await self.identify(
            ctx, user.decode(errors="replace"), password.decode(errors="replace")
        )
        if version != 1 or client_id is None:
            raise RefusedError("wrong user name or password", b"\x01\x01")
        await conn.write(b"\x01\x00")
        return client_id


class SOCKS5Connector(ProxyConnector, connector.Handshaker):
    """Reaches targets through a SOCKS5 proxy.

    Handshaker is a capability: a transport finds it by ``isinstance`` and does this step before
    ``connect`` (D31). Inheriting from it is not needed, and says what is meant.
    """

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        if any(not 1 <= len(part) <= 255 for part in self._credentials()):
            raise ValueError("user name and password of SOCKS5 have 1 to 255 bytes each")

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        credentials = self._credentials()
        methods = [NO_AUTHENTICATION, USER_PASSWORD] if credentials else [NO_AUTHENTICATION]
        await conn.write(bytes([VERSION, len(methods), *methods]))
        version, method = await read_exactly(conn, 2)
        if version != VERSION or method not in (*methods, NONE_ACCEPTABLE):
            raise ProtocolError(f"{conn.remote_addr()} does not answer as SOCKS5 does")
        if method == NONE_ACCEPTABLE:
            raise PermissionError(f"{conn.remote_addr()} accepts no method of authentication")
        if method == USER_PASSWORD:
            parts = (bytes([len(part)]) + part for part in credentials)
            await conn.write(b"\x01" + b"".join(parts))
            _, status = await read_exactly(conn, 2)
            if status != 0:
                raise PermissionError(f"{conn.remote_addr()} refuses the user name or password")
        return conn

    async def connect(
        self,
        ctx: Context,
        conn: Conn,
        network: str,
        address: str,
        /,
        *opts: connector.ConnectOption,
    ) -> Conn:
        self.check_network(network)
        split_target(address)
        await conn.write(bytes([VERSION, CONNECT, 0]) + _pack_address(address))
        version, code, _, kind = await read_exactly(conn, 4)
        if version != VERSION:
            raise ProtocolError(f"{conn.remote_addr()} does not answer as SOCKS5 does")
        if code != Reply.SUCCEEDED:
            meaning = {reply.value: reply.name for reply in Reply}.get(code, f"code {code}")
            reason = f"{address}: {meaning}, says {conn.remote_addr()}"
            refused_by_rule = code == Reply.NOT_ALLOWED
            raise PermissionError(reason) if refused_by_rule else ConnectionRefusedError(reason)
        try:
            await _read_host(conn, kind)
        except ValueError as error:
            raise ProtocolError(f"{conn.remote_addr()} gives a malformed address") from error
        # Exactly the reply has been read: what came behind it waits in the connection (D33).
        await read_exactly(conn, 2)
        return conn

    def _credentials(self) -> list[bytes]:
        auth = self._options.auth
        return [] if auth is None else [auth.username.encode(), (auth.password or "").encode()]


def _reply(code: Reply) -> bytes:
    return bytes([VERSION, code, 0]) + _pack_address("0.0.0.0:0")


def _pack_address(address: str) -> bytes:
    host, port = split_host_port(address)
    try:
        ip = ip_address(host)
        packed = bytes([IPV4 if ip.version == 4 else IPV6]) + ip.packed
    except ValueError:
        name = host.encode("ascii")
        if len(name) > 255:
            raise ValueError(f"{address!r}: a name in SOCKS5 has 255 bytes at most") from None
        packed = bytes([NAME, len(name)]) + name
    return packed + port.to_bytes(2, "big")


async def _read_host(conn: Conn, kind: int) -> str:
    if kind == IPV4:
        return str(IPv4Address(await read_exactly(conn, 4)))
    if kind == IPV6:
        return str(IPv6Address(await read_exactly(conn, 16)))
    if kind == NAME:
        (length,) = await read_exactly(conn, 1)
        host = (await read_exactly(conn, length)).decode("ascii")
        split_host_port(f"{host}:0")  # a name that is none is refused where it enters
        return host
    raise ValueError(f"SOCKS address type {kind}")
