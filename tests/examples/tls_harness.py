"""What the tests of TLS share: certificates of an authority of our own, and connections."""

import asyncio
import atexit
import ssl
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme

from gost_core.common.net import Conn
from gost_core.common.tls import TLSConfig
from proxy.net.tls import TLSConn

NAME = "proxy.example"

_authority = trustme.CA()
_certificate = _authority.issue_cert(NAME, "localhost", "127.0.0.1", "127.0.0.2")
_client_certificate = _authority.issue_cert("someone@example.org")
_directory = TemporaryDirectory()
atexit.register(_directory.cleanup)


def _file(blob: trustme.Blob) -> str:
    path = Path(_directory.name, f"{len([*Path(_directory.name).iterdir()])}.pem")
    blob.write_to_path(path)
    return str(path)


CA_FILE = _file(_authority.cert_pem)
CERT_FILE = _file(_certificate.cert_chain_pems[0])
KEY_FILE = _file(_certificate.private_key_pem)
CLIENT_FILE = _file(_client_certificate.private_key_and_cert_chain_pem)
CLIENT_CERTIFICATE = ssl.PEM_cert_to_DER_cert(
    _client_certificate.cert_chain_pems[0].bytes().decode()
)


def server_context() -> ssl.SSLContext:
    """Return a context of a server with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT_FILE, KEY_FILE)
    return context


def client_context() -> ssl.SSLContext:
    """Return a context that trusts the authority, and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(CA_FILE)
    return context


SERVER = TLSConfig(server_context())
CLIENT = TLSConfig(client_context())


class OpenConn(TLSConn):
    """Shows what is in it."""

    @property
    def beneath(self) -> Conn:
        return self._inner

    @property
    def tls(self) -> ssl.SSLObject:
        return self._tls


async def serve(inner: Conn, config: TLSConfig = SERVER) -> OpenConn:
    """Do the server's handshake."""
    conn = OpenConn(inner, config, None)
    await conn.handshake()
    return conn


async def secure(
    client: Conn, server: Conn, config: TLSConfig = CLIENT, served: TLSConfig = SERVER
) -> tuple[OpenConn, OpenConn]:
    """Speak TLS over both ends of a connection."""
    conn = OpenConn(client, config, NAME)
    serving = asyncio.create_task(serve(server, served))
    try:
        await conn.handshake()
        return conn, await serving
    except BaseException:
        await client.close()
        await server.close()
        await asyncio.gather(serving, return_exceptions=True)
        raise
