"""`digest` and `manifest-digest`: a digest of the image in a file of its own, for pipelines that compare or pin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.exporters.archive import config_digest, main_archive, manifest_digest
from ocibuild_core.exporting import Exporter
from ocibuild_core.options import Option, OptionType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocibuild_core.export_records import Artifact, ExportPlan, ExportRequest, ExportResults


class DigestExporter(Exporter):
    """Writes `digest`: of a docker archive the configuration's, of an OCI archive that of its first manifest.

    Each artifact has digests of its own: they are read from the archive, not from what BuildKit says of the build.
    """

    name = "digest"
    summary = "Digest of the image, as text without a newline"
    options = (
        Option(name="dest", type=OptionType.PATH, help="File to write; digest in the output directory by default"),
    )

    def plan(self, request: ExportRequest) -> ExportPlan:
        """See `Exporter.plan`."""
        from ocibuild_core.export_records import ExportPlan  # noqa: PLC0415  # see `exporters`

        return ExportPlan(outputs=(main_archive(request),), destinations=(self._destination(request),))

    def check(self, request: ExportRequest) -> None:
        """See `Exporter.check`."""
        from ocibuild_core.exporters.files import refuse_directory  # noqa: PLC0415  # see `exporters`

        refuse_directory(self._destination(request))

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        from ocibuild_core.export_records import Artifact  # noqa: PLC0415  # see `exporters`
        from ocibuild_core.exporters.files import write_text  # noqa: PLC0415

        digest, description = self._digest(request, results.files[main_archive(request)])
        written = results.staging / self.name
        write_text(written, digest)
        return [Artifact(source=written, destination=self._destination(request), description=description)]

    def _digest(self, request: ExportRequest, archive: Path) -> tuple[str, str]:
        """The digest and what it is of."""
        if request.output_oci:
            return manifest_digest(archive), "manifest digest"
        return config_digest(archive), "config digest"

    def _destination(self, request: ExportRequest) -> Path:
        chosen = request.options.path("dest")
        return chosen.absolute() if chosen else request.directory / self.name


class ManifestDigestExporter(DigestExporter):
    """Writes `manifest-digest`: that of the archive's first manifest, whatever kind of archive it is."""

    name = "manifest-digest"
    summary = "Digest of the image's manifest, as text without a newline"
    options = (
        Option(
            name="dest", type=OptionType.PATH, help="File to write; manifest-digest in the output directory by default"
        ),
    )

    def _digest(self, request: ExportRequest, archive: Path) -> tuple[str, str]:
        del request
        return manifest_digest(archive), "manifest digest"
