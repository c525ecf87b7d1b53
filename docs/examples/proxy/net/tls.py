"""TLS over any connection."""

import asyncio
import errno
import ssl
from contextlib import suppress
from typing import Final

from typing_extensions import Buffer

from gost_core.common import net
from gost_core.common.tls import TLSConfig
from gost_core.context import Context
from gost_core.keys import PEER_CERTIFICATE
from gost_core.metadata import Metadata

from ..metadata import file_at, flag, text
from .address import host_of
from .hosts import normal_host
from .relay import CHUNK, SOME
from .wrapper import ClosedOnce, alone

RECORD: Final = 16384  # bytes at most in one piece of a TLS stream
FAREWELL: Final = 1.0  # seconds to tell the peer that this is the end


class TLSConn(ClosedOnce, net.Conn, net.HalfCloser, net.Aborter, net.ContextCarrier):
    """A TLS stream over any connection, be it TCP or a tunnel through other proxies.

    OpenSSL works between two buffers in memory; what comes from the connection beneath goes into
    one, and what is in the other goes out. It shows nothing of what is beneath, where other bytes
    go (D10), but for the context.

    A read never writes: an answer that TLS itself has to give, such as to a change of keys, waits
    for the next write, so that a cancelled read harms nothing (D7).
    """

    def __init__(self, inner: net.Conn, config: TLSConfig, server_name: str | None) -> None:
        super().__init__()
        self._inner: Final = inner
        self._aborted = False
        self._incoming: Final = ssl.MemoryBIO()
        self._outgoing: Final = ssl.MemoryBIO()
        # A name makes the client's end, None the server's.
        self._tls: Final = config.context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_name is None,
            server_hostname=server_name or None,
        )
        self._context: Context | None = None
        self._busy: set[str] = set()
        self._held = b""  # decrypted, and not read yet
        self._ended = False  # the peer's stream
        self._write_ended = False
        self._flushed = True
        self._fault: Exception | None = None

    async def handshake(self) -> None:
        """Agree with the peer; if this raises, the connection beneath is only good for closing."""
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush()
                await self._arrival()
            except ssl.SSLError as error:
                with suppress(OSError):  # the peer is told why, if it listens
                    async with asyncio.timeout(FAREWELL):
                        await self._flush()
                if not isinstance(error, ssl.SSLCertVerificationError):
                    raise
                # The library's own error is a ValueError as well, as if no other try, nor another
                # node, could do better (D16).
                message = f"the certificate of {self.remote_addr()}: {error.verify_message}"
                raise ssl.SSLError(error.errno, message) from error
        await self._flush()
        carrier = net.find_capability(self._inner, net.ContextCarrier)
        self._context = None if carrier is None else carrier.context()
        certificate = self._tls.getpeercert(binary_form=True) if self._tls.server_side else None
        if certificate is not None:
            carried = self._context or Context()
            self._context = carried.with_value(PEER_CERTIFICATE, certificate)

    async def read(self, n: int, /) -> bytes:
        if n < 1:
            raise ValueError(f"cannot read {n} bytes; ask for at least 1")
        self._check_open()
        with alone(self._busy, "reading"):
            while not self._held:
                self._held = self._decrypt(n)
                if not self._held:
                    if self._ended:
                        return b""
                    if self._fault is not None:
                        message = f"TLS with {self.remote_addr()} broke off: {self._fault}"
                        raise ConnectionResetError(errno.ECONNRESET, message) from self._fault
                    await self._arrival()
            data, self._held = self._held[:n], self._held[n:]
            return data

    async def write(self, data: Buffer, /) -> None:
        self._check_open()
        with alone(self._busy, "writing"):
            if self._write_ended:
                raise BrokenPipeError(errno.EPIPE, "the outgoing stream was ended here")
            rest = memoryview(data).cast("B")
            while rest:
                try:
                    taken = self._tls.write(rest[:CHUNK])
                except ssl.SSLError as error:
                    message = f"TLS with {self.remote_addr()} broke off: {error}"
                    raise ConnectionResetError(errno.ECONNRESET, message) from error
                await self._flush()
                rest = rest[taken:]

    async def close_write(self) -> None:
        self._check_open()
        if self._tls.version() != "TLSv1.3":
            raise net.UnsupportedError("before TLS 1.3, the end of one stream is that of both")
        with alone(self._busy, "writing"):
            self._say_end()
            await self._flush()

    def abort(self) -> None:
        self._aborted = True  # so that no farewell is said
        if isinstance(self._inner, net.Aborter):
            self._inner.abort()

    def local_addr(self) -> net.Addr:
        return self._inner.local_addr()

    def remote_addr(self) -> net.Addr:
        return self._inner.remote_addr()

    def context(self) -> Context | None:
        return self._context

    async def _end(self) -> None:
        try:
            # Else a write waits, or was cut off: there is no room for a farewell.
            if self._flushed and not self._aborted:
                self._say_end()
                with suppress(OSError):
                    async with asyncio.timeout(FAREWELL):
                        await self._flush()
        finally:
            await self._inner.close()

    def _say_end(self) -> None:
        if self._write_ended:
            return
        self._write_ended = True
        # OpenSSL looks for the peer's end here too, and would drop data that it finds instead.
        self._held += self._decrypt(self._tls.pending())
        arrived = self._incoming.read()
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        self._incoming.write(arrived)

    def _decrypt(self, n: int) -> bytes:
        """Take up to ``n`` bytes of what has arrived, and note its end."""
        pieces: list[bytes] = []
        try:
            while n and (piece := self._tls.read(min(n, RECORD))):
                pieces.append(piece)
                n -= len(piece)
            if n:
                self._ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ended = True
        except ssl.SSLError as error:
            self._fault = error
        return b"".join(pieces)

    async def _arrival(self) -> None:
        data = await self._inner.read(SOME)
        self._check_open()
        if not data:  # whoever could forge this end could cut the stream short
            message = f"{self.remote_addr()} ended the connection in mid-stream of TLS"
            raise ConnectionResetError(errno.ECONNRESET, message)
        self._incoming.write(data)

    async def _flush(self) -> None:
        self._flushed = False
        while self._outgoing.pending:
            await self._inner.write(self._outgoing.read())
        self._flushed = True

    def _check_open(self) -> None:
        if self.is_closed():
            raise net.ClosedError("this connection was closed here")


async def connect_tls(inner: net.Conn, config: TLSConfig, addr: str) -> TLSConn:
    """Speak TLS to the node at an address, perhaps through other nodes (D31, D32)."""
    name = config.server_name or host_of(addr)
    if not name and config.context.check_hostname:  # the library would take any name for right
        raise ValueError("whom to expect is not known: set 'serverName', or name the node")
    conn = TLSConn(inner, config, name)
    await conn.handshake()
    return conn


def client_config(metadata: Metadata | None) -> TLSConfig:
    """Read what a dialer has to know.

    ``caFile``: whom to trust in place of the system's; ``certFile`` and ``keyFile``: who to be;
    ``secure=false``: whoever answers will do; ``serverName``: whom to expect, else the node's host.
    """
    context = _context(ssl.Purpose.SERVER_AUTH, metadata)
    if not flag(metadata, "secure", True):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    name = text(metadata, "serverName")
    return TLSConfig(context, normal_host(name) if name else "")


def server_config(metadata: Metadata | None) -> TLSConfig:
    """Read what a listener has to know.

    ``certFile`` and ``keyFile``: who to be; ``caFile``: whose certificates clients must have, else
    they need none.
    """
    if not text(metadata, "certFile"):
        raise ValueError("a TLS listener needs a certificate: set 'certFile' and 'keyFile'")
    context = _context(ssl.Purpose.CLIENT_AUTH, metadata)
    if text(metadata, "caFile"):
        context.verify_mode = ssl.CERT_REQUIRED
    return TLSConfig(context)


def _context(purpose: ssl.Purpose, metadata: Metadata | None) -> ssl.SSLContext:
    ca_file, cert_file, key_file = (text(metadata, f"{name}File") for name in ("ca", "cert", "key"))
    for file in filter(None, (ca_file, cert_file, key_file)):
        file_at(file)
    if key_file and not cert_file:
        raise ValueError("the setting 'keyFile' is of no use without 'certFile'")
    try:
        context = ssl.create_default_context(purpose, cafile=ca_file or None)
    except OSError as error:
        raise ValueError(f"the setting 'caFile': {ca_file}: {error.strerror}") from error
    # Whoever starts a renegotiation would have a read write.
    context.options |= ssl.OP_NO_RENEGOTIATION
    if cert_file:
        try:
            # The password, which is none, keeps OpenSSL from asking for one at the terminal.
            context.load_cert_chain(cert_file, key_file or None, password="")
        except OSError as error:
            files = f"{cert_file} {key_file}".rstrip()
            message = f"the settings 'certFile' and 'keyFile': {files}: {error.strerror}"
            raise ValueError(message) from error
    return context
