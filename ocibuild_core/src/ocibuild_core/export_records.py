"""What an exporter is asked and what it answers. Part of the surface in `ocibuild_core.plugin`.

Apart from `exporting`, because loading a plugin needs none of these records and each of them costs its time.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from ocibuild_core.records import Record

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping
    from pathlib import Path

    from ocibuild_core.options import OptionValues

_NOTHING: Mapping[str, str] = MappingProxyType({})
_NO_ARCHIVES: Mapping[str, Mapping[str, str]] = MappingProxyType({})


class BuildOutput(Record):
    """One output that BuildKit itself makes (`buildctl build --output`).

    Two exporters that plan equal outputs share one.

    Args:
        type: BuildKit's exporter: `docker`, `oci`, `image`, `tar`, `local`.
        attributes: its attributes, unescaped, without `dest`.
        has_file: BuildKit writes a file; False for `image` (a push).
    """

    type: str
    attributes: Mapping[str, str] = _NOTHING
    has_file: bool = True

    def __hash__(self) -> int:
        return hash((self.type, tuple(sorted(self.attributes.items())), self.has_file))


class ExportRequest(Record):
    """What an exporter is to do for one target.

    Args:
        options: the values of its own options.
        directory: the target's output directory (`image/`); absolute. It may not exist yet.
        target: the stage that is built, None for the last one.
        platforms: the platforms that were asked for; empty means the engine's own.
        output_oci: the target's archive is an OCI one.
        log: for talk.
        tags: the names that the image was given, in full (`docker.io/library/app:1`).
        env: the environment of programs that it runs: the user's, without what is the host's alone.
        archives: what the user said about the target's archives (compression, …): BuildKit's attributes by type of
            output. Who plans an archive with these shares the one that is kept.
    """

    _UNSHOWN = ("env",)

    options: OptionValues
    directory: Path
    target: str | None
    platforms: tuple[str, ...]
    output_oci: bool
    log: logging.Logger
    tags: tuple[str, ...] = ()
    env: Mapping[str, str] = _NOTHING
    archives: Mapping[str, Mapping[str, str]] = _NO_ARCHIVES


class ExportPlan(Record):
    """What an exporter needs from BuildKit, and what it will write.

    Args:
        outputs: the BuildKit outputs that it needs.
        destinations: the absolute paths that it will write, so that two exporters that want the same one are found
            before the build; empty for what leaves the machine.
    """

    outputs: tuple[BuildOutput, ...] = ()
    destinations: tuple[Path, ...] = ()


class ExportResults(Record):
    """What BuildKit made.

    Args:
        staging: an empty private directory on the file system of the first destination, or of the one that is a mount
            point; removed when the run ends. `finish` writes here alone.
        files: where the file of each planned output with `has_file` was written; outside `staging` when it is shared
            with another exporter, so read or hand it on, never change it.
        metadata: BuildKit's metadata file, parsed (`containerimage.digest`, …). Who planned an output gets nothing of
            `containerimage.` where the solve makes several images: BuildKit does not say of which it tells.
    """

    staging: Path
    files: Mapping[BuildOutput, Path]
    metadata: Mapping[str, object]


class Artifact(Record):
    """One finished file or directory.

    Args:
        source: where it was made: in the staging area, or one of BuildKit's files; None for what left the machine.
        destination: one of the planned destinations, where the host moves it once every exporter has finished; a
            reference for what left the machine.
        description: what it is, for the report: one line.
    """

    source: Path | None
    destination: Path | str
    description: str = ""
