from __future__ import annotations

import pytest
from support.strangers import Stranger, stranger
from support.users import OrdinaryUser


@pytest.fixture(name="stranger")
def another_user(ordinary_user: OrdinaryUser) -> Stranger:
    """Another user of the machine."""
    return stranger(ordinary_user)
