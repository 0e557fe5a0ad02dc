"""A job with `UNPACK_ROOTFS` against the straightforward way: docker output, then gunzip and untar one after the other.

    python -m benchmarks.unpack
    python -m benchmarks.unpack slow-disk       # as root: 2 GB onto a disk that takes 60 MB a second

The image has 17,000 files, 500 MB, in four layers of a base image that both engines have pulled before, and one small
layer of its own. Everything is on tmpfs, except for the outputs onto the slow disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_testkit.registry import RegistryServer, build_image

from benchmarks.build import _by_hand, _env, _fast_disk
from benchmarks.pairs import HEADER, command, row, time_pair

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BIN = Path(sys.executable).parent
_FILES, _BYTES, _LAYERS = 17_000, 500_000_000, 4
_GOAL, _MEMORY_GOAL = 0.4, 120
_SLOW_BYTES, _SLOW_BPS = 2_000_000_000, 60_000_000
_ENGINE = ("buildkitd", "buildkit-runc", "runc")


def main() -> int:
    """Print the table; the exit code says whether the goals were reached."""
    slow = sys.argv[1:] == ["slow-disk"]
    with tempfile.TemporaryDirectory(prefix="ocibuild-bench-", dir=_fast_disk()) as directory:
        work = Path(directory)
        with RegistryServer(directory=work / "registry") as registry:
            base = registry.push("team/base:1", build_image(*make_layers(_SLOW_BYTES if slow else _BYTES)))
            context = work / "context"
            context.mkdir()
            (context / "Dockerfile").write_text(f"FROM {base.reference}\nCOPY Dockerfile /\n")
            rows = slow_rows(work, context) if slow else fast_rows(work, context)
    print(HEADER)
    for name, figure, goal, reached in rows:
        print(row(name, figure, goal, reached=reached))
    return 0 if all(reached for *_, reached in rows) else 1


Row = tuple[str, str, str, bool]


def fast_rows(work: Path, context: Path) -> list[Row]:
    """Time and memory, all on tmpfs."""
    ours, hand = Job(work / "ours", context), ByHand(work / "hand", context)

    def tidy() -> None:
        ours.tidy()
        hand.tidy()

    pair = time_pair(ours, hand, runs=7, tidy=tidy)
    tidy()
    peak = ours.peak_memory()
    figure = f"{pair.ratio:.2f} ({pair.ours:.2f} s, by hand {pair.other:.2f} s)"
    return [
        ("a job with `UNPACK_ROOTFS` vs gunzip and untar", figure, f"≤ {_GOAL}", pair.ratio <= _GOAL),
        ("memory of `build` and buildctl in it", f"{peak} MB", f"≤ {_MEMORY_GOAL} MB", peak <= _MEMORY_GOAL),
    ]


def slow_rows(work: Path, context: Path) -> list[Row]:
    """Memory while the outputs' disk is much slower than what comes."""
    with slow_disk(work) as disk:
        start = time.monotonic()
        peak = Job(disk, context, state=work / "state").peak_memory()
        seconds = time.monotonic() - start
    name = f"memory of `build` and buildctl, {_SLOW_BYTES // 10**9} GB onto a disk of {_SLOW_BPS // 10**6} MB/s"
    return [(name, f"{peak} MB ({seconds:.0f} s)", f"≤ {_MEMORY_GOAL} MB", peak <= _MEMORY_GOAL)]


@contextlib.contextmanager
def slow_disk(work: Path) -> Iterator[Path]:
    """A file system whose writes wait for a throttled loop device, for this process and its children.

    It is mounted with `sync`, because cgroup v1 throttles only what the writer itself waits for
    (https://docs.kernel.org/admin-guide/cgroup-v1/blkio-controller.html).
    """
    image, place = work / "disk", work / "slow"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(2 * _SLOW_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-N", str(4 * _FILES), image], check=True)
    device = _printed("losetup", "--find", "--show", str(image))
    group = Path("/sys/fs/cgroup/blkio/ocibuild-bench")
    try:
        subprocess.run(["mount", "-o", "sync", device, place], check=True)
        group.mkdir(exist_ok=True)
        number = _printed("lsblk", "-ndo", "MAJ:MIN", device).strip()
        (group / "blkio.throttle.write_bps_device").write_text(f"{number} {_SLOW_BPS}")
        (group / "cgroup.procs").write_text(str(os.getpid()))
        yield place
    finally:
        (group.parent / "cgroup.procs").write_text(str(os.getpid()))
        subprocess.run(["umount", place], check=True)
        subprocess.run(["losetup", "--detach", device], check=True)
        with contextlib.suppress(OSError):
            group.rmdir()


class Job:
    """What a pipeline runs: nothing but the environment, into an output directory that is empty."""

    def __init__(self, work: Path, context: Path, *, state: Path | None = None) -> None:
        self._work = work
        self._env = {
            **_env(),
            "CONTEXT": str(context),
            "UNPACK_ROOTFS": "true",
            "OCIBUILD_STATE_DIR": str(state or work / "state"),
        }

    def __call__(self) -> None:
        """Run it."""
        command([str(BIN / "build")], cwd=self._place(), env=self._env)()

    def tidy(self) -> None:
        """Remove what it made: a tmpfs that grows takes memory that the machine has first to be given."""
        shutil.rmtree(self._work / "job", ignore_errors=True)

    def peak_memory(self) -> int:
        """Megabytes that `build` and its children take at most together, the engine aside."""
        process = subprocess.Popen([str(BIN / "build")], cwd=self._place(), env=self._env, stdout=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(_resident, _family(process.pid))))
            time.sleep(0.01)
        if process.returncode:
            raise SystemExit(process.returncode)
        return peak // 1_000_000

    def _place(self) -> Path:
        place = self._work / "job"
        (place / "image").mkdir(parents=True)
        return place


class ByHand:
    """buildctl with a docker archive, then `gzip` and `tar` for each layer in its order."""

    def __init__(self, work: Path, context: Path) -> None:
        self._work = work
        self._context = context

    def __call__(self) -> None:
        """Run it."""
        _by_hand(self._work, self._context)
        made = self._work / "job"
        rootfs = made / "rootfs"
        rootfs.mkdir(parents=True)
        subprocess.run(["tar", "-xf", "../image.tar"], cwd=made, check=True)
        for name in json.loads((made / "manifest.json").read_text())[0]["Layers"]:
            with (made / "layer.tar").open("wb") as plain:
                subprocess.run(["gzip", "-dc", name], cwd=made, check=True, stdout=plain)
            subprocess.run(["tar", "-xf", "layer.tar", "-C", str(rootfs)], cwd=made, check=True)

    def tidy(self) -> None:
        """See `Job.tidy`."""
        shutil.rmtree(self._work / "job", ignore_errors=True)


def make_layers(total: int = _BYTES) -> list[Mapping[str, bytes]]:
    """Files that compress like those of a real image: pieces of Python's library, the same each time."""
    chance = random.Random(1)  # noqa: S311  # nothing secret
    corpus = b"".join(path.read_bytes() for path in sorted(Path(os.__file__).parent.glob("**/*.py"))[:3000])
    sizes = [chance.lognormvariate(0, 1.5) for _ in range(_FILES)]
    factor = total / sum(sizes)
    layers: list[dict[str, bytes]] = [{} for _ in range(_LAYERS)]
    for number, size in enumerate(sizes):
        length = min(int(size * factor), len(corpus) // 2)
        start = chance.randrange(len(corpus) - length)
        layers[number % _LAYERS][f"d{number % 40}/e{number % 1000}/{number}"] = corpus[start : start + length]
    return list(layers)


def _family(pid: int) -> Iterator[int]:
    """A process and all below it, but for the engine's."""
    with contextlib.suppress(OSError):
        if Path(f"/proc/{pid}/comm").read_text().strip() in _ENGINE:
            return
        yield pid
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _resident(pid: int) -> int:
    """Bytes, each page that processes share counted in part."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(text.split("\nPss:")[1].split()[0]) * 1024
    return 0


def _printed(*argv: str) -> str:
    path = shutil.which(argv[0], path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    done = subprocess.run([path or argv[0], *argv[1:]], check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
