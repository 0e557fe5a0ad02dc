"""`image`: docker buildx's name for an image in the engine, which `push=true` sends to its registries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.exporters.image_attributes import image_attributes
from ocibuild_core.exporters.registry import RegistryExporter
from ocibuild_core.options import Option, OptionType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocibuild_core.export_records import Artifact, ExportPlan, ExportRequest, ExportResults


class ImageExporter(RegistryExporter):
    """As `registry`, but it pushes only when told so."""

    name = "image"
    summary = "Image in the engine's cache; push=true pushes it, as registry does"
    options = (
        Option(name="push", type=OptionType.BOOL, default=False, help="Push the image"),
        *RegistryExporter.options,
    )

    def plan(self, request: ExportRequest) -> ExportPlan:
        """See `Exporter.plan`."""
        if request.options.flag("push"):
            return super().plan(request)
        from ocibuild_core.export_records import BuildOutput, ExportPlan  # noqa: PLC0415  # see `exporters`

        output = BuildOutput(type="image", attributes=image_attributes(request.options), has_file=False)
        return ExportPlan(outputs=(output,))

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        if request.options.flag("push"):
            return super().finish(request, results)
        from ocibuild_core.export_records import Artifact  # noqa: PLC0415  # see `exporters`

        digest = str(results.metadata.get("containerimage.digest", "an image"))
        return [Artifact(source=None, destination=digest, description="in the engine's cache alone")]
