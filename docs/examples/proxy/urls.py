"""What the URLs of the command line say."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from gost_core.common.url import Userinfo

from .metadata import MemoryMetadata, text


class Settings(MemoryMetadata):
    """Settings that remember which of them somebody wanted to know.

    What nobody reads is a slip of the pen: an admission that was ignored would leave a door open.
    """

    def __init__(self, settings: dict[str, object]) -> None:
        super().__init__(settings)
        self._unread = {key.casefold(): key for key in settings}

    def get(self, key: str, /) -> object:
        self._unread.pop(key.casefold(), None)
        return super().get(key)

    def rules(self, key: str) -> tuple[list[str], bool]:
        """Return what stands between the commas of a setting, and whether it begins with "~".

        That makes a whitelist of it: all else is refused, or bypassed.
        """
        rules = text(self, key)
        words = rules.removeprefix("~").split(",")
        return [word.strip() for word in words if word.strip()], rules.startswith("~")

    def check_read(self) -> None:
        """Raise a ValueError that names what nobody has asked for."""
        if self._unread:
            raise ValueError(f"no such setting here: {', '.join(sorted(self._unread.values()))}")


@dataclass(frozen=True, slots=True)
class Address:
    """One URL: ``protocol[+transport]://[user[:password]@]host:port[/target][?settings]``."""

    scheme: str
    auth: Userinfo | None
    addr: str
    target: str
    settings: Settings

    @property
    def protocol(self) -> str:
        """What is spoken with a client, or with a proxy."""
        return self.scheme.partition("+")[0]

    @property
    def transport(self) -> str:
        """What it is spoken over; "" = not told."""
        return self.scheme.partition("+")[2]

    def __str__(self) -> str:
        return f"{self.scheme}://{self.addr}"


def parse(urls: str) -> list[Address]:
    """Parse the URLs in one text, which stand between commas.

    One without a scheme has the scheme and the credentials of the one before it. All of them share
    the settings.
    """
    before, _, query = urls.partition("?")
    settings = Settings({key: _value(value) for key, value in parse_qsl(query)})
    found: list[Address] = []
    scheme, auth = "", None
    for addr in before.split(","):
        if "://" in addr:
            scheme, _, addr = addr.partition("://")
            user, at, addr = addr.rpartition("@")
            name, colon, password = user.partition(":")
            auth = Userinfo(unquote(name), unquote(password) if colon else None) if at else None
        addr, _, target = addr.partition("/")
        found.append(Address(scheme, auth, addr, target, settings))
    return found


def hidden(text: str) -> str:
    """Return a text without the credentials that may stand in it (D17)."""
    return re.sub(r"^([^:/]*://)?.*@", r"\1***@", text)


def _value(text: str) -> object:
    return {"true": True, "false": False}.get(text.lower(), text)
