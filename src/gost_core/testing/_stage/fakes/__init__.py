"""The kit's fakes: components that record what they are asked, and do as a scenario tells them."""

from gost_core.testing._stage.fakes.chain import (
    FakeChainer,
    FakeHop,
    FakeRoute,
    FakeRouter,
    FakeTransporter,
    proxy,
)
from gost_core.testing._stage.fakes.connections import (
    CarryingConn,
    FakeNetListener,
    LayeredConn,
    Scene,
    Wrapper,
)
from gost_core.testing._stage.fakes.connector import (
    BindingConnector,
    FakeConnector,
    HandshakingConnector,
)
from gost_core.testing._stage.fakes.dialer import FakeDialer, HandshakingDialer, MultiplexingDialer
from gost_core.testing._stage.fakes.limiter import FakeRateLimiter, FakeTrafficLimiter
from gost_core.testing._stage.fakes.lookups import (
    FakeAuthenticator,
    FakeBypass,
    FakeHostMapper,
    FakeMatcher,
    FakeResolver,
)
from gost_core.testing._stage.fakes.metadata import FakeMetadata
from gost_core.testing._stage.fakes.recorded import Call, Recorded
from gost_core.testing._stage.fakes.recorder import FakeRecorder
from gost_core.testing._stage.fakes.service import (
    ClosableHandler,
    FakeHandler,
    FakeListener,
    FakeStats,
)

__all__ = (
    "BindingConnector",
    "Call",
    "CarryingConn",
    "ClosableHandler",
    "FakeAuthenticator",
    "FakeBypass",
    "FakeChainer",
    "FakeConnector",
    "FakeDialer",
    "FakeHandler",
    "FakeHop",
    "FakeHostMapper",
    "FakeListener",
    "FakeMatcher",
    "FakeMetadata",
    "FakeNetListener",
    "FakeRateLimiter",
    "FakeRecorder",
    "FakeResolver",
    "FakeRoute",
    "FakeRouter",
    "FakeStats",
    "FakeTrafficLimiter",
    "FakeTransporter",
    "HandshakingConnector",
    "HandshakingDialer",
    "LayeredConn",
    "MultiplexingDialer",
    "Recorded",
    "Scene",
    "Wrapper",
    "proxy",
)
