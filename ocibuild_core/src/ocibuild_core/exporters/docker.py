"""`docker`: a docker-format archive, which `docker load`, skopeo and Concourse's registry-image resource read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.exporters.archive import docker_archive
from ocibuild_core.exporters.image_attributes import ANNOTATION, IMAGE_OPTIONS, NAME
from ocibuild_core.exporting import Exporter
from ocibuild_core.options import Option, OptionType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocibuild_core.export_records import Artifact, ExportPlan, ExportRequest, ExportResults


class DockerExporter(Exporter):
    """Writes `image.tar`."""

    name = "docker"
    summary = "Docker-format archive"
    options = (
        Option(name="dest", type=OptionType.PATH, help="File to write; image.tar in the output directory by default"),
        NAME,
        *IMAGE_OPTIONS,
        ANNOTATION,
    )

    def plan(self, request: ExportRequest) -> ExportPlan:
        """See `Exporter.plan`."""
        from ocibuild_core.export_records import ExportPlan  # noqa: PLC0415  # see `exporters`

        return ExportPlan(outputs=(docker_archive(request),), destinations=(self._destination(request),))

    def check(self, request: ExportRequest) -> None:
        """See `Exporter.check`."""
        from ocibuild_core.exporters.files import refuse_directory  # noqa: PLC0415  # see `exporters`

        refuse_directory(self._destination(request))

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        from ocibuild_core.export_records import Artifact  # noqa: PLC0415  # see `exporters`

        return [
            Artifact(
                source=results.files[docker_archive(request)],
                destination=self._destination(request),
                description="docker archive",
            )
        ]

    def _destination(self, request: ExportRequest) -> Path:
        chosen = request.options.path("dest")
        return chosen.absolute() if chosen else request.directory / "image.tar"
