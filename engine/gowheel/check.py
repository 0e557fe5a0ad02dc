"""A last look at a built wheel, before anybody installs it.

    PYTHONPATH=engine python -m gowheel.check dist/ocibuild_*-manylinux*.whl

Needs no program of the wheel's architecture: it reads, it runs nothing.
"""

from __future__ import annotations

import email
import hashlib
import json
import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gowheel.elf import read_program
from gowheel.errors import WheelError
from gowheel.target import Target, find_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LARGEST = 45_000_000
PROGRAM_MODE = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """What a wheel file says and holds."""

    path: Path
    carried: str
    """The folder inside it, with a slash."""
    modes: dict[str, int]
    """Permission bits by name."""
    versions: dict[str, Any]
    license_expression: str

    @property
    def target(self) -> Target:
        """The architecture that it claims to be for."""
        return find_target(self.versions["architecture"])

    def read(self, name: str) -> bytes:
        """One file's content."""
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(name)


def open_wheel(path: Path) -> Wheel:
    """Read a wheel; WheelError if it isn't one of ours."""
    with zipfile.ZipFile(path) as archive:
        modes = {entry.filename: entry.external_attr >> 16 & 0o7777 for entry in archive.infolist()}
        manifests = [name for name in modes if name.endswith("/carried/versions.json")]
        if len(manifests) != 1:
            raise WheelError(f"{path}: has {len(manifests)} carried/versions.json, not one")
        metadata = next(name for name in modes if name.endswith(".dist-info/METADATA"))
        return Wheel(
            path=path,
            carried=manifests[0].removesuffix("versions.json"),
            modes=modes,
            versions=json.loads(archive.read(manifests[0])),
            license_expression=email.message_from_bytes(archive.read(metadata))["License-Expression"],
        )


def problems(wheel: Wheel) -> Iterator[str]:
    """Everything that is wrong with a wheel, in words."""
    size = wheel.path.stat().st_size
    if size > LARGEST:
        yield f"{size} bytes; more than {LARGEST} is too much for a download"
    if not wheel.path.name.endswith(f"-{wheel.target.wheel_tag}.whl"):
        yield f"its name should end with {wheel.target.wheel_tag}.whl"
    yield from _missing_or_extra(wheel)
    for name, tool in wheel.versions["tools"].items():
        yield from (f"{name}: {problem}" for problem in _program_problems(wheel, name, tool))
        yield from (f"{name}: {problem}" for problem in _licence_problems(wheel, tool))
    yield from _expression_problems(wheel)


def _missing_or_extra(wheel: Wheel) -> Iterator[str]:
    folder = f"{wheel.carried}bin/"
    there = {name.removeprefix(folder) for name in wheel.modes if name.startswith(folder)}
    listed = set(wheel.versions["tools"])
    yield from (f"{name}: listed in versions.json, but not there" for name in sorted(listed - there))
    yield from (f"{name}: there, but not listed in versions.json" for name in sorted(there - listed))


def _program_problems(wheel: Wheel, name: str, tool: dict[str, Any]) -> Iterator[str]:
    place = f"{wheel.carried}bin/{name}"
    if place not in wheel.modes:
        return
    if wheel.modes[place] != PROGRAM_MODE:
        yield f"mode {wheel.modes[place]:o}, not {PROGRAM_MODE:o}"
    content = wheel.read(place)
    if hashlib.sha256(content).hexdigest() != tool["sha256"]:
        yield "has another SHA-256 than versions.json says"
    try:
        program = read_program(content)
    except ValueError as error:
        yield str(error)
        return
    if program.machine != wheel.target.elf_machine:
        yield f"is for ELF machine {program.machine}, the wheel for {wheel.target.elf_machine}"
    if not program.is_static:
        yield "needs a dynamic linker"
    if program.has_symbols:
        yield "is not stripped"


def _licence_problems(wheel: Wheel, tool: dict[str, Any]) -> Iterator[str]:
    folders = [f"{module['path']}@{module['version']}" for module in tool["modules"]]
    folders += [f"debian/{library['package']}@{library['version']}" for library in tool["c_libraries"]]
    for folder in folders:
        if not any(name.startswith(f"{wheel.carried}licenses/{folder}/") for name in wheel.modes):
            yield f"no licence of {folder}"


def _expression_problems(wheel: Wheel) -> Iterator[str]:
    tools = wheel.versions["tools"].values()
    rows = [row for tool in tools for row in (*tool["modules"], *tool["c_libraries"])]
    linked = {identifier for row in rows for identifier in row["licenses"]}
    declared = set(re.split(r" AND ", wheel.license_expression))
    yield from (f"pyproject.toml does not name the licence {name}" for name in sorted(linked - declared))
    yield from (f"pyproject.toml names the licence {name}, which nothing has" for name in sorted(declared - linked))


def main(arguments: Iterable[str]) -> int:
    """Check wheel files; 1 if any has a problem, 2 if there is none to check."""
    paths = [Path(argument) for argument in arguments]
    if not paths:
        sys.stderr.write("usage: python -m gowheel.check WHEEL…\n")
        return 2
    found = [f"{path.name}: {problem}\n" for path in paths for problem in problems(open_wheel(path))]
    sys.stderr.writelines(found)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
