"""HTTP/1 as client and server speak it (RFC 9110, RFC 9112); what its bytes mean, h11 says."""

import asyncio
import re
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Final

import h11

from gost_core.common.net import Conn, ProtocolError
from gost_core.context import Key

from ..limiter.bucket import Bucket
from ..net.hosts import normal_host
from ..net.relay import CHUNK
from ..net.wrapper import PrefixedConn, Wrapper, read_more

# A key of this package's own: a handler says to which target it has a request of HTTP for a proxy.
FORWARDED: Final[Key[str]] = Key("FORWARDED")

HEAD: Final = 16384  # bytes of a head at most
FIELDS: Final = 256  # in it at most: each of them costs more than its bytes
TRAILERS: Final = 2048  # bytes behind a body that comes in chunks, at most
SMALL: Final = 16  # bytes of a chunk that costs more than it carries
SMALL_RATE, SMALL_BURST = 100, 10_000  # of these may come in a second, and at once
TOGETHER: Final = 16  # chunks that are passed on at once, if they are there
INTERIM: Final = 16  # responses before the final one, at most

# What h11 lets through although others read it differently: bare line ends, folded lines. And what
# no field may contain, without which h11's pattern for fields is quick: it tries each of several
# blanks in front of such a character.
MALFORMED: Final = re.compile(rb"[\0\v\f]|\r(?!\n)|(?<!\r)\n|\n[ \t]")
QUOTED: Final = re.compile(r":? (?:bytearray\()?b['\"]")
# The host of a request for a proxy, and what h11 takes in no request line.
HOST: Final = re.compile(rb"(?i)^(\S+ (?:http://)?)([^/?#:\s\[]+)")
FOREIGN: Final = re.compile(rb"[\x80-\xff]")
BLANKS: Final = re.compile(rb"(?<![ \t])[ \t]{256}")


async def read_head(conn: Conn) -> tuple[bytes, Conn]:
    """Read the head of a message; return it, and what to go on with: what came behind (D33)."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) > HEAD:
            raise ProtocolError(f"no end of the header within {HEAD} bytes")
        if data.count(b"\n") > data.count(b"\r\n"):  # whose writer would wait for an answer
            raise ProtocolError("a line of the header ends without a carriage return")
        # Some clients end a body with an empty line.
        data = (data + await read_more(conn, HEAD)).lstrip(b"\r\n")
        if data and not 0x20 < data[0] < 0x7F:  # SOCKS or TLS, say, which would wait too
            raise ProtocolError(f"this is not HTTP: the first byte is {data[0]}")
    head, rest = data[: end + 4], data[end + 4 :]
    return head, PrefixedConn(conn, rest) if rest else conn


def side(role: type[h11.CLIENT] | type[h11.SERVER]) -> h11.Connection:
    """Return what reads requests, ``h11.SERVER``, or writes them, ``h11.CLIENT``."""
    return h11.Connection(role, max_incomplete_event_size=TRAILERS)


class ForwardingConn(Wrapper):
    """A connection to a proxy that is asked for a whole URL, by requests with ``authorization``."""

    def __init__(self, inner: Conn, authorization: bytes) -> None:
        super().__init__(inner)
        self.authorization: Final = authorization


class Messages:
    """What is said on a connection, for one request and its response; h11 knows what may follow.

    ``conn`` may be wrapped meanwhile; ``state``, of ``side()``, may have said something before.
    """

    def __init__(self, conn: Conn, state: h11.Connection) -> None:
        self.conn = conn
        self.state: Final = state
        self._unread = b""
        self._is_over = False  # the body
        self._chunks: Bucket | None = None  # small ones that may come

    async def read_request(self, host: bytes = b"") -> h11.Request:
        """Read a request; ``host`` is taken for the Host of one that names none."""
        head, self.conn = await read_head(self.conn)
        line, end, fields = head.partition(b"\r\n")
        if not line.isascii():
            line = HOST.sub(lambda one: one[1] + normal_host(one[2].decode()).encode(), line)
            head = FOREIGN.sub(lambda one: b"%%%02X" % one[0][0], line) + end + fields
        if host and b"\r\nhost:" not in head.lower():
            head = head[:-2] + b"Host: %s\r\n\r\n" % host
        event = self._take(head)
        if not isinstance(event, h11.Request):
            raise ProtocolError("this is no request")
        return event

    async def read_response(self) -> h11.Response | h11.InformationalResponse:
        """Read the head of a response, which need not be the final one."""
        head, self.conn = await read_head(self.conn)
        event = self._take(head)
        if not isinstance(event, h11.Response | h11.InformationalResponse):
            raise ProtocolError("this is no response")
        return event

    async def read_body(self) -> bytes:
        """Return the next bytes of a body, of several chunks if they are small; none at its end."""
        pieces: list[bytes] = []
        await asyncio.sleep(0)  # others have their turn, however small the chunks are
        while not self._is_over and len(pieces) < TOGETHER:
            event = self._next()
            if isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
                if self._chunks and len(event.data) < SMALL and not self._chunks.take(1):
                    raise ProtocolError("its chunks are too small")
            elif isinstance(event, h11.EndOfMessage):
                self._is_over = True
            elif event is not h11.NEED_DATA:
                raise ProtocolError(f"no body is to come: {event}")
            elif pieces:
                break
            else:
                await self._receive()
        return b"".join(pieces)

    async def body(self) -> AsyncGenerator[bytes, None]:
        """Yield a body."""
        while data := await self.read_body():
            yield data

    async def _receive(self) -> None:
        self._unread = self._unread or await self.conn.read(CHUNK)
        # Where there are many blanks between chunks, h11 gets a little at a time, and its limit on
        # trailers ends what would keep its pattern busy.
        size = 512 if self._chunks and BLANKS.search(self._unread) else CHUNK
        piece, self._unread = self._unread[:size], self._unread[size:]
        self.state.receive_data(piece)  # nothing: the end, which some bodies have for theirs

    async def write(self, event: h11.Event) -> None:
        """Say something."""
        try:
            data = self.state.send(event)
        except h11.LocalProtocolError as error:
            raise ProtocolError(str(error)) from error
        if data:
            await self.conn.write(data)

    def is_done(self) -> bool:
        """Tell whether both sides are through, and may go on with another request."""
        return self.state.our_state is h11.DONE and self.state.their_state is h11.DONE

    def rest(self, conn: Conn) -> Conn:
        """Return a connection with what was read too far in front."""
        rest = self.state.trailing_data[0] + self._unread
        return PrefixedConn(conn, rest) if rest else conn

    def _take(self, head: bytes) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if head.count(b"\n") > FIELDS + 2:
            raise ProtocolError(f"there are more than {FIELDS} fields in the header")
        if MALFORMED.search(head):
            raise ProtocolError("a line of the header is no field")
        self.state.receive_data(head)
        event = self._next()
        if isinstance(event, h11.Request | h11.Response):
            if event.http_version not in (b"1.0", b"1.1"):
                raise ProtocolError("this is not HTTP/1")
            names = [name for name, _ in event.headers]
            if b"transfer-encoding" in names:
                self._chunks = Bucket(SMALL_RATE, SMALL_BURST)
                if b"content-length" in names:
                    raise ProtocolError("a body has one length")
        return event

    def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self.state.next_event()
        except h11.RemoteProtocolError as error:
            if self.state.trailing_data[1]:
                who = self.conn.remote_addr()
                raise ConnectionResetError(f"{who} broke off in mid-message") from error
            # Behind it h11 quotes what came, which may be a password.
            raise ProtocolError(QUOTED.split(str(error))[0]) from None


async def read_final_response(conn: Conn, method: str) -> tuple[h11.Response, Conn]:
    """Read the head of the response to a request that was written; return what to go on with."""
    state = side(h11.CLIENT)
    state.send(h11.Request(method=method, target="/", headers=[("Host", "-")]))
    messages = Messages(conn, state)
    for _ in range(INTERIM):
        response = await messages.read_response()
        if isinstance(response, h11.Response):
            return response, messages.conn
    raise ProtocolError(f"{conn.remote_addr()} gives no final response")


def answer(status: int) -> bytes:
    """Return a response without a body."""
    challenge = 'Proxy-Authenticate: Basic realm="proxy"\r\n' if status == 407 else ""
    line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    return f"{line}{challenge}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
