"""What a build does with the directory `cache/` once it has succeeded, and what it says of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError

if TYPE_CHECKING:
    from ocibuild_core.cache_directory import CacheDirectory
    from ocibuild_core.settings.model import BuildSettings
    from ocibuild_core.terminal import Talk

CACHE_DIRECTORY = "cache"

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", re.IGNORECASE | re.ASCII)


def keep_cache(cache: CacheDirectory, bound: int, talk: Talk) -> None:
    """Take in what was exported, as far as it is within `bound` bytes, and say so. Raises ExportError."""
    kept = cache.keep(bound)
    if kept.is_too_large:
        talk.warn(
            f"{CACHE_DIRECTORY}/ stays empty: the cache of this build alone is larger than {bound / 1e6:.1f} MB; "
            "--cache-size sets the bound"
        )
        return
    dropped = f", {kept.dropped} older dropped" if kept.dropped else ""
    talk.say(f"{CACHE_DIRECTORY}/  build cache, {kept.size / 1e6:.1f} MB{dropped}")


def cache_bound(settings: BuildSettings) -> int:
    """Bytes that the directory may hold. Raises UsageError."""
    found = _SIZE.fullmatch(settings.cache_size.strip())
    if not found:
        raise UsageError(
            f"{settings.origin('cache_size')} {settings.cache_size!r}: not a size", do="write 512MB, 10GB or 2GiB"
        )
    base = 1024 if found[3] else 1000
    return int(float(found[1]) * base ** " KMGT".index(found[2].upper() or " "))
