"""A fault that many servers have had, and what the contract says about it."""

import asyncio

from gost_core.common.net import Conn
from gost_core.testing.common.net import ConnContract

from .checks import pair
from .connection import StreamConn


class EndsQuietly(StreamConn):
    """Takes its own close for the end of the peer's stream."""

    def _check_open(self) -> None:
        pass


async def quiet_pair() -> tuple[Conn, Conn]:
    """Open a connection that has the fault at one of its ends."""
    first, second = await pair()
    first.__class__ = EndsQuietly  # for once, this is the shortest way to another class
    return first, second


if __name__ == "__main__":
    report = asyncio.run(ConnContract(quiet_pair).run())
    for result in report.broken:
        print(result.clause.id, "-", result.detail)
