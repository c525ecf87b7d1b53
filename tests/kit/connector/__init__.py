"""Trials of the contracts of connectors: connecting, their handshakes, and binding."""

from tests.kit.connector._binder import binders
from tests.kit.connector._connector import connectors
from tests.kit.connector._handshaker import logins

trials = (binders, connectors, logins)
