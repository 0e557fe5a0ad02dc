"""`load`: the image goes into the docker or podman of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.errors import ExportError
from ocibuild_core.exporters.archive import main_archive
from ocibuild_core.exporting import Exporter
from ocibuild_core.options import Option, OptionType

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    from ocibuild_core.export_records import Artifact, ExportPlan, ExportRequest, ExportResults

_PROGRAMS = ("docker", "podman")
_LOADED = r"(?m)^Loaded image[^:\n]*: (.+)$"
"""A line for each name, or for the id of an image without one; in podman before 4 one for all names."""
_NO_CONNECTION = r"(?i)(?:cannot|unable to|failed to) connect to|error during connect"
"""What docker and podman say of a daemon that does not answer."""


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
            raise _failure(program, ended)
        names = _loaded(ended.stdout.decode(errors="replace"))
        if not names:
            names = main_archive(request).attributes.get("name", "an image without a name").split(",")
        return [Artifact(source=None, destination=name, description=f"loaded by {program}") for name in names]


def _loaded(said: str) -> list[str]:
    """What the program calls the image, which need not be what the archive does: podman's `app` is `localhost/app`."""
    import re  # noqa: PLC0415  # `--help` loads every exporter and has no need of it

    return list(dict.fromkeys(name.strip() for names in re.findall(_LOADED, said) for name in names.split(",")))


def _failure(program: Path, ended: subprocess.CompletedProcess[bytes]) -> ExportError:
    import re  # noqa: PLC0415  # `--help` loads every exporter and has no need of it

    from ocibuild_core.engine.solve import signal_name  # noqa: PLC0415  # only for a failure

    why = [ended.stderr.decode(errors="replace").strip()]
    if ended.returncode < 0:
        why.append(f"it was ended by {signal_name(-ended.returncode)}")
    elif not why[0]:
        why.append(f"it ended with {ended.returncode}")
    do = ""
    if re.search(_NO_CONNECTION, why[0]):
        other = "docker" if program.name == "podman" else "podman"
        do = f"start that program's daemon, or choose the other one: --output load,program={other}"
    return ExportError(f"{program} load failed", why="\n".join(filter(None, why)), do=do)


def _find(request: ExportRequest) -> Path:
    from ocibuild_core.engine.find import find_on_path  # noqa: PLC0415  # see `exporters`

    chosen = request.options.text("program")
    wanted = (chosen,) if chosen else _PROGRAMS
    path = request.env.get("PATH", "")
    found = next((program for name in wanted if (program := find_on_path(name, path))), None)
    if not found:
        raise ExportError(f"cannot load the image: there is no {' and no '.join(wanted)} on PATH")
    return found
