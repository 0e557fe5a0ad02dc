"""An engine that starts while plugins and everything else are still being loaded.

BuildKit takes as long to start as all of our own work before the solve, so the sooner it is launched, the more of that
work is free. What it needs are settings of core's own.
"""

from __future__ import annotations

import os

from ocibuild_core.engine import launch
from ocibuild_core.engine_choice import engine_settings
from ocibuild_core.errors import OcibuildError
from ocibuild_core.places import find_dockerfile, is_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from ocibuild_core.cli.settle import Settled
    from ocibuild_core.engine import Engine, EngineSettings
    from ocibuild_core.settings.model import BuildSettings


class HeadStart:
    """Launches an engine of our own on entry; on exit it ends, unless somebody has taken it.

    Without sources there is nothing to build, and no engine; where the settings name a platform whose emulator may be
    registered, that comes first. One that cannot be launched is none here, either: the error comes again when it is
    asked for, in its turn among others.

    Args:
        settled: what is to be built.
        is_wanted: there is to be a build at all.
    """

    def __init__(self, settled: Settled, *, is_wanted: bool) -> None:
        self._settled = settled
        self._is_wanted = is_wanted
        self._settings: EngineSettings | None = None
        self._engine: Engine | None = None

    def launch(self, settings: EngineSettings) -> Engine:
        """As `engine.launch`, once: the engine that is starting, if these are its settings."""
        engine, self._engine = self._engine, None
        if engine is not None and settings == self._settings:
            return engine
        if engine is not None:
            engine.stop()
        return launch(settings)

    def __enter__(self) -> Self:
        settings = self._settled.settings
        if not self._is_wanted or settings.addr or not _has_sources(settings.context, settings.dockerfile):
            return self
        try:
            if _awaits_emulator(settings):
                return self
            self._settings = engine_settings(settings, self._settled.env)
            self._engine = launch(self._settings)
        except OcibuildError:
            self._settings = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._engine is not None:
            self._engine.stop()


def _awaits_emulator(settings: BuildSettings) -> bool:
    if not settings.platforms:
        return False
    from ocibuild_core.emulators import awaits_emulator  # noqa: PLC0415  # only where a platform is named

    return awaits_emulator(settings)


def _has_sources(context: str, dockerfile: str | None) -> bool:
    path = dockerfile or os.path.join(context, "Dockerfile")  # noqa: PTH118  # pathlib is slower
    return find_dockerfile(path) is not None and is_directory(context)
