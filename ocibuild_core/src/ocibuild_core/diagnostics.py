"""What `ocibuild doctor` tells of one thing that it looked at. Part of the surface in `ocibuild_core.plugin`."""

from __future__ import annotations

from enum import Enum

from ocibuild_core.records import Record


class Severity(Enum):
    """How bad it is; the values are what people read."""

    OK = "ok"
    """As it should be, or of no concern here."""
    WARNING = "warning"
    """Builds go on, but slower, or not all of them."""
    FAILURE = "failure"
    """A build that needs this fails."""


class Finding(Record):
    """What a look at one thing found.

    Args:
        severity: how bad it is.
        what: what was found, one line without a full stop and without a secret.
        why: the cause, when `what` does not hold it already; may have several lines.
        do: what the reader can do about it; never empty unless all is well.
    """

    severity: Severity
    what: str
    why: str = ""
    do: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.severity, Severity):
            raise TypeError("a finding's severity is a Severity")
        if not self.what.strip() or not self.what.isprintable():
            raise ValueError("a finding's what is one line of text")
        if self.severity is not Severity.OK and not self.do.strip():
            raise ValueError("a finding that is not OK says what to do")
