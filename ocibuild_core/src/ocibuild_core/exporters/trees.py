"""`tar` and `local`: the root file system alone, as docker buildx's outputs of these names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ocibuild_core.errors import ExportError, UsageError
from ocibuild_core.exporters.archive import main_archive
from ocibuild_core.exporters.image_attributes import told_attributes
from ocibuild_core.exporting import Exporter
from ocibuild_core.options import Option, OptionType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocibuild_core.export_records import Artifact, BuildOutput, ExportPlan, ExportRequest, ExportResults

_MARK = "user.ocibuild.made"
"""On a directory that an earlier build made, so that this one may replace it."""
_TREE_OPTIONS = (
    Option(
        name="platform-split",
        type=OptionType.BOOL,
        help="Whether each platform has a directory of its own; by default where there are several",
    ),
    Option(name="attestation-prefix", help="How the names of attestations begin"),
)


class TarExporter(Exporter):
    """Writes one tar of the flat root file system, by BuildKit itself."""

    name = "tar"
    summary = "Root file system in a tar"
    options = (Option(name="dest", type=OptionType.PATH, help="File to write"), *_TREE_OPTIONS)

    def plan(self, request: ExportRequest) -> ExportPlan:
        """See `Exporter.plan`."""
        from ocibuild_core.export_records import ExportPlan  # noqa: PLC0415  # see `exporters`

        return ExportPlan(outputs=(self._output(request),), destinations=(_destination(request, self.name),))

    def check(self, request: ExportRequest) -> None:
        """See `Exporter.check`."""
        from ocibuild_core.exporters.files import refuse_directory  # noqa: PLC0415  # see `exporters`

        refuse_directory(_destination(request, self.name))

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        from ocibuild_core.export_records import Artifact  # noqa: PLC0415  # see `exporters`

        made = results.files[self._output(request)]
        place = _destination(request, self.name)
        return [Artifact(source=made, destination=place, description="root file system, tar")]

    def _output(self, request: ExportRequest) -> BuildOutput:
        from ocibuild_core.export_records import BuildOutput  # noqa: PLC0415  # see `exporters`

        return BuildOutput(type="tar", attributes=told_attributes(request.options, _TREE_OPTIONS))


class LocalExporter(Exporter):
    """Writes the root file system into a directory; of several platforms each into one of its own.

    Unpacked from the archive, not exported by BuildKit: that loses owners, and has no end for large trees.
    """

    name = "local"
    summary = "Root file system in a directory"
    options = (
        Option(name="dest", type=OptionType.PATH, help="Directory to write; what an earlier build made goes"),
        *_TREE_OPTIONS,
    )

    def plan(self, request: ExportRequest) -> ExportPlan:
        """See `Exporter.plan`."""
        from ocibuild_core.export_records import ExportPlan  # noqa: PLC0415  # see `exporters`

        _subdirectories(request)
        return ExportPlan(outputs=(main_archive(request),), destinations=(_destination(request, self.name),))

    def check(self, request: ExportRequest) -> None:
        """See `Exporter.check`."""
        from ocibuild_core.exporters.files import refuse_file  # noqa: PLC0415  # see `exporters`

        place = _destination(request, self.name)
        refuse_file(place)
        _refuse_foreign(place)

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        from ocibuild_core.export_records import Artifact  # noqa: PLC0415  # see `exporters`

        place = _destination(request, self.name)
        _refuse_foreign(place)
        made = results.staging / "tree"
        entries = self._unpack(request, results.files[main_archive(request)], made)
        _mark(made)
        return [Artifact(source=made, destination=place, description=f"root file system, {entries} entries")]

    def _unpack(self, request: ExportRequest, archive: Path, made: Path) -> int:
        """Make the tree; returns how many entries the images had."""
        from ocibuild_core.exporters.unpacking import unpack_for  # noqa: PLC0415  # see `exporters`

        directories = _subdirectories(request)
        if any(directories.values()):
            made.mkdir()
            made.chmod(0o755)  # whatever the umask, as each tree
        entries = 0
        for platform, directory in directories.items():
            is_merged = not directory and made.exists()
            tree = made.with_name("next") if is_merged else made / directory
            entries += unpack_for(self.name, request, archive, tree, platform=platform).entries
            if request.output_oci:
                from ocibuild_core.exporters.attestations import write_attestations  # noqa: PLC0415  # few have any

                write_attestations(request, archive, tree, platform)
            if is_merged:
                _merge(tree, made)
        return entries


def _subdirectories(request: ExportRequest) -> dict[str | None, str]:
    """By platform, the directory of its tree in the output; None is the only one. Raises UsageError."""
    split = request.options.get("platform-split")
    if split and not request.platforms:
        raise UsageError(
            "the output 'local' splits platforms, and none is named", do="name them: --platform linux/arm64"
        )
    if split or (split is None and len(request.platforms) > 1):
        return {platform: platform.replace("/", "_") for platform in request.platforms}
    return dict.fromkeys(request.platforms or (None,), "")


def _merge(tree: Path, into: Path) -> None:
    """Move what is in a tree into another. Raises ExportError where both have something that is no directory."""
    for entry in list(tree.iterdir()):
        there = into / entry.name
        if not os.path.lexists(there):
            entry.rename(there)
        elif entry.is_dir() and there.is_dir() and not entry.is_symlink() and not there.is_symlink():
            _merge(entry, there)
        else:
            raise ExportError(
                f"two platforms have {entry.name}",
                why="platform-split=false puts the files of all platforms into one directory",
                do="give them different names, or leave platform-split=false out",
            )


def _destination(request: ExportRequest, name: str) -> Path:
    chosen = request.options.path("dest")
    if chosen is None:
        raise UsageError(f"the output {name!r} has no destination", do=f"write --output type={name},dest=PATH")
    return chosen.absolute()


def _refuse_foreign(place: Path) -> None:
    """Raise ExportError when something would be replaced that no build has made."""
    from ocibuild_core.mount_points import holds_something  # noqa: PLC0415  # see `exporters`

    if holds_something(place) and not _is_marked(place):
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
