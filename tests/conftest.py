"""What the tests of core and the end-to-end tests share."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from support.mapped_root import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocibuild_testkit.leaks import LeakWatcher
    from support.fresh_env import Wheelhouse
    from support.hub import DockerHub
    from support.programs import ProgramRunner
    from support.users import OrdinaryUser

# How long one example takes says more about the machine's other work than about ours.
settings.register_profile("ocibuild", deadline=None)
settings.load_profile("ocibuild")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What only root can arrange is no test for an ordinary user; the summary counts it as deselected."""
    beyond = [item for item in items if os.geteuid() and item.get_closest_marker("needs_root")]
    if beyond:
        config.hook.pytest_deselected(items=beyond)
        items[:] = [item for item in items if item not in beyond]


@pytest.fixture(scope="session")
def docker_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerHub]:
    """A stand-in for docker.io; `BUILDKIT_EXTRA_CONFIG=docker_hub.buildkitd_toml()` makes BuildKit believe it."""
    from support.hub import DockerHub

    with DockerHub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture
def dockerfile_frontend(docker_hub: DockerHub) -> str:
    """The line that makes a Dockerfile use a frontend from docker.io, which is there."""
    docker_hub.push_frontend()
    return "# syntax=docker/dockerfile:1\n"


@pytest.fixture(scope="session")
def ordinary_user() -> Iterator[OrdinaryUser]:
    """A real user without rights: the one who runs the tests, or a made one when that is root."""
    from support.users import ordinary_user

    with ordinary_user() as user:
        yield user


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Wheelhouse:
    """The wheels of this repository, built anew."""
    from support.fresh_env import Wheelhouse

    wheels = Wheelhouse(tmp_path_factory.mktemp("wheels"))
    wheels.fill()
    return wheels


@pytest.fixture
def sandbox() -> Iterator[Path]:
    """A temporary directory with a short path, so that sockets fit below it."""
    directory = Path(tempfile.mkdtemp(prefix="ob-", dir="/tmp"))  # short: TMPDIR may be deep
    yield directory
    remove_tree(directory)


@pytest.fixture
def run(leak_watcher: LeakWatcher, sandbox: Path) -> ProgramRunner:
    """Runs installed programs with an environment of their own: `run("build", ".", cwd=…, env=…)`."""
    from support.programs import ProgramRunner

    return ProgramRunner(leak_watcher, sandbox)
