"""Caches that a build imports and exports, as docker buildx spells them. Pure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ocibuild_core.csv_fields import join_fields, split_fields
from ocibuild_core.errors import UsageError
from ocibuild_core.places import named_in_ascii
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocibuild_core.settings.model import BuildSettings

_TYPES = ("registry", "local", "inline", "gha", "s3", "azblob")
"""Those of docs/ in moby/buildkit (README.md, "Export cache")."""
_SECRETS = ("secret_access_key", "session_token", "token", "password")
_PATHS = {"src", "dest"}
_INSTEAD = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another of the ways that the AWS SDK knows",
    "azblob": "set AZURE_CLIENT_ID and what belongs to it, as the Azure SDK reads it",
    "gha": "leave it out: ACTIONS_RUNTIME_TOKEN is read from the environment",
}


class Cache(NamedTuple):
    """One `--cache-from` or `--cache-to`.

    Args:
        type: BuildKit's name of it.
        attributes: the rest.
    """

    type: str
    attributes: Mapping[str, str]

    @property
    def reference(self) -> str | None:
        """The image reference that it lives under."""
        return self.attributes.get("ref") if self.type == "registry" else None

    def argument(self) -> str:
        """As buildctl takes it."""
        return join_fields((f"type={self.type}", *(f"{key}={value}" for key, value in self.attributes.items())))


def imported_caches(settings: BuildSettings) -> tuple[Cache, ...]:
    """The caches of `--cache-from`. Raises UsageError."""
    return tuple(parse_cache(text, settings.origin("cache_from"), "src") for text in settings.cache_from)


def exported_caches(settings: BuildSettings) -> tuple[Cache, ...]:
    """The caches of `--cache-to`. Raises UsageError."""
    return tuple(parse_cache(text, settings.origin("cache_to"), "dest") for text in settings.cache_to)


def cache_arguments(settings: BuildSettings) -> list[str]:
    """Arguments of `buildctl build`. Raises UsageError."""
    arguments = []
    for cache in imported_caches(settings):
        arguments += ["--import-cache", cache.argument()]
    for cache in exported_caches(settings):
        arguments += ["--export-cache", cache.argument()]
    return arguments


def cache_types(settings: BuildSettings) -> tuple[str, ...]:
    """The types of all caches, each once: what decides which credentials the engine gets."""
    return tuple(dict.fromkeys(cache.type for cache in (*imported_caches(settings), *exported_caches(settings))))


def without_absent_caches(settings: BuildSettings, env: Mapping[str, str]) -> tuple[BuildSettings, tuple[str, ...]]:
    """The settings without caches that are not here, and a warning for each: GitHub's, outside of its runners.

    So does docker buildx (`isActive` in util/buildflags/cache.go). Raises UsageError.
    """
    imports, exports = imported_caches(settings), exported_caches(settings)
    kept_from = [text for text, cache in zip(settings.cache_from, imports, strict=True) if _is_here(cache, env)]
    kept_to = [text for text, cache in zip(settings.cache_to, exports, strict=True) if _is_here(cache, env)]
    passed_over = (("cache_from", len(kept_from) < len(imports)), ("cache_to", len(kept_to) < len(exports)))
    warnings = tuple(
        f"{settings.origin(name)} type=gha is passed over: ACTIONS_RUNTIME_TOKEN and ACTIONS_RESULTS_URL are not set"
        for name, is_passed_over in passed_over
        if is_passed_over
    )
    return settings._replace(cache_from=tuple(kept_from), cache_to=tuple(kept_to)), warnings


def _is_here(cache: Cache, env: Mapping[str, str]) -> bool:
    if cache.type != "gha":
        return True
    has_url = (
        cache.attributes.keys() & {"url", "url_v2"} or env.get("ACTIONS_CACHE_URL") or env.get("ACTIONS_RESULTS_URL")
    )
    return bool(has_url and env.get("ACTIONS_RUNTIME_TOKEN"))


def parse_cache(text: str, origin: str, place: str) -> Cache:
    """`IMAGE` or `type=TYPE,key=value…`.

    Args:
        text: what was written.
        origin: who wrote it.
        place: the attribute that a local cache cannot do without.
    """
    if "=" not in text and "," not in text:
        return _checked(Cache("registry", {"ref": text}), origin, place)
    pairs = [field.partition("=") for field in split_fields(text, origin)]
    if not all(equals for _, equals, _ in pairs):
        raise UsageError(f"{origin}: a part is not key=value", do=f"write {origin} type=registry,ref=HOST/REPO:TAG")
    attributes = {key.strip().lower(): value for key, _, value in pairs}
    return _checked(Cache(attributes.pop("type", ""), attributes), origin, place)


def _checked(cache: Cache, origin: str, place: str) -> Cache:
    if cache.type not in _TYPES or (cache.type == "inline" and place == "src"):
        known = ", ".join(name for name in _TYPES if name != "inline" or place == "dest")
        raise UsageError(f"{origin}: there is no cache of type {cache.type!r}", do=f"use one of {known}")
    secret = next((name for name in _SECRETS if name in cache.attributes), None)
    if secret:
        raise UsageError(
            f"{origin}: {secret!r} is not taken from an argument",
            why="arguments can be read by everybody on the machine",
            do=_INSTEAD.get(cache.type, f"leave {secret!r} out"),
        )
    needed = {"registry": "ref", "local": place}.get(cache.type)
    if needed and not cache.attributes.get(needed):
        raise UsageError(f"{origin}: the {cache.type} cache needs {needed!r}", do=f"add {needed}=…")
    if cache.type == "registry":
        from ocibuild_core.registry.reference import parse_reference  # noqa: PLC0415  # only where there is one

        parse_reference(cache.attributes["ref"])
    found = {name: os.path.abspath(value) for name, value in cache.attributes.items() if name in _PATHS}  # noqa: PTH100
    places = {name: named_in_ascii(value) for name, value in found.items()}
    return cache._replace(attributes={**cache.attributes, **places})
