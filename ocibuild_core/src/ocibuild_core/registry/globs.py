"""Patterns of registries, as pins use them: `ecr=*.amazonaws.com`."""

from __future__ import annotations

import re

from ocibuild_core.errors import UsageError
from ocibuild_core.registry.hosts import normalise

_ALLOWED = r"(?a)[a-z0-9.:\[\]*-]+"


def parse_glob(text: str, *, what: str) -> str:
    """A pattern in its one spelling; without a star it is a registry's name.

    `*` stands for any characters but a colon: a port is matched only where the pattern has one (`host:*`). The lone
    `*` is every registry.

    Raises:
        UsageError: it is no pattern of registries.
    """
    plain = text.strip().lower()
    for scheme in ("https://", "http://"):
        plain = plain.removeprefix(scheme)
    if "*" not in plain:
        registry = normalise(text.strip())
        if registry is None:
            raise _error(text, what)
        return registry
    plain = plain.removesuffix("/").removesuffix(":443")
    if not re.fullmatch(_ALLOWED, plain):
        raise _error(text, what)
    return plain


def glob_matches(glob: str, registry: str) -> bool:
    """Whether a pattern from `parse_glob` covers a registry's name, as a whole."""
    if glob == "*":
        return True
    pattern = "[^:]*".join(re.escape(part) for part in glob.split("*"))
    return re.fullmatch(pattern, registry) is not None


def is_exact(glob: str) -> bool:
    """Whether the pattern is a registry's name."""
    return "*" not in glob


def _error(text: str, what: str) -> UsageError:
    shown = "the value (not shown, as it may hold a password)" if "@" in text else repr(text)
    return UsageError(
        f"{what}: {shown} is no registry and no pattern of registries",
        do="write a host, or a pattern like *.example.com or host:*",
    )
