"""Which service a host name means."""

from collections.abc import Iterator

from gost_core import ingress
from gost_core.context import Context
from gost_core.options import apply

from .net.address import host_of


class MemoryIngress(ingress.Ingress):
    """Rules in a dict, found by the names that could cover a host, the nearest first (D62)."""

    def __init__(self, *rules: ingress.Rule) -> None:
        self._rules: dict[str, ingress.Rule] = {}
        for rule in rules:
            self._set(rule)

    async def set_rule(self, ctx: Context, rule: ingress.Rule, /, *opts: ingress.Option) -> bool:
        apply(ingress.Options(), *opts)
        self._set(rule)
        return True

    async def get_rule(
        self, ctx: Context, host: str, /, *opts: ingress.Option
    ) -> ingress.Rule | None:
        apply(ingress.Options(), *opts)
        return next((self._rules[name] for name in _names(host) if name in self._rules), None)

    def _set(self, rule: ingress.Rule) -> None:
        # "*.d" and ".d" mean the same, and so are the same key; "." is the rest.
        name = host_of(rule.hostname).strip("[]").removeprefix("*") or "."
        if rule.endpoint:
            self._rules[name] = rule
        else:
            self._rules.pop(name, None)


def _names(host: str) -> Iterator[str]:
    """Yield under which names a rule for a host may stand, the strongest first."""
    name = host_of(host).strip("[]")
    yield name
    while name:
        yield f".{name}"
        _, _, name = name.partition(".")
    yield "."
