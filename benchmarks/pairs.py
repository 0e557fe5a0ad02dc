"""Two commands timed in turn in one run, so that a drift of the machine's speed hits both."""

from __future__ import annotations

import statistics
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What came of it: median seconds of each, and the median of the ratios pair by pair."""

    ours: float
    other: float
    ratio: float


def time_pair(
    ours: Callable[[], object], other: Callable[[], object], *, runs: int, tidy: Callable[[], object] = lambda: None
) -> Pair:
    """Call both in turn `runs` times, after one call each that does not count; `tidy` before each, outside its time."""
    tidy()
    ours()
    tidy()
    other()
    times = [(_seconds(ours, tidy), _seconds(other, tidy)) for _ in range(runs)]
    return Pair(
        ours=statistics.median(a for a, _ in times),
        other=statistics.median(b for _, b in times),
        ratio=statistics.median(a / b for a, b in times),
    )


def command(argv: Sequence[str], **kwargs: object) -> Callable[[], object]:
    """A call that runs a command and insists on its success."""
    return lambda: subprocess.run(argv, check=True, capture_output=True, **kwargs)  # type: ignore[call-overload]


def row(name: str, figure: str, goal: str, *, reached: bool) -> str:
    """One row of the table."""
    return f"| {name} | {figure} | {goal} | {'yes' if reached else 'NO'} |"


HEADER = "| what | measured | goal | reached |\n|---|---|---|---|"


def _seconds(call: Callable[[], object], tidy: Callable[[], object]) -> float:
    tidy()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
