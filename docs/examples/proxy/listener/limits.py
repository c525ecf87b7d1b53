"""Whom a listener lets in, and what counts what it lets in."""

import asyncio
from contextlib import nullcontext

from gost_core import listener
from gost_core.admission import with_service
from gost_core.common import net
from gost_core.context import Context
from gost_core.limiter import SCOPE_CONN, SCOPE_SERVICE
from gost_core.logger import default

from ..limiter.conn import take_place
from ..limiter.limited import limit_traffic
from ..observer.stats import CountingConn

DECISION_LIMIT = 5.0  # seconds to decide on a client: the next one waits meanwhile


def may_wait(options: listener.Options) -> bool:
    """Tell whether there is anything to wait for before a connection is served."""
    return options.admission is not None or options.traffic_limiter is not None


async def accept_within_limits(inner: net.Conn, options: listener.Options) -> net.Conn | None:
    """Do with a new connection what the options of its listener say; return it, perhaps wrapped.

    None: its client is refused, and it is closed, which is no error of the listener's (D26).
    """
    served: net.Conn | None = None
    if options.stats is not None:
        inner = CountingConn(inner, options.stats)
    ctx, service, limits = Context(), options.service, options.traffic_limiter
    source = inner.remote_addr()
    asked = source.network(), str(source), with_service(service)  # they alone count (D50)
    try:
        async with asyncio.timeout(DECISION_LIMIT) if may_wait(options) else nullcontext():
            if options.admission is None or await options.admission.admit(ctx, *asked):
                inner = take_place(inner, options.conn_limiter)
                for scope, key in ((SCOPE_CONN, str(source)), (SCOPE_SERVICE, service)):
                    inner = await limit_traffic(ctx, inner, limits, scope, key, service)
                served = inner
    except Exception as error:  # whoever cannot decide refuses (D49, D53)
        reason = str(error) or f"no decision in {DECISION_LIMIT:g} s"
        (options.logger or default()).warnf("%s is not served: %s", inner.remote_addr(), reason)
    finally:
        if served is None:
            await inner.close()
    return served
