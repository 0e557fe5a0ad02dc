"""Which features of BuildKit a build uses, so that one that is too old for them is named before the solve. Pure.

The versions are the first whose sources have the option (https://github.com/moby/buildkit/releases).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.caching import cache_types
from ocibuild_core.engine.versions import OCI_LAYOUTS, RAW_PROGRESS, SEVERAL_OUTPUTS, Feature
from ocibuild_core.outputs import attestations
from ocibuild_core.settings.values import LAYOUT_SCHEME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ocibuild_core.plan import BuildPlan
    from ocibuild_core.settings.model import BuildSettings

METADATA = Feature(name="a build's metadata file", since=(0, 9, 0))
GHA_CACHES = Feature(name="caches of type gha", since=(0, 9, 0))
NAMED_CONTEXTS = Feature(name="named contexts (--build-context)", since=(0, 10, 0))
STEP_LIMITS = Feature(name="--ulimit, --shm-size and --cgroup-parent", since=(0, 10, 0))
COMPRESSION_LEVELS = Feature(name="compression-level", since=(0, 10, 0))
ANNOTATIONS = Feature(name="--annotation", since=(0, 11, 0))
ATTESTATIONS = Feature(name="attestations (--provenance, --sbom)", since=(0, 11, 0))
CLOUD_CACHES = Feature(name="caches of type s3 and azblob", since=(0, 11, 0))
DATES = Feature(name="SOURCE_DATE_EPOCH", since=(0, 11, 0))
REGISTRY_CAS = Feature(name="--registry-ca and --registry-insecure", since=(0, 13, 0))
REWRITTEN_TIMESTAMPS = Feature(name="rewrite-timestamp", since=(0, 13, 0))
FORWARDED_SOCKETS = Feature(name="a forwarded socket (--cache-mounts)", since=(0, 23, 0))
CHECKS = Feature(name="checks of the Dockerfile (--check)", since=(0, 14, 0))


def used_features(settings: BuildSettings, plans: Sequence[BuildPlan], progress: str) -> tuple[Feature, ...]:
    """The features that the build cannot do without.

    Args:
        settings: what was asked for.
        plans: one a target.
        progress: the value of `--progress`.
    """
    return (METADATA, *_of_settings(settings, progress), *_of_outputs(plans))


def _of_settings(settings: BuildSettings, progress: str) -> Iterator[Feature]:
    caches = cache_types(settings)
    contexts = [pair.value for pair in settings.build_contexts]
    asked: tuple[tuple[Feature, object], ...] = (
        (RAW_PROGRESS, progress == "rawjson"),
        (GHA_CACHES, "gha" in caches),
        (NAMED_CONTEXTS, contexts),
        (STEP_LIMITS, settings.ulimits or settings.shm_size or settings.cgroup_parent),
        (OCI_LAYOUTS, settings.image_args or any(value.startswith(LAYOUT_SCHEME) for value in contexts)),
        (ANNOTATIONS, settings.annotations),
        (ATTESTATIONS, attestations(settings)),
        (CLOUD_CACHES, {"s3", "azblob"} & {*caches}),
        (DATES, settings.source_date_epoch),
        (REGISTRY_CAS, settings.registry_certs or settings.registry_insecure),
        (CHECKS, settings.check),
        (FORWARDED_SOCKETS, settings.cache_mounts),
    )
    return (feature for feature, is_used in asked if is_used)


def _of_outputs(plans: Sequence[BuildPlan]) -> Iterator[Feature]:
    if any(len(plan.outputs) > 1 for plan in plans):
        yield SEVERAL_OUTPUTS
    attributes = {name for plan in plans for output in plan.outputs for name in output.attributes}
    if "rewrite-timestamp" in attributes:
        yield REWRITTEN_TIMESTAMPS
    if any(name.startswith("annotation") for name in attributes):
        yield ANNOTATIONS
    if "compression-level" in attributes:
        yield COMPRESSION_LEVELS
