"""What the user wants in buildkitd.toml: his own text, mirrors and certificate authorities, joined."""

from __future__ import annotations

from pathlib import Path

from ocibuild_core.errors import UsageError
from ocibuild_core.places import closed, is_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from ocibuild_core.settings.model import BuildSettings, Pair

    Tables = dict[str, Any]

_OF_THE_DAEMON = (
    *("registry_mirrors", "buildkit_extra_config", "max_used_space"),
    *("registry_certs", "registry_http", "registry_insecure"),
)

_ENTITLEMENTS = "insecure-entitlements"
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
"""How PEM begins one (RFC 7468)."""


def daemon_config(settings: BuildSettings) -> Mapping[str, object]:
    """The tables for buildkitd.toml (docs/buildkitd.toml.md in moby/buildkit); empty when nothing was asked for.

    Raises UsageError when the text is no TOML, when two settings want one key, or when the daemon is not ours.
    """
    if settings.addr:
        _refuse(settings)
    origin = settings.origin("buildkit_extra_config")
    tables = _parse(settings.buildkit_extra_config, origin) if settings.buildkit_extra_config else {}
    said_by: dict[tuple[str, ...], str] = {}
    for path, value, by in _wanted(settings):
        _put(tables, path, value, by=by, other=said_by.get(path, origin))
        said_by[path] = by
    if (settings.allow or settings.network == "host") and not settings.addr:
        _allow(tables, settings, other=origin)
    return tables


def client_tls(tables: Mapping[str, object]) -> Iterator[tuple[str, ...]]:
    """What BuildKit's client is told of each registry's TLS, as fields of its `--registry-auth-tlscontext`.

    It asks a registry's token server itself, by the host of the request's URL, and adds up what several say of one
    (session/auth/authprovider and cmd/buildctl/build in moby/buildkit). What is malformed in the tables, the daemon
    tells when it starts.

    Args:
        tables: what buildkitd.toml holds.
    """
    from ocibuild_core.registry.hosts import api_host  # noqa: PLC0415  # the engine is launched before

    registries = tables.get("registry")
    for name, table in registries.items() if isinstance(registries, dict) else ():
        if not isinstance(table, dict):
            continue
        host = f"host={api_host(name)}"
        if table.get("insecure") is True:
            yield host, "insecure=true"
        for file in _listed(table, "ca"):
            yield host, f"ca={Path(str(file)).absolute()}"
        for pair in _listed(table, "keypair"):
            if isinstance(pair, dict) and "cert" in pair and "key" in pair:
                yield host, *(f"{part}={Path(str(pair[part])).absolute()}" for part in ("cert", "key"))


def _listed(table: Tables, key: str) -> list[object]:
    value = table.get(key)
    return value if isinstance(value, list) else []


def _refuse(settings: BuildSettings) -> None:
    """A BuildKit that runs already has a configuration; what is asked of it here would be lost in silence."""
    asked = [settings.origin(name) for name in _OF_THE_DAEMON if getattr(settings, name)]
    if settings.origin("state_dir").startswith("--"):  # a variable may be there for other runs
        asked.append(settings.origin("state_dir"))
    if asked:
        raise UsageError(
            f"the BuildKit at {settings.addr} runs already and cannot be configured from here",
            why=f"asked for: {', '.join(asked)}",
            do="configure that daemon itself, or leave out --addr (and BUILDKIT_HOST)",
        )


def _wanted(settings: BuildSettings) -> Iterator[tuple[tuple[str, ...], object, str]]:
    mirrors = [mirror for mirror in settings.registry_mirrors if mirror]
    if mirrors:
        yield ("registry", "docker.io", "mirrors"), mirrors, settings.origin("registry_mirrors")
    if settings.max_used_space is not None:
        yield ("worker", "oci", "maxUsedSpace"), str(settings.max_used_space), settings.origin("max_used_space")
    yield from _of_registries(settings)


def _allow(tables: Tables, settings: BuildSettings, *, other: str) -> None:
    """Let the daemon permit what the build asks for, besides what the text permits."""
    from ocibuild_core.inputs import entitlements  # noqa: PLC0415  # most builds ask for none

    name = next((key for key in tables if key.lower() == _ENTITLEMENTS), _ENTITLEMENTS)
    said = tables.setdefault(name, [])
    if not isinstance(said, list):
        by = settings.origin("allow" if settings.allow else "network")
        raise UsageError(f"{other}: {name!r} is no list", why=f"{by} adds to it")
    said += [one for one in entitlements(settings) if one not in said]


def _of_registries(settings: BuildSettings) -> Iterator[tuple[tuple[str, ...], object, str]]:
    """How each registry is spoken to.

    BuildKit takes a registry on loopback for one without TLS; who says something of a certificate means TLS.
    """
    by = settings.origin("registry_http")
    for host in (host for text in settings.registry_http for host in _hosts(text, by)):
        yield ("registry", host, "http"), True, by
    by = settings.origin("registry_insecure")
    for host in (host for text in settings.registry_insecure for host in _hosts(text, by)):
        yield ("registry", host, "insecure"), True, by
        yield ("registry", host, "http"), False, by
    for pair in settings.registry_certs:
        file = Path(pair.value).absolute()
        _check_authority(file, pair)
        for host in _hosts(pair.key, pair.origin):
            yield ("registry", host, "ca"), [str(file)], pair.origin
            yield ("registry", host, "http"), False, pair.origin


def _hosts(text: str, origin: str) -> Iterator[str]:
    """The names of a registry's tables: BuildKit compares them, letter by letter, with the host of a reference."""
    from ocibuild_core.registry.hosts import parse  # noqa: PLC0415  # most builds say nothing of registries

    registry, path = parse(text, what=origin)
    if path:
        do = f"give the registry alone: {registry}"
        raise UsageError(f"{origin}: {text.strip()!r} is no registry", why="it has a path", do=do)
    yield registry
    if text.strip().rstrip("/").endswith(":443"):
        yield f"{registry}:443"  # as a reference may write it, too


def _check_authority(file: Path, pair: Pair) -> None:
    """Of a file without a certificate BuildKit says nothing, and then trusts nobody."""
    named = f"{pair.origin} {pair.key}:"
    if not is_file(file):
        raise UsageError(f"{named} there is no file {pair.value}", why=closed(file))
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{named} cannot read {pair.value}", why=error.strerror or str(error)) from None
    if _CERTIFICATE not in content:
        do = "name a file with the authority's certificate as PEM"
        raise UsageError(f"{named} {pair.value} holds no certificate", why=f"no line {_CERTIFICATE.decode()!r}", do=do)


def _parse(text: str, origin: str) -> Tables:
    import tomllib  # noqa: PLC0415  # only where there is such a text

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{origin} is no TOML", why=str(error)) from None


def _put(tables: Tables, path: tuple[str, ...], value: object, *, by: str, other: str) -> None:
    """Set one key, unless the text has it with another value."""
    here = tables
    for key in path[:-1]:
        here = here.setdefault(key, {})
        if not isinstance(here, dict):
            raise UsageError(f"{other}: {key!r} is no table", why=f"{by} needs one of that name")
    if here.setdefault(path[-1], value) != value:
        table = ".".join(f'"{key}"' if "." in key else key for key in path[:-1])
        raise UsageError(
            f"{by} and {other} both set {path[-1]!r} in the table [{table}] of buildkitd.toml",
            do=f"say it in one of them: leave {path[-1]!r} out of {other}, or unset {by}",
        )
