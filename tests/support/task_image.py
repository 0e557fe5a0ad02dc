"""The task image, made by `make image`'s program once for all tests and kept while nothing of it changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from gowheel.cache import Cache, cache_key, cache_root, file_digest
from ocibuild_core.unpack.rootfs import unpack

from support.users import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SOURCES = ("image", "ocibuild_core", "plugins", "engine", "requirements/image.txt", "requirements/sbom.txt")
_ARCHIVE = "task-image.tar"
_DAY = 24 * 3600
_WEEK = 7 * _DAY
EPOCH = 1700000000
"""The date of the tests' images."""
REVISION = "0123456789abcdef0123456789abcdef01234567"
"""Their commit: with the checkout's own, an image that is kept would differ from one that is made anew."""


def make_image(
    archive: Path, *arguments: str, env: Mapping[str, str] | None = None, command: Sequence[str] = ()
) -> None:
    """Run what `make image` runs.

    Args:
        archive: where the image goes.
        arguments: further ones.
        env: more variables.
        command: what the program is run by, if not by itself.
    """
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{REPOSITORY / 'image'}:{REPOSITORY / 'engine'}",
        "SOURCE_DATE_EPOCH": str(EPOCH),
        **(env or {}),
    }
    named = (f"--revision={REVISION}", f"--output=docker,dest={archive}")
    program = [*command, sys.executable, "-m", "taskimage", *named, *arguments]
    ended = subprocess.run(program, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if ended.returncode:
        pytest.fail(f"the task image was not made\n{ended.stdout}\n{ended.stderr}", pytrace=False)


def kept_image() -> Path:
    """The archive of the image, made now unless it was made of the same sources before."""
    cache = Cache(root=cache_root(os.environ).parent / "image")
    inputs = {str(path.relative_to(REPOSITORY)): file_digest(path) for path in _source_files()}
    key = cache_key({"sources": inputs, "week": int(time.time() // _WEEK), "python": sys.version})
    kept = cache.get("tests", key, lambda new: make_image(new / _ARCHIVE))
    # Each change of a source leaves an image behind; another checkout's tests may be using theirs.
    for other in cache.root.glob("tests-*"):
        if other != kept and other.stat().st_mtime < time.time() - _DAY:
            shutil.rmtree(other, ignore_errors=True)
    return kept / _ARCHIVE


def _source_files() -> Iterator[Path]:
    for name in _SOURCES:
        place = REPOSITORY / name
        for path in sorted([place] if place.is_file() else place.rglob("*")):
            parts = path.relative_to(REPOSITORY).parts
            if path.is_file() and not {"__pycache__", "tests", "dist", "build"} & set(parts):
                yield path


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskImage:
    """The image, unpacked.

    Args:
        archive: as it was written.
        rootfs: its file system.
        config: its configuration.
    """

    archive: Path
    rootfs: Path
    config: Mapping[str, Any]

    @property
    def env(self) -> dict[str, str]:
        """The variables that it sets."""
        return dict(text.split("=", 1) for text in self.config["config"]["Env"])

    @property
    def layer_sizes(self) -> list[int]:
        """The bytes of each layer's files, uncompressed."""
        with tarfile.open(self.archive) as tar:
            names = json.load(tar.extractfile("manifest.json"))[0]["Layers"]  # type: ignore[arg-type]  # it is there
            sizes = []
            for name in names:
                with tarfile.open(fileobj=tar.extractfile(name)) as layer:
                    sizes.append(sum(member.size for member in layer))
        return sizes


def unpack_image(archive: Path, rootfs: Path) -> TaskImage:
    """Unpack it as Concourse does."""
    unpacked = unpack(archive, rootfs, tell=lambda _: None)
    return TaskImage(archive=archive, rootfs=rootfs, config=dict(unpacked.config))
