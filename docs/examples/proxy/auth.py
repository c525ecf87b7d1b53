"""Who clients may be."""

from typing import Final

from gost_core import auth
from gost_core.common.url import Userinfo
from gost_core.context import Context

from .limiter.bucket import Bucket, Budgets

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


class FailedLogins:
    """Knows which hosts have failed to log in too often, and may try again after a while only."""

    def __init__(self) -> None:
        self._hosts = Budgets[str, Bucket]()

    def too_many(self, host: str) -> bool:
        """Tell whether a host must wait."""
        return host in self._hosts and self._hosts[host].level() < 1

    def count(self, host: str) -> None:
        """Take note of a failure, also of one more than a host may have: it waits the longer."""
        self._hosts.of(host, lambda: Bucket(FAILURES, FAILURES_AT_ONCE)).spend(1)
