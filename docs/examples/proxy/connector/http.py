"""The client of an HTTP proxy."""

from base64 import b64encode

from gost_core.common.net import Conn
from gost_core.connector import ConnectOption
from gost_core.context import Context
from gost_core.metadata import Metadata

from ..net.address import split_target
from ..wire.http import FORWARDED, ForwardingConn, read_final_response
from .proxy import ProxyConnector


class HTTPConnector(ProxyConnector):
    """Reaches targets through an HTTP proxy: by CONNECT, which many allow to port 443 only.

    Where a handler says that it has a request of HTTP for the target, it gets a ForwardingConn.
    """

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        auth = self._options.auth
        self._authorization = ""
        if auth is not None:
            if ":" in auth.username:
                raise ValueError("a user name for HTTP cannot contain a colon")
            token = b64encode(f"{auth.username}:{auth.password or ''}".encode()).decode()
            self._authorization = f"Proxy-Authorization: Basic {token}\r\n"

    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        self.check_network(network)
        split_target(address)
        # Another address is that of a node, or one that was looked up here.
        if address == ctx.value(FORWARDED):
            return ForwardingConn(conn, self._authorization.encode("ascii"))
        request = f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n{self._authorization}\r\n"
        await conn.write(request.encode("ascii"))
        # The connection that comes back holds what came behind the reply (D33).
        response, conn = await read_final_response(conn, "CONNECT")
        status = response.status_code
        if not 200 <= status < 300:
            error = PermissionError if status in (403, 407) else ConnectionRefusedError
            raise error(f"{address}: status {status}, says {conn.remote_addr()}")
        return conn
