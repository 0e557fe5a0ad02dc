"""The border between host and exporters, and the way from a solve's files to artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ocibuild_core.errors import USERS_WISH, ExportError, OcibuildError, PluginError, UsageError
from ocibuild_core.export_records import Artifact, ExportPlan, ExportResults
from ocibuild_core.mount_points import is_mount_point
from ocibuild_core.plugin_problems import describe, raised_at
from ocibuild_core.publish import new_directory
from ocibuild_core.records import NamedTuple
from ocibuild_core.selection import HOST_PLUGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ocibuild_core.catalog import LoadedExporter
    from ocibuild_core.export_records import BuildOutput, ExportRequest
    from ocibuild_core.plan import BuildPlan, PlannedExport
    from ocibuild_core.publish import Staging

_T = TypeVar("_T")

_DOCUMENTED = (ExportError, UsageError)
_TOUCHES_FILES = ("check", "finish")
"""Methods that the disk or the network may fail; a plan is made of the request alone."""

_IMAGES = ("docker", "image", "oci")
"""Outputs of BuildKit that make an image."""
_OF_PLACE = frozenset(
    {
        *("name", "name-canonical", "dangling-name-prefix", "push", "push-by-digest", "registry.insecure"),
        *("store", "unpack"),
    }
)
"""Attributes that say where an image goes; all others may change its digest."""
_OF_IMAGE = "containerimage."
"""How the metadata's keys begin that tell of an image."""

_DO = "look at the place that is named, its room and its permissions"


def ask_for_plan(loaded: LoadedExporter, request: ExportRequest) -> ExportPlan:
    """An exporter's plan. Raises OcibuildError; whatever else comes out of it is its plugin's fault and named so."""
    plan = _guarded(loaded, "plan", lambda: loaded.exporter.plan(request))
    if not isinstance(plan, ExportPlan):
        raise _fault(loaded, "plan", f"returned {type(plan).__name__} instead of ExportPlan")
    return plan


class StagedOutputs(NamedTuple):
    """Where BuildKit writes, beside the final names.

    Args:
        files: by output; each lies with the first exporter that planned it.
        staging: by position of the export; None for one that leaves nothing here.
        private: where such a one gets its staging directory.
    """

    files: Mapping[BuildOutput, Path]
    staging: Sequence[Path | None]
    private: Path


def stage(plan: BuildPlan, staging: Staging, private: Path) -> StagedOutputs:
    """Make the staging directories of all exports that leave something here.

    Args:
        plan: what is exported.
        staging: makes them.
        private: the build's private directory, for all others.
    """
    files: dict[BuildOutput, Path] = {}
    directories = []
    for export in plan.exports:
        places = export.plan.destinations
        anchor = places[0] if places else None
        # Only what is made in a mount point can be moved there: a whole directory is not copied.
        room = next(filter(is_mount_point, places), anchor)
        directories.append(staging.beside(room) if room else None)
        for output in export.plan.outputs:
            if output.has_file and output not in files:
                files[output] = staging.beside(anchor or _nowhere()) / "output"
    return StagedOutputs(files=files, staging=directories, private=private)


def check(plans: Sequence[BuildPlan]) -> None:
    """Let every exporter look at its places. Raises OcibuildError."""
    for export in (export for plan in plans for export in plan.exports):
        _look(export)


def _look(export: PlannedExport) -> None:
    _guarded(export.loaded, "check", lambda: export.loaded.exporter.check(export.request))


def _nowhere() -> Path:
    """For a file that leaves the machine: where it disturbs nobody, so that no output directory comes into being."""
    from tempfile import gettempdir  # noqa: PLC0415  # most outputs stay here

    return Path(gettempdir()) / "artifact"


def finish(plan: BuildPlan, staged: StagedOutputs, metadata: Mapping[str, object]) -> list[Artifact]:
    """Let every exporter finish. Raises OcibuildError; nothing has reached its final place by then."""
    known = metadata
    if _makes_several_images(plan):
        # BuildKit tells of one of them, and not of which.
        known = {key: value for key, value in metadata.items() if not key.startswith(_OF_IMAGE)}
    return [
        artifact
        for export, directory in zip(plan.exports, staged.staging, strict=True)
        for artifact in _finish_one(export, staged, directory, known if export.plan.outputs else metadata)
    ]


def _makes_several_images(plan: BuildPlan) -> bool:
    made = {
        frozenset((name, value) for name, value in output.attributes.items() if name not in _OF_PLACE)
        for output in plan.outputs
        if output.type in _IMAGES
    }
    return len(made) > 1


def _finish_one(
    export: PlannedExport, staged: StagedOutputs, directory: Path | None, metadata: Mapping[str, object]
) -> Sequence[Artifact]:
    loaded = export.loaded
    files = {output: staged.files[output] for output in export.plan.outputs if output.has_file}

    def finished() -> tuple[Artifact, ...]:
        results = ExportResults(
            staging=directory or new_directory(staged.private, "export-"), files=files, metadata=metadata
        )
        return tuple(loaded.exporter.finish(export.request, results))

    artifacts = _guarded(loaded, "finish", finished)
    for artifact in artifacts:
        if not isinstance(artifact, Artifact):
            raise _fault(loaded, "finish", f"returned {type(artifact).__name__} instead of Artifact")
        if artifact.source and artifact.destination not in export.plan.destinations:
            raise _fault(loaded, "finish", f"wants to write {artifact.destination}, which its plan does not hold")
    return artifacts


def _guarded(loaded: LoadedExporter, what: str, call: Callable[[], _T]) -> _T:
    try:
        return call()
    except USERS_WISH:
        raise
    except BaseException as error:  # the plugin boundary: SystemExit and all
        if isinstance(error, OcibuildError) and loaded.source.id == HOST_PLUGIN:
            raise
        if isinstance(error, _DOCUMENTED):
            raise _named(loaded, error) from error.__cause__
        if isinstance(error, OSError) and what in _TOUCHES_FILES:
            raise _disk_error(loaded, what, error) from error
        last = raised_at(error)
        where = f" in {Path(last.filename).name}, line {last.lineno}" if last else ""
        raise _fault(loaded, what, f"raised {describe(error)}{where}") from error


def _disk_error(loaded: LoadedExporter, what: str, error: OSError) -> ExportError:
    if loaded.source.id == HOST_PLUGIN and error.filename:
        return ExportError(f"cannot write {error.filename}", why=error.strerror or str(error), do=_DO)
    return ExportError(
        f"{loaded.source}: {what} of exporter {loaded.exporter.name!r} failed",
        why=describe(error),
        do=_DO,
    )


def _named(loaded: LoadedExporter, error: ExportError | UsageError) -> OcibuildError:
    # Of our own class: a plugin's subclass may want other arguments.
    kind = next(kind for kind in _DOCUMENTED if isinstance(error, kind))
    return kind(f"{loaded.source}: {error.summary}", why=error.why, tried=error.tried, do=error.do)


def _fault(loaded: LoadedExporter, what: str, why: str) -> PluginError:
    return PluginError(
        f"{loaded.source}: {what} of exporter {loaded.exporter.name!r} failed",
        why=why,
        do="this is a fault of the plugin: report it to its authors",
    )
