"""Fixtures of few lines."""

from __future__ import annotations

import pytest

from ocibuild_testkit.clock import FakeClock


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that moves when the test says so."""
    return FakeClock()
