"""`oci`: an OCI archive, and the same as a directory, which skopeo, crane, podman and containerd read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.errors import ExportError, UsageError
from ocibuild_core.exporters.archive import oci_archive
from ocibuild_core.exporters.image_attributes import ANNOTATION, IMAGE_OPTIONS, NAME
from ocibuild_core.exporting import Exporter
from ocibuild_core.options import Option, OptionType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocibuild_core.export_records import Artifact, ExportPlan, ExportRequest, ExportResults


class OciExporter(Exporter):
    """Writes `image.tar` and the layout directory `image`; with `dest` one of the two."""

    name = "oci"
    summary = "OCI archive and layout directory"
    options = (
        Option(
            name="dest",
            type=OptionType.PATH,
            help="Archive to write; image.tar and the directory image in the output directory by default",
        ),
        Option(
            name="tar", type=OptionType.BOOL, default=True, help="false makes dest a layout directory, not an archive"
        ),
        NAME,
        *IMAGE_OPTIONS,
        ANNOTATION,
    )

    def plan(self, request: ExportRequest) -> ExportPlan:
        """See `Exporter.plan`."""
        from ocibuild_core.export_records import ExportPlan  # noqa: PLC0415  # see `exporters`

        places = (self._archive(request), self._layout(request))
        return ExportPlan(
            outputs=(oci_archive(request),), destinations=tuple(path for path in places if path is not None)
        )

    def check(self, request: ExportRequest) -> None:
        """See `Exporter.check`."""
        from ocibuild_core.exporters.files import refuse_directory, refuse_file  # noqa: PLC0415  # see `exporters`

        if archive := self._archive(request):
            refuse_directory(archive)
        if layout := self._layout(request):
            refuse_file(layout)
            _refuse_foreign(layout)

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        from ocibuild_core.export_records import Artifact  # noqa: PLC0415  # see `exporters`

        made = results.files[oci_archive(request)]
        artifacts = []
        if layout := self._layout(request):
            from ocibuild_core.exporters.layout import unpack_layout  # noqa: PLC0415

            _refuse_foreign(layout)
            unpack_layout(made, results.staging / "layout")
            artifacts.append(
                Artifact(source=results.staging / "layout", destination=layout, description="OCI layout directory")
            )
        if archive := self._archive(request):
            artifacts.append(Artifact(source=made, destination=archive, description="OCI archive"))
        return artifacts

    def _archive(self, request: ExportRequest) -> Path | None:
        if not request.options.flag("tar"):
            return None
        chosen = request.options.path("dest")
        return chosen.absolute() if chosen else request.directory / "image.tar"

    def _layout(self, request: ExportRequest) -> Path | None:
        chosen = request.options.path("dest")
        if request.options.flag("tar"):
            return None if chosen else request.directory / "image"
        if not chosen:
            raise UsageError("the output 'oci' has no destination", do="write --output oci,tar=false,dest=DIRECTORY")
        return chosen.absolute()


def _refuse_foreign(layout: Path) -> None:
    """The directory is replaced as a whole, so it may hold an older layout, never something else of the user's."""
    from ocibuild_core.mount_points import holds_something  # noqa: PLC0415  # see `exporters`

    if holds_something(layout) and not (layout / "oci-layout").is_file():
        raise ExportError(
            f"{layout} is not empty and holds no OCI layout", why="it would be replaced", do="choose another dest="
        )
