"""Certificates for the tests of TLS: an authority of our own, and what it signed."""

import atexit
import ssl
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme

from gost_core.common.tls import TLSConfig

NAME = "proxy.example"

authority = trustme.CA()
certificate = authority.issue_cert(NAME, "localhost", "127.0.0.1")
client_certificate = authority.issue_cert("someone@example.org")


def server_context() -> ssl.SSLContext:
    """Return a context with the certificate of the authority's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    """Return a context that trusts the authority, and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


SERVER = TLSConfig(server_context())
CLIENT = TLSConfig(client_context())


_directory = TemporaryDirectory()
atexit.register(_directory.cleanup)


def _file(blob: trustme.Blob) -> str:
    path = Path(_directory.name, f"{len([*Path(_directory.name).iterdir()])}.pem")
    blob.write_to_path(path)
    return str(path)


CA_FILE = _file(authority.cert_pem)
CERT_FILE = _file(certificate.cert_chain_pems[0])
KEY_FILE = _file(certificate.private_key_pem)
CLIENT_FILE = _file(client_certificate.private_key_and_cert_chain_pem)
