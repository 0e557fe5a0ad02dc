"""The provenance that a build attested, for its metadata: BuildKit keeps it apart, docker buildx puts it there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_KEY = "buildx.build.provenance"
"""As in docker buildx, whose readers look for it (docs/reference/buildx_build.md, --metadata-file)."""
_TYPE = "https://slsa.dev/provenance/"
_ATTESTATION = "attestation-manifest"


def attested_provenance(store: Path, metadata: Mapping[str, object]) -> dict[str, object]:
    """The predicate under buildx's key, of several platforms each under one of its own; empty where there is none.

    How attestations are stored is docs/attestations/attestation-storage.md in moby/buildkit.

    Args:
        store: the directory with a directory for each digest algorithm.
        metadata: BuildKit's, of that solve.
    """
    given = metadata.get("containerimage.descriptor")
    try:
        found = dict(_predicates(store, given)) if isinstance(given, dict) else {}
    except OSError:
        return {}  # collected meanwhile: then the metadata are BuildKit's alone
    if len(found) == 1:
        (predicate,) = found.values()
        return {_KEY: predicate}
    return {f"{_KEY}/{platform}": predicate for platform, predicate in found.items()}


def _predicates(store: Path, index: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Platform and predicate of each image below an index."""
    listed = _document(store, index).get("manifests") or ()
    platforms = {one["digest"]: _platform(one.get("platform") or {}) for one in listed}
    for one in listed:
        annotations = one.get("annotations") or {}
        if annotations.get("vnd.docker.reference.type") != _ATTESTATION:
            continue
        platform = platforms.get(annotations.get("vnd.docker.reference.digest"), "")
        for layer in _document(store, one)["layers"]:
            if (layer.get("annotations") or {}).get("in-toto.io/predicate-type", "").startswith(_TYPE):
                yield platform, _document(store, layer)["predicate"]


def _platform(given: Mapping[str, str]) -> str:
    return "/".join(given[key] for key in ("os", "architecture", "variant") if given.get(key))


def _document(store: Path, descriptor: Mapping[str, Any]) -> dict[str, Any]:
    import json  # noqa: PLC0415  # only where there are attestations

    algorithm, _, value = descriptor["digest"].partition(":")
    return dict(json.loads((store / algorithm / value).read_bytes()))
