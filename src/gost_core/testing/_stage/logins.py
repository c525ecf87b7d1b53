"""The longer scenarios of handlers whose clients log in."""

from collections.abc import AsyncIterator

from typing_extensions import Buffer

from gost_core.common.net import Conn
from gost_core.handler import auther_option
from gost_core.testing._families.refuses import RIGHT
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import ended, failure_of, need, settle, start
from gost_core.testing._stage.fakes.lookups import FakeAuthenticator
from gost_core.testing._stage.fakes.recorded import out_of_reach
from gost_core.testing._stage.handled import TARGET, Site, expect_one_refused
from gost_core.testing._stage.memory import ForwardingConn


class _Clipped(ForwardingConn):
    """A connection that loses the last byte of each write."""

    async def write(self, data: Buffer, /) -> None:
        """Write the rest."""
        await super().write(memoryview(data)[:-1])


async def told(site: Site, password: str, /) -> AsyncIterator[object]:
    """Have clients log in, some of them with half a request; yield what is told of it."""
    login, users = need(site.login, "login"), FakeAuthenticator("User", RIGHT, "client-7")
    for error in (None, ConnectionRefusedError("the users are out of reach")):
        for whole in (True, False):
            users.asked.fail_always(error)
            served = await site.ready(auther_option(users))
            served.router.dials.fail_always(ConnectionRefusedError(TARGET))
            client = served.client()
            conn = client.conn if whole else _Clipped(client.conn)
            start(login(conn, TARGET, "User", password))
            await settle()
            await client.conn.close()
            await ended(client.handling)
            yield failure_of(client.handling) if client.handling.done() else None
            yield repr(served.handler)


async def try_auther_broken(site: Site, /) -> None:
    users = FakeAuthenticator("User", "Password", "client-7")
    for error in (*out_of_reach("the users"), LookupError("a fault of its own")):
        users.asked.fail_always(error)
        served, client = await site.logged_in(users)
        await served.expect_not_dialed(client, f"the authenticator raises {describe(error)}")


async def try_auther_decides(site: Site, /) -> None:
    login, users = need(site.login, "login"), FakeAuthenticator("User", "Password", "client-7")
    served, _ = await site.logged_in(users)
    await served.dialed("the password is right, and nothing is dialed")
    client = served.client()
    start(login(client.conn, TARGET, "User", "wrong"))
    await served.expect_next_refused(client, "the password is wrong")
    served, client = await site.logged_in(users, "wrong")
    await served.expect_not_dialed(client, "the password is wrong")
    users.asked.hang(1)
    served, _ = await site.logged_in(users)
    await users.asked.reached("the authenticator")
    start(login(served.client().conn, TARGET, "User", "Password"))
    await served.dialed("one client waits for the authenticator, and another is held up")


async def expect_logins_apart(site: Site, /) -> None:
    login, users = need(site.login, "login"), FakeAuthenticator("User", "Password", "client-7")

    async def ask(conn: Conn, name: str) -> Conn:
        return await login(conn, name, "User", "wrong" if "refused" in name else "Password")

    await expect_one_refused(site, auther_option(users), users.asked, ask)
