"""TLS settings as options carry them: the stand-in for Go's ``crypto/tls`` configuration."""

import ssl
from dataclasses import dataclass

__all__ = ("TLSConfig",)


@dataclass(frozen=True, slots=True)
class TLSConfig:
    """How to speak TLS: a context and the name to expect of the peer.

    One object is shared by all connections of a component. The callee never changes ``context``:
    a component that needs other settings makes a context of its own. Where an option of this type
    is missing, the peer is verified with the library's defaults (D24); verification is off only
    in a context that somebody configured so.
    """

    context: ssl.SSLContext
    """Versions, ciphers, certificates, ALPN and verification."""

    server_name: str = ""
    """The name to send (SNI) and to verify, without a port. "" = the host of the address dialed
    (D66). A server ignores it."""
