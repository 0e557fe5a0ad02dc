"""`make image`: the context of the Dockerfile, then the image, built with our own `build`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gowheel.errors import WheelError
from inside.choice import is_wheel, requirement, split_plugins

from taskimage.base import debian_base
from taskimage.places import IMAGE, REPOSITORY, ImageError, build, run
from taskimage.plugins import check_plugins, find_plugins, labels
from taskimage.target import DEBIAN, choose_image_target
from taskimage.wheels import gather_tool_wheels, gather_wheels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskimage.target import ImageTarget

_REVISION = "org.opencontainers.image.revision"
OUTPUT = "docker,dest=dist/task-image.tar"


def main() -> int:
    """Make the image; the exit code."""
    asked = _arguments()
    try:
        target = choose_image_target(machine=asked.machine, base=asked.base, python=asked.base_python)
        with tempfile.TemporaryDirectory(prefix="task-image-") as directory:
            besides = {_REVISION: asked.revision or revision(REPOSITORY)}
            outputs = asked.output or [OUTPUT]
            make_image(target, asked.plugins, outputs=outputs, work=Path(directory), besides=besides)
    except (ImageError, WheelError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def make_image(
    target: ImageTarget, plugins: str, *, outputs: Sequence[str], work: Path, besides: Mapping[str, str]
) -> None:
    """Make the context, then the image.

    Args:
        target: what the image is for.
        plugins: PLUGINS.
        outputs: as in `build --output`.
        work: an empty directory.
        besides: labels besides those of the plugins; empty ones are left out.
    """
    env = {**os.environ, "SOURCE_DATE_EPOCH": _date()}
    arguments = ["--platform", target.platform, *(f"--output={output}" for output in outputs), "--progress", "plain"]
    if target.is_made_here:
        arguments += ["--image-arg", f"BASE={debian_base(target, env=env, now=time.time())}"]
    else:
        arguments += ["--build-arg", f"BASE={target.base}"]
    context = work / "context"
    chosen = fill_context(context, target, plugins)
    arguments += ["--build-arg", f"PLUGINS={chosen}"]
    for key, value in {**json.loads((context / "labels.json").read_text()), **besides}.items():
        arguments += ["--label", f"{key}={value}"] if value else []
    build([str(context), *arguments], env=env, cwd=REPOSITORY)


def fill_context(context: Path, target: ImageTarget, plugins: str) -> str:
    """Make the context; PLUGINS as the Dockerfile takes it."""
    items = split_plugins(plugins)
    wheels, tool_wheels = context / "wheels", context / "sbom-wheels"
    for directory in (wheels, tool_wheels):
        directory.mkdir(parents=True)
    shutil.copy(IMAGE / "Dockerfile", context)
    shutil.copytree(IMAGE / "inside", context / "inside", ignore=shutil.ignore_patterns("__pycache__"))
    pins = gather_wheels(target, items, wheels)
    gather_tool_wheels(target, tool_wheels)
    found = find_plugins(wheels.glob("*.whl"))
    check_plugins([requirement(item, wheels) for item in items], found)
    (wheels / "plugins.json").write_text(json.dumps([plugin.as_json() for plugin in found]))
    version = next(version for name, version in pins if name == "ocibuild-core")
    (context / "labels.json").write_text(json.dumps(labels(found, version)))
    return ",".join(Path(item).name if is_wheel(item) else item for item in items)


def _date() -> str:
    """The image's date, in seconds since 1970: SOURCE_DATE_EPOCH, or the last commit's."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return given
    try:
        return run("git", "-C", REPOSITORY, "log", "-1", "--format=%ct").strip()
    except (ImageError, FileNotFoundError):
        raise ImageError(
            "the image's date is unknown: this is no git checkout\n  do     set SOURCE_DATE_EPOCH"
        ) from None


def revision(checkout: Path) -> str:
    """The commit, with `-dirty` where the files are others; empty outside of a git checkout."""
    try:
        return run("git", "-C", checkout, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*").strip()
    except (ImageError, FileNotFoundError):
        return ""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="taskimage", description=__doc__)
    parser.add_argument("--plugins", default="ecr,basic", help="ours by name, others by requirement or wheel")
    parser.add_argument("--base", default=DEBIAN, help="debian, or an image with Python: python:3.13-slim-bookworm")
    parser.add_argument("--base-python", default="", help="that image's Python, where its tag does not say it: 3.13")
    parser.add_argument("--machine", default=platform.machine(), help="amd64 or arm64")
    parser.add_argument("--revision", default="", help="the commit that the label names  [default this checkout's]")
    parser.add_argument("--output", action="append", help=f"as in build --output  [default {OUTPUT}]")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
