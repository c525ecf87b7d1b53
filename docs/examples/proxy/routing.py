"""Rules on requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from gost_core.routing import Matcher, Request

from .net.address import host_of
from .wire.header import canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMatcher(Matcher):
    """Matches requests for which all is so that was asked for; "" asks for nothing.

    ``*`` may stand in a host and in the value of a header. A path matches itself and everything
    below it: ``/api`` does not match ``/apiary``.
    """

    host: str = ""
    path: str = ""
    method: str = ""
    header: Mapping[str, str] = field(default_factory=dict[str, str])

    async def match(self, request: Request, /) -> bool:
        # What is not known of a request is "", which not even "*" matches (D48).
        host = host_of(request.host)
        return (
            (not self.host or (host != "" and fnmatchcase(host, host_of(self.host))))
            and (not self.path or _is_below(request.path, self.path))
            and self.method.upper() in ("", request.method)
            and all(
                any(fnmatchcase(found, value) for found in request.header.get(canonical(name), ()))
                for name, value in self.header.items()
            )
        )


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")
