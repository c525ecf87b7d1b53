"""Which service a host name means."""

from collections.abc import Iterator

from gost_core import ingress
from gost_core.context import Context
from gost_core.options import apply

from .net.address import host_of
from .net.hosts import normal_host, rule_name


class MemoryIngress(ingress.Ingress):
    """Rules in a dict, found by the names that could cover a host, the nearest first (D62)."""

    def __init__(self, *rules: ingress.Rule) -> None:
        self._rules: dict[str, ingress.Rule] = {}
        for rule in rules:
            if not self._set(rule):
                raise ValueError(f"{rule.hostname!r} is to lead to two services")

    async def set_rule(self, ctx: Context, rule: ingress.Rule, /, *opts: ingress.Option) -> bool:
        apply(ingress.Options(), *opts)
        return self._set(rule)

    async def get_rule(
        self, ctx: Context, host: str, /, *opts: ingress.Option
    ) -> ingress.Rule | None:
        apply(ingress.Options(), *opts)
        return next((self._rules[name] for name in _names(host) if name in self._rules), None)

    def _set(self, rule: ingress.Rule) -> bool:
        # "*.d" and ".d" mean the same, and so are the same key; "." is the rest.
        above, name = _split(rule.hostname[rule.hostname.startswith("*.") :])
        name = above + (rule_name(name) if name else "")
        if not rule.endpoint:
            self._rules.pop(name, None)
            return True
        # No endpoint takes the host of another (D62).
        kept = self._rules.get(name, rule)
        if kept.endpoint == rule.endpoint:
            self._rules[name] = rule
        return kept.endpoint == rule.endpoint


def _split(hostname: str) -> tuple[str, str]:
    """Return "." for a rule that covers what is below its name, and the name."""
    name = host_of(hostname).strip("[]")
    return ("." if hostname.startswith(".") else ""), name.removeprefix(".")


def _names(host: str) -> Iterator[str]:
    """Yield under which names a rule for a host may stand, the strongest first."""
    try:
        name = normal_host(host_of(host).strip("[]"))
    except ValueError:
        # What is no host is covered by no rule.
        return
    yield name
    while name:
        yield f".{name}"
        _, _, name = name.partition(".")
    yield "."
