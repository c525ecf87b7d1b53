"""The contract, executable: what can be tried on an implementation.

Each interface that promises behaviour has a contract, a class at the interface's own path under
this package: ``gost_core.testing.bypass.BypassContract`` for ``gost_core.bypass.Bypass``. Its
fields are what has to be given to it, its methods are the clauses. It needs no test framework::

    BypassContract(MyBypass, bypassed="example.net:80", passed="example.org:80").check()

Importing this package loads none of them. What it offers itself is for clauses and tests of one's
own: the parts of a contract, and what can play the other end of a test, all within this process.
"""

from gost_core.testing._run.attempt import NotTried
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.report import Clause, ContractError, Outcome, Report, Result
from gost_core.testing._run.verify import verify
from gost_core.testing._run.waiting import expect, need
from gost_core.testing._stage.memory import (
    Address,
    ForwardingConn,
    MemoryConn,
    MemoryListener,
    MemoryMetadata,
    connected_pair,
)

__all__ = (
    "Address",
    "Clause",
    "Contract",
    "ContractError",
    "ForwardingConn",
    "MemoryConn",
    "MemoryListener",
    "MemoryMetadata",
    "NotTried",
    "Outcome",
    "Report",
    "Result",
    "clause",
    "connected_pair",
    "expect",
    "need",
    "verify",
)
