"""The engine: found, started, asked for its version, ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ocibuild_core.doctor.checks import Row, failure, fine, rows_of_error, warning
from ocibuild_core.errors import OcibuildError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocibuild_core.engine import Engine

NAME = "engine"
LOOKS_AT = "BuildKit is found and starts, or the one of `--addr` answers; its log when not"


class EngineCheck:
    """Starts the engine at once, in the thread that makes it; `rows` waits for it. A context manager that ends it.

    Args:
        launch: gives the engine.
    """

    def __init__(self, launch: Callable[[], Engine]) -> None:
        self._engine: Engine | None = None
        self._error: OcibuildError | None = None
        try:
            self._engine = launch()
        except OcibuildError as error:
            self._error = error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._engine:
            self._engine.stop()
            self._engine = None

    def rows(self) -> list[Row]:
        """What became of it."""
        if isinstance(self._error, UsageError):  # which the settings' own line tells
            finding = failure("not started with these settings", do="mend the settings, then look again")
            return [Row(check=NAME, finding=finding, exit_code=self._error.exit_code)]
        if self._engine is None:
            return rows_of_error(NAME, self._error) if self._error else []
        try:
            self._engine.wait_ready()
        except OcibuildError as error:
            return rows_of_error(NAME, error)
        found = [fine(self._engine.describe)]
        found += [warning(notice, do="see the line about the state") for notice in self._engine.notices]
        return [Row(check=NAME, finding=finding, exit_code=0) for finding in found]
