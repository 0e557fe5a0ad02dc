"""`digest`: the digest of the image in a file of its own, for pipelines that compare or pin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.errors import ExportError
from ocibuild_core.exporters.docker import docker_archive
from ocibuild_core.exporting import Exporter
from ocibuild_core.options import Option, OptionType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocibuild_core.export_records import Artifact, ExportPlan, ExportRequest, ExportResults


class DigestExporter(Exporter):
    """Writes `digest`: of a docker archive, the digest of the image's configuration."""

    name = "digest"
    summary = "Digest of the image, as text without a newline"
    options = (
        Option(name="dest", type=OptionType.PATH, help="File to write; digest in the output directory by default"),
    )

    def plan(self, request: ExportRequest) -> ExportPlan:
        """See `Exporter.plan`."""
        from ocibuild_core.export_records import ExportPlan  # noqa: PLC0415  # see `exporters`

        return ExportPlan(outputs=(docker_archive(),), destinations=(self._destination(request),))

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        from ocibuild_core.export_records import Artifact  # noqa: PLC0415  # see `exporters`

        written = results.staging / "digest"
        written.write_text(config_digest(results.files[docker_archive()]), encoding="ascii")
        return [Artifact(source=written, destination=self._destination(request), description="config digest")]

    def _destination(self, request: ExportRequest) -> Path:
        chosen = request.options.path("dest")
        return chosen.absolute() if chosen else request.directory / "digest"


def config_digest(archive: Path) -> str:
    """`sha256:…` of the configuration in a docker archive.

    The archive's `manifest.json` names the configuration's file (https://github.com/moby/docker-image-spec); BuildKit
    names that file by its digest. Raises ExportError when the archive is not of that form.
    """
    import json  # noqa: PLC0415  # `--help` loads every exporter and needs neither
    import tarfile  # noqa: PLC0415

    try:
        with tarfile.open(archive, mode="r:") as tar:
            manifest = tar.extractfile("manifest.json")
            config = json.load(manifest)[0]["Config"] if manifest else ""
    except (tarfile.TarError, KeyError, ValueError, IndexError, TypeError, OSError) as error:
        raise ExportError(f"cannot read the digest from {archive.name}", why=str(error)) from None
    algorithm, _, value = config.removeprefix("blobs/").partition("/")
    if algorithm != "sha256" or not value:
        raise ExportError(f"cannot read the digest from {archive.name}", why=f"unexpected name {config!r}")
    return f"sha256:{value}"
