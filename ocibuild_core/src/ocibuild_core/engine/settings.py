"""What the runner tells the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DEFAULT_MAX_CACHE = 20 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """How a `tcp://` address is secured (`buildctl --tls…`).

    Args:
        ca: the authority that signed the daemon's certificate.
        cert: our certificate.
        key: its key.
        server_name: the name in the daemon's certificate, when it is not the address's host.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    def arguments(self) -> tuple[str, ...]:
        """The client's arguments."""
        pairs = (
            ("--tlscacert", self.ca),
            ("--tlscert", self.cert),
            ("--tlskey", self.key),
            ("--tlsservername", self.server_name),
        )
        return tuple(text for flag, value in pairs if value is not None for text in (flag, str(value)))


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Which engine, and how it runs.

    Args:
        env: the user's environment; each child gets its share of it and no more.
        addr: a BuildKit that runs already (`unix://`, `tcp://`, `docker-container://`, …); None starts one.
        tls: for `tcp://`.
        state_dir: where a daemon of ours keeps its cache; None chooses.
        start_timeout: seconds until it must be ready.
        debug: it logs more.
        daemon_config: further tables of buildkitd.toml (registries, mirrors, …); only for a daemon of ours.
        max_cache: bytes of cache that it may keep.
        cache_types: the types of the caches that the build imports or exports (`s3`): they may need credentials.
    """

    env: Mapping[str, str] = field(repr=False)
    addr: str | None = None
    tls: TlsFiles = field(default_factory=TlsFiles)
    state_dir: Path | None = None
    start_timeout: float = 30.0
    debug: bool = False
    daemon_config: Mapping[str, object] = field(default_factory=dict)
    max_cache: int = DEFAULT_MAX_CACHE
    cache_types: tuple[str, ...] = ()
