"""Credentials, as a URL carries them: the stand-in for the user part of Go's ``net/url``."""

import hmac
from typing import Final, NoReturn, final

__all__ = ("Userinfo",)


@final
class Userinfo:
    """A user name and, perhaps, a password.

    Two are equal if both parts are, and the comparison takes the same time wherever they differ,
    so it may decide about access. The ``repr`` shows the user name and hides the password (D17);
    pickling does not hide it. It is no dataclass, for :func:`dataclasses.asdict` would lay the
    password open. It never changes: to set a part, or to delete one, is an AttributeError.

    Args:
        username: percent-decoded, may be empty. Some protocols keep a cipher's name here.
        password: percent-decoded. None says that there is none, which differs from the empty
            password ``""``.
    """

    __slots__ = ("__weakref__", "password", "username")

    def __init__(self, username: str, password: str | None = None) -> None:
        self.username: Final[str] = username
        self.password: Final[str | None] = password

    def __setattr__(self, name: str, value: object, /) -> None:
        if hasattr(self, name):
            raise AttributeError(f"{self!r} cannot be changed; make another Userinfo")
        super().__setattr__(name, value)

    def __delattr__(self, name: str, /) -> NoReturn:
        raise AttributeError(f"{self!r} cannot be changed; make another Userinfo")

    def __eq__(self, other: object, /) -> bool:
        if not isinstance(other, Userinfo):
            return NotImplemented
        same_username = _same(self.username, other.username)
        same_password = _same(self.password or "", other.password or "")
        same_presence = (self.password is None) == (other.password is None)
        return same_username & same_password & same_presence

    def __hash__(self) -> int:
        return hash((self.username, self.password))

    def __repr__(self) -> str:
        password = "" if self.password is None else ", password=<hidden>"
        return f"Userinfo({self.username!r}{password})"


def _same(one: str, other: str) -> bool:
    # surrogatepass: what was decoded from bytes that are no UTF-8 must still compare.
    return hmac.compare_digest(
        one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    )
