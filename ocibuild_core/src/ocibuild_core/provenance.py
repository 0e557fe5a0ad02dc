"""What a build attested, found below its image's index; the provenance also for the metadata, as in docker buildx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Read = Callable[[str], bytes]
    Document = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_KEY = "buildx.build.provenance"
"""As in docker buildx, whose readers look for it (docs/reference/buildx_build.md, --metadata-file)."""
PROVENANCE = "https://slsa.dev/provenance/"
"""How the type of a provenance begins; its version follows."""
_ATTESTATION = "attestation-manifest"
"""How BuildKit marks them (docs/attestations/attestation-storage.md in moby/buildkit)."""


def attested_provenance(read: Read, metadata: Mapping[str, object]) -> dict[str, object]:
    """The predicate under buildx's key, of several platforms each under one of its own; empty where there is none.

    Args:
        read: gives the blob with a digest; OSError where there is none.
        metadata: BuildKit's, of that solve.
    """
    import json  # noqa: PLC0415  # only where there are attestations

    def document(descriptor: Mapping[str, Any]) -> dict[str, Any]:
        return dict(json.loads(read(descriptor["digest"])))

    given = metadata.get("containerimage.descriptor")
    try:
        attested = list(attestations_of(document(given), document)) if isinstance(given, dict) else []
        found = {where: statement["predicate"] for where, kind, statement in attested if kind.startswith(PROVENANCE)}
    except (OSError, ValueError, LookupError):
        return {}  # collected meanwhile, or of another form: then the metadata are BuildKit's alone
    if len(found) == 1:
        (predicate,) = found.values()
        return {_KEY: predicate}
    return {f"{_KEY}/{platform}": predicate for platform, predicate in found.items()}


def attestations_of(index: Mapping[str, Any], document: Document) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Platform, type and in-toto statement of each attestation that an index lists. LookupError for another form.

    Args:
        index: the index.
        document: gives the JSON that a descriptor names.
    """
    listed = index.get("manifests") or ()
    platforms = {one["digest"]: _platform(one.get("platform") or {}) for one in listed}
    for one in listed:
        annotations = one.get("annotations") or {}
        if annotations.get("vnd.docker.reference.type") != _ATTESTATION:
            continue
        platform = platforms.get(annotations.get("vnd.docker.reference.digest"), "")
        for layer in document(one)["layers"]:
            kind = (layer.get("annotations") or {}).get("in-toto.io/predicate-type", "")
            if kind:
                yield platform, kind, document(layer)


def _platform(given: Mapping[str, str]) -> str:
    return "/".join(given[key] for key in ("os", "architecture", "variant") if given.get(key))
