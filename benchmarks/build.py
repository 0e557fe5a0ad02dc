"""`build` against the same by hand: start-up, trivial and large builds, memory, the credential helper."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import ocibuild_buildkit

from benchmarks.pairs import HEADER, command, row, time_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BIN = Path(sys.executable).parent
LARGE_FILES, LARGE_FILE_BYTES = 500, 1024 * 1024


def main() -> None:
    """Print the table."""
    print(HEADER)
    with tempfile.TemporaryDirectory(prefix="ocibuild-bench-", dir=_fast_disk()) as directory:
        work = Path(directory)
        print(help_row(), flush=True)
        print(print_row(work / "print"), flush=True)
        print(trivial_row(work / "trivial"), flush=True)
        print(large_row(work / "large"), flush=True)
        print(memory_row(work / "memory"), flush=True)
        print(helper_row(), flush=True)


def help_row() -> str:
    """The start of the program."""
    pair = time_pair(
        command([str(BIN / "build"), "--help"], env=_env()),
        command([sys.executable, "-c", "import click"], env=_env()),
        runs=21,
    )
    goal = 2.0
    name = "`build --help` vs `python -c 'import click'`"
    return row(name, f"{pair.ratio:.2f} ({pair.ours * 1000:.0f} ms)", f"≤ {goal}", reached=pair.ratio <= goal)


def print_row(work: Path) -> str:
    """What a person waits for who asks what would be built."""
    context = _context(work, "FROM scratch\nCOPY Dockerfile /\n")
    (work / "image").mkdir()
    env = {**_env(), "BUILD_ARG_version": "1", "LABELS": "a=b", "IMAGE_PLATFORM": "linux/amd64"}
    pair = time_pair(
        command([str(BIN / "build"), "--print", str(context)], cwd=work, env=env),
        command([sys.executable, "-c", ""], env=env),
        runs=21,
    )
    goal = 0.150
    figure = f"{pair.ours * 1000:.0f} ms ({pair.ratio:.2f} × a bare interpreter)"
    return row("`build --print`", figure, f"≤ {goal * 1000:.0f} ms", reached=pair.ours <= goal)


def trivial_row(work: Path) -> str:
    """The smallest build, engine start and end included."""
    context = _context(work, "FROM scratch\nCOPY Dockerfile /\n")
    pair = time_pair(_ours(work, context), lambda: _by_hand(work / "hand", context), runs=201)
    goal, seconds = 1.5, 0.25
    figure = f"{pair.ratio:.2f} ({pair.ours * 1000:.0f} ms, by hand {pair.other * 1000:.0f} ms)"
    reached = pair.ratio <= goal and pair.ours < seconds
    return row("trivial build, all included, vs by hand", figure, f"≤ {goal}, < {seconds} s idle", reached=reached)


def large_row(work: Path) -> str:
    """The second build of an unchanged image of 500 MB."""
    context = _context(work, "FROM scratch\nCOPY data /data\n")
    (context / "data").mkdir()
    for number in range(LARGE_FILES):
        (context / "data" / f"{number}").write_bytes(os.urandom(LARGE_FILE_BYTES))
    pair = time_pair(_ours(work, context), lambda: _by_hand(work / "hand", context), runs=5)
    goal = 1.05
    figure = f"{pair.ratio:.3f} ({pair.ours:.2f} s)"
    return row("second build of an unchanged 500 MB image vs by hand", figure, f"≤ {goal}", reached=pair.ratio <= goal)


def memory_row(work: Path) -> str:
    """What `build` itself holds while it waits for BuildKit."""
    context = _context(work, "FROM scratch\nCOPY Dockerfile /\n")
    (work / "image").mkdir(exist_ok=True)
    argv = [str(BIN / "build"), "-q", "--state-dir", str(work / "state"), str(context)]
    process = subprocess.Popen(argv, cwd=work, env=_env())
    peak = 0
    while process.poll() is None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, int(status.split("VmHWM:")[1].split()[0]))
        time.sleep(0.002)
    goal = 60
    return row(
        "RSS of `build` itself, without a cloud SDK",
        f"{peak / 1024:.0f} MB",
        f"≤ {goal} MB",
        reached=peak / 1024 <= goal,
    )


def helper_row() -> str:
    """One call of the credential helper as BuildKit's client makes it, answered by the broker."""
    from ocibuild_core.auth.broker import Broker
    from ocibuild_core.auth.compose import compose
    from ocibuild_core.auth.protocol import Reply, Responder
    from ocibuild_core.engine.find import find_credential_helper

    class Instant(Responder):
        def __init__(self) -> None:
            """Resolves nothing."""

        def reply(self, action: str, question: bytes) -> Reply:
            del action, question
            return Reply(status=0, output=b"{}\n")

    helper = find_credential_helper()
    with Broker(Instant()) as broker, compose(broker, env=dict(os.environ), outside=(), helper=helper) as config:
        argv = ["docker-credential-ocibuild", "get"]
        env = {**_env(), **config.child_env}
        program = shutil.which(argv[0], path=config.child_env["PATH"])
        call = command([str(program), "get"], input=b"r.example", env=env)
        pair = time_pair(call, command([sys.executable, "-ISB", "-c", ""], env=env), runs=31)
    goal = 0.040
    figure = f"{pair.ours * 1000:.0f} ms ({pair.ratio:.2f} × a bare interpreter)"
    return row("one credential helper call", figure, f"≤ {goal * 1000:.0f} ms", reached=pair.ours <= goal)


def _ours(work: Path, context: Path) -> Callable[[], object]:
    (work / "image").mkdir(exist_ok=True)
    argv = [str(BIN / "build"), "-q", "--state-dir", str(work / "state"), str(context)]
    return command(argv, cwd=work, env=_env())


def _by_hand(root: Path, context: Path) -> None:
    """What a person would type: buildkitd in the background, buildctl, then the end of buildkitd."""
    root.mkdir(exist_ok=True)
    address = f"unix://{root}/s"
    with _daemon(root, address):
        build = ["build", "--frontend", "dockerfile.v0", "--local", f"context={context}"]
        build += ["--local", f"dockerfile={context}", "--output", f"type=docker,dest={root}/image.tar"]
        subprocess.run(
            [str(ocibuild_buildkit.binary("buildctl")), "--addr", address, *build], check=True, capture_output=True
        )


@contextlib.contextmanager
def _daemon(root: Path, address: str, *arguments: str) -> Iterator[None]:
    binary = ocibuild_buildkit.binary("buildkitd")
    env = {**os.environ, "PATH": f"{binary.parent}:{os.environ['PATH']}"}
    daemon = subprocess.Popen(
        [str(binary), "--root", f"{root}/root", "--addr", address, *arguments],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (root / "s").exists():
            time.sleep(0.002)
        yield
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()


def _context(work: Path, dockerfile: str) -> Path:
    context = work / "context"
    context.mkdir(parents=True)
    (context / "Dockerfile").write_text(dockerfile)
    return context


def _env() -> dict[str, str]:
    """As a user has it: byte code is written, no plugin setting, no docker config."""
    drop = ("PYTHONDONTWRITEBYTECODE", "DOCKER_CONFIG", "DOCKER_AUTH_CONFIG")
    return {name: value for name, value in os.environ.items() if name not in drop}


def _fast_disk() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  # tmpfs: the disk's noise stays out


if __name__ == "__main__":
    main()
