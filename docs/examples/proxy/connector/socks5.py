"""The client of a SOCKS5 proxy."""

from gost_core import connector
from gost_core.common.net import Conn, Listener, ProtocolError, UnsupportedError
from gost_core.connector import BindOption, ConnectOption
from gost_core.context import Context
from gost_core.metadata import Metadata
from gost_core.options import apply

from ..net.address import host_of, join_host_port, split_host_port
from ..net.dialer import SystemDialer
from ..net.wrapper import read_exactly, read_message
from ..wire import socks5
from ..wire.socks5 import Reply, address_size, pack_address, unpack_address
from .association import Association
from .proxy import ProxyConnector


class SOCKS5Connector(ProxyConnector, connector.Handshaker, connector.Binder):
    """Reaches targets through a SOCKS5 proxy, or has a proxy of this package listen.

    Handshaker is a capability: a transport finds it by ``isinstance`` and does this step before
    ``connect`` (D31). Inheriting from it is not needed, and says what is meant.
    """

    networks = ("tcp", "udp")

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        auth, credentials = self._options.auth, self._credentials()
        if any(len(part) > 255 for part in credentials):
            raise ValueError("user name and password of SOCKS5 have 255 bytes each at most")
        # The password of a token is empty, which the RFC knows not; to have none is to forget it.
        if auth is not None and (not auth.username or auth.password is None):
            raise ValueError("SOCKS5 needs a user name and a password, were it an empty one")

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        credentials = self._credentials()
        methods = [socks5.NO_AUTHENTICATION, *([socks5.USER_PASSWORD] if credentials else [])]
        await conn.write(bytes([socks5.VERSION, len(methods), *methods]))
        version, method = await read_exactly(conn, 2)
        if version != socks5.VERSION or method not in (*methods, socks5.NONE_ACCEPTABLE):
            raise ProtocolError(f"{conn.remote_addr()} does not answer as SOCKS5 does")
        if method == socks5.NONE_ACCEPTABLE:
            raise PermissionError(f"{conn.remote_addr()} accepts no method of authentication")
        if method == socks5.USER_PASSWORD:
            parts = (bytes([len(part)]) + part for part in credentials)
            await conn.write(b"\x01" + b"".join(parts))
            _, status = await read_exactly(conn, 2)
            if status != 0:
                raise PermissionError(f"{conn.remote_addr()} refuses the user name or password")
        return conn

    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        self.check_network(network)
        if network.startswith("tcp"):
            await self._request(conn, socks5.CONNECT, address, address)
            return conn
        if address:
            pack_address(address)  # to find out whether it can be: nothing has been sent yet (D15)
        relay = await self._request(conn, socks5.UDP_ASSOCIATE, socks5.ANYWHERE, address or network)
        host, port = split_host_port(relay)
        if host in ("", "0.0.0.0", "::"):  # a proxy that says: where you have found me
            relay = join_host_port(host_of(str(conn.remote_addr())), port)
        dialer = apply(connector.ConnectOptions(), *opts).dialer or SystemDialer()
        return Association(conn, await dialer.dial(ctx, "udp", relay), address)

    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        from .tunnel import TunnelListener  # only who binds needs the library h2

        self.check_initialized()
        if not network.startswith("tcp"):
            raise UnsupportedError(f"to bind by {network!r} is not offered here, but tcp")
        backlog = apply(connector.BindOptions(), *opts).backlog
        host, port = split_host_port(address or ":0")
        asked = join_host_port(host or "::", port)
        bound = await self._request(conn, socks5.BIND_MANY, asked, asked)
        return await TunnelListener.over(conn, bound, backlog)

    async def _request(self, conn: Conn, command: int, address: str, what: str) -> str:
        """Ask for something; return the address in the reply."""
        await conn.write(bytes([socks5.VERSION, command, 0]) + pack_address(address))
        version, code, _ = await read_exactly(conn, 3)
        if version != socks5.VERSION:
            raise ProtocolError(f"{conn.remote_addr()} does not answer as SOCKS5 does")
        if code != Reply.SUCCEEDED:
            meaning = {reply.value: reply.name for reply in Reply}.get(code, f"code {code}")
            reason = f"{what}: {meaning}, says {conn.remote_addr()}"
            if command == socks5.BIND_MANY and code == Reply.COMMAND_NOT_SUPPORTED:
                raise connector.BindUnsupportedError(f"{reason}; does it allow it, by 'bind'?")
            refused_by_rule = code == Reply.NOT_ALLOWED
            raise PermissionError(reason) if refused_by_rule else ConnectionRefusedError(reason)
        try:
            # Exactly the reply is read: what came behind it waits in the connection (D33).
            reply = await read_message(conn, address_size)
            # Where a proxy has connected from is of no use, so that may be anything.
            return "" if command == socks5.CONNECT else unpack_address(reply)[0]
        except ValueError as error:
            raise ProtocolError(f"{conn.remote_addr()} gives a malformed address") from error

    def _credentials(self) -> list[bytes]:
        auth = self._options.auth
        return [] if auth is None else [auth.username.encode(), (auth.password or "").encode()]
