"""Whether the engine can make control groups for its steps."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ocibuild_core.doctor.checks import failure, fine
from ocibuild_core.engine.cgroup1 import hierarchies
from ocibuild_core.engine.cgroups import parent_name
from ocibuild_core.engine.privileges import is_mapped_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ocibuild_core.diagnostics import Finding
    from ocibuild_core.doctor.scene import Scene

_CONTROLLERS = "cgroup.controllers"


def look_at_cgroups(scene: Scene) -> Iterator[Finding]:
    """Which version is mounted, and whether a group can be made in it. Where runc has no rights it does without."""
    if scene.uid or is_mapped_root(proc=scene.proc):
        yield fine("not needed: steps of an ordinary user have no control groups of their own")
        return
    names = hierarchies((scene.proc / "self" / "cgroup").read_text())
    if not os.path.ismount(scene.cgroups):
        yield _unmounted(scene, names)
        return
    is_unified = (scene.cgroups / _CONTROLLERS).exists()
    groups = [scene.cgroups] if is_unified else list(_mounted(scene, names))
    refusals = {group: refusal for group in groups if (refusal := _try_group(group))}
    for group, refusal in refusals.items():
        yield failure(
            f"no control group can be made in {group}",
            why=refusal,
            do="start the container privileged, with /sys/fs/cgroup writable, or use --addr ADDRESS",
        )
    if not refusals:
        yield fine(_summary(scene, groups, is_unified=is_unified))


def _unmounted(scene: Scene, names: tuple[str, ...]) -> Finding:
    if names:
        return fine(f"version 1, not mounted here: the engine mounts {len(names)} hierarchies for itself")
    return failure(
        f"nothing is mounted on {scene.cgroups}", do=f"mount -t cgroup2 none {scene.cgroups}, or use --addr ADDRESS"
    )


def _mounted(scene: Scene, names: tuple[str, ...]) -> Iterator[Path]:
    for name in names:
        directory = scene.cgroups / name.removeprefix("none,").removeprefix("name=")
        if directory.is_dir():
            yield directory


def _try_group(parent: Path) -> str:
    """Make a group and remove it; the kernel's words when it refuses."""
    group = parent / parent_name(f"doctor-{os.getpid()}")
    try:
        group.mkdir()
        group.rmdir()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _summary(scene: Scene, groups: list[Path], *, is_unified: bool) -> str:
    if is_unified:
        return f"version 2, writable; controllers: {(scene.cgroups / _CONTROLLERS).read_text().strip() or 'none'}"
    return f"version 1, writable; hierarchies: {' '.join(group.name for group in groups)}"
