"""How a registry is spoken to, by what the engine is told about it: what BuildKit would do, we do when we ask."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocibuild_core.records import NamedTuple
from ocibuild_core.registry.check import RegistryCheck
from ocibuild_core.registry.hosts import host_of, normalise, split
from ocibuild_core.registry.http import HttpClient, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ocibuild_core.credentials import Credential
    from ocibuild_core.registry.reference import ImageReference
    from ocibuild_core.secret import Secret


class Way(NamedTuple):
    """The way to one registry.

    Args:
        plain_http: it speaks http.
        is_insecure: its certificate is not checked; with `plain_http`, TLS is tried first.
        ca_files: who may have signed its certificate, besides the system's authorities.
        mirrors: what is asked before it.
    """

    plain_http: bool = False
    is_insecure: bool = False
    ca_files: tuple[Path, ...] = ()
    mirrors: tuple[str, ...] = ()


class Ways:
    """The ways to all registries. Client certificates are not among them.

    Source: moby/buildkit, util/resolver/resolver.go, `fillInsecureOpts`.

    Args:
        tables: what buildkitd.toml holds (`daemon_config`).
    """

    def __init__(self, tables: Mapping[str, object]) -> None:
        found = tables.get("registry")
        by_key = found.items() if isinstance(found, dict) else ()
        self._tables: dict[str, Mapping[str, Any]] = {
            normalise(key) or key: table for key, table in by_key if isinstance(table, dict)
        }

    def to(self, registry: str) -> Way:
        """The way to a registry, by its one name."""
        table = self._tables.get(registry, {})
        plain = table.get("http")
        return Way(
            plain_http=bool(plain) if plain is not None else is_loopback(host_of(registry)),
            is_insecure=bool(table.get("insecure")),
            ca_files=tuple(Path(file) for file in table.get("ca") or ()),
            mirrors=tuple(table.get("mirrors") or ()),
        )

    def mirrored(self, image: ImageReference) -> Iterator[ImageReference]:
        """The image as each mirror of its registry names it, in the order in which they are asked.

        Source: moby/buildkit, util/resolver/resolver.go, `newMirrorRegistryHost`.
        """
        for mirror in self.to(image.registry).mirrors:
            address = split(str(mirror))
            if address:
                path = f"{address.path}/{image.repository}".lstrip("/")
                yield image._replace(registry=address.registry, host=address.registry, repository=path)


def open_check(
    registry: str,
    credential: Credential | None,
    way: Way,
    *,
    seconds: float,
    learned: Callable[[Secret], None] = lambda _: None,
) -> RegistryCheck:
    """What asks a registry, by the way that is its own.

    Args:
        registry: its one name.
        credential: None asks anonymously.
        way: how it is spoken to.
        seconds: for one answer.
        learned: told every Bearer token.
    """
    http = HttpClient(ca_files=way.ca_files, checks_certificates=not way.is_insecure, timeout=seconds)
    plain = _speaks_http(registry, http) if way.plain_http and way.is_insecure else way.plain_http
    return RegistryCheck(registry, credential, http=http, plain_http=plain, learned=learned)


def is_loopback(host: str) -> bool:
    """Whether BuildKit takes a registry there for one without TLS when nothing is said about it.

    Source: containerd, core/remotes/docker/registry.go, `MatchLocalhost`.
    """
    if host == "localhost":
        return True
    if not (host.startswith("[") or host[:1].isdecimal()):
        return False
    from ipaddress import ip_address  # noqa: PLC0415  # 5 ms that few need

    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _speaks_http(registry: str, http: HttpClient) -> bool:
    """Whether TLS gets no answer from it."""
    try:
        RegistryCheck(registry, None, http=http).ping()
    except Unreachable:
        return True
    return False
