from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.container import Container
from support.task_image import TaskImage, kept_image, unpack_image

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs_root: arranges what only root can; for nobody else a test")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Privileged containers are made by root; the summary counts them as deselected for anybody else."""
    beyond = [item for item in items if os.geteuid() and item.get_closest_marker("needs_root")]
    if beyond:
        config.hook.pytest_deselected(items=beyond)
        items[:] = [item for item in items if item not in beyond]


@pytest.fixture(scope="session")
def task_image() -> Iterator[TaskImage]:
    """The task image with `ecr` and `basic`, on Debian."""
    place = Path(tempfile.mkdtemp(prefix="ob-image-", dir="/var/tmp"))  # overlays need a real file system
    place.chmod(0o755)
    yield unpack_image(kept_image(), place / "rootfs")
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def container(task_image: TaskImage) -> Container:
    """A container of the task image, without volumes. Its directory is open to the root of a user namespace."""
    return Container(rootfs=task_image.rootfs, env=task_image.env, directory=task_image.rootfs.parent / "containers")
