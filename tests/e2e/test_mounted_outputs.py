"""Outputs of real builds where something is mounted: in what they would replace, on it, above it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.programs import ProgramRunner

pytestmark = [pytest.mark.e2e, pytest.mark.mounts]

Mount = Callable[..., None]
TMPFS = ("-t", "tmpfs", "tmpfs")


@pytest.fixture
def work(sandbox: Path) -> Path:
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    (directory / "f").write_text("f")
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY f /mnt/f\n")
    return directory


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts at its last argument, which is made; all of it goes when the test ends."""
    done: list[Path] = []

    def mounted(*arguments: str | Path) -> None:
        place = Path(arguments[-1])
        if not place.exists():
            place.mkdir()
        subprocess.run(["mount", *arguments], check=True)
        done.append(place)

    yield mounted
    for place in reversed(done):
        subprocess.run(["umount", place], check=True)


@pytest.fixture
def precious(sandbox: Path) -> Path:
    """A directory with a file that no build may touch."""
    (sandbox / "precious").mkdir()
    (sandbox / "precious" / "file").write_text("precious")
    return sandbox / "precious"


@pytest.mark.parametrize(
    ("argv", "tree", "has_disk"),
    [
        (("-o", "rootfs,dest=image"), "image/rootfs", False),
        (("-o", "rootfs,dest=image"), "image/rootfs", True),
        (("-o", "local,dest=out"), "out", False),
    ],
)
def test_what_is_mounted_in_an_older_tree_is_not_touched(
    argv: tuple[str, ...],
    tree: str,
    has_disk: bool,  # noqa: FBT001  # a parameter of the test
    work: Path,
    run: ProgramRunner,
    mount: Mount,
    precious: Path,
) -> None:
    if has_disk:
        mount(*TMPFS, work / "image")
    run("build", *argv, cwd=work).succeeded()
    mount("--bind", precious, work / tree / "mnt")
    result = run("build", *argv, cwd=work).ended_with(6)
    assert f"cannot replace {work / tree}\n  why    something is mounted on {work / tree}/mnt\n" in result.stderr
    assert result.stdout == ""
    assert (precious / "file").read_text() == "precious"
    assert not list(work.parent.rglob(".ocibuild-*"))


@pytest.mark.parametrize(
    ("output", "place", "found"),
    [
        ("local,dest=image/t", "t", "mnt"),
        ("oci,tar=false,dest=image/t", "t", "blobs index.json oci-layout"),
        ("oci", "image", "blobs index.json oci-layout"),
        ("rootfs", "rootfs", "mnt"),
    ],
)
def test_a_mount_point_is_filled_in_place_and_again(
    output: str, place: str, found: str, work: Path, run: ProgramRunner, mount: Mount
) -> None:
    mount(*TMPFS, work / "image" / place)
    (work / "image" / place / "lost+found").mkdir(mode=0o700)
    for text in ("one", "two"):
        (work / "f").write_text(text)
        run("build", "-o", output, cwd=work).succeeded()
        names = sorted(path.name for path in (work / "image" / place).iterdir() if path.name != "lost+found")
        assert " ".join(names) == found
        assert (work / "image" / place / "lost+found").exists()
        assert not list(work.parent.rglob(".ocibuild-*"))
    if output in ("rootfs", "local,dest=image/t"):
        assert (work / "image" / place / "mnt" / "f").read_text() == "two"


@pytest.mark.parametrize("output", ["local,dest=t", "oci,tar=false,dest=t"])
def test_a_mount_point_with_something_of_the_users_is_left_alone(
    output: str, work: Path, run: ProgramRunner, mount: Mount, precious: Path
) -> None:
    mount("--bind", precious, work / "t")
    result = run("build", "-o", output, cwd=work).ended_with(6)
    assert result.stdout == ""
    assert [path.name for path in precious.iterdir()] == ["file"]


def test_an_exchange_that_a_kill_ended_is_made_good(work: Path, run: ProgramRunner, mount: Mount) -> None:
    for output in ("local,dest=t", "oci,tar=false,dest=t"):
        mount(*TMPFS, work / "t")
        (work / "t" / ".ocibuild-unfinished").touch()
        (work / "t" / "half").touch()
        run("build", "-o", output, cwd=work).succeeded()
        assert not {".ocibuild-unfinished", "half"} & {path.name for path in (work / "t").iterdir()}


def test_a_file_that_something_is_mounted_on_is_told_before_the_build(
    work: Path, run: ProgramRunner, mount: Mount, precious: Path
) -> None:
    (work / "image" / "image.tar").touch()
    mount("--bind", precious / "file", work / "image" / "image.tar")
    result = run("build", cwd=work).ended_with(6)
    assert f"cannot replace {work}/image/image.tar\n  why    something is mounted on it\n" in result.stderr
    assert result.stdout == ""
