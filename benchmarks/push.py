"""A push of a 500 MB image: `build --push` against buildkitd and buildctl by hand, start and end included.

    python -m benchmarks.push

Once with nothing cached, as a first build is, and once with the image built before, so that the push alone is compared.
Every push goes to a registry of its own that holds nothing yet: from one repository to the next no byte would travel.
It has TLS and a password, which the docker config knows. Everything is on tmpfs.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import ocibuild_buildkit
from ocibuild_testkit.registry import PasswordAuth, RegistryServer
from ocibuild_testkit.registry.tls import Authority

from benchmarks.build import _daemon, _env, _fast_disk
from benchmarks.pairs import HEADER, command, row

if TYPE_CHECKING:
    from collections.abc import Callable

    Way = Callable[[Path, Path, "_Target"], None]

BIN = Path(sys.executable).parent
_FILES, _FILE_BYTES = 500, 1_000_000
_GOAL = 1.05
_FIRST_RUNS, _LATER_RUNS = 3, 31
_USER, _PASSWORD = "alice", "of-the-benchmark"


class _Target(NamedTuple):
    """Where a push goes: the registry's host, who signed its certificate, and an environment that knows the login."""

    host: str
    authority: Path
    env: dict[str, str]

    @property
    def reference(self) -> str:
        return f"{self.host}/pushed:1"


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

    def pushed(way: Way) -> float:
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


def _push(push: Callable[[_Target], None], work: Path) -> float:
    """Seconds that a push to an empty registry takes."""
    directory = work / "registry"
    authority = Authority()
    with RegistryServer(auth=PasswordAuth({_USER: _PASSWORD}), tls=authority, directory=directory) as registry:
        target = _Target(registry.address, authority.write(work / "ca.pem"), {**_env(), "DOCKER_CONFIG": str(work)})
        login = {"auth": b64encode(f"{_USER}:{_PASSWORD}".encode()).decode()}
        config = work / "config.json"
        config.touch(mode=0o600)  # as docker makes it
        config.write_text(json.dumps({"auths": {registry.address: login}}))
        began = time.perf_counter()
        push(target)
        taken = time.perf_counter() - began
        assert registry.client().tags("pushed") == ("1",)
    shutil.rmtree(directory, ignore_errors=True)
    return taken


def _ours(work: Path, context: Path, target: _Target) -> None:
    """`build --push` with an engine state of its own."""
    argv = [str(BIN / "build"), "-q", "--state-dir", str(work / "state"), "--push", "-t", target.reference]
    argv += ["--registry-ca", f"{target.host}={target.authority}", str(context)]
    command(argv, cwd=work, env=target.env)()


def _by_hand(work: Path, context: Path, target: _Target) -> None:
    """What a person would type."""
    address = f"unix://{work}/s"
    configuration = work / "buildkitd.toml"
    configuration.write_text(f'[registry."{target.host}"]\nhttp = false\nca = ["{target.authority}"]\n')
    build = ["build", "--frontend", "dockerfile.v0", "--local", f"context={context}"]
    build += ["--local", f"dockerfile={context}", "--output", f"type=image,name={target.reference},push=true"]
    with _daemon(work, address, f"--config={configuration}"):
        argv = [str(ocibuild_buildkit.binary("buildctl")), "--addr", address, *build]
        subprocess.run(argv, check=True, capture_output=True, env=target.env)


def _context(directory: Path) -> Path:
    (directory / "data").mkdir(parents=True)
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY data /data\n")
    for number in range(_FILES):
        (directory / "data" / f"{number}").write_bytes(os.urandom(_FILE_BYTES))
    return directory


if __name__ == "__main__":
    sys.exit(main())
