"""The provenance that a build attested, for its metadata: BuildKit keeps it apart, docker buildx puts it there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Read = Callable[[str], bytes]

_KEY = "buildx.build.provenance"
"""As in docker buildx, whose readers look for it (docs/reference/buildx_build.md, --metadata-file)."""
_TYPE = "https://slsa.dev/provenance/"
_ATTESTATION = "attestation-manifest"


def attested_provenance(read: Read, metadata: Mapping[str, object]) -> dict[str, object]:
    """The predicate under buildx's key, of several platforms each under one of its own; empty where there is none.

    How attestations are stored is docs/attestations/attestation-storage.md in moby/buildkit.

    Args:
        read: gives the blob with a digest; OSError where there is none.
        metadata: BuildKit's, of that solve.
    """
    given = metadata.get("containerimage.descriptor")
    try:
        found = dict(_predicates(read, given)) if isinstance(given, dict) else {}
    except (OSError, ValueError, LookupError):
        return {}  # collected meanwhile, or of another form: then the metadata are BuildKit's alone
    if len(found) == 1:
        (predicate,) = found.values()
        return {_KEY: predicate}
    return {f"{_KEY}/{platform}": predicate for platform, predicate in found.items()}


def _predicates(read: Read, index: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Platform and predicate of each image below an index."""
    listed = _document(read, index).get("manifests") or ()
    platforms = {one["digest"]: _platform(one.get("platform") or {}) for one in listed}
    for one in listed:
        annotations = one.get("annotations") or {}
        if annotations.get("vnd.docker.reference.type") != _ATTESTATION:
            continue
        platform = platforms.get(annotations.get("vnd.docker.reference.digest"), "")
        for layer in _document(read, one)["layers"]:
            if (layer.get("annotations") or {}).get("in-toto.io/predicate-type", "").startswith(_TYPE):
                yield platform, _document(read, layer)["predicate"]


def _platform(given: Mapping[str, str]) -> str:
    return "/".join(given[key] for key in ("os", "architecture", "variant") if given.get(key))


def _document(read: Read, descriptor: Mapping[str, Any]) -> dict[str, Any]:
    import json  # noqa: PLC0415  # only where there are attestations

    return dict(json.loads(read(descriptor["digest"])))
