"""SOCKS5 (RFC 1928): CONNECT and UDP ASSOCIATE, with user name and password (RFC 1929)."""

from collections.abc import Awaitable
from enum import IntEnum
from functools import partial

from gost_core import connector
from gost_core.common.net import Conn, Listener, PacketConn, ProtocolError, UnsupportedError
from gost_core.context import Context
from gost_core.keys import SESSION_ID
from gost_core.metadata import Metadata
from gost_core.options import apply

from .address import host_of, join_host_port, split_host_port
from .association import Association, FirstClient, pack_address, read_address
from .connector import ProxyConnector
from .handler import ProxyHandler, RefusedError, Request
from .metadata import flag
from .relay import Traffic, of_client
from .stream import read_exactly
from .tcp import SystemDialer
from .udp import open_udp, relay_datagrams

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


class BindRequest(Request):
    """The target is where to listen."""


class SOCKS5Handler(ProxyHandler):
    """Serves SOCKS5 clients; whether they may have it listen, says the setting ``bind``."""

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        self._commands = {CONNECT, UDP_ASSOCIATE}
        if flag(metadata, "bind", False):
            from .reverse import serve_visitors  # only who binds needs the library h2

            self._serve_visitors = serve_visitors
            self._commands.add(BIND_MANY)

    async def negotiate(self, ctx: Context, conn: Conn, /) -> Request:
        client_id = await self._greet(ctx, conn)
        version, command, _ = await read_exactly(conn, 3)
        if version != VERSION:
            raise RefusedError(
                f"SOCKS version {version} in the request", _reply(Reply.GENERAL_FAILURE)
            )
        try:
            target = await read_address(conn)
        except ValueError as error:
            raise RefusedError(str(error), _reply(Reply.ADDRESS_NOT_SUPPORTED)) from error
        if command not in self._commands:
            raise RefusedError(f"SOCKS command {command}", _reply(Reply.COMMAND_NOT_SUPPORTED))
        if command == BIND_MANY:
            return BindRequest(target=target, client=conn, client_id=client_id)
        if command == UDP_ASSOCIATE:
            # The address is what the client believes to send from; a translator may know better.
            return Request(target="", network="udp", client=conn, client_id=client_id)
        # A name goes on as a name: it is resolved where it must be, often by the last proxy (D12).
        return Request(
            target=target,
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

    def carry(
        self, ctx: Context, request: Request, client: Conn, target: Conn, traffic: Traffic
    ) -> Awaitable[None]:
        if request.network == "tcp":
            return super().carry(ctx, request, client, target, traffic)
        return self._associate(ctx, request, client, target, traffic)

    def serve(self, ctx: Context, request: Request) -> Awaitable[None]:
        if isinstance(request, BindRequest):
            return self._serve_bound(ctx, request)
        return super().serve(ctx, request)

    async def _associate(
        self, ctx: Context, request: Request, client: Conn, target: Conn, traffic: Traffic
    ) -> None:
        try:  # at the address at which the client has found this host
            socket = open_udp(local=host_of(str(client.local_addr())))
        except OSError as error:
            raise RefusedError(f"no socket for datagrams: {error}", self.refusal(error)) from error
        here = FirstClient(socket, host_of(str(client.remote_addr())))
        association = Association(client, here)
        try:
            packets = await self.limit(ctx, association, request)
            assert isinstance(packets, PacketConn)  # D10
            assert isinstance(target, PacketConn)  # D38
            await of_client(client.write(_reply(Reply.SUCCEEDED, str(socket.local_addr()))))
            await relay_datagrams(packets, target, traffic, partial(self.lookup, ctx))
        finally:
            await association.close()

    async def _serve_bound(self, ctx: Context, request: Request) -> None:
        client, bound = await self.open(ctx, request, self._bind)
        try:
            await of_client(client.write(_reply(Reply.SUCCEEDED, str(bound.addr()))))
            session = ctx.value(SESSION_ID)
            self._logger.with_fields({"session": session}).infof("bound=%s", bound.addr())
            await of_client(self._serve_visitors(client, bound))
        finally:
            await bound.close()

    async def _bind(self, ctx: Context, request: Request) -> Listener:
        return await self._router.bind(ctx, "tcp", request.target.removeprefix("[::]"))

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


class SOCKS5Connector(ProxyConnector, connector.Handshaker, connector.Binder):
    """Reaches targets through a SOCKS5 proxy, or has a proxy of this package listen.

    Handshaker is a capability: a transport finds it by ``isinstance`` and does this step before
    ``connect`` (D31). Inheriting from it is not needed, and says what is meant.
    """

    networks = ("tcp", "udp")

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
        if network.startswith("tcp"):
            await self._request(conn, CONNECT, address, address)
            return conn
        if address:
            pack_address(address)  # to find out whether it can be: nothing has been sent yet (D15)
        relay = await self._request(conn, UDP_ASSOCIATE, ANYWHERE, address or network)
        host, port = split_host_port(relay)
        if host in ("", "0.0.0.0", "::"):  # a proxy that says: where you have found me
            relay = join_host_port(host_of(str(conn.remote_addr())), port)
        dialer = apply(connector.ConnectOptions(), *opts).dialer or SystemDialer()
        return Association(conn, await dialer.dial(ctx, "udp", relay), address)

    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        from .reverse import TunnelListener  # only who binds needs the library h2

        self.check_initialized()
        if not network.startswith("tcp"):
            raise UnsupportedError(f"to bind by {network!r} is not offered here, but tcp")
        backlog = apply(connector.BindOptions(), *opts).backlog
        host, port = split_host_port(address or ":0")
        asked = join_host_port(host or "::", port)
        bound = await self._request(conn, BIND_MANY, asked, asked)
        return await TunnelListener.over(conn, bound, backlog)

    async def _request(self, conn: Conn, command: int, address: str, what: str) -> str:
        """Ask for something; return the address in the reply."""
        await conn.write(bytes([VERSION, command, 0]) + pack_address(address))
        version, code, _ = await read_exactly(conn, 3)
        if version != VERSION:
            raise ProtocolError(f"{conn.remote_addr()} does not answer as SOCKS5 does")
        if code != Reply.SUCCEEDED:
            meaning = {reply.value: reply.name for reply in Reply}.get(code, f"code {code}")
            reason = f"{what}: {meaning}, says {conn.remote_addr()}"
            if command == BIND_MANY and code == Reply.COMMAND_NOT_SUPPORTED:
                raise connector.BindUnsupportedError(f"{reason}; does it allow it, by 'bind'?")
            refused_by_rule = code == Reply.NOT_ALLOWED
            raise PermissionError(reason) if refused_by_rule else ConnectionRefusedError(reason)
        try:
            # Exactly the reply is read: what came behind it waits in the connection (D33).
            return await read_address(conn)
        except ValueError as error:
            raise ProtocolError(f"{conn.remote_addr()} gives a malformed address") from error

    def _credentials(self) -> list[bytes]:
        auth = self._options.auth
        return [] if auth is None else [auth.username.encode(), (auth.password or "").encode()]


def _reply(code: Reply, bound: str = ANYWHERE) -> bytes:
    return bytes([VERSION, code, 0]) + pack_address(bound)
