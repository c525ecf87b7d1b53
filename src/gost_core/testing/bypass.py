"""The contract of bypasses."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Final

from typing_extensions import TypeVar

from gost_core.bypass import Bypass, Option, Options, with_host_option
from gost_core.testing._families.lookups import Question, versions
from gost_core.testing._families.options import AnyOption
from gost_core.testing._families.verdicts import UNREADABLE, Verdicts
from gost_core.testing._run.attempt import current
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import need, within

__all__ = ("BypassContract",)

BypassT = TypeVar("BypassT", bound=Bypass, default=Bypass)

_QUESTIONS: Final[tuple[Question, ...]] = (
    ("tcp", "example.net:80"),
    ("tcp", "example.net"),
    ("udp", "192.0.2.1:53"),
    ("tcp", "[2001:db8::1]:443"),
    ("ip", "192.0.2.1"),
    ("ip", "2001:db8::1"),
    ("unix", "/run/proxy.sock"),
    ("unix", "@"),
    ("unix", "/run/proxy:name"),
    ("", "example.net:80"),
    # What cannot be read.
    ("tcp", "[2001:db8::1:443"),
    ("tcp", "example.net:http"),
    ("tcp", "example.net:99999"),
    ("tcp", ":::"),
)


class BypassContract(
    Verdicts[BypassT],
    interface=Bypass,
    first=("answer",),
    said={
        "backend_broken": (
            "When the rules are out of reach, contains() raises OSError and makes no answer up.",
            "D36",
        )
    },
):
    """What a bypass promises.

    Run it twice, on a blacklist and on a whitelist, if there are both.
    """

    make: Callable[[], BypassT] = field(kw_only=False)
    """Makes a bypass with rules."""
    bypassed: str | None = None
    """A destination that its rules bypass over tcp, of any version. A host that is a name, not an
    address, lets more clauses be tried."""
    passed: str | None = None
    """One that they do not bypass over tcp."""
    unmatched: bool | None = None
    """What becomes of a destination that no rule names: True for a whitelist, which bypasses it,
    False for a blacklist."""

    _of_named = True
    _holds_last = False
    _options = Options

    def _ask(self, component: BypassT, question: Question, /, *opts: Option) -> Awaitable[bool]:
        return component.contains(current().ctx, *question, *opts)

    def _named(self, question: Question) -> str:
        return f"contains{question}"

    async def _call_with(self, *opts: AnyOption) -> None:
        # To refuse by rule is an answer too.
        with contextlib.suppress(PermissionError):
            await super()._call_with(*opts)

    def _beside(self, component: BypassT) -> Sequence[Callable[[], Awaitable[object]]]:
        asked = [
            partial(self._ask, component, ("tcp", addr), with_host_option(addr))
            for addr in self._samples()
        ]
        return [*super()._beside(component), *asked]

    def _samples(self) -> Mapping[str, bool]:
        pairs = ((self.bypassed, True), (self.passed, False))
        return {addr: verdict for addr, verdict in pairs if addr is not None}

    @clause(
        "contains() is the final answer, in which a whitelist is inverted already: True for what "
        "is bypassed, False for what is not.",
        "D47",
    )
    async def answer(self) -> None:
        await self._expect_verdicts(need(self._samples() or None, "bypassed` or `passed"))

    @clause(
        "The name that an address was asked for by does not hide the address from the rules.",
        "D47",
        after=("answer", "one_address"),
    )
    async def address_judged(self) -> None:
        for rule in ("192.0.2.1", "2001:db8::1"):
            bypass, addr = self._of(rule), f"[{rule}]:80" if ":" in rule else f"{rule}:80"
            for host in ("host.example", "host.example:80"):
                asked = self._ask(bypass, ("tcp", addr), with_host_option(host))
                # To refuse by rule is an answer too.
                with contextlib.suppress(PermissionError):
                    answer = await within(asked, "contains() of an address, with its name")
                    when = f", by the rule {rule!r}, with the host {host!r}"
                    self._expect_verdict(("tcp", addr), answer, True, when)

    @clause("The empty address is never bypassed.", "D47")
    async def empty_address(self) -> None:
        bypass = self._build()
        for network in ("tcp", "udp", ""):
            self._expect_verdict((network, ""), await self._answer(bypass, (network, "")), False)

    @clause(
        "Every kind of address has an answer: a name or an IP, with or without port, a path, what "
        "cannot be read, whatever the network.",
        "D11, D12, D47",
    )
    async def any_address(self) -> None:
        bypass = self._build()
        for question in _QUESTIONS:
            # To refuse by rule is an answer too.
            with contextlib.suppress(PermissionError):
                await self._answer(bypass, question)

    @clause(
        "A destination that cannot be read matches no rule: a whitelist bypasses it, a blacklist "
        "does not.",
        "D47",
        after=("any_address", "answer"),
    )
    async def unreadable_address(self) -> None:
        unmatched = need(self.unmatched, "unmatched")
        for addr in UNREADABLE:
            # To refuse by rule is an answer too.
            with contextlib.suppress(PermissionError):
                await self._expect_verdicts({addr: unmatched})

    @clause("What is bypassed over tcp is bypassed over tcp4 and tcp6.", "D11", after=("answer",))
    async def network_versions(self) -> None:
        bypassed = need(self.bypassed, "bypassed")
        for network in versions("tcp", bypassed):
            await self._expect_verdicts({bypassed: True}, network)
