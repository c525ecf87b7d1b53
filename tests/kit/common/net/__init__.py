"""Trials of the contracts of connections, of what they can do, and of whoever opens them."""

from tests.kit.common.net._aborter import aborter
from tests.kit.common.net._closer import closer
from tests.kit.common.net._conn import conn
from tests.kit.common.net._conn_unwrapper import wrapper
from tests.kit.common.net._context_carrier import carrier
from tests.kit.common.net._dialer import dialer
from tests.kit.common.net._half_closer import half_closer
from tests.kit.common.net._listener import listener
from tests.kit.common.net._packet_conn import packet_conn

trials = (aborter, closer, conn, wrapper, carrier, dialer, half_closer, listener, packet_conn)
