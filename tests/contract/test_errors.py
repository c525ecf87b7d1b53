"""The errors of the contract, as those who catch them see them."""

import asyncio
import copy
import errno
import io
import pickle
import socket
import ssl

import pytest

from gost_core import listener
from gost_core.cache import NotFoundError
from gost_core.chain import EmptyRouteError
from gost_core.common import net
from gost_core.common.net import ClosedError, DeniedError, ProtocolError, UnsupportedError
from gost_core.connector import BindUnsupportedError
from gost_core.listener import AcceptError, BindError
from gost_core.registry import DuplicateError, MissingError
from gost_core.resolver import InvalidError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

ERRORS: tuple[type[Exception], ...] = (
    BindUnsupportedError,
    ClosedError,
    DeniedError,
    DuplicateError,
    EmptyRouteError,
    InvalidError,
    MissingError,
    NotFoundError,
    ProtocolError,
    UnsupportedError,
    listener.ClosedError,
)

each = pytest.mark.parametrize(
    "error_class", ERRORS, ids=lambda cls: f"{cls.__module__}.{cls.__name__}"
)


def router_decides(error: Exception) -> str:
    """Decide as a Router does about a failed attempt (D16, D38, D39)."""
    match error:
        case UnsupportedError() | DeniedError() | EmptyRouteError():
            return "raise"
        case InvalidError():
            return "leave the address alone"
        case OSError():
            return "try again"
        case _:
            return "raise"


def service_decides(error: Exception) -> str:
    """Decide as a Service does about what ``accept()`` raised (D26, D29)."""
    match error:
        case AcceptError():
            return "accept again"
        case BindError():
            return "accept again, later each time"
        case net.ClosedError():
            return "closed"
        case _:
            return "end"


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (ProtocolError("a reply of the wrong version"), "try again"),
        (EmptyRouteError("no node to bind at"), "raise"),
        (ClosedError("closed by this side"), "try again"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "try again"),
        (PermissionError("the proxy refuses the credentials"), "try again"),
        (DeniedError("refused by rule"), "raise"),
        (ssl.SSLCertVerificationError("of another name"), "try again"),
        (io.UnsupportedOperation("both an OSError and a ValueError"), "try again"),
        (UnicodeError("no name"), "raise"),
        (socket.gaierror(socket.EAI_NONAME, "no such name"), "try again"),
        (UnsupportedError("no udp here"), "raise"),
        (BindUnsupportedError("the connector cannot bind"), "raise"),
        (ValueError("no host in ':80'"), "raise"),
        (InvalidError("no resolver of this name"), "leave the address alone"),
    ],
    ids=repr,
)
def test_a_router_tries_again_unless_the_error_is_permanent(
    error: Exception, decision: str
) -> None:
    assert router_decides(error) == decision


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (AcceptError(OSError(errno.EMFILE, "too many open files")), "accept again"),
        (BindError(ConnectionRefusedError()), "accept again, later each time"),
        (listener.ClosedError("closed"), "closed"),
        (ClosedError("closed"), "closed"),
        (BindUnsupportedError("the connector cannot bind"), "end"),
        (UnsupportedError("no udp here"), "end"),
        (OSError(errno.EMFILE, "too many open files"), "end"),
        (ValueError("a wrong option"), "end"),
    ],
    ids=repr,
)
def test_a_service_accepts_again_after_two_errors_only(error: Exception, decision: str) -> None:
    assert service_decides(error) == decision


@pytest.mark.parametrize(
    "error_class",
    [
        ClosedError,
        ProtocolError,
        UnsupportedError,
        BindUnsupportedError,
        DeniedError,
        EmptyRouteError,
    ],
)
def test_a_failure_of_io_is_an_os_error(error_class: type[Exception]) -> None:
    with pytest.raises(OSError, match="what happened"):
        raise error_class("what happened")


@pytest.mark.parametrize("error_class", [InvalidError, DuplicateError, MissingError, NotFoundError])
def test_what_is_no_failure_of_io_is_no_os_error(error_class: type[Exception]) -> None:
    assert not issubclass(error_class, OSError)


@each
def test_only_the_peers_doing_is_a_connection_error(error_class: type[Exception]) -> None:
    assert issubclass(error_class, ConnectionError) is (error_class is ProtocolError)


@each
def test_no_error_passes_for_a_time_limit_or_a_cancellation_and_one_for_a_refusal(
    error_class: type[Exception],
) -> None:
    assert not issubclass(error_class, (TimeoutError, asyncio.CancelledError))
    assert issubclass(error_class, PermissionError) is (error_class is DeniedError)


def test_what_the_listener_closed_is_caught_as_closed_and_what_a_connection_closed_is_not() -> None:
    assert issubclass(listener.ClosedError, net.ClosedError)
    assert not issubclass(net.ClosedError, listener.ClosedError)


def test_a_name_without_resolver_is_a_lookup_that_failed_and_a_taken_name_a_wrong_value() -> None:
    assert issubclass(InvalidError, LookupError)
    assert issubclass(DuplicateError, ValueError)


@each
def test_the_text_is_what_was_given(error_class: type[Exception]) -> None:
    assert str(error_class("the hop 'a' is gone")) == "the hop 'a' is gone"
    assert str(error_class()) == ""


@pytest.mark.parametrize("code", [errno.EPIPE, errno.ETIMEDOUT, errno.ECONNREFUSED])
def test_an_errno_does_not_change_the_class(code: int) -> None:
    error = ClosedError(code, "what the system said")
    assert type(error) is ClosedError
    assert error.errno == code


@each
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickling_keeps_class_arguments_and_notes(
    error_class: type[Exception], protocol: int
) -> None:
    error = error_class("what happened")
    error.add_note("the first attempt failed too")
    restored: object = pickle.loads(pickle.dumps(error, protocol))
    assert isinstance(restored, Exception)
    assert type(restored) is error_class
    assert restored.args == error.args
    assert restored.__notes__ == ["the first attempt failed too"]


@each
def test_a_copy_is_of_the_same_class_with_the_same_text(error_class: type[Exception]) -> None:
    duplicate = copy.copy(error_class("what happened"))
    assert type(duplicate) is error_class
    assert str(duplicate) == "what happened"


@each
def test_the_errors_themselves_do_not_say_whether_to_try_again(
    error_class: type[Exception],
) -> None:
    assert not isinstance(error_class(), net.Error)
