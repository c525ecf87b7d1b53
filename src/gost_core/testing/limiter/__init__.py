"""The contracts of limiters.

See :mod:`gost_core.testing.limiter.conn`, :mod:`gost_core.testing.limiter.rate` and
:mod:`gost_core.testing.limiter.traffic`.
"""

__all__: tuple[str, ...] = ()
