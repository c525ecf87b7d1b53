"""How TLS is spoken: from settings to configurations."""

import re
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from gost_core.chain import TLSNodeSettings
from gost_core.common.tls import TLSConfig
from gost_core.metadata import Metadata

from .metadata import flag, text

# Older versions are broken, and the library refuses them by itself.
VERSIONS: Final = {
    "versiontls12": ssl.TLSVersion.TLSv1_2,
    "versiontls13": ssl.TLSVersion.TLSv1_3,
}


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
    """Take over the TLS settings of a target; a ValueError names what cannot be had (D66)."""
    options = settings.options
    context = _context(ssl.Purpose.SERVER_AUTH, None)
    if not settings.secure:
        _trust_anybody(context)
    lowest = _version(options.min_version, ssl.TLSVersion.TLSv1_2)
    highest = _version(options.max_version, ssl.TLSVersion.TLSv1_3)
    if highest < lowest:
        raise ValueError(f"no TLS version is from {options.min_version} to {options.max_version}")
    context.minimum_version, context.maximum_version = lowest, highest
    if options.cipher_suites:
        _choose(context, options.cipher_suites)
    if options.alpn:
        try:
            context.set_alpn_protocols(options.alpn)
        except ssl.SSLError as error:
            raise ValueError(f"the ALPN protocols {options.alpn!r}: {error.strerror}") from error
    return TLSConfig(context, settings.server_name)


def _context(purpose: ssl.Purpose, metadata: Metadata | None) -> ssl.SSLContext:
    ca_file, cert_file, key_file = (text(metadata, f"{name}File") for name in ("ca", "cert", "key"))
    if key_file and not cert_file:
        raise ValueError("the setting 'keyFile' is of no use without 'certFile'")
    try:
        context = ssl.create_default_context(purpose, cafile=ca_file or None)
    except OSError as error:
        raise ValueError(f"the setting 'caFile': {ca_file}: {_reason(error)}") from error
    # Whoever starts a renegotiation would have a read write.
    context.options |= ssl.OP_NO_RENEGOTIATION
    if cert_file:
        try:
            # The password, which is none, keeps OpenSSL from asking for one at the terminal.
            context.load_cert_chain(cert_file, key_file or None, password="")
        except OSError as error:
            files = f"{cert_file} and {key_file}" if key_file else cert_file
            message = f"the settings 'certFile' and 'keyFile': {files}: {_reason(error)}"
            raise ValueError(message) from error
    return context


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return error.strerror or "it cannot be read"


def _trust_anybody(context: ssl.SSLContext) -> None:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE


def _version(name: str, default: ssl.TLSVersion) -> ssl.TLSVersion:
    if name and name.lower() not in VERSIONS:
        raise ValueError(f"the TLS version {name!r} is not VersionTLS12 or VersionTLS13")
    return VERSIONS.get(name.lower(), default)


def _choose(context: ssl.SSLContext, suites: Sequence[str]) -> None:
    """Allow these cipher suites alone, and those of TLS 1.3, which cannot be chosen."""
    ciphers = [_openssl_name(suite) for suite in suites]
    with suppress(ssl.SSLError):
        context.set_ciphers(":".join(ciphers))
    old = [cipher for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"]
    known = {cipher["name"] for cipher in old}
    for suite, cipher in zip(suites, ciphers, strict=True):
        if cipher not in known:
            raise ValueError(f"the cipher suite {suite!r} is unknown, or cannot be chosen")


def _openssl_name(suite: str) -> str:
    """Turn an IANA name into OpenSSL's; what cannot be chosen comes back as it is."""
    found = re.fullmatch(
        r"TLS_(RSA|DHE_RSA|ECDHE_RSA|ECDHE_ECDSA)_WITH_"
        r"(?:(CHACHA20_POLY1305)_SHA256|AES_(128|256)_(GCM_SHA\d+|CBC_SHA\d*))",
        suite,
    )
    if found is None:
        return suite
    exchange, chacha, bits, mode = found.groups()
    cipher = chacha or f"AES{bits}_{mode.removeprefix('CBC_')}"
    return (cipher if exchange == "RSA" else f"{exchange}_{cipher}").replace("_", "-")
