"""The machine under `ocibuild doctor`: what an engine of our own needs, each thing taken away for real."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.confinement import (
    with_mounts,
    with_mounts_below,
    with_own_id_alone,
    without_mount,
    without_new_privileges,
    without_user_namespaces,
)
from support.examination import Doctor
from support.users import OrdinaryUser

pytestmark = pytest.mark.e2e

IS_ROOT = os.geteuid() == 0


def test_a_machine_in_order_has_no_failure_for_whoever_runs_the_tests(doctor: Doctor) -> None:
    found = doctor()
    assert (found.code, found.bad()) == (0, {}), found.text
    assert found.one("engine")["what"].startswith("BuildKit ")
    assert str(doctor.state) in found.one("state")["what"]
    assert sorted(path.name for path in doctor.state.iterdir() if path.name.startswith("ocibuild-doctor")) == []


def test_a_machine_in_order_has_none_for_an_ordinary_user(doctor: Doctor, ordinary_user: OrdinaryUser) -> None:
    found = doctor(user=ordinary_user)
    assert (found.code, found.bad()) == (0, {}), found.text
    assert "runs through rootlesskit" in found.one("privilege")["what"]
    assert found.one("userns")["what"] == "one was made"
    assert found.one("overlay")["severity"] == "ok", found.text


def test_without_subordinate_ids_there_is_no_way(doctor: Doctor, ordinary_user: OrdinaryUser) -> None:
    covered = "mount --bind /dev/null /etc/subuid"
    found = doctor(user=ordinary_user, wrap=lambda argv: with_mounts_below(covered, argv))
    assert found.code == 5
    assert found.bad()["ids"] == [f"/etc/subuid gives {ordinary_user.name} fewer than 65536 ids"]
    assert "/etc/subuid" in found.one("privilege")["why"]
    assert f"echo {ordinary_user.name}:100000:65536 >> /etc/subuid" in found.one("ids")["do"]
    assert found.bad()["engine"] == ["BuildKit cannot run as an ordinary user here"]


def test_ids_that_a_container_does_not_have_cannot_be_mapped(doctor: Doctor, ordinary_user: OrdinaryUser) -> None:
    found = doctor(user=ordinary_user, wrap=with_own_id_alone)
    assert found.code == 5
    assert found.one("ids")["what"].startswith("the ids cannot be mapped: newuidmap: ")
    assert found.one("privilege")["severity"] == "failure"


def test_without_user_namespaces_there_is_no_way(doctor: Doctor, ordinary_user: OrdinaryUser) -> None:
    found = doctor(user=ordinary_user, wrap=without_user_namespaces)
    assert found.code == 5
    assert "max_user_namespaces is 0" in found.one("userns")["what"]
    assert "sysctl -w user.max_user_namespaces" in found.one("userns")["do"]
    assert found.one("userns")["severity"] == "failure"


def test_without_new_privileges_an_ordinary_user_has_no_way(doctor: Doctor, ordinary_user: OrdinaryUser) -> None:
    found = doctor(user=ordinary_user, wrap=without_new_privileges)
    assert found.code == 5
    assert [text for text in found.bad()["confinement"] if "no_new_privs" in text], found.text
    assert found.of("confinement")[0]["do"].startswith("start the container without no-new-privileges")


def test_what_is_amiss_with_the_state_directory_is_told_once(doctor: Doctor) -> None:
    doctor.state.write_text("in the way")
    found = doctor()
    assert found.bad()["engine"] == ["not started without a state directory"]
    assert found.one("engine")["do"] == "see the line about the state"
    assert found.one("state")["what"] not in found.one("engine").values()
    assert found.code == 5


def test_a_covered_proc_leaves_an_ordinary_user_no_way_and_is_told_as_such(
    doctor: Doctor, ordinary_user: OrdinaryUser
) -> None:
    covered = "mount --bind /dev/null /proc/cmdline"
    found = doctor(user=ordinary_user, wrap=lambda argv: with_mounts_below(covered, argv))
    assert found.code == 5
    assert found.one("privilege")["severity"] == "failure"
    assert found.one("confinement")["what"].startswith("parts of /proc are covered (/proc/cmdline)")
    assert found.one("confinement")["do"].startswith("start the container with all of /proc")
    assert "as root" not in found.one("engine")["do"]


def test_a_filter_that_refuses_to_mount_is_found_by_trying(doctor: Doctor) -> None:
    found = doctor(wrap=without_mount)
    assert found.code == 5
    refused = next(one for one in found.of("confinement") if one["what"] == "namespaces and mounts are refused")
    assert "Operation not permitted" in refused["why"]
    assert "a seccomp filter" in refused["why"]
    assert found.one("overlay")["what"] == "not tried where namespaces and mounts are refused"


def test_root_without_the_right_to_mount_is_told_three_ways(doctor: Doctor) -> None:
    weak = ("setpriv", "--bounding-set=-sys_admin")
    found = doctor(wrap=lambda argv: with_mounts("true", [*weak, *argv]))
    assert found.code == 5
    said = found.one("privilege")
    assert (said["severity"], said["what"]) == ("failure", "BuildKit cannot run as root here")
    assert all(way in said["do"] for way in ("privileged", "an ordinary user", "--addr ADDRESS"))
    assert found.one("confinement")["severity"] == "failure"


def test_read_only_control_groups_stop_root_and_nobody_else(doctor: Doctor) -> None:
    read_only = """
    for each in $(awk '$5 ~ "^/sys/fs/cgroup" { print $5 }' /proc/self/mountinfo); do
        mount -o remount,bind,ro "$each"
    done"""
    found = doctor(wrap=lambda argv: with_mounts(read_only if IS_ROOT else "true", argv))
    if IS_ROOT:
        assert found.code == 5
        assert {one["why"] for one in found.of("cgroups")} == {"Read-only file system"}
    else:
        assert found.one("cgroups")["what"].startswith("not needed")


def test_root_is_told_which_version_of_control_groups_there_is(doctor: Doctor) -> None:
    only_v2 = "umount -l -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup"
    found = doctor(wrap=lambda argv: with_mounts(only_v2 if IS_ROOT else "true", argv))
    said = found.one("cgroups")
    assert said["severity"] == "ok"
    assert said["what"].startswith("version 2, writable" if IS_ROOT else "not needed")


@pytest.fixture
def over(doctor: Doctor) -> Path:
    """A directory for mounts."""
    doctor.state.mkdir(mode=0o700)
    return doctor.directory


def test_a_file_system_that_overlayfs_refuses_is_a_warning(doctor: Doctor, over: Path) -> None:
    mounts = f"""
    mount -t tmpfs tmpfs {over}/state
    cd {over}/state && mkdir -m 700 lower upper work merged
    mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay merged
    mount --bind merged {over}/state
    cd /"""
    found = doctor(wrap=lambda argv: with_mounts(mounts, argv))
    said = found.one("overlay")
    assert said["severity"] == "warning", found.text
    assert said["what"] == f"overlayfs does not work in {over}/state (overlay)"
    assert said["why"].startswith("mount merged: ")
    assert "--state-dir" in said["do"]
    assert found.code == 0, found.text


def test_a_full_disk_fails_and_a_small_one_warns(doctor: Doctor, over: Path) -> None:
    small = f"""
    mount -t tmpfs -o size=600m,mode=700 tmpfs {over}/state
    mount -t tmpfs -o size=8m tmpfs {doctor.run.temporary}"""
    found = doctor(wrap=lambda argv: with_mounts(small, argv))
    assert (found.code, len(found.bad("warning")["room"])) == (0, 2), found.text
    tiny = f"mount -t tmpfs -o size=4m,mode=700 tmpfs {over}/state"
    found = doctor(wrap=lambda argv: with_mounts(tiny, argv))
    assert found.code == 5
    assert found.bad()["room"] == [f"{over}/state has 4.2 MB free"]


def test_a_file_system_without_room_for_files_fails(doctor: Doctor, over: Path) -> None:
    few = f"mount -t tmpfs -o nr_inodes=50,mode=700 tmpfs {over}/state"
    found = doctor(wrap=lambda argv: with_mounts(few, argv))
    assert [text for text in found.bad("warning")["room"] if "more files only" in text], found.text


def test_a_state_directory_that_cannot_be_is_said(doctor: Doctor) -> None:
    found = doctor("--state-dir=/proc/nowhere")
    assert found.code == 5
    assert found.bad()["state"] == ["the engine's state directory /proc/nowhere cannot be used"]
    assert found.one("overlay")["what"] == "not tried without a state directory"


def test_a_state_directory_that_another_build_holds_is_a_warning(doctor: Doctor, over: Path) -> None:
    import fcntl

    with (over / "state" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = doctor()
    assert found.code == 0, found.text
    assert "another build is using the cache" in found.one("state")["what"]
    assert found.one("state")["do"].startswith("wait for the other build")


def test_without_a_place_for_the_private_directory_there_is_no_build(doctor: Doctor) -> None:
    closed = "; ".join(
        f"mount --rbind {place} {place} && mount -o remount,bind,noexec {place}"
        for place in ("/tmp", "/run", "/dev/shm")  # noqa: S108  # where it may lie
    )
    found = doctor("--addr=unix:///nowhere/buildkitd.sock", wrap=lambda argv: with_mounts(closed, argv))
    assert found.bad()["private place"] == ["there is no place for the build's private directory"]
    assert "programs cannot be run there (noexec)" in found.one("private place")["why"]
    assert found.code == 2


def test_an_engine_that_dies_shows_its_log(doctor: Doctor, sandbox: Path) -> None:
    programs = sandbox / "programs"
    programs.mkdir()
    for name in ("buildctl", "runc", "rootlesskit"):
        (programs / name).write_text("#!/bin/sh\nexit 0\n")
    dying = '#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "the moon is full" >&2\nexit 7\n'
    (programs / "buildkitd").write_text(dying)
    (programs / "rootlesskit").write_text("#!/bin/sh\necho 'the moon is full' >&2\nexit 7\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    path = doctor.run.env()["PATH"]
    found = doctor(env={"PATH": f"{programs}:{path}"})
    assert found.code == 5
    assert found.bad()["engine"][0].startswith("the engine ended while it started")
    assert "the moon is full" in found.one("engine")["why"]


def test_an_engine_elsewhere_needs_nothing_of_this_machine(doctor: Doctor) -> None:
    found = doctor("--addr=unix:///nowhere/buildkitd.sock")
    assert found.code == 5
    assert not doctor.state.exists()
    assert list(found.bad()) == ["engine"]
    assert found.one("privilege")["what"].startswith("of no concern here: builds use the BuildKit at unix:///nowhere")
