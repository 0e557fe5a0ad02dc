"""Lock files: which hashes a distribution may have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Lock = Mapping[tuple[str, str], tuple[str, ...]]
"""By normalised name and version: the hashes, as `sha256:…`."""

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


def normalise(name: str) -> str:
    """A distribution's name, spelt one way (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(text: str) -> Lock:
    """The pins of a requirements file with hashes, as `uv pip compile --generate-hashes` writes it."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for entry in re.split(r"\n(?=\S)", text):
        if pin := _PIN.match(entry):
            found[normalise(pin["name"]), pin["version"]] = tuple(_HASH.findall(entry))
    return found


def requirements(pins: Lock) -> str:
    """The pins as lines that pip takes in its hash-checking mode."""
    return "".join(
        f"{name}=={version} {' '.join(f'--hash={one}' for one in hashes)}\n"
        for (name, version), hashes in sorted(pins.items())
    )


def constraints(pins: Lock) -> str:
    """The pins as constraints: versions alone, for wheels that were checked."""
    return "".join(f"{name}=={version}\n" for name, version in sorted(pins))


def write_sums(directory: Path, digest_of: Mapping[str, str]) -> None:
    """Write SHA256SUMS for `sha256sum --check` (coreutils)."""
    lines = (f"{digest}  {name}\n" for name, digest in sorted(digest_of.items()))
    (directory / "SHA256SUMS").write_text("".join(lines))
