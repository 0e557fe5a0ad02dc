"""Which engine a build asks for."""

from __future__ import annotations

from ocibuild_core.daemon_config import daemon_config
from ocibuild_core.engine import EngineSettings
from ocibuild_core.engine.settings import DEFAULT_MAX_CACHE
from ocibuild_core.remote_tls import tls_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocibuild_core.settings.model import BuildSettings


def engine_settings(settings: BuildSettings, env: Mapping[str, str]) -> EngineSettings:
    """What the engine is told. Raises UsageError."""
    return EngineSettings(
        addr=settings.addr,
        tls=tls_files(settings),
        cgroup_parent=settings.cgroup_parent,
        cache_types=_cache_types(settings),
        state_dir=settings.state_dir,
        start_timeout=settings.start_timeout,
        debug=settings.debug,
        daemon_config=daemon_config(settings),
        max_cache=settings.max_used_space or DEFAULT_MAX_CACHE,
        env=env,
    )


def _cache_types(settings: BuildSettings) -> tuple[str, ...]:
    if not settings.cache_from and not settings.cache_to:
        return ()
    from ocibuild_core.caching import cache_types  # noqa: PLC0415  # most builds have no such caches

    return cache_types(settings)
