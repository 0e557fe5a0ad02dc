"""`ocibuild doctor`, run as people run it, and what it found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from support.programs import ProgramRunner
    from support.users import OrdinaryUser


# The network of whoever runs the tests is no part of them.
_NO_CLOUD = {"AWS_EC2_METADATA_DISABLED": "true", "NO_GCE_CHECK": "true"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What one run found.

    Args:
        code: its exit code.
        findings: as it printed them.
        text: stdout and stderr, for messages.
    """

    code: int
    findings: tuple[Mapping[str, Any], ...]
    text: str

    def of(self, check: str) -> list[Mapping[str, Any]]:
        """The findings of one check; there has to be one."""
        found = [finding for finding in self.findings if finding["check"] == check]
        assert found, self.text
        return found

    def one(self, check: str) -> Mapping[str, Any]:
        """The one finding of a check."""
        (found,) = self.of(check)
        return found

    def bad(self, severity: str = "failure") -> dict[str, list[str]]:
        """What was found of that severity, by check; each with a remedy."""
        found: dict[str, list[str]] = {}
        for finding in self.findings:
            if finding["severity"] == severity:
                assert finding["do"], self.text
                found.setdefault(finding["check"], []).append(finding["what"])
        return found


class Doctor:
    """Runs it with a state directory of the test's own.

    Args:
        run: runs programs.
        directory: the test's own.
    """

    def __init__(self, run: ProgramRunner, directory: Path) -> None:
        self.run = run
        self.directory = directory
        self.state = directory / "state"

    def __call__(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        user: OrdinaryUser | None = None,
        wrap: Callable[[Sequence[str]], list[str]] = list,
        cwd: Path | None = None,
        may_hold_secrets: Sequence[Path] = (),
    ) -> Examination:
        """Look, and read what was found.

        Args:
            argv: further arguments.
            env: what it gets besides.
            user: who looks; None is the user of the tests.
            wrap: makes another command of the whole.
            cwd: where it runs.
            may_hold_secrets: as for `ProgramRunner`.
        """
        state = user.home / "state" if user else self.state
        where = cwd or (user.home if user else self.directory)
        own = ("ocibuild", "doctor", "--json", *argv)
        command = wrap(user.command(*own) if user else own)
        # Not as a flag: that would contradict the address of an engine elsewhere.
        merged = {**self.run.env(user), **_NO_CLOUD, "OCIBUILD_STATE_DIR": str(state), **(env or {})}
        found = self.run(*command, env=merged, cwd=where, seconds=60, may_hold_secrets=may_hold_secrets)
        text = str(found)
        assert found.stdout.startswith("{"), text
        document = json.loads(found.stdout)
        assert document["exit_code"] == found.code, text
        return Examination(code=found.code, findings=tuple(document["findings"]), text=text)
