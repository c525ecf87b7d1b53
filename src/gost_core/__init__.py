"""The contract of the GOST proxy and tunnel toolkit.

One module for each package of the Go module ``go-gost/core``, at the same path; import what you
need from where it lives::

    from gost_core.dialer import Dialer, DialOption

This package itself defines and imports nothing. A docstring says its rule in full; the number in
parentheses behind a rule is that of its decision in ``docs/decisions.md``, which says why.
"""

__all__ = ()
