from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.engine_scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.users import OrdinaryUser


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
