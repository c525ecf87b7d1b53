"""The contract of the GOST proxy and tunnel toolkit.

One module for each package of the Go module ``go-gost/core``, at the same path; import what you
need from where it lives::

    from gost_core.dialer import Dialer, DialOption

This package itself defines and imports nothing. The decisions that the docstrings cite (D1 to
D77) stand in ``docs/decisions.md``.
"""

__all__ = ()
