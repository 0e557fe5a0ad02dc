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

    from ocibuild_core.dockerfile import Instruction

_NAME = r"\$\{?([a-zA-Z_][a-zA-Z0-9_]*)"
_VALUE = r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|\S*"
_SET = rf"(?<!\S)([a-zA-Z_][a-zA-Z0-9_]*)(?:(=)({_VALUE}))?"
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
    variables = _Variables(build_args, platform_args)
    mounts: dict[CacheMount, None] = {}
    others: dict[str, None] = {}
    for instruction in needed_instructions(text, target=target, build_args=build_args):
        variables.take(instruction)
        if instruction.keyword != "RUN":
            continue
        for fields in _mount_flags(instruction.rest):
            mount = _mount(fields, variables.known)
            if isinstance(mount, CacheMount):
                mounts[mount] = None
            elif mount:
                others[f"line {instruction.line}: {mount}"] = None
    return FoundMounts(tuple(mounts), tuple(others))


class _Variables:
    """What is known in each stage: what it sets itself, or the stage that it is built from.

    Source: moby/buildkit, frontend/dockerfile/dockerfile2llb/convert.go, `dispatchArg` and `dispatchEnv`.

    Attributes:
        known: in the stage of the last instruction.
    """

    def __init__(self, build_args: Mapping[str, str], platform_args: Mapping[str, str]) -> None:
        self._given = build_args
        self._before_stages = dict(platform_args)
        self._stages: dict[str, dict[str, str]] = {}
        self.known = self._before_stages

    def take(self, instruction: Instruction) -> None:
        """Follow one instruction."""
        if instruction.keyword == "FROM":
            base, _, name = [*split_flags(instruction.rest)[1].lower().split(), "", "", ""][:3]
            self.known = dict(self._stages.get(base, {}))
            self._stages[name] = self.known
        elif instruction.keyword in ("ARG", "ENV"):
            for name, is_set, value in re.findall(_SET, instruction.rest):
                self._set(name, self._value(name, value if is_set else None, is_arg=instruction.keyword == "ARG"))

    def _value(self, name: str, written: str | None, *, is_arg: bool) -> str | None:
        if is_arg and name in self._given:
            return self._given[name]
        if written is not None:
            return _expanded(written.strip("\"'"), self.known)
        return self._before_stages.get(name, self.known.get(name)) if is_arg else None  # `ENV NAME VALUE`

    def _set(self, name: str, value: str | None) -> None:
        if value is None:
            self.known.pop(name, None)
        else:
            self.known[name] = value


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
        unknown = sorted(set(re.findall(_NAME, " ".join(values.values()))) - known.keys())
        missing = f": its stage sets no {', '.join(unknown)} (ARG, ENV)" if unknown else ""
        return f"what {shown} is called is known to BuildKit alone{missing}"
    permissions = tuple(f"{name}={value}" for name, value in expanded.items() if name != "id")
    return CacheMount(expanded["id"], permissions)


def _expanded(text: str, known: Mapping[str, str]) -> str | None:
    """The text with its variables; None when one is not known here."""
    if any(name not in known for name in re.findall(_NAME, text)):
        return None
    return expand(text, known)
