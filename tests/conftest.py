"""What the tests of core and the end-to-end tests share."""

from __future__ import annotations

import os
import signal
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

# A shell without job control lets what it starts in the background ignore these, and `build` would leave them so.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


_LONGEST = (
    "tests/e2e/test_cache_mounts.py",
    "tests/image/test_making.py",
    "tests/image/test_content.py",
    "tests/e2e/test_build.py",
    "tests/e2e/test_rootfs.py",
    "tests/e2e/test_outputs.py",
    "tests/e2e/test_cache.py",
    "tests/e2e/test_cache_services.py",
    "tests/e2e/test_concourse_examples.py",
    "tests/plugins/test_docs.py",
    "tests/recipes/",
    "engine/tests/test_wheel.py",
)
"""Files that take long: begun last they would keep one worker while the others are done."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest first; what only root can arrange is no test for an ordinary user, and is counted as deselected."""
    items.sort(key=_rank)
    beyond = [item for item in items if os.geteuid() and item.get_closest_marker("needs_root")]
    if beyond:
        config.hook.pytest_deselected(items=beyond)
        items[:] = [item for item in items if item not in beyond]


def _rank(item: pytest.Item) -> int:
    return next((rank for rank, file in enumerate(_LONGEST) if item.nodeid.startswith(file)), len(_LONGEST))


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
