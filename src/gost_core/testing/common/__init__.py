"""The contracts of what all topics build upon; see :mod:`gost_core.testing.common.net`."""

__all__: tuple[str, ...] = ()
