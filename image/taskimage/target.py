"""What the image is made for: an architecture, a base, and the Python in that base."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gowheel.target import find_target

from taskimage.places import ImageError

if TYPE_CHECKING:
    from gowheel.target import Target

DEBIAN = "debian"
"""The base that is made here, without any registry."""
_DEBIAN_PYTHON = "3.11"
"""Debian 12's."""
_OLDEST_GLIBC, _GLIBC = 5, 36
"""Wheels for glibc 2.5 (PEP 513) to 2.36, which is Debian 12's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTarget:
    """What wheels have to fit.

    Args:
        machine: every name of the architecture.
        base: `debian`, or the reference of an image with Python.
        python: the base's Python, as `3.13`.
    """

    machine: Target
    base: str
    python: str

    @property
    def is_made_here(self) -> bool:
        """Whether the base comes from mmdebstrap, not from a registry."""
        return self.base == DEBIAN

    @property
    def platform(self) -> str:
        """As in `build --platform`."""
        return f"linux/{self.machine.goarch}"

    @property
    def emulated(self) -> str:
        """The CPU that the image has an emulator of, as QEMU calls it."""
        return {"amd64": "aarch64", "arm64": "x86_64"}[self.machine.goarch]

    @property
    def uv_platform(self) -> str:
        """As in `uv pip compile --python-platform`."""
        return f"{self.machine.machine}-manylinux_2_{_GLIBC}"

    @property
    def wheel_platforms(self) -> tuple[str, ...]:
        """The platform tags of wheels that run there, newest first (PEP 600)."""
        machine = self.machine.machine
        return (
            *(f"manylinux_2_{minor}_{machine}" for minor in range(_GLIBC, _OLDEST_GLIBC - 1, -1)),
            f"manylinux2014_{machine}",
        )


def choose_image_target(*, machine: str, base: str, python: str) -> ImageTarget:
    """The target.

    Args:
        machine: `amd64`, `arm64`, or the kernel's name for one.
        base: `debian`, or an image's reference.
        python: the base's Python; empty reads it from Debian's or from a tag such as `3.13-slim`.

    Raises:
        ImageError: nothing tells which Python the base has.
    """
    tagged = re.search(r":(3\.\d+)(?![\d])", base)
    found = python or (_DEBIAN_PYTHON if base == DEBIAN else tagged[1] if tagged else "")
    if not re.fullmatch(r"3\.\d+", found):
        raise ImageError(
            f"the Python of the base {base} is unknown\n  do     say it: make image BASE={base} BASE_PYTHON=3.13"
        )
    return ImageTarget(machine=find_target(machine), base=base, python=found)
