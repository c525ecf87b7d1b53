"""Authentication: who a client is."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from typing_extensions import Protocol

from gost_core.context import Context
from gost_core.options import FieldOption

__all__ = ("Authenticator", "Option", "Options", "with_service")


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Options:
    """Options for one call of :meth:`Authenticator.authenticate`."""

    service: str = ""
    """The name of the asking service; "" = not given."""


Option: TypeAlias = Callable[[Options], object]


def with_service(service: str, /) -> Option:
    """Set ``Options.service``.

    The name of the asking service; "" = not given.
    """
    return FieldOption(Options, "service", service)


class Authenticator(Protocol):
    """Checks credentials, and tells which client has them.

    Where no Authenticator is given, everybody is let in, with no id.

    For callers: compare the awaited result with None. ``if await authenticate(...)`` turns the
    valid id "" into a refusal, and without the ``await`` every password is right. An exception
    refuses (D49).

    Only the exact pair of name and password is accepted: not the beginning of a password, not a
    password with something behind it, not somebody else's, and no unknown name with an empty
    password. Characters outside ASCII are compared like all others (D49).

    Concurrency: called for many connections at once.

    Checked by :class:`gost_core.testing.auth.AuthenticatorContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: Option
    ) -> str | None:
        """Tell who the client is.

        Args:
            ctx: the connection's values; an implementation may go by SOURCE_ADDRESS, with the
                caution that this key asks for, or by PEER_CERTIFICATE.
            user: the name that was sent; "" if none was.
            password: the password that was sent; "" if none was.
            opts: see :class:`Options`.

        Returns:
            The client's id, which may be "", or None to refuse. The caller puts the id into the
            context as CLIENT_ID, where limits, statistics and selectors find it. An implementation
            that cannot decide refuses: None (D49).

        Example::

            client = await authenticator.authenticate(ctx, user, password)
            if client is None:
                raise DeniedError("the login was refused")
            ctx = ctx.with_value(CLIENT_ID, client)
        """
        ...
