"""`rootfs/` of real builds: where it goes, what is asked, as root and as an ordinary user, with what may go wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.trees import read_tree

if TYPE_CHECKING:
    from support.programs import ProgramRunner
    from support.users import OrdinaryUser

pytestmark = pytest.mark.e2e

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
    assert sorted(path.name for path in (work / "image").iterdir()) == [
        "digest",
        "image.tar",
        "metadata.json",
        "rootfs",
    ]


def test_sources_that_are_called_rootfs_are_not_touched(work: Path, run: ProgramRunner) -> None:
    (work / "rootfs").mkdir()
    (work / "rootfs" / "mine").write_text("mine")
    result = run("build", "-o", "rootfs,dest=.", ".", cwd=work).ended_with(6)
    assert "shows that an earlier build made them" in result.stderr
    assert (work / "rootfs" / "mine").read_text() == "mine"


def test_an_ordinary_user_owns_everything_and_is_told_so(run: ProgramRunner, ordinary_user: OrdinaryUser) -> None:
    work = ordinary_user.home / "unpack"
    (work / "image").mkdir(parents=True)
    (work / "Dockerfile").write_text("FROM scratch\nCOPY --chown=5:6 --chmod=4750 Dockerfile /d/f\n")
    ordinary_user.own(work)
    result = run("build", env={"UNPACK_ROOTFS": "true"}, cwd=work, user=ordinary_user).succeeded()
    found = (work / "image" / "rootfs" / "d" / "f").stat()
    assert (found.st_uid, found.st_mode & 0o7777) == (ordinary_user.uid, 0o4750)
    assert "rootfs: all files belong to the user who unpacked them" in result.stderr
