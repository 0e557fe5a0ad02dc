"""Hears what a plugin says: its log, what it prints, the text of its errors."""

from __future__ import annotations

import io
import logging
import traceback
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Heard:
    """What was said, by the place where it was said."""

    def __init__(self) -> None:
        self._log = io.StringIO()
        self.stdout = io.StringIO()
        self.stderr = io.StringIO()
        self.handler = logging.StreamHandler(self._log)
        self.handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))

    def texts(self) -> dict[str, str]:
        """All of it."""
        return {
            "its log": self._log.getvalue(),
            "what it printed": self.stdout.getvalue(),
            "what it printed to stderr": self.stderr.getvalue(),
        }


@contextmanager
def listening(loggers: Iterable[str]) -> Iterator[Heard]:
    """Hear stdout, stderr, and everything that goes to these loggers or below them, at every level."""
    heard = Heard()
    with ExitStack() as stack:
        for name in loggers:
            stack.enter_context(_wide_open(logging.getLogger(name), heard.handler))
        stack.enter_context(redirect_stdout(heard.stdout))
        stack.enter_context(redirect_stderr(heard.stderr))
        yield heard


@contextmanager
def _wide_open(logger: logging.Logger, handler: logging.Handler) -> Iterator[None]:
    level, propagates = logger.level, logger.propagate
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagates


def full_text(error: BaseException) -> str:
    """An error as `-v` shows it: with its traceback and all that stands behind it."""
    return "".join(traceback.format_exception(error))
