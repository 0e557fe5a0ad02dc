"""Real shells complete lines of `build` and `ocibuild`."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.cli.shells import PROGRAMS, SHELLS, script

if TYPE_CHECKING:
    from collections.abc import Callable

BIN = Path(sys.executable).parent
DOCKERFILE = "ARG BASE_IMAGE=scratch\nFROM $BASE_IMAGE AS Builder\nFROM scratch AS final\nARG OTHER\n"

# What a person types before the tab key, and what the line is then.
LINES = {
    "build --targ": "build --target",
    "build --target bui": "build --target builder",
    "build --target=fin": "build --target=final",
    "build src --target f": "build src --target final",
    "build -f src/Dockerfile --target mai": "build -f src/Dockerfile --target main",
    "build --progress raw": "build --progress rawjson",
    "build --login bas": "build --login basic",
    "build --no-plugin ec": "build --no-plugin ecr",
    "build -o manifest": "build -o manifest-digest",
    "build --platform linux/amd64,linux/arm6": "build --platform linux/amd64,linux/arm64",
    "build --build-arg BASE": "build --build-arg BASE_IMAGE",
    "build --ecr-regio": "build --ecr-region",
    "build --iidfile Docker": "build --iidfile Dockerfile",
    "build sr": "build src",
    "ocibuild compl": "ocibuild completion",
    "ocibuild completion fi": "ocibuild completion fish",
    "ocibuild build --network ho": "ocibuild build --network host",
    "ocibuild plugins sh": "ocibuild plugins show",
}
EXECUTABLES = {"bash": ("--norc", "--noprofile", "-i"), "zsh": ("-f", "-i"), "fish": ("--no-config",)}
# The line is not run: the name of a function that notes it is put before it.
RUN_INSTEAD = "\x01note \n"


def program(shell: str) -> str:
    found = shutil.which(shell)
    if not found:
        pytest.fail(f"there is no {shell}\n  do     apt-get install {shell}", pytrace=False)
    return found


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "Dockerfile").write_text("FROM scratch AS final-of-src\nFROM scratch AS main\n")
    return tmp_path


def environment(work: Path) -> dict[str, str]:
    return {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(work), "TERM": "dumb", "LANG": "C.UTF-8", "PS1": "> "}


class Terminal:
    """A shell at a terminal."""

    def __init__(self, shell: str, work: Path) -> None:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(work)
            os.execve(program(shell), [shell, *EXECUTABLES[shell]], environment(work))
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        """Let the shell go on until something is so."""
        deadline = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < deadline, self.seen
            if select.select([self._fd], [], [], 0.01)[0]:
                self.seen += os.read(self._fd, 65536).decode(errors="replace")

    def close(self) -> None:
        os.kill(self._pid, 9)
        os.close(self._fd)
        os.waitpid(self._pid, 0)


NOTE = 'note() { printf "%s\\n" "$*" >> ~/noted; }; touch ~/noted\n'
SETUP = {
    "bash": f'eval "$(ocibuild completion bash)"; {NOTE}',
    "zsh": f'autoload -Uz compinit; compinit -u -D; bindkey -e; eval "$(ocibuild completion zsh)"; {NOTE}',
}


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_at_a_terminal_the_tab_key_completes(shell: str, work: Path) -> None:
    terminal = Terminal(shell, work)
    try:
        terminal.type(SETUP[shell])
        noted = work / "noted"
        terminal.wait_for(noted.exists)
        for number, line in enumerate(LINES):
            terminal.type(f"{line}\t{RUN_INSTEAD}")
            terminal.wait_for(lambda: len(noted.read_text().splitlines()) > number)  # noqa: B023  # called here alone
        # zsh takes the slash behind a directory away again.
        lines = [line.rstrip("/") for line in noted.read_text().splitlines()]
        assert dict(zip(LINES, lines, strict=True)) == LINES
    finally:
        terminal.close()


FISH = "ocibuild completion fish | source\n"


def test_fish_completes(work: Path) -> None:
    asked = "\n".join(f'echo LINE; complete -C "{line}"' for line in LINES)
    done = subprocess.run(
        [program("fish"), *EXECUTABLES["fish"], "-c", f"{FISH}{asked}"],
        cwd=work, env=environment(work), capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    _, *answers = done.stdout.split("LINE\n")
    offered = [[one.partition("\t")[0].rstrip("/") for one in answer.splitlines()] for answer in answers]
    assert dict(zip(LINES, offered, strict=True)) == {line: [wanted.split()[-1]] for line, wanted in LINES.items()}


def test_fish_shows_what_has_commas_whole(work: Path) -> None:
    done = subprocess.run(
        [program("fish"), *EXECUTABLES["fish"], "-c", f"{FISH}complete -C 'build -o docker,de'"],
        cwd=work, env=environment(work), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("docker,dest=\t")


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_takes_its_script(shell: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text(script(shell, name))
    done = subprocess.run([program(shell), "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("broken", ["ocibuild.yml", "plugins"])
def test_what_is_broken_leaves_cores_flags_and_says_nothing(broken: str, work: Path) -> None:
    env = environment(work) | {"_BUILD_COMPLETE": "bash_complete", "COMP_WORDS": "build --pul", "COMP_CWORD": "1"}
    if broken == "plugins":
        env["OCIBUILD_PLUGINS"] = "missing"
    else:
        (work / broken).write_text("{")
    done = subprocess.run([BIN / "build"], cwd=work, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "plain,--pull\n", "")
