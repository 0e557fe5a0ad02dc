"""From sources to `BuildSettings`: precedence, merging, the files that settings name."""

from __future__ import annotations

from pathlib import Path

from ocibuild_core.errors import OcibuildError, UsageError, raise_all
from ocibuild_core.settings.fields import Field, Kind
from ocibuild_core.settings.model import BuildSettings, Pair
from ocibuild_core.settings.sources import CommandLine, Found
from ocibuild_core.settings.table import FIELDS
from ocibuild_core.settings.values import split_pair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ocibuild_core.settings.sources import Source

_BY_NAME = {field.name: field for field in FIELDS}
_PAIRS = (Kind.PAIRS, Kind.NAMED)
_UNIQUE = tuple(field.name for field in FIELDS if field.kind in _PAIRS)
"""Of one key the last holds."""
_PATHS = (
    *("target_file", "build_args_file", "labels_file", "state_dir", "iidfile", "metadata_file"),
    *("tls_dir", "tls_ca", "tls_cert", "tls_key"),
)
_YAML_SUFFIXES = (".yml", ".yaml")


def resolve(sources: Sequence[Source]) -> BuildSettings:
    """The settings of a build.

    Args:
        sources: highest precedence first. Of most fields the first value holds; pairs are collected from all of
            them, and of one key the highest wins.

    Raises:
        UsageError: a value is malformed or a file that one names cannot be read; several are reported together.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    errors: list[OcibuildError] = []
    for field in FIELDS:
        try:
            found = _collect_pairs(field, sources) if field.kind in _PAIRS else _first(field, sources)
        except OcibuildError as error:
            errors.append(error)
            continue
        values[field.name] = found.value if found else field.default
        if found:
            origins[field.name] = found.origin
    raise_all(errors)
    for name in _PATHS:
        values[name] = Path(values[name]) if values[name] else None
    settings = BuildSettings(**values, origins=origins)
    return _with_files(settings, sources)


def _first(field: Field, sources: Sequence[Source]) -> Found | None:
    return next((found for source in sources if (found := source.find(field))), None)


def _collect_pairs(field: Field, sources: Sequence[Source]) -> Found | None:
    """Pairs of every source, lowest precedence first, so that the last of a key is the one that holds."""
    found = [item for source in reversed(sources) if (item := source.find(field))]
    if not found:
        return None
    pairs = tuple(pair for item in found if isinstance(item.value, tuple) for pair in item.value)
    return Found(pairs, found[-1].origin)


def _with_files(settings: BuildSettings, sources: Sequence[Source]) -> BuildSettings:
    """Read the files that settings name. A file's pairs win over the environment's, flags win over both."""
    changes: dict[str, Any] = {}
    if settings.target_file:
        text = _read(settings.target_file, settings.origin("target_file"))
        changes["target"] = text.strip() or None
    for name in ("build_args", "labels"):
        path = getattr(settings, f"{name}_file")
        if path:
            origin = settings.origin(f"{name}_file")
            allow_yaml = name == "build_args"
            from_file = _pairs_of_file(path, origin, allow_yaml=allow_yaml)
            flags = next((source for source in sources if isinstance(source, CommandLine)), None)
            from_flags = flags.find(_BY_NAME[name]) if flags else None
            last = from_flags.value if from_flags else ()
            changes[name] = (*getattr(settings, name), *from_file, *last)  # type: ignore[misc]  # PAIRS give a tuple
    changes |= {
        name: tuple({pair.key: pair for pair in changes.get(name, getattr(settings, name))}.values())
        for name in _UNIQUE
    }
    return settings._replace(**changes)


def _pairs_of_file(path: Path, origin: str, *, allow_yaml: bool) -> tuple[Pair, ...]:
    text = _read(path, origin)
    named = f"{origin} {path}"
    if allow_yaml and path.suffix in _YAML_SUFFIXES:
        return _pairs_of_yaml(text, named)
    pairs = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line:
            continue
        try:
            key, value = split_pair(line)
        except ValueError as error:
            raise UsageError(f"{named}, line {number}: {error}", do="write NAME=VALUE") from None
        pairs.append(Pair(key=key, value=value, origin=named))
    return tuple(pairs)


def _pairs_of_yaml(text: str, named: str) -> tuple[Pair, ...]:
    """A map of scalars that keep their raw text."""
    from ocibuild_core.settings.yaml_text import parse_texts  # noqa: PLC0415  # only a YAML file needs it

    document = parse_texts(text, named=named)
    if document is None or document == "":
        return ()
    if not isinstance(document, dict):
        raise UsageError(f"{named}: a YAML map is expected", do="write NAME: VALUE lines")
    nested = [key for key, value in document.items() if not isinstance(value, str)]
    if nested:
        raise UsageError(f"{named}: the value of {nested[0]!r} is nested", do="give each name one plain value")
    return tuple(Pair(key=key, value=value, origin=named) for key, value in document.items())


def _read(path: Path, origin: str) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise UsageError(f"{origin}: cannot read {path}", why=error.strerror or str(error)) from None
