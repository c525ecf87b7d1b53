"""How many connections a host may have open."""

from collections.abc import Mapping
from threading import Lock
from weakref import WeakValueDictionary

from gost_core.common import net
from gost_core.limiter import conn

from ..net.address import host_of
from ..net.wrapper import Wrapper


class Places(conn.Limiter):
    """So many places, for connections that are open at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._lock = Lock()  # any thread may use it (D21)

    def allow(self, n: int, /) -> bool:
        with self._lock:
            if n > 0 and 0 < self._limit < self._taken + n:
                return False
            self._taken = max(self._taken + n, 0)
            return True

    def limit(self) -> int:
        return self._limit


class HostConnLimiter(conn.ConnLimiter):
    """Gives each host places of its own: those that are set for it, or as many as all others."""

    def __init__(self, limits: Mapping[str, int], others: int = 0) -> None:
        self._places = {host: Places(limit) for host, limit in limits.items()}
        self._others = others
        # Whoever took a place keeps its limiter to give it back, so none in use is forgotten.
        self._of_others = WeakValueDictionary[str, Places]()
        self._lock = Lock()

    def limiter(self, key: str, /) -> conn.Limiter | None:
        with self._lock:
            if key in self._places or self._others <= 0:
                return self._places.get(key)
            return self._of_others.setdefault(key, Places(self._others))


class CountedConn(Wrapper):
    """Has a place of a limiter, and gives it back when it is closed, once (D51)."""

    def __init__(self, inner: net.Conn, places: conn.Limiter) -> None:
        super().__init__(inner)
        self._places: conn.Limiter | None = places

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            places, self._places = self._places, None
            if places is not None:
                places.allow(-1)


def take_place(inner: net.Conn, limits: conn.ConnLimiter | None) -> net.Conn:
    """Take a place for a connection; a PermissionError says that there is none."""
    places = None if limits is None else limits.limiter(host_of(str(inner.remote_addr())))
    if places is None:
        return inner
    if not places.allow(1):
        raise PermissionError(f"all {places.limit()} places for this client are taken")
    return CountedConn(inner, places)
