"""The machine that a wheel is for: one table row per architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gowheel.errors import WheelError

if TYPE_CHECKING:
    from collections.abc import Mapping

ARCHITECTURE_VARIABLE = "OCIBUILD_ARCH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Every name that one architecture goes by."""

    goarch: str
    machine: str
    """What `uname -m` says; also the end of a wheel's platform tag."""
    elf_machine: int
    """`e_machine` of the ELF header (elf.h: EM_X86_64, EM_AARCH64)."""
    go_settings: tuple[tuple[str, str], ...]
    """The oldest processor that the binaries run on, said outright so that no default can change it."""

    @property
    def triplet(self) -> str:
        """Debian's multiarch name, also the prefix of its cross compilers."""
        return f"{self.machine}-linux-gnu"

    @property
    def wheel_tag(self) -> str:
        """The tag of a wheel whose programs are static, so that any libc may be on the machine.

        manylinux2014 and manylinux_2_17 are one platform under two names (PEP 600); older installers know only the
        first. musllinux is PEP 656.
        """
        platforms = (f"manylinux2014_{self.machine}", f"manylinux_2_17_{self.machine}", f"musllinux_1_1_{self.machine}")
        return f"py3-none-{'.'.join(platforms)}"


TARGETS = (
    Target(goarch="amd64", machine="x86_64", elf_machine=62, go_settings=(("GOAMD64", "v1"),)),
    Target(goarch="arm64", machine="aarch64", elf_machine=183, go_settings=(("GOARM64", "v8.0"),)),
)


def find_target(name: str) -> Target:
    """The target with this name, Go's (`arm64`) or the kernel's (`aarch64`)."""
    for target in TARGETS:
        if name in (target.goarch, target.machine):
            return target
    known = ", ".join(target.goarch for target in TARGETS)
    raise WheelError(
        f"architecture {name!r}: these wheels are made for {known}; set {ARCHITECTURE_VARIABLE} to one of them"
    )


def choose_target(environ: Mapping[str, str], machine: str) -> Target:
    """The target that OCIBUILD_ARCH names, or else the machine itself."""
    return find_target(environ.get(ARCHITECTURE_VARIABLE) or machine)
