"""All parts of one wheel together: what goes where in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gowheel.cache import Cache, cache_key, cache_root
from gowheel.ctoolchain import find_toolchain
from gowheel.errors import WheelError
from gowheel.golang import TOOLCHAIN_VARIABLE, Go, toolchain
from gowheel.parts import DESCRIPTION, Part
from gowheel.recipe import read_module
from gowheel.target import choose_target, find_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from gowheel.ctoolchain import CToolchain
    from gowheel.recipe import Tool
    from gowheel.target import Target

VERSIONS = "versions.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """The finished content of a wheel: paths inside it, each with the file that goes there."""

    target: Target
    key: str
    files: Mapping[str, Path]
    tools: Mapping[str, Any]
    """Each tool's description."""

    def versions(self, distribution: str, version: str) -> str:
        """The text of versions.json."""
        head = {"distribution": distribution, "version": version, "architecture": self.target.goarch}
        return json.dumps({**head, "tools": dict(self.tools)}, indent=1) + "\n"


def gather(
    root: Path, tools: tuple[Tool, ...], *, environ: Mapping[str, str], machine: str, say: Callable[[str], None]
) -> Shipment:
    """Compile what the cache doesn't have, and put all together."""
    target = choose_target(environ, machine)
    # All of them first: what is missing shows before minutes of compiling, not after.
    parts = [
        plan_part(root / "go" / tool.name, tool, target=target, environ=environ, machine=machine) for tool in tools
    ]
    cache = Cache(root=cache_root(environ))
    entries: dict[str, Path] = {}
    for part in parts:

        def make(directory: Path, part: Part = part) -> None:
            what = f"{part.tool.name} {part.module.version} for {target.goarch}"
            say(f"compiling {what}; minutes when nothing is cached")
            part.make(directory, go=Go.find(environ), environ=environ)

        entries[part.tool.name] = cache.get(part.name, part.key(), make)
    return Shipment(
        target=target,
        key=cache_key([entry.name for entry in entries.values()]),
        files={place: path for entry in entries.values() for place, path in _places(entry)},
        tools={name: json.loads((entry / DESCRIPTION).read_text(encoding="utf-8")) for name, entry in entries.items()},
    )


def plan_part(directory: Path, tool: Tool, *, target: Target, environ: Mapping[str, str], machine: str) -> Part:
    """Find out everything that decides what a tool's binary is, without compiling it."""
    return Part(
        tool=tool,
        module=read_module(directory),
        target=target,
        go_version=Go.find(environ).version(directory) if environ.get(TOOLCHAIN_VARIABLE) else toolchain(environ),
        c_toolchain=_c_toolchain(tool, target, environ, machine) if tool.cgo else None,
    )


def _c_toolchain(tool: Tool, target: Target, environ: Mapping[str, str], machine: str) -> CToolchain:
    native = find_target(machine).machine
    try:
        return find_toolchain(target, native_machine=native, libraries=tool.libraries, environ=environ)
    except WheelError as error:
        raise WheelError(f"{tool.name}: {error}") from error


def _places(entry: Path) -> list[tuple[str, Path]]:
    files = sorted(path for folder in ("bin", "licenses") for path in (entry / folder).rglob("*") if path.is_file())
    return [(str(path.relative_to(entry)), path) for path in files]
