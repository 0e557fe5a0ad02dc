from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.container import Container
from support.mapped_root import remove_tree
from support.task_image import TaskImage, kept_image, unpack_image

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def task_image() -> Iterator[TaskImage]:
    """The task image with `ecr` and `basic`, on Debian."""
    place = Path(tempfile.mkdtemp(prefix="ob-image-", dir="/var/tmp"))  # overlays need a real file system
    try:
        place.chmod(0o755)
        yield unpack_image(kept_image(), place / "rootfs")
    finally:
        remove_tree(place)


@pytest.fixture
def container(task_image: TaskImage) -> Container:
    """A container of the task image, without volumes. Its directory is open to the root of a user namespace."""
    return Container(rootfs=task_image.rootfs, env=task_image.env, directory=task_image.rootfs.parent / "containers")
