"""The exporter: plans a docker archive, reads it, writes the bill of materials."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from ocibuild_core.plugin import Artifact, BuildOutput, Exporter, ExportPlan, Option, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocibuild_core.plugin import ExportRequest, ExportResults

# Equal to what the built-in exporter `docker` plans, so that both share one archive.
_ARCHIVE = BuildOutput(type="docker")


class CycloneDXExporter(Exporter):
    """Writes a bill of materials next to the image."""

    name = "cyclonedx"
    summary = "Packages of the image as a CycloneDX bill of materials"
    options = (Option(name="file", help="File in the output directory", default="sbom.cdx.json"),)

    def plan(self, request: ExportRequest) -> ExportPlan:
        """See `Exporter.plan`."""
        return ExportPlan(outputs=(_ARCHIVE,), destinations=(_destination(request),))

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        # Only a build that asks for it pays for json, tarfile and the parsers.
        from ocibuild_cyclonedx.document import write_document

        written = results.staging / "sbom.json"
        count = write_document(results.files[_ARCHIVE], written)
        request.log.info("%d packages in the bill of materials", count)
        return [Artifact(source=written, destination=_destination(request), description=f"CycloneDX, {count} packages")]


def _destination(request: ExportRequest) -> Path:
    file = request.options.text("file") or ""
    if not file or PurePath(file).name != file:
        raise UsageError(
            f"{request.options.origin('file')}={file!r}: a file name is expected, not a path",
            do="give the name alone: it goes into the output directory",
        )
    return request.directory / file
