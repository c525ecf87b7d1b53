"""Trials of the contracts of dialers, and of their handshakes."""

from tests.kit.dialer._dialer import dialers
from tests.kit.dialer._handshaker import handshakers

trials = (dialers, handshakers)
