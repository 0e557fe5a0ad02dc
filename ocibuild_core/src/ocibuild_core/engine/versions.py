"""Versions of BuildKit, and which one a feature needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocibuild_core.errors import EngineError
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# `buildkitd --version` and `buildctl debug info` print the Go package, then the version.
_PRINTED = r"github\.com/moby/buildkit v?(\d+)\.(\d+)\.(\d+)"
_UNTOLD = (0, 0, 0)

Version = tuple[int, int, int]


class Feature(NamedTuple):
    """Something that older BuildKits cannot do.

    Args:
        name: for messages.
        since: the first version that can. Source: the release notes of moby/buildkit.
    """

    name: str
    since: Version


RAW_PROGRESS = Feature(name="--progress rawjson", since=(0, 13, 0))
SEVERAL_OUTPUTS = Feature(name="several outputs of one build", since=(0, 13, 0))
OCI_LAYOUTS = Feature(name="base images from an OCI layout", since=(0, 11, 0))
CACHE_LIMIT = Feature(name="a limit for the kept cache", since=(0, 17, 0))


def parse_version(printed: str) -> Version | None:
    """The version in what a program of BuildKit printed; None for a build that was told none (`0.0.0+unknown`)."""
    found = re.search(_PRINTED, printed)
    version = (int(found[1]), int(found[2]), int(found[3])) if found else _UNTOLD
    return None if version == _UNTOLD else version


def show_version(version: Version) -> str:
    """The version as people write it."""
    return ".".join(map(str, version))


def check_features(found: Version | None, features: Iterable[Feature], *, what: str) -> None:
    """Raise EngineError unless the version can do all of it. An unknown version is trusted.

    Args:
        found: what there is.
        features: what is used.
        what: whose version it is: `buildkitd on PATH (/usr/bin/buildkitd)`.
    """
    lacking = [feature for feature in features if found is not None and found < feature.since]
    if not lacking or found is None:
        return
    needed = max(feature.since for feature in lacking)
    raise EngineError(
        f"{what} is too old: BuildKit {show_version(found)}, needed is {show_version(needed)} or newer",
        why="; ".join(f"{feature.name} came with {show_version(feature.since)}" for feature in lacking),
        do="update it, or take it off PATH and: pip install ocibuild-buildkit",
    )
