"""What plugins may not name their options: the flags and variables of core itself."""

from __future__ import annotations

from ocibuild_core.conflicts import Reserved
from ocibuild_core.settings.table import FIELDS

# Flags that no setting stands behind.
_OTHER_FLAGS = (
    "--attest",
    "--call",
    "--explain",
    "--print",
    "--json",
    "--verbose",
    "--quiet",
    "--config",
    "--version",
    "--help",
)


def reserved_spellings() -> Reserved:
    """Flags and environment variables that belong to core."""
    return Reserved(
        flags=frozenset((*_OTHER_FLAGS, *(flag for field in FIELDS for flag in field.flags))),
        variables=frozenset(name for field in FIELDS for name in field.env),
        prefixes=tuple(field.prefix for field in FIELDS if field.prefix),
    )
