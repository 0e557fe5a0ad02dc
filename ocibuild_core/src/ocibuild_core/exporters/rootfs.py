"""`rootfs`: the image's root file system in a directory, and what of its configuration a program in there needs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ocibuild_core.errors import ExportError, UsageError
from ocibuild_core.exporters.archive import main_archive
from ocibuild_core.exporting import Exporter
from ocibuild_core.options import Option, OptionType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ocibuild_core.export_records import Artifact, ExportPlan, ExportRequest, ExportResults

_HTML = {char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
_SURROGATES = "[\ud800-\udfff]"


class RootfsExporter(Exporter):
    """Writes `rootfs/` and `metadata.json`."""

    name = "rootfs"
    summary = "Root file system in a directory, with environment and user beside it"
    options = (
        Option(
            name="dest",
            type=OptionType.PATH,
            help="Directory that gets rootfs/ and metadata.json; the output directory by default",
        ),
        Option(name="platform", help="Which one to unpack, when several are built"),
    )

    def plan(self, request: ExportRequest) -> ExportPlan:
        """See `Exporter.plan`."""
        from ocibuild_core.export_records import ExportPlan  # noqa: PLC0415  # see `exporters`

        _check_platform(request)
        return ExportPlan(outputs=(main_archive(request),), destinations=self._destinations(request))

    def check(self, request: ExportRequest) -> None:
        """See `Exporter.check`."""
        from ocibuild_core.exporters.files import refuse_directory, refuse_file  # noqa: PLC0415  # see `exporters`

        rootfs, metadata = self._destinations(request)
        refuse_file(rootfs)
        refuse_directory(metadata)
        _refuse_foreign(rootfs, metadata)

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        from ocibuild_core.export_records import Artifact  # noqa: PLC0415  # see `exporters`
        from ocibuild_core.exporters.files import write_text  # noqa: PLC0415
        from ocibuild_core.exporters.unpacking import unpack_for  # noqa: PLC0415

        rootfs, metadata = self._destinations(request)
        _refuse_foreign(rootfs, metadata)
        archive, platform = results.files[main_archive(request)], request.options.text("platform")
        made = unpack_for(self.name, request, archive, results.staging / "rootfs", platform=platform)
        write_text(results.staging / "metadata.json", metadata_text(made.config))
        # metadata.json goes first: a kill in between must not leave a directory that looks like somebody else's.
        return [
            Artifact(source=results.staging / "metadata.json", destination=metadata, description="environment, user"),
            Artifact(
                source=results.staging / "rootfs",
                destination=rootfs,
                description=f"root file system, {made.entries} entries",
            ),
        ]

    def _destinations(self, request: ExportRequest) -> tuple[Path, Path]:
        chosen = request.options.path("dest")
        directory = chosen.absolute() if chosen else request.directory
        return directory / "rootfs", directory / "metadata.json"


def _check_platform(request: ExportRequest) -> None:
    from ocibuild_core.platforms import normal  # noqa: PLC0415  # see `exporters`

    chosen, built = request.options.text("platform"), request.platforms
    do = f"choose one with --output rootfs,platform={built[0]} or ROOTFS_PLATFORM" if built else ""
    if chosen and built and normal(chosen) not in map(normal, built):
        raise UsageError(f"rootfs: the platform {chosen} is not built", why=f"built are {', '.join(built)}", do=do)
    if not chosen and len(built) > 1:
        raise UsageError(f"rootfs: which platform of {', '.join(built)}?", why="a file system holds one", do=do)


def _refuse_foreign(rootfs: Path, metadata: Path) -> None:
    """Raise ExportError when what would be replaced was not made by this exporter: sources may be called so, too."""
    from ocibuild_core.mount_points import holds_something, is_unfinished  # noqa: PLC0415  # see `exporters`

    if _is_ours(metadata) or is_unfinished(rootfs):
        return
    if holds_something(rootfs):
        place, why = rootfs, f"there are files in it, and no {metadata.name} shows that an earlier build made them"
    elif os.path.lexists(metadata):
        place, why = metadata, "it holds something else than environment and user, so no earlier build made it"
    else:
        return
    raise ExportError(
        f"cannot replace {place}", why=why, do="remove it, or write elsewhere: --output rootfs,dest=DIRECTORY"
    )


def _is_ours(metadata: Path) -> bool:
    import json  # noqa: PLC0415  # see `exporters`

    try:
        found = json.loads(metadata.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.keys() == {"env", "user"}


def metadata_text(config: Mapping[str, Any]) -> str:
    """Environment and user of an image's configuration, as Concourse's task writes them: Go's JSON, one line.

    Go escapes `<`, `>`, `&`, U+2028 and U+2029 (https://pkg.go.dev/encoding/json#HTMLEscape), and half of a surrogate
    pair is U+FFFD to it. Raises ExportError when the configuration is none.
    """
    import json  # noqa: PLC0415  # see `exporters`
    import re  # noqa: PLC0415

    section = config.get("config")
    section = {} if section is None else section
    env, user = (section.get("Env"), section.get("User", "")) if isinstance(section, dict) else (0, 0)
    if not isinstance(user, str) or not (env is None or _is_list_of_texts(env)):
        raise ExportError("cannot read environment and user", why="the image's configuration has another form")
    text = json.dumps({"env": env, "user": user}, ensure_ascii=False, separators=(",", ":"))
    return "".join(_HTML.get(char, char) for char in re.sub(_SURROGATES, "\ufffd", text)) + "\n"


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
