"""All checks, side by side; none can keep the others, or the end, waiting."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from ocibuild_core.auth.calls import Call, CallTimeout
from ocibuild_core.doctor.checks import Check, Row, failure, fine, one_line, rows_of, rows_of_error
from ocibuild_core.doctor.table import CHECKS, SETTINGS
from ocibuild_core.errors import OcibuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocibuild_core.doctor.engine import EngineCheck
    from ocibuild_core.doctor.scene import Scene

SECONDS = 20.0
"""For each check: more than all time limits within one."""


def examine(
    scene: Scene, engine: EngineCheck, checks: Sequence[Check] = CHECKS, *, seconds: float = SECONDS
) -> list[Row]:
    """What every check found, in their order, the engine's last.

    Args:
        scene: what is looked at.
        engine: the engine, which gets ready meanwhile.
        checks: who looks.
        seconds: after which a check is left behind; its thread keeps no process alive.
    """
    calls = [(check, Call(partial(_look, check, scene))) for check in checks]
    deadline = time.monotonic() + seconds
    engine_rows = engine.rows()
    rows = [row for error in scene.complaints for row in rows_of_error(SETTINGS, error)]
    for check, call in calls:
        try:
            rows += call.result(max(0.0, deadline - time.monotonic()))
        except CallTimeout:
            rows += rows_of(check, [failure(f"no answer within {seconds:g} s", do="look at what it looks at by hand")])
    return [*rows, *engine_rows]


def _look(check: Check, scene: Scene) -> Iterable[Row]:
    if check.is_of_own_engine and scene.settings.addr:
        return list(rows_of(check, [fine(f"of no concern here: builds use the BuildKit at {scene.settings.addr}")]))
    try:
        return list(rows_of(check, check.look(scene)))
    except OcibuildError as error:
        return rows_of_error(check.name, error)
    except OSError as error:
        what = f"{error.filename or 'something'} cannot be read: {error.strerror or error}"
        return list(rows_of(check, [failure(one_line(what), do="look whether /proc and /sys are mounted here")]))
