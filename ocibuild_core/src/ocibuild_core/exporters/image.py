"""`image`: docker buildx's name for an image in the engine, which `push=true` sends to its registries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.exporters.registry import RegistryExporter, stored_attributes
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
        from ocibuild_core.outputs import names_in_full  # noqa: PLC0415

        # An engine that keeps images, as containerd's worker does, keeps it under its names.
        named = ",".join(names_in_full(request.options.texts("name") or request.tags, "name="))
        attributes = {**({"name": named} if named else {}), **stored_attributes(request.options)}
        return ExportPlan(outputs=(BuildOutput(type="image", attributes=attributes, has_file=False),))

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        if request.options.flag("push"):
            return super().finish(request, results)
        from ocibuild_core.export_records import Artifact  # noqa: PLC0415  # see `exporters`

        digest = str(results.metadata.get("containerimage.digest", "an image"))
        return [Artifact(source=None, destination=digest, description="in the engine's cache alone")]
