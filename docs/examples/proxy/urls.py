"""What the URLs of the command line say."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote, unquote_plus

from gost_core.common.url import Userinfo

from .metadata import MemoryMetadata, number, text, whole
from .net.address import split_host_port
from .net.hosts import split_place


class Settings(MemoryMetadata):
    """Settings that remember which of them somebody wanted to know.

    What nobody reads is a slip of the pen: an admission that was ignored would leave a door open.
    So would one that says nothing, as an unset variable leaves it, or one that another replaces.
    """

    @classmethod
    def parse(cls, query: str) -> Self:
        """Read what stands behind the "?" of a URL."""
        found: dict[str, object] = {}
        for part in query.split("&"):
            key, _, value = map(unquote_plus, part.partition("="))
            if not re.fullmatch(r"[A-Za-z][\w.-]*", key):  # not shown: it may be of a password
                raise ValueError(
                    "behind ? is nothing written as NAME=VALUE, with & between several"
                )
            if not value.strip():
                raise ValueError(f"the setting {key!r} says nothing; give a value, or leave it out")
            if key.casefold() in map(str.casefold, found):
                raise ValueError(f"the setting {key!r} is given twice")
            found[key] = {"true": True, "false": False}.get(value.lower(), value)
        return cls(found)

    def __init__(self, settings: dict[str, object]) -> None:
        super().__init__(settings)
        self._unread = {key.casefold(): key for key in settings}

    def get(self, key: str, /) -> object:
        self._unread.pop(key.casefold(), None)
        return super().get(key)

    def rules(self, key: str) -> tuple[list[str], bool]:
        """Return what stands between commas, and whether a "~" in front makes a whitelist of it."""
        rules = text(self, key)
        words = [word.strip() for word in rules.removeprefix("~").split(",")] if rules else []
        if not all(words):
            raise ValueError(f"the setting {key!r} is {rules!r}; a rule in it says nothing")
        return words, rules.startswith("~")

    def limit(self, key: str) -> float:
        """Return a limit that is more than nothing, or 0 if there is none."""
        found = number(self, key, 0)
        if self.is_exists(key) and not found:
            raise ValueError(f"the setting {key!r} must be more than 0; or leave it out")
        return found

    def whole_limit(self, key: str) -> int:
        """Return a limit that is a whole number."""
        self.limit(key)
        return whole(self, key, 0)

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
    before, mark, query = urls.partition("?")
    if not urls.isprintable():
        raise ValueError("there are characters in it that must be percent-encoded")
    found: list[tuple[str, Userinfo | None, str, str]] = []
    scheme, auth = "", None
    for addr in before.split(","):
        if "://" in addr:
            scheme, _, addr = addr.partition("://")
            scheme = scheme.lower()
            user, at, addr = addr.rpartition("@")
            name, colon, password = user.partition(":")
            if at and not unquote(name).strip():  # as unset variables leave it
                raise ValueError("in front of @ no user has a name; leave the @ out, or name one")
            auth = Userinfo(unquote(name), unquote(password) if colon else None) if at else None
        addr, _, target = addr.partition("/")
        try:
            split_host_port(addr)
        except ValueError:
            raise ValueError(
                "it must be protocol://host:port, with a port up to 65535, an IPv6 "
                "host in brackets, and , ? @ / in a password percent-encoded"
            ) from None
        split_place(addr)
        found.append((scheme, auth, addr, target))
    settings = Settings.parse(query) if mark else Settings({})  # after all else: it shows names
    return [Address(*one, settings) for one in found]
