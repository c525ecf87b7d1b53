"""A connection that a far proxy accepted."""

from gost_core.common import net

from .address import TCPAddr, split_host_port
from .h2_stream import Stream
from .wrapper import Wrapper


class Visitor(Wrapper):
    """A stream whose other end is the visitor, by the address that it came with (D35)."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self._addr = TCPAddr(*split_host_port(stream.name))

    def remote_addr(self) -> net.Addr:
        return self._addr
