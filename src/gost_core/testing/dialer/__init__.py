"""The contracts of dialers, and of their handshakes."""

from gost_core.testing.dialer._dialer import DialerContract
from gost_core.testing.dialer._handshaker import HandshakerContract

__all__ = ("DialerContract", "HandshakerContract")
