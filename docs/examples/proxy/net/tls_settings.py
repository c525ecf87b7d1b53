"""How TLS is spoken: from settings to configurations."""

import ssl

from gost_core.chain import TLSNodeSettings
from gost_core.common.tls import TLSConfig
from gost_core.metadata import Metadata

from ..component import refuse_options
from ..metadata import flag, text


def client_config(metadata: Metadata | None) -> TLSConfig:
    """Read what a dialer has to know.

    ``caFile``: whom to trust in place of the system's; ``certFile`` and ``keyFile``: who to be;
    ``secure=false``: whoever answers will do; ``serverName``: whom to expect, else the node's host.
    """
    context = _context(ssl.Purpose.SERVER_AUTH, metadata)
    if not flag(metadata, "secure", True):
        _trust_anybody(context)
    return TLSConfig(context, text(metadata, "serverName"))


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


def target_config(settings: TLSNodeSettings) -> TLSConfig:
    """Take over the TLS settings of a target; a ValueError names what is not served (D66)."""
    refuse_options(settings.options, "min_version", "max_version", "cipher_suites", "alpn")
    context = _context(ssl.Purpose.SERVER_AUTH, None)
    if not settings.secure:
        _trust_anybody(context)
    return TLSConfig(context, settings.server_name)


def _context(purpose: ssl.Purpose, metadata: Metadata | None) -> ssl.SSLContext:
    ca_file, cert_file, key_file = (text(metadata, f"{name}File") for name in ("ca", "cert", "key"))
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


def _trust_anybody(context: ssl.SSLContext) -> None:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
