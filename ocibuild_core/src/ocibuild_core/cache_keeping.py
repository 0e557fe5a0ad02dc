"""What a build does with the directory `cache/` once it has succeeded, and what it says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.settings.values import show_size

if TYPE_CHECKING:
    from ocibuild_core.cache_directory import CacheDirectory
    from ocibuild_core.terminal import Talk

CACHE_DIRECTORY = "cache"


def keep_cache(cache: CacheDirectory, bound: int, talk: Talk) -> int:
    """Take in what was exported, as far as it is within `bound` bytes, and say so; the bytes. Raises ExportError."""
    kept = cache.keep(bound)
    if kept.is_too_large:
        talk.warn(
            f"{CACHE_DIRECTORY}/ takes in nothing: the cache of this build alone is larger than {show_size(bound)}; "
            "--cache-size sets the bound"
        )
        return kept.size
    dropped = f", {kept.dropped} older dropped" if kept.dropped else ""
    talk.say(f"{CACHE_DIRECTORY}/  build cache, {show_size(kept.size)}{dropped}")
    return kept.size
