"""What `RUN --mount=type=cache` holds, kept in `cache/` for engines that begin empty."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.programs import PROGRAMS, ProgramRunner, Run

if TYPE_CHECKING:
    from support.users import OrdinaryUser

pytestmark = pytest.mark.e2e

_MOUNTS = "--mount=type=cache,target=/plain --mount=type=cache,id=own-$KIND,target=/own,uid=1000,gid=1001,mode=0750"
_DOCKERFILE = f"""\
FROM scratch
COPY busybox /bin/busybox
SHELL ["/bin/busybox", "sh", "-c"]
ENV PATH=/bin
ARG KIND=x RUN=0 EXTRA=true
RUN {_MOUNTS} \\
    echo "run $RUN found: $(busybox cat /plain/log /own/log | busybox tr '\\n' ' ')"; \\
    busybox stat -c '%n %a %u %g %h %s' /own /plain/* ; \\
    echo "plain$RUN" >> /plain/log; echo "own$RUN" >> /own/log; \\
    test -e /plain/link || {{ busybox ln /plain/log /plain/link; busybox chown 7:8 /plain/log; }}; \\
    busybox chmod 4640 /plain/log; eval "$EXTRA"
"""


@pytest.fixture(params=["tester", "ordinary"])
def user(request: pytest.FixtureRequest) -> OrdinaryUser | None:
    """The user of the tests, then one without rights: they differ when the first is root."""
    if request.param == "tester":
        return None
    found: OrdinaryUser = request.getfixturevalue("ordinary_user")
    return found


@pytest.fixture
def work(sandbox: Path) -> Path:
    directory = sandbox / "work"
    (directory / "cache").mkdir(parents=True)
    (directory / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (directory / "busybox").chmod(0o755)
    (directory / "Dockerfile").write_text(_DOCKERFILE)
    return directory


class Builder:
    """Builds, each time with an engine that remembers nothing; `found` is what the step found in its mounts."""

    def __init__(self, run: ProgramRunner, work: Path, user: OrdinaryUser | None) -> None:
        self._run = run
        self.work = work
        self._user = user
        self._number = 0
        if user:
            work.parent.chmod(0o755)
            user.own(work)

    def __call__(self, *argv: str, state: str = "", env: dict[str, str] | None = None) -> Run:
        self._number += 1
        place = self.work / (state or f"state-{self._number}")
        arguments = ("--build-arg", f"RUN={self._number}", "--state-dir", str(place), *argv, ".")
        return self._run("build", *arguments, cwd=self.work, env=env, user=self._user)

    def found(self, *argv: str, state: str = "", env: dict[str, str] | None = None) -> str:
        output = self(*argv, state=state, env=env).succeeded().stdout
        (line,) = [line for line in output.splitlines() if " found: " in line and "RUN" not in line]
        return line.partition(" found: ")[2].strip()


@pytest.fixture
def build(run: ProgramRunner, work: Path, user: OrdinaryUser | None) -> Builder:
    return Builder(run, work, user)


@pytest.fixture
def own_build(run: ProgramRunner, work: Path) -> Builder:
    return Builder(run, work, None)


def test_an_empty_engine_finds_what_the_last_one_left_only_with_the_option(build: Builder) -> None:
    assert build.found() == ""
    assert not (build.work / "cache" / "mounts").exists()
    assert build.found("--cache-mounts") == ""
    result = build("--cache-mounts").succeeded()
    assert "found: plain2 own2" in result.stdout
    for line in ("/own 750 1000 1001 ", "/plain/log 4640 7 8 2 7", "/plain/link 4640 7 8 2 7"):
        assert line in result.stdout
    assert "cache/mounts/  cache mounts, " in result.stderr
    assert build.found(env={"OCIBUILD_CACHE_MOUNTS": "true"}) == "plain2 plain3 own2 own3"
    assert build.found() == ""
    archives = sorted(path.name.rpartition("-")[0] for path in (build.work / "cache" / "mounts").iterdir())
    assert archives == ["own-x", "plain"]


def test_a_kept_mount_is_found_at_any_moment_of_the_daemons_life(own_build: Builder) -> None:
    """Left to itself, BuildKit counts what mounts hold a second after its start, and steps get others meanwhile."""
    files = "for d in $(busybox seq 50);do busybox mkdir /plain/$d; cd /plain/$d; busybox touch $(busybox seq 999);done"
    own_build.found("--build-arg", f"EXTRA={files}", state="state")
    dockerfile = own_build.work / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("ARG ", "ARG WAIT\nRUN busybox sleep $WAIT\nARG ", 1))
    for last, wait in enumerate((0.6, 0.7, 0.8, 0.9), 2):
        found = own_build.found("--build-arg", f"WAIT={wait}", state="state")
        assert found.split() == [f"{mount}{number}" for mount in ("plain", "own") for number in range(1, last)]


def test_an_engine_that_kept_its_mounts_keeps_them(own_build: Builder) -> None:
    assert own_build.found("--cache-mounts", state="state") == ""
    assert own_build.found("--cache-mounts", state="other") == "plain1 own1"
    assert own_build.found("--cache-mounts", state="state") == "plain1 own1"


def test_names_and_namespaces_are_kept_apart(own_build: Builder) -> None:
    own_build.found("--cache-mounts")
    assert own_build.found("--cache-mounts", "--build-arg", "KIND=y") == "plain1"
    (own_build.work / "Dockerfile").write_text(_DOCKERFILE + "RUN --mount=type=cache,id=$UNKNOWN,target=/c true\n")
    result = own_build("--cache-mounts").succeeded()
    assert (
        "warning: line 12: what the cache mount $UNKNOWN is called is known to BuildKit alone: its stage sets no"
        in (result.stderr)
    )


def test_no_link_that_came_with_the_sources_is_followed(own_build: Builder) -> None:
    """Otherwise a step would see any archive of this machine, and those in another directory would be dropped."""
    own_build.found("--cache-mounts")
    mounts = own_build.work / "cache" / "mounts"
    for path in tuple(mounts.iterdir()):
        path.replace(own_build.work / path.name)
        path.symlink_to(own_build.work / path.name)
    assert own_build.found("--cache-mounts") == ""

    other = own_build.work / "other"
    mounts.rename(other)
    mounts.symlink_to(other)
    before = {path.name: path.read_bytes() for path in other.iterdir()}
    result = own_build("--cache-mounts", "--cache-size", "1k").succeeded()
    assert "cache mounts are not kept: cache/mounts is a link" in result.stderr
    assert {path.name: path.read_bytes() for path in other.iterdir()} == before


def test_a_failed_build_and_a_killed_one_leave_what_was_kept(own_build: Builder, run: ProgramRunner) -> None:
    own_build.found("--cache-mounts")
    kept = {path.name: path.read_bytes() for path in (own_build.work / "cache" / "mounts").iterdir()}
    own_build("--cache-mounts", "--build-arg", "EXTRA=exit 7").ended_with(1)
    mounts = own_build.work / "cache" / "mounts"
    assert {path.name: path.read_bytes() for path in mounts.iterdir()} == kept

    large = "busybox dd if=/dev/urandom of=/plain/large bs=1M count=40"
    argv = ["--cache-mounts", "--build-arg", f"EXTRA={large}", "--state-dir", str(own_build.work / "killed"), "."]
    with subprocess.Popen(
        [PROGRAMS / "build", *argv], cwd=own_build.work, env=run.env(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size > 10**6 for path in own_build.work.parent.glob(".ocibuild-*/*/*.tar.gz")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert {name: (mounts / name).read_bytes() for name in kept} == kept
    assert own_build.found("--cache-mounts") == "plain1 own1"
    assert sorted(path.name for path in mounts.iterdir()) == sorted(kept)


def test_the_bound_holds_for_mounts_too(own_build: Builder) -> None:
    large = "busybox dd if=/dev/urandom of=/plain/large bs=1M count=4"
    result = own_build("--cache-mounts", "--cache-size", "3MB", "--build-arg", f"EXTRA={large}").succeeded()
    assert "warning: the cache mount /plain is not kept: it is larger than the bound" in result.stderr
    assert own_build.found("--cache-mounts") == "own1"


def test_a_damaged_archive_is_said_and_the_mount_begins_empty(own_build: Builder) -> None:
    own_build.found("--cache-mounts")
    (archive,) = (own_build.work / "cache" / "mounts").glob("plain-*")
    archive.write_bytes(archive.read_bytes()[:-20])
    result = own_build("--cache-mounts").succeeded()
    assert "found: own1" in result.stdout
    assert f"warning: the cache mount /plain begins empty: {archive.name} was damaged" in result.stderr
    assert own_build.found("--cache-mounts") == "plain2 own1 own2"


@pytest.mark.parametrize("missing", ["directory", "mounts"])
def test_where_nothing_can_be_kept_the_build_is_as_ever(missing: str, own_build: Builder) -> None:
    if missing == "directory":
        os.rmdir(own_build.work / "cache")  # noqa: PTH106
    else:
        (own_build.work / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    result = own_build("--cache-mounts").succeeded()
    assert ("cache mounts are not kept: there is no directory cache/" in result.stderr) is (missing == "directory")
    assert not (own_build.work / "cache" / "mounts").exists()


def test_a_request_asks_for_it_in_its_own_spelling(own_build: Builder, run: ProgramRunner) -> None:
    for number in (1, 2):
        config = {"cache_mounts": True, "build_args": [f"RUN={number}"]}
        env = {"OCIBUILD_STATE_DIR": str(own_build.work / f"task-{number}")}
        wanted = json.dumps({"response_path": "response", "config": config})
        result = run("ocibuild", "task", cwd=own_build.work, stdin=wanted, env=env).succeeded()
        assert ("found: plain1 own1" in result.stdout) is (number == 2)
