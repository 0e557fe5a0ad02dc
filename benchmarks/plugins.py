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
from pathlib import Path

from benchmarks.pairs import HEADER, row

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

_COUNTS = (50, 100, 200)
_ROUNDS = 25


def main() -> None:
    """Print the table."""
    print(HEADER)
    for line in measure():
        print(line)


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


def measure() -> list[str]:
    """All rows. Medians of differences within a round: what else the machine does falls on both sides."""
    build = [str(Path(sys.executable).with_name("build")), "--help"]
    with tempfile.TemporaryDirectory(prefix="ocibuild-bench-") as root:
        sites = {count: make_site(Path(root) / str(count), count) for count in (0, *_COUNTS)}
        for site in sites.values():
            _seconds(build, site)
        rounds = [{count: _seconds(build, site) for count, site in sites.items()} for _ in range(_ROUNDS)]
    plain = statistics.median(each[0] for each in rounds)
    added = {count: statistics.median(each[count] - each[0] for each in rounds) for count in _COUNTS}
    growth = (added[200] / 200) / (added[50] / 50)
    return [
        _added_row(50, added[50], plain, goal="adds ≤ 50 ms", reached=added[50] <= 0.050),  # noqa: PLR2004
        _added_row(100, added[100], plain, goal="", reached=True),
        _added_row(200, added[200], plain, goal="", reached=True),
        row(
            "one plugin of 200 vs one of 50",
            f"{growth:.2f} ({added[200] / 200 * 1000:.2f} ms each)",
            "≤ 1.25 (linear)",
            reached=growth <= 1.25,  # noqa: PLR2004
        ),
    ]


def _added_row(count: int, added: float, plain: float, *, goal: str, reached: bool) -> str:
    figure = f"{(plain + added) / plain:.2f} ({added * 1000:+.0f} ms on {plain * 1000:.0f} ms)"
    return row(f"`build --help` with {count} more plugins vs without", figure, goal, reached=reached)


if __name__ == "__main__":
    main()
