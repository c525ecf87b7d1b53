"""Serving SOCKS5 clients."""

from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial

from typing_extensions import Buffer

from gost_core.common import net
from gost_core.common.net import Conn, Listener, PacketConn
from gost_core.context import Context
from gost_core.keys import SESSION_ID
from gost_core.metadata import Metadata

from ..connector.association import Association
from ..limiter.bucket import Budgets
from ..metadata import flag
from ..net.address import UDPAddr, host_of
from ..net.relay import Traffic, of_client
from ..net.udp import UDPConn, open_udp, relay_datagrams
from ..net.wrapper import Wrapper, read_exactly, read_message
from ..wire import socks5
from ..wire.socks5 import Reply, greeting_size, reply, request_size, unpack_address
from .proxy import ProxyHandler, RefusedError, Request

NOT_LOGGED_IN, GRANTED = b"\x01\x01", reply(Reply.SUCCEEDED)


class BindRequest(Request):
    """The target is where to listen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateRequest(Request):
    """Each datagram has a target of its own."""

    from_one_port: bool
    """Whether the client has said from which port it sends."""


class SOCKS5Handler(ProxyHandler):
    """Serves SOCKS5 clients; whether they may have it listen, says the setting ``bind``."""

    too_often = NOT_LOGGED_IN
    refusals = (
        (PermissionError, reply(Reply.NOT_ALLOWED)),
        (ConnectionRefusedError, reply(Reply.CONNECTION_REFUSED)),
        (TimeoutError, reply(Reply.TIMED_OUT)),
        (OSError, reply(Reply.HOST_UNREACHABLE)),
        (Exception, reply(Reply.GENERAL_FAILURE)),
    )

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        self._commands = {socks5.CONNECT, socks5.UDP_ASSOCIATE}
        if flag(metadata, "bind", False):
            from ..connector.tunnel import serve_visitors  # only who binds needs the library h2

            self._serve_visitors = partial(serve_visitors, budgets=Budgets())
            self._commands.add(socks5.BIND_MANY)

    async def negotiate(self, ctx: Context, conn: Conn, /) -> Request:
        client_id = await self._greet(ctx, conn)
        try:
            asked = await read_message(conn, request_size)
            if (version := asked[0]) != socks5.VERSION:
                raise RefusedError(f"a request of SOCKS {version}", reply(Reply.GENERAL_FAILURE))
            command = asked[1]
            # From where a client will send datagrams, it often does not know itself.
            target = "" if command == socks5.UDP_ASSOCIATE else unpack_address(asked[3:])[0]
        except ValueError as error:
            raise RefusedError(str(error), reply(Reply.ADDRESS_NOT_SUPPORTED)) from error
        if self.auther is None:  # else it was counted at the login
            self.count_request(conn)
        if command not in self._commands:
            raise RefusedError(f"SOCKS command {command}", reply(Reply.COMMAND_NOT_SUPPORTED))
        if command == socks5.BIND_MANY:
            return BindRequest(target=target, client=conn, client_id=client_id)
        if command == socks5.UDP_ASSOCIATE:
            # The address is what the client believes to send from; a translator may know better.
            known = asked[-2:] != b"\0\0"
            return AssociateRequest(
                target="", network="udp", client=conn, client_id=client_id, from_one_port=known
            )
        # A name goes on as a name: it is resolved where it must be, often by the last proxy (D12).
        return Request(target=target, client=conn, client_id=client_id, reply=GRANTED)

    def carry(
        self, ctx: Context, request: Request, client: Conn, target: Conn, traffic: Traffic
    ) -> Awaitable[None]:
        if isinstance(request, AssociateRequest):
            return self._associate(ctx, request, client, target, traffic)
        return super().carry(ctx, request, client, target, traffic)

    def serve(self, ctx: Context, request: Request) -> Awaitable[None]:
        if isinstance(request, BindRequest):
            return self._serve_bound(ctx, request)
        return super().serve(ctx, request)

    async def _associate(
        self, ctx: Context, request: AssociateRequest, client: Conn, target: Conn, traffic: Traffic
    ) -> None:
        try:  # at the address at which the client has found this host
            socket = open_udp(local=host_of(str(client.local_addr())))
        except OSError as error:
            raise RefusedError(f"no socket for datagrams: {error}", self.refusal(error)) from error
        host = host_of(str(client.remote_addr()))
        here = ClientPackets(socket, host, from_one_port=request.from_one_port)
        association = Association(client, here)
        try:
            packets = await self.limit(ctx, association, request)
            assert isinstance(packets, PacketConn)  # D10
            assert isinstance(target, PacketConn)  # D38
            await of_client(client.write(reply(Reply.SUCCEEDED, str(socket.local_addr()))))
            await relay_datagrams(host, packets, target, traffic, partial(self.check, ctx))
        finally:
            await association.close()

    async def _serve_bound(self, ctx: Context, request: Request) -> None:
        client, bound = await self.open(ctx, request, self._bind)
        try:
            await of_client(client.write(reply(Reply.SUCCEEDED, str(bound.addr()))))
            session = ctx.value(SESSION_ID)
            self._logger.with_fields({"session": session}).infof("bound=%s", bound.addr())
            await of_client(self._serve_visitors(client, bound))
        finally:
            await bound.close()

    async def _bind(self, ctx: Context, request: Request) -> Listener:
        return await self._router.bind(ctx, "tcp", request.target.removeprefix("[::]"))

    async def _greet(self, ctx: Context, conn: Conn) -> str:
        version, _, *methods = await read_message(conn, greeting_size)
        if version != socks5.VERSION:
            raise RefusedError(f"no SOCKS5: the first byte is {version}", b"")
        method = socks5.NO_AUTHENTICATION if self.auther is None else socks5.USER_PASSWORD
        if method not in methods:
            refusal = bytes([socks5.VERSION, socks5.NONE_ACCEPTABLE])
            raise RefusedError("no acceptable method", refusal)
        await conn.write(bytes([socks5.VERSION, method]))
        if method == socks5.NO_AUTHENTICATION:
            return ""
        version, length = await read_exactly(conn, 2)
        user = await read_exactly(conn, length)
        (length,) = await read_exactly(conn, 1)
        password = await read_exactly(conn, length)
        self.count_request(conn, NOT_LOGGED_IN)
        client_id = await self.identify(
            ctx, user.decode(errors="replace"), password.decode(errors="replace")
        )
        if version != 1 or client_id is None:
            raise RefusedError("wrong user name or password", NOT_LOGGED_IN)
        await conn.write(b"\x01\x00")
        return client_id


class ClientPackets(Wrapper):
    """Speaks to one client: the latest one of a host who has sent something, and nobody else.

    A client's port may change, as translators do it; one that has said its port keeps the first.
    """

    def __init__(self, inner: UDPConn, host: str, *, from_one_port: bool) -> None:
        super().__init__(inner)
        self._socket = inner
        self._host = host
        self._from_one_port = from_one_port
        self._client: UDPAddr | None = None

    async def read(self, n: int, /) -> bytes:
        while True:
            data, sender = await self._socket.read_from(n)
            known = self._client is not None and self._from_one_port
            if sender == self._client or (sender.host == self._host and not known):
                self._client = sender
                return data

    async def write(self, data: Buffer, /) -> None:
        if self._client is None:
            raise net.UnsupportedError("the client has sent nothing yet")
        await self._socket.send(data, self._client)
