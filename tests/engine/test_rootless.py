import os
import pwd
from pathlib import Path

import pytest
from ocibuild_core.engine.privileges import check_root, few_ids_notice, is_mapped_root, remedy_of_root
from ocibuild_core.engine.rootless import check_machine, remedy, rootless_command, subordinate_ranges
from ocibuild_core.errors import EngineError
from support.namespaces import run_in_namespace

UID = os.geteuid()
NAME = pwd.getpwuid(UID).pw_name


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """All that an ordinary user needs, as far as it can be seen: bin/, etc/ and proc/."""
    for directory in ("bin", "etc", "proc/self", "proc/sys/user", "proc/sys/kernel"):
        (tmp_path / directory).mkdir(parents=True)
    for name in ("newuidmap", "newgidmap"):
        (tmp_path / "bin" / name).touch()
        (tmp_path / "bin" / name).chmod(0o4755)
    for kind in ("subuid", "subgid"):
        (tmp_path / "etc" / kind).write_text(f"# comment\nbob:100000:65536\n{NAME}:165536:65536\n")
    (tmp_path / "proc/self/status").write_text("Name:\tx\nNoNewPrivs:\t0\n")
    (tmp_path / "proc/sys/user/max_user_namespaces").write_text("96365\n")
    return tmp_path


def check(machine: Path) -> None:
    check_machine(UID, str(machine / "bin"), etc=machine / "etc", proc=machine / "proc")


def problem(machine: Path) -> EngineError:
    with pytest.raises(EngineError, match="ordinary user") as caught:
        check(machine)
    assert "--addr" in caught.value.do
    return caught.value


def test_a_prepared_machine_passes(machine: Path) -> None:
    check(machine)


def test_missing_newuidmap_names_the_package(machine: Path) -> None:
    (machine / "bin/newuidmap").unlink()
    error = problem(machine)
    assert error.why == "PATH has no newuidmap"
    assert "apt-get install uidmap" in error.do


def test_newuidmap_without_its_privilege_is_found(machine: Path) -> None:
    (machine / "bin/newgidmap").chmod(0o755)
    assert f"chmod u+s {machine}/bin/newgidmap" in problem(machine).do


@pytest.mark.parametrize("kind", ["subuid", "subgid"])
def test_a_missing_entry_names_the_line_with_ids_that_are_free(machine: Path, kind: str) -> None:
    (machine / "etc" / kind).write_text("bob:100000:65536\ncarol:300000:65536\n")
    error = problem(machine)
    assert error.why == f"{machine}/etc/{kind} gives {NAME} fewer than 65536 ids"
    assert f"echo {NAME}:365536:65536 >> {machine}/etc/{kind}" in error.do.splitlines()


def test_without_the_files_the_first_usual_id_is_proposed(machine: Path) -> None:
    (machine / "etc/subuid").unlink()
    assert f"echo {NAME}:100000:65536 >> {machine}/etc/subuid" in problem(machine).do


@pytest.mark.parametrize("entry", [f"{UID}:100000:65536\n", f"{NAME}:100000:30000\n{UID}:200000:40000\n"])
def test_entries_by_number_count_and_ranges_add_up(machine: Path, entry: str) -> None:
    (machine / "etc/subuid").write_text(entry)
    check(machine)


def test_a_small_range_is_not_enough(machine: Path) -> None:
    (machine / "etc/subuid").write_text(f"{NAME}:100000:1000\n")
    assert "fewer than 65536" in problem(machine).why


def test_where_a_directory_service_hands_out_ids_the_files_do_not_count(machine: Path) -> None:
    (machine / "etc/subuid").unlink()
    (machine / "etc/nsswitch.conf").write_text("passwd: files\nsubid: sss\n")
    check(machine)


def test_switched_off_namespaces_are_named_with_the_switch(machine: Path) -> None:
    (machine / "proc/sys/user/max_user_namespaces").write_text("0\n")
    (machine / "proc/sys/kernel/unprivileged_userns_clone").write_text("0\n")
    error = problem(machine)
    assert "sysctl -w user.max_user_namespaces=28633" in error.do
    assert "sysctl -w kernel.unprivileged_userns_clone=1" in error.do


def test_a_process_that_may_gain_no_privileges_is_told(machine: Path) -> None:
    (machine / "proc/self/status").write_text("Name:\tx\nNoNewPrivs:\t1\n")
    assert "allowPrivilegeEscalation" in problem(machine).do


def test_everything_that_lacks_is_told_at_once(machine: Path) -> None:
    (machine / "bin/newuidmap").unlink()
    for kind in ("subuid", "subgid"):
        (machine / "etc" / kind).unlink()
    assert len(problem(machine).why.splitlines()) == 3


def test_malformed_lines_are_passed_over() -> None:
    assert subordinate_ranges("a:1:2\n\nb:x:3\nc:1\nd:1:2:3\ne:-1:5\n") == [("a", 1, 2)]


def test_the_daemon_gets_a_process_namespace_that_ends_with_it() -> None:
    command = rootless_command(Path("/b/rootlesskit"), Path("/run/x/rootlesskit"), ["/b/buildkitd", "--config=c"])
    assert command[0] == "/b/rootlesskit"
    assert "--pidns" in command
    assert "--state-dir=/run/x/rootlesskit" in command
    assert command[-2:] == ["/b/buildkitd", "--config=c"]


def test_the_removal_of_others_files_leaves_what_is_mounted_among_them(tmp_path: Path) -> None:
    mounts = 'mkdir -p "$1/state/a" "$1/state/mnt" "$1/kept"; touch "$1/kept/f"; mount --bind "$1/kept" "$1/state/mnt"'
    code = """
import subprocess
from ocibuild_core.engine.rootless import removal_command
command = removal_command(Path("/b/rootlesskit"), sys.executable)
subprocess.run([*command[command.index(sys.executable):], place / "state"], check=True, env={})
print([path.name for path in (place / "state").iterdir()], (place / "kept" / "f").exists())
"""
    ended = run_in_namespace(mounts, code, tmp_path)
    assert (ended.stdout, ended.stderr) == ("['mnt'] True\n", "")


@pytest.mark.parametrize(
    ("log", "restricted", "expected"),
    [
        ("fork/exec /proc/self/exe: operation not permitted", "1", "apparmor_restrict_unprivileged_userns=0"),
        ("fork/exec /proc/self/exe: operation not permitted", "0", "seccomp=unconfined"),
        ("failed to mount /proc: Operation not permitted", "", "systempaths=unconfined"),
        ("creating bind0 directory under /tmp: mkdir /tmp/x: read-only file system", "", "--tmpfs /tmp"),
        ("something else", "1", ""),
    ],
)
def test_a_refusal_has_a_remedy(tmp_path: Path, log: str, restricted: str, expected: str) -> None:
    switch = tmp_path / "sys/kernel/apparmor_restrict_unprivileged_userns"
    switch.parent.mkdir(parents=True)
    switch.write_text(restricted)
    found = remedy(log, proc=tmp_path)
    assert expected in found
    assert bool(found) == bool(expected)


def proc_with(tmp_path: Path, capabilities: str, mapping: str = "0 0 4294967295") -> Path:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/status").write_text(f"Name:\tx\nCapEff:\t{capabilities}\n")
    (tmp_path / "self/uid_map").write_text(f"         {mapping}\n")
    return tmp_path


def test_root_that_may_not_mount_is_told_before_the_start(tmp_path: Path) -> None:
    # What Docker gives a container that is not privileged.
    with pytest.raises(EngineError, match="as root") as caught:
        check_root(proc=proc_with(tmp_path, "00000000a80425fb"))
    assert "privileged" in caught.value.do


def test_real_root_passes(tmp_path: Path) -> None:
    check_root(proc=proc_with(tmp_path, "000001ffffffffff"))
    assert not is_mapped_root(proc=tmp_path)


def test_without_proc_nothing_is_claimed(tmp_path: Path) -> None:
    check_root(proc=tmp_path)
    assert not is_mapped_root(proc=tmp_path)


def test_root_of_a_user_namespace_is_recognised(tmp_path: Path) -> None:
    assert is_mapped_root(proc=proc_with(tmp_path, "000001ffffffffff", "0 1000 1"))


@pytest.mark.parametrize(("mapping", "count"), [("0 1000 1\n", 1), ("0 1000 1\n1 100000 65535\n", 0), ("", 0)])
def test_too_few_ids_are_counted(tmp_path: Path, mapping: str, count: int) -> None:
    (tmp_path / "self").mkdir()
    if mapping:
        (tmp_path / "self/gid_map").write_text(mapping)
    assert few_ids_notice(proc=tmp_path).startswith(f"this user namespace has {count} of" if count else "")
    assert bool(few_ids_notice(proc=tmp_path)) == bool(count)


def test_root_whom_the_kernel_refuses_has_a_remedy() -> None:
    assert "privileged" in remedy_of_root("namespaces: mount /proc: Operation not permitted")
    assert remedy_of_root("could not lock") == ""


MOUNTS = "21 1 0:5 / / rw - ext4 /dev/x rw\n22 21 0:6 / {}/proc rw,nosuid - proc proc rw\n"


def test_a_covered_proc_is_found_where_no_other_is_whole(machine: Path) -> None:
    mountinfo = machine / "proc/self/mountinfo"
    mountinfo.write_text(MOUNTS + "23 22 0:7 / /proc/sys/fs/binfmt_misc rw - binfmt_misc b rw\n")
    check(machine)
    mountinfo.write_text(
        MOUNTS + "23 22 0:7 / /proc/kcore rw - tmpfs t rw\n24 22 0:6 /sys /proc/sys ro - proc proc rw\n"
    )
    error = problem(machine)
    assert error.why == "parts of /proc are covered (/proc/kcore, /proc/sys), so no step could get a /proc"
    assert "systempaths=unconfined" in error.do
    mountinfo.write_text(mountinfo.read_text() + "30 21 0:8 / /mnt/proc rw - proc proc rw\n")
    check(machine)
