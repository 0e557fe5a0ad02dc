"""Which cache mounts a Dockerfile has, as far as they can be kept. Pure."""

from __future__ import annotations

import hashlib
import posixpath
import re
from typing import TYPE_CHECKING

from ocibuild_core.csv_fields import split_fields
from ocibuild_core.dockerfile import needed_instructions
from ocibuild_core.errors import UsageError
from ocibuild_core.records import NamedTuple
from ocibuild_core.shell_words import expand, split_flags

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = r"\$\{?([a-zA-Z_][a-zA-Z0-9_]*)"
_PAIR = r"([a-zA-Z_][a-zA-Z0-9_]*)=(\"(?:[^\"\\]|\\.)*\"|'[^']*'|\S*)"
_TARGETS = ("target", "dst", "destination")
_ORIGINS = ("from", "source", "src")
_PERMISSIONS = ("uid", "gid", "mode")


class CacheMount(NamedTuple):
    """One cache mount, by all that BuildKit knows it by (solver/llbsolver/mounts/mount.go in moby/buildkit).

    Args:
        id: its name; BuildKit's default is the target.
        permissions: `uid=…`, `gid=…`, `mode=…` as written: they are part of what it is known by.
    """

    id: str
    permissions: tuple[str, ...]

    @property
    def file_name(self) -> str:
        """Of its archive: readable, and of this mount alone."""
        readable = re.sub("[^a-zA-Z0-9]+", "-", self.id).strip("-")[:40]
        digest = hashlib.sha256(repr(tuple(self)).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return f"{readable or 'mount'}-{digest}.tar.gz"


class FoundMounts(NamedTuple):
    """What a Dockerfile has.

    Args:
        mounts: each once, in the order of the file.
        others: what cannot be kept, as a person would say it.
    """

    mounts: tuple[CacheMount, ...]
    others: tuple[str, ...]


def cache_mounts(
    text: str, *, target: str | None, build_args: Mapping[str, str], platform_args: Mapping[str, str]
) -> FoundMounts:
    """The cache mounts of all RUN instructions that building `target` needs.

    Args:
        text: the Dockerfile.
        target: the stage; None means the last one.
        build_args: those of the build.
        platform_args: what `TARGETARCH` and its kin hold, where that is one value.
    """
    known = {**platform_args, **build_args}
    mounts: dict[CacheMount, None] = {}
    others: dict[str, None] = {}
    for instruction in needed_instructions(text, target=target, build_args=build_args):
        if instruction.keyword in ("ARG", "ENV"):
            _learn(instruction.keyword, instruction.rest, known, build_args)
        if instruction.keyword != "RUN":
            continue
        for fields in _mount_flags(instruction.rest):
            mount = _mount(fields, known)
            if isinstance(mount, CacheMount):
                mounts[mount] = None
            elif mount:
                others[f"line {instruction.line}: {mount}"] = None
    return FoundMounts(tuple(mounts), tuple(others))


def _learn(keyword: str, rest: str, known: dict[str, str], build_args: Mapping[str, str]) -> None:
    for name, value in re.findall(_PAIR, rest):
        if keyword == "ARG" and name in build_args:
            continue
        expanded = _expanded(value.strip("\"'"), known)
        if expanded is None:
            known.pop(name, None)
        else:
            known[name] = expanded


def _mount_flags(rest: str) -> list[dict[str, str]]:
    """The fields of each `--mount`, keys in lower case."""
    found = []
    for name, value in split_flags(rest)[0]:
        if name != "mount":
            continue
        try:
            fields = split_fields(value, "RUN --mount")
        except UsageError:  # BuildKit will say so
            continue
        pairs = (field.partition("=")[::2] for field in fields)
        found.append({key.strip().lower(): value for key, value in pairs})
    return found


def _mount(fields: Mapping[str, str], known: Mapping[str, str]) -> CacheMount | str:
    """The mount; empty when it is none, or why it is not kept."""
    if fields.get("type") != "cache":
        return ""
    target = next((fields[name] for name in _TARGETS if fields.get(name)), "")
    written = fields.get("id") or (posixpath.normpath(target) if target else "")
    shown = f"the cache mount {written or target}"
    if any(fields.get(name) for name in _ORIGINS):
        return f"{shown} begins with files of an image"
    values = {"id": written, **{name: fields[name] for name in _PERMISSIONS if fields.get(name)}}
    expanded = {name: _expanded(value, known) for name, value in values.items()}
    if not expanded["id"] or None in expanded.values():
        return f"what {shown} is called is known to BuildKit alone"
    permissions = tuple(f"{name}={value}" for name, value in expanded.items() if name != "id")
    return CacheMount(expanded["id"], permissions)


def _expanded(text: str, known: Mapping[str, str]) -> str | None:
    """The text with its variables; None when one is not known here."""
    if any(name not in known for name in re.findall(_NAME, text)):
        return None
    return expand(text, known)
