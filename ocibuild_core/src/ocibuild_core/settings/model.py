"""The settings of one build, each with where it came from."""

from __future__ import annotations

from types import MappingProxyType

from ocibuild_core.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DEFAULT = "default"


class Pair(NamedTuple):
    """One `key=value` of a setting that takes many."""

    key: str
    value: str
    origin: str


class BuildSettings(NamedTuple):
    """What was asked for, validated field by field; the names are those of the table.

    Paths are as written, relative to the current directory. `origins` holds the spelling that set each field
    (`--target`, `TARGET`, `ocibuild.yml: target`); a field that is not in it has its default.
    """

    context: str
    dockerfile: str | None
    target: str | None
    target_file: Path | None
    build_args: tuple[Pair, ...]
    build_args_file: Path | None
    labels: tuple[Pair, ...]
    labels_file: Path | None
    no_cache: bool
    pull: bool
    output: tuple[str, ...]
    output_oci: bool
    unpack_rootfs: bool
    tags: tuple[str, ...]
    push: bool
    load: bool
    iidfile: Path | None
    metadata_file: Path | None
    provenance: str | None
    sbom: str | None
    cache_from: tuple[str, ...]
    cache_to: tuple[str, ...]
    cache_size: int
    cache_mounts: bool
    login: tuple[str, ...]
    login_timeout: float
    preflight: bool
    blocked_plugins: tuple[str, ...]
    allowed_plugins: tuple[str, ...] | None
    addr: str | None
    tls_dir: Path | None
    tls_ca: Path | None
    tls_cert: Path | None
    tls_key: Path | None
    tls_server_name: str | None
    state_dir: Path | None
    max_used_space: int | None
    start_timeout: float
    registry_mirrors: tuple[str, ...]
    buildkit_extra_config: str | None
    registry_certs: tuple[Pair, ...]
    registry_http: tuple[str, ...]
    registry_insecure: tuple[str, ...]
    progress: str
    debug: bool
    additional_targets: tuple[str, ...]
    platforms: tuple[str, ...]
    annotations: tuple[Pair, ...]
    no_cache_filter: tuple[str, ...]
    source_date_epoch: str | None
    check: bool
    image_args: tuple[Pair, ...]
    build_contexts: tuple[Pair, ...]
    secrets: tuple[str, ...]
    secret_files: tuple[Pair, ...]
    secret_texts: tuple[Pair, ...]
    ssh: tuple[str, ...]
    add_hosts: tuple[str, ...]
    network: str
    allow: tuple[str, ...]
    ulimits: tuple[str, ...]
    shm_size: str | None
    cgroup_parent: str | None
    origins: Mapping[str, str] = MappingProxyType({})

    def origin(self, name: str) -> str:
        """The spelling that set the field, or `default`."""
        return self.origins.get(name, DEFAULT)
