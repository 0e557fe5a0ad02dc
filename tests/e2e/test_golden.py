"""Twenty builds next to the same by hand: the configuration's digest buildctl's, the root file system umoci's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_buildkit import binary
from ocibuild_testkit.registry import busybox_files
from support.golden import APPLETS, CASES, CONTEXT, Case
from support.images import read_image
from support.mapped_root import remove_tree
from support.missing import need_program
from support.shared_engine import shared_engine
from support.trees import Node, read_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.hub import DockerHub
    from support.programs import ProgramRunner
    from support.users import OrdinaryUser

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def engine(docker_hub: DockerHub) -> Iterator[str]:
    docker_hub.push_image("library/base:latest", files=dict(busybox_files(APPLETS)))
    directory = Path(tempfile.mkdtemp(prefix="ob-", dir="/tmp"))  # short, for sockets
    try:
        with shared_engine(directory, docker_hub.buildkitd_toml()) as address:
            yield address
    finally:
        remove_tree(directory)


def write_context(directory: Path, case: Case) -> None:
    for name, content in {**CONTEXT, **case.files, "Dockerfile": case.dockerfile.encode()}.items():
        path = directory / "context" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (directory / "image").mkdir()


def by_buildctl(case: Case, address: str, work: Path, run: ProgramRunner) -> Path:
    """The archive that buildctl makes."""
    archive = work.parent / "hand.tar"
    command = [str(binary("buildctl")), f"--addr={address}", "build", "--frontend=dockerfile.v0", *case.arguments]
    command += ["--local=context=context", "--local=dockerfile=context"]
    command.append(f"--output=type=docker,dest={archive}")
    run(*command, cwd=work, may_hold_secrets=[work / "image" / "rootfs"]).succeeded()
    return archive


def by_umoci(archive: Path, run: ProgramRunner, user: OrdinaryUser | None = None) -> dict[bytes, Node]:
    """The tree that umoci makes of an archive, from a layout that names the image as umoci wants it."""
    need_program("umoci", "umoci")
    place = archive.parent / "by-umoci"
    (place / "layout").mkdir(parents=True)
    subprocess.run(["tar", "-xf", archive, "-C", place / "layout"], check=True)
    index = json.loads((place / "layout" / "index.json").read_text())
    index["manifests"][0].setdefault("annotations", {})["org.opencontainers.image.ref.name"] = "it"
    (place / "layout" / "index.json").write_text(json.dumps(index))
    if user:
        user.own(place)
    rootless = ["--rootless"] if user or os.geteuid() != 0 else []
    target = place / "tree"
    command = ["umoci", "raw", "unpack", *rootless, "--image", f"{place}/layout:it", str(target)]
    run(*command, cwd=place, user=user, may_hold_secrets=[archive.parent]).succeeded()
    try:
        return comparable(target)
    finally:
        shutil.rmtree(target, ignore_errors=True)  # an ordinary user's tree may have closed directories


def comparable(root: Path) -> dict[bytes, Node]:
    """A tree without what differs between two good ones.

    That is: inode numbers, what no layer says of the root, and the note of an owner that `umoci --rootless` leaves
    (https://rootlesscontaine.rs/proto/rootlesscontainers.proto).
    """
    tree = read_tree(root)
    first: dict[int, int] = {}
    plain = {
        name: replace(
            node,
            blocks=0,
            inode=first.setdefault(node.inode, number),
            xattrs=tuple(one for one in node.xattrs if one[0] != "user.rootlesscontainers"),
        )
        for number, (name, node) in enumerate(sorted(tree.items()))
    }
    plain[b"."] = replace(plain[b"."], mtime=0)
    return plain


def differences(ours: dict[bytes, Node], theirs: dict[bytes, Node]) -> dict[bytes, tuple[Node | None, Node | None]]:
    return {
        path: (ours.get(path), theirs.get(path))
        for path in sorted(ours.keys() | theirs.keys())
        if ours.get(path) != theirs.get(path)
    }


def test_there_are_twenty() -> None:
    assert len(CASES) == 20


@pytest.mark.parametrize("name", CASES)
def test_digest_and_tree_are_those_of_the_same_by_hand(
    name: str, engine: str, sandbox: Path, run: ProgramRunner
) -> None:
    case, work = CASES[name], sandbox / "work"
    write_context(work, case)
    env = {
        "CONTEXT": "context",
        "UNPACK_ROOTFS": "true",
        "BUILDKIT_HOST": engine,
        **case.env,
    }
    # What is in the tree came from the image, and parts of it are closed to an ordinary user.
    run("build", env=env, cwd=work, may_hold_secrets=[work / "image" / "rootfs"]).succeeded()
    by_hand = by_buildctl(case, engine, work, run)
    assert read_image(work / "image" / "image.tar").config == read_image(by_hand).config
    assert (work / "image" / "digest").read_text() == read_image(by_hand).config_digest
    assert read_image(work / "image" / "image.tar").manifest["layers"] == read_image(by_hand).manifest["layers"]
    assert differences(comparable(work / "image" / "rootfs"), by_umoci(by_hand, run)) == {}


def test_an_ordinary_users_tree_is_the_one_that_umoci_makes_for_him(
    docker_hub: DockerHub, run: ProgramRunner, ordinary_user: OrdinaryUser
) -> None:
    case = CASES["owners and modes"]
    work = ordinary_user.home / "golden" / "work"
    docker_hub.push_image("library/base:latest", files=dict(busybox_files(APPLETS)))
    write_context(work, case)
    ordinary_user.own(work.parent)
    env = {"CONTEXT": "context", "UNPACK_ROOTFS": "true", "BUILDKIT_EXTRA_CONFIG": docker_hub.buildkitd_toml()}
    result = run("build", env=env, cwd=work, user=ordinary_user).succeeded()
    assert "rootfs: all files belong to the user who unpacked them" in result.stderr
    ours = comparable(work / "image" / "rootfs")
    assert {(node.uid, node.gid) for node in ours.values()} == {(ordinary_user.uid, ordinary_user.gid)}
    assert ours[b"b"].mode == 0o4755
    archive = Path(shutil.move(work / "image" / "image.tar", work.parent / "image.tar"))
    assert differences(ours, by_umoci(archive, run, ordinary_user)) == {}
