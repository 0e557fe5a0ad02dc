"""The kernel's handlers for programs of other architectures (https://docs.kernel.org/admin-guide/binfmt-misc.html)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ocibuild_core.emulation import cpu_of, elf_start

if TYPE_CHECKING:
    from collections.abc import Iterator

# ELF's OS ABI does not count, nor whether the program is position-independent: as in Debian's /usr/lib/binfmt.d.
_MASK = bytes([*[0xFF] * 7, 0, *[0xFF] * 8, 0xFE, *[0xFF] * 3])
# The emulator gets the program opened (O), with its argv[0] (P), and is opened itself now (F): it need not lie in the
# root of a step, and serves when this container is gone.
_FLAGS = "OPF"


def handler_names(architecture: str) -> Iterator[str]:
    """Everybody's name for the handler, then ours, for when that one is taken."""
    yield f"qemu-{cpu_of(architecture)}"
    yield f"ocibuild-{cpu_of(architecture)}"


def registration(name: str, architecture: str, emulator: Path) -> str:
    """The line by which the kernel learns of an emulator."""
    magic, mask = ("".join(f"\\x{byte:02x}" for byte in text) for text in (elf_start(architecture), _MASK))
    return f":{name}:M::{magic}:{mask}:{emulator}:{_FLAGS}"


def has_own_handlers() -> bool:
    """Whether this is a user namespace: since Linux 6.7 it gets handlers of its own with the first mount."""
    return Path("/proc/self/uid_map").read_text().split() != ["0", "0", str(2**32 - 1)]


class Handlers:
    """The handlers, held: since Linux 6.7 they are gone with the last mount, and this may be the only one.

    It is mounted apart and at once out of sight, because /proc/sys is read-only in some containers, and nothing is to
    be left behind. Raises OSError.
    """

    def __init__(self) -> None:
        from ocibuild_core.engine import linux  # noqa: PLC0415  # ctypes; few builds register anything

        with tempfile.TemporaryDirectory(prefix="ocibuild-") as place:
            linux.mount("binfmt_misc", place, "binfmt_misc", 0)
            try:
                self._directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            finally:
                linux.detach(place)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._directory)

    def register(self, line: str) -> None:
        """Add a handler. FileExistsError where its name is taken, another OSError where the kernel refuses."""
        self._write("register", line)

    def remove(self, name: str) -> None:
        """Take a handler out again."""
        self._write(name, "-1")

    def is_disabled(self, name: str) -> bool:
        """Whether somebody has switched the handler of that name off."""
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)) as file:
            return file.readline() == "disabled\n"

    def _write(self, name: str, text: str) -> None:
        file = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._directory)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)
