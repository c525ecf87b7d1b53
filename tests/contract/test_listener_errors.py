"""The errors after which a listener is asked again."""

import asyncio
import copy
import errno
import pickle
from collections.abc import Callable

import pytest

from gost_core.common import net
from gost_core.listener import AcceptError, BindError
from tests.contract.untyped import untyped

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

both = pytest.mark.parametrize("error_class", [AcceptError, BindError])

ErrorClass = Callable[[Exception], AcceptError | BindError]


@both
def test_it_says_what_happened_and_has_it_as_its_cause(error_class: ErrorClass) -> None:
    happened = OSError(errno.EMFILE, "too many open files")
    error = error_class(happened)
    assert str(error) == str(happened)
    assert error.__cause__ is happened
    assert "too many open files" in repr(error)


@both
def test_the_cause_stays_when_it_is_raised_while_another_is_handled(
    error_class: ErrorClass,
) -> None:
    happened = OSError(errno.EMFILE, "too many open files")

    def accept() -> None:
        try:
            raise KeyError("unrelated")
        except KeyError:
            raise error_class(happened)  # noqa: B904 - the error brings its cause

    with pytest.raises((AcceptError, BindError)) as caught:
        accept()
    assert caught.value.__cause__ is happened
    assert caught.value.__suppress_context__


@both
def test_it_asks_for_another_try_and_is_no_timeout(error_class: ErrorClass) -> None:
    error = error_class(TimeoutError())
    assert isinstance(error, net.Error)
    assert error.temporary() is True
    assert error.timeout() is False


@both
@pytest.mark.parametrize("wrong", [None, "too many open files", OSError, errno.EMFILE], ids=repr)
def test_what_is_no_exception_is_refused_at_once(error_class: ErrorClass, wrong: object) -> None:
    name = untyped(error_class).__name__
    with pytest.raises(TypeError, match=f"^{name} needs the error"):
        error_class(untyped(wrong))


@both
def test_a_cancellation_is_no_reason_to_try_again(error_class: ErrorClass) -> None:
    with pytest.raises(TypeError, match="not CancelledError"):
        error_class(untyped(asyncio.CancelledError()))


@both
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickling_keeps_class_text_and_cause(error_class: ErrorClass, protocol: int) -> None:
    error = error_class(OSError(errno.EMFILE, "too many open files"))
    restored: object = pickle.loads(pickle.dumps(error, protocol))
    assert isinstance(restored, AcceptError | BindError)
    assert type(restored) is error_class
    assert str(restored) == str(error)
    assert isinstance(restored.__cause__, OSError)
    assert restored.__cause__.errno == errno.EMFILE


@both
def test_a_copy_has_the_same_cause(error_class: ErrorClass) -> None:
    error = error_class(OSError(errno.EMFILE, "too many open files"))
    assert copy.copy(error).__cause__ is error.__cause__


def test_the_two_are_told_apart_because_only_one_lengthens_the_pause() -> None:
    assert not isinstance(AcceptError(OSError()), BindError)
    assert not isinstance(BindError(OSError()), AcceptError)


@both
def test_no_handler_of_io_errors_swallows_it(error_class: ErrorClass) -> None:
    assert not isinstance(error_class(OSError()), OSError)
