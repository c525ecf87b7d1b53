"""Rules on requests: which node may serve which request."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from typing_extensions import Protocol

__all__ = ("Matcher", "Request")


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Request:
    """What is known of a request when its node is chosen.

    What is not known is "", None or empty, and a rule that asks for it does not match (D48). The
    object and what it holds live for one call; they are read, not kept and not changed.
    """

    client_ip: IPv4Address | IPv6Address | None = None
    """Where the client is; None = not known."""
    host: str = ""
    """The host asked for, perhaps with a port (D37)."""
    network: str = ""
    """The network, in lower case, such as ``tcp`` or ``udp4`` (D11)."""
    protocol: str = ""
    """The application protocol, in lower case: ``http``, ``tls``, ``ssh`` (D48)."""
    method: str = ""
    """The method of an HTTP request, in upper case (D48)."""
    path: str = ""
    """The path of an HTTP request, percent-decoded, without the query (D48)."""
    query: Mapping[str, list[str] | tuple[str, ...]] = field(
        default_factory=dict[str, list[str]], hash=False, repr=False
    )
    """The query of an HTTP request, decoded: the values of each name, in order."""
    header: Mapping[str, list[str] | tuple[str, ...]] = field(
        default_factory=dict[str, list[str]], hash=False, repr=False
    )
    """The headers of an HTTP request by canonical name (``Content-Type``). They may hold
    credentials, so the ``repr`` leaves them out (D17)."""
    body: bytes = field(default=b"", repr=False)
    """The beginning of the decoded body, as far as the hop's nodes asked for it (D68)."""


class Matcher(Protocol):
    """A rule on requests.

    It keeps no state, not even an answer (D48), and is asked for many requests at once. Networks
    match by prefix: ``tcp`` matches ``tcp4`` (D11).

    Checked by :class:`gost_core.testing.routing.MatcherContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def match(self, request: Request, /) -> bool:
        """Tell whether the rule applies to ``request``.

        It waits where rules ask a Bypass or an Admission (D48).

        Raises:
            DeniedError: the request is refused by rule.
            OSError: what the rule asks cannot be reached. Neither is ever turned into a direct
                connection (D36).
        """
        ...
