"""Who clients may be."""

from typing import Final

from gost_core import auth
from gost_core.common.url import Userinfo
from gost_core.context import Context

from .limiter.bucket import Bucket

# Logins of a host that may fail: in a second, and at once, since a wrong one is often tried again.
FAILURES: Final = 0.2
FAILURES_AT_ONCE: Final = 20


class UserTable(auth.Authenticator):
    """Knows several users; the id of each is the name."""

    def __init__(self, *users: Userinfo) -> None:
        self._users = {
            user.username: Userinfo(user.username, user.password or "") for user in users
        }

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        return user if self._users.get(user) == Userinfo(user, password) else None


def patience() -> Bucket:
    """Return with how many failures of a new host one has patience."""
    return Bucket(FAILURES, FAILURES_AT_ONCE)
