"""A forgotten await on a question of access: the coroutine is true, so everybody is let in.

pyright sees most of it, ty what is tested for truth, mypy the same with ``truthy-bool``, pyrefly
less of that. Hence the warnings in the documentation.
"""

from collections.abc import Sequence

from gost_core.admission import Admission
from gost_core.auth import Authenticator
from gost_core.bypass import Bypass
from gost_core.context import Context


def admit_if(ctx: Context, admission: Admission) -> str:
    if admission.admit(ctx, "tcp", "192.0.2.1:1080"):  # error: mypy pyrefly pyright ty
        return "welcome"
    return "refused"


def admit_if_not(ctx: Context, admission: Admission) -> str:
    if not admission.admit(ctx, "tcp", "192.0.2.1:1080"):  # error: mypy pyrefly pyright ty
        return "refused"
    return "welcome"


def authenticate_if(ctx: Context, authenticator: Authenticator) -> str:
    if authenticator.authenticate(ctx, "user", "password"):  # error: mypy pyrefly pyright ty
        return "welcome"
    return "refused"


def authenticate_if_not(ctx: Context, authenticator: Authenticator) -> str:
    if not authenticator.authenticate(ctx, "user", "password"):  # error: mypy pyrefly pyright ty
        return "refused"
    return "welcome"


def authenticate_is_none(ctx: Context, authenticator: Authenticator) -> str:
    if authenticator.authenticate(ctx, "user", "password") is None:  # error: pyright
        return "refused"
    return "welcome"


def authenticate_is_not_none(ctx: Context, authenticator: Authenticator) -> str:
    if authenticator.authenticate(ctx, "user", "password") is not None:  # error: pyright
        return "welcome"
    return "refused"


def contains_if(ctx: Context, bypass: Bypass) -> str:
    if bypass.contains(ctx, "tcp", "192.0.2.1:443"):  # error: mypy pyrefly pyright ty
        return "bypassed"
    return "served"


def contains_if_not(ctx: Context, bypass: Bypass) -> str:
    if not bypass.contains(ctx, "tcp", "192.0.2.1:443"):  # error: mypy pyrefly pyright ty
        return "served"
    return "bypassed"


def admit_stored(ctx: Context, admission: Admission) -> str:
    admitted = admission.admit(ctx, "tcp", "192.0.2.1:1080")
    if not admitted:  # error: mypy pyrefly pyright ty
        return "refused"
    return "welcome"


def admit_and(ctx: Context, admission: Admission, is_open: bool) -> str:
    if is_open and admission.admit(ctx, "tcp", "192.0.2.1:1080"):  # error: mypy pyright ty
        return "welcome"
    return "refused"


def admit_by_bool(ctx: Context, admission: Admission) -> bool:
    """Seen by none."""
    return bool(admission.admit(ctx, "tcp", "192.0.2.1:1080"))


def admit_by_all(ctx: Context, admissions: Sequence[Admission]) -> bool:
    """Seen by none."""
    return all(admission.admit(ctx, "tcp", "192.0.2.1:1080") for admission in admissions)


async def authenticate_by_truth(ctx: Context, authenticator: Authenticator) -> str:
    """Seen by none: the valid id "" tests false, so this client is refused. Compare with None."""
    if await authenticator.authenticate(ctx, "user", "password"):
        return "welcome"
    return "refused"


async def authenticate_by_name(ctx: Context, authenticator: Authenticator) -> str:
    """Seen by none, though it is the same mistake."""
    if client_id := await authenticator.authenticate(ctx, "user", "password"):
        return client_id
    return "refused"
