"""The contract of service directories."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field
from typing import Final

from typing_extensions import TypeVar

from gost_core.context import Context
from gost_core.sd import SD, Options, Service
from gost_core.testing._families.calls import Methods
from gost_core.testing._families.lookups import Changes, Lends, Lookup, expect_sequence, is_empty
from gost_core.testing._families.options import AnyOption
from gost_core.testing._run.attempt import Broken, current
from gost_core.testing._run.contract import clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    ended,
    expect,
    given,
    need,
    owned,
    raises,
    start,
    turns,
    within,
)

__all__ = ("SDContract",)

SDT = TypeVar("SDT", bound=SD, default=SD)

_CALLS: Final[int] = 20
_SERVICE: Final[Service] = Service(
    id="1", name="web", node="here", network="tcp", address="192.0.2.1:80"
)
_KEY: Final[Service] = Service(id="1", name="web", node="here")
_SECOND: Final[Service] = dataclasses.replace(_SERVICE, id="2")
_MAIL: Final[Service] = dataclasses.replace(_SERVICE, name="mail", address="192.0.2.1:25")


class SDContract(
    Changes[SDT, str, Sequence[Service]],
    Lookup[SDT, str, Sequence[Service]],
    Lends[SDT, str, Sequence[Service]],
    interface=SD,
    first=("deregister_unknown", "registered", "renew_by_key"),
    said={
        "backend_broken": (
            "When the directory is out of reach, get() raises OSError, once all leases are over; "
            "it does not say that there is no service.",
            "D14",
        ),
        "options": (
            "Any callable may be an option of register(); each is applied once, in order, and not "
            "again when the service is renewed.",
            "D23",
        ),
    },
):
    """What a service directory promises."""

    make: Callable[[], SDT] = field(kw_only=False)
    """Makes an SD of an empty directory."""
    join: Callable[[SDT], SD] | None = None
    """Makes another SD of the same directory, as another proxy has it."""
    lease: float | None = None
    """The length of its leases, in seconds; the clauses about leases take four to five of them. By
    a clock that cannot be moved, make it half a second or more: the other clauses count on a
    service that has just been registered."""
    elapse: Callable[[float], Awaitable[object]] = asyncio.sleep
    """Lets so many seconds pass by the directory's clock, at once if that can be moved. It is given
    all the time that it takes, whatever the time limit."""

    spoil: Callable[[SDT], Awaitable[object]] | None = None
    """Puts an entry that cannot be read into the directory, under the name "web"."""
    extend: Callable[[SDT], Awaitable[object]] | None = None
    """Adds a field that nobody knows to each entry of the directory."""

    _options = Options

    async def _ready(self) -> SDT:
        sd = self._build()
        await self._register(sd, _SERVICE, _MAIL)
        return sd

    async def _questions(self) -> Sequence[str]:
        return "web", "mail"

    def _more_questions(self, count: int = 1, /) -> Sequence[str]:
        return [f"files{number * 'x'}" for number in range(count)]

    async def _forget(self) -> bool:
        if self.lease is not None:
            await self.elapse(1.5 * self.lease)
        return self.lease is not None

    def _changes(self, component: SDT) -> Methods:
        return {
            "register()": lambda: component.register(Context(), _SERVICE),
            "renew()": lambda: component.renew(Context(), _KEY),
            "deregister()": lambda: component.deregister(Context(), _SECOND),
        }

    def _elsewhere(self, component: SDT) -> Methods:
        return {
            "register()": lambda: component.register(Context(), _MAIL),
            "renew()": lambda: component.renew(Context(), _MAIL),
        }

    def _ask(self, component: SD, question: str) -> Awaitable[Sequence[Service]]:
        return component.get(Context(), question)

    def _named(self, question: str) -> str:
        return f"get({question!r})"

    def _expect_right(self, question: str, answer: Sequence[Service], when: str = "") -> None:
        right = (_SERVICE if question == "web" else _MAIL) in answer
        expect(right, f"{self._named(question)} returned {answer!r}{when}")

    async def _tell(self, component: SDT, question: str, /, *opts: AnyOption) -> None:
        service = _SERVICE if question == "web" else _MAIL
        await component.register(current().ctx, service, *opts)

    async def _restore(self, component: SDT, age: float) -> None:
        # On a clock that cannot be moved, slow calls may let a lease run out.
        if self.lease is not None and age >= self.lease:
            await self._register(component, _SERVICE, _MAIL)

    async def _call_with(self, *opts: AnyOption) -> Callable[[], Awaitable[None]]:
        sd = self._build()
        for service in (_SERVICE, _MAIL, _SECOND):
            await sd.register(Context(), service, *opts)

        async def use() -> None:
            for change in (sd.renew, sd.register, sd.deregister):
                await change(Context(), _SERVICE)
                await self._get(sd)

        return use

    async def _register(self, sd: SD, *services: Service) -> None:
        for service in services:
            await within(sd.register(Context(), service), "register()")

    async def _get(self, sd: SD) -> Sequence[Service]:
        return await within(self._ask(sd, "web"), "get('web')")

    async def _expect_services(
        self, sd: SD, *expected: Service, when: str, soon: bool = False
    ) -> None:
        """Break the clause unless just these are listed as web, at once or soon."""
        loop = asyncio.get_running_loop()
        limit = loop.time() + self.time_limit
        while True:
            # None, and None inside, are the affair of clauses of their own.
            found = _without_none(await self._get(sd))
            right = sorted(map(repr, found)) == sorted(map(repr, expected))
            if right or not soon or loop.time() > limit:
                break
            await asyncio.sleep(0.01)
        expect(right, f"{when}, get('web') returned {found!r}")

    @clause("What is registered is listed under its name, whole.", "D61")
    async def registered(self) -> None:
        for address in (_SERVICE.address, "[2001:db8::1]:80", "www.example:80", "/run/web"):
            sd, service = self._build(), dataclasses.replace(_SERVICE, address=address)
            await self._register(sd, service, _MAIL)
            expect_sequence(await self._get(sd), "get('web')")
            await self._expect_services(sd, service, when="after register() of web and of mail")

    @clause("A name without services gives an empty sequence.", "D61", after=("registered",))
    async def missing_empty(self) -> None:
        found = await self._get(self._build())
        expect(is_empty(found), f"get('web') of an empty directory returned {found!r}")

    @clause(
        "id, name and node together are the key: services that differ in one of them are all "
        "listed.",
        "D61",
        after=("registered",),
    )
    async def key(self) -> None:
        sd, there = self._build(), dataclasses.replace(_SERVICE, node="there")
        # Joined, the keys of the first and the last two are one.
        services = [_SERVICE, _SECOND, there, dataclasses.replace(_SERVICE, id="1web")]
        others = [
            dataclasses.replace(_SERVICE, id="1w", name="eb"),
            dataclasses.replace(_SERVICE, id="1", name="webhere", node=""),
        ]
        for between in "/:-.,|":
            pairs = ((f"1{between}web", "x"), ("1", f"web{between}x"))
            services += [dataclasses.replace(_SERVICE, id=one, node=node) for one, node in pairs]
        await self._register(sd, *services, *others)
        await self._expect_services(sd, *services, when="after register() of several keys")

    @clause("Registering a key again replaces what was there.", "D61", after=("registered",))
    async def register_replaces(self) -> None:
        sd = self._build()
        moved = dataclasses.replace(_SERVICE, network="udp", address="192.0.2.2:53")
        await self._register(sd, _SERVICE, moved)
        await self._expect_services(sd, moved, when="after register() with another address")

    @clause(
        "Renewing needs the key only, and leaves network and address as they are.",
        "D61",
        after=("registered",),
    )
    async def renew_by_key(self) -> None:
        sd = await self._ready()
        for network, address in (("", ""), ("udp", "192.0.2.9:53")):
            renewed = dataclasses.replace(_KEY, network=network, address=address)
            await within(sd.renew(Context(), renewed), "renew() by the key")
            await self._expect_services(sd, _SERVICE, when=f"after renew() with {address!r}")

    @clause(
        "Renewing a key that is not there raises LookupError and registers nothing.",
        "D61",
        after=("key",),
    )
    async def renew_unknown(self) -> None:
        sd, there = self._build(), dataclasses.replace(_SERVICE, node="there")
        for others in ((), (_SECOND, there)):
            await self._register(sd, *others, _MAIL)
            await raises(sd.renew(Context(), _SERVICE), "renew() of an unknown key", LookupError)
            await self._expect_services(sd, *others, when="after renew() of an unknown key")

    @clause(
        "Deregistering needs the key only, and removes the service.",
        "D61",
        after=("renew_unknown",),
    )
    async def deregister_removes(self) -> None:
        sd, there = self._build(), dataclasses.replace(_SERVICE, node="there")
        await self._register(sd, _SERVICE, _SECOND, there)
        left = [_SECOND, there, _SERVICE]
        for key in (_KEY, dataclasses.replace(_KEY, node="there")):
            await within(sd.deregister(Context(), key), "deregister() by the key")
            left = [one for one in left if (one.id, one.node) != (key.id, key.node)]
            await self._expect_services(sd, *left, when="after deregister() of one of several")
        await raises(sd.renew(Context(), _SERVICE), "renew() after deregister()", LookupError)

    @clause("Deregistering a key that is not there does nothing.", "D61", after=("key",))
    async def deregister_unknown(self) -> None:
        sd = await self._ready()
        unknown = dataclasses.replace(_KEY, id="2")
        await within(sd.deregister(Context(), unknown), "deregister() of an unknown key")
        await self._expect_services(sd, _SERVICE, when="after deregister() of another key")

    @clause("A result never has None inside.", "D61", after=("key",))
    async def no_none(self) -> None:
        sd = self._build()
        await self._register(sd, _SERVICE, _SECOND)
        await within(sd.deregister(Context(), _KEY), "deregister()")
        found: Sequence[object] = await self._get(sd)
        expect(None not in found, f"get('web') returned {found!r}")

    @clause(
        "A service that is not renewed in time is not listed any more.",
        "D61",
        after=("key", "renew_by_key"),
    )
    async def expires(self) -> None:
        lease, sd = need(self.lease, "lease"), await self._ready()
        await self._register(sd, _SECOND)
        await self._expect_services(sd, _SERVICE, _SECOND, when="directly after register()")
        # What is left of a lease is not added to the next.
        for _ in range(3):
            await within(sd.renew(Context(), _KEY), "renew()")
        # Nor does a lease begin anew for whoever asks.
        for part in (0.6, 0.9):
            await self.elapse(part * lease)
            await self._get(sd)
        await self._expect_services(sd, when=f"{1.5 * lease:g} s after register() and renew()")

    @clause(
        "Renewing, and registering again, begin the lease anew.",
        "D61",
        after=("changes_apart", "expires", "registered", "renew_by_key"),
    )
    async def renew_extends(self) -> None:
        for name in ("renew", "register"):
            await self._expect_extended(name)

    async def _expect_extended(self, name: str) -> None:
        """Break the clause unless a call begins the lease anew."""
        lease, sd = need(self.lease, "lease"), await self._ready()
        loop = asyncio.get_running_loop()
        in_time, renewed = True, loop.time()
        try:
            when = f"{0.6 * lease:g} s after {name}(), of a lease of {lease:g} s"
            # Another of that node is not renewed.
            await self._register(sd, _SECOND)
            for others in ([_SECOND], [], []):
                await self.elapse(0.6 * lease)
                in_time = in_time and loop.time() - renewed < lease
                await self._expect_services(sd, _SERVICE, *others, when=when)
                renewed = loop.time()
                # At once with another, with which it must not be mistaken.
                calls = (getattr(sd, name)(Context(), one) for one in (_SERVICE, _MAIL))
                await within(asyncio.gather(*calls), f"{name}(), twice at once,")
        except (Broken, LookupError) as error:
            # On a clock that cannot be moved, a busy machine may let a lease run out.
            if not in_time or loop.time() - renewed >= lease:
                need(None, f"elapse` for so slow a machine, or a longer `lease` than {lease:g}")
            if isinstance(error, Broken):
                raise
            raise Broken(f"renew() in time raised {describe(error)}") from error

    @clause(
        "A change that was cancelled can be made again, and counts then.",
        "D20",
        after=("deregister_removes", "next_after_cancelled"),
    )
    async def cancelled_again(self) -> None:
        for stage in range(1, 5):
            sd = self._build()
            for change, left in ((sd.register, [_SERVICE]), (sd.deregister, [])):
                changing = start(change(Context(), _SERVICE))
                await turns(stage)
                changing.cancel()
                await ended(changing)
                what = f"{change.__name__}() after one that was cancelled"
                await within(change(Context(), _SERVICE), what)
                await self._expect_services(sd, *left, when=f"after {what}")

    @clause(
        "Renewing after the lease has run out raises LookupError, so that the owner registers "
        "again.",
        "D61",
        after=("expires", "renew_by_key", "renew_unknown"),
    )
    async def renew_expired(self) -> None:
        lease, sd = need(self.lease, "lease"), await self._ready()
        await self.elapse(1.5 * lease)
        await raises(sd.renew(Context(), _KEY), "renew() after the lease", LookupError)

    @clause(
        "The directory is shared: what one proxy changes another finds, and removes, also if it "
        "has asked before.",
        "D61",
        after=("deregister_removes", "register_replaces", "renew_by_key"),
    )
    async def shared(self) -> None:
        join, here = need(self.join, "join"), self._build()
        there, one = owned(join(here)), _SERVICE
        await self._expect_services(there, when="in an empty directory")
        await raises(there.renew(Context(), _KEY), "renew() in an empty directory", LookupError)
        pairs: Sequence[tuple[SD, SD]] = ((here, there), (here, there), (there, here))
        for number, (sd, other) in enumerate(pairs, 1):
            one = dataclasses.replace(_SERVICE, address=f"192.0.2.{number}:80")
            await self._register(sd, one)
            when = f"after register() of {one.address} at another proxy"
            await self._expect_services(other, one, when=when, soon=True)
            await within(other.renew(Context(), _KEY), "renew()")
            await self._expect_services(other, one, when="after renew() of what another registered")
        await within(there.deregister(Context(), _KEY), "deregister()")
        when = "after deregister() at another proxy"
        await self._expect_services(here, when=when, soon=True)

    @clause(
        "An entry that cannot be read is left out; others of its name are listed, renewed, "
        "registered and deregistered.",
        "D61",
        after=("deregister_removes", "key", "renew_by_key"),
    )
    async def unreadable_skipped(self) -> None:
        spoil, sd = need(self.spoil, "spoil"), await self._ready()
        await given(spoil(sd), "spoil()")
        when = "beside an entry that cannot be read"
        await within(sd.renew(Context(), _KEY), f"renew() {when}")
        await self._register(sd, _SECOND)
        await self._expect_services(sd, _SERVICE, _SECOND, when=when, soon=True)
        await within(sd.deregister(Context(), _KEY), f"deregister() {when}")
        await self._expect_services(sd, _SECOND, when=f"after deregister() {when}", soon=True)

    @clause(
        "A field that is not known, in an entry of another program, is ignored.",
        "D61",
        after=("key", "renew_by_key"),
    )
    async def unknown_field_ignored(self) -> None:
        extend, sd = need(self.extend, "extend"), await self._ready()
        await given(extend(sd), "extend()")
        when = "with a field that nobody knows"
        await within(sd.renew(Context(), _KEY), f"renew() {when}")
        await self._register(sd, _SECOND)
        await self._expect_services(sd, _SERVICE, _SECOND, when=when, soon=True)

    @clause(
        "Changes of several tasks at once lose nothing, and do not mix.",
        "D22",
        after=("concurrent", "deregister_removes", "key", "renew_by_key"),
    )
    async def changes_apart(self) -> None:
        sd = await self._ready()
        # Each must go, though the key that was given last is none.
        gone = [_KEY, _SECOND, dataclasses.replace(_KEY, id="unknown")]
        await self._register(sd, _SECOND)
        services = [
            dataclasses.replace(_SERVICE, id=str(n), node=f"node {n}", address=f"192.0.2.{n}:80")
            for n in range(_CALLS)
        ]
        calls = asyncio.gather(
            *(sd.register(Context(), service) for service in services),
            sd.renew(Context(), dataclasses.replace(_MAIL, address="")),
            *(sd.deregister(Context(), key) for key in gone),
            sd.register(Context(), dataclasses.replace(_MAIL, id="2")),
        )
        await within(calls, f"{_CALLS} calls of register() beside others")
        when = f"after register() of {_CALLS} services, and deregister() of others, at once"
        await self._expect_services(sd, *services, when=when)
        self._expect_right("mail", await self._answer(sd, "mail"), " after renew() beside others")


def _without_none(found: Sequence[object] | None) -> list[object]:
    return [one for one in found or () if one is not None]
