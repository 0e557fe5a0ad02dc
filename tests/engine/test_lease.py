import os
import time
from pathlib import Path

import pytest
from ocibuild_core.engine.lease import is_private, lease_existing, lease_new, sweep

UID = os.geteuid()


def swept(parent: Path, prefix: str = "", *, uid: int = UID, now: float | None = None) -> list[str]:
    """The names of the directories that a sweep found dead."""
    found: list[str] = []
    sweep(parent, prefix, lambda path: found.append(path.name), uid=uid, now=now or time.time())
    return sorted(found)


def test_a_directory_is_held_by_one(tmp_path: Path) -> None:
    first = lease_existing(tmp_path)
    assert first is not None
    assert lease_existing(tmp_path) is None
    os.close(first.lock)
    second = lease_existing(tmp_path)
    assert second is not None
    os.close(second.lock)


def test_a_new_directory_is_private_and_held(tmp_path: Path) -> None:
    lease = lease_new(tmp_path, "a")
    assert is_private(lease.path, uid=UID)
    assert lease_existing(lease.path) is None
    with pytest.raises(FileExistsError):
        lease_new(tmp_path, "a")
    os.close(lease.lock)


def test_the_lock_is_not_handed_on_over_exec(tmp_path: Path) -> None:
    lease = lease_new(tmp_path, "a")
    assert not os.get_inheritable(lease.lock)
    os.close(lease.lock)


def test_a_forked_process_holds_it_on(tmp_path: Path) -> None:
    lease = lease_new(tmp_path, "a")
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    os.close(lease.lock)
    assert lease_existing(lease.path) is None
    os.close(writing)
    os.waitpid(pid, 0)
    assert lease_existing(lease.path) is not None


def test_dead_directories_are_swept_and_living_ones_are_not(tmp_path: Path) -> None:
    alive, dead = lease_new(tmp_path, "once-a"), lease_new(tmp_path, "once-b")
    os.close(dead.lock)
    assert swept(tmp_path) == ["once-b"]
    os.close(alive.lock)
    assert swept(tmp_path, "once-") == ["once-a", "once-b"]


def test_a_directory_without_a_lock_is_one_that_is_being_made_unless_it_is_old(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o700)
    assert swept(tmp_path) == []
    assert swept(tmp_path, now=time.time() + 61) == ["a"]


def test_what_is_not_surely_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.close(lease_new(tmp_path, "open").lock)
    (tmp_path / "open").chmod(0o755)
    os.close(lease_new(tmp_path, "target").lock)
    (tmp_path / "link").symlink_to("target")
    os.close(lease_new(tmp_path, "other").lock)
    assert swept(tmp_path, "o") == ["other"]
    assert swept(tmp_path) == ["other", "target"]
    assert swept(tmp_path, uid=UID + 1) == []
    assert swept(tmp_path / "missing") == []


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o700)
    (tmp_path / "victim").touch()
    (tmp_path / "a" / "lock").symlink_to(tmp_path / "victim")
    assert swept(tmp_path) == []
