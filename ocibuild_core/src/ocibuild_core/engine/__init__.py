"""The engine: BuildKit found or started, driven, and ended whatever happens.

`launch` is the way in; it gives an `Engine`.
"""

from ocibuild_core.engine.base import Engine
from ocibuild_core.engine.launcher import launch
from ocibuild_core.engine.settings import EngineSettings

__all__ = ["Engine", "EngineSettings", "launch"]
