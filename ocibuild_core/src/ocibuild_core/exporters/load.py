"""`load`: the image goes into the docker or podman of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.errors import ExportError
from ocibuild_core.exporters.archive import main_archive
from ocibuild_core.exporting import Exporter
from ocibuild_core.options import Option, OptionType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocibuild_core.export_records import Artifact, ExportPlan, ExportRequest, ExportResults

_PROGRAMS = ("docker", "podman")


class LoadExporter(Exporter):
    """Pipes the archive into `docker load` or `podman load`."""

    name = "load"
    summary = "Hand the image to docker or podman on this machine"
    options = (
        Option(
            name="program",
            type=OptionType.CHOICE,
            choices=_PROGRAMS,
            help="Which one; by default docker, or podman where there is no docker",
        ),
    )

    def plan(self, request: ExportRequest) -> ExportPlan:
        """See `Exporter.plan`."""
        from ocibuild_core.export_records import ExportPlan  # noqa: PLC0415  # see `exporters`

        return ExportPlan(outputs=(main_archive(request),))

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        import subprocess  # noqa: PLC0415  # `--help` loads every exporter and has no need of it

        from ocibuild_core.export_records import Artifact  # noqa: PLC0415  # see `exporters`

        program = _find(request)
        try:
            with results.files[main_archive(request)].open("rb") as archive:
                ended = subprocess.run(
                    [program, "load"], stdin=archive, capture_output=True, env=dict(request.env), check=False
                )
        except OSError as error:
            raise ExportError(f"cannot load the image with {program}", why=error.strerror or str(error)) from None
        if ended.returncode:
            said = ended.stderr.decode(errors="replace").strip() or f"it ended with {ended.returncode}"
            raise ExportError(
                f"{program} load failed",
                why=said,
                do="start that program's daemon, or choose the other one: --output load,program=podman",
            )
        named = main_archive(request).attributes.get("name") or _loaded_id(ended.stdout.decode(errors="replace"))
        names = named.split(",")
        return [Artifact(source=None, destination=name, description=f"loaded by {program}") for name in names]


def _loaded_id(said: str) -> str:
    """What the program calls an image without a name: `Loaded image ID: …`, podman `Loaded image: …`."""
    _, _, name = said.strip().rpartition("Loaded image")[2].partition(": ")
    return name.strip() or "an image without a name"


def _find(request: ExportRequest) -> Path:
    from ocibuild_core.engine.find import find_on_path  # noqa: PLC0415  # see `exporters`

    chosen = request.options.text("program")
    wanted = (chosen,) if chosen else _PROGRAMS
    path = request.env.get("PATH", "")
    found = next((program for name in wanted if (program := find_on_path(name, path))), None)
    if not found:
        raise ExportError(f"cannot load the image: there is no {' and no '.join(wanted)} on PATH")
    return found
