"""Fixtures of few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ocibuild_testkit.clock import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

    from ocibuild_testkit.broker import ProviderBroker
    from ocibuild_testkit.docker_home import DockerHome


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that moves when the test says so."""
    return FakeClock()


@pytest.fixture
def broker() -> type[ProviderBroker]:
    """The host's side of one provider: `broker(provider, env=…, options=…).get("r.example")`."""
    from ocibuild_testkit.broker import ProviderBroker

    return ProviderBroker


@pytest.fixture
def docker_home(tmp_path: Path) -> DockerHome:
    """A home directory with a docker config of the test's own, and credential helpers."""
    from ocibuild_testkit.docker_home import DockerHome

    return DockerHome(tmp_path / "docker-home")
