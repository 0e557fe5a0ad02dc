"""What the checks found, for people and for programs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ocibuild_core.diagnostics import Severity
from ocibuild_core.errors import first_stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ocibuild_core.doctor.checks import Row

_SEVERITY_WIDTH = max(len(severity.value) for severity in Severity)


def exit_code(rows: Sequence[Row]) -> int:
    """That of the earliest stage that a build would fail in; 0 when there are warnings at most."""
    return first_stage(row.exit_code for row in rows)


def as_text(rows: Sequence[Row]) -> str:
    """One line a finding, below it the cause and the remedy of what is not well; at the end, how many of each."""
    width = max((len(row.check) for row in rows), default=0)
    lines = [line for row in rows for line in _lines(row, width)]
    count = Counter(row.finding.severity for row in rows)
    totals = [
        f"{count[severity]} {severity.value}{'s' if count[severity] > 1 and severity is not Severity.OK else ''}"
        for severity in reversed(Severity)
        if count[severity]
    ]
    return "\n".join([*lines, "", ", ".join(totals)])


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "exit_code": exit_code(rows),
        "findings": [
            {
                "check": row.check,
                "severity": row.finding.severity.value,
                "what": row.finding.what,
                "why": row.finding.why,
                "do": row.finding.do,
                "exit_code": row.exit_code,
            }
            for row in rows
        ],
    }


def _lines(row: Row, width: int) -> Iterator[str]:
    finding = row.finding
    yield f"{finding.severity.value:<{_SEVERITY_WIDTH}}  {row.check:<{width}}  {finding.what}"
    if finding.severity is Severity.OK:
        return
    margin = " " * (_SEVERITY_WIDTH + width + 4)
    for title, text in (("why", finding.why), ("do", finding.do)):
        for number, line in enumerate(text.splitlines()):
            yield f"{margin}{'' if number else title:<5}{line}"
