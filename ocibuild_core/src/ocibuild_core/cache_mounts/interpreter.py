"""A directory with this Python interpreter and all that the courier loads: the file system of its step."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.errors import EngineError
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

COURIER = Path(__file__).with_name("courier.py")
_PROGRAM_HEADER = 56
_PT_INTERP = 3

_ASK = """
import json, runpy, sys
from importlib.machinery import PathFinder
for name in ("zlib", "bz2", "lzma"):  # shutil does without them, and so need not be carried
    sys.modules[name] = None
runpy.run_path(sys.argv[1], run_name="courier")
maps = {line.split(maxsplit=5)[5].rstrip("\\n") for line in open("/proc/self/maps") if "/" in line}
modules = {}
for name in list(sys.modules):
    # Not `__file__`: a module may have put another in its place, as `collections.abc` does.
    package = name.rpartition(".")[0]
    path = getattr(sys.modules[package], "__path__", ()) if package else None
    spec = PathFinder.find_spec(name, path)
    if spec and spec.has_location:
        modules[name] = spec.origin
print(json.dumps([sorted(maps), modules]))
"""


class Interpreter(NamedTuple):
    """How it is started in its directory.

    Args:
        command: the first words of the command.
        environment: what it needs.
    """

    command: tuple[str, ...]
    environment: dict[str, str]


def install(directory: Path) -> Interpreter:
    """Put the interpreter, its libraries, its modules and the courier into a directory. Raises EngineError.

    What is needed is asked of an interpreter that has loaded the courier: it differs with version and distribution.
    """
    for name in ("lib", "modules"):
        (directory / name).mkdir()
    mapped, modules = _ask()
    program = Path(os.path.realpath(sys.executable))
    loader = _loader(program)
    _copy(program, directory / "python")
    _copy(COURIER, directory / "courier.py")
    extensions = {os.path.realpath(file) for file in modules.values()}
    for library in map(Path, mapped):
        if library.is_file() and ".so" in library.name and str(library) not in extensions:
            _copy(library, directory / "lib" / library.name)
            for name in _other_names(library):
                (directory / "lib" / name).symlink_to(library.name)
    for name, file in modules.items():
        _copy(Path(file), directory / "modules" / _place(name, Path(file)))
    command: tuple[str, ...] = ("/python", "-S", "-B", "/courier.py")
    if loader:
        _copy(loader, directory / "loader")
        command = ("/loader", "--library-path", "/lib", *command)
    return Interpreter(command, {"PYTHONHOME": "/", "PYTHONPATH": "/modules"})


def _ask() -> tuple[list[str], dict[str, str]]:
    argv = [sys.executable, "-ISB", "-c", _ASK, str(COURIER)]
    asked = subprocess.run(argv, capture_output=True, check=False, env={})
    try:
        mapped, modules = json.loads(asked.stdout)
    except ValueError:
        raise EngineError(
            "the cache mounts cannot be reached", why=asked.stderr.decode(errors="replace").strip()[-500:]
        ) from None
    return mapped, modules


def _other_names(library: Path) -> Iterable[str]:
    """The names of links to a library beside it: the loader may look for one of them."""
    beside = (entry for entry in library.parent.iterdir() if entry.is_symlink() and ".so" in entry.name)
    return {entry.name for entry in beside if os.path.realpath(entry) == str(library)}


def _place(module: str, file: Path) -> str:
    if file.name.startswith("__init__."):
        return f"{module.replace('.', '/')}/{file.name}"
    return f"{'/'.join(module.split('.')[:-1])}/{file.name}".lstrip("/")


def _loader(program: Path) -> Path | None:
    """The program's dynamic loader (PT_INTERP of an ELF file, elf(5)); None when it is linked statically."""
    with program.open("rb") as file:
        header = file.read(64)
        (table,) = struct.unpack_from("=Q", header, 32)
        (count,) = struct.unpack_from("=H", header, 56)
        for position in range(count):
            file.seek(table + position * _PROGRAM_HEADER)
            entry = file.read(_PROGRAM_HEADER)
            if struct.unpack_from("=I", entry)[0] == _PT_INTERP:
                offset, size = (struct.unpack_from("=Q", entry, at)[0] for at in (8, 32))
                file.seek(offset)
                return Path(os.fsdecode(file.read(size).rstrip(b"\0")))
    return None


def _copy(source: Path, destination: Path) -> None:
    import shutil  # noqa: PLC0415  # only for builds that keep cache mounts

    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, destination)
    # Their times would make another context of the same files, and the engine would take them anew.
    destination.chmod(0o755)
    os.utime(destination, (0, 0))
