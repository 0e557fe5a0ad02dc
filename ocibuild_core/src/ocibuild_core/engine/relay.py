"""Programs that the client itself starts to reach a daemon (`docker exec …`) get the user's environment.

The client has a small share of it, and a docker config of ours; `docker` needs the user's own. So the client finds a
relay of that name first, which takes the user's environment from this process's memory and becomes the program.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ocibuild_core.child_environment import for_user_program
from ocibuild_core.engine.find import find_on_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROGRAMS = {
    "docker-container": "docker",
    "podman-container": "podman",
    "nerdctl-container": "nerdctl",
    "kube-pod": "kubectl",
    "ssh": "ssh",
}
"""What the client runs for addresses of each scheme (client/connhelper in moby/buildkit)."""

_SCRIPT = """\
import os, sys
with open({memory!r}, "rb") as file:
    env = dict(entry.split(b"=", 1) for entry in file.read().split(b"\\0") if entry)
os.execve({program!r}, [{name!r}, *sys.argv[1:]], env)
"""


def program_of(address: str) -> str | None:
    """The program that the client needs to reach the address; None when it needs none."""
    return PROGRAMS.get(address.partition("://")[0])


class Relay:
    """A relay for one program. The environment is in this process's memory alone, and goes with `close`.

    Args:
        name: the program.
        env: the user's environment.
        directory: where the relay is made; goes on the client's PATH, before all else.
    """

    def __init__(self, name: str, env: Mapping[str, str], directory: Path) -> None:
        self._memory = -1
        program = find_on_path(name, env.get("PATH", ""))
        if program is None:
            return  # the client will say so, and better
        self._memory = os.memfd_create("environment")
        share = for_user_program(env).items()
        os.write(self._memory, b"\0".join(os.fsencode(f"{key}={value}") for key, value in share))
        script = directory / f"{name}.py"
        memory = f"/proc/{os.getpid()}/fd/{self._memory}"
        script.write_text(_SCRIPT.format(memory=memory, program=str(program), name=name), encoding="utf-8")
        # By way of the shell: a path with a space, or a long one, does not fit a #! line (execve(2)).
        entry = directory / name
        entry.write_text(f'#!/bin/sh\nexec {_quoted(sys.executable)} -ISB {_quoted(str(script))} "$@"\n')
        entry.chmod(0o700)

    def close(self) -> None:
        """Forget the environment."""
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
