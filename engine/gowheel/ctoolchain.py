"""The C side of a tool that needs cgo: a compiler for the target, and libraries that can be linked statically."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gowheel.errors import WheelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gowheel.target import Target

# gcc links libgcc and libc into whatever it makes.
ALWAYS_LINKED = ("gcc", "c")
# By the name that the linker knows; what their copyright files say in prose. libgcc has none here: its runtime library
# exception sets the programs that are linked with it free of its terms.
LICENCES = {"seccomp": ("LGPL-2.1-only",), "c": ("LGPL-2.1-or-later",), "gcc": ()}
DOCUMENTS = Path("/usr/share/doc")
COMMON_LICENCE = re.compile(r"/usr/share/common-licenses/[A-Za-z0-9.+-]*[A-Za-z0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """One static library that gets linked."""

    name: str
    path: Path
    """Absolute; otherwise the compiler has no such library."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """The Debian package that a library comes from, and the texts that have to go along with it."""

    name: str
    version: str
    licences: tuple[str, ...]
    texts: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CToolchain:
    """A compiler with everything that it needs for one target."""

    compiler: str
    settings: Mapping[str, str]
    """For the environment of `go build`."""
    libraries: tuple[Library, ...]
    identity: tuple[str, ...]
    """Differs whenever compiler, linker or libraries do: what it makes may then differ too."""


def find_toolchain(
    target: Target, *, native_machine: str, libraries: Iterable[str], environ: Mapping[str, str]
) -> CToolchain:
    """The C toolchain for `target`; all that is missing makes one error, with the line that installs it."""
    is_native = target.machine == native_machine
    compiler = "gcc" if is_native else f"{target.triplet}-gcc"
    found = _find_libraries(compiler, (*libraries, *ALWAYS_LINKED), environ)
    programs = (compiler, "pkg-config")
    missing = [name for name in programs if shutil.which(name, path=environ.get("PATH")) is None]
    missing += [f"lib{library.name}.a" for library in found if not library.path.is_absolute()]
    if missing:
        raise WheelError(_missing_message(target, missing, libraries, is_native=is_native))
    settings = {"CC": compiler, "PKG_CONFIG": "pkg-config"}
    if not is_native:
        settings["PKG_CONFIG_LIBDIR"] = f"/usr/lib/{target.triplet}/pkgconfig:/usr/share/pkgconfig"
    return CToolchain(
        compiler=compiler, settings=settings, libraries=found, identity=_identity(compiler, found, environ)
    )


def _missing_message(target: Target, missing: list[str], libraries: Iterable[str], *, is_native: bool) -> str:
    return (
        f"no C toolchain for {target.goarch}: {', '.join(missing)} not found\n"
        "  why    this program has parts in C, and is linked statically with C libraries\n"
        f"  do     {install_line(target, libraries, is_native=is_native)}"
    )


def install_line(target: Target, libraries: Iterable[str], *, is_native: bool) -> str:
    """The line that makes a Debian or Ubuntu machine able to compile for `target`."""
    if is_native:
        packages = ["gcc", "libc6-dev", "pkg-config", *(f"lib{name}-dev" for name in libraries)]
        return f"apt-get update && apt-get install -y {' '.join(packages)}"
    architecture = target.goarch
    packages = [
        f"gcc-{target.triplet.replace('_', '-')}",
        f"libc6-dev-{architecture}-cross",
        "pkg-config",
        *(f"lib{name}-dev:{architecture}" for name in libraries),
    ]
    return f"dpkg --add-architecture {architecture} && apt-get update && apt-get install -y {' '.join(packages)}"


def _find_libraries(compiler: str, names: Iterable[str], environ: Mapping[str, str]) -> tuple[Library, ...]:
    return tuple(
        Library(name=name, path=answer.resolve() if answer.is_absolute() else answer)
        for name in names
        for answer in [Path(_say([compiler, f"-print-file-name=lib{name}.a"], environ))]
    )


def _identity(compiler: str, libraries: Iterable[Library], environ: Mapping[str, str]) -> tuple[str, ...]:
    linker = _say([compiler, "-print-prog-name=ld"], environ)
    programs = tuple(_say([program, "--version"], environ).partition("\n")[0] for program in (compiler, linker))
    return programs + tuple(hashlib.sha256(library.path.read_bytes()).hexdigest() for library in libraries)


def find_package(library: Library, environ: Mapping[str, str]) -> Package:
    """The Debian package of a library, with its copyright file and the licences that this refers to.

    The LGPL wants its text to travel with a program that is linked with such a library (section 6).
    """
    owner = _say(["dpkg-query", "--search", str(library.path)], environ).partition(": ")[0]
    name = owner.partition(":")[0]
    copyright_file = DOCUMENTS / name / "copyright"
    if not name or not copyright_file.is_file():
        raise WheelError(
            f"{library.path}: no Debian package says what its licence is\n"
            "  why    the text has to go into the wheel\n"
            "  do     build on Debian or Ubuntu, with the library from a package"
        )
    if library.name not in LICENCES:
        raise WheelError(f"{library.path}: read its licence, then add it to LICENCES in gowheel/ctoolchain.py")
    version = _say(["dpkg-query", "--show", "--showformat=${Version}", owner], environ)
    referred = sorted(set(COMMON_LICENCE.findall(copyright_file.read_text(encoding="utf-8"))))
    texts = (copyright_file, *(path for path in map(Path, referred) if path.is_file()))
    return Package(name=name, version=version, licences=LICENCES[library.name], texts=texts)


def _say(command: list[str], environ: Mapping[str, str]) -> str:
    """What a program prints; nothing when it isn't there or fails, which its callers take as not found."""
    if shutil.which(command[0], path=environ.get("PATH")) is None:
        return ""
    answer = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""
