from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.jail import Jail

if TYPE_CHECKING:
    from collections.abc import Iterator

_ORDINARY_USER = 4321  # nobody that exists; so the place is below /tmp, for TMPDIR may be closed to him


@pytest.fixture(scope="session")
def jail() -> Iterator[Jail]:
    """Where images are unpacked as root."""
    with tempfile.TemporaryDirectory(prefix="ob-jail-", dir="/tmp") as place, Jail(Path(place)) as jail:
        yield jail


@pytest.fixture(scope="session")
def ordinary_jail() -> Iterator[Jail]:
    """Where images are unpacked as an ordinary user."""
    with (
        tempfile.TemporaryDirectory(prefix="ob-jail-", dir="/tmp") as place,
        Jail(Path(place), uid=_ORDINARY_USER) as jail,
    ):
        yield jail
