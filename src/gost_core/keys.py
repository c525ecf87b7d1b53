"""The keys under which independent packages exchange values through a Context.

Any of them may be absent, and a reader must cope with that (D28). For its private values a package
makes other keys.
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
    "TIME_LIMIT",
)

SESSION_ID: Final[Key[str]] = Key("SESSION_ID")
"""Names one accepted connection in logs and records; set by the service (D28)."""

SOURCE_ADDRESS: Final[Key[Addr]] = Key("SOURCE_ADDRESS")
"""Where the client is, as far as is known; set by the service (D28).

It is the remote address of the connection, unless something tells it better. If the listener
expects PROXY headers, both are the source that the header names, and then they are as trustworthy
as the peer that sent it: switch the PROXY protocol on only if the peers are trusted (D71). A
handler may take it from a header of an HTTP request. A client that can send such a header chooses
this value. So base access decisions on it only if every connection comes through a peer of yours
that sets or removes the header.
"""

DESTINATION_ADDRESS: Final[Key[Addr]] = Key("DESTINATION_ADDRESS")
"""Where the client wanted to go when it connected; set by the service from the connection's local
address, unless the connection carries something better (D28). The destination in a PROXY header is
not used (D71).
"""

CLIENT_ID: Final[Key[str]] = Key("CLIENT_ID")
"""Who the client is: what an Authenticator returned; set by the handler. It may be ""."""

HASH_SOURCE: Final[Key[str]] = Key("HASH_SOURCE")
"""What a hash strategy hashes, so that equal sources reach the same node; set by the service to the
client's host, that of SOURCE_ADDRESS, and by a handler that hashes something else (D28). With the
PROXY protocol the host is that of the header, which is as trustworthy as the peer (D71)."""

LABELS: Final[Key[Mapping[str, str]]] = Key("LABELS")
"""What the operator wants attached to records; set by the service, read only (D28)."""

PEER_CERTIFICATE: Final[Key[bytes]] = Key("PEER_CERTIFICATE")
"""The certificate of the client, verified by TLS, in DER encoding."""

TIME_LIMIT: Final[Key[float]] = Key("TIME_LIMIT")
"""The moment from which on the caller counts this call as failed by time; absent = no limit is
known, so compare the value with None.

It is a moment on the clock of the event loop: ``loop.time()`` of asyncio, ``trio.current_time()``.
It only tells: a callee does not have to end by itself. The Router sets it for each attempt, and
cancels the attempt a little after it. If there is a limit already, the earlier one counts. It
decides what an interrupted step means to those who mark nodes: from this moment on the step has
failed; before it, or without a limit, the step was only cancelled. No step is begun after the
moment: the call raises TimeoutError, and no node is marked. To wait until then, use
``asyncio.timeout_at(limit)``.

It is meant for one call. What outlives the call, or is shared with other callers, such as a
session, is given the context :meth:`without <gost_core.context.Context.without>` it (D69).
"""
