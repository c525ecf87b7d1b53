"""Who clients may be."""

from gost_core import auth
from gost_core.common.url import Userinfo
from gost_core.context import Context


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
