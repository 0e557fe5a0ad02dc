"""`tar` and `local`: the root file system alone, as docker buildx's outputs of these names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ocibuild_core.errors import ExportError, UsageError
from ocibuild_core.exporters.archive import main_archive
from ocibuild_core.exporting import Exporter
from ocibuild_core.options import Option, OptionType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocibuild_core.export_records import Artifact, BuildOutput, ExportPlan, ExportRequest, ExportResults

_MARK = "user.ocibuild.made"
"""On a directory that an earlier build made, so that this one may replace it."""


class TarExporter(Exporter):
    """Writes one tar of the flat root file system, by BuildKit itself."""

    name = "tar"
    summary = "Root file system in a tar"
    options = (Option(name="dest", type=OptionType.PATH, help="File to write"),)

    def plan(self, request: ExportRequest) -> ExportPlan:
        """See `Exporter.plan`."""
        from ocibuild_core.export_records import ExportPlan  # noqa: PLC0415  # see `exporters`

        return ExportPlan(outputs=(self._output(),), destinations=(_destination(request, self.name),))

    def check(self, request: ExportRequest) -> None:
        """See `Exporter.check`."""
        from ocibuild_core.exporters.files import refuse_directory  # noqa: PLC0415  # see `exporters`

        refuse_directory(_destination(request, self.name))

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        from ocibuild_core.export_records import Artifact  # noqa: PLC0415  # see `exporters`

        made = results.files[self._output()]
        place = _destination(request, self.name)
        return [Artifact(source=made, destination=place, description="root file system, tar")]

    def _output(self) -> BuildOutput:
        from ocibuild_core.export_records import BuildOutput  # noqa: PLC0415  # see `exporters`

        return BuildOutput(type="tar")


class LocalExporter(Exporter):
    """Writes the root file system into a directory; of several platforms each into one of its own.

    Unpacked from the archive, not exported by BuildKit: that loses owners, and has no end for large trees.
    """

    name = "local"
    summary = "Root file system in a directory"
    options = (Option(name="dest", type=OptionType.PATH, help="Directory to write; what an earlier build made goes"),)

    def plan(self, request: ExportRequest) -> ExportPlan:
        """See `Exporter.plan`."""
        from ocibuild_core.export_records import ExportPlan  # noqa: PLC0415  # see `exporters`

        return ExportPlan(outputs=(main_archive(request),), destinations=(_destination(request, self.name),))

    def check(self, request: ExportRequest) -> None:
        """See `Exporter.check`."""
        _refuse_foreign(_destination(request, self.name))

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        from ocibuild_core.export_records import Artifact  # noqa: PLC0415  # see `exporters`
        from ocibuild_core.exporters.unpacking import unpack_for  # noqa: PLC0415

        place = _destination(request, self.name)
        _refuse_foreign(place)
        archive, made = results.files[main_archive(request)], results.staging / "tree"
        trees: list[tuple[str | None, Path]] = [(None, made)]
        if len(request.platforms) > 1:
            made.mkdir()
            trees = [(platform, made / platform.replace("/", "_")) for platform in request.platforms]
        unpacked = [unpack_for(self.name, request, archive, tree, platform=platform) for platform, tree in trees]
        entries = sum(one.entries for one in unpacked)
        _mark(made)
        return [Artifact(source=made, destination=place, description=f"root file system, {entries} entries")]


def _destination(request: ExportRequest, name: str) -> Path:
    chosen = request.options.path("dest")
    if chosen is None:
        raise UsageError(f"the output {name!r} has no destination", do=f"write --output type={name},dest=PATH")
    return chosen.absolute()


def _refuse_foreign(place: Path) -> None:
    """Raise ExportError when something would be replaced that no build has made."""
    if place.is_dir() and any(place.iterdir()) and not _is_marked(place):
        raise ExportError(
            f"cannot replace {place}",
            why="there are files in it, and nothing shows that an earlier build made them",
            do="name a directory that is empty or not there yet, or remove this one",
        )


def _is_marked(place: Path) -> bool:
    try:
        return bool(os.getxattr(place, _MARK))
    except OSError:
        return False


def _mark(made: Path) -> None:
    try:
        os.setxattr(made, _MARK, b"1")
    except OSError:
        return  # a file system without such attributes: the next build asks for an empty directory
