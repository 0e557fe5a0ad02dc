from __future__ import annotations

from pathlib import Path

import pytest
from support.examination import Doctor
from support.programs import ProgramRunner


@pytest.fixture
def doctor(run: ProgramRunner, sandbox: Path) -> Doctor:
    """`ocibuild doctor`, with a state directory of the test's own."""
    sandbox.chmod(0o755)
    return Doctor(run, sandbox)
