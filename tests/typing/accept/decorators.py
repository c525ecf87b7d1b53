"""Decorators around methods of an implementer: each keeps the type of what it wraps.

A decorator that awaits takes whatever can be awaited, and promises a CoroutineType, which is what
an ``async def`` gives: a Coroutine or an Awaitable is too wide for some checkers.
"""

import functools
import time
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, ParamSpec, TypeVar, cast

from gost_core.common.net import Conn, Dialer, UnsupportedError
from gost_core.context import Context
from gost_core.logger import default

F = TypeVar("F", bound=Callable[..., object])
P = ParamSpec("P")
R = TypeVar("R")


def registered(function: F) -> F:
    """Returns the function itself."""
    default().debugf("registered %s", function)
    return function


def counted(function: Callable[P, R]) -> Callable[P, R]:
    """Wraps without awaiting: what it returns is what the function returns, a coroutine."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        default().debugf("calling %s", function)
        return function(*args, **kwargs)

    return wrapper


# CoroutineType takes no parameters at run time before Python 3.13, hence the quotes. Any: what a
# coroutine yields and is sent is between it and the event loop.
def timed(function: Callable[P, Awaitable[R]]) -> "Callable[P, CoroutineType[Any, Any, R]]":
    """Wraps and awaits."""

    @functools.wraps(function)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        started = time.monotonic()
        try:
            return await function(*args, **kwargs)
        finally:
            default().debugf("%s took %.3f s", function, time.monotonic() - started)

    # To mypy and pyrefly an async function returns a Coroutine, of which CoroutineType is the kind
    # that it really is.
    return cast("Callable[P, CoroutineType[Any, Any, R]]", wrapper)


class RegisteredDialer:
    @registered
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        raise UnsupportedError(f"network {network!r} is not offered")


class CountedDialer:
    @counted
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        raise UnsupportedError(f"network {network!r} is not offered")


class TimedDialer:
    @timed
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        raise UnsupportedError(f"network {network!r} is not offered")


def prove_registered_dialer(dialer: RegisteredDialer) -> Dialer:
    return dialer


def prove_counted_dialer(dialer: CountedDialer) -> Dialer:
    return dialer


def prove_timed_dialer(dialer: TimedDialer) -> Dialer:
    return dialer
