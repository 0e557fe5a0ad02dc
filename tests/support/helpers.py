"""Credential helpers of a user, made as a test needs them."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SCRIPT = """#!{python} -IS
import os, sys
here = {here!r}
question = sys.stdin.read()
with open(os.path.join(here, {name!r} + ".log"), "a") as log:
    log.write(question + "\\n")
{body}
"""


class HelperDirectory:
    """A directory of `docker-credential-NAME` programs; `env` has it on PATH.

    Args:
        directory: where they are put.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.env = {"PATH": f"{directory}:/usr/bin:/bin"}

    def add(self, name: str, *, user: str = "", secret: str = "", message: str = "", status: int = 0) -> None:
        """One that answers every question alike: with a credential, or with a message and an exit status."""
        text = message or json.dumps({"ServerURL": "x", "Username": user, "Secret": secret})
        self.add_script(name, f"sys.stdout.write({text!r})\nsys.exit({status})")

    def add_script(self, name: str, body: str) -> None:
        """One that runs these lines of Python; `question` is what it was asked, and `os` and `sys` are there."""
        path = self.directory / f"docker-credential-{name}"
        path.write_text(
            _SCRIPT.format(python=os.path.realpath(sys.executable), here=str(self.directory), name=name, body=body)
        )
        path.chmod(0o755)

    def questions(self, name: str) -> list[str]:
        """What it was asked, in order."""
        return (self.directory / f"{name}.log").read_text().splitlines()
