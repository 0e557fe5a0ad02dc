"""The parts that the end-to-end tests stand on do what they promise, seen with BuildKit alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ocibuild_testkit.leaks import SecretLeakError
from support.hub import DockerHub
from support.programs import ProgramRunner
from support.users import OrdinaryUser

pytestmark = pytest.mark.e2e


def test_the_stand_in_has_two_platforms(docker_hub: DockerHub) -> None:
    for name in ("library/busybox", "library/alpine"):
        _, content = docker_hub.client().manifest(name, "latest")
        platforms = [entry["platform"]["architecture"] for entry in json.loads(content)["manifests"]]
        assert platforms == ["amd64", "arm64"]


def test_an_ordinary_user_reaches_the_installed_programs(ordinary_user: OrdinaryUser, run: ProgramRunner) -> None:
    script = "import os, ocibuild_core; print(os.getuid(), os.getgroups(), os.environ['HOME'])"
    result = run("python", "-c", script, user=ordinary_user, cwd=ordinary_user.home).succeeded()

    uid, rest = result.stdout.split(" ", 1)
    assert int(uid) == ordinary_user.uid != 0 or os.getuid()
    assert rest.strip().endswith(str(ordinary_user.home))
    assert run("id", "-u", user=ordinary_user, cwd=ordinary_user.home).stdout.strip() == uid
    for kind in ("subuid", "subgid"):
        assert f"{ordinary_user.name}:" in Path(f"/etc/{kind}").read_text()
    assert (ordinary_user.runtime.stat().st_mode & 0o777, ordinary_user.runtime.stat().st_uid) == (0o700, int(uid))


def test_an_ordinary_user_cannot_read_what_is_root_s(ordinary_user: OrdinaryUser, run: ProgramRunner) -> None:
    assert run("cat", "/etc/shadow", user=ordinary_user, cwd=ordinary_user.home).code == 1


def test_the_users_mounts_do_not_show_outside(ordinary_user: OrdinaryUser, run: ProgramRunner) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    run("true", user=ordinary_user, cwd=ordinary_user.home).succeeded()
    assert Path("/proc/self/mountinfo").read_text() == before


def test_a_run_that_prints_or_keeps_a_secret_fails(run: ProgramRunner, fresh_secret: object, tmp_path: Path) -> None:
    assert callable(fresh_secret)
    env = {"PLANTED": fresh_secret()}
    for script in ("echo $PLANTED", "echo $PLANTED >&2", "echo $PLANTED > $TMPDIR/x", "echo $PLANTED > $HOME/x"):
        with pytest.raises(SecretLeakError):
            run("sh", "-c", script, env=env, cwd=tmp_path)
        for directory in (run.home, run.temporary):
            (directory / "x").unlink(missing_ok=True)
    assert run("sh", "-c", "echo ${#PLANTED}", env=env, cwd=tmp_path).stdout == "48\n"


def test_a_run_gets_nothing_of_this_environment(
    run: ProgramRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "the developer's own")
    result = run("env", cwd=tmp_path)
    names = {line.partition("=")[0] for line in result.stdout.splitlines()}
    assert names == {"PATH", "LANG", "HOME", "XDG_RUNTIME_DIR", "TMPDIR"}


def test_a_run_that_hangs_is_ended_with_its_children(run: ProgramRunner, tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"did not end within 0\.5 s"):
        run("sh", "-c", "sleep 4242 & wait", cwd=tmp_path, seconds=0.5)
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "sleep 4242" not in processes


def test_the_installed_build_starts(run: ProgramRunner, tmp_path: Path) -> None:
    assert "Usage" in run("build", "--help", cwd=tmp_path).succeeded().stdout
    assert sys.prefix in run("sh", "-c", "command -v build", cwd=tmp_path).stdout
