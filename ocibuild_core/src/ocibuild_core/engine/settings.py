"""What the runner tells the engine."""

from __future__ import annotations

from types import MappingProxyType

from ocibuild_core.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ocibuild_core.engine.tls import TlsFiles

DEFAULT_MAX_CACHE = 20 * 10**9


class EngineSettings(NamedTuple):
    """Which engine, and how it runs.

    Args:
        env: the user's environment; each child gets its share of it and no more.
        addr: a BuildKit that runs already (`unix://`, `tcp://`, `docker-container://`, …); None starts one.
        tls: for `tcp://`.
        state_dir: where a daemon of ours keeps its cache; None chooses.
        start_timeout: seconds until it must be ready.
        silence: seconds without a word of a build, after which a BuildKit elsewhere is asked whether it is there.
        debug: it logs more.
        daemon_config: further tables of buildkitd.toml (registries, mirrors, …); only for a daemon of ours.
        max_cache: bytes of cache that it may keep.
        cgroup_parent: below which a build puts its steps, in place of the daemon's own.
        cache_types: the types of the caches that the build imports or exports (`s3`): they may need credentials.
    """

    env: Mapping[str, str]
    addr: str | None = None
    tls: TlsFiles | None = None
    state_dir: Path | None = None
    start_timeout: float = 30.0
    silence: float = 30.0
    debug: bool = False
    daemon_config: Mapping[str, object] = MappingProxyType({})
    max_cache: int = DEFAULT_MAX_CACHE
    cgroup_parent: str | None = None
    cache_types: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"EngineSettings(addr={self.addr!r}, state_dir={self.state_dir!r})"  # an environment may hold secrets
