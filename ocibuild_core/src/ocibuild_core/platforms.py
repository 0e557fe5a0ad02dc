"""The names of platforms, and that of this machine (https://github.com/containerd/platforms)."""

from __future__ import annotations

import os
import re

_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "i386": "386",
    "i686": "386",
}
_PARTS = r"(?a)[A-Za-z0-9_.-]+(\([A-Za-z0-9_.-]*\))?(/[A-Za-z0-9_.-]+){1,2}"
_SYSTEMS = """
    aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos
"""
_MADE_FOR = """
    386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le
    ppc riscv riscv64 s390 s390x sparc sparc64 wasm
"""
_KNOWN = frozenset({"local", *_SYSTEMS.split(), *_MADE_FOR.split()})
"""What containerd knows (database.go in containerd/platforms)."""
_UNSAID = {("arm64", "v8"): ("arm64",), ("amd64", "v1"): ("amd64",), ("arm",): ("arm", "v7")}
_MACHINES = frozenset({"x86_64", "aarch64", "armv7l", "i686", "riscv64"})


def normal(platform: str) -> str:
    """One spelling for each platform, as BuildKit takes them: `linux/arm64` for `aarch64` and `linux/arm64/v8`."""
    system, slash, rest = platform.lower().strip().partition("/")
    if not slash:
        system, rest = "linux", system
    architecture, _, variant = rest.partition("/")
    parts = (_ARCHITECTURES.get(architecture, architecture), *((variant,) if variant else ()))
    return "/".join((system, *_UNSAID.get(parts, parts)))


def is_platform(name: str) -> bool:
    """Whether it can be one as BuildKit reads it (`Parse` in containerd/platforms), or is `local`.

    A word alone is an operating system or an architecture that is known; of `OS/ARCH[/VARIANT]` only the letters are
    looked at.
    """
    if "/" in name:
        return bool(re.fullmatch(_PARTS, name))
    return _ARCHITECTURES.get(name.lower(), name.lower()) in _KNOWN


def architecture_of(platform: str) -> str:
    """`arm64` of `linux/arm64/v8`."""
    return normal(platform).split("/")[1]


def native() -> str:
    """This machine's; empty where what the kernel calls it is not known here."""
    machine = os.uname().machine
    return normal(machine) if machine in _MACHINES else ""


def variables(target: str, *, built_on: str) -> dict[str, str]:
    """What a Dockerfile may ask for (docs.docker.com/reference/dockerfile, "Automatic platform ARGs").

    Args:
        target: the platform that is built for, in its one spelling.
        built_on: the engine's.
    """
    return _parts("TARGET", target) | _parts("BUILD", built_on)


def _parts(prefix: str, name: str) -> dict[str, str]:
    system, _, rest = name.partition("/")
    architecture, _, variant = rest.partition("/")
    parts = {"PLATFORM": name, "OS": system, "ARCH": architecture, "VARIANT": variant}
    return {f"{prefix}{part}": value for part, value in parts.items()}
