"""stdout that takes nothing: full, or with nobody who reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(sys.executable).parent
FULL = "error: cannot write to stdout\n  why    No space left on device\n"


def run(*command: str, stdout: Path | int, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.defpath, "HOME": str(cwd), "XDG_RUNTIME_DIR": str(cwd)}
    program = [str(PROGRAMS / command[0]), *command[1:]]
    with open(stdout, "wb") as out:  # noqa: PTH123  # also a number
        return subprocess.run(program, cwd=cwd, env=env, stdout=out, stderr=subprocess.PIPE, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [
        ("ocibuild", "--help"),
        ("ocibuild", "plugins"),
        ("ocibuild", "auth", "explain", "r.example"),
        ("ocibuild", "completion", "bash"),
        ("ocibuild", "doctor", "--json"),
        ("build", "--print", "--login", "none"),
        ("build", "--explain", "--login", "none"),
        ("build", "--version"),
    ],
    ids=" ".join,
)
def test_full_stdout_is_an_ordinary_error(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    done = run(*command, stdout=Path("/dev/full"), cwd=tmp_path)
    assert done.stderr.endswith(FULL)
    assert done.stderr.count("error:") == 1
    assert done.returncode == 6


def test_what_went_wrong_before_is_what_is_told(tmp_path: Path) -> None:
    done = run("build", "--print", "--no-such-flag", stdout=Path("/dev/full"), cwd=tmp_path)
    assert "--no-such-flag" in done.stderr
    assert done.returncode == 2


def test_nobody_who_reads_ends_it_as_the_signal_would(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    done = run("build", "--print", "--login", "none", stdout=writer, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (141, "")
