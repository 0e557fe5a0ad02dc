"""From sources to `BuildSettings`: precedence, merging, the files that settings name."""

from __future__ import annotations

from pathlib import Path

from ocibuild_core.errors import OcibuildError, UsageError, raise_all
from ocibuild_core.settings.fields import Field, Kind
from ocibuild_core.settings.model import BuildSettings, Pair
from ocibuild_core.settings.sources import CommandLine, Found, checked_key, refuse_unpassable
from ocibuild_core.settings.table import FIELDS
from ocibuild_core.settings.values import split_pair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ocibuild_core.settings.sources import Source

_PAIRS = (Kind.PAIRS, Kind.NAMED)
_FILE_FIELDS = ("target_file", "build_args_file", "labels_file")
_FILES = {field.name.removesuffix("_file"): field for field in FIELDS if field.name in _FILE_FIELDS}
"""By the field that a file stands for: the one that names it."""
_LARGEST = 16 * 1024 * 1024
_PATHS = (
    *(*_FILE_FIELDS, "state_dir", "iidfile", "metadata_file"),
    *("tls_dir", "tls_ca", "tls_cert", "tls_key"),
)
_YAML_SUFFIXES = (".yml", ".yaml")


def resolve(sources: Sequence[Source]) -> BuildSettings:
    """The settings of a build.

    Args:
        sources: highest precedence first. Of most fields the first value holds; pairs are collected from all of
            them, and of one key the highest wins. A file that a setting names counts as what names it.

    Raises:
        UsageError: a value is malformed or a file that one names cannot be read; several are reported together.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    errors: dict[str, OcibuildError] = {}
    for field in FIELDS:
        try:
            found = _find(field, sources)
        except OcibuildError as error:
            errors[str(error)] = error  # of a file's name twice: for its own field, and for the one that it stands for
            continue
        values[field.name] = found.value if found else field.default
        if found:
            origins[field.name] = found.origin
    raise_all(list(errors.values()))
    for name in _PATHS:
        values[name] = Path(values[name]) if values[name] else None
    return BuildSettings(**values, origins=origins)


def _find(field: Field, sources: Sequence[Source]) -> Found | None:
    if field.kind in _PAIRS:
        return _collect_pairs(field, sources)
    found = _first_with_file(field, sources) if field.name == "target" else _first(field, sources)
    if found:
        refuse_unpassable(found.value, found.origin)
    return found


def _first(field: Field, sources: Sequence[Source]) -> Found | None:
    return next((found for source in sources if (found := source.find(field))), None)


def _first_with_file(field: Field, sources: Sequence[Source]) -> Found | None:
    """As `_first`; in a source that names a file, that counts, even if there is nothing in it."""
    for source in sources:
        if named := source.find(_FILES[field.name]):
            return Found(_read(named).strip() or None, f"{named.origin} {named.value}")
        if found := source.find(field):
            return found
    return None


def _collect_pairs(field: Field, sources: Sequence[Source]) -> Found | None:
    """Pairs of every source, lowest precedence first: of a key the last holds.

    The first source that names a file has its pairs, too. They win over its own, as in the Concourse task, but not over
    flags, which are said one by one.
    """
    file = _FILES.get(field.name)
    naming = next((source for source in sources if file and source.find(file)), None)
    pairs: list[Pair] = []
    origin = ""
    for source in reversed(sources):
        own = source.find(field)
        named = naming.find(file) if naming and file and source is naming else None
        from_file = _pairs_of_file(named, allow_yaml=field.name == "build_args") if named else ()
        from_source = own.value if own and isinstance(own.value, tuple) else ()
        pairs += (*from_file, *from_source) if isinstance(source, CommandLine) else (*from_source, *from_file)
        origin = own.origin if own else f"{named.origin} {named.value}" if named else origin
    for pair in pairs:
        refuse_unpassable((pair.key, pair.value), pair.origin)
    return Found(tuple({pair.key: pair for pair in pairs}.values()), origin) if origin else None


def _pairs_of_file(file: Found, *, allow_yaml: bool) -> tuple[Pair, ...]:
    text = _read(file)
    named = f"{file.origin} {file.value}"
    if allow_yaml and str(file.value).endswith(_YAML_SUFFIXES):
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
    return tuple(Pair(key=checked_key(key, named), value=value, origin=named) for key, value in document.items())


def _read(file: Found) -> str:
    path = str(file.value)
    refuse_unpassable(path, file.origin)
    try:
        with open(path, "rb") as content:  # noqa: PTH123  # as a user wrote it
            read = content.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{file.origin}: cannot read {path}", why=error.strerror or str(error)) from None
    if len(read) > _LARGEST:
        raise UsageError(f"{file.origin}: {path} is larger than 16 MiB", do="name the right file")
    return read.decode("utf-8", "surrogateescape")
