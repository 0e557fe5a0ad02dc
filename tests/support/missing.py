"""A part that a test needs and this machine lacks."""

from __future__ import annotations

import shutil
from typing import NoReturn

import pytest


def fail_missing(what: str, do: str) -> NoReturn:
    """Fail the test (it never skips) and say what to install."""
    pytest.fail(f"{what}\n  do     {do}", pytrace=False)


def need_program(name: str, package: str) -> str:
    """The program's path, or a failure that names Debian's package."""
    found = shutil.which(name)
    if found is None:
        fail_missing(f"the tests need the program {name!r}", f"apt-get install {package}")
    return found
