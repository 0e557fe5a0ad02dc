"""What a parent may have done to the programs before they start: closed their streams, removed where they are."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from support.programs import ProgramRunner, Run

pytestmark = pytest.mark.e2e


@pytest.fixture
def work(sandbox: Path) -> Path:
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    return directory


@pytest.fixture
def shell(run: ProgramRunner, work: Path) -> Shell:
    return Shell(run, work)


class Shell:
    """Starts programs from a script of the shell, in the directory of the Dockerfile."""

    def __init__(self, run: ProgramRunner, work: Path) -> None:
        self._run = run
        self._work = work

    def __call__(self, script: str) -> Run:
        return self._run("sh", "-c", script, cwd=self._work)

    def build(self, *argv: str, then: str = "") -> Run:
        """`build` with a state directory of its own, and what a shell adds to the command."""
        words = ["build", "--state-dir", str(self._work / "state"), *argv]
        return self(f"{shlex.join(words)} {then}")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("progress", ["plain", "rawjson", "quiet"])
def test_a_build_with_closed_streams_is_a_build(shell: Shell, work: Path, closed: str, progress: str) -> None:
    result = shell.build("--progress", progress, ".", then=closed).succeeded()
    assert "fault" not in result.stderr
    assert (work / "image" / "image.tar").stat().st_size > 0


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("build --help >&-", 0),
        ("build --no-such-flag 2>&-", 2),
        ("build - <&-", 2),
        ("ocibuild plugins >&-", 0),
        ("ocibuild task <&-", 2),
    ],
)
def test_other_commands_with_closed_streams_end_as_ever(shell: Shell, script: str, code: int) -> None:
    result = shell(script).ended_with(code)
    assert "fault" not in result.stderr


@pytest.mark.parametrize("command", ["build .", "build --print .", "ocibuild doctor", "ocibuild task"])
def test_a_directory_that_was_removed_is_said_to_be(shell: Shell, command: str) -> None:
    result = shell(f"mkdir gone && cd gone && rmdir ../gone && {command}").ended_with(2)
    assert result.stderr.startswith("error: the working directory is not there any more\n  why    No such file")


@pytest.mark.parametrize("command", ["build --help", "build --version", "ocibuild plugins"])
def test_what_needs_no_directory_does_without(shell: Shell, command: str) -> None:
    shell(f"mkdir gone && cd gone && rmdir ../gone && {command}").succeeded()
