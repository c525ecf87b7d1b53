"""Where a secret may be told: texts, errors and all that is behind them, logs, and output."""

import io
import logging
import re
from base64 import b64encode
from collections.abc import Callable, Generator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Final, cast

from gost_core import logger
from gost_core.testing._run.waiting import expect

__all__ = ("censored", "expect_untold", "overheard")

# A shorter secret may be a part of another word by chance.
_SEARCHABLE: Final[int] = 8


def _pattern(secret: str) -> str:
    """Return what finds a secret; a short one only as a word of its own, and not in base64."""
    found = re.escape(secret)
    if len(secret) < _SEARCHABLE:
        return rf"(?<!\w){found}(?!\w)"
    return "|".join((found, *(_in_base64(secret.encode(), offset) for offset in range(3))))


def _in_base64(secret: bytes, offset: int) -> str:
    """Return what finds a secret in base64, with so many bytes before it in a group of three."""
    # A character has 6 bits; those that it shares with other bytes are not known.
    first, last = -(-8 * offset // 6), 8 * (offset + len(secret)) // 6
    text = b64encode(bytes(offset) + secret).decode()[first:last]
    return text.translate({ord("+"): "[-+]", ord("/"): "[/_]"})


def censored(text: str, secret: str, /) -> str:
    """Return a text in which the secret is left out."""
    return re.sub(_pattern(secret), "(a secret)", text)


def expect_untold(secret: str, told: object, where: str, /) -> None:
    """Break the clause if a text, or an exception with what is behind it, tells the secret."""
    texts = _texts_of(told, set()) if isinstance(told, BaseException) else [str(told)]
    expect(not any(re.search(_pattern(secret), text) for text in texts), f"{where} tells a secret")


def _texts_of(error: BaseException | None, seen: set[int]) -> list[str]:
    """Return what an exception says, with its notes, its members, its cause and its context."""
    if error is None or id(error) in seen:
        return []
    seen.add(id(error))
    members: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    texts = [str(error), repr(error), *getattr(error, "__notes__", ())]
    for one in (error.__cause__, error.__context__, *members):
        texts += _texts_of(one, seen)
    return texts


@contextmanager
def overheard(secret: str, /) -> Generator[None]:
    """Break the clause if the secret is logged, at any level and by any logger, or printed."""
    texts: list[str] = []
    make_record, level = logging.getLogRecordFactory(), logging.root.level
    default = logger.default()

    def keep_record(*args: object, **kwargs: object) -> logging.LogRecord:
        # Handlers would miss the loggers that hand nothing on.
        record = make_record(*args, **kwargs)
        error = record.exc_info[1] if record.exc_info else None
        # What cannot be said, such as a format with other arguments, is no error to who logs.
        with suppress(Exception):
            texts.extend([f"{record.msg} {record.args!r}", *_texts_of(error, set())])
            texts.append(record.getMessage())
        return record

    logging.setLogRecordFactory(keep_record)
    logging.root.setLevel(1)
    logger.set_default(cast("logger.Logger", _Ear(default, texts)))
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            yield
    finally:
        print(printed.getvalue(), end="")
        logging.setLogRecordFactory(make_record)
        logging.root.setLevel(level)
        logger.set_default(default)
    expect_untold(secret, "\n".join([*texts, printed.getvalue()]), "what was logged or printed")


class _Ear:
    """Hears what is told to gost_core.logger at any level, and hands it on."""

    def __init__(self, inner: logger.Logger, texts: list[str]) -> None:
        self._inner = inner
        self._texts = texts

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*args: object) -> object:
            self._texts.extend(map(str, args))
            answer = getattr(self._inner, name)(*args)
            if name == "with_fields":
                return _Ear(answer, self._texts)
            return answer or name == "is_level_enabled"

        return call
