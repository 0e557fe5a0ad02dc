"""`metadata`: what BuildKit says of the build, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.exporting import Exporter
from ocibuild_core.options import Option, OptionType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocibuild_core.export_records import Artifact, ExportPlan, ExportRequest, ExportResults


class MetadataExporter(Exporter):
    """Writes `build-metadata.json`: BuildKit's metadata file (`buildctl build --metadata-file`)."""

    name = "metadata"
    summary = "What BuildKit says of the build, as JSON"
    options = (
        Option(
            name="dest",
            type=OptionType.PATH,
            help="File to write; build-metadata.json in the output directory by default",
        ),
    )

    def plan(self, request: ExportRequest) -> ExportPlan:
        """See `Exporter.plan`."""
        from ocibuild_core.export_records import ExportPlan  # noqa: PLC0415  # see `exporters`

        return ExportPlan(destinations=(self._destination(request),))

    def check(self, request: ExportRequest) -> None:
        """See `Exporter.check`."""
        from ocibuild_core.exporters.files import refuse_directory  # noqa: PLC0415  # see `exporters`

        refuse_directory(self._destination(request))

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        import json  # noqa: PLC0415  # `--help` loads every exporter and has no need of it

        from ocibuild_core.export_records import Artifact  # noqa: PLC0415  # see `exporters`
        from ocibuild_core.exporters.files import write_text  # noqa: PLC0415

        written = results.staging / "metadata.json"
        write_text(written, json.dumps(dict(results.metadata), indent=2) + "\n")
        return [Artifact(source=written, destination=self._destination(request), description="build metadata")]

    def _destination(self, request: ExportRequest) -> Path:
        chosen = request.options.path("dest")
        return chosen.absolute() if chosen else request.directory / "build-metadata.json"
