"""`registry`: a push, by BuildKit itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError
from ocibuild_core.exporting import Exporter
from ocibuild_core.options import Option, OptionType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocibuild_core.export_records import Artifact, ExportPlan, ExportRequest, ExportResults


class RegistryExporter(Exporter):
    """Pushes the image under one or several names."""

    name = "registry"
    summary = "Push to registries"
    options = (
        Option(name="name", type=OptionType.LIST, help="Image reference to push to, may be given several times"),
    )

    def plan(self, request: ExportRequest) -> ExportPlan:
        """See `Exporter.plan`."""
        from ocibuild_core.export_records import BuildOutput, ExportPlan  # noqa: PLC0415  # see `exporters`
        from ocibuild_core.registry.reference import parse_reference  # noqa: PLC0415

        names = request.options.texts("name")
        if not names:
            raise UsageError("the output 'registry' has no name", do="say where to push: registry,name=HOST/REPO:TAG")
        references = ",".join(str(parse_reference(name)) for name in names)
        return ExportPlan(
            outputs=(BuildOutput(type="image", attributes={"name": references, "push": "true"}, has_file=False),)
        )

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        from ocibuild_core.export_records import Artifact  # noqa: PLC0415  # see `exporters`
        from ocibuild_core.registry.reference import parse_reference  # noqa: PLC0415

        digest = results.metadata.get("containerimage.digest")
        suffix = f"@{digest}" if digest else ""
        return [
            Artifact(source=None, destination=f"{parse_reference(name)}{suffix}", description="pushed")
            for name in request.options.texts("name")
        ]
