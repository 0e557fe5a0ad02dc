"""A push of a 500 MB image: `build --push` against buildkitd and buildctl by hand, start and end included.

    python -m benchmarks.push

Once with nothing cached, as a first build is, and once with the image built before, so that the push alone is compared.
Every push goes to a registry of its own that holds nothing yet: from one repository to the next no byte would travel.
Everything is on tmpfs.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import ocibuild_buildkit
from ocibuild_testkit.registry import NoAuth, RegistryServer

from benchmarks.build import _daemon, _env, _fast_disk
from benchmarks.pairs import HEADER, command, row

if TYPE_CHECKING:
    from collections.abc import Callable

BIN = Path(sys.executable).parent
_FILES, _FILE_BYTES = 500, 1_000_000
_GOAL = 1.05
_FIRST_RUNS, _LATER_RUNS = 3, 15


def main() -> int:
    """Print the table; the exit code says whether the goal was reached."""
    with tempfile.TemporaryDirectory(prefix="ocibuild-bench-", dir=_fast_disk()) as directory:
        work = Path(directory)
        context = _context(work / "context")
        print(HEADER)
        first = _row("first build and push of a 500 MB image vs by hand", work, context, is_first=True)
        later = _row("its push alone, built before", work, context, is_first=False)
    return 0 if max(first, later) <= _GOAL else 1


def _row(name: str, work: Path, context: Path, *, is_first: bool) -> float:
    """Print a row; its ratio. With `is_first` nothing is cached."""

    def pushed(way: Callable[[Path, Path, str], None]) -> float:
        place = work / way.__name__
        if is_first:
            shutil.rmtree(place, ignore_errors=True)
        place.mkdir(exist_ok=True)
        return _push(partial(way, place, context), work)

    pushed(_ours)
    pushed(_by_hand)
    times = [(pushed(_ours), pushed(_by_hand)) for _ in range(_FIRST_RUNS if is_first else _LATER_RUNS)]
    ratio = statistics.median(a / b for a, b in times)
    seconds, by_hand = (statistics.median(column) for column in zip(*times, strict=True))
    figure = f"{ratio:.3f} ({seconds:.2f} s, by hand {by_hand:.2f} s)"
    print(row(name, figure, f"≤ {_GOAL}", reached=ratio <= _GOAL), flush=True)
    return ratio


def _push(push: Callable[[str], None], work: Path) -> float:
    """Seconds that a push to an empty registry takes."""
    directory = work / "registry"
    with RegistryServer(auth=NoAuth(), directory=directory) as registry:
        began = time.perf_counter()
        push(registry.reference("pushed:1"))
        taken = time.perf_counter() - began
        assert registry.client().tags("pushed") == ("1",)
    shutil.rmtree(directory, ignore_errors=True)
    return taken


def _ours(work: Path, context: Path, name: str) -> None:
    """`build --push` with an engine state of its own."""
    argv = [str(BIN / "build"), "-q", "--state-dir", str(work / "state"), "--push", "-t", name]
    command([*argv, str(context)], cwd=work, env=_env())()


def _by_hand(work: Path, context: Path, name: str) -> None:
    """What a person would type."""
    address = f"unix://{work}/s"
    build = ["build", "--frontend", "dockerfile.v0", "--local", f"context={context}"]
    build += ["--local", f"dockerfile={context}", "--output", f"type=image,name={name},push=true"]
    with _daemon(work, address):
        argv = [str(ocibuild_buildkit.binary("buildctl")), "--addr", address, *build]
        subprocess.run(argv, check=True, capture_output=True)


def _context(directory: Path) -> Path:
    (directory / "data").mkdir(parents=True)
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY data /data\n")
    for number in range(_FILES):
        (directory / "data" / f"{number}").write_bytes(os.urandom(_FILE_BYTES))
    return directory


if __name__ == "__main__":
    sys.exit(main())
