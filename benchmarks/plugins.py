"""What installed plugins cost: `build --help` with none, 50 and 200 of them, each pair run in turn.

    python -m benchmarks.plugins

The plugins are distributions as pip leaves them: byte-compiled, each with one provider of three options.
"""

from __future__ import annotations

import compileall
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_MODULE = '''
"""One of many plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.plugin import AuthProvider, Match, Option, OptionType, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocibuild_core.plugin import Credential, CredentialRequest, OptionValues


class Provider(AuthProvider):
    """Logs in nowhere."""

    name = "many{number}"
    summary = "Number {number} of many."
    options = (
        Option(name="user", help="User"),
        Option(name="password", help="Password", type=OptionType.SECRET),
        Option(name="timeout", help="Time limit", type=OptionType.DURATION, default=5.0),
    )

    def match(self, registry: str, options: OptionValues) -> Match:
        return Match.NO

    def get(self, request: CredentialRequest) -> Credential | None:
        return None


@hookimpl
def ocibuild_auth_providers() -> Iterable[AuthProvider]:
    return [Provider()]
'''

_ROUNDS = 25
_GOAL_50 = 0.050


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: what was timed, seconds, and how it compares."""

    what: str
    seconds: float
    compared: str
    goal: str = ""
    is_met: bool = True

    def __str__(self) -> str:
        verdict = "" if not self.goal else ("met" if self.is_met else "MISSED")
        return f"{self.what:<34} {self.seconds * 1000:8.1f} ms  {self.compared:<22} {self.goal:<24} {verdict}".rstrip()


def make_site(directory: Path, plugins: int) -> Path:
    """A directory like site-packages with so many plugins in it."""
    directory.mkdir()
    for number in range(plugins):
        (directory / f"many_{number}.py").write_text(_MODULE.format(number=number))
        info = directory / f"ocibuild_many_{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ocibuild-many-{number}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[ocibuild]\nmany{number} = many_{number}\n")
    compileall.compile_dir(directory, quiet=1)
    return directory


def _seconds(command: list[str], site: Path) -> float:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    subprocess.run(command, env={**env, "PYTHONPATH": str(site)}, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def measure() -> list[Row]:
    """All rows. Medians of differences within a round: what else the machine does falls on both sides of a pair."""
    build = [str(Path(sys.executable).with_name("build")), "--help"]
    with tempfile.TemporaryDirectory() as root:
        sites = {count: make_site(Path(root) / str(count), count) for count in (0, 50, 100, 200)}
        for site in sites.values():
            _seconds(build, site)
        rounds = [{count: _seconds(build, site) for count, site in sites.items()} for _ in range(_ROUNDS)]
    plain = statistics.median(each[0] for each in rounds)
    added = {count: statistics.median(each[count] - each[0] for each in rounds) for count in (50, 100, 200)}
    per_plugin = {count: seconds / count for count, seconds in added.items()}
    growth = per_plugin[200] / per_plugin[50]
    return [
        Row(what="build --help", seconds=plain, compared="1.00 x"),
        *(_added(count, seconds, plain) for count, seconds in added.items()),
        Row(
            what="one plugin more, at 200",
            seconds=per_plugin[200],
            compared=f"{growth:.2f} x the same at 50",
            goal="<= 1.25 x (linear)",
            is_met=growth <= 1.25,  # noqa: PLR2004  # the goal beside it
        ),
    ]


def _added(count: int, seconds: float, plain: float) -> Row:
    goal = f"adds <= {_GOAL_50 * 1000:.0f} ms" if count == 50 else ""  # noqa: PLR2004  # the number with a goal
    compared = f"{(plain + seconds) / plain:.2f} x ({seconds * 1000:+.1f} ms)"
    return Row(
        what=f"build --help, {count} plugins",
        seconds=plain + seconds,
        compared=compared,
        goal=goal,
        is_met=not goal or seconds <= _GOAL_50,
    )


if __name__ == "__main__":
    for row in measure():
        print(row)
