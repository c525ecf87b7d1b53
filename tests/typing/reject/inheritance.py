"""Implementers by inheritance: wrong overrides, and members that were forgotten."""

from gost_core.common.net import Addr, Conn, Dialer
from gost_core.context import Context
from gost_core.handler import HandleOption, Handler
from gost_core.listener import Listener
from gost_core.metadata import Metadata
from gost_core.registry import Registry
from gost_core.router import Option, Route, Router


class SyncAccept(Listener):
    async def init(self, metadata: Metadata | None, /) -> None:
        return

    def accept(self) -> Conn:  # error: mypy pyright ty pyrefly
        raise NotImplementedError

    async def close(self) -> None:
        return

    def addr(self) -> Addr:
        raise NotImplementedError


class RequiredMetadata(Listener):
    """init() is given None for empty metadata."""

    async def init(self, metadata: Metadata, /) -> None:  # error: mypy pyright ty pyrefly
        return

    async def accept(self) -> Conn:
        raise NotImplementedError

    async def close(self) -> None:
        return

    def addr(self) -> Addr:
        raise NotImplementedError


class AddrProperty(Listener):
    async def init(self, metadata: Metadata | None, /) -> None:
        return

    async def accept(self) -> Conn:
        raise NotImplementedError

    async def close(self) -> None:
        return

    @property
    def addr(self) -> Addr:  # error: mypy pyright ty pyrefly
        raise NotImplementedError


class OptionalHandler(Handler):
    async def init(self, metadata: Metadata | None, /) -> None:
        return

    async def handle(  # error: mypy pyright ty pyrefly
        self, ctx: Context, conn: Conn, /, option: HandleOption | None = None
    ) -> None:
        return


class WiderDialer(Dialer):
    async def dial(  # error: mypy pyright ty pyrefly
        self, ctx: Context, network: str, addr: str, /
    ) -> Conn | None:
        return None


class RenamedMethod(Router):
    async def route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:
        return None


class UntypedValues(Registry[str]):
    def register(self, name: str, value: int, /) -> None:  # error: mypy pyright ty pyrefly
        return


def make_incomplete() -> Router:
    return RenamedMethod()  # error: mypy pyright ty pyrefly


def make_protocol() -> Dialer:
    return Dialer()  # error: mypy pyright ty pyrefly
