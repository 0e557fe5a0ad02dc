"""The parts of `ocibuild doctor` by themselves."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ocibuild_core.diagnostics import Severity
from ocibuild_core.doctor.attempts import try_state
from ocibuild_core.doctor.checks import Check, Row, failure, fine, rows_of_error, warning
from ocibuild_core.doctor.engine import EngineCheck
from ocibuild_core.doctor.examination import examine
from ocibuild_core.doctor.machine import look_at_confinement, look_at_user_namespaces
from ocibuild_core.doctor.network import Endpoint, Ping
from ocibuild_core.doctor.preparation import launch_with_state
from ocibuild_core.doctor.reach import look_at_clock, look_at_registries
from ocibuild_core.doctor.report import as_json, as_text, exit_code
from ocibuild_core.doctor.storage import look_at_state
from ocibuild_core.doctor.table import CHECKS
from ocibuild_core.doctor.trial import Trial, TrialFailed
from ocibuild_core.errors import CredentialError, EngineError, Failures, PluginError, UsageError

ROOT = Path(__file__).parents[2]


def no_engine() -> EngineCheck:
    def launch() -> Any:  # noqa: ANN401
        raise EngineError("no BuildKit is here", do="pip install it")

    return EngineCheck(launch)


def scene(**parts: object) -> Any:  # noqa: ANN401
    found = {"settings": SimpleNamespace(addr=None), "complaints": (), "uid": 1000, "namespaces": {}}
    return SimpleNamespace(**found | parts)


def check(name: str, look: Any) -> Check:  # noqa: ANN401
    return Check(name=name, looks_at="it", kind=PluginError, look=look)


def test_a_check_that_hangs_is_left_behind_and_the_others_are_told() -> None:
    released = threading.Event()
    hangs = check("hangs", lambda _: released.wait(60) or [])
    began = time.monotonic()
    rows = examine(scene(), no_engine(), [hangs, check("well", lambda _: [fine("well")])], seconds=0.2)
    released.set()
    assert time.monotonic() - began < 30
    assert [(row.check, row.finding.severity, row.exit_code) for row in rows] == [
        ("hangs", Severity.FAILURE, 4),
        ("well", Severity.OK, 0),
        ("engine", Severity.FAILURE, 5),
    ]


def test_an_error_that_a_check_raises_is_a_failure_with_its_own_code() -> None:
    def look(_: object) -> Any:  # noqa: ANN401
        raise CredentialError("no\nlogin\x1b", tried=["env", "file"])

    (row, _) = examine(scene(), no_engine(), [check("x", look)])
    assert (row.exit_code, row.finding.what, row.finding.why) == (3, "no login�", "tried: env, file")
    assert row.finding.do


def test_what_the_machine_does_not_show_is_a_failure_of_that_check_alone() -> None:
    look = check("x", lambda _: [fine(Path("/nowhere/self/cgroup").read_text())])
    rows = examine(scene(), no_engine(), [look, check("y", lambda _: [fine("well")])])
    assert [(row.check, row.exit_code) for row in rows[:2]] == [("x", 4), ("y", 0)]
    assert rows[0].finding.what == "/nowhere/self/cgroup cannot be read: No such file or directory"


def test_no_engine_is_started_on_a_state_directory_that_hangs() -> None:
    with pytest.raises(EngineError, match="not started"):
        launch_with_state(cast("Any", None), {}, "no result within 5 s")


def test_who_has_no_place_for_the_state_is_not_told_to_wait_for_another_build(tmp_path: Path) -> None:
    report = try_state(None, {"HOME": "/nonexistent", "TMPDIR": str(tmp_path)}, 4_000_000_000)
    (found,) = look_at_state(scene(state=report))
    assert "the cache is not kept" in found.what
    assert found.do == "choose a directory with --state-dir; it must be writable and belong to you"


def test_complaints_come_first_and_each_of_several_has_a_row() -> None:
    several = Failures([UsageError("one", do="a"), PluginError("two", do="b")])
    rows = examine(scene(complaints=(several,)), no_engine(), [])
    assert [(row.check, row.finding.what) for row in rows[:2]] == [("settings", "one"), ("settings", "two")]


def test_the_earliest_stage_gives_the_exit_code() -> None:
    rows = [Row("a", failure("a", do="x"), 1), Row("b", failure("b", do="x"), 3), Row("c", warning("c", do="x"), 0)]
    assert exit_code(rows) == 3
    assert exit_code(rows[2:]) == 0
    assert as_json(rows)["exit_code"] == 3
    assert as_text(rows).splitlines()[-1] == "2 failures, 1 warning"


def test_a_remedy_of_several_lines_is_aligned() -> None:
    (row,) = rows_of_error("engine", EngineError("dead", why="a\nb", do="c"))
    assert as_text([row]).splitlines()[:4] == [
        "failure  engine  dead",
        "                 why  a",
        "                      b",
        "                 do   c",
    ]


def test_a_trial_gives_its_result_and_fails_with_the_kernels_words() -> None:
    assert Trial(lambda: {"a": [1]}).result(20) == {"a": [1]}
    with pytest.raises(TrialFailed, match="No such file"):
        Trial(lambda: os.stat("/nowhere")).result(20)  # noqa: PTH116  # raises what the kernel says


def test_a_trial_that_hangs_or_dies_is_over() -> None:
    with pytest.raises(TrialFailed, match=r"no result within 0\.1 s"):
        Trial(lambda: time.sleep(60)).result(0.1)
    with pytest.raises(TrialFailed, match="was killed"):
        Trial(lambda: os.kill(os.getpid(), 9)).result(20)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A kernel with AppArmor's restriction, which this machine's kernel need not have."""
    for name, text in {
        "sys/kernel/apparmor_restrict_unprivileged_userns": "1\n",
        "self/attr/apparmor/current": "docker-default (enforce)\n",
        "self/status": "Name:\tx\nSeccomp:\t2\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("ahead", "severity", "words"),
    [
        (0.4, Severity.OK, "right to the second, by r.example"),
        (-20, Severity.OK, "20 s behind r.example"),
        (90, Severity.WARNING, "90 s ahead of r.example"),
        (-420, Severity.FAILURE, "7 min behind r.example"),
        (400000, Severity.FAILURE, "5 days ahead of r.example"),
    ],
)
def test_how_bad_a_wrong_clock_is(ahead: float, severity: Severity, words: str) -> None:
    pings = (Ping(Endpoint("s.example")), Ping(Endpoint("r.example"), status=200, ahead=ahead))
    (found,) = look_at_clock(scene(network=SimpleNamespace(pings=lambda: pings)))
    assert (found.severity, found.what) == (severity, words)


def test_a_certificate_for_another_name_is_not_blamed_on_its_authority() -> None:
    problem = "its certificate is not trusted: Hostname mismatch, certificate is not valid for 'r.example'."
    network = SimpleNamespace(pings=lambda: (Ping(endpoint=Endpoint(registry="r.example"), problem=problem),))
    (found,) = look_at_registries(scene(network=network, env={}))
    assert found.severity is Severity.FAILURE
    assert found.do.startswith("call the registry by a name that its certificate holds")


def test_apparmors_restriction_is_told_with_its_switch(proc: Path) -> None:
    refused = {"user": "", "mounts": "mount /: Permission denied"}
    (found,) = look_at_confinement(scene(proc=proc, namespaces=refused))
    assert found.severity is Severity.FAILURE
    assert found.why.endswith(
        "a seccomp filter, AppArmor profile docker-default (enforce), AppArmor restricts user namespaces"
    )
    assert found.do == "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    refused = {"user": "unshare: Permission denied", "mounts": ""}
    (found,) = look_at_user_namespaces(scene(proc=proc, namespaces=refused))
    assert "apparmor_restrict_unprivileged_userns=0" in found.do


def test_debians_switch_is_told(proc: Path) -> None:
    (proc / "sys/kernel/unprivileged_userns_clone").write_text("0\n")
    (found,) = look_at_user_namespaces(scene(proc=proc))
    assert found.do == "as root: sysctl -w kernel.unprivileged_userns_clone=1"


def test_the_page_has_every_check_with_its_exit_code() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| check")]
    expected = [f"| {one.name} | {one.looks_at} | {one.kind.exit_code} |" for one in CHECKS]
    assert [row for row in rows if row.count("|") == 4] == expected


def test_no_check_has_the_name_of_another() -> None:
    names = [one.name for one in CHECKS]
    assert len(set(names)) == len(names)
    assert cast("Any", CHECKS[-1]).name == "engine"
