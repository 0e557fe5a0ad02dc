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
    """The small module of our own whose go.mod and go.sum pin one tool and all that it is made of."""

    directory: Path
    package: str
    """The import path that the `tool` directive names."""
    path: str
    """The module that holds the package."""
    version: str
    """Of that module, with its `v`."""
    go_mod: bytes
    go_sum: bytes


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
    """The module in `directory`, which must have one `tool` directive and require the module that holds it."""
    go_mod = (directory / "go.mod").read_bytes()
    text = go_mod.decode()
    packages = TOOL_DIRECTIVE.findall(text)
    if len(packages) != 1:
        raise WheelError(f"{directory / 'go.mod'}: needs one `tool` directive, has {len(packages)}")
    package = packages[0]
    # The longest wins: a nested module (…/kit/v3) is not its parent's (…/kit).
    holders = sorted(
        ((path, version) for path, version in REQUIREMENT.findall(text) if f"{package}/".startswith(f"{path}/")),
        key=lambda holder: len(holder[0]),
    )
    if not holders:
        raise WheelError(
            f"{directory / 'go.mod'}: requires no module that holds {package}; run: go get -tool {package}@VERSION"
        )
    path, version = holders[-1]
    return GoModule(
        directory=directory,
        package=package,
        path=path,
        version=version,
        go_mod=go_mod,
        go_sum=(directory / "go.sum").read_bytes(),
    )
