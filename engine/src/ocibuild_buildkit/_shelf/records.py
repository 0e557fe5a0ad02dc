"""The shape of versions.json."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Module(TypedDict):
    """A Go module that is linked into a tool; `std` is Go's own library."""

    path: str
    version: str
    sum: NotRequired[str]
    """As in go.sum; `std` has none."""
    licenses: list[str]
    """SPDX identifiers of the texts in the module."""


class CLibrary(TypedDict):
    """A Debian package whose static library is linked into a tool."""

    package: str
    version: str
    licenses: list[str]


class ToolVersion(TypedDict):
    """One program."""

    version: str
    module: str
    package: str
    go: str
    """The compiler, `go1.26.8`."""
    architecture: str
    """Go's name, `amd64`."""
    tags: list[str]
    cgo: bool
    size: int
    sha256: str
    modules: list[Module]
    c_libraries: list[CLibrary]


class Versions(TypedDict):
    """The whole file."""

    distribution: str
    version: str
    architecture: str
    tools: dict[str, ToolVersion]
