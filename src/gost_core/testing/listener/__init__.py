"""The contracts of listeners: of those that bind an address here, and of reverse ones."""

from gost_core.testing.listener._local import ListenerContract
from gost_core.testing.listener._reverse import ReverseListenerContract

__all__ = ("ListenerContract", "ReverseListenerContract")
