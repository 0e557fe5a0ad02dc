"""Whether steps of another architecture can run here: asked of the kernel, with the smallest program there is.

BuildKit finds out in the same way (util/archutil in moby/buildkit).
"""

from __future__ import annotations

import errno
import os
import shutil
import struct
import subprocess
import tempfile
from typing import TYPE_CHECKING

from ocibuild_core.platforms import architecture_of, native

if TYPE_CHECKING:
    from collections.abc import Mapping

# ELF machine, 64 bits or 32, and code that calls exit(0). Machines: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
_PROGRAMS: Mapping[str, tuple[int, bool, bytes]] = {
    "amd64": (62, True, bytes.fromhex("b83c00000031ff0f05")),
    "386": (3, False, bytes.fromhex("b80100000031dbcd80")),
    "arm64": (183, True, bytes.fromhex("a80b80d2000080d2010000d4")),
    "arm": (40, False, bytes.fromhex("0170a0e30000a0e3000000ef")),
    "riscv64": (243, True, bytes.fromhex("9308d0051305000073000000")),
}
_BASE = 0x400000


def can_run(architecture: str, path: str) -> bool:
    """Whether programs of that architecture run on this machine. True where that cannot be found out.

    Args:
        architecture: as in a platform.
        path: the PATH on which BuildKit looks for emulators of its own (`buildkit-qemu-aarch64`).
    """
    if architecture == architecture_of(native()) or architecture not in _PROGRAMS:
        return True
    emulator = shutil.which(f"buildkit-qemu-{cpu_of(architecture)}", path=path)
    return bool(emulator) or _runs(_program(architecture))


def cpu_of(architecture: str) -> str:
    """What QEMU calls it: `aarch64` of `arm64`."""
    return {"arm64": "aarch64", "amd64": "x86_64", "386": "i386"}.get(architecture, architecture)


def elf_start(architecture: str) -> bytes:
    """How each of its programs begins, up to the ELF machine. KeyError for an architecture that is not known here."""
    return _program(architecture)[:20]


def _runs(program: bytes) -> bool:
    with tempfile.TemporaryDirectory(prefix="ocibuild-") as directory:
        name = os.path.join(directory, "exit")  # noqa: PTH118  # for a program that is run, not a file that is read
        with os.fdopen(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o700), "wb") as file:
            file.write(program)
        try:
            subprocess.run([name], check=False, timeout=10, env={})  # our own nine bytes of code
        except OSError as error:
            # ENOENT: a handler whose emulator is gone. Anything else (a directory without execution) tells nothing.
            return error.errno not in (errno.ENOEXEC, errno.ENOENT)
        except subprocess.TimeoutExpired:
            return True
    return True


def _program(architecture: str) -> bytes:
    """An executable of one segment (https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html)."""
    machine, is_64, code = _PROGRAMS[architecture]
    ident = b"\x7fELF" + bytes([2 if is_64 else 1, 1, 1]) + bytes(9)
    header, segment = (64, 56) if is_64 else (52, 32)
    size = header + segment + len(code)
    # riscv64 tells its floating-point ABI here, arm the version of its EABI; the others nothing.
    flags = {"riscv64": 0x4, "arm": 0x5000000}.get(architecture, 0)
    numbers = (2, machine, 1, _BASE + header + segment, header, 0, flags, header, segment, 1, 0, 0, 0)
    if is_64:
        load = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 4096)
    else:
        load = struct.pack("<IIIIIIII", 1, 0, _BASE, _BASE, size, size, 5, 4096)
    return ident + struct.pack("<HHIQQQIHHHHHH" if is_64 else "<HHIIIIIHHHHHH", *numbers) + load + code
