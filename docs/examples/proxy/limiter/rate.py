"""How many requests a host may make in a second."""

from collections.abc import Mapping
from threading import Lock

from gost_core.common import net
from gost_core.limiter import rate

from ..net.address import host_of
from .bucket import Bucket, Budgets


class Requests(rate.Limiter):
    """So many requests a second; a pause saves up a burst, by default that of one second."""

    def __init__(self, limit: float, burst: int = 0) -> None:
        self._limit = limit
        self._bucket = Bucket(limit, burst or int(limit) + 1)
        self._lock = Lock()

    def allow(self, n: int, /) -> bool:
        with self._lock:
            return self._limit <= 0 or self._bucket.take(n)

    def limit(self) -> float:
        return self._limit

    def is_full(self) -> bool:
        """Tell whether it is as good as a new one."""
        with self._lock:
            return self._bucket.is_full()


class HostRateLimiter(rate.RateLimiter):
    """Gives each host a budget of its own: the one set for it, or the one that all others have."""

    def __init__(self, limits: Mapping[str, float], others: float = 0) -> None:
        self._limits = dict(limits)
        self._others = others
        self._requests = Budgets[str, Requests]()
        self._lock = Lock()

    def limiter(self, key: str, /) -> rate.Limiter | None:
        limit = self._limits.get(key, self._others)
        if limit <= 0:
            return None
        with self._lock:
            return self._requests.of(key, lambda: Requests(limit))


def take_request(inner: net.Conn, limits: rate.RateLimiter | None) -> None:
    """Count a request of a client; a DeniedError says that it is one too many."""
    requests = None if limits is None else limits.limiter(host_of(str(inner.remote_addr())))
    if requests is not None and not requests.allow(1):
        raise net.DeniedError(f"no more than {requests.limit():g} requests a second for a client")
