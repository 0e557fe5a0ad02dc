"""The start of the programs in the task image, in a container as Concourse makes them. As root."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.pairs import HEADER, row

ROOT = Path(__file__).parents[1]
GOAL = 150.0
RUNS = 21
# Timed within the container, so that the container's own start does not count.
_TIMER = f"""
import subprocess, time
for _ in range({RUNS + 1}):
    start = time.perf_counter()
    subprocess.run(["build", "--help"], stdout=subprocess.DEVNULL, check=True)
    print(time.perf_counter() - start)
"""


def main() -> None:
    """Print the table."""
    sys.path[:0] = [str(ROOT / name) for name in ("tests", "engine", "image")]
    from support.container import Container, need_root
    from support.task_image import kept_image, unpack_image

    need_root()
    with tempfile.TemporaryDirectory(prefix="ocibuild-bench-", dir="/var/tmp") as directory:  # a real disk
        image = unpack_image(kept_image(), Path(directory, "rootfs"))
        container = Container(rootfs=image.rootfs, env=image.env, directory=Path(directory, "containers"))
        _, *times = map(float, container.run("python", "-c", _TIMER).succeeded().stdout.split())
        size = sum(image.layer_sizes) / 1e6
    start = statistics.median(times) * 1000
    print(HEADER)
    print(row("`build --help` in the task image", f"{start:.0f} ms", f"≤ {GOAL:.0f} ms", reached=start <= GOAL))
    print(row("the task image with ecr and basic, uncompressed", f"{size:.0f} MB", "≤ 330 MB", reached=size <= 330))  # noqa: PLR2004  # the goal


if __name__ == "__main__":
    main()
