"""Which plugins are installed: the entry points of the group `ocibuild`, read straight from their files.

`importlib.metadata.entry_points()` gives the same answer, but importing it costs more than half of what importing
click does (it needs `email`, `zipfile`, `csv` and others), and it parses the metadata of everything that is installed.
Here one `scandir` a directory and one small read a distribution do; `importlib.metadata` is left for what only it can
read (archives on `sys.path`, finders of other origin). For the same reason the records of this room that every start
defines are named tuples: a frozen dataclass takes several times as long to define.

The format: https://packaging.python.org/en/latest/specifications/entry-points/
"""
# pathlib takes several times as long as os.path, and this looks at everything that is installed at every start.
# ruff: noqa: PTH113, PTH119, PTH123, PTH208

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from ocibuild_core.hooks import PROJECT
from ocibuild_core.plugin_problems import printable
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

UNKNOWN_VERSION = "of unknown version"

# What the group's name must look like in the file for the file to be worth parsing.
_MARK = PROJECT.encode()
_SEPARATORS = re.compile(r"[-_.]+")


class EntryPoint(NamedTuple):
    """One line of the group `ocibuild` in the metadata of a distribution.

    Args:
        id: the plugin's id: what stands left of the `=`.
        value: what stands right of it: `module` or `module:attribute`.
        distribution: what pip installed.
        version: its version, or `UNKNOWN_VERSION`.
        metadata: the distribution's metadata directory, empty when it has none of its own.
    """

    id: str
    value: str
    distribution: str
    version: str
    metadata: str


def discover(path: Sequence[str]) -> list[EntryPoint]:
    """The entry points of every distribution on `path` (a list like `sys.path`), by id, then by distribution.

    A distribution that is there several times counts once, the first on `path` wins: it is what an import finds.
    """
    found: list[EntryPoint] = []
    seen: set[str] = set()
    for distribution, entries in _distributions(path):
        if distribution not in seen:
            seen.add(distribution)
            found += entries
    return sorted((_shown(entry) for entry in found), key=lambda entry: (entry.id, entry.distribution))


def normalised(distribution: str) -> str:
    """The name by which two spellings of one distribution are equal (PEP 503)."""
    return _SEPARATORS.sub("-", distribution).lower()


def _shown(entry: EntryPoint) -> EntryPoint:
    """The entry point as messages may show it: metadata are text of the plugin's."""
    return entry._replace(
        id=printable(entry.id),
        distribution=printable(entry.distribution),
        version=printable(entry.version),
    )


def _distributions(path: Sequence[str]) -> Iterator[tuple[str, list[EntryPoint]]]:
    for directory in dict.fromkeys(path):
        if os.path.isfile(directory):
            yield from _through_importlib([directory])
        else:
            yield from _in_directory(directory or os.curdir)
    # An importer of another origin may know distributions that no directory shows.
    if any(_is_foreign_finder(finder) for finder in sys.meta_path):
        yield from _through_importlib(path)


def _is_foreign_finder(finder: object) -> bool:
    return hasattr(finder, "find_distributions") and getattr(finder, "__module__", "") != "_frozen_importlib_external"


def _in_directory(directory: str) -> Iterator[tuple[str, list[EntryPoint]]]:
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in names:
        # pip renames what it is about to remove to `~…`; it is no longer installed.
        if name.endswith((".dist-info", ".egg-info", "EGG-INFO")) and not name.startswith("~"):
            entries = _in_metadata(directory + os.sep + name)
            if entries:
                yield normalised(entries[0].distribution), entries


def _in_metadata(metadata: str) -> list[EntryPoint]:
    try:
        with open(metadata + os.sep + "entry_points.txt", "rb") as file:
            content = file.read()
    except OSError:
        return []
    if _MARK not in content:
        return []
    group = list(_group(content.decode(errors="replace").splitlines()))
    if not group:
        return []
    distribution, version = _name_and_version(metadata)
    return [
        EntryPoint(id=id_, value=value, distribution=distribution, version=version, metadata=metadata)
        for id_, value in group
    ]


def _group(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    inside = False
    for raw in lines:
        line = raw.strip()
        if line.startswith("["):
            inside = line[1:].rstrip("]").strip() == PROJECT
        elif inside and line and not line.startswith(("#", ";")):
            id_, _, value = line.partition("=")
            yield id_.strip(), value.strip()


def _name_and_version(metadata: str) -> tuple[str, str]:
    """Name and version from the core metadata, from the directory's name where it does not tell."""
    stem = os.path.basename(metadata).rpartition(".")[0]
    name, _, version = stem.partition("-")
    header = _header(metadata)
    return header.get("name") or name or "a distribution without a name", (
        header.get("version") or version or UNKNOWN_VERSION
    )


def _header(metadata: str) -> dict[str, str]:
    for file_name in ("METADATA", "PKG-INFO"):
        try:
            with open(metadata + os.sep + file_name, encoding="utf-8", errors="replace") as file:
                return _name_and_version_fields(file)
        except OSError:
            continue
    return {}


def _name_and_version_fields(lines: Iterable[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        key, colon, value = line.partition(":")
        if not colon or len(fields) == 2:  # noqa: PLR2004  # name and version
            break
        if key.lower() in ("name", "version"):
            fields[key.lower()] = value.strip()
    return fields


def _through_importlib(path: Sequence[str]) -> Iterator[tuple[str, list[EntryPoint]]]:
    from importlib import metadata  # noqa: PLC0415  # see the module's docstring

    for distribution in metadata.distributions(path=list(path)):
        name = distribution.metadata["Name"] or "a distribution without a name"
        entries = [
            EntryPoint(
                id=entry.name,
                value=entry.value,
                distribution=name,
                version=distribution.version or UNKNOWN_VERSION,
                metadata="",
            )
            for entry in distribution.entry_points
            if entry.group == PROJECT
        ]
        if entries:
            yield normalised(name), entries
