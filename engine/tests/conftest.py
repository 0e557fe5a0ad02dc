"""The wheels under test are built as anybody builds them; the cache makes that quick from the second time on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENGINE = Path(__file__).parents[1]
# gowheel is build-time code that no distribution installs.
sys.path.insert(0, str(ENGINE))

# The child's environment and search path are those of this process, so that it finds the same hatchling.
HATCHLING = (sys.executable, "-m", "hatchling", "build")


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, str]]:
    """Build a project; the artifact and what the build said."""

    def run(project: Path, environ: Mapping[str, str], *, target: str = "wheel") -> tuple[Path, str]:
        out = tmp_path_factory.mktemp("dist")
        answer = subprocess.run(
            [*HATCHLING, "-t", target, "-d", str(out)],
            cwd=project,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        said = answer.stdout + answer.stderr
        assert answer.returncode == 0, said
        [artifact] = out.iterdir()
        return artifact, said

    return run
