"""A BuildKit that `build --addr` and a `buildctl` by hand share, so that both find the same steps in its cache."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def shared_engine(directory: Path, configuration: str) -> Iterator[str]:
    """The address of an engine that runs meanwhile, as whoever runs the tests.

    Args:
        directory: for its state; a short path.
        configuration: what its buildkitd.toml has besides.
    """
    (directory / "run").mkdir(mode=0o700)
    env = {**os.environ, "XDG_RUNTIME_DIR": str(directory / "run"), "TMPDIR": str(directory)}
    command = [sys.executable, __file__, str(directory / "state"), configuration]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        address = process.stdout.readline().decode().strip()
        if not address:
            pytest.fail("the engine did not start; what it said is on stderr", pytrace=False)
        try:
            yield address
        finally:
            process.stdin.close()


def main() -> None:
    """Run one until stdin ends, and say where."""
    import tomllib

    from ocibuild_core.engine import EngineSettings, launch
    from ocibuild_core.engine.config import SOCKET

    settings = EngineSettings(
        env=dict(os.environ), state_dir=Path(sys.argv[1]), daemon_config=tomllib.loads(sys.argv[2])
    )
    with launch(settings) as engine:
        engine.wait_ready()
        runtime = engine._solver._reference.parent  # its own clients alone need to know
        print(f"unix://{runtime / SOCKET}", flush=True)  # noqa: T201  # how it tells its reader
        sys.stdin.read()


if __name__ == "__main__":
    main()
