"""Loggers that load `logging` when something is said: of most builds nothing is, and it takes six milliseconds."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger

_prepare: Callable[[], None] | None = None


def get_logger(name: str) -> Logger:
    """The logger of that name; whatever is asked of it, its class included, the true one answers."""
    return _LateLogger(name)  # type: ignore[return-value]  # in effect it is one


class _LateLogger:
    def __init__(self, name: str) -> None:
        self._name = name

    @property  # type: ignore[misc]  # what `isinstance` looks at
    def __class__(self) -> type:
        return type(_logger(self._name))

    def __getattr__(self, attribute: str) -> object:
        return getattr(_logger(self._name), attribute)


def before_first_word(prepare: Callable[[], None]) -> None:
    """Have this called before any of our loggers says something: it decides what becomes of that.

    The latest one counts. Where `logging` is loaded, by a plugin for one, it is called at once.
    """
    global _prepare  # noqa: PLW0603  # loggers are the process's, too
    _prepare = prepare
    if "logging" in sys.modules:
        _make_ready()


def _make_ready() -> None:
    """Call it. Another thread that comes meanwhile does so, too, and says nothing before."""
    global _prepare  # noqa: PLW0603  # see above
    prepare = _prepare
    if prepare:
        prepare()
        _prepare = None


def _logger(name: str) -> Logger:
    import logging  # noqa: PLC0415  # see the module

    _make_ready()
    return logging.getLogger(name)
