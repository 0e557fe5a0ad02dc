"""The wheels of an image: ours are built, those of others come from their index with the hashes of the lock file."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gowheel.cache import file_digest
from inside.choice import CORE, is_wheel, requirement

from taskimage.lock import constraints, normalise, read_lock, requirements, write_sums
from taskimage.places import PROGRAMS, REPOSITORY, REQUIREMENTS, ImageError, run, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskimage.lock import Lock
    from taskimage.target import ImageTarget

_PLUGINS = REPOSITORY / "plugins"
_TOOL = "cyclonedx-python-lib"


def gather_wheels(target: ImageTarget, plugins: Sequence[str], into: Path) -> Lock:
    """Fill `into` with every wheel of the image, their sums and their versions. Returns what is in there.

    Args:
        target: what the wheels have to fit.
        plugins: the items of PLUGINS.
        into: an empty directory.
    """
    say("building our wheels, fetching the others")
    _build_ours(target, into)
    for item in filter(is_wheel, plugins):
        if not Path(item).is_file():
            raise ImageError(f"PLUGINS: there is no wheel {item}")
        shutil.copy(item, into)
    asked = [CORE, "pip", *(requirement(item, into) for item in plugins)]
    pins = _resolve(target, asked, into, REQUIREMENTS / "image.txt")
    _finish(target, pins, into)
    return pins


def gather_tool_wheels(target: ImageTarget, into: Path) -> None:
    """The same for what writes the bill of materials."""
    _finish(target, _resolve(target, [_TOOL], into, REQUIREMENTS / "sbom.txt"), into)


def _build_ours(target: ImageTarget, into: Path) -> None:
    """Build the wheels of this project; those that the image does not need go again when it is known which."""
    env = {**os.environ, "OCIBUILD_ARCH": target.machine.goarch}
    folders = [REPOSITORY / "ocibuild_core", *sorted(path.parent for path in _PLUGINS.glob("*/pyproject.toml"))]
    for folder in (*folders, REPOSITORY / "engine"):
        python = f"--python={sys.executable}"
        run(
            PROGRAMS / "uv",
            "build",
            "-q",
            "--wheel",
            "--no-build-isolation",
            python,
            f"--out-dir={into}",
            folder,
            env=env,
        )
    (into / ".gitignore").unlink(missing_ok=True)


def _resolve(target: ImageTarget, asked: Sequence[str], wheels: Path, lock: Path) -> Lock:
    """What is asked for with all that it needs, as versions and hashes; the lock file's word counts."""
    own = {_pin_of(wheel): f"sha256:{file_digest(wheel)}" for wheel in wheels.glob("*.whl")}
    # An index may have newer versions of what was built here.
    ours = wheels / "ours.txt"
    ours.write_text("".join(f"{name}=={version}\n" for name, version in own))
    command: list[str | Path] = [
        *(PROGRAMS / "uv", "pip", "compile", "-q", "-", f"--find-links={wheels}", f"--constraint={lock}"),
        f"--constraint={ours}",
        *("--no-header", "--no-annotate", "--generate-hashes", "--only-binary=:all:"),
        *(f"--python-version={target.python}", f"--python-platform={target.uv_platform}"),
    ]
    # A wheel that is named by its path would be pinned by its path.
    lines = [_as_pin(Path(line)) if is_wheel(line) else line for line in asked]
    locked, found = read_lock(lock.read_text()), read_lock(run(*command, stdin="\n".join(lines)))
    pins = {pin: locked.get(pin, hashes) for pin, hashes in found.items()}
    ours.unlink()
    return {pin: (own[pin],) if pin in own else hashes for pin, hashes in pins.items()}


def _finish(target: ImageTarget, pins: Lock, into: Path) -> None:
    """Fetch what is missing, drop what is not needed, and write down the rest."""
    own = {_pin_of(wheel): wheel for wheel in into.glob("*.whl")}
    for pin in own.keys() - pins.keys():
        own[pin].unlink()
    _download(target, {pin: hashes for pin, hashes in pins.items() if pin not in own}, into)
    digests: Mapping[str, str] = {wheel.name: file_digest(wheel) for wheel in into.glob("*.whl")}
    write_sums(into, digests)
    (into / "constraints.txt").write_text(constraints(pins))


def _download(target: ImageTarget, pins: Lock, into: Path) -> None:
    version = target.python.replace(".", "")
    wanted = into / "wanted.txt"
    wanted.write_text(requirements(pins))
    run(
        *(
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--disable-pip-version-check",
            "--no-deps",
            "--require-hashes",
        ),
        *("--only-binary=:all:", f"--python-version={version}", "--implementation=cp"),
        *(f"--abi={abi}" for abi in (f"cp{version}", "abi3", "none")),
        *(f"--platform={platform}" for platform in target.wheel_platforms),
        *(f"--dest={into}", "--requirement", wanted),
    )
    wanted.unlink()


def _pin_of(wheel: Path) -> tuple[str, str]:
    """Name and version of a wheel file (PEP 427)."""
    name, version, *_ = wheel.name.split("-")
    return normalise(name), version


def _as_pin(wheel: Path) -> str:
    return "==".join(_pin_of(wheel))
