"""Which of an index's images is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocibuild_core.platforms import normal
from ocibuild_core.unpack.errors import LayerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def choose(descriptors: object, platform: str | None) -> Mapping[str, Any]:
    """The descriptor of the image for the platform; several of one image are one, attestations are none.

    Raises LayerError unless there is just one.
    """
    if not isinstance(descriptors, list) or not all(isinstance(one, dict) for one in descriptors):
        raise LayerError("its index has another form than an image's")
    images = list({str(one.get("digest")): one for one in descriptors if not _is_attestation(one)}.values())
    if platform and len(images) > 1:
        images = [one for one in images if platform_of(one) == normal(platform)] or images
    if len(images) != 1:
        there = ", ".join(map(platform_of, images)) or "none"
        raise LayerError(f"it has to hold one image for {platform or 'one platform'}, and holds: {there}")
    return dict(images[0])


def platform_of(descriptor: Mapping[str, Any]) -> str:
    """The platform that a descriptor in an index says it is for."""
    given = descriptor.get("platform")
    parts: Sequence[object] = ()
    if isinstance(given, dict):
        parts = [given.get(key) for key in ("os", "architecture", "variant")]
    return normal("/".join(str(part) for part in parts if part)) if any(parts) else "unknown"


def _is_attestation(descriptor: Mapping[str, Any]) -> bool:
    """BuildKit marks those so (docs/attestations/attestation-storage.md in moby/buildkit)."""
    annotations = descriptor.get("annotations")
    return isinstance(annotations, dict) and "vnd.docker.reference.type" in annotations
