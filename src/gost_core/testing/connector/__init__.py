"""The contracts of connectors: connecting, their handshakes, and binding."""

from gost_core.testing.connector._binder import BinderContract
from gost_core.testing.connector._connector import ConnectorContract
from gost_core.testing.connector._handshaker import HandshakerContract

__all__ = ("BinderContract", "ConnectorContract", "HandshakerContract")
