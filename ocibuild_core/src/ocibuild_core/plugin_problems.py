"""What is wrong with a plugin, in words: the problem, its cause, and what its user can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core import HOST_DISTRIBUTION, __version__, records
from ocibuild_core.catalog import Problem

if TYPE_CHECKING:
    from traceback import FrameSummary

SURFACE = "ocibuild_core.plugin"
_LONGEST = 300


class PluginFault(Exception):  # noqa: N818  # carries a finding from the place of the check to the loader
    """A plugin breaks the contract between plugin and host."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


def fault(what: str, *, why: str = "", do: str = "") -> PluginFault:
    """A fault to raise; without `do` the remedy is a newer release."""
    return PluginFault(Problem(what=what, why=why, do=do))


def printable(text: str) -> str:
    """Text of a plugin's on one line and without control characters: it must not write to the terminal at will."""
    line = " ".join(text.split())
    shown = "".join(char if char.isprintable() else "?" for char in line)
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + " …"


def describe(error: BaseException) -> str:
    """`Type: message` on one line, also when the exception cannot be printed."""
    name = type(error).__name__
    try:
        message = str(error)
    except Exception as broken:  # noqa: BLE001  # the plugin boundary: the message is the plugin's code
        message = f"its message cannot be printed ({type(broken).__name__})"
    return printable(f"{name}: {message}" if message else name)


def raised_at(error: BaseException) -> FrameSummary | None:
    """Where it was raised; of a record that refuses its fields, where that was made."""
    import traceback  # noqa: PLC0415  # only for a fault

    frames = traceback.extract_tb(error.__traceback__)
    return next((frame for frame in reversed(frames) if frame.filename != records.__file__), None)


def problem_of(error: BaseException, doing: str, distribution: str) -> Problem:
    """The problem behind whatever a plugin's code raised.

    Args:
        error: what it raised.
        doing: when it did: "while it is imported".
        distribution: the plugin's, for the remedy.
    """
    if isinstance(error, SystemExit):
        return Problem(
            what=f"ends the program {doing} (sys.exit)",
            why=f"exit status {printable(repr(error.code))}",
            error=error,
        )
    if isinstance(error, SyntaxError):
        from pathlib import Path  # noqa: PLC0415  # only for a message

        place = f"{Path(error.filename or '?').name}, line {error.lineno or '?'}"
        return Problem(what="has a syntax error", why=printable(f"{error.msg} ({place})"), error=error)
    if isinstance(error, ImportError):
        return _missing_import(error, doing, distribution)
    return Problem(what=f"fails {doing}", why=describe(error), error=error)


def _missing_import(error: ImportError, doing: str, distribution: str) -> Problem:
    from ocibuild_core.suggest import module_hint  # noqa: PLC0415  # only for a message

    if error.name == SURFACE:
        return Problem(
            what=f"needs {HOST_DISTRIBUTION} newer than {__version__}",
            why=describe(error),
            do=f"pip install --upgrade {HOST_DISTRIBUTION}",
            error=error,
        )
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    do = module_hint(distribution, missing) if missing else f"pip install --force-reinstall {distribution}"
    return Problem(what=f"misses a module {doing}", why=describe(error), do=do, error=error)
