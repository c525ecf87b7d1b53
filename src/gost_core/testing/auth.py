"""The contract of authenticators."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import field
from functools import partial
from typing import NamedTuple, TypeAlias

from typing_extensions import TypeVar

from gost_core.auth import Authenticator, Option, Options, with_service
from gost_core.testing._families.lookups import OptionLookup
from gost_core.testing._families.refuses import Discreet, Refuses
from gost_core.testing._run.attempt import current
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import expect, given, need

__all__ = ("AuthenticatorContract",)

AuthenticatorT = TypeVar("AuthenticatorT", bound=Authenticator, default=Authenticator)

_Pair: TypeAlias = tuple[str, str]


class _Login(NamedTuple):
    """A user and a password, and the id that they give, None = refused."""

    pair: _Pair
    client_id: str | None


class AuthenticatorContract(
    OptionLookup[AuthenticatorT, _Login, str | None],
    Refuses[AuthenticatorT, _Login, str | None],
    Discreet,
    interface=Authenticator,
    first=("accepted", "refused"),
    said={
        "concurrent": (
            "Clients who log in at once do not get one another's answers.",
            "Go's implementations",
        ),
        "backend_broken": (
            "An authenticator that cannot decide refuses: out of reach of its backend it accepts "
            "nobody whom it would refuse, and nobody as someone else.",
            "D49",
        ),
    },
):
    """What an authenticator promises."""

    make: Callable[[], AuthenticatorT] = field(kw_only=False)
    """Makes an authenticator that knows some clients."""
    accepted_pair: tuple[str, str] | None = field(default=None, repr=False)
    """A user and the right password."""
    client_id: str | None = None
    """The id of that client."""
    refused_pair: tuple[str, str] | None = field(default=None, repr=False)
    """A user and a wrong password."""
    nameless: tuple[str, str] | None = field(default=None, repr=False)
    """A user and the right password of a client whose id is "", if there are such."""
    break_backend: Callable[[AuthenticatorT], Awaitable[object]] | None = None
    """Puts what an authenticator asks out of reach, as when its server has gone or its file cannot
    be read any more."""

    _options = Options

    async def _questions(self) -> Sequence[_Login]:
        accepted = need(self.accepted_pair, "accepted_pair")
        refused = need(self.refused_pair, "refused_pair")
        client_id = await self._authenticate(self._build(), accepted)
        return _Login(accepted, client_id), _Login(refused, None), _nobody(accepted)

    def _many_questions(self, count: int) -> Sequence[_Login]:
        return [_Login((f"nobody {number}", "password"), None) for number in range(count)]

    def _beside(self, component: AuthenticatorT) -> Sequence[Callable[[], Awaitable[object]]]:
        pairs = [pair for pair in (self.nameless, ("", "")) if pair is not None]
        service = with_service("another")
        return [partial(self._ask, component, _Login(one, None), service) for one in pairs]

    async def _any_question(self) -> _Login:
        return _Login(self.accepted_pair or self.refused_pair or ("", ""), None)

    def _ask(
        self, component: AuthenticatorT, question: _Login, /, *opts: Option
    ) -> Awaitable[str | None]:
        return component.authenticate(current().ctx, *question.pair, *opts)

    async def _authenticate(self, component: AuthenticatorT, pair: _Pair) -> str | None:
        return await self._answer(component, _Login(pair, None))

    # The ids and passwords of real clients are no matter for a report (D17).

    def _secrets(self) -> Iterator[str]:
        pairs = (self.accepted_pair, self.refused_pair, self.nameless)
        return (pair[1] for pair in pairs if pair is not None and pair[1])

    def _named(self, question: _Login) -> str:
        # Two names, so that calls by their names are of both.
        return f"authenticate() {'refused' if question.client_id is None else 'accepted'}"

    def _expect_right(self, question: _Login, answer: str | None, when: str = "") -> None:
        right = answer == question.client_id
        if question.client_id is None:
            expect(right, f"refused credentials gave {_kind(answer)} instead of None{when}")
        else:
            expect(right, f"accepted credentials gave {_kind(answer, 'another id')}{when}")

    async def _ready(self) -> AuthenticatorT:
        """Make one that has let somebody in."""
        made = self._build()
        if self.accepted_pair is not None:
            await self._authenticate(made, self.accepted_pair)
        return made

    def _expect_safe(self, question: _Login, answer: str | None) -> None:
        if answer is not None:
            super()._expect_safe(question, answer)

    @clause("authenticate() returns the client's id for the right credentials.", "D49")
    async def accepted(self) -> None:
        pair = need(self.accepted_pair, "accepted_pair")
        answer: object = await self._authenticate(self._build(), pair)
        expect(answer is not None, "authenticate() of accepted credentials returned None")
        kind = type(answer).__qualname__
        expect(isinstance(answer, str), f"authenticate() returned a {kind} instead of a str")
        if self.client_id is not None:
            expect(answer == self.client_id, "authenticate() returned another id")

    @clause('A refusal is None, and not "", which is an id.', "D49")
    async def refused(self) -> None:
        refused = [_Login(need(self.refused_pair, "refused_pair"), None)]
        if self.accepted_pair is not None:
            refused.append(_nobody(self.accepted_pair))
        for one in refused:
            self._expect_right(one, await self._answer(self._build(), one))

    @clause(
        "Only the exact pair is accepted, also when its user is in: not a part of the password or "
        "more than it, not another letter case, and nobody else with it.",
        "D49",
        after=("accepted", "empty_credentials", "refused"),
    )
    async def exact_pair(self) -> None:
        accepted, authenticator = need(self.accepted_pair, "accepted_pair"), self._build()
        known = [accepted] if self.nameless is None else [accepted, self.nameless]
        for when in ("", ", when the client was in"):
            for what, pair in _near(known, self.client_id or ""):
                answer = await self._authenticate(authenticator, pair)
                expect(answer is None, f"{what} gave {_kind(answer)} instead of None{when}")
            await self._authenticate(authenticator, accepted)

    @clause(
        "Characters outside ASCII are compared like all others, and are no reason to raise.",
        "D49",
        after=("accepted", "refused"),
    )
    async def any_characters(self) -> None:
        user, password = need(self.accepted_pair, "accepted_pair")
        foreign = "\u00e4\u20ac\u043f\U0001f511"
        for pair in (
            (user, _wide(password)),
            (_wide(user), password),
            (user + "\u00ad", password),
            (user + "\udcff", password),
            (user, password + "\u00ad"),
            (user, password + foreign),
            (user, password + "\udcff"),
            (user, foreign),
            (user + foreign, password),
        ):
            answer = await self._authenticate(self._build(), pair)
            right = answer is None or pair == self.accepted_pair
            expect(right, f"a pair outside ASCII gave {_kind(answer)} instead of None")

    @clause('A client whose id is "" is accepted: the result is "", not None.', "D49")
    async def empty_id(self) -> None:
        nameless = need(self.nameless, "nameless")
        answer = await self._authenticate(self._build(), nameless)
        expect(answer == "", f'authenticate() returned {_kind(answer)} instead of ""')

    @clause("Credentials that were not sent, so are empty, have an answer.", "Go's implementations")
    async def empty_credentials(self) -> None:
        authenticator = self._build()
        user = "" if self.accepted_pair is None else self.accepted_pair[0]
        for pair in (("", ""), (user, "")):
            await self._authenticate(authenticator, pair)

    def _right(self) -> str:
        return need(self.accepted_pair, "accepted_pair")[1]

    async def _told(self, password: str, /) -> AsyncIterator[object]:
        authenticator = self._build()
        pair = (need(self.accepted_pair, "accepted_pair")[0], password)
        yield repr(authenticator)
        await self._authenticate(authenticator, pair)
        if self.break_backend is not None:
            await given(self.break_backend(authenticator), "`break_backend`")
            try:
                await self._authenticate(authenticator, pair)
            except Exception as error:
                yield error
        yield repr(authenticator)


def _nobody(pair: _Pair) -> _Login:
    """Return a user who does not exist, with the password of one who does."""
    return _Login((f"no {pair[0]} at all", pair[1]), None)


def _wide(text: str) -> str:
    """Return a text in characters that look like it."""
    return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)


def _near(known: Sequence[_Pair], client_id: str) -> Iterator[tuple[str, _Pair]]:
    """Derive from accepted pairs those that may be mistaken for them, with what each is."""
    for user, password in known:
        # Pairs in which the user or the password is another.
        passwords = {
            "a part of the password": (password[:-1], password[:1], password[1:]),
            "more than the password": [f"{password}{more}" for more in ("x", " ", "\0", "\n")],
            "a password within another": (f" {password}", f"x{password}", password * 2),
            "no password": ("",),
            "another character": (f"{password[:-1]}~", f"~{password[1:]}", password[::-1]),
            "another letter case": (password.swapcase(), password.upper(), password.lower()),
            "the password in another code": (
                "".join(f"%{byte:02x}" for byte in password.encode("utf-8", "surrogatepass")),
                password.replace(" ", "+"),
            ),
            "a pattern": ("*", ".*", "%", password[:1] + "*"),
            "the name as password": (user,),
            "another's password": [other for _, other in known],
        }
        users = (
            *("", "*", ".*", password, client_id, user[:-1], user.swapcase(), user * 2),
            *(f"{user}x", f"{user} ", f"{user}\0", f"{user}\n", f"x{user}", f" {user}"),
            *(f"{user}@x", f"x\\{user}"),
        )
        tries = {what: [(user, one) for one in tried] for what, tried in passwords.items()}
        tries["another user"] = [(one, password) for one in users]
        tries["an unknown user"] = [("", ""), (f"no {user}", ""), (f"no {user}", f"no {user}")]
        # What is joined to be compared.
        tries["a pair cut elsewhere"] = [
            (f"{user}{password[:1]}", password[1:]),
            (f"{user}:{password}", ""),
            ("", f"{user}:{password}"),
        ]
        for what, pairs in tries.items():
            yield from ((what, pair) for pair in pairs if pair not in known)


def _kind(answer: object, some_id: str = "an id") -> str:
    """Name an answer without telling an id."""
    return some_id if answer and isinstance(answer, str) else repr(answer)
