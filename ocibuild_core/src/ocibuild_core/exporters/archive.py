"""The archives that BuildKit makes: which one a build asks for, and what is read from it.

Both kinds are an OCI image layout in a tar file
(https://github.com/opencontainers/image-spec/blob/main/image-layout.md); docker's has a `manifest.json` besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocibuild_core.errors import ExportError
from ocibuild_core.exporters.image_attributes import archive_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ocibuild_core.export_records import BuildOutput, ExportRequest


def docker_archive(request: ExportRequest) -> BuildOutput:
    """What BuildKit has to make for the exporter `docker`."""
    return _archive("docker", request, archive_attributes(request.options))


def oci_archive(request: ExportRequest) -> BuildOutput:
    """What BuildKit has to make for the exporter `oci`."""
    return _archive("oci", request, archive_attributes(request.options))


def main_archive(request: ExportRequest) -> BuildOutput:
    """The archive that the target's output directory gets: the one that a digest or a file system is read from."""
    kind = "oci" if request.output_oci else "docker"
    return _archive(kind, request, request.archives.get(kind, {}))


def _archive(kind: str, request: ExportRequest, attributes: Mapping[str, str]) -> BuildOutput:
    from ocibuild_core.export_records import BuildOutput  # noqa: PLC0415  # see `exporters`

    # All exporters of a target plan equal outputs, names included, so that one archive serves them all.
    names = {"name": ",".join(request.tags)} if request.tags else {}
    return BuildOutput(type=kind, attributes={**names, **attributes})


def config_digest(archive: Path) -> str:
    """`sha256:…` of the configuration in a docker archive.

    The archive's `manifest.json` names the configuration's file (https://github.com/moby/docker-image-spec); BuildKit
    names that file by its digest. Raises ExportError when the archive is not of that form.
    """
    config = _read(archive, "manifest.json", lambda manifest: manifest[0]["Config"])
    algorithm, _, value = config.removeprefix("blobs/").partition("/")
    if algorithm != "sha256" or not value:
        raise ExportError(f"cannot read the digest from {archive.name}", why=f"unexpected name {config!r}")
    return f"sha256:{value}"


def manifest_digest(archive: Path) -> str:
    """`sha256:…` of the first manifest that the archive's `index.json` lists: the image's, or the index of several.

    Raises ExportError when the archive is not of that form.
    """
    digest = _read(archive, "index.json", lambda index: index["manifests"][0]["digest"])
    if not digest.startswith("sha256:"):
        raise ExportError(f"cannot read the digest from {archive.name}", why=f"unexpected digest {digest!r}")
    return digest


def _read(archive: Path, name: str, take: Any) -> str:  # noqa: ANN401  # JSON goes in
    """A text out of a JSON member."""
    import json  # noqa: PLC0415  # `--help` loads every exporter and has no need of it
    import tarfile  # noqa: PLC0415

    try:
        with tarfile.open(archive, mode="r:") as tar:
            member = tar.extractfile(name)
            found = take(json.load(member)) if member else None
    except (tarfile.TarError, KeyError, ValueError, IndexError, TypeError, OSError) as error:
        raise ExportError(f"cannot read the digest from {archive.name}", why=str(error)) from None
    if not isinstance(found, str):
        raise ExportError(f"cannot read the digest from {archive.name}", why=f"its {name} says {found!r}")
    return found
