"""The engine's small parts."""

import os
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ocibuild_core.engine.cgroup1 import hierarchies, missing_hierarchies
from ocibuild_core.engine.collection import has_policy, is_due, prune_arguments
from ocibuild_core.engine.jobs import start_time
from ocibuild_core.engine.keeper import Reports
from ocibuild_core.engine.log import last_lines, said_in, without_stacks
from ocibuild_core.engine.process import capture
from ocibuild_core.engine.readiness import Probe, is_listening
from ocibuild_core.engine.relay import program_of
from ocibuild_core.engine.removing import empty_directory, remove_tree
from ocibuild_core.engine.tls import TlsFiles

SETTINGS_FRAME = b"\0\0\0\x04\0\0\0\0\0"


def test_stack_traces_are_left_out_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "level=info msg=start\n"
        "buildkitd: could not lock\n"
        "github.com/moby/buildkit/x.init.func1.1\n"
        "\tgithub.com/moby/buildkit@v0.32.2/x.go:53\n"
        "runtime.goexit\n"
        "\truntime/asm_amd64.s:1771\n"
        "\n"
    )
    assert last_lines(log) == "level=info msg=start\nbuildkitd: could not lock"
    assert last_lines(log, count=1) == "buildkitd: could not lock"
    assert without_stacks(["\tonly a frame"]) == ["\tonly a frame"]


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 10_000_000 + b"\nlast \xff\n")
    assert last_lines(log).endswith("\nlast \ufffd")
    assert len(last_lines(log)) < 40_000


def test_an_empty_or_missing_log_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    assert said_in(tmp_path / "log") == f"its log {tmp_path}/log is empty"
    assert "No such file" in said_in(tmp_path / "none")
    (tmp_path / "log").write_text("no luck\n")
    assert said_in(tmp_path / "log") == f"the last lines of {tmp_path}/log:\nno luck"


def test_the_keepers_reports_are_understood_however_they_are_cut() -> None:
    reports, done = Reports(), []
    for piece in (b"ex", b"it -9\ndo", b"ne\n"):
        reports.take(piece)
        done.append(reports.is_done)
    assert done == [False, False, True]
    assert (reports.exit_code, reports.is_done, reports.is_daemon_gone) == (-9, True, True)


def test_a_keeper_that_says_nothing_more_was_killed() -> None:
    reports = Reports()
    states = [reports.is_daemon_gone]
    reports.take(b"")
    states.append(reports.is_daemon_gone)
    assert states == [False, True]
    assert not reports.is_done


def test_a_start_time_tells_processes_apart() -> None:
    assert start_time(os.getpid()) == start_time(os.getpid())
    assert start_time(os.getpid()) != start_time(1)
    assert start_time(2**30) is None


def test_v1_hierarchies_are_read_and_v2_is_none() -> None:
    hybrid = "4:memory:/x\n3:cpu,cpuacct:/\n2:name=systemd:/a:b\n0::/\n"
    assert hierarchies(hybrid) == ("memory", "cpu,cpuacct", "none,name=systemd")
    assert hierarchies("0::/user.slice\n") == ()


def test_hierarchies_are_mounted_only_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text("4:memory:/\n")
    assert missing_hierarchies(tmp_path / "cgroup", tmp_path) == ("memory",)
    assert missing_hierarchies(tmp_path / "cgroup", Path("/proc")) == ()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the file system says of itself; half of it is free."""
    found = SimpleNamespace(f_bavail=50, f_blocks=100)
    monkeypatch.setattr(os, "fstatvfs", lambda _: found)
    return found


@pytest.mark.usefixtures("disk")
def test_garbage_is_collected_after_so_much_building_and_counting_begins_anew(tmp_path: Path) -> None:
    counter = tmp_path / "uncollected"
    tenth = [*[False] * 9, True]
    assert [is_due(counter, 0.1) for _ in range(20)] == [*tenth, *tenth]
    assert [is_due(counter, 4.9) for _ in range(3)] == [False, False, True]
    assert is_due(counter, 3600)
    assert [is_due(counter, 0.1) for _ in range(10)] == tenth


def test_garbage_is_collected_more_often_where_the_disk_is_short(tmp_path: Path, disk: SimpleNamespace) -> None:
    counter = tmp_path / "uncollected"
    disk.f_bavail = 9
    assert [is_due(counter, 0.1) for _ in range(4)] == [False, False, True, False]
    disk.f_bavail = 10
    assert [is_due(counter, 0.1) for _ in range(9)] == [*[False] * 8, True]


@pytest.mark.parametrize(
    ("tables", "is_policy"),
    [
        ({}, False),
        ({"worker": {"oci": {"maxUsedSpace": "5", "max-parallelism": 4}}}, False),
        ({"worker": {"oci": {"maxUsedSpace": "6"}}}, True),
        ({"worker": {"oci": {"gc": False}}}, True),
        ({"worker": {"oci": {"gcpolicy": [{"all": True}]}}}, True),
        ({"worker": {"oci": 3}}, False),
        ({"worker": 3}, False),
    ],
)
def test_a_policy_of_the_users_own_is_seen(tables: dict[str, object], *, is_policy: bool) -> None:
    assert has_policy(tables, 5) is is_policy


def test_where_runs_cannot_be_counted_garbage_is_collected(tmp_path: Path) -> None:
    """A full disk is a reason to collect, and none to end a build that is done."""
    assert is_due(tmp_path / "not-there" / "short-runs", 0.1)


def test_collecting_by_hand_has_the_daemons_limits() -> None:
    assert prune_arguments(20 * 10**9) == ["prune", "--keep-storage=20000.0", "--keep-storage-min=2000.0"]
    assert prune_arguments(10**8) == ["prune", "--keep-storage=100.0", "--keep-storage-min=100.0"]


def test_a_program_is_captured_to_its_end() -> None:
    code, printed = capture(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], {}, timeout=5)
    assert (code, printed) == (3, b"out\nerr\n")


def test_a_program_that_hangs_is_killed() -> None:
    started = time.monotonic()
    code, printed = capture(["/bin/sh", "-c", "echo first; exec sleep 60"], {"PATH": os.defpath}, timeout=0.3)
    assert (code, printed) == (-9, b"first\n")
    assert time.monotonic() - started < 30


def test_a_tree_is_removed_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "file").touch()
    (tree / "link").symlink_to(tmp_path / "kept")
    (tree / "broken").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tree / "socket"))
    assert remove_tree(tree)
    assert not tree.exists()
    assert (tmp_path / "kept" / "file").exists()
    assert remove_tree(tree)


def test_a_directory_is_made_or_emptied(tmp_path: Path) -> None:
    for _ in range(2):
        empty_directory(tmp_path / "tmp")
        assert not list((tmp_path / "tmp").iterdir())
        (tmp_path / "tmp" / "left").touch()


def test_a_link_in_the_place_of_a_directory_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "tmp").symlink_to(tmp_path / "kept")
    empty_directory(tmp_path / "tmp")
    assert (tmp_path / "kept" / "file").exists()
    assert not (tmp_path / "tmp").is_symlink()
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, socket.socket]:
    path = tmp_path_factory.mktemp("s") / "s"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    return path, listening


def test_a_server_is_ready_when_it_has_sent_its_first_frame(server: tuple[Path, socket.socket]) -> None:
    path, listening = server
    probe = Probe(path)
    asked = [(probe.is_serving(), probe.fd is None)]
    listening.listen()
    asked.append((probe.is_serving(), probe.fd is None))  # it listens, but does not serve
    assert asked == [(False, True), (False, False)]
    assert is_listening(path)

    accepted = listening.accept()[0]
    assert accepted.recv(100).startswith(b"PRI * HTTP/2.0\r\n")
    for part, is_whole in ((SETTINGS_FRAME[:4], False), (SETTINGS_FRAME[4:], True)):
        accepted.send(part)
        assert probe.is_serving() == is_whole

    probe.close()
    assert accepted.recv(1) == b""
    accepted.close()
    listening.close()
    assert not is_listening(path)


def test_a_server_that_hangs_up_is_asked_again(server: tuple[Path, socket.socket]) -> None:
    path, listening = server
    listening.listen()
    probe = Probe(path)
    assert not probe.is_serving()
    listening.accept()[0].close()
    assert not probe.is_serving()
    assert probe.fd is None

    def serve() -> None:
        accepted = listening.accept()[0]
        accepted.send(SETTINGS_FRAME)
        accepted.recv(100)
        accepted.close()

    thread = threading.Thread(target=serve)
    thread.start()
    while not probe.is_serving():
        time.sleep(0.001)
    probe.close()
    thread.join()
    listening.close()


def test_something_that_is_no_http2_server_is_not_ready(server: tuple[Path, socket.socket]) -> None:
    path, listening = server
    listening.listen()
    probe = Probe(path)
    assert not probe.is_serving()
    accepted = listening.accept()[0]
    accepted.send(b"HTTP/1.1 400 Bad Request\r\n")
    assert not probe.is_serving()
    probe.close()
    accepted.close()
    listening.close()


@pytest.mark.parametrize(
    ("address", "program"),
    [
        ("docker-container://buildkit?context=x", "docker"),
        ("kube-pod://buildkit", "kubectl"),
        ("ssh://host", "ssh"),
        ("unix:///run/buildkit/buildkitd.sock", None),
        ("tcp://host:1234", None),
    ],
)
def test_some_addresses_are_reached_by_a_program(address: str, program: str | None) -> None:
    assert program_of(address) == program


def test_tls_files_become_the_clients_arguments() -> None:
    files = TlsFiles(ca=Path("/ca"), cert=Path("/cert"), key=Path("/key"), server_name="x")
    assert files.arguments() == (
        *("--tlscacert", "/ca", "--tlscert", "/cert"),
        *("--tlskey", "/key", "--tlsservername", "x"),
    )
    assert TlsFiles().arguments() == ()
