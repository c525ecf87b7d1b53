"""TLS settings as options carry them: the stand-in for Go's ``crypto/tls`` configuration."""

import ssl
from dataclasses import dataclass, field

__all__ = ("TLSConfig", "TLSSource")


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class TLSSource:
    """What a TLS context was made of, for stacks that cannot use a context of Python's ``ssl``.

    QUIC is one of them. Such a stack uses this, and not the context. Every other stack uses the
    context, and not this (D77).
    """

    cert_file: str = ""
    """The path of this side's own certificate and its chain, in PEM; "" = it has none."""
    key_file: str = ""
    """The path of its private key, in PEM; "" = the key is in ``cert_file``."""
    ca_file: str = ""
    """The path of the certificates that a peer's may be signed by, in PEM; "" = the system's."""
    alpn: list[str] | tuple[str, ...] = field(default=(), hash=False)
    """Application protocols in order of preference; empty = none."""
    verify: bool = True
    """Whether the peer's certificate is verified. For a server True means that clients must have
    one that ``ca_file`` accepts; a server whose clients have none says False (D77)."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class TLSConfig:
    """How to speak TLS: a context and the name to expect of the peer.

    One object is shared by all connections of a component. The callee uses it unchanged, and never
    changes ``context``: a component that needs other settings makes another context. Where an
    option of this type is missing, the peer is verified with the library's defaults (D24);
    verification is off only in a context that somebody configured so.
    """

    context: ssl.SSLContext
    """Versions, ciphers, certificates, ALPN and verification."""

    server_name: str = ""
    """The name to send (SNI) and to verify, without a port. "" = the host of the address dialed
    (D32). A context that checks names is a ValueError if there is no name to check: neither this
    nor a host in the address (D66). A server ignores it."""

    source: TLSSource | None = field(default=None, kw_only=True)
    """What the context was made of, from the same values; None = not given. A stack that cannot use
    the context and finds None here raises a ValueError in ``init()`` (D77)."""
