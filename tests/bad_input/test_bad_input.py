"""Bad and odd input of logins: what each gets, through the installed programs. The ids are the rows' own words."""

from __future__ import annotations

from pathlib import Path

import pytest
from bad_input import (  # noqa: F401  # each adds its checks to the table
    amazon,
    google,
    hosts,
    keyrings,
    names,
    passwords,
    places,
    providers,
    registries,
    settings,
    user_config,
)
from bad_input.case import CASES, Case
from bad_input.rows import ROWS

pytestmark = pytest.mark.e2e


def test_every_row_has_its_check() -> None:
    assert sorted(CASES) == sorted(ROWS)
    assert len(set(ROWS)) == len(ROWS) == 80


@pytest.mark.parametrize("row", ROWS, ids=list(ROWS))
def test_bad_input(row: str, request: pytest.FixtureRequest, sandbox: Path) -> None:
    CASES[row](Case(request, sandbox))
