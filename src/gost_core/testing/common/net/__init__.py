"""The contracts of connections, of what they can do besides, and of whoever opens them."""

from gost_core.testing.common.net._aborter import AborterContract
from gost_core.testing.common.net._closer import CloserContract
from gost_core.testing.common.net._conn import ConnContract
from gost_core.testing.common.net._conn_unwrapper import ConnUnwrapperContract
from gost_core.testing.common.net._context_carrier import ContextCarrierContract
from gost_core.testing.common.net._dialer import DialerContract
from gost_core.testing.common.net._half_closer import HalfCloserContract
from gost_core.testing.common.net._listener import ListenerContract
from gost_core.testing.common.net._packet_conn import PacketConnContract

__all__ = (
    "AborterContract",
    "CloserContract",
    "ConnContract",
    "ConnUnwrapperContract",
    "ContextCarrierContract",
    "DialerContract",
    "HalfCloserContract",
    "ListenerContract",
    "PacketConnContract",
)
