"""Cache mounts without BuildKit: which ones a Dockerfile has, and how archives go in and out."""

from __future__ import annotations

import io
import json
import os
import runpy
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ocibuild_core.cache_mounts.desk import Desk
from ocibuild_core.cache_mounts.found import CacheMount, cache_mounts
from ocibuild_core.cache_mounts.interpreter import COURIER
from ocibuild_core.cache_mounts.keeping import drop_oldest

import ocibuild_core

if TYPE_CHECKING:
    from collections.abc import Callable

PLATFORM = {"TARGETARCH": "amd64"}


def found(*lines: str, target: str | None = None, **build_args: str) -> list[tuple[str, ...]]:
    mounts = cache_mounts("\n".join(lines), target=target, build_args=build_args, platform_args=PLATFORM).mounts
    return [(mount.id, *mount.permissions) for mount in mounts]


@pytest.mark.parametrize(
    ("flag", "mount"),
    [
        ("type=cache,target=/root/.cache/", ("/root/.cache",)),
        ("type=cache,dst=/a,id=apt,sharing=locked", ("apt",)),
        ("target=/a,type=cache,uid=1000,mode=0700,gid=5", ("/a", "uid=1000", "gid=5", "mode=0700")),
        ("type=cache,target=/a,id=go-$TARGETARCH", ("go-amd64",)),
        ("type=cache,target=/a,id=${NAME}-${OF:-all}", ("given-all",)),
        (r"type=cache,\"id=a,b\",target=/a", ("a,b",)),
        ('"type=cache,id=a",target=/a', ("a",)),
        ("type=cache,target=$HOME_OF/.m2", ("/home/x/.m2",)),
    ],
)
def test_what_a_mount_is_known_by(flag: str, mount: tuple[str, ...]) -> None:
    lines = (
        "FROM a",
        "ARG NAME=default TARGETARCH",
        "ARG OF",
        "ENV HOME_OF=/home/x",
        f"RUN --network=none --mount={flag} make",
    )
    assert found(*lines, NAME="given", OF="") == [mount]


def test_a_variable_counts_in_the_stages_that_set_it() -> None:
    run = "RUN --mount=type=cache,target=/a,id={} x"
    lines = ["ARG V=1", "FROM a AS one", "ARG V W=two", "ENV E='e e'", run.format("one-$V-$W-$E"), "FROM one AS two"]
    lines += [run.format("two-$V-$W"), "ARG V=3", run.format("two-$V"), "FROM a", "COPY --from=two / /"]
    lines += [run.format("$V"), run.format("$W"), run.format("$TARGETARCH")]
    assert found(*lines) == [("one-1-two-e e",), ("two-1-two",), ("two-3",)]
    assert found(*lines, V="g") == [("one-g-two-e e",), ("two-g-two",), ("two-g",)]


def test_only_what_the_target_needs_counts_and_each_once() -> None:
    lines = (
        "FROM a AS one",
        "RUN --mount=type=cache,target=/one \\",
        "    --mount=type=cache,target=/both x",
        "FROM a AS two",
        "RUN --mount=type=cache,target=/two --mount=type=cache,target=/both <<EOF",
        "RUN --mount=type=cache,target=/text x",
        "EOF",
        "RUN --mount=type=bind,target=/b --mount=type=tmpfs,target=/t x --mount=type=cache,target=/argument",
        "FROM two",
    )
    assert found(*lines) == [("/two",), ("/both",)]
    assert found(*lines, target="one") == [("/one",), ("/both",)]


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("type=cache,target=/a,from=base", "line 2: the cache mount /a begins with files of an image"),
        (
            "type=cache,target=/a,id=$UNKNOWN",
            "$UNKNOWN is called is known to BuildKit alone: its stage sets no UNKNOWN",
        ),
        ("type=cache,target=/a,id=x-$TARGETARCH", "line 2: what the cache mount x-$TARGETARCH is called is known to"),
        ("type=cache,id=", "is known to BuildKit alone"),
    ],
)
def test_what_cannot_be_kept_is_said(flag: str, says: str) -> None:
    text = f"FROM a\nRUN --mount={flag} x\n"
    result = cache_mounts(text, target=None, build_args={}, platform_args=PLATFORM)
    assert result.mounts == ()
    (said,) = result.others
    assert says in said


def test_file_names_are_readable_and_never_the_same() -> None:
    names = {CacheMount(name, ()).file_name for name in ("a/b", "a-b", "../../x", "x" * 300, "ä")}
    names.add(CacheMount("a/b", ("uid=1",)).file_name)
    assert len(names) == 6
    assert all("/" not in name and len(name) < 80 and not name.startswith(".") for name in names)


@pytest.fixture
def courier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The step's program at work on `tmp_path/mounts`."""
    monkeypatch.chdir(tmp_path)  # a socket's path is short

    def run(direction: str) -> None:
        names: dict[str, Any] = runpy.run_path(str(COURIER), run_name="courier")
        scope = names["main"].__globals__
        scope.update(SOCKET="courier", MOUNTS=str(tmp_path / "mounts"))
        monkeypatch.setattr("sys.argv", ["courier.py", direction, "0"])
        names["main"]()
        Path("courier").unlink()

    return run


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    place = tmp_path / "mounts" / "0"
    place.mkdir(parents=True)
    return place


def fill(place: Path) -> None:
    (place / "deep").mkdir(mode=0o751)
    (place / "deep" / "file").write_bytes(os.urandom(700_000))
    (place / "deep" / "file").chmod(0o4711)
    os.utime(place / "deep" / "file", ns=(10**18 + 1, 10**18 + 123456789))
    os.link(place / "deep" / "file", place / "other name")
    (place / "link").symlink_to("deep/file")
    Path(os.fsdecode(os.fsencode(place) + b"/\xff\n")).write_text("odd")
    os.mkfifo(place / "fifo")
    place.chmod(0o1777)


def seen(place: Path) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for path in (place, *sorted(place.rglob("*"))):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        times = (
            0 if path.is_dir() or path.is_symlink() else round(status.st_mtime_ns / 10**6)
        )  # tarfile counts in floats
        rows.append((str(path.relative_to(place)), status.st_mode, status.st_nlink, status.st_uid, times, content))
    return rows


def test_what_goes_out_comes_in_as_it_was(courier: Callable[..., None], mount: Path, tmp_path: Path) -> None:
    fill(mount)
    before = seen(mount)
    archive = tmp_path / "archive"
    with Desk(Path("courier"), given=[None], taken=[archive], most_bytes=10**7) as desk:
        courier("out")
    assert (desk.arrived, desk.too_large, desk.problem) == ([0], [], None)
    shutil.rmtree(mount)
    mount.mkdir()
    with Desk(Path("courier"), given=[archive], taken=[], most_bytes=0) as desk:
        courier("in")
    assert desk.damaged == []
    assert seen(mount) == before
    (mount / "link").unlink()
    with Desk(Path("courier"), given=[archive], taken=[], most_bytes=0):
        courier("in")
    assert not (mount / "link").is_symlink(), "a mount with content is not touched"


def test_an_empty_mount_is_no_archive_and_a_large_one_is_not_written(
    courier: Callable[..., None], mount: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    with Desk(Path("courier"), given=[None], taken=[archive], most_bytes=10**6) as desk:
        courier("out")
    assert (desk.arrived, archive.exists()) == ([], False)
    (mount / "large").write_bytes(os.urandom(2_000_000))
    with Desk(Path("courier"), given=[None], taken=[archive], most_bytes=10**6) as desk:
        courier("out")
    assert (desk.arrived, desk.too_large) == ([], [0])
    assert archive.stat().st_size <= 10**6


@pytest.mark.parametrize("harm", ["cut off", "changed", "no archive", "no tar"])
def test_a_damaged_archive_leaves_an_empty_mount(
    harm: str, courier: Callable[..., None], mount: Path, tmp_path: Path
) -> None:
    import gzip

    (mount / "file").write_bytes(os.urandom(900_000))
    archive = tmp_path / "archive"
    with Desk(Path("courier"), given=[None], taken=[archive], most_bytes=10**7):
        courier("out")
    (mount / "file").unlink()
    whole = archive.read_bytes()
    archive.write_bytes(
        {
            "cut off": whole[:-1000],
            "changed": whole[:500_000] + bytes(9) + whole[500_009:],
            "no archive": b"nonsense",
            "no tar": gzip.compress(b"x" * 100_000),
        }[harm]
    )
    with Desk(Path("courier"), given=[archive], taken=[], most_bytes=0) as desk:
        courier("in")
    assert list(mount.iterdir()) == []
    assert desk.damaged == ([] if harm == "no tar" else [0])


def test_a_step_that_ends_in_the_middle_gives_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.chdir(tmp_path)
    desk = Desk(Path("courier"), given=[None], taken=[tmp_path / "archive"], most_bytes=10**6)
    with desk, socket.socket(socket.AF_UNIX) as line:
        line.connect("courier")
        line.sendall(b"put 0\n\x00\x00\x00\x05abc")
    assert (desk.arrived, desk.too_large) == ([], [])


def test_a_full_disk_is_a_problem_that_is_told(courier: Callable[..., None], mount: Path) -> None:
    (mount / "file").write_bytes(os.urandom(900_000))
    desk = Desk(Path("courier"), given=[None], taken=[Path("/dev/full")], most_bytes=10**7)
    with desk:
        courier("out")
    assert desk.arrived == []
    assert desk.problem is not None
    assert "No space left" in str(desk.problem)


def test_what_was_longest_not_used_is_dropped_beyond_the_bound(tmp_path: Path) -> None:
    now = time.time()
    for age, name in enumerate(("new", "old", "older", "oldest")):
        (tmp_path / f"{name}.tar.gz").write_bytes(bytes(100))
        os.utime(tmp_path / f"{name}.tar.gz", (now - age, now - age))
    assert drop_oldest(tmp_path, 250) == (2, 200)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.tar.gz", "old.tar.gz"]


def test_archives_are_what_tar_reads(courier: Callable[..., None], mount: Path, tmp_path: Path) -> None:
    (mount / "file").write_text("content")
    with Desk(Path("courier"), given=[None], taken=[tmp_path / "archive"], most_bytes=10**6):
        courier("out")
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "archive").read_bytes())) as tar:
        assert tar.getnames() == [".", "./file"]


def interpreters() -> list[str]:
    """The Pythons of this machine that the project supports: the tests' own, the system's, and pyenv's."""
    others = [
        *Path("/usr/bin").glob("python3.1[1-9]"),
        *Path("~/.pyenv").expanduser().glob("versions/3.1[1-9].*/bin/python"),
    ]
    return sorted({os.path.realpath(one) for one in (Path(sys.executable), *others)})


@pytest.mark.parametrize("python", interpreters())
def test_the_interpreter_and_the_courier_stand_alone(python: str, tmp_path: Path) -> None:
    """In a root directory that holds nothing else."""
    installing = (
        "import json, sys; from pathlib import Path; from ocibuild_core.cache_mounts.interpreter import install;"
        "print(json.dumps(install(Path(sys.argv[1]))))"
    )
    env = {"PYTHONPATH": str(Path(ocibuild_core.__file__).parents[1]), "PATH": os.defpath}
    asked = subprocess.run([python, "-c", installing, tmp_path], env=env, capture_output=True, check=True)
    command, environment = json.loads(asked.stdout)
    (tmp_path / "mounts" / "0").mkdir(parents=True)
    enter = ["chroot"] if os.geteuid() == 0 else ["unshare", "-r", "chroot"]
    path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    argv = [shutil.which(enter[0], path=path["PATH"]) or enter[0], *enter[1:], str(tmp_path), *command]
    subprocess.run([*argv, "out", "0"], env={**path, **environment}, check=True)
    missing = subprocess.run([*argv, "out", "1"], env={**path, **environment}, check=False, capture_output=True)
    assert b"FileNotFoundError" in missing.stderr
