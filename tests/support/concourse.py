"""Runs a task file as a Concourse worker does: inputs, outputs and caches as directories, params as environment."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.programs import ProgramRunner, Run

EXAMPLES = Path(__file__).parents[2] / "examples" / "concourse"


class ConcourseTask:
    """One task file of the examples, in a working directory.

    Args:
        name: the example's directory.
        work: the working directory; made.
        variables: what stands for `((name))`.
    """

    def __init__(self, name: str, work: Path, variables: Mapping[str, str] | None = None) -> None:
        import yaml

        self.work = work
        text = (EXAMPLES / name / "task.yml").read_text()
        given = {"ocibuild_image": "ocibuild", **(variables or {})}
        self.config: dict[str, Any] = yaml.safe_load(re.sub(r"\(\(([a-z_.]+)\)\)", lambda found: given[found[1]], text))
        work.mkdir(parents=True, exist_ok=True)
        for entry in self.config.get("inputs", ()):
            self.directory(entry["name"]).mkdir(exist_ok=True)
        for entry in (*self.config.get("outputs", ()), *self.config.get("caches", ())):
            self.directory(entry.get("name") or entry["path"]).mkdir(exist_ok=True)
        shutil.copytree(EXAMPLES / name, self.directory("source"), dirs_exist_ok=True)

    def directory(self, name: str) -> Path:
        """Where an input or output is: `path` says otherwise than its name."""
        entries = (*self.config.get("inputs", ()), *self.config.get("outputs", ()))
        path = next((entry.get("path") for entry in entries if entry["name"] == name), None)
        return self.work / (path or name)

    @property
    def params(self) -> dict[str, str]:
        """As Concourse hands them over: numbers and booleans as JSON spells them."""
        return {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in self.config.get("params", {}).items()
        }

    def run(self, run: ProgramRunner, env: Mapping[str, str], *, may_hold_secrets: tuple[Path, ...] = ()) -> Run:
        """Run what the task file runs; `env` is what the machine adds."""
        command = [self.config["run"]["path"], *self.config["run"].get("args", ())]
        return run(*command, cwd=self.work, env={**self.params, **env}, may_hold_secrets=may_hold_secrets)

    def run_in_rootfs(self, run: ProgramRunner, rootfs: Path, metadata: Path, *command: str) -> Run:
        """Run a program in an unpacked image, as a task with `image:` does, as the user where root can make it him."""
        said = json.loads(metadata.read_text())
        env = dict(pair.split("=", 1) for pair in said["env"] or ())
        users = (line.split(":") for line in (rootfs / "etc/passwd").read_text().splitlines())
        uid = next((fields[2] for fields in users if fields[0] == said["user"]), "0")
        enter = ["chroot", f"--userspec={uid}:{uid}"] if os.geteuid() == 0 else ["unshare", "-r", "chroot"]
        return run(*enter, str(rootfs), *command, cwd=self.work, env=env)
