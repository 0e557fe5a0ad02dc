"""A private directory for the length of a build."""

# ruff: noqa: S108  # the places where it may lie

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.auth.private_dir import MAX_SOCKET_PATH, parents, private_directory, sweep
from ocibuild_core.errors import UsageError
from support.namespaces import run_in_namespace

if TYPE_CHECKING:
    from support.programs import ProgramRunner
    from support.strangers import Stranger
    from support.users import OrdinaryUser


def made(directory: Path) -> list[Path]:
    return sorted(directory.glob("ocibuild-*"))


def test_it_is_private_and_gone_at_the_end(sandbox: Path) -> None:
    with private_directory({"TMPDIR": str(sandbox)}, outside=[]) as directory:
        assert directory.parent == sandbox
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        (directory / "sub").mkdir()
        (directory / "sub" / "file").touch()
    assert not directory.exists()
    assert made(sandbox) == []


def test_it_is_gone_after_an_error(sandbox: Path) -> None:
    with pytest.raises(KeyboardInterrupt), private_directory({"TMPDIR": str(sandbox)}, outside=[]):
        raise KeyboardInterrupt
    assert made(sandbox) == []


def test_where_it_may_lie() -> None:
    env = {"TMPDIR": "/t", "XDG_RUNTIME_DIR": "/run/user/7"}
    assert [str(path) for path in parents(env)] == ["/t", "/tmp", "/run/user/7", "/run", "/dev/shm"]
    assert [str(path) for path in parents({"TMPDIR": "relative", "XDG_RUNTIME_DIR": ""})] == [
        "/tmp",
        "/run",
        "/dev/shm",
    ]


def test_never_in_what_is_built(sandbox: Path) -> None:
    inside = sandbox / "work" / "tmp"
    inside.mkdir(parents=True)
    with private_directory({"TMPDIR": str(inside)}, outside=[sandbox / "work"]) as directory:
        assert not directory.is_relative_to(sandbox / "work")


def test_never_in_what_is_built_by_way_of_a_link(sandbox: Path) -> None:
    (sandbox / "work" / "tmp").mkdir(parents=True)
    (sandbox / "link").symlink_to("work/tmp")
    with private_directory({"TMPDIR": str(sandbox / "link")}, outside=[sandbox / "work"]) as directory:
        assert not directory.is_relative_to(sandbox)


def test_who_works_in_the_root_gets_one_all_the_same(sandbox: Path) -> None:
    with private_directory({"TMPDIR": str(sandbox)}, outside=[Path("/")]) as directory:
        assert directory.parent == sandbox


def test_a_path_that_is_too_long_for_a_socket_is_passed_over(sandbox: Path) -> None:
    deep = sandbox / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    with private_directory({"TMPDIR": str(deep)}, outside=[]) as directory:
        assert len(os.fsencode(directory / "broker.sock")) <= MAX_SOCKET_PATH


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_place_that_others_may_write_to_is_passed_over(sandbox: Path, mode: int) -> None:
    """They could put a directory of their own in its place, and with it a program that is run."""
    place = sandbox / "shared" / "tmp"
    place.mkdir(parents=True)
    for shared in (place, place.parent):
        shared.chmod(mode)
        with private_directory({"TMPDIR": str(place)}, outside=[]) as directory:
            assert not directory.is_relative_to(sandbox)
        shared.chmod(mode | stat.S_ISVTX)
    with private_directory({"TMPDIR": str(place)}, outside=[]) as directory:
        assert directory.parent == place


def test_another_users_place_is_passed_over(sandbox: Path, stranger: Stranger) -> None:
    place = sandbox / "his"
    place.mkdir(mode=0o777)
    stranger.take(place)
    with private_directory({"TMPDIR": str(place)}, outside=[]) as directory:
        assert directory.parent != place


@pytest.mark.parametrize("place", ["/does/not/exist", "/proc", "/dev/null"])
def test_a_place_that_will_not_do_is_passed_over(place: str) -> None:
    with private_directory({"TMPDIR": place}, outside=[]) as directory:
        assert not directory.is_relative_to(place)


def test_no_place_at_all_is_an_error_that_lists_them(monkeypatch: pytest.MonkeyPatch, sandbox: Path) -> None:
    monkeypatch.setattr("ocibuild_core.auth.private_dir.parents", lambda _: [Path("/none"), sandbox])
    with pytest.raises(UsageError) as caught, private_directory({}, outside=[sandbox.parent]):
        pass
    assert caught.value.tried == ("/none (No such file or directory)", f"{sandbox} (it lies in what is built)")
    assert "TMPDIR" in caught.value.do


def test_a_link_leads_to_it_only_once(sandbox: Path) -> None:
    real, link, evil = sandbox / "real", sandbox / "link", sandbox / "evil"
    real.mkdir()
    evil.mkdir()
    link.symlink_to(real)
    with private_directory({"TMPDIR": str(link)}, outside=[]) as directory:
        link.unlink()
        link.symlink_to(evil)
        assert directory.parent == real
        (directory / "config.json").touch()
        assert list(evil.iterdir()) == []
    assert list(real.iterdir()) == []


@pytest.mark.parametrize("suffix", ["", ".new"])
def test_a_link_in_the_place_of_the_directory_is_not_followed(
    sandbox: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Nobody can guess its name; here somebody has."""
    evil = sandbox / "evil"
    evil.mkdir()
    monkeypatch.setattr(os, "urandom", lambda count: b"\xab" * count)
    (sandbox / f"ocibuild-{os.getpid()}-abababab{suffix}").symlink_to(evil)
    with private_directory({"TMPDIR": str(sandbox)}, outside=[]) as directory:
        assert directory.parent != sandbox
    assert list(evil.iterdir()) == []


NOEXEC = """
from ocibuild_core.auth.private_dir import private_directory
noexec = place / "noexec"
with private_directory({"TMPDIR": str(noexec)}, outside=[]) as directory:
    assert directory.parent != noexec, directory
assert list(noexec.iterdir()) == []
"""


@pytest.mark.e2e
def test_a_file_system_without_programs_is_passed_over(sandbox: Path) -> None:
    mounts = 'mkdir "$1/noexec" && mount -t tmpfs -o noexec,size=1m tmpfs "$1/noexec"'
    ended = run_in_namespace(mounts, NOEXEC, sandbox)
    assert ended.returncode == 0, ended.stderr


FULL = """
from ocibuild_core.auth.private_dir import private_directory
full = place / "full"
with private_directory({"TMPDIR": str(full)}, outside=[]) as directory:
    assert directory.parent != full, directory
assert [path.name for path in full.iterdir()] == ["filling"]
"""


@pytest.mark.e2e
def test_a_full_file_system_is_passed_over(sandbox: Path) -> None:
    mounts = (
        'mkdir "$1/full" && mount -t tmpfs -o size=64k tmpfs "$1/full" && '
        'dd if=/dev/zero of="$1/full/filling" bs=1k count=48 2>"$1/dd"'
    )
    ended = run_in_namespace(mounts, FULL, sandbox)
    assert ended.returncode == 0, ended.stderr


HOLD = """
import sys, time
from ocibuild_core.auth.private_dir import private_directory
with private_directory({"TMPDIR": sys.argv[1]}, outside=[]) as directory:
    print(directory, flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_left_is_swept_by_the_next(sandbox: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(sandbox)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        left = Path(process.stdout.readline().strip())
        sweep(sandbox)
        assert left.exists(), "it is in use"
        process.send_signal(signal.SIGKILL)
    assert left.exists()
    with private_directory({"TMPDIR": str(sandbox)}, outside=[]):
        assert not left.exists()


HOLD_TREE = """
import os, sys, time
from pathlib import Path
from ocibuild_core.auth.private_dir import private_tree
with private_tree(Path(sys.argv[1])) as directory:
    print(directory, flush=True)
    os.chdir(directory)
    for _ in range(1500):
        os.mkdir("deep")
        os.chdir("deep")
    print("filled", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize("seconds", ["0", "600"])
def test_a_tree_of_the_users_goes_with_its_process_or_is_swept_by_the_next(sandbox: Path, seconds: str) -> None:
    command = [sys.executable, "-c", HOLD_TREE, str(sandbox), seconds]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        left = Path(process.stdout.readline().strip())
        assert process.stdout.readline() == "filled\n"
        if seconds != "0":
            process.send_signal(signal.SIGKILL)
    assert left.exists() is (seconds != "0")
    with private_directory({"TMPDIR": str(sandbox)}, outside=[]):
        assert not left.exists()


def test_one_that_is_in_use_elsewhere_is_left_alone(sandbox: Path) -> None:
    """Its lock tells, whatever its number says: the process may live in another container."""
    other = sandbox / "ocibuild-4194303-0123abcd"
    other.mkdir(mode=0o700)
    lock = os.open(other, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    sweep(sandbox)
    assert other.exists()
    os.close(lock)
    sweep(sandbox)
    assert not other.exists()


def test_one_that_is_being_made_is_left_alone(sandbox: Path) -> None:
    unnamed = sandbox / "ocibuild-4194303-0123abcd.new"
    unnamed.mkdir(mode=0o700)
    sweep(sandbox)
    assert unnamed.exists()
    hour_ago = time.time() - 3600
    os.utime(unnamed, (hour_ago, hour_ago))
    sweep(sandbox)
    assert not unnamed.exists()


def test_what_is_not_ours_is_left_alone(sandbox: Path, stranger: Stranger) -> None:
    for name in ("ocibuild", "ocibuild-x-0123abcd", "ocibuild-1-0123abcde", "other-1-0123abcd"):
        (sandbox / name).mkdir()
    foreign = sandbox / "ocibuild-4194303-0123abcd"
    foreign.mkdir()
    stranger.take(foreign)
    before = sorted(sandbox.iterdir())
    sweep(sandbox)
    assert sorted(sandbox.iterdir()) == before


def test_a_link_in_its_place_is_never_followed(sandbox: Path) -> None:
    target = sandbox / "precious"
    target.mkdir()
    (target / "file").touch()
    (sandbox / "ocibuild-4194303-0123abcd").symlink_to(target)
    (sandbox / "ocibuild-4194302-0123abcd").write_text("a file")
    sweep(sandbox)
    assert (target / "file").exists()


def test_links_inside_are_removed_and_not_followed(sandbox: Path) -> None:
    target = sandbox / "precious"
    target.mkdir()
    (target / "file").touch()
    stale = sandbox / "ocibuild-4194303-0123abcd"
    stale.mkdir(mode=0o700)
    (stale / "link").symlink_to(target)
    sweep(sandbox)
    assert not stale.exists()
    assert (target / "file").exists()


def test_an_ordinary_user_gets_one(run: ProgramRunner, ordinary_user: OrdinaryUser, sandbox: Path) -> None:
    program = HOLD.replace("time.sleep(600)", "pass")
    sandbox.chmod(0o755)
    ended = run(sys.executable, "-c", program, "/root/none", cwd=sandbox, user=ordinary_user).succeeded()
    assert ended.stdout.startswith("/tmp/ocibuild-")


@pytest.mark.needs_root
def test_never_where_a_directory_above_is_somebody_elses(sandbox: Path) -> None:
    """Whoever owns it may put another in the place of what lies in it."""
    own = sandbox / "theirs" / "own"
    own.mkdir(parents=True)
    os.chown(own.parent, 12345, -1)
    with private_directory({"TMPDIR": str(own)}, outside=[]) as directory:
        assert not directory.is_relative_to(own)
