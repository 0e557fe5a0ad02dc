"""What a check is, and the findings it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.diagnostics import Finding, Severity
from ocibuild_core.errors import Failures, OcibuildError
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ocibuild_core.doctor.scene import Scene

UNKNOWN_REMEDY = "see the cause"


class Check(NamedTuple):
    """One thing to look at.

    Args:
        name: the first word of its lines.
        looks_at: what it looks at, for the table of all checks.
        kind: the error that a failure would be in a build; it gives the exit code.
        look: gives the findings. An error of the family that it raises is a failure.
        is_of_own_engine: of no concern where a BuildKit elsewhere is used.
    """

    name: str
    looks_at: str
    kind: type[OcibuildError]
    look: Callable[[Scene], Iterable[Finding]]
    is_of_own_engine: bool = False


class Row(NamedTuple):
    """One finding of a check.

    Args:
        check: the check's name.
        finding: what it found.
        exit_code: what a build that trips over it ends with; 0 unless it is a failure.
    """

    check: str
    finding: Finding
    exit_code: int


def fine(what: str) -> Finding:
    """A finding that all is well."""
    return Finding(severity=Severity.OK, what=what)


def warning(what: str, *, do: str, why: str = "") -> Finding:
    """A finding that builds go on with."""
    return Finding(severity=Severity.WARNING, what=what, why=why, do=do)


def failure(what: str, *, do: str, why: str = "") -> Finding:
    """A finding that ends builds."""
    return Finding(severity=Severity.FAILURE, what=what, why=why, do=do)


def rows_of(check: Check, findings: Iterable[Finding]) -> Iterator[Row]:
    """The findings as rows of their check."""
    for finding in findings:
        is_failure = finding.severity is Severity.FAILURE
        yield Row(check=check.name, finding=finding, exit_code=check.kind.exit_code if is_failure else 0)


def rows_of_error(name: str, error: OcibuildError) -> list[Row]:
    """An error, or each of several, as failed rows."""
    errors = error.errors if isinstance(error, Failures) else (error,)
    return [
        Row(
            check=name,
            finding=failure(one_line(one.summary), why=_cause(one), do=_remedy(one)),
            exit_code=one.exit_code,
        )
        for one in errors
    ]


def _cause(error: OcibuildError) -> str:
    tried = f"tried: {', '.join(error.tried)}" if error.tried else ""
    return "\n".join(text for text in (error.why, tried) if text)


def _remedy(error: OcibuildError) -> str:
    return error.do or (UNKNOWN_REMEDY if _cause(error) else "mend it as this line says")


def one_line(text: str) -> str:
    """What comes from elsewhere on one printable line."""
    flat = " ".join(text.split())
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in flat)
