from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.engine_scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.users import OrdinaryUser


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs_root: arranges what only root can; for nobody else a test")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What only root can arrange is no test for an ordinary user; the summary counts it as deselected."""
    beyond = [item for item in items if os.geteuid() and item.get_closest_marker("needs_root")]
    if beyond:
        config.hook.pytest_deselected(items=beyond)
        items[:] = [item for item in items if item not in beyond]


@pytest.fixture
def make_scene(request: pytest.FixtureRequest, sandbox: Path) -> Callable[[str], Scene]:
    """Scenes of the tests' own user ("tester") and of one without rights ("ordinary")."""

    def make(who: str) -> Scene:
        user: OrdinaryUser | None = request.getfixturevalue("ordinary_user") if who == "ordinary" else None
        directory = sandbox / who
        directory.mkdir()
        if user:
            sandbox.chmod(0o755)
            user.own(directory)
        return Scene(directory, user)

    return make


@pytest.fixture(params=["tester", "ordinary"])
def scene(request: pytest.FixtureRequest, make_scene: Callable[[str], Scene]) -> Scene:
    """A scene of each user in turn."""
    return make_scene(request.param)


@pytest.fixture
def own_scene(make_scene: Callable[[str], Scene]) -> Scene:
    """A scene of the tests' own user, where the user makes no difference."""
    return make_scene("tester")
