"""The keys under which independent packages exchange values through a Context.

Any of them may be absent (D28). A package's private values have keys of its own.
"""

from collections.abc import Mapping
from typing import Final

from gost_core.common.net import Addr
from gost_core.context import Key

__all__ = (
    "CLIENT_ID",
    "DESTINATION_ADDRESS",
    "HASH_SOURCE",
    "LABELS",
    "PEER_CERTIFICATE",
    "SESSION_ID",
    "SOURCE_ADDRESS",
)

SESSION_ID: Final[Key[str]] = Key("SESSION_ID")
"""Names one accepted connection in logs and records; set by the service (D28)."""

SOURCE_ADDRESS: Final[Key[Addr]] = Key("SOURCE_ADDRESS")
"""Where the client is, as far as is known; set by the service (D28).

It may differ from the connection's remote address, because a listener takes it from a PROXY header
or from a header of an HTTP request. Whoever can send such a header chooses what stands here: trust
it for access decisions only where every connection comes through a peer of yours that sets or
removes the header. The remote address of the connection is what cannot be forged.
"""

DESTINATION_ADDRESS: Final[Key[Addr]] = Key("DESTINATION_ADDRESS")
"""Where the client wanted to go when it connected; set by the service, from the connection's local
address if nothing better is known (D28). A PROXY header can set it, with the same caution as for
:data:`SOURCE_ADDRESS`.
"""

CLIENT_ID: Final[Key[str]] = Key("CLIENT_ID")
"""Who the client is: what an Authenticator returned; set by the handler. It may be ""."""

HASH_SOURCE: Final[Key[str]] = Key("HASH_SOURCE")
"""What a hash strategy hashes, so that equal sources reach the same node; set by the service to the
client's host, and by a handler that hashes something else (D28)."""

LABELS: Final[Key[Mapping[str, str]]] = Key("LABELS")
"""What the operator wants attached to records; set by the service, read only (D28)."""

PEER_CERTIFICATE: Final[Key[bytes]] = Key("PEER_CERTIFICATE")
"""The certificate of the client, verified by TLS, in DER encoding."""
