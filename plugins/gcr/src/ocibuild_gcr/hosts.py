"""Which registries are Google's. Pure, and without the SDK: `match` rests on it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocibuild_core.plugin import UsageError, parse_registry

if TYPE_CHECKING:
    from ocibuild_core.plugin import OptionValues

# Each host belongs to Google as a whole, so no subdomain of it is a stranger's.
_GOOGLE = re.compile(r"(?:[a-z0-9-]+\.)*gcr\.io|(?:[a-z0-9-]+\.)+pkg\.dev", re.ASCII)


def is_google(registry: str) -> bool:
    """Whether the registry (lower case) is one of Google's."""
    return _GOOGLE.fullmatch(registry) is not None


def named_registries(options: OptionValues) -> tuple[str, ...]:
    """What the option `registries` holds, each once. Raises UsageError when one is not Google's."""
    what = options.origin("registries") or "registries"
    named = (parse_registry(text, what=what).registry for text in options.texts("registries"))
    return tuple(dict.fromkeys(_google_only(registry, what) for registry in named))


def _google_only(registry: str, what: str) -> str:
    if not is_google(registry):
        raise UsageError(
            f"{what}: {registry} is no registry of Google's",
            do="name gcr.io, REGION.gcr.io or REGION-docker.pkg.dev; a Google token goes nowhere else",
        )
    return registry
