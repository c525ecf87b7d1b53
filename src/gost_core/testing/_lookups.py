"""What the contracts of components that answer questions have in common."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from gost_core.testing._contract import Contract, NotTried, expect

__all__ = (
    "OptionWatch",
    "answers_when_cancelled",
    "is_empty",
    "out_of_reach",
    "respelled",
    "upper_case",
    "versions",
    "with_trailing_dot",
)

AnswerT = TypeVar("AnswerT")
ComponentT = TypeVar("ComponentT")
OptionsT = TypeVar("OptionsT")

_STAGES: Final[int] = 4


async def answers_when_cancelled(
    contract: Contract, call: Callable[[], Awaitable[AnswerT]], /
) -> list[AnswerT]:
    """Cancel calls in several stages, and return what those have answered that did so.

    A call may be over before it is cancelled, or answer in the very moment; then it is right.
    """
    answers: list[AnswerT] = []
    for stage in range(1, _STAGES + 1):
        future = contract.start(call())
        for _ in range(stage):
            await asyncio.sleep(0)
        future.cancel()
        await contract.within(asyncio.wait({future}), "a call that was cancelled")
        if not future.cancelled():
            answers.append(future.result())
    return answers


async def out_of_reach(
    contract: Contract,
    component: ComponentT,
    break_backend: Callable[[ComponentT], Awaitable[object]] | None,
    /,
) -> None:
    """Put what ``component`` asks out of its reach, by the hook for that."""
    if break_backend is None:
        raise NotTried("no `break_backend` was given")
    await contract.given(break_backend(component), "break_backend()")


def is_empty(found: object, /) -> bool:
    """Tell whether a result is an empty sequence, and not None, which is as false."""
    return isinstance(found, Sequence) and not found


class OptionWatch(Generic[OptionsT]):
    """Two options, plain functions, that note when and to what they are applied."""

    def __init__(self, options: type[OptionsT]) -> None:
        self._options = options
        self._applied: list[tuple[str, object]] = []

    def opts(self) -> tuple[Callable[[OptionsT], object], Callable[[OptionsT], object]]:
        """Return the options."""
        return (
            lambda target: self._applied.append(("first", target)),
            lambda target: self._applied.append(("second", target)),
        )

    def judge(self) -> None:
        """Break the clause if they were applied wrongly; who needs no options may ignore them."""
        for _, target in self._applied:
            expect(
                isinstance(target, self._options),
                f"an option was applied to a {type(target).__qualname__}",
            )
            # What forwards its options has them applied to more than one object.
            order = [name for name, other in self._applied if other is target]
            expect(
                order == ["first", "second"],
                f"the options first and second were applied as: {', '.join(order)}",
            )


def respelled(
    samples: dict[str, bool], respell: Callable[[str], str | None], why_not: str, /
) -> dict[str, bool]:
    """Return the samples in another spelling, as far as they have one."""
    others = {
        other: expected
        for addr, expected in samples.items()
        if (other := respell(addr)) is not None
    }
    if not others:
        raise NotTried(why_not)
    return others


def versions(network: str, addr: str, /) -> tuple[str, ...]:
    """Return the versions of a network by which an address can be reached."""
    host, _ = _split_port(addr)
    try:
        return (f"{network}{ipaddress.ip_address(host.strip('[]')).version}",)
    except ValueError:
        return (f"{network}4", f"{network}6")


def _split_port(addr: str, /) -> tuple[str, str]:
    """Return the host of an address, and the port with its colon, or "" without one."""
    host, colon, port = addr.rpartition(":")
    bare = ":" in host and not (host.startswith("[") and host.endswith("]"))
    return (host, colon + port) if colon and port.isdecimal() and not bare else (addr, "")


def upper_case(addr: str, /) -> str | None:
    """Return the address with its host in capitals; None if that has no small letters."""
    host, port = _split_port(addr)
    return None if host.upper() == host else host.upper() + port


def with_trailing_dot(addr: str, /) -> str | None:
    """Return the address with its host in the rooted form; None if that is not a name."""
    host, port = _split_port(addr)
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None if host.endswith(".") or not host else f"{host}.{port}"
    return None
