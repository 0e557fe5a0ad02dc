"""Where everything is, and how programs are run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REPOSITORY = Path(__file__).parents[2]
IMAGE = REPOSITORY / "image"
REQUIREMENTS = REPOSITORY / "requirements"
PROGRAMS = Path(sys.prefix, "bin")
"""`build`, `uv` and the other programs of the environment that this runs in."""


class ImageError(Exception):
    """The image cannot be made; the text says why and what to do."""


def say(text: str) -> None:
    """Tell what is being done."""
    print(f"== {text}", file=sys.stderr, flush=True)


def run(*command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: str = "") -> str:
    """Run a program to its end; what it wrote to stdout. ImageError shows all that it said when it fails."""
    ended = subprocess.run(
        list(map(str, command)), env=env, cwd=cwd, input=stdin, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        said = f"{ended.stdout}{ended.stderr}".strip()
        raise ImageError(f"{Path(command[0]).name} ended with exit code {ended.returncode}\n{said}")
    return ended.stdout


def build(arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> None:
    """Run our own `build`; it shows its progress itself."""
    ended = subprocess.run([str(PROGRAMS / "build"), *arguments], env=env, cwd=cwd, check=False)
    if ended.returncode:
        raise ImageError(f"build ended with exit code {ended.returncode}; what it wrote above says why")
