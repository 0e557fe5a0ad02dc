"""What a wheel carries: the tools that pyproject.toml names and the Go modules that pin them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gowheel.errors import WheelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TOOL_DIRECTIVE = re.compile(r"^tool\s+(\S+)$", re.MULTILINE)
REQUIREMENT = re.compile(r"^(?:require)?\s+(\S+)\s+(v\S+)", re.MULTILINE)
OWN_MODULE = re.compile(r"^module\s+(\S+)$", re.MULTILINE)
NO_VERSION = "(devel)"
"""What Go records as the version of a module that lies where it is built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One program, as a table `tools` entry of the hook's configuration describes it."""

    name: str
    cgo: bool = False
    tags: tuple[str, ...] = ()
    ldflags: str = ""
    """Beside those that every tool gets; `{version}` stands for the module's version (`v1.2.3`)."""
    libraries: tuple[str, ...] = ()
    """C libraries that cgo links, as the linker names them (`seccomp`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoModule:
    """The small module of our own that pins one tool and all that it is made of, or holds its sources."""

    directory: Path
    package: str
    """The import path that the `tool` directive names."""
    path: str
    """The module that holds the package."""
    version: str
    """Of that module, with its `v`; `NO_VERSION` for a program of our own."""
    go_mod: bytes
    go_sum: bytes
    sources: Mapping[str, bytes]
    """By name, of a program of our own; all others are fixed by go.sum."""


def read_tools(config: Mapping[str, Any]) -> tuple[Tool, ...]:
    """The tools of a hook configuration."""
    try:
        tools = tuple(_read_tool(entry) for entry in config["tools"])
    except (KeyError, TypeError) as error:
        raise WheelError(f"pyproject.toml, tool.hatch.build.targets.wheel.hooks.custom.tools: {error!r}") from error
    if not tools:
        raise WheelError("pyproject.toml, tool.hatch.build.targets.wheel.hooks.custom.tools: names no tool")
    return tools


def _read_tool(entry: Mapping[str, Any]) -> Tool:
    lists = {key: tuple(entry.get(key, ())) for key in ("tags", "libraries")}
    return Tool(**{**entry, **lists})


def read_module(directory: Path) -> GoModule:
    """The module in `directory`, which must have one `tool` directive and hold that package, or require what does."""
    go_mod = (directory / "go.mod").read_bytes()
    text = go_mod.decode()
    packages = TOOL_DIRECTIVE.findall(text)
    if len(packages) != 1:
        raise WheelError(f"{directory / 'go.mod'}: needs one `tool` directive, has {len(packages)}")
    package = packages[0]
    path, version = _holder(directory, text, package)
    is_own = version == NO_VERSION
    return GoModule(
        directory=directory,
        package=package,
        path=path,
        version=version,
        go_mod=go_mod,
        go_sum=b"" if is_own else (directory / "go.sum").read_bytes(),
        sources={file.name: file.read_bytes() for file in sorted(directory.glob("*.go"))} if is_own else {},
    )


def _holder(directory: Path, go_mod: str, package: str) -> tuple[str, str]:
    """The module that holds the package, and its version."""
    if package in OWN_MODULE.findall(go_mod):
        return package, NO_VERSION
    # The longest wins: a nested module (…/kit/v3) is not its parent's (…/kit).
    holders = sorted(
        ((path, version) for path, version in REQUIREMENT.findall(go_mod) if f"{package}/".startswith(f"{path}/")),
        key=lambda holder: len(holder[0]),
    )
    if not holders:
        raise WheelError(
            f"{directory / 'go.mod'}: requires no module that holds {package}; run: go get -tool {package}@VERSION"
        )
    return holders[-1]
