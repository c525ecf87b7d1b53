"""Hops: where a route takes its next node from."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from typing_extensions import Protocol, runtime_checkable

from gost_core.chain import Node
from gost_core.context import Context
from gost_core.options import FieldOption

__all__ = (
    "Hop",
    "NodeList",
    "SelectOption",
    "SelectOptions",
    "addr_select_option",
    "body_select_option",
    "client_ip_select_option",
    "header_select_option",
    "host_select_option",
    "method_select_option",
    "network_select_option",
    "path_select_option",
    "protocol_select_option",
    "query_select_option",
)


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class SelectOptions:
    """What is known of the request that a node is wanted for.

    What is not known is "", None or empty, and a rule that asks for it does not match. The callee
    reads it during the call, keeps nothing of it and changes nothing (D48).
    """

    client_ip: IPv4Address | IPv6Address | None = None
    """Where the client is; None = not known."""
    network: str = ""
    """The network, in lower case, such as ``tcp`` or ``udp4`` (D11)."""
    addr: str = ""
    """The destination, perhaps resolved; it may be "" or a path (D37)."""
    protocol: str = ""
    """The application protocol, in lower case: ``http``, ``tls``, ``ssh`` (D48)."""
    host: str = ""
    """The host asked for, perhaps with a port (D37)."""
    method: str = ""
    """The method of an HTTP request, in upper case (D48)."""
    path: str = ""
    """The path of an HTTP request, percent-decoded, without the query (D48)."""
    query: Mapping[str, list[str] | tuple[str, ...]] = field(
        default_factory=dict[str, list[str]], repr=False
    )
    """The query of an HTTP request, decoded: the values of each name, in order."""
    header: Mapping[str, list[str] | tuple[str, ...]] = field(
        default_factory=dict[str, list[str]], repr=False
    )
    """The headers of an HTTP request by canonical name (``Content-Type``). They may hold
    credentials, so the ``repr`` leaves them out (D17)."""
    body: bytes = field(default=b"", repr=False)
    """The beginning of the decoded body, as far as the hop's nodes asked for it (D68)."""


SelectOption: TypeAlias = Callable[[SelectOptions], object]


def client_ip_select_option(client_ip: IPv4Address | IPv6Address | None, /) -> SelectOption:
    """Set ``SelectOptions.client_ip``.

    Where the client is; None = not known.
    """
    return FieldOption(SelectOptions, "client_ip", client_ip)


def network_select_option(network: str, /) -> SelectOption:
    """Set ``SelectOptions.network``.

    The network, in lower case, such as ``tcp`` or ``udp4`` (D11).
    """
    return FieldOption(SelectOptions, "network", network)


def addr_select_option(addr: str, /) -> SelectOption:
    """Set ``SelectOptions.addr``.

    The destination, perhaps resolved; it may be "" or a path (D37).
    """
    return FieldOption(SelectOptions, "addr", addr)


def protocol_select_option(protocol: str, /) -> SelectOption:
    """Set ``SelectOptions.protocol``.

    The application protocol, in lower case: ``http``, ``tls``, ``ssh`` (D48).
    """
    return FieldOption(SelectOptions, "protocol", protocol)


def host_select_option(host: str, /) -> SelectOption:
    """Set ``SelectOptions.host``.

    The host asked for, perhaps with a port (D37).
    """
    return FieldOption(SelectOptions, "host", host)


def method_select_option(method: str, /) -> SelectOption:
    """Set ``SelectOptions.method``.

    The method of an HTTP request, in upper case (D48).
    """
    return FieldOption(SelectOptions, "method", method)


def path_select_option(path: str, /) -> SelectOption:
    """Set ``SelectOptions.path``.

    The path of an HTTP request, percent-decoded, without the query (D48).
    """
    return FieldOption(SelectOptions, "path", path)


def query_select_option(query: Mapping[str, list[str] | tuple[str, ...]], /) -> SelectOption:
    """Set ``SelectOptions.query``.

    The query of an HTTP request, decoded: the values of each name, in order.
    """
    return FieldOption(SelectOptions, "query", query)


def header_select_option(header: Mapping[str, list[str] | tuple[str, ...]], /) -> SelectOption:
    """Set ``SelectOptions.header``.

    The headers of an HTTP request by canonical name (``Content-Type``). They may hold
    credentials, so the ``repr`` leaves them out (D17).
    """
    return FieldOption(SelectOptions, "header", header)


def body_select_option(body: bytes, /) -> SelectOption:
    """Set ``SelectOptions.body``.

    The beginning of the decoded body, as far as the hop's nodes asked for it (D68).
    """
    return FieldOption(SelectOptions, "body", body)


class Hop(Protocol):
    """Has nodes, and chooses one of them for each request.

    It is one step of a chain, or it has the targets of a forwarder. A hop with work in the
    background, such as probes, is a :class:`gost_core.common.net.Closer`; it closes its own nodes,
    and no hop that was lent to it (D19). Like a group of chains, it never answers None because its
    nodes have failed: the first eligible one is the last resort (D45).

    Concurrency: called for any number of requests at once (D22).

    Checked by :class:`gost_core.testing.hop.HopContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        """Choose the node for a request.

        First, nodes that do not fit the request are left out: by their bypass, and by their
        matcher, or their filter if there is no matcher. Of the others, the one with the highest
        priority is taken, if that is above 0, no other node has the same, and the node works and is
        no backup. Otherwise the selector chooses. If all have failed, the first that fits is taken,
        as the last resort (D45).

        Args:
            ctx: the request's values.
            opts: see :class:`SelectOptions`; none at all is legal.

        Returns:
            A node, shared with other requests; mark it, but copy it before changing its options
            (D41). It may be a new object each time, so failures are tracked by its marker (D40).
            None = no node here: a chain ends at this point, and a forwarder has no target (D40).

        Raises:
            DeniedError: the request is refused by rule.
            ValueError: metadata of a node has the wrong type; the message names the key, and the
                node (D45).
            OSError: the hop's backend cannot be reached. None of these is ever turned into a direct
                connection (D36).

        Example::

            node = await hop.select(ctx, host_select_option("example.net:443"))
            if node is None:
                raise OSError("the hop has no node for example.net")
            logger.info("by way of", node.name)
        """
        ...


@runtime_checkable
class NodeList(Protocol):
    """A hop that can show its nodes.

    Checked by :class:`gost_core.testing.hop.NodeListContract`.
    """

    __slots__ = ()

    @abstractmethod
    def nodes(self) -> Sequence[Node]:
        """Return all nodes, as they are at this moment, without None inside.

        Complete from construction on; later changes do not show in it (D40).
        """
        ...
