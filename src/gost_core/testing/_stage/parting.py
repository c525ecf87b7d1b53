"""The scenario of a client that has gone, of whom a handler keeps nothing."""

from weakref import ref

from gost_core.testing._families.lent import expect_dropped, lending
from gost_core.testing._run.attempt import current
from gost_core.testing._run.waiting import (
    applies,
    ended,
    failure_of,
    given,
    need,
    owned,
    start,
    within,
)
from gost_core.testing._stage.handled import TARGET, AbortableConn, Site
from gost_core.testing._stage.memory import connected_pair


async def try_nothing_kept(site: Site, /) -> None:
    """Break the clause if a handler keeps the connection or the context of a call."""
    connect, served = need(site.connect, "connect"), await site.ready()
    with lending() as lent:
        client, handled = connected_pair()
        conn = AbortableConn(handled)
        lent.append(ref(conn))
        handling = start(served.handler.handle(current().ctx, conn))
        del conn
    near = await within(connect(owned(client), TARGET), "reaching a target by `connect`")
    far = owned(await within(served.router.targets.get(), "the dial to the target"))
    for one in (near, far):
        await given(one.close(), "close()")
    await ended(handling)
    # How it ends is the affair of other clauses; what a failure went through is kept with it.
    applies(failure_of(handling) is None, "the call failed")
    # Who plays the router has been given them too.
    for forget in current().records:
        forget()
    await expect_dropped(lent, "handle() has returned")
