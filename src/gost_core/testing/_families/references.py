"""How a live reference of each interface fails closed when its component is gone (D60)."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TypeAlias

from gost_core.admission import Admission
from gost_core.auth import Authenticator
from gost_core.bypass import Bypass
from gost_core.cache import Cache
from gost_core.chain import Chainer
from gost_core.context import Context
from gost_core.hop import Hop
from gost_core.hosts import HostMapper
from gost_core.ingress import Ingress, Rule
from gost_core.limiter import conn, rate, traffic
from gost_core.logger import Logger
from gost_core.observer import Observer, StatusEvent
from gost_core.recorder import Recorder
from gost_core.resolver import Resolver
from gost_core.rewriter import Rewriter
from gost_core.router import Router
from gost_core.routing import Matcher, Request
from gost_core.sd import SD, Service
from gost_core.testing._run.waiting import expect, raises, within

__all__ = ("CLOSED", "expect_closed", "expect_raised")

_Call: TypeAlias = tuple[str, tuple[object, ...], object]
"""A method, arguments, and what it answers, or OSError for what it raises."""

_CTX: Final[Context] = Context()
_ADDR: Final[tuple[object, ...]] = (_CTX, "tcp", "host.example:80")
_UDP: Final[tuple[object, ...]] = (_CTX, "udp", "192.0.2.1:53")
_HOST: Final[tuple[object, ...]] = (_CTX, "ip", "host.example")
_SERVICE: Final[tuple[object, ...]] = (_CTX, Service(id="1", name="name", node="node"))
_KEY: Final[tuple[object, ...]] = ("192.0.2.1",)

CLOSED: Final[Mapping[type[object], tuple[_Call, ...]]] = {
    Admission: tuple(("admit", (_CTX, "tcp", one), False) for one in ("192.0.2.1:1024", "")),
    Authenticator: tuple(("authenticate", (_CTX, one, one), None) for one in ("user", "")),
    Bypass: (("contains", _ADDR, OSError), ("contains", _UDP, OSError)),
    Cache: (
        ("get", (_CTX, "key"), OSError),
        ("set", (_CTX, "key", b""), OSError),
        ("delete", (_CTX, "key"), OSError),
    ),
    Chainer: (("route", _ADDR, OSError), ("route", _UDP, OSError)),
    conn.ConnLimiter: (("limiter", _KEY, OSError),),
    conn.Limiter: (("allow", (1,), False), ("allow", (2,), False)),
    Hop: (("select", (_CTX,), OSError),),
    HostMapper: (("lookup", _HOST, OSError),),
    Ingress: (
        ("get_rule", (_CTX, "host.example"), OSError),
        ("set_rule", (_CTX, Rule(hostname="host.example", endpoint="end")), OSError),
    ),
    Logger: (("info", ("a line",), None), ("errorf", ("%s", "a line"), None)),
    Matcher: (("match", (Request(),), OSError),),
    Observer: (("observe", (_CTX, [StatusEvent(state="ready")]), OSError),),
    rate.Limiter: (("allow", (1,), False), ("allow", (2,), False)),
    rate.RateLimiter: (("limiter", _KEY, OSError),),
    Recorder: (("record", (_CTX, b"record"), OSError),),
    Resolver: (("resolve", _HOST, OSError),),
    Rewriter: (("rewrite", (_CTX, b"body"), OSError),),
    Router: (("get_route", (_CTX, "192.0.2.1"), OSError),),
    SD: (
        ("get", (_CTX, "name"), OSError),
        *((method, _SERVICE, OSError) for method in ("deregister", "register", "renew")),
    ),
    traffic.Limiter: (("wait", (_CTX, 1), 0), ("wait", (_CTX, 65536), 0)),
    traffic.TrafficLimiter: (("in_", (_CTX, *_KEY), OSError), ("out", (_CTX, *_KEY), OSError)),
}
# Of any of these, if it has them.
_BESIDES: Final[tuple[_Call, ...]] = (("marker", (), None), ("metadata", (), None))


async def expect_closed(reference: object, interface: type[object], /) -> None:
    """Break the clause unless a reference whose component is gone fails closed."""
    besides = [one for one in _BESIDES if hasattr(reference, one[0])]
    for name, arguments, expected in (*CLOSED[interface], *besides):
        call, what = getattr(reference, name), f"{name}() of what is gone"
        answering = _answer(call, arguments)
        if expected is OSError:
            await raises(answering, what, OSError)
        else:
            answer = await within(answering, what)
            expect(answer == expected, f"{what} returned {answer!r}")
    if (nodes := getattr(reference, "nodes", None)) is not None:
        expect(not nodes(), "nodes() of what is gone was not empty")


async def expect_raised(reference: object, value: object, interface: type[object], /) -> None:
    """Break the clause if a reference makes answers up where its component raises OSError."""
    for name, arguments, expected in CLOSED[interface]:
        if expected is OSError and hasattr(value, "__dict__"):
            vars(value)[name] = _fail
            answering = _answer(getattr(reference, name), arguments)
            await raises(answering, f"{name}() of what fails", OSError)


def _fail(*_: object, **__: object) -> NoReturn:
    raise ConnectionRefusedError("it is out of reach")


async def _answer(call: Callable[..., Any], arguments: tuple[object, ...]) -> object:
    answer: object = call(*arguments)
    if inspect.isawaitable(answer):
        answer = await answer
    return answer
