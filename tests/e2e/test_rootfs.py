"""`rootfs/` of real builds: where it goes, what is asked, as root and as an ordinary user, with what may go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.programs import PROGRAMS
from support.trees import Node, read_tree

if TYPE_CHECKING:
    from support.programs import ProgramRunner
    from support.users import OrdinaryUser

pytestmark = pytest.mark.e2e

WRITTEN = ["digest", "image.tar", "metadata.json", "rootfs"]
FLAT = "FROM scratch\nCOPY Dockerfile /etc/\nENV BA=nana PATH=/darkness\nUSER banana\n"


@pytest.fixture
def work(sandbox: Path) -> Path:
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    (directory / "Dockerfile").write_text(FLAT)
    return directory


def test_the_contracts_own_example(work: Path, run: ProgramRunner) -> None:
    run("build", env={"UNPACK_ROOTFS": "true"}, cwd=work).succeeded()
    assert (work / "image" / "rootfs" / "etc" / "Dockerfile").read_text() == FLAT
    assert json.loads((work / "image" / "metadata.json").read_text()) == {
        "env": ["PATH=/darkness", "BA=nana"],
        "user": "banana",
    }
    assert (work / "image" / "image.tar").exists()


def test_an_oci_archive_is_unpacked_too(work: Path, run: ProgramRunner) -> None:
    run("build", env={"unpack_rootfs": "1", "OUTPUT_OCI": "1"}, cwd=work).succeeded()
    assert sorted(path.name for path in (work / "image").iterdir()) == [
        *("digest", "image", "image.tar", "metadata.json", "rootfs")
    ]


def test_of_several_platforms_one_is_asked_for_and_unpacked(work: Path, run: ProgramRunner) -> None:
    (work / "Dockerfile").write_text("FROM scratch\nARG TARGETARCH\nCOPY ${TARGETARCH} /it\n")
    for name in ("amd64", "arm64"):
        (work / name).write_text(name)
    env = {"UNPACK_ROOTFS": "true", "IMAGE_PLATFORM": "linux/arm64,linux/amd64"}
    result = run("build", env=env, cwd=work).ended_with(2)
    assert "which platform of linux/arm64, linux/amd64" in result.stderr
    run("build", env={**env, "ROOTFS_PLATFORM": "linux/arm64"}, cwd=work).succeeded()
    assert (work / "image" / "rootfs" / "it").read_text() == "arm64"


def test_a_failed_build_leaves_the_older_tree_and_a_good_one_replaces_it_whole(work: Path, run: ProgramRunner) -> None:
    env = {"UNPACK_ROOTFS": "true"}
    run("build", env=env, cwd=work).succeeded()
    before = read_tree(work / "image")
    (work / "Dockerfile").write_text("FROM scratch\nCOPY missing /\n")
    run("build", env=env, cwd=work).ended_with(1)
    assert read_tree(work / "image").keys() == before.keys()
    (work / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /only\n")
    run("build", env=env, cwd=work).succeeded()
    assert [path.name for path in (work / "image" / "rootfs").iterdir()] == ["only"]
    assert sorted(path.name for path in (work / "image").iterdir()) == WRITTEN


MANY = 2000


def make_many(work: Path) -> None:
    """An image that takes a while to unpack, and more room unpacked than packed."""
    (work / "many").mkdir()
    for number in range(MANY):
        (work / "many" / str(number)).write_bytes(b"x" * 2000)
    (work / "Dockerfile").write_text("FROM scratch\nCOPY many /many\n")


def without_staging(directory: Path) -> dict[bytes, Node]:
    """What an output directory holds, but for its own time, and for what a killed build leaves to the next."""
    tree = read_tree(directory)
    del tree[b"."]
    return {name: node for name, node in tree.items() if not name.startswith(b".ocibuild-")}


def test_killed_while_unpacking_the_older_tree_is_as_it_was(work: Path, run: ProgramRunner) -> None:
    run("build", cwd=work, env={"UNPACK_ROOTFS": "true"}).succeeded()
    before = without_staging(work / "image")
    make_many(work)
    env = {**run.env(), "UNPACK_ROOTFS": "true"}
    with subprocess.Popen(
        [PROGRAMS / "build"], cwd=work, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 60
        while not list(work.parent.glob(".ocibuild-*/*/rootfs/many/1*")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert without_staging(work / "image") == before
    run("build", env={"UNPACK_ROOTFS": "true"}, cwd=work).succeeded()
    assert len(list((work / "image" / "rootfs" / "many").iterdir())) == MANY
    assert sorted(path.name for path in (work / "image").iterdir()) == WRITTEN


@pytest.fixture
def small_disk(work: Path) -> Iterator[Path]:
    """`image/` as a file system of its own of 6 MB, as far as the user may mount one; else an ordinary directory."""
    if os.geteuid() != 0:
        yield work / "image"
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", work / "image"], check=True)
    yield work / "image"
    subprocess.run(["umount", work / "image"], check=True)


def test_no_room_for_the_tree_leaves_the_older_one(work: Path, run: ProgramRunner, small_disk: Path) -> None:
    """Root fills a small disk. An ordinary user, who can mount none, meets a limit on the size of files instead."""
    run("build", cwd=work, env={"UNPACK_ROOTFS": "true"}).succeeded()
    before = without_staging(small_disk)
    if os.geteuid() == 0:
        make_many(work)
        command, says = ["build"], "No space left on device"
    else:
        (work / "large").write_bytes(b"x" * 60_000_000)
        (work / "Dockerfile").write_text("FROM scratch\nCOPY large /\n")
        run("build", "-o", "docker,dest=first.tar", ".", cwd=work).succeeded()  # without the limit
        command, says = ["prlimit", "--fsize=50000000", str(PROGRAMS / "build")], "File too large"
    result = run(*command, cwd=work, env={"UNPACK_ROOTFS": "true"}).ended_with(6)
    assert "cannot unpack layer 1 of 1" in result.stderr
    assert says in result.stderr
    assert without_staging(small_disk) == before
    assert sorted(path.name for path in small_disk.iterdir()) == WRITTEN


def test_a_mounted_tree_is_filled_in_place(work: Path, run: ProgramRunner) -> None:
    """Root has a mount point there, as a pipeline may; an ordinary user, who can mount nothing, a directory."""
    target = work / "image" / "rootfs"
    target.mkdir()
    if os.geteuid() == 0:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", target], check=True)
    try:
        for name in ("one", "two"):
            (work / "Dockerfile").write_text(f"FROM scratch\nCOPY Dockerfile /d/{name}\n")
            run("build", cwd=work, env={"UNPACK_ROOTFS": "true"}).succeeded()
            assert [path.name for path in (target / "d").iterdir()] == [name]
            assert [path.name for path in target.iterdir()] == ["d"]
            assert os.path.ismount(target) == (os.geteuid() == 0)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", target], check=True)


def test_sources_that_are_called_rootfs_are_not_touched(work: Path, run: ProgramRunner) -> None:
    (work / "rootfs").mkdir()
    (work / "rootfs" / "mine").write_text("mine")
    result = run("build", "-o", "rootfs,dest=.", ".", cwd=work).ended_with(6)
    assert "shows that an earlier build made them" in result.stderr
    assert (work / "rootfs" / "mine").read_text() == "mine"


def test_metadata_that_are_the_users_own_are_not_touched(work: Path, run: ProgramRunner) -> None:
    (work / "metadata.json").write_text('{"name": "mine"}')
    result = run("build", "-o", "rootfs,dest=.", ".", cwd=work).ended_with(6)
    assert f"cannot replace {work}/metadata.json" in result.stderr
    assert result.stdout == ""
    assert (work / "metadata.json").read_text() == '{"name": "mine"}'
    assert not (work / "rootfs").exists()


def test_an_ordinary_user_owns_everything_and_is_told_so(run: ProgramRunner, ordinary_user: OrdinaryUser) -> None:
    work = ordinary_user.home / "unpack"
    (work / "image").mkdir(parents=True)
    (work / "Dockerfile").write_text("FROM scratch\nCOPY --chown=5:6 --chmod=4750 Dockerfile /d/f\n")
    ordinary_user.own(work)
    result = run("build", env={"UNPACK_ROOTFS": "true"}, cwd=work, user=ordinary_user).succeeded()
    found = (work / "image" / "rootfs" / "d" / "f").stat()
    assert (found.st_uid, found.st_mode & 0o7777) == (ordinary_user.uid, 0o4750)
    assert "rootfs: all files belong to the user who unpacked them" in result.stderr
