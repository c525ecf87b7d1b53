"""Rules on requests."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from gost_core.routing import Matcher, Request

from .net.address import host_of
from .wire.header import canonical


class RequestMatcher(Matcher):
    """Matches requests for which all is so that was asked for; "" asks for nothing.

    ``*`` may stand in a host and in the value of a header. A path matches itself and everything
    below it: ``/api`` does not match ``/apiary``.
    """

    def __init__(
        self,
        *,
        host: str = "",
        path: str = "",
        method: str = "",
        header: Mapping[str, str] | None = None,
    ) -> None:
        self._host = host_of(host)
        self._path = path
        self._method = method.upper()
        self._header = {canonical(name): value for name, value in (header or {}).items()}

    async def match(self, request: Request, /) -> bool:
        # What is not known of a request is "", which not even "*" matches (D48).
        host = host_of(request.host)
        return (
            (not self._host or (host != "" and fnmatchcase(host, self._host)))
            and (not self._path or _is_below(request.path, self._path))
            and self._method in ("", request.method)
            and all(
                any(fnmatchcase(found, value) for found in request.header.get(name, ()))
                for name, value in self._header.items()
            )
        )


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")
