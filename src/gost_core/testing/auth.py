"""The contract of authenticators."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Generic, TypeVar

from gost_core.auth import Authenticator, Option, Options
from gost_core.context import Context
from gost_core.testing._contract import Contract, NotTried, checks, clause, describe, expect, run
from gost_core.testing._lookups import OptionWatch, answers_when_cancelled, out_of_reach
from gost_core.testing._report import Report

__all__ = ("check_auth_authenticator",)

AuthenticatorT = TypeVar("AuthenticatorT", bound=Authenticator)
Credentials = tuple[str, str]

_CALLS: Final[int] = 20
# A shorter one may stand in a repr by chance.
_SEARCHABLE: Final[int] = 8


class AuthenticatorContract(Contract, Generic[AuthenticatorT], interface=Authenticator):
    """Check an authenticator."""

    make: Callable[[], AuthenticatorT] = field(kw_only=False)
    """Makes an authenticator that knows some clients."""
    accepted_pair: tuple[str, str] | None = None
    """A user and the right password."""
    client_id: str | None = None
    """The id of that client."""
    refused_pair: tuple[str, str] | None = None
    """A user and a wrong password."""
    nameless: tuple[str, str] | None = None
    """A user and the right password of a client whose id is "", if there are such."""
    break_backend: Callable[[AuthenticatorT], Awaitable[object]] | None = None
    """Puts what an authenticator asks out of reach, as when its server has gone or its file cannot
    be read any more."""

    async def _specimen(self) -> Authenticator:
        return self._build()

    def _build(self) -> AuthenticatorT:
        return owned(self.make())

    async def _authenticate(
        self, authenticator: Authenticator, credentials: Credentials, *opts: Option
    ) -> str | None:
        answer = authenticator.authenticate(Context(), *credentials, *opts)
        return await within(answer, "authenticate()")

    # The ids and passwords of real clients are no matter for a report (D17).

    @clause("authenticate() returns the client's id for the right credentials.", "D49")
    async def accepted(self) -> None:
        accepted = _given(self.accepted_pair, "accepted")
        client_id = await self._authenticate(self._build(), accepted)
        expect(client_id is not None, "authenticate() of accepted credentials returned None")
        expect(
            isinstance(client_id, str),
            f"authenticate() returned a {type(client_id).__qualname__} instead of a str",
        )
        if self.client_id is not None:
            expect(client_id == self.client_id, "authenticate() returned another id")

    @clause('A refusal is None, and not "", which is an id.', "D49")
    async def refused(self) -> None:
        refused = _given(self.refused_pair, "refused")
        answer = await self._authenticate(self._build(), refused)
        expect(
            answer is None,
            f"authenticate() of refused credentials returned {_kind(answer)} instead of None",
        )

    @clause('A client whose id is "" is accepted: the result is "", not None.', "D49")
    async def empty_id(self) -> None:
        nameless = _given(self.nameless, "nameless")
        answer = await self._authenticate(self._build(), nameless)
        expect(answer == "", f'authenticate() returned {_kind(answer)} instead of ""')

    @clause("Credentials that were not sent, so are empty, have an answer.", "Go's implementations")
    async def empty_credentials(self) -> None:
        authenticator = self._build()
        user = "" if self.accepted_pair is None else self.accepted_pair[0]
        for credentials in (("", ""), (user, "")):
            await self._authenticate(authenticator, credentials)

    @clause("Any callable may be an option, and options are applied once each, in order.", "D23")
    async def options(self) -> None:
        watch = OptionWatch(Options)
        credentials = self.accepted_pair or self.refused_pair or ("", "")
        await self._authenticate(self._build(), credentials, *watch.opts())
        watch.judge()

    @clause(
        "Clients who log in at once do not get one another's answers.",
        "Go's implementations",
        after=("accepted", "refused"),
    )
    async def concurrent(self) -> None:
        authenticator = self._build()
        refused = _given(self.refused_pair, "refused")
        samples = [_given(self.accepted_pair, "accepted"), refused] * _CALLS
        answers = await within(
            asyncio.gather(*(authenticator.authenticate(Context(), *one) for one in samples)),
            f"{len(samples)} calls of authenticate() at once",
        )
        for credentials, answer in zip(samples, answers, strict=True):
            if credentials == refused:
                expect(answer is None, "refused credentials were accepted beside other calls")
            else:
                expect(answer is not None, "accepted credentials were refused beside other calls")

    @clause(
        "A call that is cancelled passes the cancellation on, and does not make an answer of it.",
        "D4, D14",
        after=("accepted", "refused"),
    )
    async def cancelled(self) -> None:
        authenticator = self._build()
        accepted, refused = _given(self.accepted_pair, "accepted"), _given(self.refused_pair, "refused")
        client_id = await self._authenticate(authenticator, accepted)
        for credentials, expected in ((accepted, client_id), (refused, None)):
            for answer in await answers_when_cancelled(partial(authenticator.authenticate, Context(), *credentials)
            ):
                expect(answer == expected, f"a cancelled call returned {_kind(answer)}")

    @clause(
        "An authenticator that cannot decide refuses: out of reach of its backend it accepts "
        "nobody whom it would refuse, and nobody as someone else.",
        "D49",
        after=("accepted", "refused"),
    )
    async def backend_broken(self) -> None:
        authenticator = self._build()
        accepted, refused = _given(self.accepted_pair, "accepted"), _given(self.refused_pair, "refused")
        client_id = await self._authenticate(authenticator, accepted)
        await out_of_reach(authenticator, self.break_backend)
        for credentials, before in ((accepted, client_id), (refused, None)):
            try:
                answer = await self._authenticate(authenticator, credentials)
            except OSError:
                # Callers take it for a refusal.
                continue
            which = "refused" if before is None else "accepted"
            expect(
                answer is None or answer == before,
                f"{which} credentials, which had given {_kind(before)}, then gave "
                + (_kind(answer) if before is None else "another id"),
            )

    @clause(
        "No password is in the repr of the authenticator or in an error.",
        "D17",
        after=("accepted",),
    )
    async def passwords_hidden(self) -> None:
        accepted = _given(self.accepted_pair, "accepted")
        _, password = accepted
        if len(password) < _SEARCHABLE:
            raise NotTried(f"the password of `accepted` has fewer than {_SEARCHABLE} characters")
        authenticator = self._build()
        expect(password not in repr(authenticator), "the repr holds a password")
        if self.break_backend is not None:
            await out_of_reach(authenticator, self.break_backend)
            try:
                await self._authenticate(authenticator, accepted)
            except Exception as error:
                expect(password not in describe(error), "the text of an error holds the password")
        expect(password not in repr(authenticator), "the repr holds a password that was sent")


def _given(sample: Credentials | None, name: str) -> Credentials:
    if sample is None:
        raise NotTried(f"no `{name}` was given")
    return sample


def _kind(answer: object) -> str:
    """Name an answer without telling an id."""
    return repr(answer) if not answer or not isinstance(answer, str) else "an id"
