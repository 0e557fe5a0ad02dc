"""What we say to people, on stderr: results and talk, by how much they want to hear."""

from __future__ import annotations

import sys

from ocibuild_core.late_logging import before_first_word, get_logger

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from typing import TextIO

QUIET, NORMAL, VERBOSE, DEBUG = -1, 0, 1, 2

_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), *range(0xDC80, 0xDCA0)], "?")
"""C0 and C1, the latter also as bytes that were no UTF-8 (PEP 383)."""
del _CONTROLS[ord("\t")], _CONTROLS[ord("\n")]

NOTICE = 25
"""A log level between INFO and WARNING: people want to know it, but nothing is wrong. Shown unless -q."""


def without_controls(text: str) -> str:
    """Without control characters: what a registry, BuildKit or a plugin wrote must not steer the terminal."""
    return text.translate(_CONTROLS)


def print_result(text: str) -> None:
    """Print a command's result, on stdout."""
    print(without_controls(text), flush=True)  # noqa: T201  # the result


class Talk:
    """Lines on stderr, masked by `mask` once there are secrets to mask.

    Args:
        level: QUIET (errors alone), NORMAL, VERBOSE (-v) or DEBUG (-vv).
        stream: where lines go.
    """

    def __init__(self, level: int = NORMAL, stream: TextIO | None = None) -> None:
        self.level = level
        self.mask: Callable[[str], str] = str
        self._stream = stream or sys.stderr

    def error(self, text: object) -> None:
        """Always shown; of several each is marked as one. What belongs to one is indented."""
        self._write("\n".join(line if line.startswith(" ") else f"error: {line}" for line in str(text).split("\n")))

    def warn(self, text: object) -> None:
        """Shown unless -q."""
        if self.level > QUIET:
            self._write(f"warning: {text}")

    def say(self, text: object) -> None:
        """Shown unless -q: results and what a person will want to do next."""
        if self.level > QUIET:
            self._write(str(text))

    def detail(self, text: object) -> None:
        """Shown with -v: decisions."""
        if self.level >= VERBOSE:
            self._write(str(text))

    def logger(self) -> logging.Logger:
        """A logger for plugins; what is said to it, or to one below it, is shown here from now on."""
        before_first_word(lambda: _attach(self))
        return get_logger("ocibuild")

    def _write(self, text: str) -> None:
        # A closed stderr must not turn a good build into a failed one.
        try:
            self._stream.write(without_controls(self.mask(text)) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass


def _attach(talk: Talk) -> None:
    import logging  # noqa: PLC0415  # see `late_logging`

    logger = logging.getLogger("ocibuild")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.handlers = [_handler(talk)]


def _handler(talk: Talk) -> logging.Handler:
    import logging  # noqa: PLC0415  # see `late_logging`

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if record.levelno >= logging.ERROR:
                talk.error(text)
            elif record.levelno >= logging.WARNING:
                talk.warn(text)
            elif record.levelno > logging.INFO:
                talk.say(text)
            elif record.levelno >= logging.INFO or talk.level >= DEBUG:
                talk.detail(text)

    return Handler()
