"""Test doubles by unittest.mock: ``create_autospec`` checks calls against the interface.

Its doubles know which members are awaited and how many arguments they take; those of
``AsyncMock(spec=...)`` do not know the latter.
"""

from unittest.mock import AsyncMock, create_autospec

from gost_core.auth import Authenticator
from gost_core.common.net import Conn, Dialer
from gost_core.context import Context
from gost_core.registry import Registry


async def dial_by_autospec() -> Conn:
    dialer: Dialer = create_autospec(Dialer, instance=True)
    registry: Registry[Dialer] = create_autospec(Registry, instance=True)
    registry.register("local", dialer)
    return await dialer.dial(Context(), "tcp", "192.0.2.1:443")


async def authenticate_by_mock() -> str | None:
    authenticator: Authenticator = AsyncMock(spec=Authenticator)
    return await authenticator.authenticate(Context(), "user", "password")
